"""Parameter groups by their PGN (SAE J1939-71): the data of one message, from one frame or from the transport protocol.

A group with numbers keeps its bytes and reads a number when it is asked for: so bits that have no row are not lost and
decoding costs next to nothing. A PGN without a row is kept whole.

>>> group = decode_group(65265, bytes.fromhex("FF0050FFFFFFFFFF"))
>>> group.value("wheel_speed_kmh"), group.value("parking_brake")
(80.0, None)
>>> encode_group(number_group(65265, {"wheel_speed_kmh": 80.0})).hex()
'ff0050ffffffffff'
"""

from collections.abc import Callable, Mapping

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.vehicle_bus import catalogue
from protocols.vehicle_bus.catalogue import GROUPS
from protocols.vehicle_bus.diagnostics import DiagnosticMessage, decode_dm, encode_dm
from protocols.vehicle_bus.identity import (
    ComponentIdentification,
    Name,
    VehicleIdentification,
    decode_component,
    decode_name,
    decode_vin,
    encode_name,
)
from protocols.vehicle_bus.requests import (
    Acknowledgement,
    ClearFaults,
    Request,
    decode_acknowledgement,
    decode_request,
    encode_acknowledgement,
    encode_request,
)
from protocols.vehicle_bus.signals import Number, Signal

FRAME_BYTES = 8
MAX_GROUP_BYTES = 1785
"""255 packets of 7 bytes, J1939-21."""

_PADDING = bytes((0xFF,)) * FRAME_BYTES
_SIGNALS: Mapping[int, Mapping[str, Signal]] = {
    pgn: {signal.key: signal for signal in row.signals} for pgn, row in GROUPS.items()
}


class NumberGroup(msgspec.Struct, frozen=True):
    """A group with a row of numbers, at most eight bytes as they came; missing ones count as FF."""

    pgn: int
    data: bytes

    def value(self, key: str) -> Number | None:
        """One number by its key in the catalogue; None for an error, an indicator, or not available."""
        return _SIGNALS[self.pgn][key].value(self._bits())

    def values(self) -> dict[str, Number | None]:
        """All numbers of the group."""
        bits = self._bits()
        return {signal.key: signal.value(bits) for signal in GROUPS[self.pgn].signals}

    def _bits(self) -> int:
        data = self.data
        return int.from_bytes(data if len(data) == FRAME_BYTES else (data + _PADDING)[:FRAME_BYTES], "little")


class OtherGroup(msgspec.Struct, frozen=True):
    """A group that has no row here, whole."""

    pgn: int
    data: bytes


Group = (
    NumberGroup
    | OtherGroup
    | DiagnosticMessage
    | VehicleIdentification
    | ComponentIdentification
    | Request
    | Acknowledgement
    | Name
    | ClearFaults
)

_DECODERS: Mapping[int, Callable[[bytes], Group]] = {
    catalogue.DM1: decode_dm,
    catalogue.DM2: decode_dm,
    catalogue.DM3: ClearFaults,
    catalogue.DM11: ClearFaults,
    catalogue.VEHICLE_IDENTIFICATION: decode_vin,
    catalogue.COMPONENT_IDENTIFICATION: decode_component,
    catalogue.REQUEST: decode_request,
    catalogue.ACKNOWLEDGE: decode_acknowledgement,
    catalogue.ADDRESS_CLAIMED: decode_name,
}


def decode_group(pgn: int, data: bytes) -> Group:
    """Read the data of one message. Raises `FieldError`."""
    if not 1 <= len(data) <= MAX_GROUP_BYTES:
        raise FieldError(f"{len(data)} bytes are not 1 to {MAX_GROUP_BYTES}", offset=len(data), field="data")
    if pgn in GROUPS:
        if len(data) > FRAME_BYTES:
            raise FieldError(f"{len(data)} bytes in a group of 8", offset=FRAME_BYTES, field="data", raw=data)
        return NumberGroup(pgn, bytes(data))
    decode = _DECODERS.get(pgn)
    return OtherGroup(pgn, bytes(data)) if decode is None else decode(bytes(data))


def encode_group(group: Group) -> bytes:
    """Write the data of one message. Raises `LocalProtocolError`."""
    match group:
        case DiagnosticMessage():
            return encode_dm(group)
        case Name():
            return encode_name(group)
        case Request():
            return encode_request(group)
        case Acknowledgement():
            return encode_acknowledgement(group)
        case _:
            return group.data


def number_group(pgn: int, values: Mapping[str, Number | None]) -> NumberGroup:
    """A group of eight bytes with these numbers, each at the nearest step; everything else is not available.

    Raises `LocalProtocolError` for an unknown group or key, or a number out of bounds.
    """
    signals = _SIGNALS.get(pgn)
    if signals is None:
        raise LocalProtocolError(f"{pgn} has no row of numbers", field="pgn")
    bits = (1 << 8 * FRAME_BYTES) - 1
    for key, value in values.items():
        signal = signals.get(key)
        if signal is None:
            raise LocalProtocolError(f"{pgn} has no such number", field=key)
        mask = (1 << signal.size) - 1
        bits = bits & ~(mask << signal.bit) | signal.raw(value) << signal.bit
    return NumberGroup(pgn, bits.to_bytes(FRAME_BYTES, "little"))
