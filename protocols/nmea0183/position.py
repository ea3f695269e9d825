"""Where a receiver is: GGA, RMC, GLL and GNS.

NMEA 0183 / IEC 61162-1, sentences of the same names. MicroPython-clean. Each class reads the standard's fields into
attributes in wire scale (ms of the day, 1e-9 degrees, days since 1970); `of()` writes a sentence of our own. What a
cold receiver sends instead of a position (`36000.0000`) reads as None unless the fix is said to be valid.

Left out: the sixth and later letters of GNS's mode are kept as text, not interpreted.

>>> gll = Gll.of("GN", (52514809333, 13464264333), 65502000, "A", "A")
>>> gll.fields
['$GNGLL', '5230.88856', 'N', '01327.85586', 'E', '181142.00', 'A', 'A']
>>> gll.position_e9, gll.utc_ms, gll.status
((52514809333, 13464264333), 65502000, 'A')
"""

from protocols.nmea0183.characters import escape, unescape
from protocols.nmea0183.fields import (
    field_of,
    read_day,
    read_integer,
    read_number,
    read_position_e9,
    read_time_ms,
    write_day,
    write_integer,
    write_letters,
    write_number,
    write_position,
    write_time,
    wrong,
)
from protocols.nmea0183.sentence import Sentence, address_of

VALID = "A"
"""Status: the data may be used. `V` is a warning."""
NO_FIX_MODE = "N"
_EAST = ("E", "")


def station_of(text: str) -> str | None:
    """A reference station's id: text, because `0000` is one."""
    return unescape(text) or None


class Gga(Sentence):
    """Fix: time, position and how good it is."""

    __slots__ = (
        "altitude_m",
        "dgps_age_s",
        "dgps_station",
        "fix_quality",
        "geoid_sep_m",
        "hdop",
        "num_sats",
        "position_e9",
        "utc_ms",
    )

    FORMATTER = "GGA"
    FEWEST_FIELDS = 12

    utc_ms: int | None
    position_e9: tuple[int, int] | None
    fix_quality: int | None
    """0 none, 1 GNSS, 2 DGNSS/SBAS, 3 PPS, 4 RTK fixed, 5 RTK float, 6 dead reckoning, 7 manual, 8 simulator."""
    num_sats: int | None
    """Used; many receivers stop counting at 12."""
    hdop: float | None
    """As sent: 99.99 or 50 mean that there is none."""
    altitude_m: float | None
    """Above mean sea level; add `geoid_sep_m` for the height above the ellipsoid."""
    geoid_sep_m: float | None
    dgps_age_s: float | None
    dgps_station: str | None

    def read(self) -> None:
        """Read all fields. Raises `FieldError`."""
        fields = self.fields
        self.utc_ms = read_time_ms(fields, 1)
        self.fix_quality = quality = read_integer(fields, 6, "fix_quality")
        self.position_e9 = read_position_e9(fields, 2, quality is not None and quality > 0)
        self.num_sats = read_integer(fields, 7, "num_sats")
        self.hdop = read_number(fields, 8, "hdop")
        self.altitude_m = read_number(fields, 9, "altitude_m")
        self.geoid_sep_m = read_number(fields, 11, "geoid_sep_m")
        self.dgps_age_s = read_number(fields, 13, "dgps_age_s")
        self.dgps_station = station_of(field_of(fields, 14))

    @classmethod
    def of(
        cls,
        talker: str,
        utc_ms: int | None,
        position_e9: tuple[int, int] | None,
        fix_quality: int | None,
        num_sats: int | None,
        hdop: float | None,
        altitude_m: float | None,
        geoid_sep_m: float | None,
        dgps_age_s: float | None = None,
        dgps_station: str | None = None,
    ) -> "Gga":
        """A sentence of our own. Raises `LocalProtocolError`."""
        lat, north, lon, east = write_position(position_e9)
        altitude = write_number(altitude_m, 1, 3, "altitude_m")
        separation = write_number(geoid_sep_m, 1, 3, "geoid_sep_m")
        fields = [
            address_of(talker, cls.FORMATTER),
            write_time(utc_ms),
            lat,
            north,
            lon,
            east,
            write_integer(fix_quality, 1, "fix_quality"),
            write_integer(num_sats, 2, "num_sats"),
            write_number(hdop, 1, 3, "hdop"),
            altitude,
            "M" if altitude else "",
            separation,
            "M" if separation else "",
            write_number(dgps_age_s, 1, 3, "dgps_age_s"),
            escape(dgps_station or "", "dgps_station"),
        ]
        return cls(",".join(fields))


class Rmc(Sentence):
    """Recommended minimum: time, date, position, speed and course."""

    __slots__ = (
        "course_deg",
        "day",
        "mag_var_deg",
        "mode",
        "nav_status",
        "position_e9",
        "speed_knots",
        "status",
        "utc_ms",
    )

    FORMATTER = "RMC"
    FEWEST_FIELDS = 9

    utc_ms: int | None
    status: str
    """A valid, V warning; anything else is an error here."""
    position_e9: tuple[int, int] | None
    speed_knots: float | None
    course_deg: float | None
    """True; empty at rest on many receivers."""
    day: int | None
    """Days since 1970-01-01, as sent: see `fix.corrected_day`."""
    mag_var_deg: float | None
    """East positive."""
    mode: str | None
    """A autonomous, D differential, E dead reckoning, F RTK float, M manual, N none, P precise, R RTK, S simulator."""
    nav_status: str | None
    """S safe, C caution, U unsafe, V not stated."""

    def read(self) -> None:
        """Read all fields. Raises `FieldError`."""
        fields = self.fields
        self.status = status = fields[2]
        if status not in ("A", "V"):
            raise wrong("neither A nor V", fields, 2, "status")
        self.utc_ms = read_time_ms(fields, 1)
        self.position_e9 = read_position_e9(fields, 3, status == VALID)
        self.speed_knots = read_number(fields, 7, "speed_knots")
        self.course_deg = read_number(fields, 8, "course_deg")
        self.day = read_day(fields, 9)
        self.mag_var_deg = _read_variation(fields)
        self.mode = field_of(fields, 12) or None
        self.nav_status = field_of(fields, 13) or None

    @classmethod
    def of(
        cls,
        talker: str,
        utc_ms: int | None,
        status: str,
        position_e9: tuple[int, int] | None,
        speed_knots: float | None,
        course_deg: float | None,
        day: int | None,
        mag_var_deg: float | None = None,
        mode: str | None = None,
        nav_status: str | None = None,
    ) -> "Rmc":
        """A sentence of our own, as long as what it says: mode since edition 2.3, navigation status since 4.1."""
        lat, north, lon, east = write_position(position_e9)
        variation = write_number(None if mag_var_deg is None else abs(mag_var_deg), 1, 3, "mag_var_deg")
        fields = [
            address_of(talker, cls.FORMATTER),
            write_time(utc_ms),
            write_letters(status, "status"),
            lat,
            north,
            lon,
            east,
            write_number(speed_knots, 2, 3, "speed_knots"),
            write_number(course_deg, 1, 3, "course_deg"),
            write_day(day),
            variation,
            "" if mag_var_deg is None else ("W" if mag_var_deg < 0 else "E"),
        ]
        if mode is not None or nav_status is not None:
            fields.append(write_letters(mode, "mode"))
        if nav_status is not None:
            fields.append(write_letters(nav_status, "nav_status"))
        return cls(",".join(fields))


def _read_variation(fields: list[str]) -> float | None:
    variation = read_number(fields, 10, "mag_var_deg")
    letter = field_of(fields, 11)
    if variation is None or letter in _EAST:
        return variation
    if letter != "W":
        raise wrong("the direction is neither E nor W", fields, 11, "mag_var_deg")
    return -variation


class Gll(Sentence):
    """Geographic position and its time."""

    __slots__ = ("mode", "position_e9", "status", "utc_ms")

    FORMATTER = "GLL"
    FEWEST_FIELDS = 6

    position_e9: tuple[int, int] | None
    utc_ms: int | None
    status: str | None
    """As sent; only A means valid. A real receiver sends `N,V`."""
    mode: str | None

    def read(self) -> None:
        """Read all fields. Raises `FieldError`."""
        fields = self.fields
        self.position_e9 = read_position_e9(fields, 1, fields[6] == VALID)
        self.utc_ms = read_time_ms(fields, 5)
        self.status = fields[6] or None
        self.mode = field_of(fields, 7) or None

    @classmethod
    def of(
        cls,
        talker: str,
        position_e9: tuple[int, int] | None,
        utc_ms: int | None,
        status: str | None,
        mode: str | None = None,
    ) -> "Gll":
        """A sentence of our own. Raises `LocalProtocolError`."""
        lat, north, lon, east = write_position(position_e9)
        fields = [
            address_of(talker, cls.FORMATTER),
            lat,
            north,
            lon,
            east,
            write_time(utc_ms),
            write_letters(status, "status"),
        ]
        if mode is not None:
            fields.append(write_letters(mode, "mode"))
        return cls(",".join(fields))


class Gns(Sentence):
    """Fix of several systems; may replace GGA."""

    __slots__ = (
        "altitude_m",
        "dgps_age_s",
        "dgps_station",
        "geoid_sep_m",
        "hdop",
        "mode",
        "nav_status",
        "num_sats",
        "position_e9",
        "utc_ms",
    )

    FORMATTER = "GNS"
    FEWEST_FIELDS = 12

    utc_ms: int | None
    position_e9: tuple[int, int] | None
    mode: str | None
    """One letter a system, in the order GPS, GLONASS, Galileo, BeiDou, QZSS, NavIC; N: not used."""
    num_sats: int | None
    hdop: float | None
    altitude_m: float | None
    geoid_sep_m: float | None
    dgps_age_s: float | None
    dgps_station: str | None
    nav_status: str | None

    def read(self) -> None:
        """Read all fields. Raises `FieldError`."""
        fields = self.fields
        self.utc_ms = read_time_ms(fields, 1)
        mode = fields[6]
        if mode and not mode.isalpha():
            raise wrong("not one letter a system", fields, 6, "mode")
        self.mode = mode or None
        self.position_e9 = read_position_e9(fields, 2, mode.strip(NO_FIX_MODE) != "")
        self.num_sats = read_integer(fields, 7, "num_sats")
        self.hdop = read_number(fields, 8, "hdop")
        self.altitude_m = read_number(fields, 9, "altitude_m")
        self.geoid_sep_m = read_number(fields, 10, "geoid_sep_m")
        self.dgps_age_s = read_number(fields, 11, "dgps_age_s")
        self.dgps_station = station_of(fields[12])
        self.nav_status = field_of(fields, 13) or None

    @classmethod
    def of(
        cls,
        talker: str,
        utc_ms: int | None,
        position_e9: tuple[int, int] | None,
        mode: str | None,
        num_sats: int | None,
        hdop: float | None,
        altitude_m: float | None,
        geoid_sep_m: float | None,
        dgps_age_s: float | None = None,
        dgps_station: str | None = None,
        nav_status: str | None = None,
    ) -> "Gns":
        """A sentence of our own. Raises `LocalProtocolError`."""
        lat, north, lon, east = write_position(position_e9)
        fields = [
            address_of(talker, cls.FORMATTER),
            write_time(utc_ms),
            lat,
            north,
            lon,
            east,
            write_letters(mode, "mode"),
            write_integer(num_sats, 2, "num_sats"),
            write_number(hdop, 1, 3, "hdop"),
            write_number(altitude_m, 1, 3, "altitude_m"),
            write_number(geoid_sep_m, 1, 3, "geoid_sep_m"),
            write_number(dgps_age_s, 1, 3, "dgps_age_s"),
            escape(dgps_station or "", "dgps_station"),
        ]
        if nav_status is not None:
            fields.append(write_letters(nav_status, "nav_status"))
        return cls(",".join(fields))
