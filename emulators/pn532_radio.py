"""The radio side of an emulated PN532: it finds, activates and talks to the cards in its field.

Each operation is a generator: it yields what it sends and until when it waits (`Wait`), and is sent what was heard, or
None when time is up. So a card that was lifted costs an operation exactly the time that it costs a real chip.
"""

from collections.abc import Generator
from typing import TypeVar

import msgspec

from emulators.contactless_field import Field
from protocols.core.errors import LocalProtocolError, NeedData, RemoteProtocolError
from protocols.iso14443.air import AirFrame, air_frame, frame_of_bits
from protocols.iso14443.anticollision import TypeASearch
from protocols.iso14443.crc import Edc
from protocols.iso14443.parameters import FIELD_GUARD_S
from protocols.iso14443.pcd import PcdDialogue
from protocols.iso14443.pcd_events import (
    Activate,
    Activated,
    Answer,
    CardLost,
    CheckPresence,
    Deselect,
    PcdCommand,
    PcdEvent,
    PcdState,
    Present,
    Transceive,
)
from protocols.iso14443.search import FindCard, Halt, SearchCommand, SearchEvent, TypeAFound, TypeBFound
from protocols.iso14443.slots import TypeBSearch
from protocols.iso14443.type_a import CASCADE_TAG
from protocols.iso14443.type_b import encode_atqb
from protocols.pn532.errors import ErrorCode
from protocols.pn532.target_data import TypeATarget, TypeBTarget

FSD = 64
"""The largest frame that the chip takes from a card, UM0701-02 7.3.5: RATS E0 50."""
ATQB_BYTES = 12
RAW_TIMEOUT_S = 0.05
"""For the answer of a card that speaks no ISO-DEP."""

TX_MODE, RX_MODE = 0x6302, 0x6303
FIFO_DATA = 0x6339
CONTROL = 0x633C
BIT_FRAMING = 0x633D
_CRC_ON = 0x80
_FRAMING = 0x03
_FRAMING_B = 0x03

T = TypeVar("T")


class Wait(msgspec.Struct, frozen=True):
    """Send `frame`, if there is one, and wait for an answer until `deadline`."""

    frame: AirFrame | None
    modulation: str
    deadline: float


Operation = Generator[Wait, AirFrame | None, T]


class Target:
    """A card that the chip has listed. pcd: its ISO-DEP, or None. is_halted: it must be woken up first."""

    def __init__(self, data: TypeATarget | TypeBTarget, pcd: PcdDialogue | None) -> None:
        self.data = data
        self.pcd = pcd
        self.is_halted = False
        self.outgoing = bytearray()
        self.incoming = b""

    @property
    def modulation(self) -> str:
        """A or B."""
        return "A" if isinstance(self.data, TypeATarget) else "B"


class Radio:
    """The chip's contactless interface. Its owner keeps `now` up to date and runs the operations."""

    def __init__(self, field: Field, registers: dict[int, int]) -> None:
        self.field = field
        self.now = 0.0
        self._registers = registers

    def switch_on(self) -> Operation[None]:
        """Switch the field on and let the cards wake up."""
        if not self.field.is_on:
            self.field.switch(is_on=True)
            yield Wait(None, "", self.now + FIELD_GUARD_S)

    def search(self, search: TypeASearch | TypeBSearch, command: SearchCommand) -> Operation[SearchEvent]:
        """Find or halt one card."""
        modulation = "A" if isinstance(search, TypeASearch) else "B"
        search.send(command, self.now)
        while isinstance(event := search.next_event(), NeedData):
            answer = yield Wait(search.frame_to_send(), modulation, search.next_deadline() or self.now)
            if answer is None:
                search.tick(self.now)
            else:
                search.receive(answer, self.now)
        return event

    def talk(self, target_pcd: PcdDialogue, modulation: str, command: PcdCommand) -> Operation[PcdEvent]:
        """Run one command of ISO-DEP."""
        pcd = target_pcd
        pcd.send(command, self.now)
        while isinstance(event := pcd.next_event(), NeedData):
            frame = pcd.bytes_to_send()
            answer = yield Wait(air_frame(frame) if frame else None, modulation, pcd.next_deadline() or self.now)
            if answer is None:
                pcd.tick(self.now)
            else:
                pcd.receive(answer.data if answer.is_whole else b"", self.now)
        return event

    def find_a(self, tg: int, uid: bytes, *, auto_rats: bool) -> Operation[Target | None]:
        """Find a card of type A, and activate it where it speaks ISO-DEP and that is wanted."""
        self._set_mode(_CRC_ON)
        event = yield from self.search(TypeASearch(), FindCard(uid=without_cascade_tags(uid)))
        if not isinstance(event, TypeAFound):
            return None
        data = TypeATarget(tg, event.atqa[::-1], event.sak.value, event.uid)
        if not auto_rats or not event.sak.iso14443_4:
            return Target(data, None)
        pcd = PcdDialogue(Edc.CRC_A, fsd=FSD, cid=None if tg == 1 else tg)
        activated = yield from self.talk(pcd, "A", Activate())
        if not isinstance(activated, Activated):
            return None
        return Target(msgspec.structs.replace(data, ats=activated.wire), pcd)

    def find_b(self, tg: int, afi: int) -> Operation[Target | None]:
        """Find a card of type B and activate it. The chip uses a CID where the card can, UM0701-02 7.3.5."""
        self._set_mode(_CRC_ON | _FRAMING_B)
        event = yield from self.search(TypeBSearch(), FindCard(afi=afi))
        if not isinstance(event, TypeBFound):
            return None
        pcd = PcdDialogue(Edc.CRC_B, fsd=FSD, cid=tg)
        activated = yield from self.talk(pcd, "B", Activate(event.atqb))
        if not isinstance(activated, Activated):
            return None
        return Target(TypeBTarget(tg, encode_atqb(event.atqb)[:ATQB_BYTES], activated.wire), pcd)

    def _set_mode(self, mode: int) -> None:
        """What the firmware leaves in the registers, and clients build upon."""
        self._registers[TX_MODE] = self._registers[RX_MODE] = mode

    def halt(self, target: Target) -> Operation[None]:
        """Send a card to HALT: S(DESELECT), HLTA or HLTB."""
        if target.is_halted:
            return
        target.is_halted = True
        if target.pcd is not None and target.pcd.state is PcdState.ACTIVATED:
            yield from self.talk(target.pcd, target.modulation, Deselect())
        elif target.pcd is None and isinstance(target.data, TypeATarget):
            yield from self.search(TypeASearch(), Halt())

    def wake(self, target: Target) -> Operation[bool]:
        """Select and activate a card that was halted; whether it is there."""
        if not target.is_halted:
            return True
        if isinstance(target.data, TypeATarget):
            event = yield from self.search(TypeASearch(), FindCard(wake=True, uid=target.data.nfcid1))
            is_there = isinstance(event, TypeAFound)
            pcd, command = PcdDialogue(Edc.CRC_A, fsd=FSD), Activate()
        else:
            event = yield from self.search(TypeBSearch(), FindCard(wake=True))
            is_there = isinstance(event, TypeBFound) and event.atqb.pupi == target.data.pupi
            atqb = event.atqb if isinstance(event, TypeBFound) else None
            pcd, command = PcdDialogue(Edc.CRC_B, fsd=FSD, cid=target.data.tg), Activate(atqb)
        if is_there and target.pcd is not None:
            target.pcd = pcd
            activated = yield from self.talk(pcd, target.modulation, command)
            is_there = isinstance(activated, Activated)
        target.is_halted = not is_there
        return is_there

    def exchange(self, target: Target, data: bytes) -> Operation[tuple[int, bytes]]:
        """Send data to a card and take its answer: (error code, answer)."""
        if target.pcd is None and isinstance(target.data, TypeATarget) and target.data.is_iso14443_4:
            return ErrorCode.CONTEXT, b""  # without RATS there is no ISO-DEP
        is_there = yield from self.wake(target)
        if not is_there:
            return ErrorCode.TIMEOUT, b""
        if target.pcd is None:
            return (yield from self.raw(data, "A", self.now + RAW_TIMEOUT_S, has_crc=True))
        return (yield from self._exchange_blocks(target.pcd, target.modulation, data))

    def _exchange_blocks(self, pcd: PcdDialogue, modulation: str, data: bytes) -> Operation[tuple[int, bytes]]:
        if pcd.state is not PcdState.ACTIVATED:
            return ErrorCode.CONTEXT, b""
        event = yield from self.talk(pcd, modulation, Transceive(data))
        match event:
            case Answer():
                return ErrorCode.OK, event.data
            case CardLost() if event.reason == "no answer":
                return ErrorCode.TIMEOUT, b""
            case _:
                return ErrorCode.RF_PROTOCOL, b""

    def is_present(self, target: Target) -> Operation[bool]:
        """Attention request: whether a card that speaks ISO-DEP is still there."""
        if target.pcd is None or target.pcd.state is not PcdState.ACTIVATED:
            return False
        event = yield from self.talk(target.pcd, target.modulation, CheckPresence())
        return isinstance(event, Present)

    def through(self, data: bytes, timeout_s: float) -> Operation[tuple[int, bytes]]:
        """InCommunicateThru: what goes out and comes in as the registers say. (error code, answer)."""
        tx_mode = self._registers.get(TX_MODE, 0)
        modulation = {0: "A", _FRAMING_B: "B"}.get(tx_mode & _FRAMING, "")
        last_bits = self._registers.get(BIT_FRAMING, 0) & 7
        deadline = self.now + timeout_s
        if not data or not modulation or (last_bits and not tx_mode & _CRC_ON):
            bits = 8 * len(data) - (8 - last_bits if last_bits else 0)
            frame = frame_of_bits(int.from_bytes(data, "little"), bits) if data and modulation else None
            answer = yield Wait(frame, modulation, deadline)
            return self._heard(answer, modulation)
        return (yield from self.raw(data, modulation, deadline, has_crc=bool(tx_mode & _CRC_ON)))

    def raw(self, data: bytes, modulation: str, deadline: float, *, has_crc: bool) -> Operation[tuple[int, bytes]]:
        """Send bytes, with a CRC if asked for. (error code, answer)."""
        edc = {"A": Edc.CRC_A, "B": Edc.CRC_B}[modulation]
        answer = yield Wait(air_frame(edc.append(data) if has_crc else data), modulation, deadline)
        return self._heard(answer, modulation)

    def _heard(self, answer: AirFrame | None, modulation: str) -> tuple[int, bytes]:
        if answer is None:
            return ErrorCode.TIMEOUT, b""
        if answer.collision is not None:
            return ErrorCode.BIT_COLLISION, b""
        self._registers[CONTROL] = self._registers.get(CONTROL, 0) & ~7 | answer.bits % 8
        if not self._registers.get(RX_MODE, 0) & _CRC_ON:
            return ErrorCode.OK, answer.data
        try:
            return ErrorCode.OK, {"A": Edc.CRC_A, "B": Edc.CRC_B}[modulation].strip(answer.data)
        except RemoteProtocolError:
            return ErrorCode.CRC, b""


def without_cascade_tags(uid: bytes) -> bytes:
    """The UID in the initiator's data, where every part that goes on is led by a cascade tag."""
    if len(uid) in {4, 7, 10} and not (len(uid) == 4 and uid[0] == CASCADE_TAG):
        return uid
    plain = b""
    while len(uid) > 4 and uid[0] == CASCADE_TAG:
        plain += uid[1:4]
        uid = uid[4:]
    if len(plain + uid) not in {4, 7, 10} and plain + uid:
        raise LocalProtocolError("no such UID", field="initiator_data")
    return plain + uid
