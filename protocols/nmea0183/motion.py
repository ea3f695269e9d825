"""How it moves and points, and what time it is: VTG, ZDA, HDT and ROT.

NMEA 0183 / IEC 61162-1, sentences of the same names. MicroPython-clean.
"""

from protocols.core.errors import LocalProtocolError
from protocols.core.instant import civil_of, days_of, is_civil
from protocols.nmea0183.fields import (
    field_of,
    read_integer,
    read_number,
    read_time_ms,
    write_integer,
    write_letters,
    write_number,
    write_time,
    wrong,
)
from protocols.nmea0183.sentence import Sentence, address_of

_FIELDS_OF_OLD_VTG = 4
_FIELDS_OF_VTG = 8
_FURTHEST_ZONE_HOURS = 13
_FIRST_YEAR_OF_FOUR_DIGITS = 1000
_LAST_YEAR_OF_FOUR_DIGITS = 9999


class Vtg(Sentence):
    """Course over ground and ground speed."""

    __slots__ = ("course_mag_deg", "course_true_deg", "mode", "speed_kmh", "speed_knots")

    FORMATTER = "VTG"
    FEWEST_FIELDS = _FIELDS_OF_OLD_VTG
    """The old form has four fields and no letters: true, magnetic, knots, km/h. The other has eight or more."""

    course_true_deg: float | None
    course_mag_deg: float | None
    speed_knots: float | None
    speed_kmh: float | None
    mode: str | None

    def read(self) -> None:
        """Read all fields. Raises `FieldError`, also for five to seven fields."""
        fields = self.fields
        count = len(fields) - 1
        if _FIELDS_OF_OLD_VTG < count < _FIELDS_OF_VTG:
            raise wrong("neither the old form of four fields nor the one of eight", fields, count, "fields")
        step = 1 if count == _FIELDS_OF_OLD_VTG else 2
        self.course_true_deg = read_number(fields, 1, "course_true_deg")
        self.course_mag_deg = read_number(fields, 1 + step, "course_mag_deg")
        self.speed_knots = read_number(fields, 1 + 2 * step, "speed_knots")
        self.speed_kmh = read_number(fields, 1 + 3 * step, "speed_kmh")
        self.mode = field_of(fields, 9) or None

    @classmethod
    def of(
        cls,
        talker: str,
        course_true_deg: float | None,
        course_mag_deg: float | None,
        speed_knots: float | None,
        speed_kmh: float | None,
        mode: str | None = None,
    ) -> "Vtg":
        """A sentence of our own, in the newer form. Raises `LocalProtocolError`."""
        fields = [
            address_of(talker, cls.FORMATTER),
            write_number(course_true_deg, 1, 3, "course_true_deg"),
            "T",
            write_number(course_mag_deg, 1, 3, "course_mag_deg"),
            "M",
            write_number(speed_knots, 2, 3, "speed_knots"),
            "N",
            write_number(speed_kmh, 2, 3, "speed_kmh"),
            "K",
        ]
        if mode is not None:
            fields.append(write_letters(mode, "mode"))
        return cls(",".join(fields))


class Zda(Sentence):
    """Time, date and local zone."""

    __slots__ = ("day", "utc_ms", "zone_hours", "zone_minutes")

    FORMATTER = "ZDA"
    FEWEST_FIELDS = 4

    utc_ms: int | None
    day: int | None
    """Days since 1970-01-01; None when day, month or year is empty."""
    zone_hours: int | None
    """-13 to 13."""
    zone_minutes: int | None
    """With the sign of the hours."""

    def read(self) -> None:
        """Read all fields. Raises `FieldError`."""
        fields = self.fields
        self.utc_ms = read_time_ms(fields, 1)
        day = read_integer(fields, 2, "date")
        month = read_integer(fields, 3, "date")
        year = read_integer(fields, 4, "date")
        if day is None or month is None or year is None:
            self.day = None
        elif year >= _FIRST_YEAR_OF_FOUR_DIGITS and is_civil(year, month, day):
            self.day = days_of(year, month, day)
        else:
            raise wrong("not a date", fields, 2, "date")
        self.zone_hours = hours = read_integer(fields, 5, "zone_hours")
        self.zone_minutes = minutes = read_integer(fields, 6, "zone_minutes")
        if (hours is not None and abs(hours) > _FURTHEST_ZONE_HOURS) or (minutes is not None and abs(minutes) > 59):
            raise wrong("not a zone", fields, 5, "zone_hours")

    @classmethod
    def of(
        cls,
        talker: str,
        utc_ms: int | None,
        day: int | None,
        zone_hours: int | None = 0,
        zone_minutes: int | None = 0,
    ) -> "Zda":
        """A sentence of our own. Raises `LocalProtocolError`."""
        fields = [address_of(talker, cls.FORMATTER), write_time(utc_ms), "", "", ""]
        if day is not None:
            year, month, day_of_month = civil_of(day)
            if not _FIRST_YEAR_OF_FOUR_DIGITS <= year <= _LAST_YEAR_OF_FOUR_DIGITS:
                raise LocalProtocolError("a year has four digits", field="date")
            fields[2:] = ["%02d" % day_of_month, "%02d" % month, "%04d" % year]
        fields.append(write_integer(zone_hours, 2, "zone_hours"))
        fields.append(write_integer(zone_minutes, 2, "zone_minutes"))
        return cls(",".join(fields))


class Hdt(Sentence):
    """Heading, true."""

    __slots__ = ("heading_true_deg",)

    FORMATTER = "HDT"
    FEWEST_FIELDS = 1

    heading_true_deg: float | None

    def read(self) -> None:
        """Read the field. Raises `FieldError`."""
        fields = self.fields
        self.heading_true_deg = read_number(fields, 1, "heading_true_deg")

    @classmethod
    def of(cls, talker: str, heading_true_deg: float | None) -> "Hdt":
        """A sentence of our own. Raises `LocalProtocolError`."""
        fields = [address_of(talker, cls.FORMATTER), write_number(heading_true_deg, 1, 3, "heading_true_deg"), "T"]
        return cls(",".join(fields))


class Rot(Sentence):
    """Rate of turn."""

    __slots__ = ("rate_deg_min", "status")

    FORMATTER = "ROT"
    FEWEST_FIELDS = 1

    rate_deg_min: float | None
    """Negative: to port."""
    status: str | None
    """As sent; A is valid."""

    def read(self) -> None:
        """Read all fields. Raises `FieldError`."""
        fields = self.fields
        self.rate_deg_min = read_number(fields, 1, "rate_deg_min")
        self.status = field_of(fields, 2) or None

    @classmethod
    def of(cls, talker: str, rate_deg_min: float | None, status: str | None) -> "Rot":
        """A sentence of our own. Raises `LocalProtocolError`."""
        fields = [
            address_of(talker, cls.FORMATTER),
            write_number(rate_deg_min, 1, 3, "rate_deg_min"),
            write_letters(status, "status"),
        ]
        return cls(",".join(fields))
