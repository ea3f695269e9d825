"""What is around: depth (DBT, DPT), water temperature (MTW), wind (MWV) and transducers (XDR).

NMEA 0183 / IEC 61162-1, sentences of the same names. MicroPython-clean.
"""

from protocols.nmea0183.characters import escape, unescape
from protocols.nmea0183.fields import read_number, write_letters, write_number, wrong
from protocols.nmea0183.sentence import Sentence, address_of


class Transducer:
    """One measurement of an XDR.

    Types and units: C temperature (C), A angle (D), D distance (M), P pressure (B bar, P Pa), H humidity (P), U voltage
    (V), I current (A), V volume (M), G generic, S switch, N force, T tachometer (R), F frequency (H), R flow (l),
    L salinity (S).
    """

    __slots__ = ("kind", "name", "unit", "value")

    def __init__(self, kind: str | None, value: float | None, unit: str | None, name: str | None) -> None:
        self.kind = kind
        self.value = value
        self.unit = unit
        self.name = name


class Dbt(Sentence):
    """Depth below transducer."""

    __slots__ = ("depth_fathoms", "depth_feet", "depth_m")

    FORMATTER = "DBT"
    FEWEST_FIELDS = 6

    depth_feet: float | None
    depth_m: float | None
    """Some sounders fill metres only."""
    depth_fathoms: float | None

    def read(self) -> None:
        """Read all fields. Raises `FieldError`."""
        fields = self.fields
        self.depth_feet = read_number(fields, 1, "depth_feet")
        self.depth_m = read_number(fields, 3, "depth_m")
        self.depth_fathoms = read_number(fields, 5, "depth_fathoms")

    @classmethod
    def of(
        cls, talker: str, depth_feet: float | None, depth_m: float | None, depth_fathoms: float | None = None
    ) -> "Dbt":
        """A sentence of our own. Raises `LocalProtocolError`."""
        fields = [
            address_of(talker, cls.FORMATTER),
            write_number(depth_feet, 1, 3, "depth_feet"),
            "f",
            write_number(depth_m, 1, 3, "depth_m"),
            "M",
            write_number(depth_fathoms, 1, 3, "depth_fathoms"),
            "F",
        ]
        return cls(",".join(fields))


class Dpt(Sentence):
    """Depth."""

    __slots__ = ("depth_m", "max_range_m", "offset_m")

    FORMATTER = "DPT"
    FEWEST_FIELDS = 2

    depth_m: float | None
    """Below the transducer."""
    offset_m: float | None
    """Positive: transducer below the water line, add for the water's depth. Negative: to the keel, add for what is
    below it."""
    max_range_m: float | None

    def read(self) -> None:
        """Read all fields. Raises `FieldError`."""
        fields = self.fields
        self.depth_m = read_number(fields, 1, "depth_m")
        self.offset_m = read_number(fields, 2, "offset_m")
        self.max_range_m = read_number(fields, 3, "max_range_m")

    @classmethod
    def of(cls, talker: str, depth_m: float | None, offset_m: float | None, max_range_m: float | None = None) -> "Dpt":
        """A sentence of our own; the range scale came with edition 3. Raises `LocalProtocolError`."""
        fields = [
            address_of(talker, cls.FORMATTER),
            write_number(depth_m, 1, 3, "depth_m"),
            write_number(offset_m, 1, 3, "offset_m"),
        ]
        if max_range_m is not None:
            fields.append(write_number(max_range_m, 1, 3, "max_range_m"))
        return cls(",".join(fields))


class Mtw(Sentence):
    """Temperature of the water."""

    __slots__ = ("temperature_c",)

    FORMATTER = "MTW"
    FEWEST_FIELDS = 1

    temperature_c: float | None

    def read(self) -> None:
        """Read the field. Raises `FieldError`."""
        fields = self.fields
        self.temperature_c = read_number(fields, 1, "temperature_c")

    @classmethod
    def of(cls, talker: str, temperature_c: float | None) -> "Mtw":
        """A sentence of our own. Raises `LocalProtocolError`."""
        fields = [address_of(talker, cls.FORMATTER), write_number(temperature_c, 1, 3, "temperature_c"), "C"]
        return cls(",".join(fields))


class Mwv(Sentence):
    """Speed and angle of the wind."""

    __slots__ = ("status", "wind_angle_deg", "wind_reference", "wind_speed", "wind_speed_unit")

    FORMATTER = "MWV"
    FEWEST_FIELDS = 5

    wind_angle_deg: float | None
    wind_reference: str | None
    """R relative, T theoretical (true)."""
    wind_speed: float | None
    wind_speed_unit: str | None
    """K km/h, M m/s, N knots, S miles an hour."""
    status: str | None
    """As sent; A is valid."""

    def read(self) -> None:
        """Read all fields. Raises `FieldError`."""
        fields = self.fields
        self.wind_angle_deg = read_number(fields, 1, "wind_angle_deg")
        self.wind_reference = fields[2] or None
        self.wind_speed = read_number(fields, 3, "wind_speed")
        self.wind_speed_unit = fields[4] or None
        self.status = fields[5] or None

    @classmethod
    def of(
        cls,
        talker: str,
        wind_angle_deg: float | None,
        wind_reference: str | None,
        wind_speed: float | None,
        wind_speed_unit: str | None,
        status: str | None,
    ) -> "Mwv":
        """A sentence of our own. Raises `LocalProtocolError`."""
        fields = [
            address_of(talker, cls.FORMATTER),
            write_number(wind_angle_deg, 1, 3, "wind_angle_deg"),
            write_letters(wind_reference, "wind_reference"),
            write_number(wind_speed, 1, 3, "wind_speed"),
            write_letters(wind_speed_unit, "wind_speed_unit"),
            write_letters(status, "status"),
        ]
        return cls(",".join(fields))


class Xdr(Sentence):
    """Any transducers: buoys, locks, masts."""

    __slots__ = ("transducers",)

    FORMATTER = "XDR"
    FEWEST_FIELDS = 4

    transducers: list[Transducer]

    def read(self) -> None:
        """Read all fields. Raises `FieldError`, also when the last group is torn."""
        fields = self.fields
        if len(fields) % 4 != 1:
            raise wrong("the last group of four is torn", fields, len(fields) - 1, "fields")
        transducers: list[Transducer] = []
        for at in range(1, len(fields), 4):
            value = read_number(fields, at + 1, "value")
            name = unescape(fields[at + 3]) or None
            transducers.append(Transducer(fields[at] or None, value, fields[at + 2] or None, name))
        self.transducers = transducers

    @classmethod
    def of(cls, talker: str, transducers: list[Transducer]) -> "Xdr":
        """A sentence of our own. Raises `LocalProtocolError`."""
        fields = [address_of(talker, cls.FORMATTER)]
        for transducer in transducers:
            fields.append(write_letters(transducer.kind, "type"))
            fields.append(write_number(transducer.value, 0, 6, "value"))
            fields.append(write_letters(transducer.unit, "unit"))
            fields.append(escape(transducer.name or "", "name"))
        return cls(",".join(fields))
