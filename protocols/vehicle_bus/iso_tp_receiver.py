"""The receiving end of ISO-TP as a dialogue without I/O (ISO 15765-2, 6.5 and 9.8).

It answers a first frame, and each block that it granted, with flow control at once; N_Cr (1 s between frames) is kept.
What each event leads to stands in `IsoTpReceiver.TRANSITIONS`.

>>> receiver = IsoTpReceiver()
>>> receiver.receive(bytes.fromhex("100a000102030405"), now=0.0)
>>> receiver.bytes_to_send().hex()
'300000'
>>> receiver.receive(bytes.fromhex("2106070809"), now=0.01)
>>> receiver.next_event().data.hex()
'00010203040506070809'
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import RemoteProtocolError
from protocols.dialogue import FrameEnd
from protocols.vehicle_bus.iso_tp import (
    CLASSIC_BYTES,
    CONTINUE,
    MAX_SHORT_LENGTH,
    OVERFLOW,
    ConsecutiveFrame,
    FirstFrame,
    FlowControl,
    IsoTpFrame,
    SingleFrame,
    decode_frame,
    encode_frame,
)

N_CR_S = 1.0
"""Between consecutive frames, as OBD has it."""


class Received(msgspec.Struct, frozen=True):
    """A whole message."""

    data: bytes


class ReceiveFailed(msgspec.Struct, frozen=True):
    """A message that was begun and lost."""

    reason: str


class ReceiverState(Enum):
    """Where the receiver stands."""

    IDLE = "idle"
    RECEIVING = "receiving"


class ReceiverStimulus(Enum):
    """What may happen to it."""

    SINGLE = "single frame"
    FIRST = "first frame"
    TOO_LONG = "first frame, too long"
    NEXT = "consecutive frame"
    BLOCK_END = "last frame of the block"
    LAST = "last frame of the message"
    WRONG = "wrong sequence number"
    SILENCE = "N_Cr"


class IsoTpReceiver(FrameEnd[Received | ReceiveFailed]):
    """Receives from one peer. block_size and separation: what its flow control asks for."""

    def __init__(
        self,
        *,
        address: int | None = None,
        is_fd: bool = False,
        block_size: int = 0,
        separation: int = 0,
        padding: int | None = None,
        max_bytes: int = MAX_SHORT_LENGTH,
    ) -> None:
        """Raises `LocalProtocolError` for what no flow control holds."""
        super().__init__()
        encode_frame(FlowControl(CONTINUE, block_size, separation, address=address))
        self._address = address
        self._is_fd = is_fd
        self._padding = b"" if padding is None else bytes((padding,))
        self._block_size = block_size
        self._separation = separation
        self._max_bytes = max_bytes
        self._state = ReceiverState.IDLE
        self._frame: IsoTpFrame = FlowControl(CONTINUE)
        self._data = bytearray()
        self._length = 0
        self._sequence = 0
        self._got_in_block = 0
        self._deadline: float | None = None
        self.stray_frames = 0
        """Frames that fit nothing under way, and such as are none."""

    @property
    def state(self) -> ReceiverState:
        """Where it stands."""
        return self._state

    def receive(self, data: bytes, now: float) -> None:
        """Take a data field of the peer. Raises nothing: what is no frame is counted."""
        try:
            self._frame = decode_frame(data, is_extended=self._address is not None, is_fd=self._is_fd)
        except RemoteProtocolError:
            self.stray_frames += 1
            return
        self.tick(now)
        stimulus = self._judge(self._frame)
        if stimulus is None or (self._state, stimulus) not in self.TRANSITIONS:
            self.stray_frames += 1
            return
        self._step(stimulus, now)

    def next_deadline(self) -> float | None:
        """When the next frame must have come."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._deadline is not None and now >= self._deadline:
            self._step(ReceiverStimulus.SILENCE, now)

    def _judge(self, frame: IsoTpFrame) -> ReceiverStimulus | None:
        match frame:
            case SingleFrame():
                return ReceiverStimulus.SINGLE
            case FirstFrame():
                return ReceiverStimulus.TOO_LONG if frame.length > self._max_bytes else ReceiverStimulus.FIRST
            case ConsecutiveFrame():
                if frame.sequence != self._sequence:
                    return ReceiverStimulus.WRONG
                if len(self._data) + len(frame.data) >= self._length:
                    return ReceiverStimulus.LAST
                is_block_end = self._got_in_block + 1 == self._block_size
                return ReceiverStimulus.BLOCK_END if is_block_end else ReceiverStimulus.NEXT
            case FlowControl():
                return None

    def _step(self, stimulus: ReceiverStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _put_flow(self, status: int) -> None:
        field = encode_frame(FlowControl(status, self._block_size, self._separation, address=self._address))
        self._outgoing.append(field.ljust(CLASSIC_BYTES, self._padding) if self._padding else field)

    def _deliver(self, _now: float) -> None:
        assert isinstance(self._frame, SingleFrame)
        self._events.append(Received(self._frame.data))

    def _begin(self, now: float) -> None:
        assert isinstance(self._frame, FirstFrame)
        self._length = self._frame.length
        self._data = bytearray(self._frame.data)
        self._sequence = 1
        self._grant(now)

    def _grant(self, now: float) -> None:
        self._got_in_block = 0
        self._put_flow(CONTINUE)
        self._deadline = now + N_CR_S

    def _refuse(self, _now: float) -> None:
        self._put_flow(OVERFLOW)

    def _keep(self, now: float) -> None:
        assert isinstance(self._frame, ConsecutiveFrame)
        self._data += self._frame.data
        self._sequence = (self._sequence + 1) % 16
        self._got_in_block += 1
        self._deadline = now + N_CR_S

    def _keep_and_grant(self, now: float) -> None:
        self._keep(now)
        self._grant(now)

    def _keep_last(self, now: float) -> None:
        self._keep(now)
        self._events.append(Received(bytes(self._data[: self._length])))
        self._forget()

    def _lose(self, reason: str) -> None:
        self._events.append(ReceiveFailed(reason))
        self._forget()

    def _forget(self) -> None:
        self._data = bytearray()
        self._deadline = None

    def _interrupt_by_single(self, now: float) -> None:
        self._lose("interrupted by another message")
        self._deliver(now)

    def _interrupt_by_first(self, now: float) -> None:
        self._lose("interrupted by another message")
        self._begin(now)

    def _interrupt_by_long(self, now: float) -> None:
        self._lose("interrupted by another message")
        self._refuse(now)

    TRANSITIONS: ClassVar[
        Mapping[tuple[ReceiverState, ReceiverStimulus], tuple[Callable[["IsoTpReceiver", float], None], ReceiverState]]
    ] = {
        (ReceiverState.IDLE, ReceiverStimulus.SINGLE): (_deliver, ReceiverState.IDLE),
        (ReceiverState.IDLE, ReceiverStimulus.TOO_LONG): (_refuse, ReceiverState.IDLE),
        (ReceiverState.IDLE, ReceiverStimulus.FIRST): (_begin, ReceiverState.RECEIVING),
        (ReceiverState.RECEIVING, ReceiverStimulus.NEXT): (_keep, ReceiverState.RECEIVING),
        (ReceiverState.RECEIVING, ReceiverStimulus.BLOCK_END): (_keep_and_grant, ReceiverState.RECEIVING),
        (ReceiverState.RECEIVING, ReceiverStimulus.FIRST): (_interrupt_by_first, ReceiverState.RECEIVING),
        (ReceiverState.RECEIVING, ReceiverStimulus.LAST): (_keep_last, ReceiverState.IDLE),
        (ReceiverState.RECEIVING, ReceiverStimulus.SINGLE): (_interrupt_by_single, ReceiverState.IDLE),
        (ReceiverState.RECEIVING, ReceiverStimulus.TOO_LONG): (_interrupt_by_long, ReceiverState.IDLE),
        (ReceiverState.RECEIVING, ReceiverStimulus.WRONG): (
            lambda self, _now: self._lose("wrong sequence number"),
            ReceiverState.IDLE,
        ),
        (ReceiverState.RECEIVING, ReceiverStimulus.SILENCE): (
            lambda self, _now: self._lose("no frame for a second"),
            ReceiverState.IDLE,
        ),
    }
