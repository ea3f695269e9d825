"""Long content in several packets, and back together (分包).

HJ 212-2017 clause 6.3.3, HJ/T 212-2005 clause 6.3: what stands between the two `&&` has at most 950 bytes a packet. The
packets of one whole have the same QN, PNUM says how many they are, PNO counts from 1, and bit D of Flag is set. Each
packet is a good one of its own: it is cut between factors, and the plain items in front of the first factor, DataTime
above all, stand in each. What is put together loses their repetitions.
"""

from collections.abc import Iterator

from protocols.core.errors import NEED_DATA, LocalProtocolError, NeedData
from protocols.hj212.cp import Item, chained, factor_groups, format_items
from protocols.hj212.segment import FLAG_SPLIT, MAX_PARTS, HeaderField, Segment

MAX_CONTENT_BYTES = 950


def split_segment(segment: Segment, max_bytes: int = MAX_CONTENT_BYTES) -> list[Segment]:
    """The segment itself where it is short enough, else its parts. Raises `LocalProtocolError` where nothing helps."""
    if _size(segment.items) + len(segment.tail) <= max_bytes:
        return [segment]
    contents = list(_contents(segment.items, max_bytes))
    if len(contents) == 1:  # only its separators made it too long
        return [Segment(segment.header, contents[0])]
    if len(contents) > MAX_PARTS:
        raise LocalProtocolError(f"{len(contents)} packets are too many", field="PNUM")
    return [
        Segment(_header_with_part(segment, len(contents), number), items) for number, items in enumerate(contents, 1)
    ]


def join_segments(parts: list[Segment]) -> Segment:
    """The whole of all its parts, in the order of their PNO."""
    first = parts[0]
    shared = {(item.name, item.value) for item in _leading_plain(first.items)}
    items = list(first.items)
    for part in parts[1:]:
        leading = _leading_plain(part.items)
        items += [item for item in leading if (item.name, item.value) not in shared]
        items += part.items[len(leading) :]
    return Segment(_header_of_whole(first), chained(items))


class Reassembler:
    """Puts split segments together. It keeps `max_parts` parts at most, the oldest whole gives way.

    A whole of which no part came for `timeout_s` is forgotten: its request number will be used again one day.
    """

    def __init__(self, *, timeout_s: float = 60.0, max_parts: int = 256) -> None:
        self._timeout_s = timeout_s
        self._max_parts = max_parts
        self._wholes: dict[tuple[str | None, ...], _Whole] = {}
        self.forgotten_parts = 0
        """Parts whose others never came, or that were too many."""

    def add(self, segment: Segment, now: float) -> Segment | NeedData:
        """The whole when this was its last part, or `NEED_DATA`. A segment that is not split is a whole itself."""
        self.tick(now)
        pnum, pno = segment.pnum, segment.pno
        if pnum is None or pno is None or pnum < 2:
            return segment
        if pno < 1 or pnum > self._max_parts:
            self.forgotten_parts += 1
            return NEED_DATA
        key = (segment.mn, segment.cn, segment.qn)
        whole = self._wholes.pop(key, None)
        if whole is None or whole.pnum != pnum:
            self.forgotten_parts += 0 if whole is None else len(whole.parts)
            whole = _Whole(pnum)
        whole.parts.setdefault(pno, segment)
        whole.until = now + self._timeout_s
        if len(whole.parts) == pnum:
            return join_segments([whole.parts[number] for number in range(1, pnum + 1)])
        self._wholes[key] = whole  # behind those that have waited longer
        while sum(len(known.parts) for known in self._wholes.values()) > self._max_parts:
            self._forget(next(iter(self._wholes)))
        return NEED_DATA

    def next_deadline(self) -> float | None:
        """When the next incomplete whole is forgotten."""
        return min((whole.until for whole in self._wholes.values()), default=None)

    def tick(self, now: float) -> None:
        """Time has passed."""
        for key in [key for key, whole in self._wholes.items() if whole.until <= now]:
            self._forget(key)

    def _forget(self, key: tuple[str | None, ...]) -> None:
        self.forgotten_parts += len(self._wholes.pop(key).parts)


class _Whole:
    """What of a whole is there."""

    __slots__ = ("parts", "pnum", "until")

    def __init__(self, pnum: int) -> None:
        self.pnum = pnum
        self.parts: dict[int, Segment] = {}
        self.until = 0.0


def _size(items: tuple[Item, ...]) -> int:
    return len(format_items(items).encode("gbk", "surrogateescape"))


def _leading_plain(items: tuple[Item, ...]) -> tuple[Item, ...]:
    count = 0
    while count < len(items) and items[count].attribute is None:
        count += 1
    return items[:count]


def _contents(items: tuple[Item, ...], max_bytes: int) -> Iterator[tuple[Item, ...]]:
    """The items of each packet."""
    shared = _leading_plain(items)
    if len(shared) == len(items):
        shared = shared[:1]  # nothing but plain items: the first is DataTime where there is one
    part = shared
    size = _size(chained(shared))
    if size > max_bytes:
        raise LocalProtocolError("the plain items are longer than a packet", field="CP")
    for group in _short_groups(items[len(shared) :], max_bytes - size - 1):
        if len(part) > len(shared) and _size(chained(part + group)) > max_bytes:
            yield chained(part)
            part = shared
        part += group
    yield chained(part)


def _short_groups(items: tuple[Item, ...], room: int) -> Iterator[tuple[Item, ...]]:
    """Factors, each with its attributes together where they fit into one packet."""
    for group in factor_groups(items):
        if _size(chained(group)) <= room:
            yield group
            continue
        for item in group:
            if _size(chained((item,))) > room:
                raise LocalProtocolError("an item is longer than a packet", field=item.name)
            yield (item,)


def _header_with_part(segment: Segment, pnum: int, pno: int) -> tuple[HeaderField, ...]:
    header = [field for field in segment.header if field[0] not in ("PNUM", "PNO")]
    for at, (name, _value) in enumerate(header):
        if name == "Flag":
            header[at] = ("Flag", str((segment.flag or 0) | FLAG_SPLIT))
    return (*header, ("PNUM", str(pnum)), ("PNO", str(pno)))


def _header_of_whole(part: Segment) -> tuple[HeaderField, ...]:
    header = [field for field in part.header if field[0] not in ("PNUM", "PNO")]
    return tuple(
        ("Flag", str((part.flag or 0) & ~FLAG_SPLIT)) if name == "Flag" else (name, value) for name, value in header
    )
