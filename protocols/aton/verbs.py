"""The verbs of commands: the arguments of each, and whether a buoy can do what they say.

MicroPython-clean. The arguments of a verb are fixed integers in the order of its `FIELDS`, then a text or pairs where
it has them. Verbs that are not in `VERBS`, and values that nobody knows yet, are kept as they came.

>>> LampMode.decode(LampMode(LAMP_OFF, 3600, 1).encode())
LampMode(2, 3600, 1)
"""

import struct

from protocols.aton.character import parse_character
from protocols.aton.rhythm import rhythm_of
from protocols.aton.telemetry import ALARMS, THRESHOLD_LIMITS
from protocols.core.errors import FieldError, LocalProtocolError, ProtocolError
from protocols.core.instant import BUILD_DAY

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
MAX_TEXT_BYTES = 128
MOST_PAIRS = 16
LONGEST_HOLD_S = 7 * 86_400
LONGEST_TEST_S = 600
MOST_INTENSITY = 15
SHORTEST_INTERVAL_S = 60
_E7 = 10_000_000
_BUILD_S = BUILD_DAY * 86_400


def encode_text(text: str, name: str) -> bytes:
    """Up to 128 printable characters. Raises `LocalProtocolError`."""
    if len(text) > MAX_TEXT_BYTES or not all(" " <= one <= "~" for one in text):
        raise LocalProtocolError("128 printable characters at most", field=name)
    return text.encode()


def decode_text(raw: bytes, name: str) -> str:
    """The inverse. Raises `FieldError`."""
    if len(raw) > MAX_TEXT_BYTES or not all(0x20 <= byte <= 0x7E for byte in raw):
        raise FieldError("128 printable characters at most", field=name, raw=raw)
    return bytes(raw).decode()


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
        return Arguments.encode(self) + encode_text(self.text, "text")

    @classmethod
    def decode(cls, raw: bytes) -> "SetCharacter":
        """Read them. Raises `FieldError`."""
        if not raw:
            raise FieldError("no step", field=cls.NAME)
        return cls(raw[0], decode_text(raw[1:], "text"))


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
        return bool(self.pairs) and all(_is_threshold(alarm, hundredths) for alarm, hundredths in self.pairs)

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


def _is_threshold(alarm: int, hundredths: int) -> bool:
    if not 0 <= alarm < len(ALARMS):
        return False
    low, high = THRESHOLD_LIMITS.get(ALARMS[alarm], (0, hundredths))
    return low <= hundredths <= high


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
        return encode_text(self.text, "text")

    @classmethod
    def decode(cls, raw: bytes) -> "UpdateFirmware":
        """Read them. Raises `FieldError`."""
        return cls(decode_text(raw, "text"))


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
