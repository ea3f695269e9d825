"""The receiving end of the J1939 transport protocol as a dialogue without I/O (SAE J1939-21, 5.10).

Messages to one address: it answers RTS with CTS, asks again for packets that got lost, and says when all is there. Each
sender has one session, at most `MAX_SESSIONS` at a time; more are refused for want of resources. T1 (0.75 s between
packets) and T2 (1.25 s after a CTS) are kept. Broadcasts are `transport_listener.py`'s, which needs no answers.

Bytes in and out are whole frames in the layout of `can_frame.py`, one a call. What each event leads to stands in
`ReceiverSession.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import RemoteProtocolError
from protocols.dialogue import FrameEnd
from protocols.vehicle_bus.can_frame import CanFrame, decode_can_frame, encode_can_frame
from protocols.vehicle_bus.catalogue import TP_CM, TP_DT
from protocols.vehicle_bus.identifier import J1939Id, encode_identifier, split_id
from protocols.vehicle_bus.transport import (
    ABORT,
    END_OF_MESSAGE,
    RESOURCES,
    RTS,
    TIMEOUT,
    Control,
    Packet,
    abort,
    announcement,
    clear_to_send,
    decode_control,
    decode_packet,
    encode_control,
)
from protocols.vehicle_bus.transport_sender import PRIORITY

T1_S = 0.75
T2_S = 1.25
MAX_RETRIES = 2
"""Times in a row that the same packet is asked for again."""
MAX_SESSIONS = 8
WINDOW_PACKETS = 16
"""Asked for with one CTS at most."""


class Received(msgspec.Struct, frozen=True):
    """A whole message."""

    pgn: int
    source: int
    data: bytes


class ReceiveFailed(msgspec.Struct, frozen=True):
    """A message that was begun and lost."""

    pgn: int
    source: int
    reason: str


class SessionState(Enum):
    """Where a session stands."""

    NEW = "new"
    PACKETS_DUE = "packets due"
    OVER = "over"


class SessionStimulus(Enum):
    """What may happen to it."""

    RTS = "RTS"
    PACKET = "packet"
    GRANT_END = "last packet of a CTS"
    LAST = "last packet of the message"
    HOLE = "another packet than the next"
    HOLE_END = "last packet of a CTS, one is missing"
    HOLE_SPENT = "one is missing, retries spent"
    ABORT = "abort"
    SILENCE = "T1 or T2"
    SPENT = "T1 or T2, retries spent"


class ReceiverSession:
    """One message to us."""

    def __init__(self, source: int, control: Control, put: Callable[[Control], None]) -> None:
        self.source = source
        self.control = control
        self.state = SessionState.NEW
        self.deadline = 0.0
        self.event: Received | ReceiveFailed | None = None
        self._put = put
        self._packet = Packet(0, b"")
        self._data = bytearray()
        self._next_packet = 1
        self._granted_to = 0
        self._newest = 0
        self._retries = 0

    def begin(self, now: float) -> None:
        """Answer the RTS."""
        self._step(SessionStimulus.RTS, now)

    def take(self, packet: Packet, now: float) -> None:
        """Take a packet of this sender."""
        self._packet = packet
        is_grant_end = packet.sequence == self._granted_to
        if packet.sequence == self._next_packet:
            is_last = packet.sequence == self.control.packets
            grant_end = SessionStimulus.GRANT_END if is_grant_end else SessionStimulus.PACKET
            self._step(SessionStimulus.LAST if is_last else grant_end, now)
        elif is_grant_end:
            self._step(SessionStimulus.HOLE_SPENT if self._is_spent() else SessionStimulus.HOLE_END, now)
        else:
            self._step(SessionStimulus.HOLE, now)

    def give_up(self, now: float) -> None:
        """The sender aborted."""
        self._step(SessionStimulus.ABORT, now)

    def tick(self, now: float) -> None:
        """Time has passed."""
        if now >= self.deadline:
            self._step(SessionStimulus.SPENT if self._is_spent() else SessionStimulus.SILENCE, now)

    def _is_spent(self) -> bool:
        return self._retries >= MAX_RETRIES

    def _step(self, stimulus: SessionStimulus, now: float) -> None:
        action, self.state = self.TRANSITIONS[self.state, stimulus]
        action(self, now)

    def _grant(self, now: float) -> None:
        left = self.control.packets - self._next_packet + 1
        # The sender's "most" is 0 in RTS of some old nodes; one packet a CTS is always right.
        granted = min(left, WINDOW_PACKETS, max(self.control.most, 1))
        self._granted_to = self._next_packet + granted - 1
        self._newest = self._next_packet
        self._put(clear_to_send(self.control.pgn, granted, self._next_packet))
        self.deadline = now + T2_S

    def _keep(self, now: float) -> None:
        self._data += self._packet.data
        self._next_packet += 1
        self._retries = 0
        self.deadline = now + T1_S

    def _keep_and_grant(self, now: float) -> None:
        self._keep(now)
        self._grant(now)

    def _pass_over(self, now: float) -> None:
        """A later packet of the same CTS shows that the sender is at work; no other is waited for any longer."""
        if self._newest < self._packet.sequence < self._granted_to:
            self._newest = self._packet.sequence
            self.deadline = now + T1_S

    def _ask_again(self, now: float) -> None:
        self._retries += 1
        self._grant(now)

    def _finish(self, now: float) -> None:
        self._keep(now)
        self._put(announcement(END_OF_MESSAGE, self.control.pgn, self.control.size))
        self.event = Received(self.control.pgn, self.source, bytes(self._data[: self.control.size]))

    def _spent(self, _now: float) -> None:
        self._put(abort(self.control.pgn, TIMEOUT))
        self.event = ReceiveFailed(self.control.pgn, self.source, "packets did not come")

    def _aborted(self, _now: float) -> None:
        self.event = ReceiveFailed(self.control.pgn, self.source, "the sender aborted")

    TRANSITIONS: ClassVar[
        Mapping[tuple[SessionState, SessionStimulus], tuple[Callable[["ReceiverSession", float], None], SessionState]]
    ] = {
        (SessionState.NEW, SessionStimulus.RTS): (_grant, SessionState.PACKETS_DUE),
        (SessionState.PACKETS_DUE, SessionStimulus.PACKET): (_keep, SessionState.PACKETS_DUE),
        (SessionState.PACKETS_DUE, SessionStimulus.GRANT_END): (_keep_and_grant, SessionState.PACKETS_DUE),
        (SessionState.PACKETS_DUE, SessionStimulus.HOLE): (_pass_over, SessionState.PACKETS_DUE),
        (SessionState.PACKETS_DUE, SessionStimulus.HOLE_END): (_ask_again, SessionState.PACKETS_DUE),
        (SessionState.PACKETS_DUE, SessionStimulus.SILENCE): (_ask_again, SessionState.PACKETS_DUE),
        (SessionState.PACKETS_DUE, SessionStimulus.LAST): (_finish, SessionState.OVER),
        (SessionState.PACKETS_DUE, SessionStimulus.HOLE_SPENT): (_spent, SessionState.OVER),
        (SessionState.PACKETS_DUE, SessionStimulus.SPENT): (_spent, SessionState.OVER),
        (SessionState.PACKETS_DUE, SessionStimulus.ABORT): (_aborted, SessionState.OVER),
    }


class TransportReceiver(FrameEnd[Received | ReceiveFailed]):
    """Receives for one address."""

    def __init__(self, address: int, priority: int = PRIORITY) -> None:
        super().__init__()
        self._address = address
        self._priority = priority
        self._sessions: dict[int, ReceiverSession] = {}
        self.stray_frames = 0
        """Transport frames to us that fit no session."""

    @property
    def open_sessions(self) -> int:
        """Begun and not over."""
        return len(self._sessions)

    def receive(self, data: bytes, now: float) -> None:
        """Take a frame. Raises nothing: what is broken or not for us is passed over."""
        try:
            frame = decode_can_frame(data)
            identifier = split_id(frame.identifier)
            if not frame.is_extended or identifier.destination != self._address:
                return
            if identifier.pgn == TP_CM:
                self._take_control(identifier.source, decode_control(frame.data), now)
            elif identifier.pgn == TP_DT:
                self._take_packet(identifier.source, decode_packet(frame.data), now)
        except RemoteProtocolError:
            self.stray_frames += 1

    def next_deadline(self) -> float | None:
        """When the next session has waited long enough."""
        return min((session.deadline for session in self._sessions.values()), default=None)

    def tick(self, now: float) -> None:
        """Time has passed."""
        for session in list(self._sessions.values()):
            session.tick(now)
            self._settle(session)

    def _take_control(self, source: int, control: Control, now: float) -> None:
        if control.kind == RTS:
            self._begin(source, control, now)
        elif control.kind == ABORT:
            session = self._sessions.get(source)
            if session is not None and session.control.pgn == control.pgn:
                session.give_up(now)
                self._settle(session)

    def _begin(self, source: int, control: Control, now: float) -> None:
        older = self._sessions.pop(source, None)
        if older is not None:
            self._events.append(ReceiveFailed(older.control.pgn, source, "the sender began anew"))
        if not control.fits or len(self._sessions) >= MAX_SESSIONS:
            self._put(source, abort(control.pgn, RESOURCES))
            return
        session = ReceiverSession(source, control, lambda answer: self._put(source, answer))
        self._sessions[source] = session
        session.begin(now)

    def _take_packet(self, source: int, packet: Packet, now: float) -> None:
        session = self._sessions.get(source)
        if session is None:
            self.stray_frames += 1
            return
        session.take(packet, now)
        self._settle(session)

    def _settle(self, session: ReceiverSession) -> None:
        if session.event is not None:
            del self._sessions[session.source]
            self._events.append(session.event)

    def _put(self, destination: int, control: Control) -> None:
        identifier = encode_identifier(J1939Id(self._priority, TP_CM, destination, self._address))
        self._outgoing.append(encode_can_frame(CanFrame(identifier, encode_control(control))))
