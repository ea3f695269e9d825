"""The sending end of the J1939 transport protocol as a dialogue without I/O (SAE J1939-21, 5.10.2 and 5.10.3).

One message is under way: to everybody (BAM, a packet every 50 ms) or to one node (RTS, then what its CTS asks for).
Bytes in and out are whole frames in the layout of `can_frame.py`, one a call. T3 (1.25 s for CTS or the end) and T4
(1.05 s after "hold") are kept; a node that asks for the same packets over and over, or says "hold" without end, is
given up.

What each event leads to stands in `TransportSender.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import FrameEnd
from protocols.vehicle_bus import transport
from protocols.vehicle_bus.can_frame import CanFrame, decode_can_frame, encode_can_frame
from protocols.vehicle_bus.catalogue import TP_CM, TP_DT
from protocols.vehicle_bus.identifier import GLOBAL_ADDRESS, J1939Id, encode_identifier, split_id
from protocols.vehicle_bus.transport import (
    BAM,
    MAX_SIZE,
    MIN_SIZE,
    RTS,
    TIMEOUT,
    Control,
    abort,
    announcement,
    decode_control,
    encode_control,
    encode_packet,
    packet_of,
    packets_of,
)

PRIORITY = 7
PACKET_GAP_S = 0.05
"""Between the packets of a broadcast, the least that the standard allows."""
T3_S = 1.25
T4_S = 1.05
MAX_HOLDS = 120
"""Times in a row that a node may say "hold": a minute, as it says so every half second."""
MAX_REPEATS = 2
"""How many times over a message is sent again at most, its packets counted one by one."""


class Message(msgspec.Struct, frozen=True):
    """What is to be sent: 9 to 1785 bytes. destination: 255 for everybody."""

    pgn: int
    data: bytes
    destination: int = GLOBAL_ADDRESS


class Sent(msgspec.Struct, frozen=True):
    """The message has gone out, and its receiver, if it has one, has said so."""

    message: Message


class SendFailed(msgspec.Struct, frozen=True):
    """The message was given up. code: of the abort, ours or theirs."""

    message: Message
    reason: str
    code: int


class SenderState(Enum):
    """Where the sender stands."""

    IDLE = "idle"
    BROADCASTING = "broadcasting"
    CTS_DUE = "CTS due"
    END_DUE = "end of message due"


class SenderStimulus(Enum):
    """What may happen to it."""

    BROADCAST = "a message to everybody"
    RTS = "a message to one node"
    PACKET = "50 ms"
    LAST_PACKET = "50 ms, last packet"
    CTS = "CTS"
    CTS_LAST = "CTS that includes the last packet"
    HOLD = "CTS for 0 packets"
    HOLDS_SPENT = "CTS for 0 packets, once too often"
    END = "end of message"
    ABORT = "abort"
    SILENCE = "T3 or T4"
    REPEATS_SPENT = "CTS, repeats spent"


class TransportSender(FrameEnd[Sent | SendFailed]):
    """Sends from one address."""

    def __init__(self, address: int, priority: int = PRIORITY) -> None:
        super().__init__()
        self._address = address
        self._priority = priority
        self._state = SenderState.IDLE
        self._deadline: float | None = None
        self._message = Message(0, b"")
        self._control = Control(0, 0, bytes(4))
        self._packets = 0
        self._next_packet = 0
        self._budget = 0
        self._holds = 0
        self.stray_frames = 0
        """Transport frames to us that fit nothing under way."""

    @property
    def state(self) -> SenderState:
        """Where it stands."""
        return self._state

    def send(self, message: Message, now: float) -> None:
        """Begin a message. Raises `LocalProtocolError` while another is under way, or for one that cannot be sent."""
        if self._state is not SenderState.IDLE:
            raise LocalProtocolError("a message is under way")
        if not MIN_SIZE <= len(message.data) <= MAX_SIZE:
            raise LocalProtocolError(f"{MIN_SIZE} to {MAX_SIZE} bytes, not {len(message.data)}", field="data")
        encode_control(announcement(BAM, message.pgn, len(message.data)))
        self._identifier(TP_CM, message.destination)
        self._message = message
        self._packets = packets_of(len(message.data))
        self._next_packet = 1
        self._budget = (1 + MAX_REPEATS) * self._packets
        self._holds = 0
        is_broadcast = message.destination == GLOBAL_ADDRESS
        self._step(SenderStimulus.BROADCAST if is_broadcast else SenderStimulus.RTS, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take a frame. Raises nothing: what is broken or not for this message is passed over."""
        try:
            frame = decode_can_frame(data)
            identifier = split_id(frame.identifier)
            if not frame.is_extended or identifier.pgn != TP_CM or identifier.destination != self._address:
                return
            self._control = decode_control(frame.data)
        except RemoteProtocolError:
            self.stray_frames += 1
            return
        is_ours = identifier.source == self._message.destination and self._control.pgn == self._message.pgn
        stimulus = self._judge(self._control) if is_ours else None
        if (self._state, stimulus) in self.TRANSITIONS:
            self._step(stimulus, now)
        elif self._control.kind not in {RTS, BAM}:
            self.stray_frames += 1

    def next_deadline(self) -> float | None:
        """When the next packet is due, or the receiver must have said something."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._deadline is None or now < self._deadline:
            return
        if self._state is SenderState.BROADCASTING:
            is_last = self._next_packet == self._packets
            self._step(SenderStimulus.LAST_PACKET if is_last else SenderStimulus.PACKET, now)
        else:
            self._step(SenderStimulus.SILENCE, now)

    def _judge(self, control: Control) -> SenderStimulus | None:
        match control.kind:
            case transport.CTS if control.granted == 0:
                return SenderStimulus.HOLD if self._holds < MAX_HOLDS else SenderStimulus.HOLDS_SPENT
            case transport.CTS if 1 <= control.next_packet <= self._packets:
                if self._granted() > self._budget:
                    return SenderStimulus.REPEATS_SPENT
                is_last = control.next_packet + self._granted() > self._packets
                return SenderStimulus.CTS_LAST if is_last else SenderStimulus.CTS
            case transport.END_OF_MESSAGE:
                return SenderStimulus.END
            case transport.ABORT:
                return SenderStimulus.ABORT
            case _:
                return None

    def _granted(self) -> int:
        return min(self._control.granted, self._packets - self._control.next_packet + 1)

    def _step(self, stimulus: SenderStimulus | None, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _identifier(self, pgn: int, destination: int) -> int:
        return encode_identifier(J1939Id(self._priority, pgn, destination, self._address))

    def _put(self, pgn: int, data: bytes) -> None:
        self._outgoing.append(encode_can_frame(CanFrame(self._identifier(pgn, self._message.destination), data)))

    def _put_packet(self) -> None:
        self._put(TP_DT, encode_packet(packet_of(self._message.data, self._next_packet)))
        self._next_packet += 1

    def _announce(self, now: float) -> None:
        self._put(TP_CM, encode_control(announcement(BAM, self._message.pgn, len(self._message.data))))
        self._deadline = now + PACKET_GAP_S

    def _ask(self, now: float) -> None:
        self._put(TP_CM, encode_control(announcement(RTS, self._message.pgn, len(self._message.data))))
        self._deadline = now + T3_S

    def _next(self, now: float) -> None:
        self._put_packet()
        self._deadline = now + PACKET_GAP_S

    def _last(self, now: float) -> None:
        self._put_packet()
        self._sent(now)

    def _send_granted(self, now: float) -> None:
        self._next_packet = self._control.next_packet
        self._budget -= self._granted()
        self._holds = 0
        for _ in range(self._granted()):
            self._put_packet()
        self._deadline = now + T3_S

    def _hold(self, now: float) -> None:
        self._holds += 1
        self._deadline = now + T4_S

    def _sent(self, _now: float) -> None:
        self._deadline = None
        self._events.append(Sent(self._message))

    def _aborted(self, _now: float) -> None:
        self._fail("the receiver aborted", self._control.reason)

    def _silence(self, _now: float) -> None:
        self._give_up("the receiver is silent")

    def _repeats_spent(self, _now: float) -> None:
        self._give_up("the receiver asks for the same again and again")

    def _holds_spent(self, _now: float) -> None:
        self._give_up("the receiver holds for too long")

    def _give_up(self, reason: str) -> None:
        self._fail(reason, TIMEOUT)
        self._put(TP_CM, encode_control(abort(self._message.pgn, TIMEOUT)))

    def _fail(self, reason: str, code: int) -> None:
        self._deadline = None
        self._outgoing.clear()
        self._events.append(SendFailed(self._message, reason, code))

    TRANSITIONS: ClassVar[
        Mapping[
            tuple[SenderState, SenderStimulus | None], tuple[Callable[["TransportSender", float], None], SenderState]
        ]
    ] = {
        (SenderState.IDLE, SenderStimulus.BROADCAST): (_announce, SenderState.BROADCASTING),
        (SenderState.BROADCASTING, SenderStimulus.PACKET): (_next, SenderState.BROADCASTING),
        (SenderState.BROADCASTING, SenderStimulus.LAST_PACKET): (_last, SenderState.IDLE),
        (SenderState.IDLE, SenderStimulus.RTS): (_ask, SenderState.CTS_DUE),
        (SenderState.CTS_DUE, SenderStimulus.CTS): (_send_granted, SenderState.CTS_DUE),
        (SenderState.CTS_DUE, SenderStimulus.HOLD): (_hold, SenderState.CTS_DUE),
        (SenderState.CTS_DUE, SenderStimulus.CTS_LAST): (_send_granted, SenderState.END_DUE),
        (SenderState.CTS_DUE, SenderStimulus.ABORT): (_aborted, SenderState.IDLE),
        (SenderState.CTS_DUE, SenderStimulus.REPEATS_SPENT): (_repeats_spent, SenderState.IDLE),
        (SenderState.CTS_DUE, SenderStimulus.HOLDS_SPENT): (_holds_spent, SenderState.IDLE),
        (SenderState.CTS_DUE, SenderStimulus.SILENCE): (_silence, SenderState.IDLE),
        (SenderState.END_DUE, SenderStimulus.CTS): (_send_granted, SenderState.CTS_DUE),
        (SenderState.END_DUE, SenderStimulus.CTS_LAST): (_send_granted, SenderState.END_DUE),
        (SenderState.END_DUE, SenderStimulus.HOLD): (_hold, SenderState.END_DUE),
        (SenderState.END_DUE, SenderStimulus.END): (_sent, SenderState.IDLE),
        (SenderState.END_DUE, SenderStimulus.ABORT): (_aborted, SenderState.IDLE),
        (SenderState.END_DUE, SenderStimulus.REPEATS_SPENT): (_repeats_spent, SenderState.IDLE),
        (SenderState.END_DUE, SenderStimulus.HOLDS_SPENT): (_holds_spent, SenderState.IDLE),
        (SenderState.END_DUE, SenderStimulus.SILENCE): (_silence, SenderState.IDLE),
    }
