"""Measured data and states: commands 2011 to 2081 (HJ 212-2017 table 9, 数据命令).

The same code asks for data (down) and carries it (up). What was measured stands in `others`, as items with a factor's
code and an attribute; `values_of` of `message.py` sorts them by factor.

DataTime: of realtime data the second of the sample; of minute, hour and day data the start of the interval.
"""

from typing import ClassVar

from protocols.hj212.command import Command, Kind, Plain

_DATA_TIME = Plain("data_time", "DataTime", Kind.TIME)
_INTERVAL = (Plain("begin_time", "BeginTime", Kind.TIME), Plain("end_time", "EndTime", Kind.TIME))


class _Upload(Command, frozen=True, kw_only=True):
    """Data of one time."""

    PLAIN: ClassVar[tuple[Plain, ...]] = (_DATA_TIME,)
    data_time: str


class _Query(Command, frozen=True, kw_only=True):
    """Asks for what was stored from begin_time to end_time; the answers are uploads of the same CN and QN."""

    PLAIN: ClassVar[tuple[Plain, ...]] = _INTERVAL
    begin_time: str
    end_time: str


class StartRealtime(Command, frozen=True, kw_only=True):
    """2011, down: send realtime data from now on."""

    CN: ClassVar[str] = "2011"


class RealtimeData(_Upload, frozen=True, kw_only=True):
    """2011, up: -Rtd, -Flag, -SampleTime, and -ZsRtd of exhaust."""

    CN: ClassVar[str] = "2011"


class StopRealtime(Command, frozen=True, kw_only=True):
    """2012, down, a notice: no more realtime data."""

    CN: ClassVar[str] = "2012"


class StartStates(Command, frozen=True, kw_only=True):
    """2021, down: send the states of equipment from now on."""

    CN: ClassVar[str] = "2021"


class EquipmentStates(_Upload, frozen=True, kw_only=True):
    """2021, up: -RS of each piece of equipment, 0 off and 1 on."""

    CN: ClassVar[str] = "2021"


class StopStates(Command, frozen=True, kw_only=True):
    """2022, down, a notice: no more states."""

    CN: ClassVar[str] = "2022"


class ReadDayData(_Query, frozen=True, kw_only=True):
    """2031, down."""

    CN: ClassVar[str] = "2031"


class DayData(_Upload, frozen=True, kw_only=True):
    """2031, up: -Cou, -Min, -Avg, -Max, -Flag of a day."""

    CN: ClassVar[str] = "2031"


class ReadRunTimes(_Query, frozen=True, kw_only=True):
    """2041, down."""

    CN: ClassVar[str] = "2041"


class RunTimes(_Upload, frozen=True, kw_only=True):
    """2041, up: -RT, hours that each piece of equipment ran on a day."""

    CN: ClassVar[str] = "2041"


class ReadMinuteData(_Query, frozen=True, kw_only=True):
    """2051, down."""

    CN: ClassVar[str] = "2051"


class MinuteData(_Upload, frozen=True, kw_only=True):
    """2051, up: -Cou, -Min, -Avg, -Max, -Flag of some minutes."""

    CN: ClassVar[str] = "2051"


class ReadHourData(_Query, frozen=True, kw_only=True):
    """2061, down."""

    CN: ClassVar[str] = "2061"


class HourData(_Upload, frozen=True, kw_only=True):
    """2061, up: the same of an hour."""

    CN: ClassVar[str] = "2061"


class StartTime(_Upload, frozen=True, kw_only=True):
    """2081, up: when the data logger was switched on (RestartTime)."""

    CN: ClassVar[str] = "2081"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_DATA_TIME, Plain("restart_time", "RestartTime", Kind.TIME))
    restart_time: str


DOWN: tuple[type[Command], ...] = (
    StartRealtime, StopRealtime, StartStates, StopStates, ReadDayData, ReadRunTimes, ReadMinuteData, ReadHourData,
)  # fmt: skip
UP: tuple[type[Command], ...] = (
    RealtimeData, EquipmentStates, DayData, RunTimes, MinuteData, HourData, StartTime,
)  # fmt: skip
