"""Inland AIS: what DAC 200 says in messages 6 and 8.

Vessel Tracking and Tracing Standard for Inland Navigation (UNECE resolution 63), application messages of DAC 200.
Function 23 (weather warnings) is left out: the documents disagree about its bits.
"""

from typing import Annotated

import msgspec

from protocols.ais.binary import Addressed, Broadcast
from protocols.ais.position import LAT, LON, PER_DEGREE
from protocols.ais.table import LONGEST, Row, Table
from protocols.core.errors import LocalProtocolError


class InlandShip(Broadcast, frozen=True, gc=False):
    """Function 10: an inland ship and her voyage."""

    vin: Annotated[str, Row(56, 103, "text")]
    """Her European number (ENI)."""
    length_tenth_m: Annotated[int, Row(104, 116, key="length", per=10)]
    beam_tenth_m: Annotated[int, Row(117, 126, key="beam", per=10)]
    shiptype: Annotated[int, Row(127, 140)]
    """ERI code, 8000 to 8370; from 8210 a convoy."""
    hazard: Annotated[int, Row(141, 143)]
    """0 to 3 blue cones, 4 flag B, 5 unknown."""
    draught_cm: Annotated[int, Row(144, 154, key="draught", per=100)]
    loaded: Annotated[int, Row(155, 156)]
    """1 empty, 2 loaded."""
    speed_q: Annotated[bool, Row(157, 157, "flag")]
    course_q: Annotated[bool, Row(158, 158, "flag")]
    heading_q: Annotated[bool, Row(159, 159, "flag")]


class ArrivalEstimate(Addressed, frozen=True, gc=False):
    """Function 21: when a ship will be at a lock, bridge or terminal. She expects function 22 within 15 minutes."""

    country: Annotated[str, Row(88, 99, "text")]
    locode: Annotated[str, Row(100, 117, "text")]
    section: Annotated[str, Row(118, 147, "text")]
    terminal: Annotated[str, Row(148, 177, "text")]
    hectometre: Annotated[str, Row(178, 207, "text")]
    month: Annotated[int, Row(208, 211)]
    day: Annotated[int, Row(212, 216)]
    hour: Annotated[int, Row(217, 221)]
    minute: Annotated[int, Row(222, 227)]
    tugs: Annotated[int | None, Row(228, 230, missing=7)]
    airdraught_cm: Annotated[int | None, Row(231, 242, key="airdraught", per=100, missing=0)]


class ArrivalRequest(Addressed, frozen=True, gc=False):
    """Function 22: when a lock, bridge or terminal wants her to be there."""

    country: Annotated[str, Row(88, 99, "text")]
    locode: Annotated[str, Row(100, 117, "text")]
    section: Annotated[str, Row(118, 147, "text")]
    terminal: Annotated[str, Row(148, 177, "text")]
    hectometre: Annotated[str, Row(178, 207, "text")]
    month: Annotated[int, Row(208, 211)]
    day: Annotated[int, Row(212, 216)]
    hour: Annotated[int, Row(217, 221)]
    minute: Annotated[int, Row(222, 227)]
    lock_status: Annotated[int, Row(228, 229)]
    """0 operational, 1 limited, 2 out of order, 3 not available."""


class Gauge(msgspec.Struct, frozen=True):
    """One gauge of function 24. Which sign is which, stations disagree about; this is the more common reading."""

    gauge_id: int
    is_positive: bool
    magnitude_cm: int
    """0: not available."""

    @property
    def level_cm(self) -> int | None:
        """Above or below the gauge's zero."""
        if not self.magnitude_cm:
            return None
        return self.magnitude_cm if self.is_positive else -self.magnitude_cm


GAUGES = 4
_GAUGE_BITS = 25
_SIGN = 1 << 13


class WaterLevels(Broadcast, frozen=True, gc=False):
    """Function 24: four gauges."""

    country: Annotated[str, Row(56, 67, "text")]
    gauges: Annotated[tuple[Gauge, ...], Row(68, 167, "list")]


def _read_gauges(code: int) -> tuple[Gauge, ...]:
    codes = [code >> _GAUGE_BITS * at & (1 << _GAUGE_BITS) - 1 for at in reversed(range(GAUGES))]
    return tuple(Gauge(one >> 14, bool(one & _SIGN), one & _SIGN - 1) for one in codes)


def _write_gauges(gauges: tuple[Gauge, ...]) -> int:
    if len(gauges) != GAUGES:
        raise LocalProtocolError(f"there are {GAUGES} places for gauges", field="gauges")
    code = 0
    for gauge in gauges:
        if not (0 <= gauge.gauge_id < 1 << 11 and 0 <= gauge.magnitude_cm < _SIGN):
            raise LocalProtocolError("an id has 11 bits and a level 13", field="gauges")
        code = code << _GAUGE_BITS | gauge.gauge_id << 14 | gauge.is_positive << 13 | gauge.magnitude_cm
    return code


class Signal(Broadcast, frozen=True, gc=False):
    """Function 40: what a traffic signal shows."""

    lon_e4_min: Annotated[int | None, Row(56, 83, "signed", key="lon", per=PER_DEGREE, missing=LON)]
    lat_e4_min: Annotated[int | None, Row(84, 110, "signed", key="lat", per=PER_DEGREE, missing=LAT)]
    form: Annotated[int, Row(111, 114)]
    facing_deg: Annotated[int | None, Row(115, 123, key="facing", missing=511)]
    direction: Annotated[int, Row(124, 126)]
    """Of the traffic it is for: 1 up, 2 down, 3 to the left bank, 4 to the right."""
    signal_status: Annotated[int, Row(127, 156)]
    """One decimal digit a light: 0 unknown, 1 off, 2 white, 3 yellow, 4 green, 5 red, 6 white fl., 7 yellow fl."""


class PersonsTold(Addressed, frozen=True, gc=False):
    """Function 55, to one station: who is on board."""

    crew: Annotated[int | None, Row(88, 95, missing=255)]
    passengers: Annotated[int | None, Row(96, 108, missing=8191)]
    personnel: Annotated[int | None, Row(109, 116, missing=255)]


class PersonsBroadcast(Broadcast, frozen=True, gc=False):
    """Function 55, to all."""

    crew: Annotated[int | None, Row(56, 63, missing=255)]
    passengers: Annotated[int | None, Row(64, 76, missing=8191)]
    personnel: Annotated[int | None, Row(77, 84, missing=255)]


SHIP = Table(InlandShip, 168, shortest=160, longest=LONGEST)
ARRIVAL_ESTIMATE = Table(ArrivalEstimate, 248, shortest=243, longest=LONGEST)
ARRIVAL_REQUEST = Table(ArrivalRequest, 232, shortest=230, longest=LONGEST)
WATER_LEVELS = Table(WaterLevels, 168, longest=LONGEST, lists=(_read_gauges, _write_gauges))
SIGNAL = Table(Signal, 168, shortest=157, longest=LONGEST)
PERSONS_TOLD = Table(PersonsTold, 168, shortest=117, longest=LONGEST)
PERSONS_BROADCAST = Table(PersonsBroadcast, 136, shortest=85, longest=LONGEST)
