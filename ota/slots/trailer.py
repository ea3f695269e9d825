"""What a slot says of itself, so that no other file is needed to know what may be started.

    slots/{a|b}/trailer     the image and the signed metadata that it was verified by; written last, erased first
    slots/{a|b}/confirmed   the mark of a slot that was confirmed, with the floors and the quarantine of that moment

A slot without a trailer is never started. Standard library only: the launcher reads it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from ota.errors import StorageError
from ota.slots.record import SLOTS, Record
from ota.slots.sealed import MAX_BYTES, Body, UnsealedError, checked, seal, unseal
from ota.storage import Storage, replace

TRAILER, MARK = "trailer", "confirmed"
_TRAILER_KIND, _MARK_KIND = b"WST1", b"WSM1"


@dataclass(frozen=True, kw_only=True)
class Trailer:
    """The signed manifest of a slot."""

    target: str
    """The path by which verified metadata names the image."""
    sha256: str
    length: int
    version: str
    counter: int
    proof: dict[str, Any] = field(default_factory=dict)
    """Role -> version and hash of the metadata that it was verified by."""
    tree_sha256: str = ""
    """Over the tree that the image makes (`ota.installers.tree`): with it the slot runs though its image has rotted.
    Empty in a trailer that an older release has written."""
    unknown: dict[str, Any] = field(default_factory=dict)
    """Fields of a newer release."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A slot has been confirmed. Repeats what must outlive both records."""

    sha256: str
    sequence: int
    plan_number: int = 0
    floors: dict[str, int] = field(default_factory=dict)
    quarantine: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, Any] = field(default_factory=dict)


_TRAILER_FIELDS: dict[str, type] = {
    "target": str, "sha256": str, "length": int, "version": str, "counter": int, "proof": dict,
}  # fmt: skip
_MARK_FIELDS: dict[str, type] = {
    "sha256": str, "sequence": int, "plan_number": int, "floors": dict, "quarantine": dict,
}  # fmt: skip


def write_trailer(storage: Storage, slot: str, trailer: Trailer, key: bytes) -> None:
    """Make a slot one that may be started; its bytes are durable already. Raises `StorageError`."""
    replace(storage, f"slots/{slot}/{TRAILER}", seal(_TRAILER_KIND, key, _body(asdict(trailer))))


def read_trailer(storage: Storage, slot: str, key: bytes) -> Trailer:
    """Raises `UnsealedError`, `StorageError`."""
    known, unknown = _read(storage, f"slots/{slot}/{TRAILER}", _TRAILER_KIND, _TRAILER_FIELDS, key)
    tree = unknown.pop("tree_sha256", "")
    return Trailer(**known, tree_sha256=tree if isinstance(tree, str) else "", unknown=unknown)


def write_mark(storage: Storage, slot: str, mark: Mark, key: bytes) -> None:
    """Say in the slot too that it is confirmed. Raises `StorageError`."""
    replace(storage, f"slots/{slot}/{MARK}", seal(_MARK_KIND, key, _body(asdict(mark))))


def read_mark(storage: Storage, slot: str, key: bytes) -> Mark | None:
    """None where the slot has not been confirmed, or its mark does not hold."""
    try:
        known, unknown = _read(storage, f"slots/{slot}/{MARK}", _MARK_KIND, _MARK_FIELDS, key)
    except (UnsealedError, StorageError):
        return None
    return Mark(**known, unknown=unknown)


def erase_trailer(storage: Storage, slot: str) -> None:
    """From here on the slot is not started by anybody. Raises `StorageError`."""
    for name in (MARK, TRAILER):
        storage.remove(f"slots/{slot}/{name}")
    storage.sync_folder(f"slots/{slot}")


def rebuild(storage: Storage, key: bytes, is_right: Callable[[str], bool]) -> Record | None:
    """The record, out of the slots alone, where both records are lost. None where no slot holds.

    The slot that was confirmed last is the confirmed one, else any whose bytes are right. An update that was under way
    is forgotten; floors, quarantine and plan number are those of the marks, the highest of each.
    """
    marks = {slot: mark for slot in SLOTS if (mark := read_mark(storage, slot, key)) is not None}
    by_age = sorted(SLOTS, key=lambda slot: -marks[slot].sequence if slot in marks else 1)
    confirmed = next(filter(is_right, by_age), None)
    if confirmed is None:
        return None
    record = Record(confirmed=confirmed, reason="both records were lost; this one is made from the slots")
    for mark in marks.values():
        for name, floor in mark.floors.items():
            record.floors[name] = max(floor, record.floors.get(name, 0))
        for image, number in mark.quarantine.items():
            record.quarantine[image] = max(number, record.quarantine.get(image, 0))
    values = asdict(record)
    values["sequence"] = max((mark.sequence for mark in marks.values()), default=0)
    values["plan_number"] = max((mark.plan_number for mark in marks.values()), default=0)
    return Record(**values)


def _body(fields: Body) -> Body:
    return {**fields.pop("unknown"), **fields}


def _read(storage: Storage, name: str, kind: bytes, fields: dict[str, type], key: bytes) -> tuple[Body, Body]:
    body = checked(unseal(kind, key, storage.read(name, 0, MAX_BYTES)), fields)
    return {each: body.pop(each) for each in fields}, body
