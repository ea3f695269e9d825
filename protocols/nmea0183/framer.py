r"""Lines out of a byte stream: bounded, and back in step at the next start character whatever came before.

NMEA 0183 / IEC 61162-1. MicroPython-clean. A line goes from `$` or `!` (or from the tag block before it) to CR or LF.
Two lines that ran into each other part at the second start character: the first is kept when it has its checksum.
Checksum and fields are not looked at here, so unknown and broken sentences come out too.

>>> framer = Framer()
>>> framer.feed(b"\x00\xff$GPGGA,0010$GPHDT,274.07,T*03\r\n$GPH")
>>> framer.next_frame(), framer.next_frame(), framer.discarded
(b'$GPHDT,274.07,T*03', NEED_DATA, 13)
"""

from protocols.core.buffer import ByteBuffer
from protocols.core.errors import NEED_DATA, NeedData
from protocols.nmea0183.sentence import LONGEST_LINE

MAX_BUFFERED = 4096
"""Bytes that wait for `next_frame()` at most; older ones give way."""
MAX_PIECE = 2048
"""Whoever asks for all frames after each piece of at most this size loses nothing."""
_NEVER = 1 << 29
"""A position behind every buffer, and a small integer on every port."""


class Framer:
    """Cuts a stream into lines without CR LF."""

    __slots__ = ("_buffer", "_offset", "discarded", "frame_offset")

    def __init__(self) -> None:
        self._buffer = ByteBuffer(MAX_BUFFERED)
        self._offset = 0
        self.discarded = 0
        """Bytes thrown away so far: noise, torn lines, what overflowed."""
        self.frame_offset = 0
        """Where the last frame began, counted from the first byte ever fed."""

    @property
    def fed(self) -> int:
        """Bytes fed so far; with `frame_offset` it tells how long ago a line began to arrive."""
        return self._offset + len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        lost = self._buffer.append(data)
        self._offset += lost
        self.discarded += lost

    def next_frame(self) -> bytes | NeedData:
        """The next line, or `NEED_DATA`. Never raises."""
        while True:
            end = self._end_of_piece()
            piece = self._buffer.peek(0, len(self._buffer) if end is None else end)
            start = _first_start(piece, 0)
            after = _first_start(piece, start + 1)
            if after != _NEVER:
                line, begin, size = _first_of_merged(piece, start, after)
            elif end is not None:
                begin = _with_tag(piece, start)
                line = piece[begin:]
                size = end
            elif len(piece) > LONGEST_LINE:
                line, begin, size = b"", 0, _hopeless(piece)
            else:
                return NEED_DATA
            line_offset = self._offset + begin
            self._drop(size + 1 if size == end else size)
            self.discarded += size - len(line)
            if line:
                self.frame_offset = line_offset
                return line

    def _end_of_piece(self) -> int | None:
        line_feed = self._buffer.find(b"\n")
        carriage_return = self._buffer.find(b"\r")
        if line_feed is None or carriage_return is None:
            return carriage_return if line_feed is None else line_feed
        return min(line_feed, carriage_return)

    def _drop(self, count: int) -> None:
        self._buffer.drop(count)
        self._offset += count


def _first_start(piece: bytes, at: int) -> int:
    """Where the first `$` or `!` stands; `_NEVER` without one."""
    dollar = piece.find(b"$", at)
    mark = piece.find(b"!", at)
    if dollar < 0 or mark < 0:
        found = max(dollar, mark)
        return found if found >= 0 else _NEVER
    return min(dollar, mark)


def _with_tag(piece: bytes, start: int) -> int:
    r"""Where the line begins whose start character stands at `start`: at its `\tag block\`, if it has one."""
    if piece[start - 1 : start] != b"\\":
        return start
    begin = piece.rfind(b"\\", 0, start - 1)
    return start if begin < 0 else begin


def _first_of_merged(piece: bytes, start: int, after: int) -> tuple[bytes, int, int]:
    """(line or nothing, where it begins, bytes that are done with) for the first of two lines without CR LF between."""
    tag_of_next = _with_tag(piece, after)
    stop = tag_of_next if tag_of_next > start else after
    begin = _with_tag(piece, start)
    is_whole = stop - start > 3 and piece[stop - 3 : stop - 2] == b"*"
    return (piece[begin:stop] if is_whole else b"", begin, stop)


def _hopeless(piece: bytes) -> int:
    """How much of an endless piece to throw away: all but what may be the beginning of a line."""
    start = max(piece.rfind(b"$"), piece.rfind(b"!"))
    begin = _with_tag(piece, start) if start >= 0 else piece.rfind(b"\\")
    return begin if begin > 0 and len(piece) - begin <= LONGEST_LINE else len(piece)
