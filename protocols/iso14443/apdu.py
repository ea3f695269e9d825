"""Command and response APDUs (ISO/IEC 7816-4:2013, clause 5), short and extended.

    command    CLA INS P1 P2 [Lc data] [Le]       Lc and Le: 1 byte, or 00 and 2 bytes where extended
    response   [data] SW1 SW2

Not covered: secure messaging; command chaining (CLA bit 4) passes as any other class.

>>> decode_command(bytes.fromhex("00b0950000")).ne
256
"""

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError

MAX_SHORT_DATA = 255
MAX_SHORT_NE = 256
MAX_EXTENDED_DATA = 65_535
MAX_EXTENDED_NE = 65_536
SW_OK = 0x9000
INS_SELECT = 0xA4
INS_READ_BINARY = 0xB0
INS_READ_RECORD = 0xB2
INS_GET_RESPONSE = 0xC0
P1_BY_ID = 0x00
P1_BY_NAME = 0x04
P2_FCI = 0x00
MAX_SHORT_FILE_ID = 30
MAX_BINARY_OFFSET = 0x7FFF
"""Of READ BINARY without a short file identifier; 255 with one."""


class CommandApdu(msgspec.Struct, frozen=True):
    """A command.

    ne: how many bytes of answer are wanted at most, 0 when no Le is sent. extended: length fields of two bytes; False
    for case 1, which has none.
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    ne: int = 0
    extended: bool = False

    @property
    def case(self) -> int:
        """1: neither data nor answer, 2: answer, 3: data, 4: both."""
        return 1 + (self.ne > 0) + 2 * bool(self.data)


def decode_command(data: bytes) -> CommandApdu:
    """Read a whole command. Raises `FrameError`, `FieldError`. 7816-4 5.1."""
    if len(data) < 4:
        raise FrameError(f"a command has at least 4 bytes, not {len(data)}", raw=data)
    cla, ins, p1, p2 = data[:4]
    body = data[4:]
    if not body:
        return CommandApdu(cla, ins, p1, p2)
    if len(body) == 1:
        return CommandApdu(cla, ins, p1, p2, ne=body[0] or MAX_SHORT_NE)
    if body[0]:
        inf, le = _split(data, body[1:], body[0], 1)
        return CommandApdu(cla, ins, p1, p2, inf, (le[0] or MAX_SHORT_NE) if le else 0)
    if len(body) < 3:
        raise FrameError("an extended length is not whole", offset=4, field="lc", raw=data)
    number = int.from_bytes(body[1:3], "big")
    if len(body) == 3:
        return CommandApdu(cla, ins, p1, p2, ne=number or MAX_EXTENDED_NE, extended=True)
    if number == 0:
        raise FieldError("an extended Lc is not 0", offset=5, field="lc", raw=data)
    inf, le = _split(data, body[3:], number, 2)
    ne = (int.from_bytes(le, "big") or MAX_EXTENDED_NE) if le else 0
    return CommandApdu(cla, ins, p1, p2, inf, ne, extended=True)


def _split(data: bytes, rest: bytes, lc: int, le_bytes: int) -> tuple[bytes, bytes]:
    if len(rest) not in (lc, lc + le_bytes):
        raise FrameError(f"Lc {lc} does not fit the {len(rest)} bytes that follow", offset=4, field="lc", raw=data)
    return bytes(rest[:lc]), bytes(rest[lc:])


def encode_command(command: CommandApdu) -> bytes:
    """Write a command. Raises `LocalProtocolError` for what its length fields cannot carry."""
    head = (command.cla, command.ins, command.p1, command.p2)
    if any(not 0 <= value <= 0xFF for value in head):
        raise LocalProtocolError("CLA, INS, P1 and P2 are bytes", field="header")
    max_data, max_ne = (MAX_EXTENDED_DATA, MAX_EXTENDED_NE) if command.extended else (MAX_SHORT_DATA, MAX_SHORT_NE)
    if len(command.data) > max_data or not 0 <= command.ne <= max_ne:
        raise LocalProtocolError(f"at most {max_data} bytes of data and {max_ne} of answer", field="lc")
    if command.case == 1 and command.extended:
        raise LocalProtocolError("without data and answer there is no length to extend", field="extended")
    size = 2 if command.extended else 1
    body = b"\x00" if command.extended else b""
    if command.data:
        body += len(command.data).to_bytes(size, "big") + command.data
    if command.ne:
        body += (command.ne % max_ne).to_bytes(size, "big")
    return bytes(head) + body


class ResponseApdu(msgspec.Struct, frozen=True):
    """An answer and its status word."""

    data: bytes = b""
    sw: int = SW_OK

    @property
    def ok(self) -> bool:
        """Whether the card did all that it was asked: 9000."""
        return self.sw == SW_OK


def decode_response(data: bytes) -> ResponseApdu:
    """Read a whole answer. Raises `FrameError`."""
    if len(data) < 2:
        raise FrameError(f"an answer has at least 2 bytes, not {len(data)}", field="sw", raw=data)
    return ResponseApdu(bytes(data[:-2]), int.from_bytes(data[-2:], "big"))


def encode_response(response: ResponseApdu) -> bytes:
    """Write an answer."""
    if not 0 <= response.sw <= 0xFFFF:
        raise LocalProtocolError("a status word has two bytes", field="sw")
    return response.data + response.sw.to_bytes(2, "big")


def follow_up(command: CommandApdu, response: ResponseApdu) -> CommandApdu | None:
    """What to send next so that `command` is answered in full, or None when it is.

    61xx: GET RESPONSE for xx bytes, to be appended to what came already. 6Cxx: the command again with Le xx.
    """
    wanted = (response.sw & 0xFF) or MAX_SHORT_NE
    if response.sw >> 8 == 0x61:
        return CommandApdu(command.cla & 0x0F, INS_GET_RESPONSE, 0, 0, ne=wanted)
    if response.sw >> 8 == 0x6C and command.ne != wanted:
        return CommandApdu(command.cla, command.ins, command.p1, command.p2, command.data, wanted, command.extended)
    return None


def select_by_name(name: bytes) -> CommandApdu:
    """SELECT of an application by its AID, first one, with FCI."""
    return CommandApdu(0, INS_SELECT, P1_BY_NAME, P2_FCI, name, MAX_SHORT_NE)


def select_by_id(file_id: int) -> CommandApdu:
    """SELECT of a file under the current application by its identifier, with FCI."""
    if not 0 <= file_id <= 0xFFFF:
        raise LocalProtocolError("a file identifier has two bytes", field="file_id")
    return CommandApdu(0, INS_SELECT, P1_BY_ID, P2_FCI, file_id.to_bytes(2, "big"), MAX_SHORT_NE)


def read_binary(offset: int, ne: int, *, short_id: int | None = None) -> CommandApdu:
    """READ BINARY of the current file, or of the one with a short identifier, 1 to 30."""
    if short_id is None:
        if not 0 <= offset <= MAX_BINARY_OFFSET:
            raise LocalProtocolError(f"an offset is 0 to {MAX_BINARY_OFFSET}", field="offset")
        return CommandApdu(0, INS_READ_BINARY, offset >> 8, offset & 0xFF, ne=ne)
    if not 1 <= short_id <= MAX_SHORT_FILE_ID or not 0 <= offset <= 0xFF:
        raise LocalProtocolError("a short identifier is 1 to 30, and an offset beside it 0 to 255", field="short_id")
    return CommandApdu(0, INS_READ_BINARY, 0x80 | short_id, offset, ne=ne)


def read_record(number: int, ne: int, *, short_id: int = 0) -> CommandApdu:
    """READ RECORD by its number; short identifier 0 means the current file."""
    if not 1 <= number <= 0xFF or not 0 <= short_id <= MAX_SHORT_FILE_ID:
        raise LocalProtocolError("a record number is 1 to 255 and a short identifier at most 30", field="number")
    return CommandApdu(0, INS_READ_RECORD, number, short_id << 3 | 4, ne=ne)
