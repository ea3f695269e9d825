"""Errors of the protocol floor and the "need more data" sentinel.

MicroPython-clean: no enum, no typing, no exception chaining.

Two roots part *our* fault from *theirs*: `LocalProtocolError` says that the caller asked for nonsense,
`RemoteProtocolError` that bytes from outside do not follow the standard. Arbitrary bytes given to a decoder, framer or
dialogue may raise `RemoteProtocolError` (or a child) and nothing else.
"""

MAX_RAW_BYTES = 64
"""An error keeps at most this many of the offending bytes, so that a flood of errors cannot fill memory."""


class NeedData:
    """The type of `NEED_DATA`: an explicit answer of "not yet", never an `IndexError`, `None` or negative number."""

    def __repr__(self) -> str:
        return "NEED_DATA"


NEED_DATA = NeedData()


class ProtocolError(Exception):
    """Anything that goes wrong on the protocol floor.

    reason: one line for a person, without secrets. offset: byte (or character) where it was noticed, or None.
    field: the standard's name of the field, or None. raw: at most `MAX_RAW_BYTES` offending bytes.
    kind: `frame`, `checksum`, `field`, `unsupported` or `option`, as `wayside decode` reports it.
    """

    kind = "frame"

    def __init__(self, reason: str, offset: int | None = None, field: str | None = None, raw: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset
        self.field = field
        self.raw = bytes(raw[:MAX_RAW_BYTES])

    def __str__(self) -> str:
        text = self.reason
        if self.field is not None:
            text = self.field + ": " + text
        if self.offset is not None:
            text = text + " (at byte " + str(self.offset) + ")"
        return text


class LocalProtocolError(ProtocolError):
    """We asked for nonsense: a value that the wire cannot carry, a command in the wrong state."""

    kind = "field"


class OptionError(LocalProtocolError):
    """An option of a decoder that it does not know or cannot use."""

    kind = "option"


class RemoteProtocolError(ProtocolError):
    """Bytes from outside that do not follow the standard. The only error that arbitrary bytes may raise."""


class FrameError(RemoteProtocolError):
    """No frame here: a wrong start, length, end or escape."""

    kind = "frame"


class ChecksumError(FrameError):
    """A whole frame whose check does not hold."""

    kind = "checksum"


class FieldError(RemoteProtocolError):
    """A good frame with a field that the standard does not allow."""

    kind = "field"


class UnsupportedError(RemoteProtocolError):
    """A good frame of a kind that this decoder does not speak."""

    kind = "unsupported"
