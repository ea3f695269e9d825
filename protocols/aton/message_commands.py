"""Commands and answers <-> readable keys. MicroPython-clean."""

from protocols.aton.commands import REASONS, STAGES, Answer, Command
from protocols.aton.telemetry import ALARMS
from protocols.aton.verbs import MODES, STEPS, SUBJECTS, VERBS, Arguments, SetThresholds, UnknownVerb
from protocols.aton.words import (
    bytes_of,
    code_of,
    flag,
    readable_flag,
    scaled,
    seconds_of,
    text,
    time_text,
    whole,
    word,
)
from protocols.core.errors import LocalProtocolError

_NAMES = {"mode": MODES, "step": STEPS, "subject": SUBJECTS}
_FLAGS = ("is_confirmed", "must_learn")
_TIMES = ("from_s", "to_s", "time_s")
_SCALED = {
    "lat_e7_deg": ("lat", 10_000_000),
    "lon_e7_deg": ("lon", 10_000_000),
    "swing_dm": ("swing_m", 10),
    "alarm_dm": ("alarm_m", 10),
}
_KEYS = {"is_confirmed": "confirmed", "must_learn": "learn", "from_s": "from", "to_s": "to", "time_s": "time"}
_BY_NAME = {kind.NAME: kind for kind in VERBS.values()}
_COMMON = ("id", "expires", "verb")
_THRESHOLDS = "thresholds"
_RAW = "arguments_hex"


def _key_of(name: str) -> str:
    return _SCALED[name][0] if name in _SCALED else _KEYS.get(name, name)


def readable_command(command: Command) -> dict[str, object]:
    """A command by its readable keys."""
    arguments = command.arguments
    message: dict[str, object] = {"id": command.command_id, "expires": time_text(command.expires_s)}
    if isinstance(arguments, UnknownVerb):
        message["verb"] = arguments.verb
        message[_RAW] = arguments.raw.hex()
        return message
    message["verb"] = arguments.NAME
    if isinstance(arguments, SetThresholds):
        message[_THRESHOLDS] = [
            {"alarm": word(ALARMS, alarm), "value": hundredths / 100} for alarm, hundredths in arguments.pairs
        ]
        return message
    for name in arguments.FIELDS:
        message[_key_of(name)] = _readable(name, getattr(arguments, name))
    return message


def _readable(name: str, value: int | str) -> object:
    readable: object = value
    if isinstance(value, int):
        if name in _NAMES:
            readable = word(_NAMES[name], value)
        elif name in _FLAGS:
            readable = readable_flag(value)
        elif name in _TIMES:
            readable = time_text(value)
        elif name in _SCALED:
            readable = value / _SCALED[name][1]
    return readable


def command_of(values: dict[str, object]) -> Command:
    """The command of some readable keys. Raises `LocalProtocolError`."""
    arguments = _arguments_of(values)
    used = [_key_of(name) for name in arguments.FIELDS]
    if isinstance(arguments, SetThresholds):
        used = [_THRESHOLDS]
    elif isinstance(arguments, UnknownVerb):
        used = [_RAW]
    for key in values:
        if key not in used and key not in _COMMON:
            raise LocalProtocolError("the verb has no such key", field=key)
    return Command(whole(values.get("id"), "id"), seconds_of(values.get("expires"), "expires"), arguments)


def _arguments_of(values: dict[str, object]) -> Arguments:
    verb = values.get("verb")
    if not isinstance(verb, str):
        code = whole(verb, "verb")
        if code in VERBS:
            raise LocalProtocolError("this verb has a name: " + VERBS[code].NAME, field="verb")
        return UnknownVerb(code, bytes_of(values.get(_RAW), _RAW))
    kind = _BY_NAME.get(verb)
    if kind is None:
        raise LocalProtocolError("no such verb", field="verb")
    if kind is SetThresholds:
        return SetThresholds(_pairs_of(values.get(_THRESHOLDS)))
    wire = [_wire(name, _key_of(name), values.get(_key_of(name))) for name in kind.FIELDS]
    made: Arguments = kind(*wire)  # type: ignore[arg-type]  # a verb's own text is among them
    return made


def _wire(name: str, key: str, value: object) -> int | str:
    wire: int | str
    if name == "text":
        wire = text(value, key)
    elif name in _NAMES:
        wire = code_of(_NAMES[name], value, key)
    elif name in _FLAGS:
        wire = flag(value, key)
    elif name in _TIMES:
        wire = seconds_of(value, key)
    elif name in _SCALED:
        wire = scaled(value, _SCALED[name][1], key)
    else:
        wire = whole(value, key)
    return wire


def _pairs_of(given: object) -> tuple[tuple[int, int], ...]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise LocalProtocolError("not a list of objects with alarm and value", field=_THRESHOLDS)
    return tuple(
        [(code_of(ALARMS, one.get("alarm"), _THRESHOLDS), scaled(one.get("value"), 100, _THRESHOLDS)) for one in given]
    )


def readable_answer(answer: Answer) -> dict[str, object]:
    """An answer by its readable keys."""
    return {
        "id": answer.command_id,
        "stage": word(STAGES, answer.stage),
        "reason": word(REASONS, answer.reason),
        "text": answer.text,
    }


def answer_of(values: dict[str, object]) -> Answer:
    """The answer of some readable keys. Raises `LocalProtocolError`."""
    for key in values:
        if key not in ("id", "stage", "reason", "text"):
            raise LocalProtocolError("an answer has no such key", field=key)
    return Answer(
        whole(values.get("id"), "id"),
        code_of(STAGES, values.get("stage"), "stage"),
        code_of(REASONS, values.get("reason", 0), "reason"),
        text(values.get("text", ""), "text"),
    )
