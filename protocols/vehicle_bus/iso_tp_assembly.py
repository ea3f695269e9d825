r"""Puts ISO-TP messages of one sender together, without a clock (ISO 15765-2, 9.6 and 9.8).

    wrong_sequence           a consecutive frame with another number: the message is lost
    unexpected_consecutive   one with nothing under way: passed over
    interrupted              a new message while one was under way: the old one is lost
    bad_length               a length that cannot be, or longer than `max_bytes`: passed over
    unknown_frame            a type from 4 on: passed over

>>> assembly = Assembly()
>>> [assembly.add(bytes.fromhex(text)) for text in ("100a000102030405", "2106070809")]
[None, b'\x00\x01\x02\x03\x04\x05\x06\x07\x08\t']
"""

from protocols.core.errors import FieldError, UnsupportedError
from protocols.vehicle_bus.iso_tp import (
    ConsecutiveFrame,
    FirstFrame,
    FlowControl,
    IsoTpFrame,
    SingleFrame,
    decode_frame,
)

MAX_MESSAGE_BYTES = 1 << 20
"""Far more than any ECU says; what is announced is only kept as it comes."""
MAX_ERRORS = 1000
"""Errors kept by name; later ones are not."""


class Assembly:
    """One message at a time. errors: what went wrong, in order."""

    def __init__(self, *, is_extended: bool = False, is_fd: bool = False, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.is_extended = is_extended
        self.is_fd = is_fd
        self.max_bytes = max_bytes
        self.errors: list[str] = []
        self.begun = 0
        """First frames that were taken."""
        self.finished = 0
        """Messages of several frames that became whole."""
        self.length = 0
        """Of the message under way; 0 without one."""
        self._data = bytearray()
        self._sequence = 0

    @property
    def is_open(self) -> bool:
        """Whether a message is under way."""
        return self.length > 0

    def add(self, field: bytes) -> bytes | None:
        """Take a data field; answer the message that it makes whole. Raises nothing."""
        try:
            frame = decode_frame(field, is_extended=self.is_extended, is_fd=self.is_fd)
        except UnsupportedError:
            self._note("unknown_frame")
        except FieldError as error:
            if error.field != "status":
                self._note("bad_length")
        else:
            return self.take(frame)
        return None

    def take(self, frame: IsoTpFrame) -> bytes | None:
        """Take a frame; answer the message that it makes whole."""
        match frame:
            case SingleFrame():
                self._interrupt()
                return frame.data
            case FirstFrame():
                self._begin(frame)
            case ConsecutiveFrame():
                return self._continue(frame)
            case FlowControl():
                pass
        return None

    def reset(self) -> None:
        """Forget what is under way."""
        self.length = 0
        self._data.clear()

    def _begin(self, frame: FirstFrame) -> None:
        if frame.length > self.max_bytes:
            self._note("bad_length")
            return
        self._interrupt()
        self.begun += 1
        self.length = frame.length
        self._data += frame.data
        self._sequence = 1

    def _continue(self, frame: ConsecutiveFrame) -> bytes | None:
        if not self.length:
            self._note("unexpected_consecutive")
            return None
        if frame.sequence != self._sequence:
            self._note("wrong_sequence")
            self.reset()
            return None
        self._sequence = (self._sequence + 1) % 16
        self._data += frame.data
        if len(self._data) < self.length:
            return None
        message = bytes(self._data[: self.length])
        self.finished += 1
        self.reset()
        return message

    def _interrupt(self) -> None:
        if self.length:
            self._note("interrupted")
            self.reset()

    def _note(self, error: str) -> None:
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(error)
