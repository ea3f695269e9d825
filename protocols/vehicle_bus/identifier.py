"""CAN identifiers of the vehicle bus: SAE J1939-21 (29 bits) and ISO 15765-4 (11 bits), and who answers whom.

    28   26 25  24  23      16 15       8 7       0
    priority EDP DP  PF         PS         source

PF below 240 (PDU1): PS is the destination and the PGN ends in 00. PF from 240 on (PDU2): PS belongs to the PGN and the
frame is for everybody. Nothing is lost: an identifier is written back bit for bit.

>>> decode_identifier(0x18EA2100, 29)
J1939Id(priority=6, pgn=59904, destination=33, source=0)
>>> hex(flow_control_id(0x7E8))
'0x7e0'
"""

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError

GLOBAL_ADDRESS = 0xFF
NULL_ADDRESS = 0xFE
"""Of a node that has no address yet, J1939-81."""
MAX_PGN = 0x3FFFF
MAX_11_BIT = 0x7FF
MAX_29_BIT = 0x1FFFFFFF
FUNCTIONAL_11 = 0x7DF
"""An OBD request to every ECU, ISO 15765-4."""
FUNCTIONAL_29 = 0x18DB33F1
FIRST_PHYSICAL_11 = 0x7E0
ANSWER_OFFSET_11 = 8
OBD_ECUS_11 = 8
_PHYSICAL_29 = 0x18DA0000


class StandardId(msgspec.Struct, frozen=True):
    """An identifier of 11 bits."""

    value: int


class J1939Id(msgspec.Struct, frozen=True):
    """An identifier of 29 bits as J1939 divides it. destination: 255 for PDU2."""

    priority: int
    pgn: int
    destination: int
    source: int


Identifier = StandardId | J1939Id


def is_pdu1(pgn: int) -> bool:
    """Whether messages of this group go to one address."""
    return pgn >> 8 & 0xFF < 240


def decode_identifier(value: int, bits: int) -> Identifier:
    """Read an identifier of 11 or 29 bits. Raises `FieldError`."""
    if bits == 11:
        if not 0 <= value <= MAX_11_BIT:
            raise FieldError(f"{value:x} has more than 11 bits", field="id")
        return StandardId(value)
    if not 0 <= value <= MAX_29_BIT:
        raise FieldError(f"{value:x} has more than 29 bits", field="id")
    return split_id(value)


def split_id(value: int) -> J1939Id:
    """The parts of an identifier that is known to have 29 bits."""
    pgn = value >> 8 & MAX_PGN
    if pgn >> 8 & 0xFF < 240:
        return J1939Id(value >> 26, pgn & 0x3FF00, pgn & 0xFF, value & 0xFF)
    return J1939Id(value >> 26, pgn, GLOBAL_ADDRESS, value & 0xFF)


def encode_identifier(identifier: Identifier) -> int:
    """Write an identifier. Raises `LocalProtocolError`."""
    if isinstance(identifier, StandardId):
        return _within(identifier.value, MAX_11_BIT, "id")
    priority = _within(identifier.priority, 7, "priority")
    pgn = _within(identifier.pgn, MAX_PGN, "pgn")
    destination = _within(identifier.destination, 0xFF, "destination")
    source = _within(identifier.source, 0xFF, "source")
    if is_pdu1(pgn):
        if pgn & 0xFF:
            raise LocalProtocolError(f"a group for one address ends in 00, not {pgn & 0xFF:02x}", field="pgn")
        pgn |= destination
    elif destination != GLOBAL_ADDRESS:
        raise LocalProtocolError("this group goes to everybody (255)", field="destination")
    return priority << 26 | pgn << 8 | source


def flow_control_id(answer_id: int) -> int:
    """Where flow control for an ECU's answer goes: its physical address. Raises `LocalProtocolError`."""
    if FIRST_PHYSICAL_11 + ANSWER_OFFSET_11 <= answer_id < FIRST_PHYSICAL_11 + ANSWER_OFFSET_11 + OBD_ECUS_11:
        return answer_id - ANSWER_OFFSET_11
    if answer_id >> 16 << 16 == _PHYSICAL_29:
        return _PHYSICAL_29 | (answer_id & 0xFF) << 8 | answer_id >> 8 & 0xFF
    raise LocalProtocolError(f"{answer_id:x} is no address of an OBD answer", field="id")


def _within(value: int, maximum: int, field: str) -> int:
    if not 0 <= value <= maximum:
        raise LocalProtocolError(f"{value} is not 0 to {maximum}", field=field)
    return value
