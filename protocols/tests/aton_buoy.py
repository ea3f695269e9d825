"""A buoy and its shore side, and what their tests say to them."""

from typing import Any

from protocols.aton.link import Buoy, Shore
from protocols.core.errors import (
    NEED_DATA,
)

BUOY = 994_121_001
NOW_S = 1_795_501_733
LATER_S = NOW_S + 3600


def both() -> tuple[Shore, Buoy]:
    shore, buoy = Shore(BUOY), Buoy(BUOY)
    buoy.utc_offset_s = NOW_S
    return shore, buoy


def events_of(end: Shore | Buoy) -> list[Any]:
    events = []
    while (event := end.next_event()) is not NEED_DATA:
        events.append(event)
    return events
