"""A GNSS receiver that talks: bytes in, one `Fix` an epoch out.

MicroPython-clean; a dialogue in the sense of `protocols/dialogue.py`. Monotonic time may count in any unit, as long as
`gap` and `char_time` use the same (seconds by default). An epoch ends when another time comes or when the line has been
silent for the gap: which sentence comes last differs from receiver to receiver.

    idle --sentence of a fix--> open --another time, or the same sentence again without time--> open (event)
                                open --the same sentence again, open for five gaps--> open (event; a stopped clock)
                                open --gap of silence, at tick()--> idle (event)
"""

from protocols.core.errors import (
    NEED_DATA,
    LocalProtocolError,
    NeedData,
    RemoteProtocolError,
    UnsupportedError,
)
from protocols.nmea0183.catalogue import decode
from protocols.nmea0183.fix import Fix
from protocols.nmea0183.framer import MAX_PIECE, Framer
from protocols.nmea0183.motion import Zda
from protocols.nmea0183.position import Gga, Gll, Gns, Rmc
from protocols.nmea0183.sentence import Sentence

GAP = 0.2
"""Seconds of silence that end an epoch."""
_LATE_GAPS = 2
"""A sentence of an epoch that ended this many gaps ago at most is late; afterwards it begins one (a stopped clock)."""
_LONGEST_GAPS = 5
"""An epoch that is open for this many gaps ends when a sentence comes again: a stopped clock says one time for ever."""
_MOST_EVENTS = 64
"""Fixes that wait for `next_event()` at most; older ones give way."""
_MOST_ADDRESSES = 32
"""How many addresses are counted one by one, and remembered of one epoch."""
_MOST_MARKS = 64


class GnssListener:
    """Listens to a GNSS receiver. Never raises for what the line brings: it counts."""

    __slots__ = (
        "_addresses",
        "_char_time",
        "_closed",
        "_events",
        "_fix",
        "_framer",
        "_gap",
        "_heard_at",
        "_marks",
        "broken",
        "heard",
        "late",
        "sentences",
        "unsupported",
    )

    def __init__(self, char_time: float = 0.0, gap: float = GAP) -> None:
        """`char_time` is how long one character takes on the line, 0 where that means nothing (TCP, pty)."""
        self._char_time = char_time
        self._gap = gap
        self._framer = Framer()
        self._marks: list[tuple[int, float]] = []
        self._fix: Fix | None = None
        self._addresses: list[str] = []
        self._closed: tuple[int, float] | None = None
        self._events: list[Fix] = []
        self._heard_at = 0.0
        self.sentences = 0
        """Whole sentences, whatever they say."""
        self.broken = 0
        """Lines with a wrong checksum, form or field."""
        self.unsupported = 0
        self.late = 0
        """Sentences of an epoch that had ended."""
        self.heard: dict[str, int] = {}
        """How often each address was heard."""

    @property
    def discarded(self) -> int:
        """Bytes that belonged to no line."""
        return self._framer.discarded

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes whose last one arrived at `now`."""
        if self._fix is not None and now - self._heard_at >= self._gap:
            self._close(self._heard_at + self._gap)
        self._heard_at = now
        for at in range(0, len(data), MAX_PIECE):
            self._framer.feed(data[at : at + MAX_PIECE])
            end = self._framer.fed + len(data) - min(len(data), at + MAX_PIECE)
            if not self._marks or self._marks[-1][0] < end:
                self._marks.append((end, now))
                del self._marks[:-_MOST_MARKS]
            self._read_lines(now)

    def next_event(self) -> Fix | NeedData:
        """The next epoch that ended, or `NEED_DATA`."""
        return self._events.pop(0) if self._events else NEED_DATA

    def send(self, command: object, now: float) -> None:  # noqa: ARG002  # the face of every dialogue
        """Refuse: a receiver is not spoken to here. Raises `LocalProtocolError`."""
        raise LocalProtocolError("a GNSS receiver only talks")

    def bytes_to_send(self) -> bytes:
        """Nothing, ever."""
        return b""

    def next_deadline(self) -> float | None:
        """When the epoch at hand ends by silence."""
        return None if self._fix is None else self._heard_at + self._gap

    def tick(self, now: float) -> None:
        """End the epoch at hand when the line has been silent for the gap."""
        if self._fix is not None and now >= self._heard_at + self._gap:
            self._close(now)

    def _read_lines(self, now: float) -> None:
        while True:
            line = self._framer.next_frame()
            if isinstance(line, NeedData):
                return
            try:
                sentence = decode(line)
                self._count(sentence.address)
                self._take(sentence, now)
            except UnsupportedError:
                self.sentences += 1
                self.unsupported += 1
            except RemoteProtocolError:
                self.broken += 1

    def _count(self, address: str) -> None:
        self.sentences += 1
        if address in self.heard:
            self.heard[address] += 1
        elif len(self.heard) < _MOST_ADDRESSES:
            self.heard[address] = 1

    def _take(self, sentence: Sentence, now: float) -> None:
        if isinstance(sentence, (Rmc, Gga, Gns, Gll, Zda)):
            sentence.read()  # all or nothing: a sentence with a bad field must not end an epoch
            utc_ms = sentence.utc_ms
            if self._is_late(utc_ms, now):
                self.late += 1
                return
            if self._fix is not None and self._begins_another(sentence.address, utc_ms, now):
                self._close(now)
            fix = self._open(utc_ms)
            fix.utc_ms = utc_ms if fix.utc_ms is None else fix.utc_ms
            if sentence.address not in self._addresses and len(self._addresses) < _MOST_ADDRESSES:
                self._addresses.append(sentence.address)
            fix.take(sentence)
        elif self._fix is not None:
            self._fix.take(sentence)
        else:
            fix = Fix(self._line_began_at())
            if fix.take(sentence):
                self._fix = fix

    def _begins_another(self, address: str, utc_ms: int | None, now: float) -> bool:
        """Whether a sentence with a time (or a place for one) belongs to another epoch than the open one."""
        fix = self._fix
        if fix is None:
            return False
        if utc_ms is None or fix.utc_ms is None:
            return address in self._addresses
        is_stopped = now - fix.at >= _LONGEST_GAPS * self._gap and address in self._addresses
        return utc_ms != fix.utc_ms or is_stopped

    def _is_late(self, utc_ms: int | None, now: float) -> bool:
        if self._closed is None or utc_ms is None or (self._fix is not None and self._fix.utc_ms == utc_ms):
            return False
        closed_utc_ms, closed_at = self._closed
        return utc_ms == closed_utc_ms and now - closed_at < _LATE_GAPS * self._gap

    def _open(self, utc_ms: int | None) -> Fix:
        if self._fix is None:
            self._fix = Fix(self._line_began_at(), utc_ms)
        return self._fix

    def _close(self, now: float) -> None:
        fix = self._fix
        self._fix = None
        self._addresses = []
        if fix is None:
            return
        self._closed = None if fix.utc_ms is None else (fix.utc_ms, now)
        self._events.append(fix)
        del self._events[:-_MOST_EVENTS]

    def _line_began_at(self) -> float:
        """The moment at which the first byte of the line at hand began: from the piece of data that it came in."""
        offset = self._framer.frame_offset
        while len(self._marks) > 1 and self._marks[0][0] <= offset:
            del self._marks[0]
        end, arrived = self._marks[0]
        return arrived - max(0, end - offset) * self._char_time
