"""A receiver of AIS that talks: bytes in, messages out.

A dialogue in the sense of `protocols/dialogue.py`: lines by the framer of NMEA 0183, parts by the assembler. Other
sentences on the same line (a GNSS receiver's, an alarm) are counted and passed over.
"""

from collections import deque

from protocols.ais.assembler import Assembler, Received
from protocols.ais.catalogue import APPLICATIONS, Applications
from protocols.core.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError, UnsupportedError
from protocols.nmea0183.framer import MAX_PIECE, Framer

_MOST_EVENTS = 1024
"""Messages that wait for `next_event()` at most; older ones give way."""


class AisListener:
    """Listens to one receiver. Never raises for what the line brings: it counts."""

    def __init__(self, applications: Applications = APPLICATIONS) -> None:
        self._framer = Framer()
        self._assembler = Assembler(applications)
        self._events: deque[Received] = deque(maxlen=_MOST_EVENTS)
        self.sentences = 0
        """VDM and VDO with nothing wrong."""
        self.broken = 0
        """Lines and messages with a wrong checksum, form or length."""
        self.unsupported = 0
        """Other sentences."""

    @property
    def discarded(self) -> int:
        """Bytes that belonged to no line."""
        return self._framer.discarded

    @property
    def dropped(self) -> int:
        """Parts that never became a message."""
        return self._assembler.dropped

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes that arrived at `now`."""
        for at in range(0, len(data), MAX_PIECE):
            self._framer.feed(data[at : at + MAX_PIECE])
            while not isinstance(line := self._framer.next_frame(), NeedData):
                self._take(line, now)

    def _take(self, line: bytes, now: float) -> None:
        try:
            received = self._assembler.take_line(line, now)
        except UnsupportedError:
            self.unsupported += 1
        except RemoteProtocolError:
            self.broken += 1
        else:
            self.sentences += 1
            if not isinstance(received, NeedData):
                self._events.append(received)

    def next_event(self) -> Received | NeedData:
        """The next message, or `NEED_DATA`."""
        return self._events.popleft() if self._events else NEED_DATA

    def send(self, command: object, now: float) -> None:  # noqa: ARG002  # the face of every dialogue
        """Refuse: a receiver is not spoken to here. Raises `LocalProtocolError`."""
        raise LocalProtocolError("an AIS receiver only talks")

    def bytes_to_send(self) -> bytes:
        """Nothing, ever."""
        return b""

    def next_deadline(self) -> float | None:
        """When the parts that have waited longest are too old."""
        return self._assembler.next_deadline()

    def tick(self, now: float) -> None:
        """Drop the parts that are too old."""
        self._assembler.tick(now)
