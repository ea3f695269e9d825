"""Listens to the J1939 transport protocol of a whole bus and puts the messages together (SAE J1939-21, 5.10).

It only listens: flow control between others is none of its business. A session belongs to a source and a destination;
the last data packet ends it. A new announcement, a wrong packet of a broadcast, or silence longer than T1 (broadcast)
or T3 (to one node) loses it. A wrong packet to one node is passed over: it will be asked for again.

>>> from protocols.vehicle_bus.identifier import split_id
>>> listener = TransportListener()
>>> for frame in ("18ECFF00#20120003FFCAFE00", "18EBFF00#0100FF5B0003015C", "18EBFF00#020004025D000503",
...               "18EBFF00#035E000604FFFFFF"):
...     head, data = frame.split("#")
...     listener.receive(split_id(int(head, 16)), bytes.fromhex(data), now=0.0)
>>> listener.next_event().data.hex()
'00ff5b0003015c0004025d0005035e000604'
"""

import msgspec

from protocols.dialogue import EventQueue
from protocols.vehicle_bus.catalogue import TP_CM, TP_DT
from protocols.vehicle_bus.identifier import GLOBAL_ADDRESS, J1939Id
from protocols.vehicle_bus.transport import (
    ABORT,
    BAM,
    CTS,
    PACKET_BYTES,
    RTS,
    Control,
    Packet,
    decode_control,
    decode_packet,
)

T1_S = 0.75
"""Between the packets of a broadcast."""
T3_S = 1.25
"""Of a message to one node: until its receiver must have asked for what is missing, and the packet has come."""
MAX_SESSIONS = 256
"""On one bus; a bus has 253 addresses and hardly ever more than three sessions. Of more the oldest is lost."""


class Completed(msgspec.Struct, frozen=True):
    """A message became whole."""

    pgn: int
    source: int
    destination: int
    data: bytes


class Aborted(msgspec.Struct, frozen=True):
    """One of its two ends gave a session up. source: of the message, whoever sent the abort."""

    pgn: int
    source: int
    destination: int
    reason: int


class _Session:
    """A message under way."""

    __slots__ = ("data", "deadline", "destination", "next_packet", "packets", "pgn", "size", "source")

    def __init__(self, source: int, destination: int, control: Control, deadline: float) -> None:
        self.source = source
        self.destination = destination
        self.pgn = control.pgn
        self.size = control.size
        self.packets = control.packets
        self.next_packet = 1
        self.deadline = deadline
        self.data = bytearray()


class TransportListener(EventQueue[Completed | Aborted]):
    """All sessions of a bus. dropped: sessions that were lost, and announcements that do not fit."""

    def __init__(self, max_sessions: int = MAX_SESSIONS) -> None:
        super().__init__()
        self.max_sessions = max_sessions
        self.dropped = 0
        self._sessions: dict[tuple[int, int], _Session] = {}

    @property
    def open_sessions(self) -> int:
        """Begun and not ended."""
        return len(self._sessions)

    def receive(self, identifier: J1939Id, data: bytes, now: float) -> None:
        """Take a frame; those of other groups are passed over. Raises `FieldError` for one of another size."""
        if identifier.pgn == TP_DT:
            self._take_packet(identifier, decode_packet(data), now)
        elif identifier.pgn == TP_CM:
            self._take_control(identifier, decode_control(data), now)

    def next_deadline(self) -> float | None:
        """When the next session is lost unless a packet comes."""
        return min((session.deadline for session in self._sessions.values()), default=None)

    def tick(self, now: float) -> None:
        """Time has passed: sessions that fell silent are lost."""
        for key in [key for key, session in self._sessions.items() if session.deadline <= now]:
            self._drop(key)

    def _take_control(self, identifier: J1939Id, control: Control, now: float) -> None:
        key = (identifier.source, identifier.destination)
        if control.kind in {RTS, BAM}:
            self._begin(key, control, now)
        elif control.kind == CTS:
            session = self._sessions.get(key[::-1])
            if session is not None and session.pgn == control.pgn:
                session.deadline = now + T3_S
        elif control.kind == ABORT:
            self._abort(key, control)

    def _begin(self, key: tuple[int, int], control: Control, now: float) -> None:
        source, destination = key
        is_broadcast = control.kind == BAM
        if key in self._sessions:
            self._drop(key)
        if not control.fits or is_broadcast != (destination == GLOBAL_ADDRESS):
            self.dropped += 1
            return
        if len(self._sessions) >= self.max_sessions:
            self._drop(next(iter(self._sessions)))
        self._sessions[key] = _Session(source, destination, control, now + (T1_S if is_broadcast else T3_S))

    def _take_packet(self, identifier: J1939Id, packet: Packet, now: float) -> None:
        key = (identifier.source, identifier.destination)
        session = self._sessions.get(key)
        if session is None:
            return
        is_broadcast = key[1] == GLOBAL_ADDRESS
        if packet.sequence != session.next_packet:
            if is_broadcast:
                self._drop(key)
            return
        session.data += packet.data
        session.next_packet += 1
        session.deadline = now + (T1_S if is_broadcast else T3_S)
        if len(session.data) >= session.packets * PACKET_BYTES:
            del self._sessions[key]
            self._events.append(Completed(session.pgn, *key, bytes(session.data[: session.size])))

    def _abort(self, key: tuple[int, int], control: Control) -> None:
        for ends in (key, key[::-1]):
            session = self._sessions.get(ends)
            if session is not None and session.pgn == control.pgn:
                del self._sessions[ends]
                self._events.append(Aborted(session.pgn, *ends, control.reason))
                return

    def _drop(self, key: tuple[int, int]) -> None:
        del self._sessions[key]
        self.dropped += 1
