"""Readable form of variable message signs: what `wayside decode vms` shows.

A case holds `hex`, a frame from 02 to 03, or `text`, a play list, and the options `profile` (sansi, dianming, fenghai,
xianke; sansi where absent), `direction` (request, response; request where absent) and, for a response of sansi,
`request_type`: what was answered. Without it only the header of such a response is read.

    every frame     profile direction address src_address (dianming) frame_type request_type (where given) data_hex
                    crc_hex, and by its type:
    results         result_ok
    brightness      brightness_mode brightness_raw brightness_percent
    files           file_name write_mode file_offset play_list_text, and of a list from its start item_count items
    shown now       item_index stay_raw stay_s in_mode effect_mode out_mode play_speed media_text elements
    a list          item_count items

Two address bytes that are not printable are written as four hex digits. A message is written from `data_hex` where it
is there, else from its named fields; where both are there they must say the same.

>>> decode_message({"hex": "0230313030c5520303"})
Traceback (most recent call last):
protocols.core.errors.FrameError: a bare 03 inside (at byte 7)
>>> encode_message({"address": "00", "frame_type": "05", "brightness_raw": 31})
{'hex': '02303030353331333133314ba803'}
"""

from collections.abc import Mapping

from protocols.core.errors import LocalProtocolError, OptionError, RemoteProtocolError
from protocols.message_case import check_options, check_same, one_of
from protocols.message_fields import Fields, octets_of
from protocols.vms.contents import content_type, decode_content
from protocols.vms.frame import DIALECTS, SANSI, Dialect, Frame, crc_xmodem, decode_frame, encode_frame, wire_offset
from protocols.vms.frame import body_of as frame_body
from protocols.vms.message_content import read_content, write_content
from protocols.vms.message_lists import Message, read_list, write_list

_OPTIONS = frozenset({"hex", "text", "profile", "direction", "request_type"})
_DIRECTIONS = ("request", "response")


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """Read one case. Raises `RemoteProtocolError` for bad bytes, `OptionError` for a bad case."""
    check_options(case, _OPTIONS, "vms")
    dialect = _dialect_of(case)
    is_response = _is_response(case)
    request_type = _request_type_of(case)
    text = case.get("text")
    if isinstance(text, str) and "hex" not in case:
        return {"profile": dialect.name, **read_list(text, dialect)}
    digits = case.get("hex")
    if not isinstance(digits, str) or "text" in case:
        raise OptionError("a frame as hex digits, or a play list as text", field="hex")
    return _read_frame(octets_of(digits), dialect, request_type, is_response=is_response)


def _dialect_of(case: Mapping[str, object]) -> Dialect:
    return DIALECTS[one_of(case.get("profile", SANSI.name), DIALECTS, "profile", OptionError)]


def _is_response(case: Mapping[str, object]) -> bool:
    return one_of(case.get("direction", _DIRECTIONS[0]), _DIRECTIONS, "direction", OptionError) == _DIRECTIONS[1]


def _request_type_of(case: Mapping[str, object]) -> str | None:
    """Two digits; a number is taken too, which is what a command line makes of `10`."""
    value = case.get("request_type")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 99:
        return f"{value:02}"
    if value is not None and not isinstance(value, str):
        raise OptionError('two digits such as "06"', field="request_type")
    return value


def _read_frame(wire: bytes, dialect: Dialect, request_type: str | None, *, is_response: bool) -> Message:
    frame = decode_frame(wire, dialect, is_response=is_response)
    crc = crc_xmodem(frame_body(frame, dialect, is_response=is_response))
    head: Message = {
        "profile": dialect.name,
        "direction": _DIRECTIONS[is_response],
        "address": _address_text(frame.address),
    }
    if frame.source is not None:
        head["src_address"] = _address_text(frame.source)
    head["frame_type"] = frame.frame_type
    if request_type is not None:
        head["request_type"] = request_type
    head |= {"data_hex": frame.data.hex(), "crc_hex": f"{crc:04x}"}
    try:
        content = decode_content(frame, dialect, is_response=is_response, request_type=request_type)
    except RemoteProtocolError as error:
        error.offset = wire_offset(wire, dialect.header_bytes(is_response=is_response) + (error.offset or 0))
        raise
    return {**head, **read_content(content, dialect)}


def _address_text(address: bytes) -> str:
    return address.decode("ascii") if all(0x20 < byte < 0x7F for byte in address) else address.hex()


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """Write one message as hex, or as text where it is a list alone. Raises `LocalProtocolError`.

    What is written says, read again, all that the message says.
    """
    written = _written(message)
    options = {name: message[name] for name in ("profile", "direction", "request_type") if name in message}
    try:
        check_same(message, decode_message({**options, **written}), "request_type", "crc_hex")
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.reason, field=error.field) from None
    return written


def _written(message: Mapping[str, object]) -> dict[str, object]:
    dialect = _dialect_of(message)
    is_response = _is_response(message)
    if "address" not in message:
        return {"text": write_list(message.get("items"), dialect)}
    frame_type = message.get("frame_type")
    if frame_type is not None and not isinstance(frame_type, str):
        raise LocalProtocolError("two digits", field="frame_type")
    source = _address_octets(message, "src_address") if dialect.has_source else None
    data = _data_of(message, frame_type, dialect, is_response=is_response)
    frame = Frame(_address_octets(message, "address"), data, frame_type, source)
    return {"hex": encode_frame(frame, dialect, is_response=is_response).hex()}


def _data_of(message: Mapping[str, object], frame_type: str | None, dialect: Dialect, *, is_response: bool) -> bytes:
    fields = Fields(message)
    if fields.has("data_hex"):
        return fields.octets("data_hex")
    kind = frame_type or _request_type_of(message)
    return write_content(content_type(kind, dialect, is_response=is_response), message, dialect)


def _address_octets(message: Mapping[str, object], name: str) -> bytes:
    text = message.get(name)
    if isinstance(text, str) and text.isascii() and len(text) == 2:
        return text.encode("ascii")
    try:
        address = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        address = b""
    if len(address) != 2:
        raise LocalProtocolError("two characters, or four hex digits", field=name)
    return address
