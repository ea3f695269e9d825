"""Frames and characters <-> readable keys: volts, degrees, ISO times, names, nulls.

MicroPython-clean (on a port with 32-bit floats degrees lose digits there: use the wire types). A case holds `hex`, one
frame, or `protocol: "character"` and `text`, a character of a light. Values without a name stay numbers, items and
verbs that are not known stay hex.

>>> decode_message({"protocol": "character", "text": "FL(2) R 6S"})["intervals_ms"]
[800, 1200, 800, 3200]
>>> decode_message(encode_message({"kind": "answer", "station": 994121001, "id": 5, "stage": "verified"}))["stage"]
'verified'
"""

from protocols.aton.character import Character, character_text, parse_character
from protocols.aton.classify import character_of
from protocols.aton.commands import ANSWER, COMMAND, decode_answer, decode_command, encode_answer, encode_command
from protocols.aton.frame import BODY_AT, Frame, decode_frame, encode_frame
from protocols.aton.message_commands import answer_of, command_of, readable_answer, readable_command
from protocols.aton.message_reports import readable_report, report_of
from protocols.aton.rhythm import Rhythm, rhythm_of
from protocols.aton.telemetry import REPORT, decode_report, encode_report
from protocols.aton.words import is_hex, whole
from protocols.core.errors import FieldError, LocalProtocolError, OptionError, RemoteProtocolError, UnsupportedError

KINDS = {"report": REPORT, "command": COMMAND, "answer": ANSWER}
CHARACTER = "character"
_FRAME_KEYS = ("kind", "station", "serial")
_CHARACTER_KEYS = ("character", "name", "colours", "period_s", "intervals_ms", "duty_pct")


def decode_message(case: dict[str, object]) -> dict[str, object]:
    """Decode a frame or a character. Raises `RemoteProtocolError` and `OptionError`."""
    protocol = case.get("protocol")
    wanted = ("protocol", "text") if protocol == CHARACTER else ("hex",)
    for key in case:
        if key not in wanted:
            raise OptionError("aton takes `hex`, or `text` with the protocol character", field=key)
    given = case.get(wanted[-1])
    if not isinstance(given, str):
        raise OptionError("a frame in hex is wanted, or the text of a character", field=wanted[-1])
    if protocol == CHARACTER:
        return _readable_character(parse_character(given))
    if not is_hex(given):
        raise OptionError("not pairs of hex digits", field="hex")
    return _readable_frame(decode_frame(bytes.fromhex(given)))


def _readable_frame(frame: Frame) -> dict[str, object]:
    message: dict[str, object] = {"kind": frame.kind, "station": frame.station, "serial": frame.serial}
    if frame.kind not in (REPORT, COMMAND, ANSWER):
        raise UnsupportedError("no report, command or answer", offset=2, field="kind", raw=frame.body)
    try:
        if frame.kind == REPORT:
            message.update(readable_report(decode_report(frame.body)))
        elif frame.kind == COMMAND:
            message.update(readable_command(decode_command(frame.body)))
        else:
            message.update(readable_answer(decode_answer(frame.body)))
    except RemoteProtocolError as error:
        error.offset = BODY_AT + (error.offset or 0)
        raise
    message["kind"] = ("report", "command", "answer")[frame.kind - 1]
    return message


def _readable_character(character: Character) -> dict[str, object]:
    """Its intervals are null where it has no period, or one that it does not fit into."""
    message: dict[str, object] = {
        "character": character_text(character),
        "name": character.name,
        "colours": list(character.colours),
        "period_s": None if character.period_ms is None else character.period_ms / 1000,
        "intervals_ms": None,
        "duty_pct": None,
    }
    try:
        rhythm = rhythm_of(character)
    except LocalProtocolError:
        return message
    message["intervals_ms"] = list(rhythm.intervals)
    message["duty_pct"] = rhythm.duty_permille / 10
    return message


def encode_message(message: dict[str, object]) -> dict[str, object]:
    """Encode a frame, `{"hex": ...}`, or a character, `{"text": ...}`. Raises `LocalProtocolError`.

    A character is given as `character`, or else as `intervals_ms` and `colours`.
    """
    if "kind" not in message:
        return {"text": character_text(_character_of(message))}
    kind = message["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise LocalProtocolError("neither report, command nor answer", field="kind")
    values = {key: value for key, value in message.items() if key not in _FRAME_KEYS}
    if kind == "report":
        body = encode_report(report_of(values))
    elif kind == "command":
        body = encode_command(command_of(values))
    else:
        body = encode_answer(answer_of(values))
    frame = Frame(
        KINDS[kind], whole(message.get("station"), "station"), whole(message.get("serial", 0), "serial"), body
    )
    return {"hex": encode_frame(frame).hex()}


def _character_of(message: dict[str, object]) -> Character:
    for key in message:
        if key not in _CHARACTER_KEYS:
            raise LocalProtocolError("a character has no such key", field=key)
    given = message.get("character")
    intervals = message.get("intervals_ms")
    colours = message.get("colours", [])
    if isinstance(given, str):
        try:
            return parse_character(given)
        except FieldError as error:
            problem = error.reason
        raise LocalProtocolError(problem, field="character")
    if not isinstance(intervals, list) or not isinstance(colours, list):
        raise LocalProtocolError("a text as `character`, or lists of `intervals_ms` and `colours`", field="character")
    if not all(isinstance(colour, str) for colour in colours):
        raise LocalProtocolError("colours are letters", field="colours")
    return character_of(Rhythm(tuple([whole(length, "intervals_ms") for length in intervals]), tuple(colours)))
