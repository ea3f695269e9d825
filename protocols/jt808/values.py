"""Values that many messages have: STRING, BCD time, and what the readable layer makes of them.

The wire types keep a STRING and a time as the bytes that came: padding, undecodable characters and impossible dates
survive. The functions here say what they mean.

>>> text_of(bytes.fromhex("b2e241313233340000"))
'测A1234'
>>> time_text_of(bytes.fromhex("251208164148")), utc_ms_of(bytes.fromhex("251208164148"))
('2025-12-08T16:41:48+08:00', 1765183308000)
"""

import re

from protocols.core.errors import LocalProtocolError
from protocols.core.instant import MS_PER_DAY, civil_of, day_and_ms_of, days_of, instant_of, is_civil

BEIJING_OFFSET_MS = 8 * 3_600_000
"""Times of the standard are GMT+8, but for the answer to a time query (0x8004)."""
NO_TIME = bytes(6)
"""A time that is not given."""
_TIME = re.compile(r"20(\d\d)-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", re.ASCII)


def text_of(raw: bytes) -> str:
    """What a STRING says: 0x00 off both ends, GB 18030 with U+FFFD for what it cannot decode, blanks off the end."""
    return raw.strip(b"\x00").decode("gb18030", "replace").rstrip(" ")


def bytes_of_text(text: str, field: str | None = None) -> bytes:
    """A STRING that says `text`. Raises `LocalProtocolError` for what cannot be written."""
    try:
        raw = text.encode("gb18030")
    except UnicodeEncodeError:
        raise LocalProtocolError("text that GB 18030 does not have", field=field) from None
    if text_of(raw) != text or "\ufffd" in text:
        raise LocalProtocolError("text that would not be read back: U+FFFD, or 0x00 or blanks at an end", field=field)
    return raw


def degrees_of(magnitude_e6_deg: int, *, is_negative: bool) -> float:
    """Degrees with their sign; zero has none."""
    degrees = round(magnitude_e6_deg / 1e6, 6)
    return -degrees if is_negative and degrees else degrees


def _digits_of(raw: bytes) -> tuple[int, int, int, int, int, int] | None:
    """Year, month, day, hour, minute, second of a BCD[6], or None where one is out of its range."""
    digits = raw.hex()
    if len(digits) != 12 or not digits.isdecimal():
        return None
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 59):
        return None
    return 2000 + year, month, day, hour, minute, second


def time_text_of(raw: bytes, zone: str = "+08:00") -> str | None:
    """A BCD[6] as ISO 8601, or None where its digits are no time."""
    digits = _digits_of(raw)
    return None if digits is None else "%d-%02d-%02dT%02d:%02d:%02d" % digits + zone  # noqa: UP031  # shortest so


def bytes_of_time_text(text: str | None, zone: str = "+08:00", field: str | None = None) -> bytes:
    """The inverse of `time_text_of`; None is all zeros."""
    if text is None:
        return NO_TIME
    match = _TIME.fullmatch(text.removesuffix(zone)) if text.endswith(zone) else None
    raw = bytes.fromhex("".join(match.groups())) if match else NO_TIME
    if time_text_of(raw, zone) != text:
        raise LocalProtocolError(f"a time such as 2026-11-24T06:28:53{zone}, or null", field=field)
    return raw


def utc_ms_of(raw: bytes, offset_ms: int = BEIJING_OFFSET_MS) -> int | None:
    """UTC ms since 1970 of a BCD[6], or None where it is no moment of the calendar."""
    digits = _digits_of(raw)
    if digits is None or not is_civil(*digits[:3]):
        return None
    ms_of_day = (digits[3] * 3600 + digits[4] * 60 + digits[5]) * 1000
    return instant_of(days_of(*digits[:3]), ms_of_day) - offset_ms


def bytes_of_utc_ms(utc_ms: int, offset_ms: int = BEIJING_OFFSET_MS) -> bytes:
    """A moment as BCD[6], to the second. Raises `LocalProtocolError` outside of the years 2000 to 2099."""
    day, ms = day_and_ms_of(utc_ms + offset_ms)
    if not days_of(2000, 1, 1) <= day < days_of(2100, 1, 1) or not 0 <= ms < MS_PER_DAY:
        raise LocalProtocolError("a time of the years 2000 to 2099", field="time")
    year, month, date = civil_of(day)
    seconds = ms // 1000
    clock = (year - 2000, month, date, seconds // 3600, seconds // 60 % 60, seconds % 60)
    return bytes.fromhex("%02d%02d%02d%02d%02d%02d" % clock)  # noqa: UP031  # shortest so
