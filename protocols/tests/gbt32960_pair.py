"""What the tests of both ends of GB/T 32960 share."""

from typing import Any

from protocols.core.errors import NeedData
from protocols.gbt32960 import platform as platform_side
from protocols.gbt32960.frame import Frame, Framer, Response
from protocols.gbt32960.items_2016 import Engine
from protocols.gbt32960.login import VehicleLogin
from protocols.gbt32960.platform import Platform, PlatformSettings, Told
from protocols.gbt32960.report import Item, Report
from protocols.gbt32960.times import time_of_instant
from protocols.gbt32960.vehicle import (
    LoggedIn,
    LogIn,
    Vehicle,
    VehicleSettings,
)
from protocols.tests.kit import frames_of

VIN = b"LZYTAGBW0G1042536"
OTHER_VIN = b"LZYTAGBW0G1042537"
CODE = b"guokezhiyun000001"
START_MS = 1_795_500_000_000


def clock(now: float) -> bytes:
    return time_of_instant(START_MS + int(now * 1000))


def vehicle(**changes: Any) -> Vehicle:
    return Vehicle(VehicleSettings(**{"vin": VIN, **changes}), clock, 0.0)


def platform() -> Platform:
    return Platform(PlatformSettings(), clock)


def login() -> LogIn:
    return LogIn(VehicleLogin(bytes(6), 1, b"89860616010054587601"))


def report(number: int) -> Report:
    return Report(clock(number), (Item(4, Engine(1, number, None)),))


def events_of(dialogue: Any) -> list[Any]:
    events = []
    while not isinstance(event := dialogue.next_event(), NeedData):
        events.append(event)
    return events


def frames_in(wire: bytes) -> list[Frame]:
    framer = Framer()
    framer.feed(wire)
    return frames_of(framer)


def settle(one: Vehicle, other: Platform, now: float, response: int = Response.SUCCESS) -> list[Any]:
    """Carry bytes both ways and answer all that is told, until both are quiet; what was told."""
    told = []
    for _ in range(20):
        up, down = one.bytes_to_send(), other.bytes_to_send()
        if not up and not down:
            return told
        other.receive(up, now)
        one.receive(down, now)
        while isinstance(event := other.next_event(), Told):
            told.append(event)
            other.send(platform_side.Answer(event, response), now)
    raise AssertionError("they never end")


def logged_in() -> tuple[Vehicle, Platform]:
    one, other = vehicle(), platform()
    one.send(login(), 0.0)
    settle(one, other, 0.0)
    assert events_of(one) == [LoggedIn()]
    return one, other
