"""The tables of a Modbus device and of the line that several share, and the registers that they come to.

    [[bus]]                                     [[device]]
    name = "rs485-1"                            name = "meter-1"
    port = "serial:/dev/ttyUSB0?baud=9600"      driver = "modbus"
                                                bus = "rs485-1"       # or a port of its own
                                                unit_id = 1
                                                map = "eastron_sdm630"

Points come from the map, then from `[[device.point]]`, then from `[[device.range]]`, in this order.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from drivers.device_config import DeviceConfig, Name, PeriodSeconds
from drivers.errors import DeviceConfigError
from drivers.modbus.map_file import load_map
from drivers.ports.open_port import check_port_url
from drivers.text import _
from protocols.modbus_devices.register_map import (
    Address,
    Factor,
    Order,
    RegisterMap,
    RegisterPoint,
    Table,
    ValueType,
    with_options,
)
from protocols.modbus_devices.tcp_master import MAX_IN_FLIGHT

MAX_POINTS = 20_000
"""More than any device is polled for; planning so many takes half a second. The bound is for a mistyped range."""
Framing = Literal["rtu", "tcp"]
Milliseconds = Annotated[float, msgspec.Meta(ge=1, le=60_000)]
Delay = Annotated[float, msgspec.Meta(ge=0, le=60_000)]
Window = Annotated[int, msgspec.Meta(ge=1, le=MAX_IN_FLIGHT)]


class BusConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[bus]]`: a line that several devices share, or a gateway that several units stand behind."""

    name: Name
    """What `[[device]] bus` calls it."""
    port: str
    """`serial:`, `tcp:HOST:PORT` or `pty:`."""
    framing: Framing | None = None
    """`rtu` on a line; over TCP `tcp` unless the far end is a serial server that hands bytes through."""
    max_in_flight: Window = 1
    """How many requests may be open at once over Modbus TCP; a line has one."""

    @property
    def frames(self) -> Framing:
        """The framing, also where the table leaves it out."""
        if self.framing is not None:
            return self.framing
        return "tcp" if self.port.startswith("tcp:") else "rtu"


class RegisterRange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[device.range]]`: many points alike, called by a name and a number that counts from 0."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,55}$")]
    """`raw` makes `raw0`, `raw1`, and so on."""
    table: Table
    """`coil`, `discrete`, `input` or `holding`."""
    address: Address
    """The protocol address of the first, from 0."""
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_POINTS)]
    """How many points (not registers) there are."""
    type: ValueType = "uint16"
    """How each is read; `bool` in a table of bits."""
    order: Order = "ABCD"
    """How a number's bytes stand in its registers."""
    scale: Factor = 1.0
    """Physical value = raw x scale + offset."""
    offset: Factor = 0.0
    """See `scale`."""
    unit: Annotated[str, msgspec.Meta(max_length=32)] = "1"
    """The unit of the physical value."""
    min: float | None = None
    """The smallest value that can be true."""
    max: float | None = None
    """The largest value that can be true."""
    deadband: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """With `report = "change"`: a change of at most this much is no change."""
    invalid: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] = ()
    """Raw values with which the device says that it has none."""
    writable: bool = False
    """Whether a signed command may write them."""

    def points(self) -> Iterator[RegisterPoint]:
        """The points that it stands for. Raises `ValueError` for what no register can hold."""
        kind = "bool" if self.table in ("coil", "discrete") else self.type
        address = self.address
        for number in range(self.count):
            if address > 0xFFFF:
                raise ValueError(f"{self.name}{number} stands behind the last address, 65535")
            point = RegisterPoint(
                name=f"{self.name}{number}",
                table=self.table,
                address=address,
                type=kind,
                order=self.order,
                scale=self.scale,
                offset=self.offset,
                unit=self.unit,
                min=self.min,
                max=self.max,
                deadband=self.deadband,
                invalid=self.invalid,
                writable=self.writable,
            )
            address = point.end
            yield point


class ModbusDeviceConfig(DeviceConfig, tag="modbus", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[device]]` with `driver = "modbus"`."""

    unit_id: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    """The unit on the line: 1 to 247, some answer to 255. Over TCP a device's own unit is often 1, 0 or 255."""
    map: str | None = None
    """A register map that comes with the drivers, or the path to one of your own."""
    options: dict[str, float] = msgspec.field(default_factory=dict)
    """Options of the map, such as `{ word_scale = 0.01 }`."""
    point: tuple[RegisterPoint, ...] = ()
    """`[[device.point]]`: points of your own."""
    range: tuple[RegisterRange, ...] = ()
    """`[[device.range]]`: many points alike."""
    period_s: PeriodSeconds = 1.0
    """Time from one poll round to the next."""
    report: Literal["all", "change"] = "all"
    """`change`: only samples in which a point left its deadband."""
    timeout_ms: Milliseconds | None = None
    """How long an answer may take. Left out: reckoned from the line's speed and the device's delay, plus 50 ms; over
    TCP 1000."""
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    """How often a request is repeated in the same round."""
    device_delay_ms: Delay | None = None
    """How long the device thinks before it answers; else what its map says."""
    max_registers: Annotated[int, msgspec.Meta(ge=1, le=125)] | None = None
    """How many registers one request may read; else what the map says, else 125."""
    max_hole: Annotated[int, msgspec.Meta(ge=0, le=125)] | None = None
    """The largest gap of unwanted registers that a request may read over; else what the map says, else any."""
    max_in_flight: Window = 1
    """With a TCP port of its own: how many requests may be open at once. 1 suits every device."""
    framing: Framing | None = None
    """With a port of its own: `rtu` or `tcp`, see `[[bus]]`."""

    def own_bus(self) -> BusConfig:
        """The bus of a device with a port of its own."""
        return BusConfig(name=self.name, port=self.port or "", framing=self.framing, max_in_flight=self.max_in_flight)

    def registers(self) -> RegisterMap:
        """All points with the limits that hold for them. Raises `DeviceConfigError`."""
        base = load_map(self.map) if self.map is not None else None
        try:
            if base is not None:
                base = with_options(base, self.options)
            elif self.options:
                raise DeviceConfigError(_("options belong to a map, and there is none"))
            points = [*(base.points if base is not None else ()), *self.point]
            for one in self.range:
                points += one.points()
            return self._limited(base, tuple(points))
        except ValueError as e:
            raise DeviceConfigError(str(e)) from e

    def _limited(self, base: RegisterMap | None, points: tuple[RegisterPoint, ...]) -> RegisterMap:
        if all(point.write_only for point in points):
            raise DeviceConfigError(_('nothing is read: map = "NAME", [[device.point]] or [[device.range]] is missing'))
        if len(points) > MAX_POINTS:
            raise DeviceConfigError(_("%d points, at most %d are possible") % (len(points), MAX_POINTS))
        if base is None:
            base = RegisterMap(name=self.name, title={}, source="configuration", points=points)
        changes: dict[str, object] = {"points": points}
        for key in ("max_registers", "max_hole", "device_delay_ms"):
            if (value := getattr(self, key)) is not None:
                changes[key] = value
        whole: RegisterMap = msgspec.structs.replace(base, **changes)
        whole.__post_init__()  # `replace` does not look whether the parts still fit
        return whole


def findings(config: ModbusDeviceConfig) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(path in the table, what is wrong and what would be right) that the types do not see."""
    try:
        config.registers()
    except DeviceConfigError as e:
        yield ("map",) if config.map is not None and not (config.point or config.range) else (), str(e)
    if config.bus is not None:
        for key, default in (("framing", None), ("max_in_flight", 1)):
            if getattr(config, key) != default:
                yield (key,), _("belongs to the [[bus]] that the device shares")
    if config.port is not None and check_port_url(config.port) is None:
        own = config.own_bus()
        yield from bus_findings(own)
        if own.frames == "rtu" and config.unit_id == 0:
            yield ("unit_id",), _("is 0, which is a broadcast on a line and answered by nobody; must be 1 to 255")


def bus_findings(config: BusConfig) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(path in the `[[bus]]` table, what is wrong and what would be right) that the types do not see."""
    problem = check_port_url(config.port)
    if problem is not None:
        yield ("port",), problem
    elif config.frames == "tcp" and not config.port.startswith("tcp:"):
        yield ("framing",), _('is "tcp", which a serial line does not carry; must be "rtu" or left out')
    elif config.frames == "rtu" and config.max_in_flight != 1:
        yield ("max_in_flight",), _("is for Modbus TCP; a line has one request open at a time")
