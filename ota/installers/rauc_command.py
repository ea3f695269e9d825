"""The `rauc` command, 1.8 as Debian 12 has it: asked by words, each time with a deadline, its answers held for foreign.

    rauc status --detailed --output-format=json     which slot runs, which is started next, what lies in each
    rauc install BUNDLE                             progress in lines, `LastError: ...` where it fails
    rauc status mark-{good|bad|active} SLOT         what the bootloader is told

The command speaks to RAUC's service over D-Bus; its lines are what `Operation`, `Progress` and `LastError` say. To end
the command does not end an installation that the service has begun; nothing can, but the end of the service. A private
bus is chosen as RAUC does it, by `DBUS_STARTER_BUS_TYPE=session`.
"""

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ota.errors import Cause, RefusedError, Rule, StorageError

MAX_ANSWER_BYTES = 1 << 20
MAX_SLOTS = 64
SHORT_S = 60.0
"""For a question or a mark: the bootloader's own tools may take some seconds each."""
INSTALL_S = 3600.0
_LINE_LENGTH = 200
_PROGRESS = re.compile(r"^ *([0-9]{1,3})% (.*)$")
_LAST_ERROR = "LastError: "
_RULES = (
    ("Compatible mismatch", Rule.HARDWARE),
    ("signature verification failed", Rule.SIGNATURE),
    ("Invalid bundle format", Rule.FORMAT),
    ("to load manifest", Rule.FORMAT),
    ("to check manifest", Rule.FORMAT),
    ("No target slot for class", Rule.FORMAT),
    ("does not fit to slot size", Rule.SPACE),
)
"""What RAUC's own words are among our rules; anything else is `Rule.STORAGE`, with its words."""
_FULL = "No space left on device"
_BUSY = "already processing a different method"

Word = Annotated[str, msgspec.Meta(max_length=256)]
Progress = Callable[[int, str], None]
"""Percent, and what is done."""


class RaucError(StorageError):
    """RAUC does not answer, or not as it should: nothing is known to have changed, later it may go on."""


class _Checksum(msgspec.Struct, frozen=True):
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, msgspec.Meta(ge=0)]


class _Bundle(msgspec.Struct, frozen=True):
    version: Word | None = None


class _Installed(msgspec.Struct, frozen=True):
    count: Annotated[int, msgspec.Meta(ge=0)] = 0


class _SlotStatus(msgspec.Struct, frozen=True):
    bundle: _Bundle = _Bundle()
    checksum: _Checksum | None = None
    installed: _Installed = _Installed()
    status: Word | None = None


class Slot(msgspec.Struct, frozen=True):
    """One slot, as RAUC has it."""

    device: Annotated[str, msgspec.Meta(pattern="^/", max_length=4096)]
    type: Word
    state: Word
    bootname: Word | None = None
    parent: Word | None = None
    boot_status: Literal["good", "bad"] | None = None
    slot_status: _SlotStatus = _SlotStatus()

    @property
    def is_booted(self) -> bool:
        """Whether it runs."""
        return self.state == "booted"


class _StatusAnswer(msgspec.Struct, frozen=True):
    booted: Word | None
    boot_primary: Word | None
    slots: Annotated[list[Annotated[dict[Word, Slot], msgspec.Meta(max_length=1)]], msgspec.Meta(max_length=MAX_SLOTS)]


class Status(msgspec.Struct, frozen=True):
    """All slots at one moment."""

    primary: str
    """The slot that the bootloader starts next, `rootfs.0`; nothing where it does not know."""
    slots: dict[str, Slot]

    def slot(self, name: str) -> Slot:
        """A slot by its name. Raises `RaucError` where RAUC does not know it."""
        if name not in self.slots:
            raise RaucError("rauc", f"it has no slot {name}; there are {', '.join(sorted(self.slots)) or 'none'}")
        return self.slots[name]

    def group(self, name: str) -> dict[str, Slot]:
        """A slot and those that are written with it."""
        return {name: self.slot(name)} | {each: slot for each, slot in self.slots.items() if slot.parent == name}

    def will_start(self, name: str) -> bool:
        """Whether the bootloader will start that slot next."""
        return self.primary == name and self.slot(name).boot_status == "good"


class Rauc:
    """The command. `environment`: what it runs in; ours where there is none."""

    def __init__(
        self,
        *,
        program: str = "rauc",
        environment: Mapping[str, str] | None = None,
        short_s: float = SHORT_S,
        install_s: float = INSTALL_S,
    ) -> None:
        self._program = program
        self._environment = {**(os.environ if environment is None else environment), "LC_ALL": "C"}
        self._short_s = short_s
        self._install_s = install_s

    def status(self) -> Status:
        """Ask for everything. Raises `RaucError`."""
        words = ("status", "--detailed", "--output-format=json")
        code, out, err = self._run(words, self._short_s)
        if code != 0:
            raise RaucError("rauc status", _last_words(err, out))
        try:
            found = msgspec.json.decode(out, type=_StatusAnswer)
        except (msgspec.DecodeError, RecursionError) as error:
            raise RaucError("rauc status", "its answer is none that is known") from error
        slots = {name: slot for each in found.slots for name, slot in each.items()}
        return Status(found.boot_primary or "", slots)

    def install(self, bundle: Path, progress: Progress = lambda _percent, _what: None) -> None:
        """Install a bundle into the group that does not run.

        Raises `RefusedError` where RAUC refuses the bundle, `StorageError` where the slot is full, `RaucError`.
        """

        def take(line: str) -> None:
            if found := _PROGRESS.match(line):
                progress(min(100, int(found[1])), _plain(found[2]))

        code, out, err = self._run(("install", str(bundle)), self._install_s, take)
        if code == 0:
            return
        reason = next((line for line in _lines(out, err) if line.startswith(_LAST_ERROR)), "")
        reason = reason.removeprefix(_LAST_ERROR)
        if not reason or _BUSY in reason.lower():
            raise RaucError("rauc install", reason or _last_words(err, out))
        if _FULL in reason:
            raise StorageError("rauc install", reason, Cause.FULL)
        rule = next((rule for words, rule in _RULES if words in reason), Rule.STORAGE)
        raise RefusedError(rule, "rauc install", reason)

    def mark(self, word: Literal["good", "bad", "active"], slot: str) -> None:
        """Tell the bootloader of a slot. Raises `RaucError`."""
        code, out, err = self._run(("status", f"mark-{word}", slot), self._short_s)
        if code != 0:
            raise RaucError(f"rauc status mark-{word} {slot}", _last_words(err, out))

    def _run(
        self, words: Sequence[str], within_s: float, take: Callable[[str], None] = lambda _line: None
    ) -> tuple[int, bytes, bytes]:
        """(exit code, stdout, stderr). Raises `RaucError`; then the command has been ended."""
        what = f"{self._program} {words[0]}"
        try:
            process = subprocess.Popen(  # noqa: S603  # no shell; the words are ours
                [self._program, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            raise RaucError(self._program, f"it cannot be started: {error.strerror or error}") from error
        with process:
            try:
                out, err = _answers(process, what, time.monotonic() + within_s, take)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return process.returncode, out, err


def _answers(
    process: subprocess.Popen[bytes], what: str, until: float, take: Callable[[str], None]
) -> tuple[bytes, bytes]:
    """All that it says, until it has ended. Raises `RaucError` where it takes too long or says too much."""
    assert process.stdout is not None
    assert process.stderr is not None
    said = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    line_at = 0
    with selectors.DefaultSelector() as streams:
        for number in said:
            streams.register(number, selectors.EVENT_READ)
        while streams.get_map():
            ready = streams.select(max(0.0, until - time.monotonic()))
            if not ready:
                raise RaucError(what, "it does not come to an end, and is ended")
            for key, _events in ready:
                piece = os.read(key.fd, 65_536)
                if not piece:
                    streams.unregister(key.fd)
                said[key.fd] += piece
                if len(said[key.fd]) > MAX_ANSWER_BYTES:
                    raise RaucError(what, f"it says more than {MAX_ANSWER_BYTES:,} bytes, and is ended")
            out = said[process.stdout.fileno()]
            while (end := out.find(b"\n", line_at)) >= 0:
                take(out[line_at:end].decode("utf-8", "replace"))
                line_at = end + 1
    try:
        process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise RaucError(what, "it does not come to an end, and is ended") from error
    return bytes(said[process.stdout.fileno()]), bytes(said[process.stderr.fileno()])


def _lines(*streams: bytes) -> list[str]:
    """All lines with words, fit to be shown."""
    found = [line for stream in streams for line in stream.decode("utf-8", "replace").splitlines()]
    return [plain for line in found if (plain := _plain(line))]


def _plain(text: str) -> str:
    """Foreign text as one short line."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * _LINE_LENGTH])
    return " ".join(shown.split())[:_LINE_LENGTH]


def _last_words(*streams: bytes) -> str:
    for stream in streams:
        if lines := _lines(stream):
            return lines[-1]
    return "it fails and does not say why"
