"""The kinds of `wayside emulate`: from a world file and an endpoint to a host with a device in it."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from drivers.modbus.map_file import load_map
from drivers.ports.open_port import check_port_url, open_port
from drivers.ports.port import LineSettings
from drivers.text import _
from emulators.buoy_board import BuoyBoard, LightFile
from emulators.buoy_world import BuoySettings, BuoyWorld
from emulators.gnss import GnssReceiver, GnssSettings
from emulators.kit.device import EmulatedDevice
from emulators.kit.faults import FaultPlan, FaultyDevice
from emulators.kit.hosts import Host, PtyHost, TcpHost
from emulators.kit.tap import JsonLines, Tap
from emulators.modbus_server import ModbusUnit, RtuUnits, TcpUnits
from emulators.modbus_worlds import CounterWorld, MapWorld
from emulators.pn532 import Pn532Emulator
from emulators.pn532_visits import read_world
from emulators.tcp_proxy import TcpFaults, TcpProxy
from protocols.modbus_devices.register_map import RegisterMap

DEFAULT_MAP = "eastron_sdm630"
FAST_BAUD, FAST_SILENCE_S = 19_200, 0.00175
"""Above this speed the silence between frames is constant (MODBUS over serial line V1.02, section 2.5.1.1)."""
MIN_BITS_PER_CHAR = 10

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class WorldError(ValueError):
    """An endpoint or a world that cannot be played; the text says why."""


class Endpoint(NamedTuple):
    """Where a device shall be."""

    host: str | None
    """None for a pseudo-terminal."""
    port: int
    link: Path | None
    line: LineSettings | None
    """What the endpoint says of the line's speed, if anything."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What a device is put on."""

    endpoint: Endpoint
    world: Mapping[str, Any]
    folder: Path
    """Paths in the world count from here."""
    seed: int
    faults: FaultPlan | None
    tap: Tap
    truth: JsonLines | None


class UnitWorld(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[unit]]` of a Modbus world."""

    unit_id: Annotated[int, msgspec.Meta(ge=1, le=247)] = 1
    map: str | None = None
    """A register map, whose points swing; or instead"""
    registers: Annotated[int, msgspec.Meta(ge=1, le=65_536)] | None = None
    """so many holding registers that count up by one a step."""
    step_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 1.0
    delay_s: Seconds = 0.01
    max_registers: Annotated[int, msgspec.Meta(ge=1, le=125)] = 125

    def __post_init__(self) -> None:
        if self.map is not None and self.registers is not None:
            raise ValueError(_("map and registers exclude each other"))


class ModbusWorld(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The world of `wayside emulate modbus`."""

    unit: Annotated[tuple[UnitWorld, ...], msgspec.Meta(min_length=1, max_length=247)] = (UnitWorld(map=DEFAULT_MAP),)
    framing: str | None = None
    """`rtu` over TCP, for a serial server that hands bytes through."""


class ProxyStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[step]]` of a proxy's world: from `at_s` on these faults hold."""

    at_s: Seconds
    faults: TcpFaults = TcpFaults()


class ProxyWorld(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The world of `wayside emulate proxy`."""

    target: str
    step: tuple[ProxyStep, ...] = ()


def endpoint_of(text: str) -> Endpoint:
    """`pty:`, `pty:/LINK`, both with `?baud=...`, or `tcp:HOST:PORT` with port 0 for any. Raises `WorldError`."""
    found = re.fullmatch(r"tcp:(.+):0+", text)
    if found:
        problem = check_port_url(f"tcp:{found[1]}:1")
        if problem is None:
            return Endpoint(found[1].strip("[]"), 0, None, None)
        raise WorldError(problem)
    if text.startswith("tcp:"):
        problem = check_port_url(text)
        if problem is None:
            host, _colon, port = text.removeprefix("tcp:").rpartition(":")
            return Endpoint(host.strip("[]"), int(port), None, None)
        raise WorldError(problem)
    if not text.startswith("pty:"):
        raise WorldError(_("an endpoint is pty:, pty:/path/of/a/link or tcp:HOST:PORT, not {text}").format(text=text))
    target, mark, query = text.removeprefix("pty:").partition("?")
    url = f"pty:{target or '/'}{mark}{query}"
    problem = check_port_url(url)
    if problem is not None:
        raise WorldError(problem)
    line = open_port(url).line
    return Endpoint(None, 0, Path(target) if target else None, line if "baud=" in query else None)


def modbus_host(stage: Stage) -> Host:
    """Modbus units on a line of 9600 baud, or behind TCP."""
    world = msgspec.convert(stage.world, ModbusWorld)
    if world.framing not in (None, "rtu", "tcp"):
        raise WorldError(_('framing is "rtu" or "tcp"'))
    if len({unit.unit_id for unit in world.unit}) < len(world.unit):
        raise WorldError(_("two units have one unit_id"))
    maps = {unit.map: load_map(unit.map, stage.folder) for unit in world.unit if unit.map is not None}
    units = [_unit(unit, maps, stage, number) for number, unit in enumerate(world.unit)]
    if stage.endpoint.host is not None:
        if world.framing == "rtu":
            return _tcp(stage, lambda: _faulty(RtuUnits(units, is_stream=True), stage.faults))
        return _tcp(stage, lambda: _faulty(TcpUnits(units), stage.faults))
    line = stage.endpoint.line or LineSettings()
    silence_s = FAST_SILENCE_S if line.baud > FAST_BAUD else 3.5 * line.bits_per_char / line.baud
    device = _faulty(RtuUnits(units, silence_s=silence_s), stage.faults)
    return PtyHost(
        [device],
        baud=line.baud,
        bits_per_char=line.bits_per_char,
        silence_s=silence_s,
        link=stage.endpoint.link,
        tap=stage.tap,
    )


def _unit(world: UnitWorld, maps: Mapping[str, RegisterMap], stage: Stage, number: int) -> ModbusUnit:
    unit = ModbusUnit(world.unit_id, delay_s=world.delay_s, max_registers=world.max_registers)
    on_change = None if stage.truth is None else stage.truth.write
    if world.registers is not None:
        CounterWorld(unit, registers=world.registers, step_s=world.step_s, on_change=on_change)
    else:
        register_map = maps[world.map] if world.map is not None else load_map(DEFAULT_MAP)
        MapWorld(unit, register_map, seed=stage.seed + number, step_s=world.step_s, on_change=on_change)
        unit.max_registers = min(unit.max_registers, world.max_registers)
    return unit


def gnss_host(stage: Stage) -> Host:
    """A GNSS receiver that says NMEA 0183, on a line of 9600 baud or behind TCP."""
    receiver = GnssReceiver(
        seed=stage.seed,
        wall_ms=lambda: time.time_ns() // 1_000_000,
        settings=msgspec.convert(stage.world, GnssSettings),
        on_truth=None if stage.truth is None else stage.truth.write,
    )
    return _on_line(receiver, stage, stage.endpoint.line or LineSettings())


def buoy_host(stage: Stage) -> Host:
    """The wires of a buoy's board, and the world around them."""
    settings = msgspec.convert(stage.world, BuoySettings)
    world = BuoyWorld(
        settings,
        seed=stage.seed,
        now_utc_ms=time.time_ns() // 1_000_000,
        on_truth=(lambda _record: None) if stage.truth is None else stage.truth.write,
    )
    light = None if settings.light_file is None else LightFile(stage.folder / settings.light_file).write
    board = BuoyBoard(world, light)
    if stage.endpoint.host is not None:
        return _tcp(stage, board.plug_in, max_connections=1)
    return PtyHost([board], link=stage.endpoint.link, tap=stage.tap)


def pn532_host(stage: Stage) -> Host:
    """A PN532 card reader with cards that come and go."""
    cards, visits = read_world(stage.world)

    def tell(now: float, what: str, card: str) -> None:
        if stage.truth is not None:
            stage.truth.write({"at": now, "what": what, "card": card})

    return _on_line(Pn532Emulator(cards, visits, on_truth=tell), stage, stage.endpoint.line)


def proxy_host(stage: Stage) -> Host:
    """A TCP proxy that does what networks do."""
    world = msgspec.convert(stage.world, ProxyWorld)
    problem = check_port_url(world.target)
    if problem is not None or not world.target.startswith("tcp:"):
        raise WorldError(_("target: {problem}").format(problem=problem or _("is tcp:HOST:PORT")))
    if stage.endpoint.host is None:
        raise WorldError(_("a proxy stands on tcp:HOST:PORT"))
    return _ProxyHost(world, stage.endpoint, stage)


class _ProxyHost:
    """The proxy with the face of a host, and its steps in time."""

    def __init__(self, world: ProxyWorld, endpoint: Endpoint, stage: Stage) -> None:
        host, _colon, port = world.target.removeprefix("tcp:").rpartition(":")
        assert endpoint.host is not None
        self._proxy = TcpProxy(host.strip("[]"), int(port), host=endpoint.host, port=endpoint.port, seed=stage.seed)
        self._steps = world.step
        self._truth = stage.truth
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def endpoint(self) -> str:
        host = f"[{self._proxy.host}]" if ":" in self._proxy.host else self._proxy.host
        return f"tcp:{host}:{self._proxy.port}"

    async def start(self) -> None:
        await self._proxy.start()
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(step.at_s, self._take, step) for step in self._steps]

    async def aclose(self) -> None:
        for timer in self._timers:
            timer.cancel()
        await self._proxy.stop()

    def _take(self, step: ProxyStep) -> None:
        self._proxy.faults = step.faults
        if self._truth is not None:
            self._truth.write({"at_s": step.at_s, "faults": msgspec.to_builtins(step.faults)})


def _on_line(device: EmulatedDevice, stage: Stage, line: LineSettings | None) -> Host:
    """One device on a pseudo-terminal, or behind a socket that takes one connection, as a serial server does."""
    device = _faulty(device, stage.faults)
    if stage.endpoint.host is not None:
        return _tcp(stage, lambda: device, max_connections=1)
    baud, bits = (line.baud, line.bits_per_char) if line is not None else (0, MIN_BITS_PER_CHAR)
    return PtyHost([device], baud=baud, bits_per_char=bits, link=stage.endpoint.link, tap=stage.tap)


def _tcp(stage: Stage, connect: Callable[[], EmulatedDevice], *, max_connections: int | None = None) -> Host:
    assert stage.endpoint.host is not None
    return TcpHost(connect, stage.endpoint.host, stage.endpoint.port, max_connections=max_connections, tap=stage.tap)


def _faulty(device: EmulatedDevice, plan: FaultPlan | None) -> EmulatedDevice:
    return device if plan is None else FaultyDevice(device, plan)


class Kind(NamedTuple):
    """One kind of emulated device."""

    make: Callable[[Stage], Host]
    """Called on the running loop. Raises `ValueError` and `DriverError`."""
    about: str


KINDS = {
    "modbus": Kind(modbus_host, _("Modbus units: RTU on pty:, TCP or RTU over TCP on tcp:")),
    "gnss": Kind(gnss_host, _("a GNSS receiver that says NMEA 0183")),
    "pn532": Kind(pn532_host, _("a PN532 card reader with cards that come and go")),
    "buoy": Kind(buoy_host, _("the board and the world of a buoy: sun, battery, lamp, sea, ships")),
    "proxy": Kind(proxy_host, _("a TCP proxy that is late, slow, cut off or silent; its world names the target")),
}
"""Written out by hand."""
