"""What NTCIP 1203 objects hold that is more than a number: the code that activates a message, and a message's CRC.

    activation   duration min 2 (FFFF for ever) | priority 1 | memory 1 | number 2 | CRC 2 | source IPv4 4
    message CRC  CRC-16/X-25 over MULTI text, beacon byte and pixel-service byte, its bytes swapped

A message is set by: status to modify request, MULTI, beacon and priority, status to validate request, wait until it is
valid, read its CRC, activate. The objects travel by SNMP, which is the driver's. Object identifiers are relative to
1.3.6.1.4.1.1206.4.2.3 (dms); facts were held against the public code of mnit-rtmc/iris.

>>> encode_activation(Activation(None, 255, CHANGEABLE, 1, 0xA31C, (127, 0, 0, 1))).hex()
'ffffff030001a31c7f000001'
"""

import struct
from collections.abc import Callable

import msgspec
from fastcrc import crc16

from protocols.core.errors import FieldError, LocalProtocolError

DMS = (1, 3, 6, 1, 4, 1, 1206, 4, 2, 3)
SIGN_HEIGHT_PIXELS = (2, 3)
SIGN_WIDTH_PIXELS = (2, 4)
MESSAGE_MULTI = (5, 8, 1, 3)
MESSAGE_CRC = (5, 8, 1, 5)
MESSAGE_BEACON = (5, 8, 1, 6)
MESSAGE_PIXEL_SERVICE = (5, 8, 1, 7)
MESSAGE_PRIORITY = (5, 8, 1, 8)
MESSAGE_STATUS = (5, 8, 1, 9)
CONTROL_MODE = (6, 1)
ACTIVATE_MESSAGE = (6, 3)
ILLUMINATION_CONTROL = (7, 1)
ILLUMINATION_LEVEL = (7, 6)
SHORT_ERROR_STATUS = (9, 7, 1)

OTHER, PERMANENT, CHANGEABLE, VOLATILE, CURRENT_BUFFER, SCHEDULE, BLANK = range(1, 8)
"""Memory types."""
STATUSES = {
    1: "not_used",
    2: "modifying",
    3: "validating",
    4: "valid",
    5: "error",
    6: "modify_request",
    7: "validate_request",
    8: "not_used_request",
}
CONTROL_MODES = {2: "local", 3: "external", 4: "central", 5: "central_override"}
ILLUMINATION_CONTROLS = {2: "photocell", 3: "timer", 4: "manual"}

_FOR_EVER = 0xFFFF
_IPV4_BYTES = 4
_ACTIVATION = struct.Struct(">HBBHH4s")
_crc_x25: Callable[[bytes], int] = crc16.ibm_sdlc


class Activation(msgspec.Struct, frozen=True):
    """dmsActivateMessage. duration_min: None for ever. crc: as the sign tells it of the message."""

    duration_min: int | None
    priority: int
    memory_type: int
    number: int
    crc: int
    source: tuple[int, int, int, int]


def decode_activation(data: bytes) -> Activation:
    """Read an activation. Raises `FieldError`."""
    if len(data) != _ACTIVATION.size:
        raise FieldError(f"12 bytes, not {len(data)}", offset=len(data), field="dmsActivateMessage", raw=data)
    duration, priority, memory_type, number, crc, (a, b, c, d) = _ACTIVATION.unpack(data)
    return Activation(None if duration == _FOR_EVER else duration, priority, memory_type, number, crc, (a, b, c, d))


def encode_activation(activation: Activation) -> bytes:
    """Write an activation. Raises `LocalProtocolError`."""
    duration = _FOR_EVER if activation.duration_min is None else activation.duration_min
    if len(activation.source) != _IPV4_BYTES:
        raise LocalProtocolError("four bytes", field="source")
    if activation.duration_min == _FOR_EVER:
        raise LocalProtocolError("65535 minutes mean for ever: None", field="duration_min")
    try:
        return _ACTIVATION.pack(
            duration,
            activation.priority,
            activation.memory_type,
            activation.number,
            activation.crc,
            bytes(activation.source),
        )
    except (struct.error, ValueError):
        raise LocalProtocolError("a number does not fit its bytes", field="dmsActivateMessage") from None


def message_crc(multi: bytes, *, beacon: bool, pixel_service: bool) -> int:
    """What a sign tells as dmsMessageCRC of this message."""
    crc = _crc_x25(multi + bytes((beacon, pixel_service)))
    return crc >> 8 | (crc & 0xFF) << 8
