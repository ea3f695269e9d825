"""Asking for a group and what comes back (SAE J1939-21), and the commands that clear faults (J1939-73).

    Request       PGN, 3 bytes, the lowest first
    Acknowledge   control, group function, FF, FF, address, PGN (3)       control: 0 done, 1 refused, 2 denied, 3 busy
    DM3, DM11     nothing that matters

>>> decode_request(bytes.fromhex("ECFE00"))
Request(pgn=65260, tail=b'')
"""

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.vehicle_bus.identifier import GLOBAL_ADDRESS

MAX_WIRE_PGN = 0xFFFFFF


class Request(msgspec.Struct, frozen=True):
    """Send this group, please. tail: what some senders fill the frame up with."""

    pgn: int
    tail: bytes = b""


class Acknowledgement(msgspec.Struct, frozen=True):
    """What became of a request. middle: bytes 3 and 4."""

    control: int
    pgn: int
    group_function: int = 0xFF
    address: int = GLOBAL_ADDRESS
    middle: bytes = b"\xff\xff"


class ClearFaults(msgspec.Struct, frozen=True):
    """DM3 (those no longer active) or DM11 (active ones): the group says it all."""

    data: bytes = bytes((0xFF,)) * 8


def decode_request(data: bytes) -> Request:
    """Read a request. Raises `FieldError`."""
    if not 3 <= len(data) <= 8:
        raise FieldError(f"a request has 3 bytes, not {len(data)}", offset=len(data), field="requested_pgn")
    return Request(int.from_bytes(data[:3], "little"), bytes(data[3:]))


def encode_request(request: Request) -> bytes:
    """Write a request. Raises `LocalProtocolError`."""
    if len(request.tail) > 5:
        raise LocalProtocolError("more than the frame has left", field="tail")
    return pgn_octets(request.pgn, "requested_pgn") + request.tail


def decode_acknowledgement(data: bytes) -> Acknowledgement:
    """Read an acknowledgement. Raises `FieldError`."""
    if len(data) != 8:
        raise FieldError(f"an acknowledgement has 8 bytes, not {len(data)}", offset=len(data), field="ack")
    return Acknowledgement(data[0], int.from_bytes(data[5:], "little"), data[1], data[4], bytes(data[2:4]))


def encode_acknowledgement(message: Acknowledgement) -> bytes:
    """Write an acknowledgement. Raises `LocalProtocolError`."""
    octets = {"ack": message.control, "group_function": message.group_function, "address": message.address}
    for field, value in octets.items():
        if not 0 <= value <= 0xFF:
            raise LocalProtocolError(f"{value} is no byte", field=field)
    if len(message.middle) != 2:
        raise LocalProtocolError("two bytes", field="middle")
    head = bytes((message.control, message.group_function)) + message.middle + bytes((message.address,))
    return head + pgn_octets(message.pgn, "ack_pgn")


def pgn_octets(pgn: int, field: str) -> bytes:
    """A PGN as three bytes, the lowest first. Raises `LocalProtocolError`."""
    if not 0 <= pgn <= MAX_WIRE_PGN:
        raise LocalProtocolError(f"{pgn} is not 0 to {MAX_WIRE_PGN}", field=field)
    return pgn.to_bytes(3, "little")
