"""A MicroPython secondary, from its gateway: what is verified in full here is said again to it under its own key.

The line to it (a serial line, a bus, a socket) is a function that takes a request and returns the answer; it may repeat
a request whose answer got lost. A part or a file that is said twice does no harm; an order that is said twice is
refused, since a nonce serves once, and the next call gives it anew. `ota.mcu.agent` has the other side.
"""

import os
import struct
from collections.abc import Callable
from typing import NamedTuple

from ota.errors import OtaError, RefusedError, Rule, printable
from ota.mcu.agent import MAX_REQUEST_BYTES, STATE_BYTES, STATE_FORMAT
from ota.mcu.authentic import MAC_BYTES, NONCE_BYTES, is_same, mac
from ota.mcu.sets import ASK, KEEP
from ota.payload.file_set import read_package

Exchange = Callable[[bytes], bytes]
"""A request to the secondary and its answer. Raises `SecondaryLineError` where there is none."""

_PART_BYTES = MAX_REQUEST_BYTES - 88
_MAX_SAID_CHARS = 200
_NO_SET = "0" * 64
_RULES = {rule.value: rule for rule in (Rule.FLOOR, Rule.FORMAT, Rule.HASH, Rule.KEY, Rule.STORAGE)} | {
    "base": Rule.HASH
}
"""What a secondary's refusals are to us. `base`: it does not run what the delta builds upon."""


class SecondaryLineError(OtaError):
    """The secondary cannot be reached, or does not prove that it is the one."""


class SecondaryState(NamedTuple):
    """What a secondary says of itself; proven by its key."""

    slot: int
    is_trial: bool
    attempts_left: int
    counter: int
    set_hash: str
    """SHA-256 of the manifest that it runs; empty where it runs none of ours."""
    staged_hash: str
    """Of the whole set in its other slot; empty where there is none."""


class McuInstaller:
    """One secondary: `ecu` names it, `key` is shared with it alone."""

    def __init__(self, ecu: str, key: bytes, exchange: Exchange, random: Callable[[int], bytes] = os.urandom) -> None:
        self._ecu = ecu
        self._key = key
        self._exchange = exchange
        self._random = random
        self._nonce = b""

    def state(self) -> SecondaryState:
        """Ask it. Raises `SecondaryLineError`, also for an answer that another box may have given."""
        nonce = self._random(NONCE_BYTES)
        answer = self._ask(b"h" + nonce)
        state, code = answer[:-MAC_BYTES], answer[-MAC_BYTES:]
        if len(state) < STATE_BYTES or not is_same(code, mac(self._key, b"state", nonce, state)):
            raise SecondaryLineError(f"key: {self._ecu}: the answer is not proven by its key")
        if state[STATE_BYTES:] != self._ecu.encode():
            raise SecondaryLineError(f"ecu: {self._ecu}: another secondary answers")
        self._nonce, slot, is_trial, left, counter, set_hash, staged = struct.unpack(STATE_FORMAT, state[:STATE_BYTES])
        names = (value.hex() if any(value) else "" for value in (set_hash, staged))
        return SecondaryState(slot, bool(is_trial), left, counter, *names)

    def stage(
        self, package: bytes, what: str, *, progress: Callable[[int, int], None] = lambda _done, _all: None
    ) -> str:
        """Bring a set, verified here, into its other slot; returns its hash. May be cut and done again.

        Raises `RefusedError` where the package is not sound or the secondary refuses, `SecondaryLineError`.
        """
        parsed = read_package(package, what)
        state = self.state()
        if state.is_trial:  # left by an attempt whose end it was not told
            self.revert()
            raise SecondaryLineError(f"order: {self._ecu}: a set is on trial from before: it goes back first")
        if state.staged_hash == parsed.name.hex():
            return parsed.name.hex()
        self._ask(b"o" + parsed.name + self._code(b"offer", parsed.name))
        self._send(parsed.manifest.stream)
        self._ask(b"m" + parsed.manifest.kind + parsed.manifest_length.to_bytes(4))
        done = len(parsed.manifest.stream)
        for index, part in enumerate(parsed.files):
            number = index.to_bytes(2)
            if part.kind == KEEP or self._ask(b"f" + number + ASK) != b"\1":
                if part.kind != KEEP:
                    self._send(part.stream)
                self._ask(b"f" + number + part.kind)
            done += len(part.stream)
            progress(done, len(package))
        if self._ask(b"s") != parsed.name:
            raise RefusedError(Rule.HASH, what, f"{self._ecu} has made another set of it")
        return parsed.name.hex()

    def arm(self, set_hash: str) -> None:
        """From its next start on it tries the set in its other slot. Raises as `stage` does."""
        state = self.state()
        if state.is_trial and state.set_hash == set_hash:
            return
        if state.staged_hash != set_hash:
            raise RefusedError(Rule.HASH, self._ecu, "the set that is to be armed is not the one that is staged")
        self._ask(b"a" + self._code(b"arm", bytes.fromhex(set_hash)))

    def confirm(self) -> None:
        """The set that runs is good. Harmless when repeated."""
        self._order(b"c", b"confirm")

    def revert(self) -> None:
        """A set on trial is given up at the next start. Harmless when repeated."""
        self._order(b"v", b"revert")

    def _order(self, operation: bytes, word: bytes) -> None:
        state = self.state()
        self._ask(operation + self._code(word, bytes.fromhex(state.set_hash or _NO_SET)))

    def _code(self, word: bytes, name: bytes) -> bytes:
        return mac(self._key, word, self._nonce, self._ecu.encode(), name)

    def _send(self, stream: bytes) -> None:
        for offset in range(0, max(1, len(stream)), _PART_BYTES):
            self._ask(b"d" + offset.to_bytes(4) + stream[offset : offset + _PART_BYTES])

    def _ask(self, request: bytes) -> bytes:
        answer = self._exchange(request)
        if answer[:1] == b"\0":
            return answer[1:]
        text = answer[1:].decode("ascii", "replace") if answer[:1] == b"\1" else "format: no answer that is known"
        word, _, reason = printable(text[:_MAX_SAID_CHARS])[:_MAX_SAID_CHARS].partition(": ")
        if word in _RULES:
            raise RefusedError(_RULES[word], self._ecu, reason)
        raise SecondaryLineError(f"{word}: {self._ecu}: {reason}")
