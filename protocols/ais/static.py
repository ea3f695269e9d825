"""What a ship is and where she goes: messages 5 (class A) and 24 (class B, two parts, joined by MMSI).

ITU-R M.1371-5, Annex 8. Lengths are m from the antenna: 0 is unknown, 511 and 63 that or more.
"""

from typing import Annotated

from protocols.ais.table import LONGEST, Message, Row, Table


class VoyageData(Message, frozen=True, gc=False):
    """Message 5."""

    ais_version: Annotated[int, Row(38, 39)]
    imo: Annotated[int, Row(40, 69)]
    callsign: Annotated[str, Row(70, 111, "text")]
    shipname: Annotated[str, Row(112, 231, "text")]
    shiptype: Annotated[int, Row(232, 239)]
    """20s WIG, 30 fishing, 31 and 32 towing, 36 sailing, 40s high speed, 52 tug, 60s passengers, 70s cargo, 80s tanker,
    90s other; a second digit of 1 to 4 is a dangerous cargo A to D."""
    to_bow: Annotated[int, Row(240, 248)]
    to_stern: Annotated[int, Row(249, 257)]
    to_port: Annotated[int, Row(258, 263)]
    to_starboard: Annotated[int, Row(264, 269)]
    epfd: Annotated[int, Row(270, 273)]
    month: Annotated[int, Row(274, 277)]
    """Month and day 0, hour 24, minute 60: not available; kept as they came."""
    day: Annotated[int, Row(278, 282)]
    hour: Annotated[int, Row(283, 287)]
    minute: Annotated[int, Row(288, 293)]
    draught_tenth_m: Annotated[int, Row(294, 301, key="draught", per=10)]
    destination: Annotated[str, Row(302, 421, "text")]
    dte: Annotated[bool | None, Row(422, 422, "flag", is_optional=True)]


class NamePart(Message, frozen=True, gc=False):
    """Message 24, part A."""

    partno: Annotated[int, Row(38, 39)]
    shipname: Annotated[str, Row(40, 159, "text")]


class ShipPart(Message, frozen=True, gc=False):
    """Message 24, part B."""

    partno: Annotated[int, Row(38, 39)]
    shiptype: Annotated[int, Row(40, 47)]
    vendorid: Annotated[str, Row(48, 65, "text")]
    model: Annotated[int, Row(66, 69)]
    serial: Annotated[int, Row(70, 89)]
    callsign: Annotated[str, Row(90, 131, "text")]
    to_bow: Annotated[int, Row(132, 140)]
    to_stern: Annotated[int, Row(141, 149)]
    to_port: Annotated[int, Row(150, 155)]
    to_starboard: Annotated[int, Row(156, 161)]


class AuxiliaryPart(Message, frozen=True, gc=False):
    """Message 24, part B, of an auxiliary craft (MMSI 98MIDxxxx): her mother ship instead of dimensions."""

    partno: Annotated[int, Row(38, 39)]
    shiptype: Annotated[int, Row(40, 47)]
    vendorid: Annotated[str, Row(48, 65, "text")]
    model: Annotated[int, Row(66, 69)]
    serial: Annotated[int, Row(70, 89)]
    callsign: Annotated[str, Row(90, 131, "text")]
    mothership_mmsi: Annotated[int, Row(132, 161)]


VOYAGE = Table(VoyageData, 424, shortest=420, longest=429)
NAME_PART = Table(NamePart, 160, longest=LONGEST)
SHIP_PART = Table(ShipPart, 168, shortest=162)
AUXILIARY_PART = Table(AuxiliaryPart, 168, shortest=162)


def is_auxiliary(mmsi: int) -> bool:
    """Whether an MMSI is that of an auxiliary craft."""
    return mmsi // 10_000_000 == 98
