r"""Barcode scanners: codes out of a stream of characters, 9600 or 115200 baud, 8N1, or the same as keystrokes.

A code ends with CR, LF or both, or stands between STX and ETX. STX drops what came before it; empty lines are nothing.
A code without its end waits until nothing came for 200 ms, and is a code then. Characters are bytes: Latin-1.

>>> framer = ScannerFramer()
>>> framer.feed(b"6901234567892\r\nTICK")
>>> framer.next_frame(), framer.next_frame(), framer.pending
('6901234567892', NEED_DATA, 'TICK')
"""

from collections import deque

from protocols.core.errors import NEED_DATA, LocalProtocolError, NeedData
from protocols.listener import Listener

MAX_CODE_CHARS = 4096
"""More than any symbol holds."""
MAX_CODES = 4096
"""Codes that wait to be asked for; more push out the oldest."""
MAX_WAITING_CHARS = 65_536
"""The same for all of them together: a scanner that floods takes no more of a small box."""
IDLE_S = 0.2
CR, LF, STX, ETX = 0x0D, 0x0A, 0x02, 0x03
_ENDS = frozenset({CR, LF, ETX})


class ScannerFramer:
    """Codes out of bytes; what is longer than any code is dropped up to its end, and counted.

    prefixes: such as AIM identifiers (`]Q1`), which are taken off.
    """

    max_bytes = MAX_CODE_CHARS
    """Of a code whose end has not come."""

    def __init__(self, prefixes: tuple[str, ...] = ()) -> None:
        self._prefixes = prefixes
        self._code = bytearray()
        self._codes: deque[str] = deque()
        self._waiting_chars = 0
        self._is_too_long = False
        self.discarded_bytes = 0
        """Bytes that belonged to no code; ends and starts are not counted."""

    @property
    def pending(self) -> str:
        """A code whose end has not come."""
        return self._code.decode("latin-1")

    @property
    def waiting(self) -> int:
        """Bytes that may become a code."""
        return len(self._code)

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        for byte in data:
            if byte in _ENDS:
                self._end()
            elif byte == STX:
                self._drop()
                self._is_too_long = False
            elif self._is_too_long or len(self._code) == MAX_CODE_CHARS:
                self._drop()
                self._is_too_long = True
                self.discarded_bytes += 1
            else:
                self._code.append(byte)

    def silence(self) -> None:
        """Nothing more will come for now: what waits is a code."""
        self._end()

    def next_frame(self) -> str | NeedData:
        """The next code, or `NEED_DATA`. Raises nothing."""
        return self._next() if self._codes else NEED_DATA

    def _end(self) -> None:
        code = self.pending
        self._code.clear()
        self._is_too_long = False
        prefix = next((prefix for prefix in self._prefixes if code.startswith(prefix)), "")
        if len(code) > len(prefix):
            self._codes.append(code[len(prefix) :])
            self._waiting_chars += len(self._codes[-1])
            while len(self._codes) > MAX_CODES or self._waiting_chars > MAX_WAITING_CHARS:
                self.discarded_bytes += len(self._next())

    def _next(self) -> str:
        code = self._codes.popleft()
        self._waiting_chars -= len(code)
        return code

    def _drop(self) -> None:
        self.discarded_bytes += len(self._code)
        self._code.clear()


def scanner_listener(prefixes: tuple[str, ...] = ()) -> Listener[str]:
    """Codes with their idle time: what has no end is a code after 200 ms."""
    return Listener(ScannerFramer(prefixes), IDLE_S)


def encode_codes(codes: tuple[str, ...], pending: str = "") -> bytes:
    """What a scanner sends, each code ended by CR LF. Raises `LocalProtocolError`."""
    ends = {chr(byte) for byte in (*_ENDS, STX)}
    for code in (*codes, pending):
        if ends & set(code) or len(code) > MAX_CODE_CHARS or any(ord(char) > 0xFF for char in code):
            raise LocalProtocolError("a code of Latin-1 characters without ends", field="codes")
    if "" in codes:
        raise LocalProtocolError("an empty code", field="codes")
    return "".join((*(f"{code}\r\n" for code in codes), pending)).encode("latin-1")
