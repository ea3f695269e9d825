"""The position file of a lane: what of it is acknowledged and what is lost, in one line of JSON and its checksum.

    {"epoch":"9c41d07be21f00aa","made":1200,"acked":{"mqtt":[[1,1180]]},"lost":[]}
    crc32c 1a2b3c4d

The checksum covers the first line. A flipped bit in a number would else let go of records that nobody has.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec

from edge.store.errors import StorageError, StoreError
from edge.store.medium import Medium

POSITION = "position.json"
POSITION_COPY = "position.copy.json"
"""As the position was when segments went last: should the file itself be damaged, nothing that has gone is mistaken."""
MAX_POSITION_BYTES = 4 << 20
_MARK = b"\ncrc32c "

Why = Literal["quota", "damaged"]
Seq = Annotated[int, msgspec.Meta(ge=1, le=1 << 62)]


class PositionError(StoreError):
    """The position file is damaged."""


class Loss(msgspec.Struct, frozen=True):
    """Records that will never arrive. `is_declared`: the disk has the event that says so."""

    first: Seq
    last: Seq
    why: Why
    is_declared: bool = False
    event: int = 0
    """The number, in the event lane, of the event that says so; 0: none yet."""
    epoch: str = ""
    """The epoch of the records, where that has ended; such a loss is kept until somebody has the event."""


class Position(msgspec.Struct, frozen=True):
    """What the file says."""

    epoch: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    made: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
    acked: dict[str, list[tuple[Seq, Seq]]]
    """By uplink: ranges (first, last) that it has let go."""
    lost: list[Loss]


def encode_position(position: Position, checksum: Callable[[bytes], int]) -> bytes:
    """The file's content."""
    text = msgspec.json.encode(position)
    return text + _MARK + b"%08x\n" % checksum(text)


def decode_position(data: bytes, checksum: Callable[[bytes], int]) -> Position:
    """Read the file's content. Raises `PositionError`."""
    text, mark, crc = data.rpartition(_MARK)
    if not mark or crc != b"%08x\n" % checksum(text):
        raise PositionError("its checksum is wrong")
    try:
        position = msgspec.json.decode(text, type=Position)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PositionError(str(error)) from error
    ranges = [pair for acked in position.acked.values() for pair in acked]
    ranges += [(loss.first, loss.last) for loss in position.lost]
    if any(first > last for first, last in ranges):
        raise PositionError("a range runs backwards")
    return position


def read_position(medium: Medium, checksum: Callable[[bytes], int]) -> tuple[Position | None, list[str]]:
    """What the file says, or its copy where it is damaged; None where neither does. And what a person should know."""
    notes: list[str] = []
    for name in (POSITION, POSITION_COPY):
        try:
            if medium.size(name):
                return decode_position(medium.read(name, 0, MAX_POSITION_BYTES), checksum), notes
        except (PositionError, StorageError) as error:
            notes.append(f"{name}: cannot be read ({error})")
    if notes:
        notes.append("no position: what is kept is sent again, what has gone counts as lost")
    return None, notes


def merged(losses: list[Loss]) -> list[Loss]:
    """The same losses by number, declared neighbours of one reason as one, so that the list stays short."""
    result: list[Loss] = []
    for each in sorted(losses, key=lambda one: (one.epoch, one.first)):
        before = result[-1] if result else None
        if before is not None and _can_merge(before, each):
            event = min(filter(None, (before.event, each.event)), default=0)
            result[-1] = msgspec.structs.replace(before, last=each.last, event=event)
        else:
            result.append(each)
    return result


def _can_merge(before: Loss, after: Loss) -> bool:
    is_next = (before.epoch, before.last + 1, before.why) == ("", after.first, after.why)
    return before.is_declared and after.is_declared and is_next
