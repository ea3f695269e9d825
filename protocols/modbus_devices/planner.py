"""Which blocks to read so that a cycle takes the least time: an exact optimum, not a rule of thumb.

Reading N registers costs a fixed part (request, answer's overhead, device's delay, silences) and N times two
characters. So two wanted items with a hole between them are read at once when reading over the hole is cheaper than
another exchange, within what the device allows. Over the items in rising order of address

    best(i) = min over j of cost(block from item i to item j) + best(j + 1)

is computed from the end; an item is never split; of plans that cost the same, the one with the longest first block
wins, then with the longest second, and so on. Costs are compared as whole numbers, so that equal is equal.

>>> from protocols.modbus_devices.timing import LineTiming
>>> cost = ReadCost.on_line(LineTiming(baud=9600, bits_per_char=10))
>>> plan_reads([(0, 2), (2, 2), (200, 1), (201, 1)], cost)
[Block(start=0, count=4), Block(start=200, count=2)]
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import lcm

import msgspec

from protocols.core.errors import LocalProtocolError
from protocols.modbus_devices.pdu import MAX_READ_REGISTERS
from protocols.modbus_devices.timing import EXCHANGE_BYTES, FIXED_SILENCE_BAUD, T3_5_FIXED_MS, LineTiming

_ADDRESSES = 0x1_0000


class Block(msgspec.Struct, frozen=True):
    """One read: `count` registers (or bits) from `start`."""

    start: int
    count: int

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.start + self.count


class ReadCost(msgspec.Struct, frozen=True):
    """What a block costs, in milliseconds: `block` once and `register` for each register (or bit)."""

    block: Fraction
    register: Fraction

    @classmethod
    def on_line(cls, line: LineTiming, device_delay_ms: float = 0, *, are_bits: bool = False) -> "ReadCost":
        """On a serial line, where every character takes its time; bits are sixteen times cheaper than registers."""
        char_ms = Fraction(1000 * line.bits_per_char, line.baud)
        silence_ms = Fraction(T3_5_FIXED_MS) if line.baud > FIXED_SILENCE_BAUD else Fraction(7, 2) * char_ms
        block_ms = EXCHANGE_BYTES * char_ms + max(silence_ms, Fraction(device_delay_ms)) + silence_ms
        return cls(block_ms, char_ms / 8 if are_bits else 2 * char_ms)

    def of(self, blocks: Iterable[Block]) -> float:
        """What a plan costs."""
        return float(sum((self.block + self.register * block.count for block in blocks), Fraction(0)))


def plan_reads(
    items: Sequence[tuple[int, int]],
    cost: ReadCost,
    *,
    max_registers: int = MAX_READ_REGISTERS,
    max_hole: int | None = None,
) -> list[Block]:
    """The cheapest blocks that cover all items (address, registers), in rising order.

    `max_registers` bounds a block, `max_hole` the largest gap of unwanted registers inside one (None: any). Raises
    `LocalProtocolError` for an item that no block can hold. Takes O(items x items in a block).
    """
    spans = _spans(items, max_registers)
    scale = lcm(cost.block.denominator, cost.register.denominator)
    block_cost, register_cost = int(cost.block * scale), int(cost.register * scale)
    best = [0] * (len(spans) + 1)
    chosen: list[tuple[int, int]] = [(0, 0)] * len(spans)  # the block's length, the item behind it
    for first in range(len(spans) - 1, -1, -1):
        start, end = spans[first]
        least: int | None = None
        length = behind = 0
        for last in range(first, len(spans)):
            address, stop = spans[last]
            if max_hole is not None and address - end > max_hole:
                break
            end = max(end, stop)
            count = end - start
            if count > max_registers:
                break
            total = block_cost + register_cost * count + best[last + 1]
            if least is None or total < least or (total == least and count > length):
                least, length, behind = total, count, last + 1
        best[first] = least or 0
        chosen[first] = length, behind
    blocks = []
    at = 0
    while at < len(spans):
        length, behind = chosen[at]
        blocks.append(Block(spans[at][0], length))
        at = behind
    return blocks


def wire_bytes(blocks: Iterable[Block]) -> int:
    """How many bytes a plan's requests and answers are on a serial line."""
    return sum(EXCHANGE_BYTES + 2 * block.count for block in blocks)


def utilisation(items: Sequence[tuple[int, int]], blocks: Sequence[Block], cost: ReadCost) -> float:
    """The share of a cycle in which wanted registers travel: 2 R Tc over the plan's cost. No line polls faster."""
    wanted = len({address for start, count in items for address in range(start, start + count)})
    cycle = cost.of(blocks)
    return float(cost.register * wanted) / cycle if cycle else 0.0


def _spans(items: Sequence[tuple[int, int]], max_registers: int) -> list[tuple[int, int]]:
    """The items as (address, address behind) in rising order, each once."""
    if max_registers < 1:
        raise LocalProtocolError("a block holds one register at least", field="max_registers")
    for address, count in items:
        if not 0 <= address < address + count <= _ADDRESSES:
            raise LocalProtocolError(f"no {count} registers stand at {address}", field="registers")
        if count > max_registers:
            raise LocalProtocolError(
                f"{count} registers at {address}, a block holds {max_registers}", field="registers"
            )
    return sorted({(address, address + count) for address, count in items})
