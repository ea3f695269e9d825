"""A Modbus device: its registers as samples, its writable points by command.

Models: every one with a register map in `drivers/maps/`, and any other by points in the configuration; held against
pymodbus's server over TCP, over memory and over a paced pseudo-terminal, not yet against devices on the bench.
Wiring: RS-485 (two wires and ground, terminated at both ends) on a shared `[[bus]]` or a port of its own; RTU over TCP
behind a serial server; Modbus TCP.

    can                                                    cannot
    functions 01 to 06, 0F, 10                             file records, diagnostics, FIFO queues
    all word orders, scale factors, SunSpec, markers       write single bits of a register
    reads coalesced to the exact optimum of the line       two masters on one line
    writes checked against limits and read back            broadcast

`MAX_IN_FLIGHT`: 1, more only where `max_in_flight` says that the device takes it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from drivers.clock import Clock
from drivers.errors import DeviceConfigError, DeviceRefusedError, DeviceTimeoutError, DriverError
from drivers.modbus.bus import ModbusBus
from drivers.modbus.config import ModbusDeviceConfig
from drivers.modbus.plan import Layout
from drivers.modbus.poller import Poller
from drivers.ports.port import Port
from drivers.readings import Point, Readings, Value
from drivers.text import _
from protocols.core.errors import LocalProtocolError
from protocols.modbus_devices.master import Call
from protocols.modbus_devices.pdu import BitsResponse, Pdu, ReadRequest, RegistersResponse, Request
from protocols.modbus_devices.register_map import READ_FUNCTIONS, RegisterPoint
from protocols.modbus_devices.values import decode_value, encode_value, write_request

MAX_IN_FLIGHT = 1
WRITE = "modbus.write"
READ_BACK_TRIES = 3


class _Outlet:
    """`Readings` for one device."""

    def __init__(self, name: str, readings: Readings) -> None:
        self._name = name
        self._readings = readings
        self.sample = readings.sample

    def lost(self, error: DriverError) -> None:
        self._readings.device_lost(self._name, error)

    def back(self) -> None:
        self._readings.device_back(self._name)


class ModbusDevice:
    """See `drivers.driver.Driver` for the face. Either `bus` (shared) or `port` (its own) is given.

    The constructor does no I/O but reads the register map; it raises `DeviceConfigError`.
    """

    def __init__(
        self,
        config: ModbusDeviceConfig,
        *,
        readings: Readings,
        clock: Clock,
        bus: ModbusBus | None = None,
        port: Port | None = None,
    ) -> None:
        self._config = config
        self._owns_bus = bus is None
        if bus is None:
            if port is None:
                raise DeviceConfigError(_("%s: bus or port is missing") % config.name)
            bus = ModbusBus(config.own_bus(), port, clock, is_private=True)
        if config.unit_id == 0 and not bus.is_tcp:
            raise DeviceConfigError(_("%s: unit 0 is a broadcast on a line, which nobody answers") % config.name)
        self._bus = bus
        registers = config.registers()
        self._delay_ms = registers.device_delay_ms
        self._registers = {point.name: point for point in registers.points}
        read = tuple(point for point in registers.points if not point.write_only)
        registers = msgspec.structs.replace(registers, points=read)
        self._points = tuple(_point_of(point) for point in read)
        self._lock = asyncio.Lock()
        self._writes = 0
        self._poller = Poller(
            config.name,
            registers,
            Layout.of(registers, bus.line, self._call),
            period_s=config.period_s,
            retries=config.retries,
            probe_gap_s=bus.probe_gap_s,
            outlet=_Outlet(config.name, readings),
        )

    @property
    def name(self) -> str:
        """The device's name in the configuration."""
        return self._config.name

    @property
    def points(self) -> Sequence[Point]:
        """What its samples hold, in order."""
        return self._points

    async def run(self) -> None:
        """Poll until cancelled."""
        self._bus.attach(self._poller)
        try:
            if self._owns_bus:
                await self._bus.run()
            else:
                await asyncio.Event().wait()
        finally:
            self._bus.detach(self._poller)

    async def command(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`modbus.write` with `{"point": name, "value": value}`: write, read back, compare.

        Returns `{"point", "value"}` with the value read back, or as it was written where the point cannot be read.
        Raises `DeviceRefusedError` for what may not be written, what the device refuses and what reads back otherwise;
        `DeviceTimeoutError`; `PortError`. A write is never repeated by itself: when its answer is lost, reading back
        tells whether it was carried out.
        """
        if operation != WRITE:
            raise DeviceRefusedError(_("%s knows %s, not %s") % (self.name, WRITE, operation))
        point, value = self._writable(arguments)
        layout = self._poller.plan.layout
        point = msgspec.structs.replace(point, address=point.address + layout.base)
        try:
            request = write_request(point, value, layout.exponents)
            wanted = bytes((bool(value),)) if point.is_bit else encode_value(point, value, layout.exponents)
        except LocalProtocolError as e:
            raise DeviceRefusedError(_("%s: %s") % (self.name, e)) from e
        async with self._lock:
            self._writes += 1
            if point.write_only:
                await self._ask(request)
                return {"point": point.name, "value": value}
            lost: DeviceTimeoutError | None = None
            try:
                await self._ask(request)
            except DeviceTimeoutError as e:
                lost = e
            data = await self._read_back(point)
        got = decode_value(point, data, layout.exponents)
        if data == wanted:
            return {"point": point.name, "value": got}
        if lost is not None:
            raise lost
        raise DeviceRefusedError(_("%s: %s reads back %s after %s was written") % (self.name, point.name, got, value))

    def status(self) -> dict[str, Any]:
        """State, counters, last error; with a port of its own also the port's."""
        poller, counters = self._poller, self._poller.counters
        return {
            **(self._bus.status() if self._owns_bus else {"bus": self._bus.name}),
            "state": poller.state.value,
            "unit_id": self._config.unit_id,
            "points": len(self._points),
            "absent_points": sorted(self._points[i].name for i in poller.plan.absent),
            "round_s": round(poller.round_s, 4),
            "rounds": counters.rounds,
            "failed_rounds": counters.failed_rounds,
            "late_rounds": counters.late_rounds,
            "requests": counters.requests,
            "retries": counters.retries,
            "request_timeouts": counters.timeouts,
            "request_noise": counters.noise,
            "request_exceptions": counters.exceptions,
            "writes": self._writes,
            "last_error": poller.last_error,
        }

    def _call(self, request: Request) -> Call:
        return Call(self._config.unit_id, request, self._timeout_s(request), self._poller)

    def _timeout_s(self, request: Request) -> float:
        return self._bus.timeout_s(request, delay_ms=self._delay_ms, timeout_ms=self._config.timeout_ms)

    async def _ask(self, request: Request) -> Pdu:
        return await self._bus.ask(self._config.unit_id, request, self._timeout_s(request))

    def _writable(self, arguments: Mapping[str, Any]) -> tuple[RegisterPoint, Value]:
        if set(arguments) != {"point", "value"}:
            raise DeviceRefusedError(_('%s takes {"point": NAME, "value": VALUE}') % WRITE)
        name, value = arguments["point"], arguments["value"]
        point = self._registers.get(name) if isinstance(name, str) else None
        if point is None:
            raise DeviceRefusedError(_("%s has no point %.64r") % (self.name, name))
        if not point.writable:
            raise DeviceRefusedError(_("%s: %s may not be written: it is not marked writable") % (self.name, name))
        if not isinstance(value, (int, float, bool, str)):
            raise DeviceRefusedError(_("%s: a value is a number, a text, true or false") % self.name)
        return point, value

    async def _read_back(self, point: RegisterPoint) -> bytes:
        request = ReadRequest(READ_FUNCTIONS[point.table], point.address, point.count)
        for _attempt in range(READ_BACK_TRIES - 1):
            with suppress(DeviceTimeoutError):
                return _data_of(await self._ask(request))
        return _data_of(await self._ask(request))


def _data_of(answer: Pdu) -> bytes:
    """What a read brought; the one bit of a coil without what fills up its byte."""
    assert isinstance(answer, (RegistersResponse, BitsResponse))
    return answer.data if isinstance(answer, RegistersResponse) else bytes((answer.data[0] & 1,))


def _point_of(point: RegisterPoint) -> Point:
    return Point(
        name=point.name,
        type=point.type,
        unit=point.unit,
        min=point.min,
        max=point.max,
        deadband=point.deadband,
        title=point.title,
    )
