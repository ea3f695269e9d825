"""What became of an update, for whoever planned it: signed, kept until it is taken, and unable to change a slot.

    reports/{attempt}.json    a signed report
    reports/{attempt}.log     the last 16 KiB that were logged, where an update has failed
    reports/dropped           how many were given up for want of room, and the last of them

Nothing here reads or writes the slots: a server that never answers, or answers nonsense, can hold up reports and no
more. One attempt has one report: written again after a cut it is the same file.

A report is one line of JSON, `{"report": {...}, "keyid": ..., "sig": ...}`; the signature, Ed25519, is over the
report's own bytes as they stand there.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Annotated, Literal

import msgspec

from ota.errors import OtaError, StorageError
from ota.storage import Storage, make_durable, replace

FOLDER = "reports"
MAX_KEPT = 64
MAX_LOG_BYTES = 16 * 1024
_DROPPED = f"{FOLDER}/dropped"
_MAX_BYTES = 64 * 1024

Sign = Callable[[bytes], bytes]
"""Ed25519 over these bytes with the device's report key: 64 bytes."""
Verify = Callable[[bytes, bytes], bool]
"""Whether (signature, bytes) is so."""
Attempt = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}\Z")]
Outcome = Literal["confirmed", "rolled-back", "failed", "cancelled", "refused"]


class EcuOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One ECU of the attempt."""

    target: str
    before: str = ""
    """SHA-256 of what it ran."""
    after: str = ""
    """SHA-256 of what it runs now."""
    way: Literal["", "same", "delta", "full"] = ""
    fetched_bytes: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt."""

    attempt: Attempt
    device: str
    plan: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
    outcome: Outcome
    rule: str = ""
    """Which rule refused or failed it (`ota.errors.Rule`)."""
    reason: str = ""
    """In one line."""
    time: int = 0
    """Seconds since 1970 as the device believes them."""
    time_quality: Literal["set", "kept", "none"] = "none"
    ecus: dict[str, EcuOutcome] = {}
    log_sha256: str = ""
    dropped: int = 0
    """Reports of older attempts that were given up before anybody took them."""


class _Signed(msgspec.Struct, frozen=True):
    report: msgspec.Raw
    keyid: str
    sig: str


class ReportError(OtaError):
    """A report that nobody has signed, or that is none."""


def read_report(data: bytes, verify: Verify) -> Report:
    """A report as the other side reads it. Raises `ReportError`."""
    try:
        signed = msgspec.json.decode(data, type=_Signed)
        report = msgspec.json.decode(signed.report, type=Report)
        signature = bytes.fromhex(signed.sig)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ReportError(f"format: a report: {error}") from error
    if not verify(signature, bytes(signed.report)):
        raise ReportError(f"signature: a report of {report.device}: it is not signed by the key that it names")
    return report


class ReportQueue:
    """Reports that wait. `keyid` names the key of `sign` to whoever reads them."""

    def __init__(self, storage: Storage, sign: Sign, keyid: str) -> None:
        self._storage = storage
        self._sign = sign
        self._keyid = keyid

    def put(self, report: Report, log: bytes = b"") -> None:
        """Keep a report, with the end of a log, until it is taken. Raises `StorageError`.

        The oldest make room above 64: how many have gone stands in the next report.
        """
        make_durable(self._storage, FOLDER)
        tail = log[-MAX_LOG_BYTES:]
        if tail:
            replace(self._storage, f"{FOLDER}/{report.attempt}.log", tail)
            report = msgspec.structs.replace(report, log_sha256=hashlib.sha256(tail).hexdigest())
        waiting = [attempt for attempt in self.waiting() if attempt != report.attempt]
        for attempt in waiting[: max(0, len(waiting) + 1 - MAX_KEPT)]:
            dropped, last = self._dropped()
            if attempt != last:  # else a cut has brought it back: it is counted already
                replace(self._storage, _DROPPED, f"{dropped + 1} {attempt}".encode())
            self._remove(attempt)
        self._remove_lone_logs(report.attempt)
        body = msgspec.json.encode(msgspec.structs.replace(report, dropped=self.dropped))
        signed = _Signed(msgspec.Raw(body), self._keyid, self._sign(body).hex())
        replace(self._storage, f"{FOLDER}/{report.attempt}.json", msgspec.json.encode(signed) + b"\n")

    @property
    def dropped(self) -> int:
        """Reports given up since the device was set up."""
        return self._dropped()[0]

    def _dropped(self) -> tuple[int, str]:
        with suppress(StorageError, ValueError):
            count, _, last = self._storage.read(_DROPPED, 0, 200).decode().partition(" ")
            return int(count), last
        return 0, ""

    def waiting(self) -> list[str]:
        """Attempts whose report nobody has taken, the oldest first: they are numbered, 9 before 10."""
        names = [name.removesuffix(".json") for name in self._storage.list(FOLDER) if name.endswith(".json")]
        return sorted(names, key=lambda name: (len(name), name))

    def read(self, attempt: str) -> tuple[bytes, bytes]:
        """A report's line and its log, nothing where there is none. Raises `StorageError`."""
        line = self._storage.read(f"{FOLDER}/{attempt}.json", 0, _MAX_BYTES)
        with suppress(StorageError):
            return line, self._storage.read(f"{FOLDER}/{attempt}.log", 0, MAX_LOG_BYTES)
        return line, b""

    def taken(self, attempt: str) -> None:
        """The other side has it. Raises `StorageError`."""
        self._remove(attempt)

    def deliver(self, send: Callable[[bytes, bytes], bool]) -> Iterator[str]:
        """Offer each to `send` (line, log), which says whether it was taken; yields the attempts that were."""
        for attempt in self.waiting():
            if send(*self.read(attempt)):
                self.taken(attempt)
                yield attempt

    def _remove(self, attempt: str) -> None:
        """The report first: a log without one is rubbish, which the next report that is kept takes along."""
        self._storage.remove(f"{FOLDER}/{attempt}.json")
        self._storage.remove(f"{FOLDER}/{attempt}.log")
        self._storage.sync_folder(FOLDER)

    def _remove_lone_logs(self, new: str) -> None:
        waiting = {*self.waiting(), new}
        for name in self._storage.list(FOLDER):
            if name.endswith(".log") and name.removesuffix(".log") not in waiting:
                self._storage.remove(f"{FOLDER}/{name}")
