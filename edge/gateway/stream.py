"""One device's stream on its way into packs: rows that wait, parts of a wide row, and what was reported last.

A row whose names and values would not fit into one pack travels in several, each with a run of the points and all with
the same times: a device may have ten thousand points.
"""

from collections.abc import Sequence
from typing import NamedTuple

from drivers.readings import Point, Sample, Value
from protocols.wayside.topics import telemetry_route

MAX_PACK_BYTES = 16_384
"""Rows share a pack up to about this size."""
MAX_ROW_BYTES = 40_000
"""What one row of a part may take at the worst; a pack may not exceed 64 KB."""
_FIRST_GUESS_BYTES_A_VALUE = 6
_WORST_NUMBER_BYTES = 14
_WORST_TEXT_BYTES = 260


class Part(NamedTuple):
    """A run of a stream's points that shares packs."""

    first: int
    last: int
    """The first point that is no longer of it."""
    points: list[str]
    block: str | None
    """How the catalogue calls it, `a91f03/flow-1`; None where the names travel with the values."""


def spans_of(points: Sequence[Point], is_compact: bool) -> list[tuple[int, int]]:
    """Runs of points, as (first, behind the last), whose rows fit into a pack; one for all but the widest devices."""
    spans = []
    first, size = 0, 0
    for index, point in enumerate(points):
        cost = _WORST_TEXT_BYTES if point.type == "string" else _WORST_NUMBER_BYTES
        cost += 0 if is_compact else len(point.name) + 3
        if size + cost > MAX_ROW_BYTES and index > first:
            spans.append((first, index))
            first, size = index, 0
        size += cost
    return [*spans, (first, len(points))]


def block_names(device: str, points: Sequence[Point]) -> list[str]:
    """How a catalogue calls the parts of a device's row in the compact form: the device, or `{device}_part{number}`."""
    count = len(spans_of(points, is_compact=True))
    return [device] if count == 1 else [f"{device[:52]}_part{number}" for number in range(count)]


class Stream:
    """One device's stream: what is waiting to be packed, and what was reported last."""

    __slots__ = (
        "bad", "bytes_a_row", "deadbands", "device", "first_at", "has_change_report", "is_compact", "last_bad",
        "last_sealed", "last_values", "offsets", "pack_s", "parts", "points", "route", "rows",
    )  # fmt: skip

    def __init__(
        self,
        device: str,
        points: Sequence[Point],
        *,
        pack_s: float,
        has_change_report: bool = False,
        digest: str | None = None,
    ) -> None:
        self.device = device
        self.route = telemetry_route(device)
        self.points = [point.name for point in points]
        self.deadbands = [point.deadband for point in points]
        self.pack_s = pack_s
        self.has_change_report = has_change_report
        self.is_compact = digest is not None
        spans = spans_of(points, self.is_compact)
        blocks = (
            [f"{digest}/{name}" for name in block_names(device, points)] if self.is_compact else [None] * len(spans)
        )
        self.parts = [
            Part(first, last, self.points[first:last], block)
            for (first, last), block in zip(spans, blocks, strict=True)
        ]
        self.bytes_a_row = float(_FIRST_GUESS_BYTES_A_VALUE * max(1, len(points)))
        self.first_at = 0.0
        self.last_sealed = float("-inf")
        self.offsets: list[float] = []
        self.rows: list[list[Value]] = []
        self.bad: list[tuple[int, int, int]] = []
        self.last_values: list[Value] | None = None
        self.last_bad: list[tuple[int, int]] = []

    def is_news(self, sample: Sample) -> bool:
        """With `report = "change"`: whether any value left its deadband or any quality changed. Remembers it if so."""
        if not self.has_change_report:
            return True
        last = self.last_values
        if last is not None and sample.bad == self.last_bad and len(last) == len(sample.values):
            for old, new, deadband in zip(last, sample.values, self.deadbands, strict=True):
                if old == new or (old != old and new != new):  # noqa: PLR0124  # NaN, which equals nothing
                    continue
                # Written so that no comparison with NaN counts as "within".
                if not (_is_number(old) and _is_number(new) and abs(new - old) <= deadband):  # type: ignore[operator]
                    break
            else:
                return False
        self.last_values, self.last_bad = sample.values, sample.bad
        return True

    def add(self, sample: Sample) -> None:
        """Put one row into the pack that is being made."""
        if not self.rows:
            self.first_at = sample.at
        offset_ms = (sample.at - self.first_at) * 1000
        whole_ms = round(offset_ms)
        # Two samples in one millisecond are two samples: then the offset keeps its fraction.
        offset: float = whole_ms
        if self.offsets and whole_ms == round(self.offsets[-1]):
            offset = round(offset_ms, 3)
        if sample.bad:
            row = len(self.rows)
            self.bad.extend((row, point, int(quality)) for point, quality in sample.bad)
        self.offsets.append(offset)
        self.rows.append(sample.values)

    def is_full(self) -> bool:
        """Whether another row would make the packs larger than they should be."""
        rows = len(self.rows)
        return rows > 0 and (rows + 1) * self.bytes_a_row > MAX_PACK_BYTES * len(self.parts)

    def values_of(self, part: "Part", first: int, last: int) -> list[list[Value]]:
        """One part of the rows from `first` to before `last`."""
        rows = self.rows[first:last]
        if len(self.parts) == 1:
            return rows
        return [row[part.first : part.last] for row in rows]

    def bad_of(self, part: "Part", first: int, last: int) -> list[tuple[int, int, int]]:
        """What is not good in one part of these rows."""
        return [
            (row - first, point - part.first, code)
            for row, point, code in self.bad
            if first <= row < last and part.first <= point < part.last
        ]

    def clear(self) -> None:
        """Begin the next pack."""
        self.offsets, self.rows, self.bad = [], [], []


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
