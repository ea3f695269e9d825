"""What a counted ship is: kind, length, dangerous cargo, convoy; and the tally of a period.

By the latest static data: messages 5, 19 and 24, and function 10 of inland AIS, which comes first for the length. A
passage waits for them up to six minutes after the crossing; what is not known by then is unknown.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from protocols.ais.counting import Direction, Passage
from protocols.ais.inland import InlandShip
from protocols.ais.position import ClassBExtendedReport
from protocols.ais.static import ShipPart, VoyageData

WAIT_S = 360.0
UNKNOWN = "unknown"
_KINDS = {30: "fishing", 31: "tug", 32: "tug", 52: "tug"}
_KINDS_BY_TEN = {6: "passenger", 7: "cargo", 8: "tanker"}
_LENGTHS = ((30, "<30"), (50, "30-50"), (90, "50-90"), (150, "90-150"))
_LAST_SHIPTYPE = 99
_CONVOYS = range(8210, 8371)


class Ship(msgspec.Struct, frozen=True):
    """What static messages have said of one ship so far."""

    shiptype: int | None = None
    """Of messages 5, 19 and 24."""
    eri: int | None = None
    """Of inland AIS."""
    cones: int | None = None
    """Blue cones."""
    length_m: float | None = None
    inland_length_m: float | None = None


class ShipClass(msgspec.Struct, frozen=True):
    """How a ship is counted."""

    kind: str = UNKNOWN
    length: str = UNKNOWN
    is_hazardous: bool = False
    is_convoy: bool = False


class Tally(msgspec.Struct, frozen=True):
    """What went over the line in one period."""

    counts: dict[tuple[Direction, ShipClass], int]
    mean_speed_kn: float | None


def told(ship: Ship, message: Any) -> Ship:
    """The ship after a message; the same one after a message that says nothing of it."""
    match message:
        case VoyageData() | ClassBExtendedReport() | ShipPart():
            length = message.to_bow + message.to_stern
            return msgspec.structs.replace(ship, shiptype=message.shiptype, length_m=length or ship.length_m)
        case InlandShip():
            return msgspec.structs.replace(
                ship,
                eri=message.shiptype,
                cones=message.hazard,
                inland_length_m=message.length_tenth_m / 10 if message.length_tenth_m else ship.inland_length_m,
            )
    return ship


def class_of(ship: Ship) -> ShipClass:
    """How a ship is counted."""
    shiptype = ship.shiptype if ship.shiptype is not None and ship.shiptype <= _LAST_SHIPTYPE else 0
    kind = UNKNOWN
    if ship.shiptype is not None:
        kind = _KINDS.get(shiptype) or _KINDS_BY_TEN.get(shiptype // 10, "other")
    length_m = ship.inland_length_m if ship.inland_length_m is not None else ship.length_m
    length = UNKNOWN
    if length_m is not None:
        length = next((name for below, name in _LENGTHS if length_m < below), ">=150")
    is_hazardous = (shiptype >= 20 and 1 <= shiptype % 10 <= 4 and shiptype // 10 not in (3, 5)) or (
        ship.cones is not None and 1 <= ship.cones <= 3
    )
    return ShipClass(kind, length, is_hazardous, ship.eri in _CONVOYS)


def is_classified(passage: Passage, ship: Ship, now: float) -> bool:
    """Whether a passage can be counted now: its ship is known, or has been waited for long enough."""
    known = class_of(ship)
    return UNKNOWN not in (known.kind, known.length) or now - passage.at >= WAIT_S


def tally(passages: Iterable[tuple[Passage, ShipClass]]) -> Tally:
    """Count the passages of a period."""
    counts: dict[tuple[Direction, ShipClass], int] = {}
    speeds = []
    for passage, ship_class in passages:
        key = (passage.direction, ship_class)
        counts[key] = counts.get(key, 0) + 1
        if passage.speed_kn is not None:
            speeds.append(passage.speed_kn)
    return Tally(counts, sum(speeds) / len(speeds) if speeds else None)
