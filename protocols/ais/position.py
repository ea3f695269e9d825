"""Where a station is: messages 1, 2, 3 (class A), 9 (SAR aircraft), 18, 19 (class B), 27 (long range), 4 and 11 (base).

ITU-R M.1371-5, Annex 8. Units are in the names: `lon_e4_min` counts 1/10 000 minute of arc, east and north positive;
`speed_tenth_kn` 0.1 knot, 1022 being that or more; `course_tenth_deg` 0.1 degree.
"""

from typing import Annotated

from protocols.ais.table import Message, Row, Table

LON = 181 * 600_000
"""181 degrees: no longitude."""
LAT = 91 * 600_000
PER_DEGREE = 600_000

STATUS_AT_ANCHOR = 1
STATUS_MOORED = 5
STATUS_UNDEFINED = 15


class PositionReport(Message, frozen=True, gc=False):
    """Messages 1, 2 and 3: class A."""

    status: Annotated[int, Row(38, 41)]
    """0 under way, 1 at anchor, 2 not under command, 3 restricted, 4 by her draught, 5 moored, 6 aground, 7 fishing,
    8 sailing, 11 towing astern, 12 pushing, 14 a search and rescue transmitter, 15 undefined."""
    rate_of_turn: Annotated[int | None, Row(42, 49, "signed", missing=-128)]
    """4.733 times the root of degrees a minute, to starboard positive; 127 is faster than 5 degrees in 30 s."""
    speed_tenth_kn: Annotated[int | None, Row(50, 59, key="speed", per=10, missing=1023)]
    accuracy: Annotated[bool, Row(60, 60, "flag")]
    """True: better than 10 m."""
    lon_e4_min: Annotated[int | None, Row(61, 88, "signed", key="lon", per=PER_DEGREE, missing=LON)]
    lat_e4_min: Annotated[int | None, Row(89, 115, "signed", key="lat", per=PER_DEGREE, missing=LAT)]
    course_tenth_deg: Annotated[int | None, Row(116, 127, key="course", per=10, missing=3600, limit=3600)]
    heading_deg: Annotated[int | None, Row(128, 136, key="heading", missing=511)]
    second: Annotated[int, Row(137, 142)]
    """Of UTC; 60 not available, 61 manual, 62 dead reckoning, 63 inoperative."""
    maneuver: Annotated[int, Row(143, 144)]
    """1 no special manoeuvre, 2 one (inland: blue sign)."""
    raim: Annotated[bool, Row(148, 148, "flag")]
    radio: Annotated[int, Row(149, 167)]


class BaseStationReport(Message, frozen=True, gc=False):
    """Messages 4 (base station) and 11 (answer to an inquiry for UTC)."""

    year: Annotated[int, Row(38, 51)]
    """Year, month and day 0, hour 24, minute and second 60: not available; kept as they came."""
    month: Annotated[int, Row(52, 55)]
    day: Annotated[int, Row(56, 60)]
    hour: Annotated[int, Row(61, 65)]
    minute: Annotated[int, Row(66, 71)]
    second: Annotated[int, Row(72, 77)]
    accuracy: Annotated[bool, Row(78, 78, "flag")]
    lon_e4_min: Annotated[int | None, Row(79, 106, "signed", key="lon", per=PER_DEGREE, missing=LON)]
    lat_e4_min: Annotated[int | None, Row(107, 133, "signed", key="lat", per=PER_DEGREE, missing=LAT)]
    epfd: Annotated[int, Row(134, 137)]
    """How it knows its position: 0 undefined, 1 GPS, 2 GLONASS, 3 both, 4 Loran-C, 5 Chayka, 6 integrated, 7 surveyed,
    8 Galileo, 15 internal GNSS."""
    raim: Annotated[bool, Row(148, 148, "flag")]
    radio: Annotated[int, Row(149, 167)]


class AircraftReport(Message, frozen=True, gc=False):
    """Message 9: aircraft on search and rescue."""

    altitude_m: Annotated[int | None, Row(38, 49, key="alt", missing=4095)]
    speed_kn: Annotated[int | None, Row(50, 59, key="speed", missing=1023)]
    accuracy: Annotated[bool, Row(60, 60, "flag")]
    lon_e4_min: Annotated[int | None, Row(61, 88, "signed", key="lon", per=PER_DEGREE, missing=LON)]
    lat_e4_min: Annotated[int | None, Row(89, 115, "signed", key="lat", per=PER_DEGREE, missing=LAT)]
    course_tenth_deg: Annotated[int | None, Row(116, 127, key="course", per=10, missing=3600, limit=3600)]
    second: Annotated[int, Row(128, 133)]
    regional: Annotated[int, Row(134, 141)]
    dte: Annotated[bool, Row(142, 142, "flag")]
    assigned: Annotated[bool, Row(146, 146, "flag")]
    raim: Annotated[bool, Row(147, 147, "flag")]
    radio: Annotated[int, Row(148, 167)]


class ClassBReport(Message, frozen=True, gc=False):
    """Message 18: class B."""

    reserved: Annotated[int, Row(38, 45)]
    speed_tenth_kn: Annotated[int | None, Row(46, 55, key="speed", per=10, missing=1023)]
    accuracy: Annotated[bool, Row(56, 56, "flag")]
    lon_e4_min: Annotated[int | None, Row(57, 84, "signed", key="lon", per=PER_DEGREE, missing=LON)]
    lat_e4_min: Annotated[int | None, Row(85, 111, "signed", key="lat", per=PER_DEGREE, missing=LAT)]
    course_tenth_deg: Annotated[int | None, Row(112, 123, key="course", per=10, missing=3600, limit=3600)]
    heading_deg: Annotated[int | None, Row(124, 132, key="heading", missing=511)]
    second: Annotated[int, Row(133, 138)]
    regional: Annotated[int, Row(139, 140)]
    cs: Annotated[bool, Row(141, 141, "flag")]
    """True: carrier sense (CSTDMA), false: SOTDMA."""
    display: Annotated[bool, Row(142, 142, "flag")]
    dsc: Annotated[bool, Row(143, 143, "flag")]
    band: Annotated[bool, Row(144, 144, "flag")]
    msg22: Annotated[bool, Row(145, 145, "flag")]
    assigned: Annotated[bool, Row(146, 146, "flag")]
    raim: Annotated[bool, Row(147, 147, "flag")]
    radio: Annotated[int, Row(148, 167)]


class ClassBExtendedReport(Message, frozen=True, gc=False):
    """Message 19: class B, position and what the ship is."""

    reserved: Annotated[int, Row(38, 45)]
    speed_tenth_kn: Annotated[int | None, Row(46, 55, key="speed", per=10, missing=1023)]
    accuracy: Annotated[bool, Row(56, 56, "flag")]
    lon_e4_min: Annotated[int | None, Row(57, 84, "signed", key="lon", per=PER_DEGREE, missing=LON)]
    lat_e4_min: Annotated[int | None, Row(85, 111, "signed", key="lat", per=PER_DEGREE, missing=LAT)]
    course_tenth_deg: Annotated[int | None, Row(112, 123, key="course", per=10, missing=3600, limit=3600)]
    heading_deg: Annotated[int | None, Row(124, 132, key="heading", missing=511)]
    second: Annotated[int, Row(133, 138)]
    regional: Annotated[int, Row(139, 142)]
    shipname: Annotated[str, Row(143, 262, "text")]
    shiptype: Annotated[int, Row(263, 270)]
    to_bow: Annotated[int, Row(271, 279)]
    """From the antenna, m; 0 is unknown."""
    to_stern: Annotated[int, Row(280, 288)]
    to_port: Annotated[int, Row(289, 294)]
    to_starboard: Annotated[int, Row(295, 300)]
    epfd: Annotated[int, Row(301, 304)]
    raim: Annotated[bool, Row(305, 305, "flag")]
    dte: Annotated[bool, Row(306, 306, "flag")]
    assigned: Annotated[bool, Row(307, 307, "flag")]


class LongRangeReport(Message, frozen=True, gc=False):
    """Message 27: class A, heard from satellites."""

    accuracy: Annotated[bool, Row(38, 38, "flag")]
    raim: Annotated[bool, Row(39, 39, "flag")]
    status: Annotated[int, Row(40, 43)]
    lon_tenth_min: Annotated[int | None, Row(44, 61, "signed", key="lon", per=600, missing=181 * 600)]
    lat_tenth_min: Annotated[int | None, Row(62, 78, "signed", key="lat", per=600, missing=91 * 600)]
    speed_kn: Annotated[int | None, Row(79, 84, key="speed", missing=63)]
    course_deg: Annotated[int | None, Row(85, 93, key="course", missing=511, limit=360)]
    gnss: Annotated[bool, Row(94, 94, "flag")]
    """The bit itself: 0 is a current position."""


POSITION = Table(PositionReport, 168)
BASE_STATION = Table(BaseStationReport, 168)
AIRCRAFT = Table(AircraftReport, 168)
CLASS_B = Table(ClassBReport, 168)
CLASS_B_EXTENDED = Table(ClassBExtendedReport, 312)
LONG_RANGE = Table(LongRangeReport, 96, longest=173)
