r"""Parameters of LLRP messages (EPCglobal LLRP 1.0.1 and 1.1, clause 8 and 9).

    TLV   0 6 bits | type 10 bits | length 2 bytes, of the whole | value
    TV    1 1 bit | type 7 bits | value, as long as its type says

Values stay bytes: what is read out of them is in `llrp_reports.py`. A TV of a type whose size is not known is an error,
as nothing tells where it ends.

>>> decode_parameters(bytes.fromhex("810001" "00f00004"))
(Parameter(type=1, value=b'\x00\x01'), Parameter(type=240, value=b''))
"""

from enum import IntEnum

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError

TV_BYTES: dict[int, int] = {
    1: 2,
    2: 8,
    3: 8,
    4: 8,
    5: 8,
    6: 1,
    7: 2,
    8: 2,
    9: 4,
    10: 2,
    11: 2,
    12: 2,
    13: 12,
    14: 2,
    16: 4,
}
"""TV type -> the bytes of its value."""
MIN_TLV_TYPE = 128
TLV_HEAD_BYTES = 4
MAX_VALUE_BYTES = 0xFFFF - TLV_HEAD_BYTES


class ParameterType(IntEnum):
    """Clause 16.2. Up to 127 they are TV."""

    ANTENNA_ID = 1
    FIRST_SEEN_UTC = 2
    FIRST_SEEN_UPTIME = 3
    LAST_SEEN_UTC = 4
    LAST_SEEN_UPTIME = 5
    PEAK_RSSI = 6
    CHANNEL_INDEX = 7
    TAG_SEEN_COUNT = 8
    ROSPEC_ID = 9
    INVENTORY_PARAMETER_SPEC_ID = 10
    C1G2_CRC = 11
    C1G2_PC = 12
    EPC_96 = 13
    SPEC_INDEX = 14
    ACCESS_SPEC_ID = 16
    UTC_TIMESTAMP = 128
    ROSPEC = 177
    RO_BOUNDARY_SPEC = 178
    ROSPEC_START_TRIGGER = 179
    ROSPEC_STOP_TRIGGER = 182
    AI_SPEC = 183
    AI_SPEC_STOP_TRIGGER = 184
    INVENTORY_PARAMETER_SPEC = 186
    KEEPALIVE_SPEC = 220
    RO_REPORT_SPEC = 237
    TAG_REPORT_CONTENT_SELECTOR = 238
    TAG_REPORT_DATA = 240
    EPC_DATA = 241
    READER_EVENT_DATA = 246
    CONNECTION_ATTEMPT = 256
    LLRP_STATUS = 287


class Parameter(msgspec.Struct, frozen=True, gc=False):
    """One parameter. type: up to 127 a TV, from 128 a TLV."""

    type: int
    value: bytes


def decode_parameters(data: bytes) -> tuple[Parameter, ...]:
    """Read parameters up to the end. Raises `FrameError`."""
    found = []
    at = 0
    while at < len(data):
        if data[at] & 0x80:
            kind = data[at] & 0x7F
            size = TV_BYTES.get(kind)
            if size is None:
                raise FrameError(f"how long a TV of type {kind} is, is not known", at, "parameter_type")
            start, end = at + 1, at + 1 + size
        else:
            kind = int.from_bytes(data[at : at + 2], "big")
            start, end = at + TLV_HEAD_BYTES, at + int.from_bytes(data[at + 2 : at + 4], "big")
            if start > len(data) or end < start or not MIN_TLV_TYPE <= kind <= 0x3FF:
                raise FrameError("no head of a parameter", at, "parameter_type")
        if end > len(data):
            raise FrameError("a parameter is cut short", len(data), "parameter_length")
        found.append(Parameter(kind, data[start:end]))
        at = end
    return tuple(found)


def encode_parameters(parameters: tuple[Parameter, ...]) -> bytes:
    """The inverse. Raises `LocalProtocolError`."""
    return b"".join(map(_encoded, parameters))


def _encoded(parameter: Parameter) -> bytes:
    kind, value = parameter.type, parameter.value
    if kind in TV_BYTES and len(value) == TV_BYTES[kind]:
        return bytes((0x80 | kind,)) + value
    if MIN_TLV_TYPE <= kind <= 0x3FF and len(value) <= MAX_VALUE_BYTES:
        return kind.to_bytes(2, "big") + (len(value) + TLV_HEAD_BYTES).to_bytes(2, "big") + value
    raise LocalProtocolError("no such parameter, or of another size", field="parameter_type")


def first_of(parameters: tuple[Parameter, ...], kind: int) -> Parameter | None:
    """The first parameter of a type, or None."""
    return next((parameter for parameter in parameters if parameter.type == kind), None)
