r"""The file system of a processor card (ISO/IEC 7816-4:2013, clauses 7 and 11): applications with files.

It understands SELECT (by application name, by identifier, below the current application, by path), READ BINARY and
READ RECORD (also by short identifier) and GET RESPONSE, and answers everything else as a card would. Nothing can be
written.

>>> files = CardFiles([Application(bytes.fromhex("a000000632010105"), [BinaryFile(0x15, b"permit", short_id=0x15)])])
>>> files.process(bytes.fromhex("00a4040008a00000063201010500")).hex()
'6f0a8408a0000006320101059000'
>>> files.process(bytes.fromhex("00b0950000"))
b'permit\x90\x00'
"""

from collections.abc import Sequence

import msgspec

from protocols.core.errors import RemoteProtocolError
from protocols.iso14443 import apdu
from protocols.iso14443.apdu import (
    MAX_SHORT_NE,
    SW_OK,
    CommandApdu,
    ResponseApdu,
    decode_command,
    encode_response,
)
from protocols.iso14443.ber_tlv import Tlv, encode_tlv, tlv

MASTER_FILE_ID = 0x3F00

SW_WRONG_LENGTH = 0x6700
SW_WRONG_KIND_OF_FILE = 0x6981
SW_SECURITY = 0x6982
SW_NO_CURRENT_FILE = 0x6986
SW_WRONG_DATA = 0x6A80
SW_NOT_FOUND = 0x6A82
SW_NO_RECORD = 0x6A83
SW_WRONG_P1_P2 = 0x6A86
SW_WRONG_OFFSET = 0x6B00
SW_WRONG_LE = 0x6C00
SW_UNKNOWN_INS = 0x6D00
SW_UNKNOWN_CLA = 0x6E00
SW_MORE_DATA = 0x6100

_P1_CHILD_EF = 0x02
_P2_OCCURRENCE = 0x03
_P2_RESPONSE = 0x0C
_P2_NOTHING = 0x0C
_P2_FCP = 0x04
_RECORD_BY_NUMBER = 4


class BinaryFile(msgspec.Struct, frozen=True):
    """A transparent file. is_secret: it can be read only after an authentication, which this card does not offer."""

    file_id: int
    data: bytes
    short_id: int | None = None
    is_secret: bool = False


class RecordFile(msgspec.Struct, frozen=True):
    """A file of records, the first with number 1."""

    file_id: int
    records: tuple[bytes, ...]
    short_id: int | None = None
    is_secret: bool = False


File = BinaryFile | RecordFile


class Application(msgspec.Struct, frozen=True):
    """A dedicated file with a name. proprietary: what its FCI holds in the template A5. file_id: for SELECT by path."""

    name: bytes
    files: Sequence[File] = ()
    proprietary: Sequence[Tlv] = ()
    file_id: int | None = None


class CardFiles:
    """What a card holds, and which of it is current.

    answers_with_61: data of a SELECT wait for GET RESPONSE, as on cards that come from the contact world.
    """

    def __init__(
        self,
        applications: Sequence[Application] = (),
        files: Sequence[File] = (),
        *,
        answers_with_61: bool = False,
    ) -> None:
        self._master = Application(b"", files, file_id=MASTER_FILE_ID)
        self._applications = list(applications)
        self._answers_with_61 = answers_with_61
        self._waiting = b""
        self.current: Application = self._master
        """The current application; the master file at first."""
        self.file: File | None = None
        """The current elementary file."""

    def reset(self) -> None:
        """The card lost its power: nothing is selected."""
        self.current, self.file, self._waiting = self._master, None, b""

    def process(self, command: bytes) -> bytes:
        """Answer one command APDU."""
        try:
            asked = decode_command(command)
        except RemoteProtocolError:
            return encode_response(ResponseApdu(sw=SW_WRONG_LENGTH))
        return encode_response(self._answer(asked))

    def _answer(self, command: CommandApdu) -> ResponseApdu:
        waiting, self._waiting = self._waiting, b""
        if command.cla != 0:
            return ResponseApdu(sw=SW_UNKNOWN_CLA)
        match command.ins:
            case apdu.INS_SELECT:
                return self._select(command)
            case apdu.INS_READ_BINARY:
                return self._read_binary(command)
            case apdu.INS_READ_RECORD:
                return self._read_record(command)
            case apdu.INS_GET_RESPONSE:
                return self._get_response(command, waiting)
            case _:
                return ResponseApdu(sw=SW_UNKNOWN_INS)

    def _select(self, command: CommandApdu) -> ResponseApdu:
        if command.p2 & ~(_P2_OCCURRENCE | _P2_RESPONSE) or command.p2 & _P2_RESPONSE == 0x08:
            return ResponseApdu(sw=SW_WRONG_P1_P2)
        match command.p1:
            case apdu.P1_BY_NAME:
                found: Application | File | int = self._by_name(command.data, command.p2 & _P2_OCCURRENCE)
            case apdu.P1_BY_ID | 0x02:
                found = self._by_id(command.data, only_files=command.p1 == _P1_CHILD_EF)
            case 0x08:
                found = self._by_path(command.data)
            case _:
                found = SW_WRONG_P1_P2
        if isinstance(found, int):
            return ResponseApdu(sw=found)
        if isinstance(found, Application):
            self.current, self.file = found, None
        else:
            self.file = found
        if command.p2 & _P2_RESPONSE == _P2_NOTHING:
            return ResponseApdu()
        return self._control_information(found, command)

    def _by_name(self, name: bytes, occurrence: int) -> Application | int:
        """An application whose name starts with `name`: the first or, with occurrence 2, the next after the current."""
        fitting = [one for one in self._applications if one.name.startswith(name) and name]
        if occurrence == 2 and self.current in fitting:
            fitting = fitting[fitting.index(self.current) + 1 :]
        elif occurrence not in {0, 2}:
            return SW_WRONG_P1_P2
        return fitting[0] if fitting else SW_NOT_FOUND

    def _by_id(self, data: bytes, *, only_files: bool) -> Application | File | int:
        if not data and not only_files:
            return self._master
        if len(data) != 2:
            return SW_WRONG_DATA
        file_id = int.from_bytes(data, "big")
        candidates: list[Application | File] = list(self.current.files)
        if not only_files:
            candidates += [self._master, *self._applications]
        return next((one for one in candidates if one.file_id == file_id), SW_NOT_FOUND)

    def _by_path(self, data: bytes) -> Application | File | int:
        if not data or len(data) % 2:
            return SW_WRONG_DATA
        place: Application | File = self._master
        for at in range(0, len(data), 2):
            if not isinstance(place, Application):
                return SW_NOT_FOUND
            file_id = int.from_bytes(data[at : at + 2], "big")
            inside: list[Application | File] = list(place.files)
            if place is self._master:
                inside += self._applications
            found = next((one for one in inside if one.file_id == file_id), None)
            if found is None:
                return SW_NOT_FOUND
            place = found
        return place

    def _control_information(self, found: Application | File, command: CommandApdu) -> ResponseApdu:
        """FCI, or FCP where P2 asks for it. 7816-4 7.4.2."""
        if isinstance(found, Application):
            content = [tlv("84", found.name)] if found.name else []
            if found.proprietary:
                content.append(tlv("a5", found.proprietary))
        else:
            size = len(found.data) if isinstance(found, BinaryFile) else sum(map(len, found.records))
            content = [tlv("80", size.to_bytes(2, "big")), tlv("83", found.file_id.to_bytes(2, "big"))]
        tag = "62" if command.p2 & _P2_RESPONSE == _P2_FCP else "6f"
        data = encode_tlv([tlv(tag, content)])
        if self._answers_with_61:
            self._waiting = data
            return ResponseApdu(sw=SW_MORE_DATA | min(len(data), MAX_SHORT_NE) & 0xFF)
        return ResponseApdu(data[: command.ne])

    def _get_response(self, command: CommandApdu, waiting: bytes) -> ResponseApdu:
        if command.p1 or command.p2 or not waiting:
            return ResponseApdu(sw=SW_WRONG_P1_P2 if waiting else SW_NO_CURRENT_FILE)
        if len(waiting) < command.ne < MAX_SHORT_NE:
            self._waiting = waiting
            return ResponseApdu(sw=SW_WRONG_LE | len(waiting))
        rest = waiting[command.ne :]
        self._waiting = rest
        return ResponseApdu(waiting[: command.ne], SW_MORE_DATA | min(len(rest), 0xFF) if rest else SW_OK)

    def _read_binary(self, command: CommandApdu) -> ResponseApdu:
        if command.p1 & 0x80:
            file, offset = self._by_short_id(command.p1 & 0x1F), command.p2
        else:
            file, offset = self.file or SW_NO_CURRENT_FILE, command.p1 << 8 | command.p2
        if isinstance(file, RecordFile):
            return ResponseApdu(sw=SW_WRONG_KIND_OF_FILE)
        if isinstance(file, int) or file.is_secret:
            return ResponseApdu(sw=file if isinstance(file, int) else SW_SECURITY)
        self.file = file
        if offset > len(file.data):
            return ResponseApdu(sw=SW_WRONG_OFFSET)
        return _part(file.data[offset:], command)

    def _read_record(self, command: CommandApdu) -> ResponseApdu:
        if command.p2 & 7 != _RECORD_BY_NUMBER:
            return ResponseApdu(sw=SW_WRONG_P1_P2)
        short_id = command.p2 >> 3
        file = self._by_short_id(short_id) if short_id else self.file or SW_NO_CURRENT_FILE
        if isinstance(file, BinaryFile):
            return ResponseApdu(sw=SW_WRONG_KIND_OF_FILE)
        if isinstance(file, int) or file.is_secret:
            return ResponseApdu(sw=file if isinstance(file, int) else SW_SECURITY)
        self.file = file
        if not 1 <= command.p1 <= len(file.records):
            return ResponseApdu(sw=SW_NO_RECORD)
        return _part(file.records[command.p1 - 1], command)

    def _by_short_id(self, short_id: int) -> File | int:
        return next((file for file in self.current.files if file.short_id == short_id), SW_NOT_FOUND)


def _part(data: bytes, command: CommandApdu) -> ResponseApdu:
    """As much as Le asks for; a Le that is larger than what is there, and not "all", is answered with 6Cxx."""
    is_all = command.ne in {MAX_SHORT_NE, 65_536}
    if not command.ne or (command.ne > len(data) and not is_all):
        return ResponseApdu(sw=SW_WRONG_LE | min(len(data), MAX_SHORT_NE) & 0xFF)
    return ResponseApdu(data[: command.ne])
