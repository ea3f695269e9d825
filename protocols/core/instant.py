"""Civil dates and instants in integers: the one place that converts between days, milliseconds and calendar fields.

MicroPython-clean: no float anywhere (many ports have 32-bit floats), no `time` module. A *day* is the count of days
since 1970-01-01 in the proleptic Gregorian calendar, an *instant* is UTC in milliseconds since then. A port may count
its own seconds from 1970 or from 2000: `time.gmtime(0)[0]` tells which, and `instant_of_port` takes it.

>>> days_of(2026, 11, 24)
20781
>>> civil_of(20781)
(2026, 11, 24)
>>> date_text(BUILD_DAY)
'2026-01-01'
"""

MS_PER_DAY = 86_400_000
BUILD_DAY = 20_454
"""2026-01-01: no later than the day of the build. A clock that shows an earlier day is wrong. Raised with releases."""

_DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_DAYS_PER_400_YEARS = 146_097
_DAYS_TO_1970 = 719_468
"""From 0000-03-01, where the count below begins (a leap day then ends its year), to 1970-01-01."""


def is_leap(year: int) -> bool:
    """Whether a year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def is_civil(year: int, month: int, day: int) -> bool:
    """Whether the calendar has this date (years 1 to 9999)."""
    if not (1 <= year <= 9999 and 1 <= month <= 12 and day >= 1):
        return False
    if month == 2:
        return day <= (29 if is_leap(year) else 28)
    return day <= (30 if month in (4, 6, 9, 11) else 31)


def days_of(year: int, month: int, day: int) -> int:
    """The day number of a date that the calendar has."""
    before = year - 1
    leaps = before // 4 - before // 100 + before // 400
    day_of_year = _DAYS_BEFORE_MONTH[month - 1] + day
    if month > 2 and is_leap(year):
        day_of_year += 1
    return before * 365 + leaps + day_of_year - 719_163


def civil_of(days: int) -> tuple[int, int, int]:
    """(year, month, day) of a day number."""
    shifted = days + _DAYS_TO_1970
    era = shifted // _DAYS_PER_400_YEARS
    day_of_era = shifted - era * _DAYS_PER_400_YEARS
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    return (year_of_era + era * 400 + (1 if month <= 2 else 0), month, day)


def instant_of(days: int, ms_of_day: int) -> int:
    """UTC ms since 1970 of a moment of a day. A leap second (86 400 000 and more) runs into the next day."""
    return days * MS_PER_DAY + ms_of_day


def day_and_ms_of(instant_ms: int) -> tuple[int, int]:
    """(day, ms of the day) of an instant; also before 1970."""
    return divmod(instant_ms, MS_PER_DAY)


def instant_of_port(seconds: int, epoch_year: int) -> int:
    """UTC ms since 1970 of a port's own count of seconds, which starts with `epoch_year`."""
    return (seconds + days_of(epoch_year, 1, 1) * 86_400) * 1000


def port_seconds_of(instant_ms: int, epoch_year: int) -> int:
    """A port's own count of seconds, which starts with `epoch_year`, for an instant."""
    return instant_ms // 1000 - days_of(epoch_year, 1, 1) * 86_400


def date_text(days: int) -> str:
    """A day as `2026-11-24`."""
    return "%04d-%02d-%02d" % civil_of(days)


def instant_text(instant_ms: int) -> str:
    """An instant as `2026-11-24T06:28:53.120Z`."""
    days, ms = day_and_ms_of(instant_ms)
    seconds, ms = divmod(ms, 1000)
    clock = (seconds // 3600, seconds // 60 % 60, seconds % 60, ms)
    return date_text(days) + "T%02d:%02d:%02d.%03dZ" % clock
