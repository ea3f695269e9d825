"""The fields of a sentence, both ways: text on the wire <-> integers and floats.

NMEA 0183 / IEC 61162-1, field definitions. MicroPython-clean. Times and positions are integers (many ports have 32-bit
floats): ms of the day, days since 1970-01-01, 1e-9 degrees. An empty field means "not available" and reads as None,
never as zero. Reading raises `FieldError`, writing `LocalProtocolError`.

>>> read_angle_e9("4404.13993", 90)
44068998833
>>> write_angle(44068998833, 2)
'4404.13993'
"""

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.core.instant import civil_of, days_of, is_civil
from protocols.nmea0183.characters import is_field

_SIGNS = ("+", "-")
HEX_DIGITS = "0123456789ABCDEF"
_DAY_MS = 86_400_000
_WHOLE_SECOND = ("", ".00", ".000", ".0")
_DEGREE_E9 = 1_000_000_000
_UNITS_PER_DEGREE_DIGIT = tuple([10 ** (decimals + 2) for decimals in range(8)])
"""What one degree counts in `ddmm.mm...` without its point, by the number of decimals."""
_E9_TIMES_3 = tuple([5 * 10 ** (7 - decimals) for decimals in range(8)])
"""Three times the 1e-9 degrees of one unit of the last decimal: 1e9 / 60 minutes is 5e7 / 3."""
_MINUTES_PER_DEGREE_E5 = 6_000_000
_CENTURY_PIVOT = 80
"""A two-digit year below this lies after 2000."""


def field_of(fields: list[str], number: int) -> str:
    """Field `number` of the standard's table; empty when the sentence ends before it (older editions do)."""
    return fields[number] if number < len(fields) else ""


def wrong(reason: str, fields: list[str], number: int, name: str) -> FieldError:
    """What to raise for field `number`."""
    return FieldError(reason, offset=offset_of(fields, number), field=name, raw=fields[number].encode())


def offset_of(fields: list[str], number: int) -> int:
    """Where field `number` begins, counted from the start character."""
    return sum([len(text) + 1 for text in fields[:number]])


def read_number(fields: list[str], number: int, name: str) -> float | None:
    """`[+-]digits[.digits]` as a float: no exponent, no bare point."""
    text = fields[number] if number < len(fields) else ""
    if not text:
        return None
    if text.isdigit():
        return float(text)
    whole, point, fraction = text.partition(".")
    if (whole.isdigit() or (whole[:1] in _SIGNS and whole[1:].isdigit())) and (fraction.isdigit() or not point):
        return float(text)
    raise wrong("not a number", fields, number, name)


def read_integer(fields: list[str], number: int, name: str) -> int | None:
    """`[+-]digits`."""
    text = fields[number] if number < len(fields) else ""
    if not text:
        return None
    if len(text) < 10 and (text.isdigit() or (text[0] in "+-" and text[1:].isdigit())):
        return int(text)
    raise wrong("not a whole number", fields, number, name)


def read_hex_digit(fields: list[str], number: int, name: str) -> int | None:
    """One hex digit, such as a signal id."""
    text = fields[number] if number < len(fields) else ""
    if not text:
        return None
    if len(text) == 1 and text.upper() in HEX_DIGITS:
        return int(text, 16)
    raise wrong("not one hex digit", fields, number, name)


def read_time_ms(fields: list[str], number: int) -> int | None:
    """`hhmmss[.sss]` as ms of the day. Second 60 (a leap second) is allowed; digits beyond ms are rounded."""
    text = fields[number]
    if not text:
        return None
    clock = text[:6]
    if clock.isdigit() and len(clock) == 6:
        digits = int(clock)
        hours = digits // 10_000
        minutes = digits // 100 % 100
        seconds = digits % 100
        if hours < 24 and minutes < 60 and seconds < 61:
            ms = (hours * 3600 + minutes * 60 + seconds) * 1000
            fraction = text[6:]
            if fraction in _WHOLE_SECOND:
                return ms
            if fraction[0] == "." and fraction[1:].isdigit():
                return ms + _fraction_ms(fraction[1:])
    raise wrong("not a time of day", fields, number, "utc")


def _fraction_ms(digits: str) -> int:
    count = len(digits)
    if count <= 3:
        return int(digits) * (0, 100, 10, 1)[count]
    scale: int = 10 ** (count - 3)
    return (int(digits) + scale // 2) // scale


def read_day(fields: list[str], number: int) -> int | None:
    """`ddmmyy` as days since 1970-01-01; years 00 to 79 are 2000 to 2079, 80 to 99 are 1980 to 1999."""
    text = fields[number]
    if not text:
        return None
    if text.isdigit() and len(text) == 6:
        digits = int(text)
        year = digits % 100
        year += 2000 if year < _CENTURY_PIVOT else 1900
        if is_civil(year, digits // 100 % 100, digits // 10_000):
            return days_of(year, digits // 100 % 100, digits // 10_000)
    raise wrong("not a date", fields, number, "date")


def read_angle_e9(text: str, limit_deg: int) -> int | None:
    """`d..dmm[.mmmm]` as 1e-9 degrees; None when it is no angle up to `limit_deg`, which is not always an error."""
    whole, point, fraction = text.partition(".")
    digits = whole + fraction
    decimals = len(fraction)
    if not digits.isdigit() or len(whole) < 3 or (point and not decimals):
        return None
    minutes = int(digits)
    if decimals <= 7:
        unit = _UNITS_PER_DEGREE_DIGIT[decimals]
        degrees = minutes // unit
        minutes -= degrees * unit
        angle = degrees * _DEGREE_E9 + (minutes * _E9_TIMES_3[decimals] + 1) // 3
    else:
        scale = 10**decimals
        unit = 100 * scale
        degrees, minutes = divmod(minutes, unit)
        angle = degrees * _DEGREE_E9 + (minutes * 2 * _DEGREE_E9 + 60 * scale) // (120 * scale)
    return angle if angle <= limit_deg * _DEGREE_E9 and minutes * 100 < 60 * unit else None


def read_position_e9(fields: list[str], at: int, is_valid: bool) -> tuple[int, int] | None:
    """(latitude, longitude) in 1e-9 degrees, north and east positive, from four fields beginning at `at`.

    None when empty. What is not a position (a bad hemisphere, out of range, half of it missing) is an error when the
    fix is said to be valid, else None: cold receivers send `8960.0000` or `36000.0000`.
    """
    lat_text = fields[at]
    lon_text = fields[at + 2]
    if not lat_text and not lon_text:
        return None
    lat = read_angle_e9(lat_text, 90)
    lon = read_angle_e9(lon_text, 180)
    north = fields[at + 1]
    east = fields[at + 3]
    if lat is not None and lon is not None and north in ("N", "S") and east in ("E", "W"):
        return (lat if north == "N" else -lat, lon if east == "E" else -lon)
    if is_valid:
        raise wrong("not a position, in a fix that is said to be valid", fields, at, "position")
    return None


def write_number(value: float | None, fewest: int, most: int, name: str) -> str:
    """A number with `fewest` decimals, up to `most` where it has more; empty for None."""
    if value is None:
        return ""
    if not -1e9 < value < 1e9:
        raise LocalProtocolError("not a number that a field can carry", field=name)
    text = "%.*f" % (most, value)
    if most > fewest:
        whole, _, fraction = text.partition(".")
        while len(fraction) > fewest and fraction[-1] == "0":
            fraction = fraction[:-1]
        text = whole + "." + fraction if fraction else whole
    return text[1:] if text[0] == "-" and not text.strip("-0.") else text


def write_integer(value: int | None, width: int, name: str) -> str:
    """A whole number of `width` digits or more; empty for None."""
    if value is None:
        return ""
    if not -1_000_000_000 < value < 1_000_000_000:
        raise LocalProtocolError("not a number that a field can carry", field=name)
    return ("-" if value < 0 else "") + "%0*d" % (width, abs(value))


def write_hex_digit(value: int | None, name: str) -> str:
    """One hex digit; empty for None."""
    if value is None:
        return ""
    if not 0 <= value < 16:
        raise LocalProtocolError("not one hex digit", field=name)
    return HEX_DIGITS[value]


def write_letters(text: str | None, name: str) -> str:
    """A status, mode or unit; empty for None."""
    if text is None:
        return ""
    if not is_field(text):
        raise LocalProtocolError("a reserved or unprintable character", field=name)
    return text


def write_time(ms_of_day: int | None) -> str:
    """`hhmmss.ss`, or three decimals where it falls between hundredths; empty for None."""
    if ms_of_day is None:
        return ""
    if not 0 <= ms_of_day < _DAY_MS + 1000:
        raise LocalProtocolError("not a time of day", field="utc")
    seconds, ms = divmod(ms_of_day, 1000)
    minutes = min(seconds // 60, 1439)  # a leap second is the 61st of the day's last minute
    clock = (minutes // 60, minutes % 60, seconds - minutes * 60)
    return "%02d%02d%02d" % clock + ("." + ("%02d" % (ms // 10) if ms % 10 == 0 else "%03d" % ms))


def write_day(days: int | None) -> str:
    """`ddmmyy`; empty for None."""
    if days is None:
        return ""
    year, month, day = civil_of(days)
    if not 1900 + _CENTURY_PIVOT <= year < 2000 + _CENTURY_PIVOT:
        raise LocalProtocolError("two digits of a year reach from 1980 to 2079", field="date")
    return "%02d%02d%02d" % (day, month, year % 100)


def write_angle(angle_e9: int, degree_digits: int) -> str:
    """`ddmm.mmmmm` of a positive angle in 1e-9 degrees; rounding carries into the degrees."""
    e5 = (angle_e9 * 3 * 2 + 500) // 1000  # 1e-5 minutes: e9 * 60 * 1e5 / 1e9, rounded
    degrees, minutes = divmod(e5, _MINUTES_PER_DEGREE_E5)
    return "%0*d%02d.%05d" % (degree_digits, degrees, minutes // 100_000, minutes % 100_000)


def write_position(position_e9: tuple[int, int] | None) -> list[str]:
    """The four fields of a position; all empty for None."""
    if position_e9 is None:
        return ["", "", "", ""]
    lat, lon = position_e9
    if not (-90 * _DEGREE_E9 <= lat <= 90 * _DEGREE_E9 and -180 * _DEGREE_E9 <= lon <= 180 * _DEGREE_E9):
        raise LocalProtocolError("not on the globe", field="position")
    return [write_angle(abs(lat), 2), "S" if lat < 0 else "N", write_angle(abs(lon), 3), "W" if lon < 0 else "E"]
