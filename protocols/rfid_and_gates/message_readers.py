"""Readable form of the frames of UHF readers and of LLRP messages: the bytes as hex, and what they say beside them."""

from protocols.message_fields import Fields
from protocols.rfid_and_gates import llrp_reports, uhf_m100, uhf_r2000
from protocols.rfid_and_gates.llrp_message import (
    FIELD_BYTES,
    HEAD_BYTES,
    LlrpMessage,
    MessageType,
    decode_message_frame,
    encode_message_frame,
)
from protocols.rfid_and_gates.llrp_parameter import decode_parameters

Message = dict[str, object]


def decode_m100(wire: bytes) -> Message:
    """Read a frame. Raises `RemoteProtocolError`."""
    frame = uhf_m100.decode_frame(wire)
    keys: Message = {
        "frame_type": frame.frame_type,
        "command": frame.command,
        "parameter_hex": frame.parameter.hex(),
    }
    if uhf_m100.is_tag(frame):
        tag = uhf_m100.decode_tag(frame.parameter)
        keys |= {
            "rssi_dbm": tag.rssi_dbm,
            "pc_hex": f"{tag.pc:04x}",
            "epc_hex": tag.epc.hex(),
            "crc_hex": f"{tag.crc:04x}",
        }
    for name, value in (
        ("repeat_count", uhf_m100.repeat_count_of(frame)),
        ("error_code", uhf_m100.error_code_of(frame)),
    ):
        if value is not None:
            keys[name] = value
    return keys


def encode_m100(fields: Fields) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    frame = uhf_m100.Frame(
        fields.integer("frame_type", 0xFF), fields.integer("command", 0xFF), fields.octets("parameter_hex")
    )
    return uhf_m100.encode_frame(frame)


def decode_r2000(wire: bytes) -> Message:
    """Read a frame. Raises `RemoteProtocolError`."""
    frame = uhf_r2000.decode_frame(wire)
    keys: Message = {
        "reader_address": frame.address,
        "command": frame.command,
        "parameter_hex": frame.parameter.hex(),
    }
    code = uhf_r2000.result_code_of(frame)
    if code is not None:
        keys["result_code"] = code
    match uhf_r2000.decode_inventory(frame):
        case uhf_r2000.Tag() as tag:
            keys |= {
                "frequency_index": tag.frequency_index,
                "antenna": tag.antenna,
                "pc_hex": f"{tag.pc:04x}",
                "epc_hex": tag.epc.hex(),
                "rssi_raw": tag.rssi,
            }
        case uhf_r2000.RoundEnd() as end:
            keys |= {"antenna": end.antenna, "read_rate": end.read_rate, "total_read": end.total_read}
        case None:
            pass
    return keys


def encode_r2000(fields: Fields) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    frame = uhf_r2000.Frame(
        fields.integer("reader_address", 0xFF), fields.integer("command", 0xFF), fields.octets("parameter_hex")
    )
    return uhf_r2000.encode_frame(frame)


def decode_llrp(wire: bytes) -> Message:
    """Read a message. Raises `RemoteProtocolError`."""
    message = decode_message_frame(wire)
    keys: Message = {
        "version": message.version,
        "message_type": message.message_type,
        "message_length": len(wire),
        "message_id": message.message_id,
        "parameter_types": [parameter.type for parameter in message.parameters],
        "body_hex": wire[HEAD_BYTES:].hex(),
    }
    event = llrp_reports.event_of(message)
    for name, value in (
        ("utc_microseconds", llrp_reports.utc_microseconds_of(event)),
        ("connection_status", llrp_reports.connection_status_of(event)),
    ):
        if value is not None:
            keys[name] = value
    status = llrp_reports.status_of(message)
    if status is not None:
        keys |= {"status_code": status.code, "status_text": status.description}
    if message.message_type == MessageType.RO_ACCESS_REPORT:
        keys["tags"] = [_tag_keys(tag) for tag in llrp_reports.tags_of(message)]
    return keys


def _tag_keys(tag: llrp_reports.TagReport) -> Message:
    keys: Message = {
        "epc_hex": None if tag.epc is None else tag.epc.hex(),
        "antenna": tag.antenna,
        "peak_rssi_dbm": tag.peak_rssi_dbm,
        "seen_count": tag.seen_count,
        "epc_bits": tag.epc_bits,
    }
    return {name: value for name, value in keys.items() if value is not None}


def encode_llrp(fields: Fields) -> bytes:
    """Write a message from its body. Raises `ProtocolError`."""
    kind, body = fields.integer("message_type", 0x3FF), fields.octets("body_hex")
    first = FIELD_BYTES.get(kind, len(body))
    message = LlrpMessage(
        kind,
        fields.integer("message_id", 0xFFFFFFFF),
        body[:first],
        decode_parameters(body[first:]),
        fields.integer("version", 7),
    )
    return encode_message_frame(message)
