"""Reading a processor card: which application to select and which files to read of it, as configuration and as action.

An application is selected by its name (AID), ISO/IEC 7816-4:2013, 7.1.1; files are read by READ BINARY or READ RECORD,
by short identifier or after a SELECT by identifier. 61xx and 6Cxx are followed up. The first application of the list
that the card knows is read; the others are not asked for.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Annotated, Literal

import msgspec

from drivers.text import _
from protocols.core.errors import RemoteProtocolError
from protocols.iso14443.apdu import (
    MAX_SHORT_NE,
    CommandApdu,
    ResponseApdu,
    decode_response,
    encode_command,
    follow_up,
    read_binary,
    read_record,
    select_by_id,
    select_by_name,
)

Finding = tuple[tuple[str | int, ...], str]
Aid = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-fA-F]{2}){5,16}$")]
FieldName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
FileId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{4}$")]
MAX_FOLLOW_UPS = 16
"""GET RESPONSEs for one command: a card that never ends is refused."""
MAX_SHORT_OFFSET = 255
SW_WARNINGS = frozenset({0x62, 0x63})


class CardFileConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[device.application.file]]`: a piece of a file that becomes a field of the tap."""

    name: FieldName
    """The field's name in the event."""
    short_id: Annotated[int, msgspec.Meta(ge=1, le=30)] | None = None
    """The file's short identifier; or `id`."""
    id: FileId | None = None
    """The file's identifier, four hex digits; or `short_id`."""
    record: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None
    """For a file of records: which one. Offset and length then count within it."""
    offset: Annotated[int, msgspec.Meta(ge=0, le=32_767)] = 0
    """The first byte, from 0."""
    length: Annotated[int, msgspec.Meta(ge=1, le=256)] | None = None
    """Bytes; left out: as many as the card gives."""
    encoding: Literal["hex", "ascii"] = "hex"
    """How the bytes stand in the event."""
    personal: bool = False
    """It tells who somebody is: it leaves the box only as a keyed hash."""
    identity: bool = False
    """It is the card's number, and stands for the card in place of the UID. Always personal."""


class CardApplicationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[device.application]]`: an application that is selected if the card has it, in this order."""

    name: FieldName
    """How the event calls it."""
    aid: Aid
    """Its name on the card (AID), 5 to 16 bytes in hex."""
    file: tuple[CardFileConfig, ...] = ()
    """`[[device.application.file]]`: what to read of it, in this order."""


def findings(applications: Sequence[CardApplicationConfig]) -> Iterable[Finding]:
    """What is wrong with a list of applications although the types are right."""
    for at, application in enumerate(applications):
        if any(one.aid.lower() == application.aid.lower() for one in applications[:at]):
            yield ("application", at, "aid"), _("this application stands in the list already")
        if sum(file.identity for file in application.file) > 1:
            yield ("application", at, "file"), _("only one file can be the card's identity")
        for number, file in enumerate(application.file):
            path = ("application", at, "file", number)
            if any(one.name == file.name for one in application.file[:number]):
                yield (*path, "name"), _("another file of this application has this name")
            if (file.short_id is None) == (file.id is None):
                yield path, _("short_id or id is needed, and not both")
            if file.short_id is not None and file.record is None and file.offset > MAX_SHORT_OFFSET:
                yield (*path, "offset"), _("at most 255 beside a short_id; give the file's id for more")


class CardReading(msgspec.Struct, kw_only=True):
    """What a card gave so far; filled while it is read, so that a lifted card leaves what was read."""

    application: CardApplicationConfig | None = None
    fields: dict[str, bytes] = {}
    """By the file's name: what it holds."""
    refusal: str | None = None
    """Why a card that was there to the end did not give everything: in words, with the status word."""

    def identity(self) -> bytes | None:
        """The card's number, where a file holds it and it was read."""
        files = () if self.application is None else self.application.file
        return next((self.fields[file.name] for file in files if file.identity and file.name in self.fields), None)


Transceive = Callable[[bytes], Awaitable[bytes]]
"""Takes a command APDU to the card and brings its answer; raises when the card is lifted."""


async def read_card(
    transceive: Transceive, applications: Sequence[CardApplicationConfig], reading: CardReading
) -> None:
    """Select the first application that the card has, and read its files into `reading`."""
    for application in applications:
        response = await _ask(transceive, select_by_name(bytes.fromhex(application.aid)))
        if _is_done(response):
            reading.application = application
            break
    else:
        reading.refusal = _("none of the applications is on the card")
        return
    for file in reading.application.file:
        response = await _read_file(transceive, file)
        if not _is_done(response):
            reading.refusal = _("%s cannot be read (%04x)") % (file.name, response.sw)
            return
        reading.fields[file.name] = response.data


async def _read_file(transceive: Transceive, file: CardFileConfig) -> ResponseApdu:
    if file.id is not None:
        response = await _ask(transceive, select_by_id(int(file.id, 16)))
        if not _is_done(response):
            return response
    if file.record is None:
        return await _ask(transceive, read_binary(file.offset, file.length or MAX_SHORT_NE, short_id=file.short_id))
    response = await _ask(transceive, read_record(file.record, MAX_SHORT_NE, short_id=file.short_id or 0))
    end = len(response.data) if file.length is None else file.offset + file.length
    return ResponseApdu(response.data[file.offset : end], response.sw)


async def _ask(transceive: Transceive, command: CommandApdu) -> ResponseApdu:
    """One command with what follows from 61xx and 6Cxx. An answer that is none counts as status word 0000."""
    data = b""
    asked: CommandApdu | None = command
    response = ResponseApdu(sw=0)
    for _number in range(MAX_FOLLOW_UPS):
        if asked is None:
            break
        try:
            response = decode_response(await transceive(encode_command(asked)))
        except RemoteProtocolError:
            return ResponseApdu(sw=0)
        data += response.data
        asked = follow_up(asked, response)
    return ResponseApdu(data, response.sw)


def _is_done(response: ResponseApdu) -> bool:
    return response.ok or response.sw >> 8 in SW_WARNINGS
