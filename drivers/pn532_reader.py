"""A PN532 on a serial line as a reader of contactless cards: one verb for each thing that it does.

Models: NXP PN532 (firmware 1.4 and later) with its serial interface (HSU) at 115200 baud, as on most breakout boards.
Held against an emulated chip that libnfc and nfcpy take for a real one.

    can                                           cannot
    cards of type A and B, 106 kbit/s             FeliCa, Jewel, higher bit rates
    two cards at once, told from one              more than two told from two
    ISO-DEP by the chip, APDUs of any length      raw frames, Mifare Classic commands
    tell whether a card is still there            two hosts on one chip

`MAX_IN_FLIGHT` is 1: the chip does one thing at a time. Every command ends: with its answer, or after its deadline,
when the chip is told to stop.
"""

import asyncio
from typing import cast

import msgspec

from drivers.clock import Clock
from drivers.errors import DeviceRefusedError, DeviceTimeoutError, DriverError, PortError
from drivers.exchange import Exchange
from drivers.ports.port import Port
from drivers.text import _
from protocols.core.errors import RemoteProtocolError
from protocols.iso14443.activation import decode_ats, encode_ats
from protocols.iso14443.parameters import FIELD_GUARD_S
from protocols.pn532 import chip_commands as chip
from protocols.pn532.command import Command, Response, StatusAndData
from protocols.pn532.host import (
    Abort,
    Aborted,
    Failed,
    HostCommand,
    HostDialogue,
    HostEvent,
    Refused,
    Request,
    Responded,
)
from protocols.pn532.initiator_commands import (
    MAX_EXCHANGE_BYTES,
    MAX_TARGETS,
    TYPE_A_106,
    TYPE_B_106,
    InDataExchange,
    InListPassiveTarget,
    ListedTargets,
)
from protocols.pn532.target_data import TypeATarget, TypeBTarget, decode_type_a_targets, decode_type_b_targets

MAX_IN_FLIGHT = 1
ALL_FAMILIES = b"\x00"
"""AFI of a request to cards of type B."""
MAX_ANSWER_BYTES = 65_538
FIELD_OFF_S = 0.006
"""How long the field must be off for a card to forget everything; ISO/IEC 14443-3 asks for 5 ms."""

PARAMETERS = chip.SetParameters(chip.PARAMETER_AUTO_ATR_RES | chip.PARAMETER_AUTO_RATS)
RETRIES = chip.RfConfiguration(chip.RF_RETRIES, b"\x00\x01\x01")
"""Two attempts to find a card, then the answer "none": a poll must end."""
FIELD_ON = chip.RfConfiguration(chip.RF_FIELD, b"\x01")
FIELD_OFF = chip.RfConfiguration(chip.RF_FIELD, b"\x00")

FoundCard = TypeATarget | TypeBTarget


class CardLiftedError(DriverError):
    """The card does not answer any more; the reader does."""


class Pn532Reader:
    """One chip, for one opening of its port. answer_s: how long a card may take for one answer."""

    def __init__(self, port: Port, clock: Clock, name: str, *, answer_s: float) -> None:
        self._name = name
        self._answer_s = answer_s
        self.dialogue = HostDialogue()
        self._exchange: Exchange[HostCommand, HostEvent] = Exchange(
            port, self.dialogue, clock, on_event=self._heard, on_lost=self._lost
        )
        self._waiting: asyncio.Future[HostEvent] | None = None
        self._loss: PortError | None = None
        self.firmware: chip.FirmwareVersion | None = None
        """What the chip says that it is, once it was opened."""

    async def open(self) -> None:
        """Open the port, wake the chip up and set it up. Raises `DriverError`."""
        await self._exchange.open()
        await self.carry_out(chip.SamConfiguration(chip.SAM_NORMAL, 0, 0))
        firmware = cast("chip.FirmwareVersion", await self.carry_out(chip.GetFirmwareVersion()))
        if firmware.ic != chip.IC_PN532:
            raise DeviceRefusedError(_("%s: not a PN532, but a chip %02x") % (self._name, firmware.ic), firmware.ic)
        self.firmware = firmware
        for command in (PARAMETERS, RETRIES, FIELD_OFF):
            await self.carry_out(command)

    async def aclose(self) -> None:
        """Close the port; the field goes off if the chip still listens."""
        if self._exchange.is_open and self.firmware is not None:
            self._exchange.send(Abort())
            self._exchange.send(Request(FIELD_OFF))
        await self._exchange.aclose()

    async def carry_out(self, command: Command, timeout_s: float | None = None) -> Response:
        """Run one command. Raises `DeviceTimeoutError`, `DeviceRefusedError`, `PortError`."""
        event = await self._run(command, timeout_s)
        match event:
            case Responded():
                return event.response
            case Refused():
                reason = _("%s: the reader does not know the command %s") % (self._name, type(command).__name__)
                raise DeviceRefusedError(reason, command.CODE)
            case Failed() if not event.is_acknowledged:
                raise DeviceTimeoutError(_("%s: the reader does not answer") % self._name)
            case _:
                text = _("%s: the reader took %s, but gave no answer to it")
                raise DeviceTimeoutError(text % (self._name, type(command).__name__))

    async def _run(self, command: Command, timeout_s: float | None) -> Responded | Refused | Failed | Aborted:
        if self._loss is not None:
            raise self._loss
        assert self._waiting is None, "one command at a time"
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            self._exchange.send(Request(command, timeout_s))
            return await self._waiting
        finally:
            self._waiting = None

    def _heard(self, event: HostEvent) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(event)

    def _lost(self, error: PortError) -> None:
        self._loss = error
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)

    # Cards

    async def field_on(self) -> None:
        """Switch the field on and let cards wake up."""
        await self.carry_out(FIELD_ON)
        await asyncio.sleep(FIELD_GUARD_S)

    async def field_off(self) -> None:
        """Switch the field off, long enough for every card to forget what it was doing."""
        await self.carry_out(FIELD_OFF)
        await asyncio.sleep(FIELD_OFF_S)

    async def find_type_a(self) -> list[TypeATarget]:
        """Find and activate up to two cards of type A."""
        listed = await self._list(InListPassiveTarget(MAX_TARGETS, TYPE_A_106))
        try:
            return decode_type_a_targets(listed.count, listed.data)
        except RemoteProtocolError as e:
            raise DeviceRefusedError(_("%s: the reader describes a card wrongly: %s") % (self._name, e)) from e

    async def find_type_b(self) -> list[TypeBTarget]:
        """Find and activate up to two cards of type B."""
        listed = await self._list(InListPassiveTarget(MAX_TARGETS, TYPE_B_106, ALL_FAMILIES))
        try:
            return decode_type_b_targets(listed.count, listed.data)
        except RemoteProtocolError as e:
            raise DeviceRefusedError(_("%s: the reader describes a card wrongly: %s") % (self._name, e)) from e

    async def _list(self, command: InListPassiveTarget) -> ListedTargets:
        return cast("ListedTargets", await self.carry_out(command))

    async def find_one(self) -> tuple[FoundCard | None, int]:
        """Look for cards of both types: (the card, if there is one alone, else None; how many there are).

        The chip forgets what it listed when it lists again, so type B goes first and, if alone, once more.
        """
        type_b = await self.find_type_b()
        type_a = await self.find_type_a()
        count = len(type_a) + len(type_b)
        if count != 1:
            return None, count
        if type_a:
            return type_a[0], 1
        await self.field_off()
        await self.field_on()
        type_b = await self.find_type_b()
        return (type_b[0] if len(type_b) == 1 else None), len(type_b)

    async def transceive(self, card: FoundCard, data: bytes) -> bytes:
        """Send an APDU, take the whole answer. Raises `CardLiftedError`, or what `carry_out` raises."""
        pieces = [data[at : at + MAX_EXCHANGE_BYTES] for at in range(0, len(data), MAX_EXCHANGE_BYTES)] or [b""]
        for piece in pieces[:-1]:
            await self._exchange_piece(InDataExchange(card.tg, piece, more=True))
        answer = await self._exchange_piece(InDataExchange(card.tg, pieces[-1]))
        whole = bytearray(answer.data)
        while answer.status.more_information:
            answer = await self._exchange_piece(InDataExchange(card.tg))
            whole += answer.data
            is_stalling = answer.status.more_information and not answer.data
            if is_stalling or len(whole) > MAX_ANSWER_BYTES:
                raise CardLiftedError(_("%s: the card never ends its answer") % self._name)
        return bytes(whole)

    async def _exchange_piece(self, command: InDataExchange) -> StatusAndData:
        event = await self._run(command, self._answer_s)
        match event:
            case Responded():
                answer = cast("StatusAndData", event.response)
                if answer.status.ok:
                    return answer
                raise CardLiftedError(_("%s: the card was lifted (%s)") % (self._name, answer.status.text))
            case Failed():  # a reader that is gone says so at the next command
                raise CardLiftedError(_("%s: the card was lifted (no answer)") % self._name)
            case _:
                raise DeviceRefusedError(_("%s: the reader refuses to speak to the card") % self._name)

    async def is_present(self, card: FoundCard) -> bool:
        """Whether the card that was found is still there, without disturbing it.

        A card that speaks ISO-DEP is asked by the chip. Another one is selected again without a reset of the field, so
        that a random UID stays as it is; it misses one request (it is sent back to IDLE) and hears the next.
        """
        if isinstance(card, TypeBTarget) or card.is_iso14443_4:
            event = await self._run(chip.Diagnose(chip.DIAGNOSE_ATTENTION), self._answer_s)
            if isinstance(event, Responded):
                return cast("chip.DiagnoseResponse", event.response).data[:1] == b"\x00"
            return False  # a reader that is gone says so at the next command
        return any(one.nfcid1 == card.nfcid1 for one in await self.find_type_a())


class CardFacts(msgspec.Struct, frozen=True):
    """What may be told of a card without saying which one it is."""

    kind: str
    """A or B."""
    sak: int | None
    ats: str | None
    """Type A: the ATS in hex without its historical bytes, in which some makers put the serial number; or None."""
    protocol: str | None
    """Type B: the ATQB in hex without its PUPI."""


def facts_of(card: FoundCard) -> CardFacts:
    """What may be told of a card."""
    if isinstance(card, TypeATarget):
        return CardFacts("A", card.sel_res, _interface_bytes(card.ats), None)
    return CardFacts("B", None, None, card.atqb[5:].hex())


def _interface_bytes(ats: bytes) -> str | None:
    """An ATS without its historical bytes (ISO/IEC 14443-4, 5.2.7)."""
    try:
        answer = decode_ats(ats)
    except RemoteProtocolError:  # also where there is none
        return None
    return encode_ats(msgspec.structs.replace(answer, historical_bytes=b"")).hex()
