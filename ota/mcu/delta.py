"""A file out of a stream: inflated as it is, or a delta from the file of the same name that runs. MicroPython-clean.

The delta body is that of `ota.payload.delta_body`, here with pieces of half a kilobyte: beside the window of the
decompressor, 4 KiB, applying one takes two such pieces, whatever the size of the file.
"""

from ota.mcu.errors import SecondaryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, Protocol

    class Inflated(Protocol):
        """A decompressed stream."""

        def read(self, size: int) -> bytes:
            """At most so many bytes; none at its end."""


PIECE_BYTES = 512
WINDOW_BITS = 12
_MAX_SIZE_BYTES = 5


def copy_full(stream: "Inflated", length: int, write: "Callable[[bytes], object]") -> None:
    """A whole file. Raises `SecondaryError` where the stream is shorter or longer."""
    while length:
        data = _some(stream, min(length, PIECE_BYTES))
        write(data)
        length -= len(data)
    _end(stream)


def apply_delta(
    stream: "Inflated", old: "BinaryIO", start: int, old_length: int, length: int, write: "Callable[[bytes], object]"
) -> None:
    """A file out of another, which begins at `start` of `old`. Raises `SecondaryError` where a step leaves one."""
    made = at = 0
    if length and _size(stream):
        raise SecondaryError("format", "the delta recodes machine code")
    while made < length:
        added = _size(stream)
        if not 0 <= added <= length - made or not 0 <= at <= old_length - added:
            raise SecondaryError("format", "the delta reaches beyond a file")
        old.seek(start + at)
        at += added
        made += added
        while added:
            difference = _some(stream, min(added, PIECE_BYTES))
            write(_sum(difference, old.read(len(difference))))
            added -= len(difference)
        new = _size(stream)
        if not 0 <= new <= length - made:
            raise SecondaryError("format", "the delta makes more than the file has")
        made += new
        while new:
            data = _some(stream, min(new, PIECE_BYTES))
            write(data)
            new -= len(data)
        at += _size(stream)
    _end(stream)


def _sum(difference: bytes, old: bytes) -> bytes:
    if len(old) != len(difference):
        raise SecondaryError("format", "the old file is shorter than it was")
    result = bytearray(old)
    for index in range(len(difference)):
        result[index] = (result[index] + difference[index]) & 0xFF
    return bytes(result)


def _size(stream: "Inflated") -> int:
    byte = _some(stream, 1)[0]
    is_negative = byte & 0x40
    value = byte & 0x3F
    shift = 6
    for _more in range(_MAX_SIZE_BYTES):
        if not byte & 0x80:
            return -value if is_negative else value
        byte = _some(stream, 1)[0]
        value |= (byte & 0x7F) << shift
        shift += 7
    raise SecondaryError("format", "a size in the delta has no end")


def _some(stream: "Inflated", size: int) -> bytes:
    try:
        data = stream.read(size)
    except (OSError, EOFError, ValueError):
        raise SecondaryError("format", "the stream cannot be inflated") from None
    if not data:
        raise SecondaryError("format", "the stream is cut short")
    return data


def _end(stream: "Inflated") -> None:
    try:
        data = stream.read(1)
    except (OSError, EOFError, ValueError):
        data = b"?"
    if data:
        raise SecondaryError("format", "bytes follow the end of the stream")
