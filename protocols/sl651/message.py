"""Frames <-> readable keys: engineering units, digit texts of times, nulls. See the specification page for every key.

A case holds `hex`: one frame, or a list of the packets of one message. Options: `scan` (the bytes are a stream, and all
good frames in it are told), `reply` (`end_char` and `send_time`: also tell the centre's confirm).

>>> decode_message({"hex": "7E7E00123456780112344A800802000026031508153005782F"})["end_char"]
'ENQ'
"""

from collections.abc import Mapping

from fastcrc import crc16

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, NeedData, OptionError, RemoteProtocolError
from protocols.sl651.bodies import ASCII_OPENING_CHARS, OPENING_BYTES, Bare, Opening, read_opening
from protocols.sl651.catalogue import decode_body, read_body
from protocols.sl651.confirm import confirm_of
from protocols.sl651.frame import (
    ACK,
    ENQ,
    EOT,
    ESC,
    ETB,
    ETX,
    NAK,
    STX,
    SYN,
    Frame,
    decode_frame,
    encode_frame,
)
from protocols.sl651.framer import Framer
from protocols.sl651.message_bodies import body_of, readable_body
from protocols.sl651.message_fields import hex_of, integer_of, text_of
from protocols.sl651.packets import Assembly

NAMES = {
    STX: "STX",
    SYN: "SYN",
    ETX: "ETX",
    ETB: "ETB",
    ENQ: "ENQ",
    ACK: "ACK",
    EOT: "EOT",
    ESC: "ESC",
    NAK: "NAK",
}
CODES = {name: code for code, name in NAMES.items()}
_CONFIRMS = ("ACK", "EOT", "ESC", "NAK")
_FEED_BYTES = 4096


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """Decode the frames in `hex`. Raises `RemoteProtocolError` and `OptionError`."""
    for key in case:
        if key not in ("hex", "scan", "reply"):
            raise OptionError("sl651 takes `hex`, `scan` and `reply`", field=key)
    given = case.get("hex")
    scan = case.get("scan", False)
    if not isinstance(scan, bool):
        raise OptionError("true or false", field="scan")
    if isinstance(given, list):
        if scan or "reply" in case:
            raise OptionError("not with a list of packets", field="scan" if scan else "reply")
        return _readable_packets([decode_frame(_bytes_of(item), crc16.modbus) for item in given])
    data = _bytes_of(given)
    if scan:
        if "reply" in case:
            raise OptionError("not with `scan`", field="reply")
        return {"frames": [_readable_found(frame) for frame in _scanned(data)]}
    frame = decode_frame(data, crc16.modbus)
    message = _readable_frame(frame, data)
    if "reply" in case:
        message["reply_hex"] = encode_frame(_reply_to(frame, case["reply"]), crc16.modbus).hex().upper()
    return message


def _bytes_of(value: object) -> bytes:
    if not isinstance(value, str):
        raise OptionError("the hex of a frame, or a list of packets, is wanted", field="hex")
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise FrameError("not pairs of hex digits", field="hex") from None


def _scanned(data: bytes) -> list[Frame]:
    framer = Framer(crc16.modbus)
    frames: list[Frame] = []
    for at in range(0, len(data) + 1, _FEED_BYTES):
        framer.feed(data[at : at + _FEED_BYTES])
        if at + _FEED_BYTES > len(data):
            framer.silence()
        while not isinstance(frame := framer.next_frame(), NeedData):
            frames.append(frame)
    return frames


def _crc_of(frame: Frame, data: bytes | None = None) -> str:
    data = encode_frame(frame, crc16.modbus) if data is None else data
    return data[-4:].decode().upper() if frame.is_ascii else data[-2:].hex().upper()


def _readable_found(frame: Frame) -> dict[str, object]:
    opening = _opening_of(frame)
    return {
        "function_code": f"{frame.function_code:02X}",
        "serial": None if opening is None else opening.serial,
        "crc": _crc_of(frame),
    }


def _opening_of(frame: Frame) -> Opening | None:
    """Serial and time where a frame has them: not in the later packets of a station."""
    size = ASCII_OPENING_CHARS if frame.is_ascii else OPENING_BYTES
    if len(frame.body) < size or (frame.packet_seq not in (None, 1) and not frame.is_down):
        return None
    try:
        return read_opening(frame.body, frame.is_ascii)[0]
    except FieldError:
        return None


def _readable_head(frame: Frame) -> dict[str, object]:
    return {
        "encoding": "ascii" if frame.is_ascii else "hex",
        "direction": "down" if frame.is_down else "up",
        "center_addr": frame.center_addr,
        "station_addr": frame.station_addr.hex().upper(),
        "password": frame.password.hex().upper(),
        "function_code": f"{frame.function_code:02X}",
    }


def _readable_frame(frame: Frame, data: bytes) -> dict[str, object]:
    message = _readable_head(frame)
    message["body_len"] = frame.length
    message["start_char"] = "STX" if frame.packet_total is None else "SYN"
    message["end_char"] = NAMES[frame.end_char]
    message["crc"] = _crc_of(frame, data)
    if frame.packet_total is None:
        return {**message, **readable_body(decode_body(frame), frame)}
    message["packet_total"] = frame.packet_total
    message["packet_seq"] = frame.packet_seq
    if not frame.is_down:
        message["chunk_len"] = len(frame.body)
    opening = _opening_of(frame)
    if opening is not None:
        message["serial"] = opening.serial
        message["send_time"] = opening.send_time
    return message


def _readable_packets(packets: list[Frame]) -> dict[str, object]:
    if not packets:
        raise OptionError("a list of packets is empty", field="hex")
    assembly = Assembly(packets[0])
    for packet in packets[1:]:
        assembly.add(packet)
    message = _readable_head(assembly.first)
    message["packet_total"] = assembly.total
    message["missing"] = assembly.missing()
    if not assembly.is_whole:
        return message
    joined = assembly.joined()
    body = read_body(joined.body, joined.function_code, joined.is_down, joined.is_ascii)
    message["total_body_len"] = assembly.size
    message.update(readable_body(body, joined))
    return message


def _reply_to(frame: Frame, reply: object) -> Frame:
    """The centre's confirm of an uplink."""
    if not isinstance(reply, dict) or set(reply) != {"end_char", "send_time"}:
        raise OptionError("an object of end_char and send_time", field="reply")
    end_char, send_time = reply["end_char"], reply["send_time"]
    if frame.is_down:
        raise OptionError("only an uplink is confirmed", field="reply")
    if end_char not in _CONFIRMS or not isinstance(end_char, str):
        raise OptionError("one of " + ", ".join(_CONFIRMS), field="reply")
    if not isinstance(send_time, str) or len(send_time) != 12 or not (send_time.isascii() and send_time.isdigit()):
        raise OptionError("twelve digits of time", field="reply")
    opening = _opening_of(frame)
    serial = 0 if opening is None else opening.serial
    seq = frame.packet_total if end_char != "NAK" else frame.packet_seq
    try:
        confirm = confirm_of(frame, serial, send_time, CODES[end_char], seq)
        encode_frame(confirm, crc16.modbus)
    except LocalProtocolError as error:
        raise OptionError(error.reason, field="reply") from error
    return confirm


_HEAD = frozenset(
    {
        "encoding",
        "direction",
        "center_addr",
        "station_addr",
        "password",
        "function_code",
        "body_len",
        "start_char",
        "end_char",
        "crc",
        "packet_total",
        "packet_seq",
    }
)
"""Keys of the frame itself; body_len, start_char and crc follow from the others and are not read."""


def encode_message(message: dict[str, object]) -> dict[str, object]:
    """Encode a message into its canonical frame: `{"hex": ...}`. Raises `LocalProtocolError`.

    A packet of a station is refused, for its message does not hold its body.
    """
    is_down = _choice_of(message, "direction", "down", "up")
    is_ascii = _choice_of(message, "encoding", "ascii", "hex")
    end_char = CODES.get(text_of(message, "end_char"))
    if end_char is None:
        raise LocalProtocolError("one of " + ", ".join(CODES), field="end_char")
    function_code = hex_of(message, "function_code", 1)[0]
    rest = {key: value for key, value in message.items() if key not in _HEAD}
    total: int | None = None
    seq: int | None = None
    if "packet_total" in message:
        if not is_down:
            raise LocalProtocolError("the body of a packet is not in its message", field="packet_total")
        total, seq = integer_of(message, "packet_total"), integer_of(message, "packet_seq")
    body = body_of(rest, function_code, is_down, is_ascii, is_down and end_char != ENQ)
    if total is not None and end_char == ENQ and not isinstance(body, Bare):
        raise LocalProtocolError("the body of a packet is not in its message", field="packet_total")
    frame = Frame(
        integer_of(message, "center_addr"),
        hex_of(message, "station_addr", 5),
        hex_of(message, "password", 2),
        function_code,
        body.encode(is_ascii),
        end_char,
        is_down,
        is_ascii,
        total,
        seq,
    )
    data = encode_frame(frame, crc16.modbus)
    try:
        again = decode_body(decode_frame(data, crc16.modbus))
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.reason, field=error.field) from error
    if again != body:
        raise LocalProtocolError("would be read as something else")
    return {"hex": data.hex().upper()}


def _choice_of(message: dict[str, object], key: str, yes: str, no: str) -> bool:
    text = text_of(message, key)
    if text not in (yes, no):
        raise LocalProtocolError(f"{yes} or {no}", field=key)
    return text == yes
