"""What an aid to navigation says of itself: message 21 by the rules, from what the aid knows.

IALA Guideline 1098; ITU-R M.1371-5, Annex 8, message 21. A floating aid sends the position that it has measured, a
fixed or virtual one the charted position. Without a fix the position is not available and nothing is said about being
off position. A report is wanted each 3 minutes; a buoy on batteries takes 6 to 12, and sends its monitoring (message 6)
each half hour or hour, and at once on an alarm.

>>> report = floating_aid(994121001, 24, "Yangtze No.12", Fix(32.089123, 118.781235, 17), off_position=True, light=1)
>>> report.name, report.second, report.off_position, report.regional
('YANGTZE NO.12', 17, True, 226)
"""

import msgspec

from protocols.ais.armour import writable
from protocols.ais.aton import LONGEST_NAME, NAME_LENGTH, STATUS_PAGE, AidReport, status_byte
from protocols.ais.position import PER_DEGREE
from protocols.core.errors import LocalProtocolError

AID_TYPE = 21
SURVEYED = 7
GPS = 1
INTERNAL_GNSS = 15
NO_TIME = 60
INOPERATIVE = 63
FIRST_FLOATING = 20
LAST_TYPE = 31
_REAL = 1
_VIRTUAL = 6


class Fix(msgspec.Struct, frozen=True):
    """A measured position."""

    lat_deg: float
    lon_deg: float
    second: int
    """Of UTC."""
    is_differential: bool = False
    """Corrected by DGNSS or SBAS."""
    has_raim: bool = False
    epfd: int = GPS


def floating_aid(
    mmsi: int,
    aid_type: int,
    name: str,
    fix: Fix | None,
    *,
    off_position: bool = False,
    half_size_m: int = 1,
    racon: int = 0,
    light: int = 0,
    is_alarm: bool = False,
) -> AidReport:
    """The report of a buoy. Raises `LocalProtocolError`."""
    if not FIRST_FLOATING <= aid_type <= LAST_TYPE:
        raise LocalProtocolError("types 20 to 31 float", field="aid_type")
    if fix is not None and not 0 <= fix.second < NO_TIME:
        raise LocalProtocolError("a fix has a second of UTC", field="second")
    _check_mmsi(mmsi, _REAL)
    return _report(
        mmsi,
        aid_type,
        name,
        (fix.lat_deg, fix.lon_deg) if fix else None,
        size_m=max(1, half_size_m),
        epfd=fix.epfd if fix else GPS,
        second=fix.second if fix else INOPERATIVE,
        off_position=off_position and fix is not None,
        accuracy=fix is not None and fix.is_differential,
        raim=fix is not None and fix.has_raim,
        regional=status_byte(STATUS_PAGE, racon, light, is_alarm),
    )


def charted_aid(
    mmsi: int,
    aid_type: int,
    name: str,
    lat_deg: float,
    lon_deg: float,
    *,
    is_virtual: bool = False,
    half_size_m: int = 1,
    racon: int = 0,
    light: int = 0,
    is_alarm: bool = False,
) -> AidReport:
    """The report of a fixed or virtual aid. Raises `LocalProtocolError`."""
    _check_mmsi(mmsi, _VIRTUAL if is_virtual else _REAL)
    report = _report(
        mmsi,
        aid_type,
        name,
        (lat_deg, lon_deg),
        size_m=0 if is_virtual else half_size_m,
        epfd=SURVEYED,
        second=NO_TIME,
        off_position=False,
        accuracy=True,
        raim=False,
        regional=status_byte(STATUS_PAGE, racon, light, is_alarm),
    )
    return msgspec.structs.replace(report, virtual_aid=is_virtual)


def _check_mmsi(mmsi: int, kind: int) -> None:
    if mmsi // 10_000_000 != 99 or mmsi // 1000 % 10 != kind:
        raise LocalProtocolError(f"the MMSI of such an aid is 99MID{kind}xxx", field="mmsi")


def _report(
    mmsi: int,
    aid_type: int,
    name: str,
    position: tuple[float, float] | None,
    *,
    size_m: int,
    epfd: int,
    second: int,
    off_position: bool,
    accuracy: bool,
    raim: bool,
    regional: int,
) -> AidReport:
    text = writable(name)
    if len(text) > LONGEST_NAME:
        raise LocalProtocolError(f"longer than {LONGEST_NAME} characters", field="name")
    if position is not None and not (abs(position[0]) <= 90 and abs(position[1]) <= 180):
        raise LocalProtocolError("not on the globe", field="position")
    return AidReport(
        type=AID_TYPE,
        repeat=0,
        mmsi=mmsi,
        aid_type=aid_type,
        name=text[:NAME_LENGTH],
        accuracy=accuracy,
        lon_e4_min=None if position is None else round(position[1] * PER_DEGREE),
        lat_e4_min=None if position is None else round(position[0] * PER_DEGREE),
        to_bow=size_m,
        to_stern=size_m,
        to_port=min(size_m, 63),
        to_starboard=min(size_m, 63),
        epfd=epfd,
        second=second,
        off_position=off_position,
        regional=regional,
        raim=raim,
        virtual_aid=False,
        assigned=False,
        name_extension=text[NAME_LENGTH:],
    )
