"""The sending end of ISO-TP as a dialogue without I/O (ISO 15765-2, 6.5 and 9.8).

One message is under way. What is due comes from `bytes_to_send()`, one data field a call; what arrives must be flow
control. N_Bs is kept (1 s for flow control); N_As is the driver's, which knows when the bus took a frame.

What each event leads to stands in `IsoTpSender.TRANSITIONS`.

>>> sender = IsoTpSender()
>>> sender.send(bytes(range(10)), now=0.0)
>>> sender.bytes_to_send().hex()
'100a000102030405'
>>> sender.receive(bytes.fromhex("300000"), now=0.01)
>>> sender.bytes_to_send().hex(), sender.next_event()
('2106070809', Sent(size=10))
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import FrameEnd
from protocols.vehicle_bus.iso_tp import (
    CLASSIC_BYTES,
    CONTINUE,
    FD_SIZES,
    WAIT,
    FlowControl,
    IsoTpFrame,
    decode_frame,
    encode_frame,
    segment,
)

N_BS_S = 1.0
"""Waiting for flow control, as OBD has it."""
_FD_PADDING = b"\xcc"
MAX_WAITS = 10
"""Flow control that says "wait" in a row; the limit is the sender's choice."""


class Sent(msgspec.Struct, frozen=True):
    """The whole message has gone out."""

    size: int


class SendFailed(msgspec.Struct, frozen=True):
    """The message was given up."""

    reason: str


class SenderState(Enum):
    """Where the sender stands."""

    IDLE = "idle"
    FLOW_CONTROL_DUE = "flow control due"
    SENDING = "sending"


class SenderStimulus(Enum):
    """What may happen to it."""

    SHORT = "a message of one frame"
    LONG = "a message of several frames"
    CONTINUE = "continue"
    WAIT = "wait"
    WAITS_SPENT = "wait, once too often"
    OVERFLOW = "overflow"
    INVALID = "flow control with an unknown status"
    SILENCE = "N_Bs"
    NEXT = "STmin, more to come in this block"
    BLOCK_END = "STmin, last of the block"
    LAST = "STmin, last of the message"


class IsoTpSender(FrameEnd[Sent | SendFailed]):
    """Sends to one peer. padding: what data fields are filled up with, None leaves short ones short.

    CAN FD has no fields of 9, 10, 11, 13 bytes and so on: longer ones are always filled up.
    """

    def __init__(
        self, *, address: int | None = None, fd_bytes: int = CLASSIC_BYTES, padding: int | None = None
    ) -> None:
        """Raises `LocalProtocolError` for an address of more than a byte."""
        super().__init__()
        encode_frame(FlowControl(CONTINUE, address=address))
        self._address = address
        self._fd_bytes = fd_bytes
        self._padding = b"" if padding is None else bytes((padding,))
        self._state = SenderState.IDLE
        self._frames: deque[IsoTpFrame] = deque()
        self._deadline: float | None = None
        self._flow = FlowControl(CONTINUE)
        self._size = 0
        self._sent_in_block = 0
        self._waits = 0
        self.stray_frames = 0
        """Frames that are no flow control, or came when none was due."""

    @property
    def state(self) -> SenderState:
        """Where it stands."""
        return self._state

    def send(self, message: bytes, now: float) -> None:
        """Begin a message. Raises `LocalProtocolError` while another is under way, or for none at all."""
        if self._state is not SenderState.IDLE:
            raise LocalProtocolError("a message is under way")
        self._frames = deque(segment(message, address=self._address, fd_bytes=self._fd_bytes))
        self._size = len(message)
        self._waits = 0
        self._step(SenderStimulus.SHORT if len(self._frames) == 1 else SenderStimulus.LONG, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take a data field of the peer. Raises nothing: what is no flow control is counted."""
        stimulus = self._judge(data)
        if stimulus is None or (self._state, stimulus) not in self.TRANSITIONS:
            self.stray_frames += 1
            return
        self._step(stimulus, now)
        self.tick(now)

    def next_deadline(self) -> float | None:
        """When the next frame is due, or flow control must have come."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        while self._deadline is not None and now >= self._deadline:
            self._step(self._due(), now)

    def _judge(self, data: bytes) -> SenderStimulus | None:
        try:
            frame = decode_frame(data, is_extended=self._address is not None, is_fd=self._fd_bytes > CLASSIC_BYTES)
        except RemoteProtocolError as error:
            return SenderStimulus.INVALID if error.field == "status" else None
        if not isinstance(frame, FlowControl):
            return None
        if frame.status == WAIT:
            return SenderStimulus.WAIT if self._waits < MAX_WAITS else SenderStimulus.WAITS_SPENT
        if frame.status != CONTINUE:
            return SenderStimulus.OVERFLOW
        if self._state is SenderState.FLOW_CONTROL_DUE:
            self._flow = frame
        return SenderStimulus.CONTINUE

    def _due(self) -> SenderStimulus:
        if self._state is SenderState.FLOW_CONTROL_DUE:
            return SenderStimulus.SILENCE
        if len(self._frames) == 1:
            return SenderStimulus.LAST
        is_block_end = self._sent_in_block + 1 == self._flow.block_size
        return SenderStimulus.BLOCK_END if is_block_end else SenderStimulus.NEXT

    def _step(self, stimulus: SenderStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _put(self) -> None:
        field = encode_frame(self._frames.popleft())
        if len(field) > CLASSIC_BYTES:
            size = next(size for size in FD_SIZES if size >= len(field))
            field = field.ljust(size, self._padding or _FD_PADDING)
        self._outgoing.append(field.ljust(CLASSIC_BYTES, self._padding) if self._padding else field)

    def _whole(self, _now: float) -> None:
        self._put()
        self._deadline = None
        self._events.append(Sent(self._size))

    def _wait_for_flow(self, now: float) -> None:
        self._put()
        self._deadline = now + N_BS_S

    def _begin_block(self, now: float) -> None:
        self._waits = self._sent_in_block = 0
        self._deadline = now

    def _wait_longer(self, now: float) -> None:
        self._waits += 1
        self._deadline = now + N_BS_S

    def _put_next(self, now: float) -> None:
        self._put()
        self._sent_in_block += 1
        self._deadline = now + self._flow.separation_us / 1e6

    def _fail(self, reason: str) -> None:
        self._frames.clear()
        self._outgoing.clear()
        self._deadline = None
        self._events.append(SendFailed(reason))

    TRANSITIONS: ClassVar[
        Mapping[tuple[SenderState, SenderStimulus], tuple[Callable[["IsoTpSender", float], None], SenderState]]
    ] = {
        (SenderState.IDLE, SenderStimulus.SHORT): (_whole, SenderState.IDLE),
        (SenderState.IDLE, SenderStimulus.LONG): (_wait_for_flow, SenderState.FLOW_CONTROL_DUE),
        (SenderState.FLOW_CONTROL_DUE, SenderStimulus.CONTINUE): (_begin_block, SenderState.SENDING),
        (SenderState.FLOW_CONTROL_DUE, SenderStimulus.WAIT): (_wait_longer, SenderState.FLOW_CONTROL_DUE),
        (SenderState.FLOW_CONTROL_DUE, SenderStimulus.WAITS_SPENT): (
            lambda self, _now: self._fail("told to wait too often"),
            SenderState.IDLE,
        ),
        (SenderState.FLOW_CONTROL_DUE, SenderStimulus.OVERFLOW): (
            lambda self, _now: self._fail("too long for the receiver"),
            SenderState.IDLE,
        ),
        (SenderState.FLOW_CONTROL_DUE, SenderStimulus.INVALID): (
            lambda self, _now: self._fail("flow control with an unknown status"),
            SenderState.IDLE,
        ),
        (SenderState.FLOW_CONTROL_DUE, SenderStimulus.SILENCE): (
            lambda self, _now: self._fail("no flow control"),
            SenderState.IDLE,
        ),
        (SenderState.SENDING, SenderStimulus.NEXT): (_put_next, SenderState.SENDING),
        (SenderState.SENDING, SenderStimulus.BLOCK_END): (_wait_for_flow, SenderState.FLOW_CONTROL_DUE),
        (SenderState.SENDING, SenderStimulus.LAST): (_whole, SenderState.IDLE),
    }
