"""Readable form of ISO-TP frames and messages. See `message.py`."""

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.message_fields import Fields
from protocols.vehicle_bus.iso_tp import (
    CLASSIC_BYTES,
    MAX_LENGTH,
    MAX_SHORT_LENGTH,
    ConsecutiveFrame,
    FirstFrame,
    FlowControl,
    IsoTpFrame,
    SingleFrame,
    decode_frame,
    encode_frame,
    segment,
)
from protocols.vehicle_bus.iso_tp_assembly import Assembly
from protocols.vehicle_bus.message_fields import Case, Message, choice, flag, octets, octets_of, texts

NORMAL = "normal"
EXTENDED = "extended"
_STATUSES = ("continue", "wait", "overflow")


def _is_extended(case: Case) -> bool:
    return choice(case, "addressing", (NORMAL, EXTENDED)) == EXTENDED


def decode_isotp(case: Case) -> Message:
    """Read a case of kind `isotp`."""
    assembly = Assembly(is_extended=_is_extended(case), is_fd=flag(case, "fd"))
    messages = []
    for line in texts(case, "frames"):
        message = assembly.add(octets_of(line, "frames"))
        if message is not None:
            messages.append(message.hex())
    return {"messages": messages, "errors": assembly.errors, "incomplete": assembly.is_open}


def encode_isotp(fields: Fields) -> Message:
    """Write the frames of the messages, not padded."""
    frames = []
    for message in fields.names("messages"):
        frames += [encode_frame(frame).hex() for frame in segment(octets_of(message, "messages"))]
    return {"frames": frames}


def decode_isotp_frame(case: Case) -> Message:
    """Read a case of kind `isotp_frame`."""
    is_fd = flag(case, "fd")
    frame = decode_frame(octets(case), is_extended=_is_extended(case), is_fd=is_fd)
    address: Message = {} if frame.address is None else {"address_extension": frame.address}
    return {**({"fd": True} if is_fd else {}), **_read(frame), **address}


def _read(frame: IsoTpFrame) -> Message:
    match frame:
        case SingleFrame():
            return {"type": "single", "data_hex": frame.data.hex()}
        case FirstFrame():
            return {"type": "first", "length": frame.length, "data_hex": frame.data.hex()}
        case ConsecutiveFrame():
            return {"type": "consecutive", "sequence": frame.sequence, "data_hex": frame.data.hex()}
        case FlowControl():
            return {
                "type": "flow_control",
                "status": _STATUSES[frame.status],
                "block_size": frame.block_size,
                "st_min_ms": frame.separation_us / 1000 if frame.separation_us % 1000 else frame.separation_us // 1000,
            }


def encode_isotp_frame(fields: Fields) -> Message:
    """Write one data field, not padded."""
    wire = encode_frame(_frame_of(fields))
    try:
        decode_frame(wire, is_extended=fields.has("address_extension"), is_fd=fields.flag("fd", default=False))
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.reason, field=error.field) from None
    return {"hex": wire.hex()}


def _frame_of(fields: Fields) -> IsoTpFrame:
    address = fields.optional("address_extension", 0xFF)
    match fields.text("type"):
        case "single":
            data = fields.octets("data_hex")
            return SingleFrame(data, is_long=len(data) > CLASSIC_BYTES - 1 - (address is not None), address=address)
        case "first":
            length = fields.integer("length", MAX_LENGTH)
            return FirstFrame(length, fields.octets("data_hex"), length > MAX_SHORT_LENGTH, address)
        case "consecutive":
            return ConsecutiveFrame(fields.integer("sequence", 15), fields.octets("data_hex"), address)
        case "flow_control":
            status = fields.text("status")
            if status not in _STATUSES:
                raise LocalProtocolError("continue, wait or overflow", field="status")
            return FlowControl(
                _STATUSES.index(status),
                fields.integer("block_size", 0xFF),
                separation_byte(fields.number("st_min_ms") or 0),
                address=address,
            )
        case _:
            raise LocalProtocolError("single, first, consecutive or flow_control", field="type")


def separation_byte(milliseconds: float) -> int:
    """The byte STmin for a time. Raises `LocalProtocolError` for one that has none."""
    tenths = round(milliseconds * 10)
    if 0 < tenths < 10:
        return 0xF0 + tenths
    if tenths % 10 == 0 and 0 <= tenths <= 1270:
        return tenths // 10
    raise LocalProtocolError("0 to 127 milliseconds, or tenths of one", field="st_min_ms")
