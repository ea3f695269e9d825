"""Which satellites: GSA (used, and how good the geometry is) and GSV (in view).

NMEA 0183 / IEC 61162-1, sentences of the same names. MicroPython-clean.

With talker GN there are several GSA an epoch, one a system; their DOPs are those of the combined solution. With signal
ids a system sends one series of GSV a signal: do not add the counts, merge by id.

    ids 1-32 GPS      33-64 SBAS (PRN - 87)    65-96 GLONASS (slot + 64)   193-202 QZSS
    201-237 BeiDou (older u-blox, some Chinese)   301-336 Galileo   401-463 BeiDou   1-63 with talker BD or GB: BeiDou
"""

from protocols.core.errors import LocalProtocolError
from protocols.nmea0183.fields import (
    field_of,
    read_hex_digit,
    read_integer,
    read_number,
    write_hex_digit,
    write_integer,
    write_letters,
    write_number,
    wrong,
)
from protocols.nmea0183.sentence import Sentence, address_of

_SATELLITES_OF_GSA = 12
_SATELLITES_OF_GSV = 4


class Satellite:
    """One satellite in view. What the receiver does not know is None."""

    __slots__ = ("azimuth_deg", "elevation_deg", "sat_id", "snr_db")

    def __init__(
        self, sat_id: int, elevation_deg: float | None, azimuth_deg: float | None, snr_db: float | None
    ) -> None:
        self.sat_id = sat_id
        self.elevation_deg = elevation_deg
        self.azimuth_deg = azimuth_deg
        self.snr_db = snr_db


class Gsa(Sentence):
    """Satellites used, and dilution of precision."""

    __slots__ = ("fix_mode", "hdop", "pdop", "sat_ids", "selection_mode", "system_id", "vdop")

    FORMATTER = "GSA"
    FEWEST_FIELDS = 17

    selection_mode: str | None
    """M manual, A automatic choice between 2D and 3D."""
    fix_mode: int | None
    """1 none, 2 = 2D, 3 = 3D."""
    sat_ids: list[int]
    pdop: float | None
    hdop: float | None
    vdop: float | None
    system_id: int | None
    """Edition 4.11: 1 GPS, 2 GLONASS, 3 Galileo, 4 BeiDou, 5 QZSS, 6 NavIC. Some BDGSA put a float there: None."""

    def read(self) -> None:
        """Read all fields. Raises `FieldError`."""
        fields = self.fields
        self.selection_mode = fields[1] or None
        self.fix_mode = read_integer(fields, 2, "fix_mode")
        self.sat_ids = [read_integer(fields, at, "sat_ids") or 0 for at in range(3, 15) if fields[at]]
        self.pdop = read_number(fields, 15, "pdop")
        self.hdop = read_number(fields, 16, "hdop")
        self.vdop = read_number(fields, 17, "vdop")
        system = field_of(fields, 18)
        self.system_id = read_hex_digit(fields, 18, "system_id") if _is_hex_digit(system) else None

    @classmethod
    def of(
        cls,
        talker: str,
        selection_mode: str | None,
        fix_mode: int | None,
        sat_ids: list[int],
        pdop: float | None,
        hdop: float | None,
        vdop: float | None,
        system_id: int | None = None,
    ) -> "Gsa":
        """A sentence of our own. Raises `LocalProtocolError`, also for more than twelve satellites."""
        if len(sat_ids) > _SATELLITES_OF_GSA:
            raise LocalProtocolError("a GSA holds twelve satellites", field="sat_ids")
        fields = [
            address_of(talker, cls.FORMATTER),
            write_letters(selection_mode, "selection_mode"),
            write_integer(fix_mode, 1, "fix_mode"),
        ]
        fields.extend([write_integer(sat_id, 2, "sat_ids") for sat_id in sat_ids])
        fields.extend([""] * (_SATELLITES_OF_GSA - len(sat_ids)))
        fields.append(write_number(pdop, 1, 3, "pdop"))
        fields.append(write_number(hdop, 1, 3, "hdop"))
        fields.append(write_number(vdop, 1, 3, "vdop"))
        if system_id is not None:
            fields.append(write_hex_digit(system_id, "system_id"))
        return cls(",".join(fields))


class Gsv(Sentence):
    """Satellites in view, four a sentence."""

    __slots__ = ("msg_num", "num_msgs", "sats", "sats_in_view", "signal_id")

    FORMATTER = "GSV"
    FEWEST_FIELDS = 3

    num_msgs: int | None
    msg_num: int | None
    sats_in_view: int | None
    sats: list[Satellite]
    """Groups without an id are left out."""
    signal_id: int | None
    """Edition 4.11."""

    def read(self) -> None:
        """Read all fields. Raises `FieldError`, also when the last group is torn."""
        fields = self.fields
        self.num_msgs = read_integer(fields, 1, "num_msgs")
        self.msg_num = read_integer(fields, 2, "msg_num")
        self.sats_in_view = read_integer(fields, 3, "sats_in_view")
        groups_end = len(fields) - len(fields) % 4
        trailing = fields[groups_end:]
        if len(trailing) == 3 or not all(_is_hex_digit(text) for text in trailing):
            raise wrong("the last group of four is torn", fields, len(fields) - 1, "fields")
        self.signal_id = read_hex_digit(fields, groups_end, "signal_id")
        sats: list[Satellite] = []
        for at in range(4, groups_end, 4):
            sat_id = read_integer(fields, at, "id")
            if sat_id is not None:
                elevation = read_number(fields, at + 1, "elevation_deg")
                azimuth = read_number(fields, at + 2, "azimuth_deg")
                sats.append(Satellite(sat_id, elevation, azimuth, read_number(fields, at + 3, "snr_db")))
        self.sats = sats

    @classmethod
    def of(
        cls,
        talker: str,
        num_msgs: int | None,
        msg_num: int | None,
        sats_in_view: int | None,
        sats: list[Satellite],
        signal_id: int | None = None,
    ) -> "Gsv":
        """A sentence of our own. Raises `LocalProtocolError`, also for more than four satellites."""
        if len(sats) > _SATELLITES_OF_GSV:
            raise LocalProtocolError("a GSV holds four satellites", field="sats")
        fields = [
            address_of(talker, cls.FORMATTER),
            write_integer(num_msgs, 1, "num_msgs"),
            write_integer(msg_num, 1, "msg_num"),
            write_integer(sats_in_view, 2, "sats_in_view"),
        ]
        for sat in sats:
            fields.append(write_integer(sat.sat_id, 2, "id"))
            fields.append(_write_padded(sat.elevation_deg, 2, "elevation_deg"))
            fields.append(_write_padded(sat.azimuth_deg, 3, "azimuth_deg"))
            fields.append(_write_padded(sat.snr_db, 2, "snr_db"))
        if signal_id is not None:
            fields.append(write_hex_digit(signal_id, "signal_id"))
        return cls(",".join(fields))


def _is_hex_digit(text: str) -> bool:
    return not text or (len(text) == 1 and text in "0123456789ABCDEFabcdef")


def _write_padded(value: float | None, width: int, name: str) -> str:
    """Whole numbers with leading zeros, as receivers write angles; a fraction stays."""
    text = write_number(value, 0, 3, name)
    return text if value is None or "." in text else write_integer(int(text), width, name)
