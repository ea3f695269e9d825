"""What LLRP readers tell, and what they are told to do (EPCglobal LLRP 1.0.1, clauses 10 to 15).

Read: tags in reports, the event that a connection was accepted, the status in responses. Written: everything that
starting an inventory takes, in its plainest form: all antennas, EPC Gen2, no end, a report at each tag.

>>> TagReport(epc=bytes(12), antenna=1) == decode_tag(encode_tag(TagReport(epc=bytes(12), antenna=1)))
True
"""

import struct
from enum import IntEnum

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.rfid_and_gates.llrp_message import LlrpMessage, MessageType
from protocols.rfid_and_gates.llrp_parameter import (
    Parameter,
    ParameterType,
    decode_parameters,
    encode_parameters,
    first_of,
)

ALL_ROSPECS = 0
ALL_ANTENNAS = b"\x00\x01\x00\x00"
SUCCESS = 0
_EPC_96_BYTES = 12
_PERIODIC = 1
_NO_TRIGGER = b"\x00"
_NO_DURATION = bytes(4)
_GEN2 = 1
_EACH_TAG = b"\x01\x00\x01"
"""Report upon N tags or the end of an AISpec; N = 1."""
_ANTENNA_RSSI_COUNT = b"\x14\x80"
"""Content of a report: antenna, peak RSSI, how often seen."""


class ConnectionStatus(IntEnum):
    """Of an attempt to connect, 13.2.6.9."""

    SUCCESS = 0
    READER_INITIATED_EXISTS = 1
    CLIENT_INITIATED_EXISTS = 2
    OTHER_FAULT = 3
    ANOTHER_ATTEMPT = 4


class TagReport(msgspec.Struct, frozen=True, gc=False):
    """A tag in a report. None: the report does not tell. epc_bits: of an EPC that is no whole bytes, else None."""

    epc: bytes | None = None
    antenna: int | None = None
    peak_rssi_dbm: int | None = None
    seen_count: int | None = None
    epc_bits: int | None = None


class Status(msgspec.Struct, frozen=True):
    """How a request went. 0 is success."""

    code: int
    description: str = ""


def tags_of(message: LlrpMessage) -> tuple[TagReport, ...]:
    """The tags of a report, none of another message. Raises `FieldError`, `FrameError`."""
    if message.message_type != MessageType.RO_ACCESS_REPORT:
        return ()
    return tuple(decode_tag(each) for each in message.parameters if each.type == ParameterType.TAG_REPORT_DATA)


def decode_tag(parameter: Parameter) -> TagReport:
    """Read what is told of one tag. Raises `FieldError`, `FrameError`."""
    inner = decode_parameters(parameter.value)
    epc, bits = _epc(inner)
    return TagReport(
        epc,
        _number(inner, ParameterType.ANTENNA_ID),
        _number(inner, ParameterType.PEAK_RSSI, signed=True),
        _number(inner, ParameterType.TAG_SEEN_COUNT),
        bits,
    )


def _epc(inner: tuple[Parameter, ...]) -> tuple[bytes | None, int | None]:
    short = first_of(inner, ParameterType.EPC_96)
    if short is not None:
        return short.value, None
    data = first_of(inner, ParameterType.EPC_DATA)
    if data is None:
        return None, None
    bits = int.from_bytes(data.value[:2], "big")
    epc = data.value[2:]
    if len(data.value) < 2 or len(epc) != (bits + 7) // 8:
        raise FieldError("the count of bits tells another length", field="epc")
    return epc, bits if bits % 8 else None


def _number(inner: tuple[Parameter, ...], kind: int, *, signed: bool = False) -> int | None:
    found = first_of(inner, kind)
    return None if found is None else int.from_bytes(found.value, "big", signed=signed)


def encode_tag(tag: TagReport) -> Parameter:
    """Write what is told of one tag. Raises `LocalProtocolError`."""
    inner = []
    if tag.epc is not None:
        bits = 8 * len(tag.epc) if tag.epc_bits is None else tag.epc_bits
        if (bits + 7) // 8 != len(tag.epc) or bits > 0xFFFF:
            raise LocalProtocolError("the count of bits tells another length", field="epc")
        is_short = bits == 8 * _EPC_96_BYTES
        kind = ParameterType.EPC_96 if is_short else ParameterType.EPC_DATA
        inner.append(Parameter(kind, tag.epc if is_short else bits.to_bytes(2, "big") + tag.epc))
    for kind, value, code in (
        (ParameterType.ANTENNA_ID, tag.antenna, ">H"),
        (ParameterType.PEAK_RSSI, tag.peak_rssi_dbm, ">b"),
        (ParameterType.TAG_SEEN_COUNT, tag.seen_count, ">H"),
    ):
        if value is not None:
            inner.append(Parameter(kind, _packed(code, value)))
    return Parameter(ParameterType.TAG_REPORT_DATA, encode_parameters(tuple(inner)))


def _packed(code: str, value: int) -> bytes:
    try:
        return struct.pack(code, value)
    except struct.error as error:
        raise LocalProtocolError(f"a number does not fit its field: {error}") from None


def event_of(message: LlrpMessage) -> tuple[Parameter, ...]:
    """What a reader event holds, nothing of another message. Raises `FrameError`."""
    data = first_of(message.parameters, ParameterType.READER_EVENT_DATA)
    is_event = message.message_type == MessageType.READER_EVENT_NOTIFICATION
    return decode_parameters(data.value) if is_event and data is not None else ()


def utc_microseconds_of(event: tuple[Parameter, ...]) -> int | None:
    """When an event was. Raises `FieldError`."""
    return _sized(event, ParameterType.UTC_TIMESTAMP, 8)


def connection_status_of(event: tuple[Parameter, ...]) -> int | None:
    """How an attempt to connect went: a `ConnectionStatus`, or None of another event. Raises `FieldError`."""
    return _sized(event, ParameterType.CONNECTION_ATTEMPT, 2)


def _sized(event: tuple[Parameter, ...], kind: int, size: int) -> int | None:
    found = first_of(event, kind)
    if found is not None and len(found.value) != size:
        raise FieldError(f"{size} bytes, not {len(found.value)}", field="parameter_length")
    return None if found is None else int.from_bytes(found.value, "big")


def connection_event(status: int, utc_microseconds: int, message_id: int = 0) -> LlrpMessage:
    """The event that an attempt to connect went so. Raises `LocalProtocolError`."""
    inner = (
        Parameter(ParameterType.UTC_TIMESTAMP, _packed(">Q", utc_microseconds)),
        Parameter(ParameterType.CONNECTION_ATTEMPT, _packed(">H", status)),
    )
    data = Parameter(ParameterType.READER_EVENT_DATA, encode_parameters(inner))
    return LlrpMessage(MessageType.READER_EVENT_NOTIFICATION, message_id, b"", (data,))


def status_of(message: LlrpMessage) -> Status | None:
    """The status in a response, or None where it has none. Raises `FieldError`."""
    found = first_of(message.parameters, ParameterType.LLRP_STATUS)
    if found is None:
        return None
    if len(found.value) < 4:
        raise FieldError("a status has a code and the length of a text", field="llrp_status")
    code, size = struct.unpack_from(">HH", found.value)
    if len(found.value) < 4 + size:
        raise FieldError("the text is cut short", field="llrp_status")
    return Status(code, found.value[4 : 4 + size].decode("utf-8", "replace"))


def response(kind: int, message_id: int, status: Status) -> LlrpMessage:
    """A response that holds nothing but a status. Raises `LocalProtocolError`."""
    text = status.description.encode()
    value = _packed(">H", status.code) + _packed(">H", len(text)) + text
    return LlrpMessage(kind, message_id, b"", (Parameter(ParameterType.LLRP_STATUS, value),))


def rospec_request(kind: int, message_id: int, rospec_id: int) -> LlrpMessage:
    """Delete, start, stop, enable or disable a ROSpec."""
    return LlrpMessage(kind, message_id, _packed(">I", rospec_id))


def set_keepalive(message_id: int, period_ms: int) -> LlrpMessage:
    """Set the reader's configuration: a keepalive so often, reports of each tag."""
    keepalive = Parameter(ParameterType.KEEPALIVE_SPEC, bytes((_PERIODIC,)) + _packed(">I", period_ms))
    return LlrpMessage(MessageType.SET_READER_CONFIG, message_id, b"\x00", (_report_spec(), keepalive))


def add_inventory(message_id: int, rospec_id: int) -> LlrpMessage:
    """Add a ROSpec that looks for tags on all antennas until it is stopped."""
    boundary = _tlv(
        ParameterType.RO_BOUNDARY_SPEC,
        b"",
        Parameter(ParameterType.ROSPEC_START_TRIGGER, _NO_TRIGGER),
        Parameter(ParameterType.ROSPEC_STOP_TRIGGER, _NO_TRIGGER + _NO_DURATION),
    )
    antennas = _tlv(
        ParameterType.AI_SPEC,
        ALL_ANTENNAS,
        Parameter(ParameterType.AI_SPEC_STOP_TRIGGER, _NO_TRIGGER + _NO_DURATION),
        Parameter(ParameterType.INVENTORY_PARAMETER_SPEC, b"\x00\x01" + bytes((_GEN2,))),
    )
    head = _packed(">I", rospec_id) + b"\x00\x00"  # highest priority, disabled
    rospec = _tlv(ParameterType.ROSPEC, head, boundary, antennas, _report_spec())
    return LlrpMessage(MessageType.ADD_ROSPEC, message_id, b"", (rospec,))


def _report_spec() -> Parameter:
    content = Parameter(ParameterType.TAG_REPORT_CONTENT_SELECTOR, _ANTENNA_RSSI_COUNT)
    return _tlv(ParameterType.RO_REPORT_SPEC, _EACH_TAG, content)


def _tlv(kind: int, head: bytes, *inner: Parameter) -> Parameter:
    return Parameter(kind, head + encode_parameters(inner))
