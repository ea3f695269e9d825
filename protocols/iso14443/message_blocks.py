"""Readable form of blocks, APDUs and data objects. See `message.py`."""

from collections.abc import Callable, Mapping, Sequence

from protocols.core.errors import LocalProtocolError
from protocols.iso14443.apdu import (
    MAX_EXTENDED_NE,
    CommandApdu,
    ResponseApdu,
    decode_command,
    decode_response,
    encode_command,
    encode_response,
)
from protocols.iso14443.ber_tlv import MAX_DEPTH, Objects, Tlv, decode_tlv, encode_tlv, tlv
from protocols.iso14443.block import (
    MAX_WTXM,
    Block,
    DeselectBlock,
    InformationBlock,
    ReceiveBlock,
    WaitBlock,
    decode_block,
    encode_block,
)
from protocols.iso14443.crc import crc_a, strip_crc_a
from protocols.iso14443.status import meaning_of
from protocols.message_fields import Fields


def _read_block(data: bytes) -> dict[str, object]:
    block = decode_block(data)
    match block:
        case InformationBlock():
            return {
                "block_type": "I",
                "cid": block.cid,
                "block_number": block.block_number,
                "chaining": block.chaining,
                "nad": block.nad,
                "inf": block.inf.hex(),
            }
        case ReceiveBlock():
            return {"block_type": "R", "cid": block.cid, "block_number": block.block_number, "nak": block.nak}
        case WaitBlock():
            return {
                "block_type": "S",
                "cid": block.cid,
                "s_type": "wtx",
                "power_level": block.power_level,
                "wtxm": block.wtxm,
            }
        case DeselectBlock():
            return {"block_type": "S", "cid": block.cid, "s_type": "deselect"}


def _write_block(fields: Fields) -> bytes:
    return encode_block(_block_of(fields))


def _block_of(fields: Fields) -> Block:
    cid = fields.optional("cid", 15)
    match fields.text("block_type"):
        case "I":
            return InformationBlock(
                fields.integer("block_number", 1),
                fields.octets("inf", default=""),
                fields.flag("chaining", default=False),
                cid,
                nad=fields.optional("nad", 0xFF),
            )
        case "R":
            return ReceiveBlock(fields.integer("block_number", 1), fields.flag("nak"), cid)
        case "S":
            if fields.text("s_type") == "wtx":
                return WaitBlock(fields.integer("wtxm", MAX_WTXM), fields.integer("power_level", 3, 0), cid)
            if fields.text("s_type") == "deselect":
                return DeselectBlock(cid)
            raise LocalProtocolError("deselect or wtx", field="s_type")
        case _:
            raise LocalProtocolError("I, R or S", field="block_type")


def _read_frame_a(data: bytes) -> dict[str, object]:
    return _read_block(strip_crc_a(data))


def _write_frame_a(fields: Fields) -> bytes:
    body = _write_block(fields)
    return body + crc_a(body)


def _read_command(data: bytes) -> dict[str, object]:
    command = decode_command(data)
    return {
        "cla": command.cla,
        "ins": command.ins,
        "p1": command.p1,
        "p2": command.p2,
        "case": command.case,
        "extended": command.extended,
        "data": command.data.hex(),
        "ne": command.ne,
    }


def _write_command(fields: Fields) -> bytes:
    command = CommandApdu(
        fields.integer("cla", 0xFF),
        fields.integer("ins", 0xFF),
        fields.integer("p1", 0xFF),
        fields.integer("p2", 0xFF),
        fields.octets("data", default=""),
        fields.integer("ne", MAX_EXTENDED_NE, 0),
        fields.flag("extended", default=False),
    )
    if fields.has("case") and fields.integer("case", 4) != command.case:
        raise LocalProtocolError(f"data and ne make this case {command.case}", field="case")
    return encode_command(command)


def _read_response(data: bytes) -> dict[str, object]:
    response = decode_response(data)
    return {
        "data": response.data.hex(),
        "sw": f"{response.sw:04x}",
        "sw_text": meaning_of(response.sw),
        "ok": response.ok,
    }


def _write_response(fields: Fields) -> bytes:
    return encode_response(
        ResponseApdu(fields.octets("data", default=""), int.from_bytes(fields.octets("sw", 2), "big"))
    )


def _read_tlv(data: bytes) -> dict[str, object]:
    return {"tlv": _readable(decode_tlv(data))}


def _readable(objects: Objects) -> list[dict[str, object]]:
    return [
        {
            "tag": item.tag.hex(),
            "value": item.value.hex() if isinstance(item.value, bytes) else _readable(item.value),
        }
        for item in objects
        if isinstance(item, Tlv)
    ]


def _write_tlv(fields: Fields) -> bytes:
    return encode_tlv(_objects_of(fields.sequence("tlv"), 0))


def _objects_of(items: Sequence[object], depth: int) -> list[Tlv]:
    if depth > MAX_DEPTH:
        raise LocalProtocolError(f"more than {MAX_DEPTH} constructed objects in one another", field="tlv")
    objects = []
    for item in items:
        if not isinstance(item, Mapping):
            raise LocalProtocolError("a list of objects with tag and value", field="tlv")
        fields = Fields(item)
        tag = fields.octets("tag").hex()
        if isinstance(item.get("value"), str):
            objects.append(tlv(tag, fields.octets("value")))
        else:
            objects.append(tlv(tag, _objects_of(fields.sequence("value"), depth + 1)))
    return objects


KINDS: Mapping[str, tuple[Callable[[bytes], dict[str, object]], Callable[[Fields], bytes]]] = {
    "block": (_read_block, _write_block),
    "frame_a": (_read_frame_a, _write_frame_a),
    "apdu_command": (_read_command, _write_command),
    "apdu_response": (_read_response, _write_response),
    "ber_tlv": (_read_tlv, _write_tlv),
}
