"""What both ends of a telemetry link share: the timers of the standard, and frames out of bytes with a deadline.

SL 651-2014, clause 6.3.2.
"""

from collections.abc import Callable, Iterator

from fastcrc import crc16

from protocols.core.errors import NeedData
from protocols.sl651.frame import Frame
from protocols.sl651.framer import Framer

REPLY_TIMEOUT_S = 30.0
"""How long an opener waits: 20 to 30 s on GPRS, 60 s over a satellite."""
MAX_RESENDS = 2
"""After three silent tries the opener gives up until its next contact."""
GAP_S = 2.0
"""Half a frame whose rest does not come for this long never was one."""
Clock = Callable[[float], str]
"""The wall clock of this end, YYMMDDHHmmSS, for a monotonic moment."""


class Listener:
    """A framer that forgets half a frame at its deadline."""

    def __init__(self) -> None:
        self.framer = Framer(crc16.modbus)
        self.deadline: float | None = None

    def frames(self, data: bytes, now: float) -> Iterator[Frame]:
        """Take bytes; the frames that are whole now."""
        self.framer.feed(data)
        yield from self._whole()
        if data:
            self.deadline = now + GAP_S if self.framer.waiting else None

    def tick(self, now: float) -> Iterator[Frame]:
        """Time has passed: what stood behind half a frame, once that is given up."""
        if self.deadline is None or now < self.deadline:
            return
        self.deadline = None
        self.framer.silence()
        yield from self._whole()

    def _whole(self) -> Iterator[Frame]:
        while not isinstance(frame := self.framer.next_frame(), NeedData):
            yield frame


def earliest(*moments: float | None) -> float | None:
    """The first of some deadlines."""
    return min((moment for moment in moments if moment is not None), default=None)
