"""Times of HJ 212: `YYYYMMDDhhmmss`, and the request number QN with milliseconds behind.

HJ 212-2017 clauses 6.3.3 and 6.5. Both are the device's local time, Beijing time (UTC+8) everywhere in the field. Here
a local time is milliseconds since 1970-01-01 00:00 of that same clock.

>>> local_ms_of("20160801085857")
1470041937000
>>> qn_of(1470041937223)
'20160801085857223'
"""

from protocols.core.errors import FieldError
from protocols.core.instant import civil_of, day_and_ms_of, days_of, instant_of, is_civil

BEIJING_OFFSET_MS = 8 * 3_600_000
"""What is added to UTC."""
TIME_DIGITS = 14
QN_DIGITS = 17


def local_ms_of(text: str, field: str = "DataTime") -> int:
    """The moment of a time or of a request number. Raises `FieldError` for what no calendar has."""
    if len(text) not in (TIME_DIGITS, QN_DIGITS) or not (text.isascii() and text.isdigit()):
        raise FieldError("is not YYYYMMDDhhmmss", field=field)
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
    hour, minute, second = int(text[8:10]), int(text[10:12]), int(text[12:14])
    if not is_civil(year, month, day) or hour > 23 or minute > 59 or second > 59:
        raise FieldError("is no time of a calendar", field=field)
    seconds = hour * 3600 + minute * 60 + second
    return instant_of(days_of(year, month, day), seconds * 1000 + int(text[14:] or "0"))


def time_of(local_ms: int) -> str:
    """A moment as `YYYYMMDDhhmmss`."""
    return qn_of(local_ms)[:TIME_DIGITS]


def qn_of(local_ms: int) -> str:
    """A moment as a request number, with milliseconds."""
    day, ms = day_and_ms_of(local_ms)
    seconds, ms = divmod(ms, 1000)
    year, month, date = civil_of(day)
    return f"{year:04d}{month:02d}{date:02d}{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}{ms:03d}"


class RequestNumbers:
    """Hands out request numbers of which no two are equal, however often it is asked and if the clock is set back."""

    def __init__(self) -> None:
        self._last_ms: int | None = None

    def next(self, local_ms: int) -> str:
        """The number of an exchange that begins now: of `local_ms`, or of the first moment that is still free."""
        if self._last_ms is not None and local_ms <= self._last_ms:
            local_ms = self._last_ms + 1
        self._last_ms = local_ms
        return qn_of(local_ms)
