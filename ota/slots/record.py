"""What the device knows of its slots: one record, kept twice, of which a power cut can only ever hurt the older one.

    state-a  state-b    a sealed `Record` each (`ota.slots.sealed`); the whole one with the higher sequence holds
    key  key-copy       the same 32 bytes and their CRC-32: what seals, made when the device was set up

Fields that this version does not know are kept, so that a newer release and, after a rollback, an older one read and
write the same file. Standard library only: the launcher reads it.
"""

import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ota.errors import OtaError, StorageError
from ota.slots.sealed import KEY_BYTES, MAX_BYTES, UnsealedError, checked, seal, unseal
from ota.storage import Storage

KIND = b"WSR1"
NAMES = ("state-a", "state-b")
KEYS = ("key", "key-copy")
SLOTS = ("a", "b")
BOOTS = 3
"""Starts that a slot on trial has."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One state of the slots. `confirmed`, `trial`, `boots_left` and `fell_back` are all that the launcher looks at."""

    sequence: int = 0
    state: str = "IDLE"
    confirmed: str = "a"
    """The slot that is known to be good."""
    trial: str = ""
    """The slot to be started instead, for as long as it has boots left."""
    boots_left: int = 0
    fell_back: str = ""
    """Why the launcher gave the trial up; nothing while it has not."""
    plan_number: int = 0
    plan_digest: str = ""
    policy: str = "atomic"
    attempt: str = ""
    """The update that is under way, or was last."""
    ecus: dict[str, dict[str, Any]] = field(default_factory=dict)
    """ECU -> what it is to run and how far it is (`ota.slots.ecus`)."""
    floors: dict[str, int] = field(default_factory=dict)
    """`{hardware} {family}` -> release counter below which nothing is taken any more."""
    quarantine: dict[str, int] = field(default_factory=dict)
    """Image hash -> number of the plan that failed with it: a plan with a higher number may try it again."""
    outcome: str = ""
    """How the last attempt ended: confirmed, rolled back, cancelled, failed."""
    rule: str = ""
    reason: str = ""
    """Why, in a line."""
    unknown: dict[str, Any] = field(default_factory=dict)
    """Fields of a newer release."""

    @property
    def to_start(self) -> str:
        """The slot that the launcher has started, or will."""
        return self.confirmed if self.fell_back or not self.trial else self.trial


_FIELDS: dict[str, type] = {name: type(value) for name, value in asdict(Record()).items() if name != "unknown"}


def encode(record: Record, key: bytes) -> bytes:
    """A sealed record."""
    body = asdict(record)
    return seal(KIND, key, {**body.pop("unknown"), **body})


def decode(data: bytes, key: bytes) -> Record:
    """A sealed record. Raises `UnsealedError`."""
    body = unseal(KIND, key, data)
    known = {name: body.pop(name) for name in _FIELDS if name in body}
    checked(known, {name: _FIELDS[name] for name in known})
    record = Record(**known, unknown=body)
    if record.confirmed not in SLOTS or record.trial not in ("", *SLOTS):
        raise UnsealedError("it names a slot that there is not")
    return record


class StaleRecordError(OtaError):
    """Another process has written: read again and decide anew."""


class RecordStore:
    """The two records. Nothing is remembered between two calls: another process may have written."""

    def __init__(self, storage: Storage, key: bytes, lock: Callable[[], AbstractContextManager[object]]) -> None:
        """`lock` keeps the launcher and the update agent apart while one of them writes."""
        self._storage = storage
        self._key = key
        self._lock = lock

    def read(self) -> Record | None:
        """The newest whole one; None where there is none."""
        return max(filter(None, self._all()), key=lambda record: record.sequence, default=None)

    def faults(self) -> list[str]:
        """A line for each record that does not hold."""
        return [found for found in map(self._found, NAMES) if isinstance(found, str)]

    def write(self, record: Record) -> Record:
        """Put it in the place of the older one and return it with its sequence.

        Raises `StaleRecordError` where it was made from a record that is not the newest any more, and `StorageError`.
        """
        with self._lock():
            there = self._all()
            newest = max((each.sequence for each in there if each), default=record.sequence)
            if newest != record.sequence:
                raise StaleRecordError(f"the record is at {newest}, not {record.sequence}: somebody else has written")
            place = 0 if there[0] is None else 1 if there[1] is None else int(there[0].sequence > there[1].sequence)
            written = replace(record, sequence=record.sequence + 1)
            self._storage.write(NAMES[place], 0, encode(written, self._key))
            self._storage.sync(NAMES[place])
            self._storage.sync_folder("")
            return written

    def _all(self) -> list[Record | None]:
        return [found if isinstance(found, Record) else None for found in map(self._found, NAMES)]

    def _found(self, name: str) -> Record | str:
        try:
            return decode(self._storage.read(name, 0, MAX_BYTES), self._key)
        except (UnsealedError, StorageError) as error:
            return f"{name}: {error}"


def read_key(storage: Storage) -> bytes | None:
    """The device's key, from whichever copy is whole; None where none is."""
    for name in KEYS:
        try:
            data = storage.read(name, 0, MAX_BYTES)
        except StorageError:
            continue
        key = data[:KEY_BYTES]
        if data == _kept(key):
            return key
    return None


def make_key(storage: Storage, key: bytes) -> None:
    """Keep a new device's key: 32 bytes of the system's own randomness. Raises `StorageError`."""
    assert len(key) == KEY_BYTES, "a key of another length is our own mistake"
    for name in KEYS:
        storage.write(name, 0, _kept(key))
        storage.sync(name)
    storage.sync_folder("")


def _kept(key: bytes) -> bytes:
    return key + zlib.crc32(key).to_bytes(4)
