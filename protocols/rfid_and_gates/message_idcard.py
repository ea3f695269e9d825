"""Readable form of the frames of identity-card readers. What a card says stands in it masked, or not at all.

So an answer that holds a card, or its serial number, is not written back. One without data is, and one that a card was
found.
"""

from protocols.core.errors import LocalProtocolError, OptionError, RemoteProtocolError
from protocols.message_fields import Fields
from protocols.rfid_and_gates.idcard_card import TEXT_BYTES, decode_card, decode_text, is_foreigner, masked
from protocols.rfid_and_gates.idcard_sam import (
    HEAD_BYTES,
    Request,
    Response,
    Sw3,
    decode_frame,
    decode_request,
    decode_response,
    encode_frame,
    is_response,
    request_frame,
    response_frame,
)

Message = dict[str, object]

DIRECTIONS = ("request", "response")
_CARD_STATES = {
    Sw3.FOUND: "found",
    Sw3.NO_CARD: "not_found",
    Sw3.SELECT_FAILED: "select_failed",
    Sw3.READ_FAILED: "read_failed",
}
_STATUS_BYTES = 3


def decode_idcard(wire: bytes, direction: object) -> Message:
    """Read a frame. direction: None goes by its first bytes. Raises `RemoteProtocolError`, `OptionError`."""
    if direction is not None and direction not in DIRECTIONS:
        raise OptionError("request or response", field="direction")
    frame = decode_frame(wire)
    length = len(frame.payload) + 1
    if direction == "response" or (direction is None and is_response(frame)):
        return {"direction": "response", "payload_length": length, **_response_keys(decode_response(frame))}
    request = decode_request(frame)
    return {
        "direction": "request",
        "payload_length": length,
        "command": request.command,
        "parameter": request.parameter,
        "data_hex": request.data.hex(),
    }


def _response_keys(response: Response) -> Message:
    keys: Message = {
        "sw1": response.sw1,
        "sw2": response.sw2,
        "sw3": response.sw3,
        "data_length": len(response.data),
    }
    if response.sw3 == Sw3.OK:
        keys["card_state"] = "read" if response.is_card else "selected"
    elif response.sw3 in _CARD_STATES:
        keys["card_state"] = _CARD_STATES[Sw3(response.sw3)]
    if response.sw3 == Sw3.FOUND:
        keys["data_hex"] = response.data.hex()
    return keys | _card_keys(response.data) if response.is_card else keys


def _card_keys(data: bytes) -> Message:
    try:
        card = decode_card(data)
        keys: Message = {
            "text_length": len(card.text),
            "photo_length": len(card.photo),
            "fingerprint_length": 0 if card.fingerprint is None else len(card.fingerprint),
        }
        if len(card.text) == TEXT_BYTES and not is_foreigner(card.text):
            keys["id_number_masked"] = masked(decode_text(card.text).number)
    except RemoteProtocolError as error:
        error.offset = HEAD_BYTES + _STATUS_BYTES + (error.offset or 0)
        raise
    return keys


def encode_idcard(fields: Fields) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    direction = fields.text("direction")
    if direction == "request":
        command, parameter = fields.integer("command", 0xFF), fields.integer("parameter", 0xFF)
        return encode_frame(request_frame(Request(command, parameter, fields.octets("data_hex", default=""))))
    if direction != "response":
        raise LocalProtocolError("request or response", field="direction")
    data = fields.octets("data_hex", default="")
    sw1, sw2, sw3 = (fields.integer(name, 0xFF) for name in ("sw1", "sw2", "sw3"))
    return encode_frame(response_frame(Response(sw1, sw2, sw3, data)))
