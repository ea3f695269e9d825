r"""Which table a payload has: by the interface it belongs to and its first byte, sometimes by its length.

>>> decode_payload(Interface.CLASSIC, bytes.fromhex("4c01"))
Antenna(antenna=1)
>>> decode_payload(Interface.URBAN, bytes.fromhex("c001"))
RawPayload(raw=b'\xc0\x01')
"""

from collections.abc import Mapping
from enum import Enum

from protocols.core.errors import FrameError
from protocols.etc_rsu import (
    classic_commands,
    classic_reports,
    gantry_commands,
    gantry_reports,
    gantry_state,
    lane_crc,
    urban,
)
from protocols.etc_rsu.payload import AnyPayload, Payload, RawPayload

Choice = tuple[type[Payload], ...]
"""The types of one first byte; the length says which."""


class Interface(Enum):
    """A framing together with its tables. A link is configured for one; nothing in the bytes says which it is."""

    CLASSIC = "classic_frame"
    GANTRY = "gantry_frame"
    LANE_CRC = "lanecrc_frame"
    URBAN = "urban_frame"
    VENDOR = "vendor_frame"


def _by_type(*types: type[Payload]) -> dict[int, Choice]:
    rows: dict[int, Choice] = {}
    for each in types:
        rows[each.TYPE] = (*rows.get(each.TYPE, ()), each)
    return rows


TABLES: Mapping[Interface, Mapping[int, Choice]] = {
    Interface.CLASSIC: _by_type(
        classic_commands.Initialise,
        classic_commands.Continue,
        classic_commands.Stop,
        classic_commands.WriteEntry,
        classic_commands.Debit,
        classic_commands.WriteAgain,
        classic_commands.Antenna,
        classic_reports.DeviceState,
        classic_reports.LoopState,
        classic_reports.ObuFound,
        classic_reports.ContractFound,
        classic_reports.VehicleRead,
        classic_reports.CardRead,
        classic_reports.TradeResult,
    ),
    Interface.GANTRY: _by_type(
        gantry_commands.GantryInitialise,
        gantry_commands.GantryContinue,
        gantry_commands.GantryStop,
        gantry_commands.GantryAntenna,
        gantry_commands.GantryDebit,
        gantry_commands.UpdatePassRecords,
        gantry_commands.WritePassRecords,
        gantry_commands.FetchTac,
        gantry_commands.BeginAuthorisation,
        gantry_commands.Authorise,
        gantry_commands.HeartbeatAnswer,
        gantry_state.GantryDeviceState,
        gantry_state.GantryHeartbeat,
        gantry_reports.DeviceFound,
        gantry_reports.ObuRead,
        gantry_reports.PassCardRead,
        gantry_reports.GantryResult,
        gantry_reports.PassRecords,
        gantry_reports.TacFetched,
        gantry_state.AuthorisationBegun,
        gantry_state.Authorised,
    ),
    Interface.LANE_CRC: _by_type(
        classic_commands.Continue,
        classic_commands.Stop,
        classic_reports.ShortHeartbeat,
        classic_reports.ContractFound,
        lane_crc.VehicleFileRead,
        lane_crc.CardFilesRead,
        lane_crc.LaneResult,
    ),
    Interface.URBAN: _by_type(
        urban.UrbanStop,
        urban.UrbanAntenna,
        urban.UrbanDebit,
        urban.UrbanAuthorise,
        urban.UrbanDeviceState,
        urban.UrbanHeartbeat,
        urban.UrbanObuRead,
        urban.UrbanResult,
        urban.UrbanAuthorisationBegun,
        urban.UrbanAuthorised,
    ),
    Interface.VENDOR: {},
}
UNNAMED = (gantry_commands.WritePassRecords, gantry_reports.PassCardRead)
"""Types whose fields have no public names: read and written, but not shown."""
VARIANTS: Mapping[Interface, Mapping[int, Choice]] = {
    Interface.CLASSIC: _by_type(classic_commands.Initialise, classic_commands.InitialiseEf04),
    Interface.LANE_CRC: _by_type(classic_commands.Initialise, classic_commands.InitialiseEf04, lane_crc.LaneDebit),
}
"""Tables of some firmware only. A link that is configured for it hands them to `decode_payload`."""


def decode_payload(interface: Interface, data: bytes, variants: Mapping[int, Choice] | None = None) -> AnyPayload:
    """What a frame carries. variants: tables that this link has in place of the usual ones.

    Raises `RemoteProtocolError` where the bytes do not fit their table. What has no table is kept as it is.
    """
    if not data:
        return RawPayload(data)
    choice = (variants or {}).get(data[0]) or TABLES[interface].get(data[0])
    if choice is None:
        return RawPayload(data)
    for each in choice:
        if each.has_size(len(data)):
            return each.from_bytes(data)
    sizes = " or ".join(each.sizes() for each in choice)
    raise FrameError(f"{sizes} bytes are due, not {len(data)}", len(data), choice[-1].TABLE)


def payload_types(interface: Interface) -> list[type[Payload]]:
    """All types of an interface."""
    return [each for choice in TABLES[interface].values() for each in choice]
