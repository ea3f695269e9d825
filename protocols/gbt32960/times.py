"""Times: six plain bytes, year less 2000 to second, in Beijing time (GMT+8).

GB/T 32960.3, clause 6.4. A time that the calendar does not have is kept as its bytes and shown as null.

>>> time_text(bytes.fromhex("120a1e142336")), time_text(bytes(6))
('2018-10-30T20:35:54+08:00', None)
>>> time_of("2018-10-30T20:35:54+08:00").hex()
'120a1e142336'
>>> from protocols.core.instant import instant_text
>>> instant_text(instant_of_time(bytes.fromhex("120a1e142336")))
'2018-10-30T12:35:54.000Z'
"""

import re

from protocols.core.errors import LocalProtocolError
from protocols.core.instant import civil_of, day_and_ms_of, days_of, instant_of, is_civil

TIME_BYTES = 6
BEIJING_MS = 8 * 3_600_000
_TEXT = re.compile(r"20(\d\d)-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\+08:00", re.ASCII)


def is_time(data: bytes) -> bool:
    """Whether each of the six numbers is in its range; the length of the month is not looked at."""
    year, month, day, hour, minute, second = data
    return year <= 99 and 1 <= month <= 12 and 1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 59


def time_text(data: bytes) -> str | None:
    """As `2018-10-30T20:35:54+08:00`; None out of range."""
    if not is_time(data):
        return None
    return "20{:02d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}+08:00".format(*data)


def time_of(text: str) -> bytes:
    """The inverse. Raises `LocalProtocolError`."""
    found = _TEXT.fullmatch(text)
    data = bytes(map(int, found.groups())) if found else b""
    if not data or not is_time(data):
        raise LocalProtocolError("a time such as 2018-10-30T20:35:54+08:00", field="time")
    return data


def instant_of_time(data: bytes) -> int | None:
    """UTC ms since 1970; None for what is no time."""
    year, month, day, hour, minute, second = data
    if not is_time(data) or not is_civil(2000 + year, month, day):
        return None
    return instant_of(days_of(2000 + year, month, day), ((hour * 60 + minute) * 60 + second) * 1000) - BEIJING_MS


def time_of_instant(instant_ms: int) -> bytes:
    """The six bytes of a UTC instant in ms since 1970. Raises `LocalProtocolError` outside 2000 to 2099."""
    days, ms = day_and_ms_of(instant_ms + BEIJING_MS)
    year, month, day = civil_of(days)
    if not 2000 <= year <= 2099:
        raise LocalProtocolError("a year has two digits", field="time")
    seconds = ms // 1000
    return bytes((year - 2000, month, day, seconds // 3600, seconds // 60 % 60, seconds % 60))
