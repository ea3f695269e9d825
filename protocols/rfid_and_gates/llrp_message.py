"""Messages of LLRP (EPCglobal Low Level Reader Protocol 1.0.1 and 1.1), clauses 9 to 15: TCP 5084, with TLS 5085.

    0 3 bits | version 3 bits | type 10 bits | length 4 bytes, of the whole | id 4 | fields | parameters

Numbers are high byte first. A few messages have fields before their parameters (`FIELD_BYTES`).
Bodies of types that are not known stay bytes.

>>> decode_message_frame(bytes.fromhex("043e0000000a00000007"))
LlrpMessage(message_type=62, message_id=7, fields=b'', parameters=(), version=1)
"""

import struct
from enum import IntEnum

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError, RemoteProtocolError
from protocols.length_framer import FrameForm, LengthFramer, check_whole
from protocols.rfid_and_gates.llrp_parameter import Parameter, decode_parameters, encode_parameters

HEAD_BYTES = 10
MAX_MESSAGE_BYTES = 262_144
"""A report of several thousand tags. Longer messages are not taken."""
VERSIONS = (1, 2)
"""1.0.1 and 1.1."""
_LENGTHS = f"version 1 or 2, and a length from {HEAD_BYTES} to {MAX_MESSAGE_BYTES}"
_HEAD = struct.Struct(">HII")


class MessageType(IntEnum):
    """Clause 10 ff., the numbers of 16.1."""

    GET_READER_CAPABILITIES = 1
    GET_READER_CONFIG = 2
    SET_READER_CONFIG = 3
    CLOSE_CONNECTION_RESPONSE = 4
    GET_READER_CAPABILITIES_RESPONSE = 11
    GET_READER_CONFIG_RESPONSE = 12
    SET_READER_CONFIG_RESPONSE = 13
    CLOSE_CONNECTION = 14
    ADD_ROSPEC = 20
    DELETE_ROSPEC = 21
    START_ROSPEC = 22
    STOP_ROSPEC = 23
    ENABLE_ROSPEC = 24
    DISABLE_ROSPEC = 25
    GET_ROSPECS = 26
    ADD_ROSPEC_RESPONSE = 30
    DELETE_ROSPEC_RESPONSE = 31
    START_ROSPEC_RESPONSE = 32
    STOP_ROSPEC_RESPONSE = 33
    ENABLE_ROSPEC_RESPONSE = 34
    DISABLE_ROSPEC_RESPONSE = 35
    GET_ROSPECS_RESPONSE = 36
    GET_REPORT = 60
    RO_ACCESS_REPORT = 61
    KEEPALIVE = 62
    READER_EVENT_NOTIFICATION = 63
    ENABLE_EVENTS_AND_REPORTS = 64
    KEEPALIVE_ACK = 72
    ERROR_MESSAGE = 100


FIELD_BYTES: dict[int, int] = {
    **dict.fromkeys(MessageType, 0),
    MessageType.GET_READER_CAPABILITIES: 1,
    MessageType.GET_READER_CONFIG: 7,
    MessageType.SET_READER_CONFIG: 1,
    **dict.fromkeys(range(MessageType.DELETE_ROSPEC, MessageType.DISABLE_ROSPEC + 1), 4),
}
"""Type -> how many bytes of fields stand before the parameters. Other types are not known."""


class LlrpMessage(msgspec.Struct, frozen=True):
    """One message. fields: what stands before the parameters; the whole body of a type that is not known."""

    message_type: int
    message_id: int
    fields: bytes = b""
    parameters: tuple[Parameter, ...] = ()
    version: int = 1


def decode_message_frame(wire: bytes) -> LlrpMessage:
    """Read one message. Raises `FrameError`."""
    check_whole(wire, FORM, _LENGTHS, 0, "message_length")
    word, _length, number = _HEAD.unpack_from(wire)
    kind = word & 0x3FF
    first = FIELD_BYTES.get(kind)
    if first is None:
        return LlrpMessage(kind, number, wire[HEAD_BYTES:], (), word >> 10)
    at = HEAD_BYTES + first
    if len(wire) < at:
        raise FrameError("the fields are cut short", len(wire), "message_length")
    try:
        parameters = decode_parameters(wire[at:])
    except RemoteProtocolError as error:
        error.offset = at + (error.offset or 0)
        raise
    return LlrpMessage(kind, number, wire[HEAD_BYTES:at], parameters, word >> 10)


def encode_message_frame(message: LlrpMessage) -> bytes:
    """Write a message. Raises `LocalProtocolError`."""
    if message.version not in VERSIONS or not 0 <= message.message_type <= 0x3FF:
        raise LocalProtocolError("version 1 or 2, and a type of 10 bits", field="version")
    due = FIELD_BYTES.get(message.message_type)
    if message.parameters if due is None else len(message.fields) != due:
        raise LocalProtocolError("not the fields of this type", field="message_type")
    body = message.fields + encode_parameters(message.parameters)
    size = HEAD_BYTES + len(body)
    if size > MAX_MESSAGE_BYTES or not 0 <= message.message_id <= 0xFFFFFFFF:
        raise LocalProtocolError("too long, or no id of four bytes", field="message_length")
    return _HEAD.pack(message.version << 10 | message.message_type, size, message.message_id) + body


def size_of(head: bytes) -> int:
    """The bytes of the message that a head begins, or 0 for none."""
    word, length, _number = _HEAD.unpack(head)
    return length if word >> 10 in VERSIONS and HEAD_BYTES <= length <= MAX_MESSAGE_BYTES else 0


FORM = FrameForm(
    start=b"",
    head_bytes=HEAD_BYTES,
    max_frame_bytes=MAX_MESSAGE_BYTES,
    size_of=size_of,
    decode=decode_message_frame,
)


def llrp_framer() -> LengthFramer[LlrpMessage]:
    """A framer of one connection."""
    return LengthFramer(FORM)
