"""Parameters of the link and of the clock: commands 1000 to 1072 (HJ 212-2017 table 9, 初始化命令 and 参数命令)."""

from typing import ClassVar

from protocols.hj212.command import Command, Kind, Plain
from protocols.hj212.segment import HIDDEN

_POL_ID = Plain("pol_id", "PolId", is_needed=False)
_SYSTEM_TIME = Plain("system_time", "SystemTime", Kind.TIME)
_RTD_INTERVAL = Plain("interval_s", "RtdInterval", Kind.WHOLE)
_MIN_INTERVAL = Plain("interval_min", "MinInterval", Kind.WHOLE)


class SetTimeouts(Command, frozen=True, kw_only=True):
    """1000, down: how long the site waits for an answer, and how often it repeats (设置超时时间及重发次数)."""

    CN: ClassVar[str] = "1000"
    PLAIN: ClassVar[tuple[Plain, ...]] = (
        Plain("over_time_s", "OverTime", Kind.WHOLE),
        Plain("re_count", "ReCount", Kind.WHOLE),
    )
    over_time_s: int
    re_count: int


class ReadClock(Command, frozen=True, kw_only=True):
    """1011, down: asks for the time. pol_id: the analyser that is meant; None: the data logger itself."""

    CN: ClassVar[str] = "1011"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_POL_ID,)
    pol_id: str | None = None


class ClockReading(Command, frozen=True, kw_only=True):
    """1011, up: the time, `YYYYMMDDhhmmss`."""

    CN: ClassVar[str] = "1011"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_POL_ID, _SYSTEM_TIME)
    system_time: str
    pol_id: str | None = None


class SetClock(Command, frozen=True, kw_only=True):
    """1012, down: set the clock."""

    CN: ClassVar[str] = "1012"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_POL_ID, _SYSTEM_TIME)
    system_time: str
    pol_id: str | None = None


class ClockNotice(Command, frozen=True, kw_only=True):
    """1013, up: a notice that the clock wants to be set; the centre answers it and then sends 1012."""

    CN: ClassVar[str] = "1013"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_POL_ID,)
    pol_id: str | None = None


class ReadRealtimeInterval(Command, frozen=True, kw_only=True):
    """1061, down: asks how often realtime data comes."""

    CN: ClassVar[str] = "1061"


class RealtimeInterval(Command, frozen=True, kw_only=True):
    """1061, up: every so many seconds."""

    CN: ClassVar[str] = "1061"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_RTD_INTERVAL,)
    interval_s: int


class SetRealtimeInterval(Command, frozen=True, kw_only=True):
    """1062, down: send realtime data every so many seconds; the standard has 30 to 3600."""

    CN: ClassVar[str] = "1062"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_RTD_INTERVAL,)
    interval_s: int


class ReadMinuteInterval(Command, frozen=True, kw_only=True):
    """1063, down: asks over how many minutes minute data is formed."""

    CN: ClassVar[str] = "1063"


class MinuteInterval(Command, frozen=True, kw_only=True):
    """1063, up: over so many minutes."""

    CN: ClassVar[str] = "1063"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_MIN_INTERVAL,)
    interval_min: int


class SetMinuteInterval(Command, frozen=True, kw_only=True):
    """1064, down: form minute data over so many minutes; the standard has 5, 10, 15, 20 and 30."""

    CN: ClassVar[str] = "1064"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_MIN_INTERVAL,)
    interval_min: int


class SetPassword(Command, frozen=True, kw_only=True):
    """1072, down: the device's password from now on. A secret: it belongs into no log."""

    CN: ClassVar[str] = "1072"
    PLAIN: ClassVar[tuple[Plain, ...]] = (Plain("new_pw", "NewPW"),)
    new_pw: str

    def __repr__(self) -> str:
        return f"SetPassword(new_pw={HIDDEN})"


DOWN: tuple[type[Command], ...] = (
    SetTimeouts, ReadClock, SetClock, ReadRealtimeInterval, SetRealtimeInterval, ReadMinuteInterval, SetMinuteInterval,
    SetPassword,
)  # fmt: skip
UP: tuple[type[Command], ...] = (ClockReading, ClockNotice, RealtimeInterval, MinuteInterval)
