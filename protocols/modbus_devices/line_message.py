"""A serial line's figures as readable keys: how long an exchange takes, which blocks to read.

Each takes a JSON object as text:

    timing    baud, bits_per_char (10 or 11), registers, device_delay_ms
              -> char_ms t1_5_ms t3_5_ms request_bytes response_bytes transaction_ms
    planner   registers (list of [address, words]), baud, bits_per_char, device_delay_ms, max_registers, max_hole
              -> blocks (list of [start, count]) wire_bytes cycle_ms, and utilisation: the share of the cycle in which
              wanted registers travel

>>> timing_message('{"baud": 9600, "bits_per_char": 10, "registers": 2}')["transaction_ms"]
25.0
"""

from typing import Annotated, Literal, TypeVar

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.modbus_devices.pdu import MAX_READ_REGISTERS
from protocols.modbus_devices.planner import ReadCost, plan_reads, utilisation, wire_bytes
from protocols.modbus_devices.timing import REQUEST_BYTES, LineTiming, response_bytes

MAX_ITEMS = 10_000
"""What a plan is made for at most: the exact optimum takes time."""

T = TypeVar("T")
Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_READ_REGISTERS)]


class LineFields(msgspec.Struct, frozen=True, kw_only=True):
    """What both have in common."""

    baud: Annotated[int, msgspec.Meta(ge=50, le=20_000_000)]
    bits_per_char: Literal[10, 11]
    device_delay_ms: Annotated[float, msgspec.Meta(ge=0, le=3_600_000)] = 0.0

    @property
    def line(self) -> LineTiming:
        """The line's times."""
        return LineTiming(baud=self.baud, bits_per_char=self.bits_per_char)


class TimingFields(LineFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `timing` takes."""

    registers: Count


class PlannerFields(LineFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `planner` takes."""

    registers: Annotated[list[tuple[int, int]], msgspec.Meta(max_length=MAX_ITEMS)]
    max_registers: Count = MAX_READ_REGISTERS
    max_hole: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)] | None = None


def timing_message(text: str) -> dict[str, object]:
    """How long reading takes. Raises `RemoteProtocolError`."""
    fields = _parsed(text, TimingFields)
    line = fields.line
    return {
        "char_ms": line.char_ms,
        "t1_5_ms": line.t1_5_ms,
        "t3_5_ms": line.t3_5_ms,
        "request_bytes": REQUEST_BYTES,
        "response_bytes": response_bytes(fields.registers),
        "transaction_ms": line.transaction_ms(fields.registers, fields.device_delay_ms),
    }


def plan_message(text: str) -> dict[str, object]:
    """The cheapest blocks. Raises `RemoteProtocolError`."""
    fields = _parsed(text, PlannerFields)
    cost = ReadCost.on_line(fields.line, fields.device_delay_ms)
    try:
        blocks = plan_reads(fields.registers, cost, max_registers=fields.max_registers, max_hole=fields.max_hole)
    except LocalProtocolError as error:
        raise FieldError(error.reason, field=error.field) from error
    return {
        "blocks": [[block.start, block.count] for block in blocks],
        "wire_bytes": wire_bytes(blocks),
        "cycle_ms": cost.of(blocks),
        "utilisation": utilisation(fields.registers, blocks, cost),
    }


def _parsed(text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"), type=kind)
    except msgspec.ValidationError as error:
        raise FieldError(str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise FrameError("not a JSON object: " + str(error)) from error
