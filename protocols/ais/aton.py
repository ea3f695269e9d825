"""Aids to navigation: message 21, and their monitoring in message 6.

ITU-R M.1371-5, Annex 8; IALA Guideline 1098; IALA A-126 ed. 1.6 (the monitoring message of the General
Lighthouse Authorities, DAC 235 or 250, function 10); the IALA register of application messages (lantern, DAC 0).
Which DAC and function a country uses for monitoring is a matter of configuration, see `catalogue`.
"""

from typing import Annotated

from protocols.ais.binary import Addressed
from protocols.ais.position import LAT, LON, PER_DEGREE
from protocols.ais.table import LONGEST, Message, Rest, Row, Table
from protocols.core.errors import LocalProtocolError

NAME_LENGTH = 20
LONGEST_NAME = 34
"""With its extension."""
LANTERN = 1
"""The sub-application of DAC 0 that `LanternReport` is."""
STATUS_PAGE = 7
"""The page of the status byte that says how racon, light and the aid as a whole are."""


class AidReport(Message, frozen=True, gc=False):
    """Message 21."""

    aid_type: Annotated[int, Row(38, 42)]
    """1 to 19 are fixed, 20 to 31 float. 20 to 23 cardinal N E S W, 24 port hand, 25 starboard hand, 26 and 27
    preferred channel to port and starboard, 28 isolated danger, 29 safe water, 30 special, 31 light vessel."""
    name: Annotated[str, Row(43, 162, "text")]
    accuracy: Annotated[bool, Row(163, 163, "flag")]
    lon_e4_min: Annotated[int | None, Row(164, 191, "signed", key="lon", per=PER_DEGREE, missing=LON)]
    lat_e4_min: Annotated[int | None, Row(192, 218, "signed", key="lat", per=PER_DEGREE, missing=LAT)]
    to_bow: Annotated[int, Row(219, 227)]
    to_stern: Annotated[int, Row(228, 236)]
    to_port: Annotated[int, Row(237, 242)]
    to_starboard: Annotated[int, Row(243, 248)]
    epfd: Annotated[int, Row(249, 252)]
    second: Annotated[int, Row(253, 258)]
    off_position: Annotated[bool, Row(259, 259, "flag")]
    """Of a floating aid, and only where `second` is 59 at most."""
    regional: Annotated[int, Row(260, 267)]
    """The status byte, see `status_byte`; page 0 says that it is not used."""
    raim: Annotated[bool | None, Row(268, 268, "flag", is_optional=True)]
    virtual_aid: Annotated[bool | None, Row(269, 269, "flag", is_optional=True)]
    assigned: Annotated[bool | None, Row(270, 270, "flag", is_optional=True)]
    name_extension: Annotated[str, Rest("text", fills_bytes=True)]
    """What goes on where the 20 characters of `name` are all used."""

    @property
    def full_name(self) -> str:
        """The name with its extension, without what fills it up."""
        name, at, _ = self.name.partition("@")
        if not at and len(name) == NAME_LENGTH:
            name += self.name_extension.partition("@")[0]
        return name.rstrip(" ")


class MonitoringReport(Addressed, frozen=True, gc=False):
    """Message 6: the state of an aid, sent together with message 21."""

    supply_twentieth_v: Annotated[int | None, Row(88, 97, key="ana_int", per=20, missing=0)]
    """Of the AIS unit, 0.05 V."""
    analogue_1_twentieth_v: Annotated[int | None, Row(98, 107, key="ana_ext1", per=20, missing=0)]
    """The battery, by our use."""
    analogue_2_twentieth_v: Annotated[int | None, Row(108, 117, key="ana_ext2", per=20, missing=0)]
    """Solar or lamp, by our use."""
    racon: Annotated[int, Row(118, 119)]
    """0 none, 1 not monitored, 2 working, 3 error."""
    light: Annotated[int, Row(120, 121)]
    """0 none or not monitored, 1 on, 2 off, 3 error."""
    is_alarm: Annotated[bool, Row(122, 122, "flag", key="health")]
    digital_inputs: Annotated[int, Row(123, 130, key="stat_ext")]
    """Bit 7 first."""
    is_off_position: Annotated[bool, Row(131, 131, "flag", key="off_pos")]


class LanternReport(Addressed, frozen=True, gc=False):
    """Message 6: a lantern, DAC 0, function 0, sub-application 1."""

    sub_application: Annotated[int, Row(88, 103, key="sub_app_id")]
    voltage_tenth_v: Annotated[int, Row(104, 115, key="voltage", per=10)]
    current_tenth_a: Annotated[int, Row(116, 125, key="current", per=10)]
    has_mains: Annotated[bool, Row(126, 126, "flag", key="power_dc")]
    is_light_on: Annotated[bool, Row(127, 127, "flag", key="light_on")]
    is_battery_low: Annotated[bool, Row(128, 128, "flag", key="battery_low")]
    is_off_position: Annotated[bool, Row(129, 129, "flag", key="off_pos")]


AID = Table(AidReport, 272, shortest=268, longest=365)
MONITORING = Table(MonitoringReport, 136, shortest=132, longest=LONGEST)
LANTERN_REPORT = Table(LanternReport, 136, longest=LONGEST)


def status_byte(page: int, racon: int, light: int, is_alarm: bool) -> int:
    """What `AidReport.regional` is with a page of its own. Raises `LocalProtocolError`.

    >>> status_byte(STATUS_PAGE, racon=0, light=3, is_alarm=True)
    231
    """
    for name, value, most in (("page", page, 7), ("racon", racon, 3), ("light", light, 3)):
        if not 0 <= value <= most:
            raise LocalProtocolError(f"0 to {most}", field=name)
    return page << 5 | racon << 3 | light << 1 | is_alarm
