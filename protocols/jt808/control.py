"""Terminal control, attributes, upgrades, vehicle control (JT/T 808-2019, chapter 8)."""

from typing import Annotated, ClassVar

import msgspec

from protocols.jt808.conditions import When, is_extended
from protocols.jt808.kinds import BYTE, U8, U16, Blob, Counted, FixedText, Group, Octets, Sized, Text8
from protocols.jt808.layout import Body
from protocols.jt808.location import Location, WholeLocation


class TerminalControl(Body, frozen=True):
    """0x8105. Commands 1 (upgrade over the air) and 2 (connect elsewhere) have an argument, fields parted by `;`.

    The argument stays bytes: ports and limits in it occur as binary words and as decimal text.
    """

    ID: ClassVar[int] = 0x8105
    command: U8
    argument: Blob = b""


class QueryAttributes(Body, frozen=True):
    """0x8107 (from 2013)."""

    ID: ClassVar[int] = 0x8107


class Attributes(Body, frozen=True):
    """0x0107 (from 2013)."""

    ID: ClassVar[int] = 0x0107
    terminal_type: U16
    manufacturer_id: Annotated[bytes, FixedText("upgrade_maker_bytes")]
    terminal_model: Annotated[bytes, FixedText("model_bytes", "model_padding")]
    terminal_id: Annotated[bytes, FixedText("terminal_id_bytes")]
    iccid: Annotated[bytes, Octets(10)]
    hardware_version: Text8
    firmware_version: Text8
    gnss_flags: U8
    comm_flags: U8


class UpgradePackage(Body, frozen=True):
    """0x8108 (from 2013). upgrade_type: 0 terminal, 12 road-transport IC card reader, 52 BeiDou module."""

    ID: ClassVar[int] = 0x8108
    upgrade_type: U8
    manufacturer_id: Annotated[bytes, FixedText("upgrade_maker_bytes")]
    firmware_version: Text8
    data: Annotated[bytes, Sized(4, Octets())]


class UpgradeResult(Body, frozen=True):
    """0x0108 (from 2013). result: 0 success, 1 failure, 2 cancelled."""

    ID: ClassVar[int] = 0x0108
    upgrade_type: U8
    result: U8


class Control(msgspec.Struct, frozen=True):
    """What to do to a vehicle. Type 1 is the door: 0 lock, 1 open."""

    control_type: U16
    control_param: U8


class VehicleControl(Body, frozen=True):
    """0x8500. control_flags: bit 0 lock (2011, 2013). controls: 2019."""

    ID: ClassVar[int] = 0x8500
    control_flags: Annotated[int | None, When(lambda scope: not is_extended(scope), BYTE)] = None
    controls: Annotated[tuple[Control, ...] | None, When(is_extended, Counted(2, Group(Control)))] = None


class VehicleControlReply(Body, frozen=True):
    """0x0500: where the vehicle is now, its status included."""

    ID: ClassVar[int] = 0x0500
    reply_serial: U16
    location: Annotated[Location, WholeLocation()]
