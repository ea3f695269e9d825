"""Emulated Modbus units on pymodbus's server side: an implementation of the protocol that is not ours.

Framers, requests and answers are pymodbus's; registers and the wire are here. Its server class itself cannot play a
line (3.16): it opens the device by pyserial and writes answers in one go, so there is no pacing and no place for faults
between it and the wire, and its store answers for units that do not exist (exception 4), so that no unit can be silent.

`RtuUnits` stands on a line (`PtyHost` with a silence: whole frames come in) or, with `is_stream`, behind RTU over TCP.
`TcpUnits` serves one Modbus TCP connection. Both work off one request after the other, as devices do.
"""

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU

TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input", 5: "coil", 6: "holding", 15: "coil", 16: "holding"}
"""Which table a function reaches; mask write and read/write (16H, 17H) reach the holding registers too."""
_MAX_STREAM_BYTES = 4096
_GATEWAY_TARGET = 0x0B


class ModbusUnit:
    """One unit: its registers and its moods. A test sets and reads everything here directly."""

    def __init__(self, unit_id: int, *, delay_s: float = 0.0, max_registers: int = 125) -> None:
        self.unit_id = unit_id
        self.delay_s = delay_s
        """From the end of a request to the start of its answer; a line's silence is part of it."""
        self.max_registers = max_registers
        """More in one request is an illegal value, as with real devices of small memory."""
        self.tables: dict[str, dict[int, int]] = {"coil": {}, "discrete": {}, "holding": {}, "input": {}}
        """Address to value; an address that is not there is an illegal one."""
        self.move: Callable[[float], None] | None = None
        """Called with the time before each request, to bring the registers up to it."""
        self.refusals: dict[tuple[str, int], int] = {}
        """(table, address) to the exception code that reaching it brings."""
        self.exceptions: deque[int] = deque()
        """Exception codes for the next requests, whatever they ask."""
        self.is_silent = False
        """It hears and does, but says nothing."""
        self.requests: list[tuple[int, int, int]] = []
        """(function, address, count) of all that it was asked."""
        self.written: list[tuple[str, int, list[int]]] = []
        """(table, address, values) of all that was written."""

    def set_registers(self, table: str, address: int, values: Iterable[int]) -> None:
        """Make registers (or bits) exist, with these values."""
        self.tables[table].update(enumerate(values, address))

    async def async_getValues(self, _unit: int, function: int, address: int, count: int = 1) -> Any:  # noqa: N802  # pymodbus's name
        """What pymodbus asks its store for."""
        table = TABLES.get(function, "holding")
        if function in (3, 4) and count > self.max_registers:
            return ExcCodes.ILLEGAL_VALUE
        if (code := self._refusal(table, address, count)) is not None:
            return code
        registers = self.tables[table]
        try:
            values = [registers[at] for at in range(address, address + count)]
        except KeyError:
            return ExcCodes.ILLEGAL_ADDRESS
        return [bool(value) for value in values] if table in ("coil", "discrete") else values

    async def async_setValues(self, _unit: int, function: int, address: int, values: Sequence[int]) -> Any:  # noqa: N802  # pymodbus's name
        """What pymodbus gives its store to keep."""
        table = TABLES.get(function, "holding")
        if (code := self._refusal(table, address, len(values))) is not None:
            return code
        if any(at not in self.tables[table] for at in range(address, address + len(values))):
            return ExcCodes.ILLEGAL_ADDRESS
        self.set_registers(table, address, [int(value) for value in values])
        self.written.append((table, address, [int(value) for value in values]))
        return None

    def serve(self, request: ModbusPDU, now: float) -> ModbusPDU:
        """The answer to a request."""
        function = int(request.function_code)
        self.requests.append((function, request.address, request.count))
        if self.move is not None:
            self.move(now)
        if self.exceptions:
            return ExceptionResponse(function, self.exceptions.popleft())
        return _result_of(request.datastore_update(self, self.unit_id))  # type: ignore[arg-type]  # a store by its two methods

    def _refusal(self, table: str, address: int, count: int) -> ExcCodes | None:
        for at in range(address, address + count) if self.refusals else ():
            if (table, at) in self.refusals:
                return ExcCodes(self.refusals[table, at])
        return None


def _result_of(update: Coroutine[Any, Any, ModbusPDU]) -> ModbusPDU:
    """Run a coroutine that waits for nothing, since our store does not."""
    try:
        update.send(None)
    except StopIteration as done:
        answer: ModbusPDU = done.value
        return answer
    update.close()
    raise AssertionError("the store waited for something")


class _Units:
    """What both kinds of wire share: which unit answers, when, and one after the other."""

    def __init__(self, units: Iterable[ModbusUnit], framer: FramerBase) -> None:
        self.units = {unit.unit_id: unit for unit in units}
        self._framer = framer
        self._pending: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0

    def tick(self, now: float) -> list[bytes]:
        """Answers whose time has come."""
        due = []
        while self._pending and self._pending[0][0] <= now:
            due.append(self._pending.popleft()[1])
        return due

    def next_deadline(self) -> float | None:
        """When the next answer is due."""
        return self._pending[0][0] if self._pending else None

    def _answer(self, unit: ModbusUnit, answer: ModbusPDU, request: ModbusPDU, now: float) -> None:
        if unit.is_silent:
            return
        answer.dev_id = request.dev_id
        answer.transaction_id = request.transaction_id
        self._free_at = max(now, self._free_at) + unit.delay_s
        self._pending.append((self._free_at, self._framer.buildFrame(answer)))

    def _refuse(self, unit_id: int, transaction: int, pdu: bytes, code: int, now: float) -> None:
        answer = ExceptionResponse(pdu[0] & 0x7F, code, unit_id, transaction)
        self._pending.append((max(now, self._free_at), self._framer.buildFrame(answer)))


class RtuUnits(_Units):
    """Units on a line. silence_s: what the host waited after a request, which is part of a unit's `delay_s`."""

    def __init__(self, units: Iterable[ModbusUnit], *, silence_s: float = 0.0, is_stream: bool = False) -> None:
        super().__init__(units, FramerRTU(DecodePDU(True)))
        self._silence_s = silence_s
        self._is_stream = is_stream
        self._stream = b""

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """A whole frame, or with `is_stream` any piece of one."""
        self._stream = (self._stream + data)[-_MAX_STREAM_BYTES:] if self._is_stream else data
        try:
            used, request = self._framer.handleFrame(self._stream, 0, 0)
        except ModbusIOException as e:  # a good frame around a request that cannot be
            if e.dev_id in self.units and not self.units[e.dev_id].is_silent:
                self._refuse(e.dev_id, 0, self._stream[1:], _code_for(self._stream[1:]), now)
            used, request = len(self._stream), None
        self._stream = self._stream[used:]
        if request is not None and request.dev_id == 0:
            for unit in self.units.values():
                unit.serve(request, now)
        elif request is not None and request.dev_id in self.units:
            unit = self.units[request.dev_id]
            self._answer(unit, unit.serve(request, now), request, now - min(self._silence_s, unit.delay_s))
        return self.tick(now)


class TcpUnits(_Units):
    """Units behind one Modbus TCP connection. A unit that does not exist is a gateway target that does not answer."""

    def __init__(self, units: Iterable[ModbusUnit]) -> None:
        super().__init__(units, FramerSocket(DecodePDU(True)))
        self._stream = b""

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """Any piece of the stream."""
        self._stream += data
        while self._stream:
            used, unit_id, transaction, pdu = self._framer.decode(self._stream)
            if not used:
                break
            self._stream = self._stream[used:]
            if pdu:
                self._serve(unit_id, transaction, pdu, now)
        self._stream = self._stream[-_MAX_STREAM_BYTES:]
        return self.tick(now)

    def _serve(self, unit_id: int, transaction: int, pdu: bytes, now: float) -> None:
        unit = self.units.get(unit_id)
        if unit is None:
            self._refuse(unit_id, transaction, pdu, _GATEWAY_TARGET, now)
            return
        request = self._framer.decoder.decode(pdu)
        if request is None:
            if not unit.is_silent:
                self._refuse(unit_id, transaction, pdu, _code_for(pdu), now)
            return
        request.dev_id, request.transaction_id = unit_id, transaction
        self._answer(unit, unit.serve(request, now), request, now)


def _code_for(pdu: bytes) -> int:
    """Which exception a request deserves that cannot be decoded: an unknown function, or an impossible number."""
    return int(ExcCodes.ILLEGAL_VALUE if pdu[0] in TABLES or pdu[0] in (0x16, 0x17) else ExcCodes.ILLEGAL_FUNCTION)
