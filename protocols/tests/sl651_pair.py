"""A station and a centre of SL 651, and what their tests say to them."""

from typing import Any

from protocols.core.errors import NeedData
from protocols.sl651.bodies import Bare, Opening, Report
from protocols.sl651.centre import Centre
from protocols.sl651.centre_events import Ask, CentreSettings
from protocols.sl651.elements import element_of
from protocols.sl651.frame import Frame
from protocols.sl651.framer import Framer
from protocols.sl651.groups import PICTURE as PICTURE_IDENT
from protocols.sl651.groups import Group, number_group, observed_group, station_group
from protocols.sl651.station import Station
from protocols.sl651.station_events import (
    StationSettings,
)
from protocols.tests.kit import frames_of

ADDRESS = bytes.fromhex("0012345678")
PASSWORD = bytes.fromhex("1234")


def clock(now: float) -> str:
    return f"2611240000{int(now) % 60:02d}"


def station(**changes: Any) -> Station:
    settings = {"center_addr": 1, "station_addr": ADDRESS, "password": PASSWORD, **changes}
    return Station(StationSettings(**settings), clock)


def centre(**changes: Any) -> Centre:
    return Centre(CentreSettings(**changes), clock)


def level(mantissa: int | None, is_ascii: bool = False) -> Report:
    groups = [
        station_group(ADDRESS, "H", is_ascii),
        observed_group("2611240000", is_ascii),
        number_group(element_of(0x39), mantissa, is_ascii),
    ]
    return Report(Opening(0, "0" * 12), groups)


def picture(size: int) -> Report:
    groups = [station_group(ADDRESS, "H"), observed_group("2611240000"), Group(PICTURE_IDENT, bytes(range(256)) * size)]
    return Report(Opening(0, "0" * 12), groups)


def bare() -> Bare:
    return Bare(Opening(0, "0" * 12))


def ask(function_code: int, body: Any = None) -> Ask:
    return Ask(1, ADDRESS, PASSWORD, function_code, body or bare())


def events_of(dialogue: Any) -> list[Any]:
    events = []
    while not isinstance(event := dialogue.next_event(), NeedData):
        events.append(event)
    return events


def frames_in(wire: bytes) -> list[Frame]:
    framer = Framer()
    framer.feed(wire)
    return frames_of(framer)


def settle(one: Any, other: Any, now: float) -> None:
    """Carry bytes both ways until both are quiet."""
    for _ in range(20):
        up, down = one.bytes_to_send(), other.bytes_to_send()
        if not up and not down:
            return
        other.receive(up, now)
        one.receive(down, now)
    raise AssertionError("they never end")
