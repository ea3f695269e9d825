"""What a buoy is told, and what it answers.

MicroPython-clean. The bodies of frames of kind 2 (command) and 3 (answer), see `frame`:

    command   id (4) | valid until, UTC seconds since 1970 (4) | verb (1) | arguments
    answer    id (4) | stage (1) | reason (1) | text

A command that comes again under the same id is not done again, only answered again. The arguments of a verb are fixed
integers in the order of its `FIELDS`, then a text or pairs where it has them. Verbs that are not in `VERBS`, and values
that nobody knows yet, are kept as they came. What a buoy refuses is told by `orders.why_refused`.

>>> off = Command(5, 1764000000, LampMode(LAMP_OFF, 3600, 1))
>>> decode_command(encode_command(off)).arguments
LampMode(2, 3600, 1)
"""

import struct

from protocols.aton.character import parse_character
from protocols.aton.rhythm import rhythm_of
from protocols.aton.telemetry import ALARMS
from protocols.core.errors import FieldError, LocalProtocolError, ProtocolError
from protocols.core.instant import BUILD_DAY

COMMAND = 2
ANSWER = 3
"""The kinds of their frames."""

LAMP_AUTO = 0
LAMP_ON = 1
LAMP_OFF = 2
LAMP_TEST = 3
MODES = ("auto", "on", "off", "test")
PREPARE = 0
COMMIT = 1
ROLL_BACK = 2
STEPS = ("prepare", "commit", "roll_back")
SUBJECTS = ("status", "config", "log", "version")

RECEIVED = 0
EXECUTED = 1
REFUSED = 2
VERIFIED = 3
STAGES = ("received", "executed", "refused", "verified")
"""`verified`: what was done has been measured, the lamp above all."""
REASONS = ("", "expired", "unknown_verb", "bad_value", "not_confirmed", "not_allowed", "no_fix", "failed",
           "busy", "no_time")  # fmt: skip
MAX_TEXT_BYTES = 128
MOST_PAIRS = 16
LONGEST_HOLD_S = 7 * 86_400
LONGEST_TEST_S = 600
MOST_INTENSITY = 15
SHORTEST_INTERVAL_S = 60
_E7 = 10_000_000
_BUILD_S = BUILD_DAY * 86_400
_COMMAND = ">IIB"
_COMMAND_BYTES = 9
_ANSWER = ">IBB"
_ANSWER_BYTES = 6


class Arguments:
    """The arguments of one verb."""

    __slots__ = ()

    VERB = 0
    NAME = ""
    FORMAT = ">"
    FIELDS: tuple[str, ...] = ()

    def __init__(self, *values: int) -> None:
        for name, value in zip(self.FIELDS, values):  # noqa: B905  # MicroPython's zip has no strict
            setattr(self, name, value)

    def values(self) -> tuple[object, ...]:
        """All of them, in the order of the wire."""
        return tuple([getattr(self, name) for name in self.FIELDS])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Arguments) and (self.VERB, self.values()) == (other.VERB, other.values())

    def __hash__(self) -> int:
        return hash((self.VERB, self.values()))

    def __repr__(self) -> str:
        return type(self).__name__ + "(" + ", ".join([repr(value) for value in self.values()]) + ")"

    def is_sensible(self) -> bool:
        """Whether a buoy can do this: values that are known, in their bounds."""
        return True

    def encode(self) -> bytes:
        """Their bytes. Raises `LocalProtocolError`."""
        numbers = []
        for code, name in zip(self.FORMAT[1:], self.FIELDS):  # noqa: B905  # MicroPython's zip has no strict
            value = getattr(self, name)
            size = 8 * struct.calcsize(">" + code)
            sign = 1 if code == "i" else 0
            if not isinstance(value, int) or not -(sign << size - 1) <= value < 1 << size - sign:
                raise LocalProtocolError(f"does not fit into {size} bits", field=name)
            numbers.append(value)
        return struct.pack(self.FORMAT, *numbers)

    @classmethod
    def decode(cls, raw: bytes) -> "Arguments":
        """Read them. Raises `FieldError`."""
        if len(raw) != struct.calcsize(cls.FORMAT):
            raise FieldError(f"{len(raw)} bytes of arguments, and not {struct.calcsize(cls.FORMAT)}", field=cls.NAME)
        return cls(*struct.unpack(cls.FORMAT, raw))


class LampMode(Arguments):
    """Automatic, on, off, or a test of some seconds. On and off end by themselves."""

    __slots__ = ("duration_s", "is_confirmed", "mode")
    VERB = 1
    NAME = "lamp_mode"
    FORMAT = ">BIB"
    FIELDS = ("mode", "duration_s", "is_confirmed")
    mode: int
    duration_s: int
    """0: 24 hours of on or off."""
    is_confirmed: int
    """1: the second person who has to agree to off has agreed."""

    def is_sensible(self) -> bool:
        """See `Arguments`."""
        is_test = self.mode == LAMP_TEST
        longest = LONGEST_TEST_S if is_test else LONGEST_HOLD_S
        return self.mode < len(MODES) and int(is_test) <= self.duration_s <= longest and self.is_confirmed <= 1


class SetCharacter(Arguments):
    """Another character: prepared, then committed; the old one is kept for rolling back, and then the text is empty."""

    __slots__ = ("step", "text")
    VERB = 2
    NAME = "set_character"
    FORMAT = ">B"
    FIELDS = ("step", "text")
    step: int
    text: str

    def __init__(self, step: int, text: str) -> None:
        self.step = step
        self.text = text

    def is_sensible(self) -> bool:
        """See `Arguments`."""
        if self.step != PREPARE:
            return self.step <= ROLL_BACK and not self.text
        try:
            rhythm_of(parse_character(self.text))
        except ProtocolError:
            return False
        return True

    def encode(self) -> bytes:
        """Their bytes. Raises `LocalProtocolError`."""
        return Arguments.encode(self) + _encode_text(self.text, "text")

    @classmethod
    def decode(cls, raw: bytes) -> "SetCharacter":
        """Read them. Raises `FieldError`."""
        if not raw:
            raise FieldError("no step", field=cls.NAME)
        return cls(raw[0], _decode_text(raw[1:], "text"))


class SetDaylight(Arguments):
    """When it is night: below `on_lux`, until it is above `off_lux`, each for `delay_s`."""

    __slots__ = ("delay_s", "off_lux", "on_lux")
    VERB = 3
    NAME = "set_daylight"
    FORMAT = ">HHH"
    FIELDS = ("on_lux", "off_lux", "delay_s")
    on_lux: int
    off_lux: int
    delay_s: int

    def is_sensible(self) -> bool:
        """See `Arguments`."""
        return self.off_lux > self.on_lux


class SetIntensity(Arguments):
    """One of 16 steps."""

    __slots__ = ("level",)
    VERB = 4
    NAME = "set_intensity"
    FORMAT = ">B"
    FIELDS = ("level",)
    level: int

    def is_sensible(self) -> bool:
        """See `Arguments`."""
        return self.level <= MOST_INTENSITY


class SetThresholds(Arguments):
    """Thresholds of alarms: pairs of an alarm (its position in `telemetry.ALARMS`) and hundredths of its unit."""

    __slots__ = ("pairs",)
    VERB = 5
    NAME = "set_thresholds"
    FORMAT = ">"
    FIELDS = ("pairs",)
    pairs: tuple[tuple[int, int], ...]

    def __init__(self, pairs: tuple[tuple[int, int], ...]) -> None:
        self.pairs = pairs

    def is_sensible(self) -> bool:
        """See `Arguments`."""
        return bool(self.pairs) and all(alarm < len(ALARMS) for alarm, _hundredths in self.pairs)

    def encode(self) -> bytes:
        """Their bytes. Raises `LocalProtocolError`."""
        if len(self.pairs) > MOST_PAIRS:
            raise LocalProtocolError("more than 16 thresholds", field="pairs")
        for alarm, hundredths in self.pairs:
            if not (0 <= alarm <= 255 and -(1 << 31) <= hundredths < 1 << 31):
                raise LocalProtocolError("an alarm has 8 bits and a threshold 32", field="pairs")
        return b"".join([struct.pack(">Bi", alarm, hundredths) for alarm, hundredths in self.pairs])

    @classmethod
    def decode(cls, raw: bytes) -> "SetThresholds":
        """Read them. Raises `FieldError`."""
        if len(raw) % 5 or len(raw) > 5 * MOST_PAIRS:
            raise FieldError("16 pairs of five bytes at most", field=cls.NAME)
        pairs = [struct.unpack(">Bi", raw[at : at + 5]) for at in range(0, len(raw), 5)]
        return cls(tuple([(alarm, hundredths) for alarm, hundredths in pairs]))


class SetAnchor(Arguments):
    """Where the buoy belongs, or that it is to learn that from five minutes of fixes."""

    __slots__ = ("alarm_dm", "lat_e7_deg", "lon_e7_deg", "must_learn", "swing_dm")
    VERB = 6
    NAME = "set_anchor"
    FORMAT = ">BiiHH"
    FIELDS = ("must_learn", "lat_e7_deg", "lon_e7_deg", "swing_dm", "alarm_dm")
    must_learn: int
    lat_e7_deg: int
    lon_e7_deg: int
    swing_dm: int
    alarm_dm: int

    def is_sensible(self) -> bool:
        """See `Arguments`."""
        is_on_globe = abs(self.lat_e7_deg) <= 90 * _E7 and abs(self.lon_e7_deg) <= 180 * _E7
        return self.must_learn <= 1 and is_on_globe and self.alarm_dm > self.swing_dm


class SetSchedule(Arguments):
    """How often it reports, reports in an alarm, takes a fix, and gives a sign of life."""

    __slots__ = ("alarm_report_s", "gnss_s", "heartbeat_s", "report_s")
    VERB = 7
    NAME = "set_schedule"
    FORMAT = ">IIII"
    FIELDS = ("report_s", "alarm_report_s", "gnss_s", "heartbeat_s")
    report_s: int
    alarm_report_s: int
    gnss_s: int
    heartbeat_s: int

    def is_sensible(self) -> bool:
        """See `Arguments`."""
        return min(self.report_s, self.alarm_report_s, self.gnss_s, self.heartbeat_s) >= SHORTEST_INTERVAL_S


class Query(Arguments):
    """Status, configuration, a range of the log, or the version."""

    __slots__ = ("from_s", "subject", "to_s")
    VERB = 8
    NAME = "query"
    FORMAT = ">BII"
    FIELDS = ("subject", "from_s", "to_s")
    subject: int
    from_s: int
    to_s: int

    def is_sensible(self) -> bool:
        """See `Arguments`."""
        return self.subject < len(SUBJECTS) and self.from_s <= self.to_s


class SyncTime(Arguments):
    """What time it is."""

    __slots__ = ("time_s",)
    VERB = 9
    NAME = "sync_time"
    FORMAT = ">I"
    FIELDS = ("time_s",)
    time_s: int

    def is_sensible(self) -> bool:
        """See `Arguments`."""
        return self.time_s >= _BUILD_S


class Reboot(Arguments):
    """Start anew."""

    __slots__ = ()
    VERB = 10
    NAME = "reboot"


class UpdateFirmware(Arguments):
    """Fetch and install a release by its name; how that is trusted is not told here."""

    __slots__ = ("text",)
    VERB = 11
    NAME = "fw_update"
    FIELDS = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        self.text = text

    def is_sensible(self) -> bool:
        """See `Arguments`."""
        return bool(self.text)

    def encode(self) -> bytes:
        """Their bytes. Raises `LocalProtocolError`."""
        return _encode_text(self.text, "text")

    @classmethod
    def decode(cls, raw: bytes) -> "UpdateFirmware":
        """Read them. Raises `FieldError`."""
        return cls(_decode_text(raw, "text"))


class ClearLog(Arguments):
    """Forget the log."""

    __slots__ = ()
    VERB = 12
    NAME = "clear_log"


class UnknownVerb(Arguments):
    """A verb that is not in `VERBS`, with its arguments as they came."""

    __slots__ = ("raw", "verb")
    NAME = "unknown"
    FIELDS = ("verb", "raw")
    verb: int
    raw: bytes

    def __init__(self, verb: int, raw: bytes) -> None:
        self.verb = verb
        self.raw = raw

    def encode(self) -> bytes:
        """Their bytes."""
        return self.raw


VERBS: dict[int, type[Arguments]] = {
    1: LampMode,
    2: SetCharacter,
    3: SetDaylight,
    4: SetIntensity,
    5: SetThresholds,
    6: SetAnchor,
    7: SetSchedule,
    8: Query,
    9: SyncTime,
    10: Reboot,
    11: UpdateFirmware,
    12: ClearLog,
}


class Command:
    """A command."""

    __slots__ = ("arguments", "command_id", "expires_s")

    def __init__(self, command_id: int, expires_s: int, arguments: Arguments) -> None:
        self.command_id = command_id
        self.expires_s = expires_s
        self.arguments = arguments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Command) and encode_command(self) == encode_command(other)

    def __hash__(self) -> int:
        return hash(encode_command(self))


class Answer:
    """How far a command has come."""

    __slots__ = ("command_id", "reason", "stage", "text")

    def __init__(self, command_id: int, stage: int, reason: int = 0, text: str = "") -> None:
        self.command_id = command_id
        self.stage = stage
        self.reason = reason
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and encode_answer(self) == encode_answer(other)

    def __hash__(self) -> int:
        return hash(encode_answer(self))


def encode_command(command: Command) -> bytes:
    """The body of a command. Raises `LocalProtocolError`."""
    arguments = command.arguments
    verb = arguments.verb if isinstance(arguments, UnknownVerb) else arguments.VERB
    for name, value, size in (("id", command.command_id, 32), ("expires", command.expires_s, 32), ("verb", verb, 8)):
        if not 0 <= value < 1 << size:
            raise LocalProtocolError(f"does not fit into {size} bits", field=name)
    return struct.pack(_COMMAND, command.command_id, command.expires_s, verb) + arguments.encode()


def decode_command(body: bytes) -> Command:
    """Decode the body of a command. Raises `FieldError`."""
    if len(body) < _COMMAND_BYTES:
        raise FieldError("ends before its verb", offset=len(body), field="length", raw=body)
    command_id, expires_s, verb = struct.unpack(_COMMAND, body[:_COMMAND_BYTES])
    raw = bytes(body[_COMMAND_BYTES:])
    kind = VERBS.get(verb)
    return Command(command_id, expires_s, UnknownVerb(verb, raw) if kind is None else kind.decode(raw))


def encode_answer(answer: Answer) -> bytes:
    """The body of an answer. Raises `LocalProtocolError`."""
    if not (0 <= answer.command_id < 1 << 32 and 0 <= answer.stage <= 255 and 0 <= answer.reason <= 255):
        raise LocalProtocolError("an id has 32 bits, stage and reason 8", field="id")
    return struct.pack(_ANSWER, answer.command_id, answer.stage, answer.reason) + _encode_text(answer.text, "text")


def decode_answer(body: bytes) -> Answer:
    """Decode the body of an answer. Raises `FieldError`."""
    if len(body) < _ANSWER_BYTES:
        raise FieldError("ends before its reason", offset=len(body), field="length", raw=body)
    command_id, stage, reason = struct.unpack(_ANSWER, body[:_ANSWER_BYTES])
    return Answer(command_id, stage, reason, _decode_text(body[_ANSWER_BYTES:], "text"))


def _encode_text(text: str, name: str) -> bytes:
    if len(text) > MAX_TEXT_BYTES or not all(" " <= one <= "~" for one in text):
        raise LocalProtocolError("128 printable characters at most", field=name)
    return text.encode()


def _decode_text(raw: bytes, name: str) -> str:
    if len(raw) > MAX_TEXT_BYTES or not all(0x20 <= byte <= 0x7E for byte in raw):
        raise FieldError("128 printable characters at most", field=name, raw=raw)
    return bytes(raw).decode()
