"""From points to reads: which blocks are asked for, and where what they bring goes.

One plan for each table and each `every` of the points; the planner of the protocol floor finds its optimum. A block
that the device refuses is split into its single items; what is refused even alone is not there.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import msgspec

from drivers.errors import DeviceConfigError
from drivers.text import _
from protocols.modbus_devices.master import Call
from protocols.modbus_devices.pdu import ReadRequest, Request
from protocols.modbus_devices.planner import Block, ReadCost, plan_reads
from protocols.modbus_devices.register_map import READ_FUNCTIONS, RegisterMap, RegisterPoint
from protocols.modbus_devices.timing import LineTiming
from protocols.modbus_devices.values import BitDecoder, BlockDecoder, compile_block

STREAM_COST = ReadCost(block=Fraction(1), register=Fraction(1, 500))
"""Over TCP a request costs a round trip whatever it reads: any hole is worth reading over."""
ABSENT_S = 3600.0
"""Absent registers are looked for again after this."""
MakeCall = Callable[[Request], Call]


class Group(NamedTuple):
    """Points that one plan covers."""

    table: str
    every: int


class Read:
    """One block of a plan with all that its answer needs. A poller's round counts `attempts`."""

    __slots__ = ("attempts", "block", "call", "decoder", "group", "indexes", "is_single", "not_before", "place")

    def __init__(self, group: Group, block: Block, indexes: Sequence[int], layout: "Layout", call: Call) -> None:
        points = [layout.points[i] for i in indexes]
        self.group = group
        self.block = block
        self.indexes = indexes
        """Places of its points in a sample."""
        self.call = call
        self.decoder: BlockDecoder | BitDecoder = compile_block(points, block.start, block.count, layout.exponents)
        is_run = list(indexes) == list(range(indexes[0], indexes[0] + len(indexes)))
        self.place = slice(indexes[0], indexes[0] + len(indexes)) if is_run else None
        """Where the values go in a sample when they lie side by side there."""
        self.is_single = all((point.address, point.count) == (block.start, block.count) for point in points)
        """Whether it reads one item, so that a refusal is the item's own."""
        self.attempts = 0
        self.not_before = 0.0


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The points and what holds for reading them."""

    points: tuple[RegisterPoint, ...]
    max_registers: int
    max_bits: int
    max_hole: int | None
    delay_ms: float
    line: LineTiming | None
    make_call: MakeCall
    base: int = 0
    """Added to every address (SunSpec)."""
    exponents: Mapping[str, int] = {}

    @classmethod
    def of(cls, registers: RegisterMap, line: LineTiming | None, make_call: MakeCall) -> "Layout":
        """What a map says, on a line or (None) a stream."""
        return cls(
            points=registers.points,
            max_registers=registers.max_registers,
            max_bits=registers.max_bits,
            max_hole=registers.max_hole,
            delay_ms=registers.device_delay_ms,
            line=line,
            make_call=make_call,
        )

    def prepared(self, base: int, exponents: Mapping[str, int]) -> "Layout":
        """With what was read once. Raises `DeviceConfigError` when there is no room for the points behind `base`."""
        if base + max(point.end for point in self.points) > 0x1_0000:
            raise DeviceConfigError(_("the model begins at %d, and its points end behind the last address") % base)
        return msgspec.structs.replace(self, base=base, exponents=exponents)

    def groups(self) -> dict[Group, list[int]]:
        """The places of all points, by group."""
        groups: dict[Group, list[int]] = {}
        for i, point in enumerate(self.points):
            groups.setdefault(Group(point.table, point.every), []).append(i)
        return groups

    def plan(self, group: Group, indexes: Sequence[int], *, are_holes_read: bool = True) -> list[Read]:
        """The cheapest reads for these points of a group."""
        are_bits = group.table in ("coil", "discrete")
        cost = STREAM_COST
        if self.line is not None:
            cost = ReadCost.on_line(self.line, self.delay_ms, are_bits=are_bits)
        blocks = plan_reads(
            [(self.points[i].address, self.points[i].count) for i in indexes],
            cost,
            max_registers=self.max_bits if are_bits else self.max_registers,
            max_hole=self.max_hole if are_holes_read else 0,
        )
        starts = [block.start for block in blocks]
        places: list[list[int]] = [[] for _block in blocks]
        for i in indexes:
            at = bisect_right(starts, self.points[i].address) - 1
            while self.points[i].end > blocks[at].end:  # it overlaps the next block's first item
                at -= 1
            places[at].append(i)
        return [self._read(group, block, place) for block, place in zip(blocks, places, strict=True) if place]

    def split(self, read: Read) -> list[Read]:
        """A refused read as one read an item."""
        items: dict[Block, list[int]] = {}
        for i in read.indexes:
            items.setdefault(Block(self.points[i].address, self.points[i].count), []).append(i)
        return [self._read(read.group, block, members) for block, members in items.items()]

    def names(self, indexes: Iterable[int]) -> str:
        """What the points are called, for people."""
        return ", ".join(self.points[i].name for i in indexes)

    def _read(self, group: Group, block: Block, indexes: Sequence[int]) -> Read:
        request = ReadRequest(READ_FUNCTIONS[group.table], block.start + self.base, block.count)
        return Read(group, block, indexes, self, self.make_call(request))


class Plan:
    """The reads of one device's rounds, as its refusals shape them."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.absent: set[int] = set()
        """Places of the points that the device does not have."""
        self._reads: list[Read] | None = None
        self._splits: dict[Group, int] = {}
        self._to_join: set[Group] = set()
        self._absent_until = 0.0

    def prepare(self, base: int, exponents: Mapping[str, int]) -> None:
        """Take what was read once. Raises `DeviceConfigError`."""
        self.layout = self.layout.prepared(base, exponents)

    def reads(self, now: float) -> list[Read]:
        """All reads, for the round that begins now."""
        if self._reads is None or (self.absent and now >= self._absent_until):
            self._reads = self._make()
        elif self._to_join:
            self._reads = self._join(self._reads)
        return self._reads

    def split_up(self, read: Read) -> list[Read]:
        """Ask for each item by itself. What is there is joined again once, without holes; then it stays apart."""
        assert self._reads is not None
        items = self.layout.split(read)
        at = self._reads.index(read)
        self._reads[at : at + 1] = items
        if self._splits.setdefault(read.group, 0) == 0:
            self._to_join.add(read.group)
        return items

    def strike_out(self, read: Read, at: float) -> None:
        """Ask no longer for what the device does not have, until `look_again()` or `ABSENT_S` later."""
        assert self._reads is not None
        self.absent.update(read.indexes)
        self._absent_until = at + ABSENT_S
        self._reads.remove(read)

    def look_again(self) -> None:
        """Look in the next round for what was absent."""
        self._absent_until = 0.0

    def _make(self) -> list[Read]:
        self.absent.clear()
        self._splits.clear()
        self._to_join.clear()
        return [read for group, indexes in self.layout.groups().items() for read in self.layout.plan(group, indexes)]

    def _join(self, reads: list[Read]) -> list[Read]:
        for group in self._to_join:
            self._splits[group] = 1
            members = [i for i in self.layout.groups()[group] if i not in self.absent]
            reads = [read for read in reads if read.group != group]
            if members:
                reads += self.layout.plan(group, members, are_holes_read=False)
        self._to_join.clear()
        return reads
