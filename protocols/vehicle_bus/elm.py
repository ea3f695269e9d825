r"""What an ELM327 says after one command (ELM327 data sheet), as lines, a status and what is data.

Commands end with CR; a reply ends with the prompt `>`, and nothing may be sent before it. With echo on the command
comes back first. `SEARCHING...` and `BUS INIT: ...OK` may stand in front of data; they are taken off. A line with an
error text is not data.

>>> decode_reply("SEARCHING...\r41 0C 1A F8 \r\r>", "010C")
Reply(status='ok', lines=('41 0C 1A F8',), text='SEARCHING...\r41 0C 1A F8 \r\r>')
"""

import re
from collections.abc import Iterable

import msgspec

from protocols.core.buffer import ByteBuffer
from protocols.core.errors import NEED_DATA, FrameError, LocalProtocolError, NeedData

PROMPT = ">"
BAUD_RATES = (38400, 9600)
TCP_PORT = 35000
MAX_REPLY_BYTES = 1 << 16
"""A monitor that runs for some seconds says less; a reply of an OBD request is a thousandth of it."""
OK = "ok"
EMPTY = "empty"

ERROR_TEXTS = {
    "unable_to_connect": "UNABLE TO CONNECT",
    "no_data": "NO DATA",
    "bus_init_error": "BUS INIT: ...ERROR",
    "bus_busy": "BUS BUSY",
    "bus_error": "BUS ERROR",
    "can_error": "CAN ERROR",
    "data_error": "DATA ERROR",
    "rx_error": "<RX ERROR",
    "buffer_full": "BUFFER FULL",
    "stopped": "STOPPED",
    "lv_reset": "LV RESET",
    "act_alert": "ACT ALERT",
    "fb_error": "FB ERROR",
    "internal_error": "ERR94",
    "unknown_command": "?",
}
"""How an adapter says each status."""
_PATTERNS = {"bus_init_error": r"BUS INIT:[ .]*ERROR", "internal_error": r"ERR\d\d", "unknown_command": r"^\?$"}
_ERRORS = tuple((re.compile(_PATTERNS.get(status, re.escape(text))), status) for status, text in ERROR_TEXTS.items())
STATUSES = (OK, EMPTY, *ERROR_TEXTS)
_PREFIX = re.compile(r"^(?:SEARCHING\.*|BUS INIT:[ .]*OK)\s*", re.IGNORECASE)
PROTOCOL_NUMBER = re.compile(r"(A?)([0-9A-C])", re.IGNORECASE)
"""What ATDPN says: A where the protocol was found, its number."""
_LINE_END = re.compile(r"[\r\n]+")
_COMMAND = re.compile(r" *[AS] *T[ -~]*|[ 0-9A-F]*", re.IGNORECASE | re.ASCII)


class Reply(msgspec.Struct, frozen=True):
    """One reply. lines: without echo, prefixes and error texts. text: as it came, prompt included."""

    status: str
    lines: tuple[str, ...]
    text: str


def plain_command(command: str) -> str:
    """A command without blanks, in capitals: so the adapter compares them."""
    return "".join(command.split()).upper()


def is_setting(command: str) -> bool:
    """Whether a command is for the adapter itself (AT, or ST of the STN chips), not for the vehicle."""
    return plain_command(command)[:2] in {"AT", "ST"}


def encode_command(command: str) -> bytes:
    """A command as it is sent. Raises `LocalProtocolError` for what is neither a setting nor hex digits."""
    if not _COMMAND.fullmatch(command):
        raise LocalProtocolError("one line of AT.., ST.., or hex digits", field="request")
    return command.encode("ascii") + b"\r"


def decode_reply(text: str, command: str) -> Reply:
    """Read all that came after a command. Raises `FrameError` without exactly one prompt at the end."""
    at = text.find(PROMPT)
    if at != len(text) - 1 or at < 0:
        raise FrameError("one prompt, at the end", offset=len(text) if at < 0 else at, field="text")
    lines = [line.strip() for line in _LINE_END.split(text[:at])]
    lines = [line for line in lines if line]
    wanted = plain_command(command)
    if lines and wanted and plain_command(lines[0]) == wanted:
        del lines[0]
    lines = [plain for line in lines if (plain := _without_prefix(line))]
    status = OK if lines else EMPTY
    data = []
    for line in lines:
        error = error_of(line)
        if error is None:
            data.append(line)
        else:
            status = error
    return Reply(status, tuple(data), text)


def _without_prefix(line: str) -> str:
    while match := _PREFIX.match(line):
        line = line[match.end() :]
    return line


def error_of(line: str) -> str | None:
    """The status that the error text in a line stands for, or None."""
    capitals = line.upper()
    for pattern, status in _ERRORS:
        if pattern.search(capitals):
            return status
    return None


def encode_reply(lines: Iterable[str]) -> str:
    """A reply as an adapter sends it, echo and linefeeds off."""
    return "".join(f"{line}\r" for line in lines) + "\r>"


class Framer:
    """Cuts the stream behind each prompt. A reply without end is cut at the front; what was lost is counted.

    Zeros are left out: the data sheet warns that the chip may slip some in.
    """

    def __init__(self, max_bytes: int = MAX_REPLY_BYTES) -> None:
        self._buffer = ByteBuffer(max_bytes)
        self.discarded_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self.discarded_bytes += self._buffer.append(data.replace(b"\x00", b""))

    def reset(self) -> None:
        """Forget the reply that is under way."""
        self.discarded_bytes += self._buffer.clear()

    def next_frame(self) -> bytes | NeedData:
        """The next reply with its prompt, or `NEED_DATA`. Raises nothing."""
        at = self._buffer.find(b">")
        if at is None:
            return NEED_DATA
        reply = self._buffer.peek(0, at + 1)
        self._buffer.drop(at + 1)
        return reply
