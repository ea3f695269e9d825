"""The secondary's side of an update: one request in, one answer out, over whatever line. MicroPython-clean.

A request is an operation byte and its fields, at most 600 bytes; an answer is 00 and its fields, or 01 and one line of
text that begins with a word for the gateway. Numbers are big-endian.

    h  nonce (16)                    who and what are you: 00, state, code over the nonce and the state
    o  name (32) code (32)           a set by the hash of its manifest; the code is over nonce, box and name
    d  offset (4) data               a part of a stream
    m  kind (1) length (4)           make the manifest: f from a stream, d from a delta to the one that runs
    f  number (2) kind (1)           make that file of the manifest: k as it runs, f, d; q: 01 if it is there, else 00
    s                                all files are there
    a c v  code (32)                 arm, confirm, revert; a board starts anew once it has answered a or v

State: nonce (16), slot that runs or will from the next start on (1), 1 while it is on trial (1), attempts left (1),
its release counter (8), its hash (32), the hash of the set in the other slot (32, zeros: none), the name of the box.
Each code is over a nonce that is used for nothing else, so that nothing said once can be said again by somebody who has
listened.
"""

import os
import struct

from ota.mcu.authentic import MAC_BYTES, NONCE_BYTES, is_same, mac
from ota.mcu.errors import SecondaryError
from ota.mcu.selector import ATTEMPTS
from ota.mcu.sets import ASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ota.mcu.selector import Selector
    from ota.mcu.sets import Sets

MAX_REQUEST_BYTES = 600
STATE_FORMAT = ">16sBBBQ32s32s"
STATE_BYTES = 91
_DATA_AT = 5
_MANIFEST_BYTES = 6
_FILE_BYTES = 4
_NO_SET = b"\0" * 32


class Agent:
    """The secondary `ecu`. `random`: gives so many bytes that nobody can guess."""

    def __init__(
        self, ecu: str, key: bytes, sets: "Sets", selector: "Selector", random: "Callable[[int], bytes]" = os.urandom
    ) -> None:
        self._ecu = ecu.encode()
        self._key = key
        self._sets = sets
        self._selector = selector
        self._random = random
        self._nonce = b""
        self._offer = b""
        """The set that is being brought; nothing without its gateway's code for it."""
        self._has_manifest = False

    def handle(self, request: bytes) -> bytes:
        """The answer to a request. Never raises: a broken request or a full disk is an answer, too."""
        try:
            return b"\0" + self._do(request[:1], request)
        except SecondaryError as error:
            return b"\1" + str(error).encode()
        except OSError as error:
            return b"\1storage: error " + str(error.args[0] if error.args else 0).encode()
        except MemoryError:
            return b"\1memory: none is left"

    def _do(self, operation: bytes, request: bytes) -> bytes:
        if not 0 < len(request) <= MAX_REQUEST_BYTES:
            raise SecondaryError("format", "a request of " + str(len(request)) + " bytes")
        if operation == b"h":
            return self._state(request[1:])
        if operation == b"o":
            self._take_offer(request[1:])
        elif operation == b"a":
            self._arm(request[1:])
        elif operation == b"c":
            self._confirm(request[1:])
        elif operation == b"v":
            self._revert(request[1:])
        elif operation in (b"d", b"m", b"f", b"s"):
            return self._stage(operation, request)
        else:
            raise SecondaryError("format", "an operation that is not known")
        return b""

    def _stage(self, operation: bytes, request: bytes) -> bytes:
        if not self._offer:
            raise SecondaryError("order", "nothing was offered")
        if operation == b"d":
            if len(request) < _DATA_AT:
                raise SecondaryError("format", "a part without its place")
            self._sets.take_part(int.from_bytes(request[1:_DATA_AT], "big"), request[_DATA_AT:])
            return b""
        if operation == b"m":
            self._make_manifest(request)
            return b""
        if not self._has_manifest:
            raise SecondaryError("order", "no manifest has come")
        if operation == b"s":
            return self._sets.seal(self._free_slot())
        return self._file(request)

    def _make_manifest(self, request: bytes) -> None:
        if len(request) != _MANIFEST_BYTES:
            raise SecondaryError("format", "a request for a manifest that is cut short")
        self._has_manifest = False
        slot = self._free_slot()
        self._sets.make_manifest(slot, request[1:2], int.from_bytes(request[2:], "big"), self._offer)
        name, counter = self._sets.offered()
        self._check_floor(counter)
        other = self._sets.head(slot)
        if other is None or other[0] != name:
            self._sets.begin(slot)
        self._has_manifest = True

    def _file(self, request: bytes) -> bytes:
        if len(request) != _FILE_BYTES:
            raise SecondaryError("format", "a request for a file that is cut short")
        index, kind = int.from_bytes(request[1:3], "big"), request[3:]
        if kind == ASK:
            return b"\1" if self._sets.has_file(self._free_slot(), index) else b"\0"
        self._sets.make_file(self._free_slot(), index, kind)
        return b""

    # What is authenticated --------------------------------------------------------------------------------------

    def _state(self, nonce: bytes) -> bytes:
        if len(nonce) != NONCE_BYTES:
            raise SecondaryError("format", "a nonce of " + str(len(nonce)) + " bytes")
        self._nonce = self._random(NONCE_BYTES)
        choice = self._selector.choice()
        slot = self._running_slot()
        is_trial = choice is not None and choice.slot == slot and not choice.is_confirmed
        left = choice.attempts_left if choice is not None and is_trial else 0
        head = self._sets.head(slot)
        other = self._sets.head(1 - slot)
        state = struct.pack(
            STATE_FORMAT,
            self._nonce,
            slot,
            1 if is_trial else 0,
            left,
            0 if head is None else head[1],
            _NO_SET if head is None else head[0],
            _NO_SET if other is None else other[0],
        )
        state += self._ecu
        return state + mac(self._key, b"state", nonce, state)

    def _take_offer(self, request: bytes) -> None:
        name, code = request[:MAC_BYTES], request[MAC_BYTES:]
        self._offer = b""
        self._has_manifest = False
        self._check(code, b"offer", name)
        self._offer = name

    def _arm(self, code: bytes) -> None:
        slot = self._free_slot()
        head = self._sets.head(slot)
        if head is None:
            raise SecondaryError("order", "there is no set to arm")
        self._check(code, b"arm", head[0])
        self._check_floor(head[1])
        if not self._sets.is_whole(slot):
            self._sets.begin(slot)  # from now on it is not told as staged, and is brought again
            raise SecondaryError("hash", "the staged set has changed since it came")
        self._selector.choose(slot, head[0], ATTEMPTS)

    def _confirm(self, code: bytes) -> None:
        head = self._sets.head(self._running_slot())
        self._check(code, b"confirm", _NO_SET if head is None else head[0])
        choice = self._selector.choice()
        if choice is not None and choice.slot == choice.running_slot() and not choice.is_confirmed:
            if not choice.is_started:
                raise SecondaryError("order", "the set on trial was never started")
            self._selector.confirm(choice)

    def _revert(self, code: bytes) -> None:
        head = self._sets.head(self._running_slot())
        self._check(code, b"revert", _NO_SET if head is None else head[0])
        choice = self._selector.choice()
        if choice is not None and not choice.is_confirmed:
            self._selector.revert(choice)

    def _check_floor(self, counter: int) -> None:
        """A set that once ran may still lie in the other slot: so it is asked when one is armed, too."""
        running = self._sets.head(self._running_slot())
        if running is not None and counter < running[2]:
            raise SecondaryError("floor", "counter " + str(counter) + " is below the floor " + str(running[2]))
        if self._is_trial():
            raise SecondaryError("order", "the running set is on trial")

    def _check(self, code: bytes, order: bytes, name: bytes) -> None:
        nonce = self._nonce
        self._nonce = b""
        if not nonce:
            raise SecondaryError("order", "a nonce serves once: ask for the state before")
        if len(code) != MAC_BYTES or not is_same(code, mac(self._key, order, nonce, self._ecu, name)):
            raise SecondaryError("key", "the code is not this box's gateway's")

    def _running_slot(self) -> int:
        choice = self._selector.choice()
        return 0 if choice is None else choice.running_slot()

    def _free_slot(self) -> int:
        return 1 - self._running_slot()

    def _is_trial(self) -> bool:
        choice = self._selector.choice()
        return choice is not None and choice.slot == choice.running_slot() and not choice.is_confirmed
