"""Messages <-> readable keys: degrees, knots, metres, nulls.

A case holds `text`: a line, or a list of lines that are the parts of one message in any order. The result is one flat
object: `talker`, `formatter`, `channel` (and `tag`, if it has a block) of part 1, `bit_length`, then the fields. A type
without a table gives what every message begins with.

>>> read = decode_message({"text": "!AIVDM,1,1,,B,K5DfMB9FLsM?P00d,0*70"})
>>> read["type"], read["mmsi"], read["speed"]
(27, 357277000, 0)
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from protocols.ais import aton, binary, inland, position
from protocols.ais.assembler import received_of
from protocols.ais.catalogue import encode, table_for
from protocols.ais.message_writer import message_of, text, whole
from protocols.ais.sentence import decode_part, encode_part, parts_of
from protocols.ais.table import Message, Row
from protocols.core.errors import FieldError, FrameError, LocalProtocolError, OptionError
from protocols.nmea0183.tag_block import tag_of

_MOST_LINES = 9
_LINE_ENDS = "\r\n"
_FASTEST_TURN = 126
_TURN_ROOT = 4.733
_SENTENCE = ("talker", "formatter", "channel", "tag", "bit_length")


def decode_message(case: Mapping[str, object]) -> dict[str, Any]:
    """Decode the lines in `text`. Raises `RemoteProtocolError` and `OptionError`."""
    for key in case:
        if key != "text":
            raise OptionError("ais takes `text` and nothing else", field=key)
    received = received_of([decode_part(line) for line in _lines_of(case.get("text"))])
    head = received.head
    read: dict[str, Any] = {"talker": head.talker, "formatter": head.formatter, "channel": head.channel}
    if received.tag is not None:
        read["tag"] = dict(received.tag.pairs)
    read["bit_length"] = received.bit_length
    read.update(readable(received.message))
    return read


def _lines_of(given: object) -> list[bytes]:
    texts: list[object] = given if isinstance(given, list) else [given]
    if not 1 <= len(texts) <= _MOST_LINES:
        raise FieldError(f"a message has 1 to {_MOST_LINES} parts", field="fragment")
    lines = []
    for one in texts:
        if not isinstance(one, str):
            raise OptionError("a line or a list of lines is wanted", field="text")
        if not one.isascii():
            offset = next(at for at, character in enumerate(one) if not character.isascii())
            raise FrameError("a character that is not printable ASCII", offset=offset, field="text")
        lines.append(one.rstrip(_LINE_ENDS).encode())
    return lines


def readable(message: Message) -> dict[str, Any]:
    """The fields of a message by their readable keys."""
    read: dict[str, Any] = {}
    for name, row in table_for(type(message)).rows.items():
        value = getattr(message, name)
        special = _READ.get((type(message), name))
        if special is not None:
            read.update(special(message))
        elif not (row.is_optional and value is None):
            read[row.key or name] = _readable(row, value)
    match message:
        case binary.AddressedData() | binary.BroadcastData():
            read["app_data_bits"] = message.data.count
            read["app_data_hex"] = message.data.hex
        case binary.SafetyText():
            read["text"] = _plain(message.text)
    return read


def _readable(row: Row, value: Any) -> Any:
    if row.kind == "text":
        return _plain(value)
    if value is None or (row.limit is not None and value >= row.limit):
        return None
    return value if row.per == 1 else value / row.per


def _plain(text: str) -> str:
    return text.partition("@")[0].rstrip(" ")


def _turn(report: position.PositionReport) -> dict[str, Any]:
    raw = -128 if report.rate_of_turn is None else report.rate_of_turn
    known = abs(raw) <= _FASTEST_TURN
    return {"turn_raw": raw, "turn": math.copysign((raw / _TURN_ROOT) ** 2, raw) if known else None}


def _status_byte(report: aton.AidReport) -> dict[str, Any]:
    code = report.regional
    read: dict[str, Any] = {"regional": code, "aton_page": code >> 5}
    if code >> 5 == aton.STATUS_PAGE:
        read |= {"aton_racon": code >> 3 & 3, "aton_light": code >> 1 & 3, "aton_health": bool(code & 1)}
    return read


def _gauges(levels: inland.WaterLevels) -> dict[str, Any]:
    return {"gauges": [{"id": gauge.gauge_id, "level_cm": gauge.level_cm} for gauge in levels.gauges]}


_READ: Mapping[tuple[type[Message], str], Callable[[Any], dict[str, Any]]] = {
    (position.PositionReport, "rate_of_turn"): _turn,
    (aton.AidReport, "regional"): _status_byte,
    (aton.AidReport, "name"): lambda report: {"name": report.full_name},
    (inland.WaterLevels, "gauges"): _gauges,
}
"""Fields that are more or other than one readable key."""


def encode_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Encode a message into its lines, always a list: `{"text": [...]}`. Raises `LocalProtocolError`.

    Total and number are 1 and the sequence number is empty where one line is enough; else the sequence number is 0.
    """
    own = message_of({key: value for key, value in message.items() if key not in _SENTENCE})
    if message.get("bit_length") is not None:
        own = structs.replace(own, odd_length=whole(message["bit_length"], "bit_length"))
    talker, formatter = text(message.get("talker"), "talker"), text(message.get("formatter"), "formatter")
    channel = message.get("channel")
    parts = parts_of(*encode(own), talker, formatter, None if channel is None else text(channel, "channel"))
    tag = message.get("tag")
    if tag is not None:
        if not isinstance(tag, dict) or not all(isinstance(one, str) for pair in tag.items() for one in pair):
            raise LocalProtocolError("not an object of texts", field="tag")
        parts[0] = structs.replace(parts[0], tag=tag_of(list(tag.items())))
    return {"text": [encode_part(part).decode() for part in parts]}
