"""Contactless cards (ISO/IEC 14443-3:2016, 6.3 and 7.4; 14443-4:2016), to be placed in a `Field`.

Each card is as strict as the standard: a frame that is out of place sends it back to IDLE or HALT, and it is silent on
whatever is not for it.

Frames are `AirFrame`s with their CRC. Time comes in as `now`; a card that computes for long answers from `tick()`.
"""

import random
from abc import ABC, abstractmethod
from enum import Enum

import msgspec

from emulators.card_files import CardFiles
from protocols.core.errors import NeedData, RemoteProtocolError
from protocols.iso14443.activation import RATS, Ats
from protocols.iso14443.air import AirFrame, air_frame, frame_of_bits
from protocols.iso14443.crc import Edc, crc_b, strip_crc_b
from protocols.iso14443.picc import CommandReceived, PiccDeselected, PiccDialogue, Respond
from protocols.iso14443.type_a import (
    RANDOM_UID_TAG,
    REQA,
    UID_PART_BITS,
    WUPA,
    Atqa,
    Sak,
    Select,
    UidPart,
    decode_anticollision,
    decode_select,
    encode_anticollision_reply,
    encode_atqa,
    hlta,
    parts_of,
)
from protocols.iso14443.type_b import (
    APF,
    ATTRIB,
    HLTB,
    HLTB_ANSWER,
    Atqb,
    AttribAnswer,
    Reqb,
    decode_attrib,
    decode_hltb,
    decode_reqb,
    decode_slot_marker,
    encode_atqb,
    encode_attrib_answer,
)

_SELECT_BITS = 72
_RATS_BYTES = 4


class LiftPlan(msgspec.Struct, frozen=True):
    """The card leaves at its n-th frame since it was placed. is_answered: the reader still hears the answer to it."""

    after_frames: int
    is_answered: bool = True


class CardState(Enum):
    """States of ISO/IEC 14443-3; a card that was halted once returns there (the starred states of type A)."""

    POWER_OFF = "power-off"
    IDLE = "idle"
    READY = "ready"
    ACTIVE = "active"
    PROTOCOL = "protocol"
    HALT = "halt"


class Card(ABC):
    """What cards of both types share: power, ISO-DEP, the time that a computation takes.

    files: what it holds, or None for a card that speaks no ISO-DEP. think_s: how long it computes each answer; beyond
    the waiting time it asks for more. lift: when it leaves by itself.
    """

    modulation = ""

    def __init__(
        self, name: str, files: CardFiles | None, *, think_s: float, lift: LiftPlan | None, rng: random.Random | None
    ) -> None:
        self.name = name
        self.files = files
        self.think_s = think_s
        self.lift = lift
        self.state = CardState.POWER_OFF
        self.commands: list[bytes] = []
        """The APDUs that it carried out since it was placed."""
        self.frames = 0
        """How many frames it heard since it was placed."""
        self._rng = rng or random.Random(name)  # noqa: S311 -- a card's lot, seeded so that a run can be replayed
        self._was_halted = False
        self._picc: PiccDialogue | None = None
        self._reply: bytes | None = None
        self._reply_at = 0.0

    def power(self, *, is_on: bool) -> None:
        """The field comes or goes."""
        self.state = CardState.IDLE if is_on else CardState.POWER_OFF
        self._was_halted = False
        self._picc = None
        self._reply = None
        if self.files is not None:
            self.files.reset()

    @abstractmethod
    def hear(self, frame: AirFrame, now: float) -> AirFrame | None:
        """Take a frame; the answer, or None."""

    def next_deadline(self) -> float | None:
        """When `tick()` is due: an answer is ready, or more time must be asked for."""
        due = [] if self._reply is None else [self._reply_at]
        if self._picc is not None and (deadline := self._picc.next_deadline()) is not None:
            due.append(deadline)
        return min(due, default=None)

    def tick(self, now: float) -> AirFrame | None:
        """Time has passed: a late answer, or None."""
        if self._picc is None:
            return None
        if self._reply is not None and now >= self._reply_at:
            reply, self._reply = self._reply, None
            self._picc.send(Respond(reply), now)
        self._picc.tick(now)
        return self._said()

    def _said(self) -> AirFrame | None:
        frame = b"" if self._picc is None else self._picc.bytes_to_send()
        return air_frame(frame) if frame else None

    def _hear_block(self, frame: AirFrame, now: float) -> AirFrame | None:
        """ISO-DEP."""
        picc, files = self._picc, self.files
        if picc is None or files is None:
            return None
        picc.receive(frame.data if frame.is_whole else b"", now)
        while not isinstance(event := picc.next_event(), NeedData):
            if isinstance(event, CommandReceived):
                self.commands.append(event.data)
                self._reply, self._reply_at = files.process(event.data), now + self.think_s
            elif isinstance(event, PiccDeselected):
                self.state, self._was_halted = CardState.HALT, True
        return self.tick(now)

    def _fall_back(self) -> None:
        """An error: the card waits for a request again."""
        self.state = CardState.HALT if self._was_halted else CardState.IDLE


class TypeACard(Card):
    """A card of type A. uid None: a random one, made anew at each power-up. ats None: it speaks no ISO-DEP."""

    modulation = "A"

    def __init__(
        self,
        uid: bytes | None,
        *,
        name: str = "",
        sak: int = 0x20,
        ats: Ats | None = None,
        files: CardFiles | None = None,
        atqa: Atqa | None = None,
        think_s: float = 0.0,
        lift: LiftPlan | None = None,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(name, files, think_s=think_s, lift=lift, rng=rng)
        self._is_random = uid is None
        self.uid = self._random_uid() if uid is None else uid
        parts_of(self.uid)
        self._sak = sak
        self._ats = ats
        self._atqa = atqa or Atqa(len(self.uid), 4)
        self._level = 0

    def _random_uid(self) -> bytes:
        return bytes((RANDOM_UID_TAG,)) + self._rng.randbytes(3)

    def power(self, *, is_on: bool) -> None:
        """The field comes or goes."""
        super().power(is_on=is_on)
        if is_on and self._is_random:
            self.uid = self._random_uid()

    def hear(self, frame: AirFrame, now: float) -> AirFrame | None:
        """Take a frame; the answer, or None."""
        match self.state:
            case CardState.IDLE | CardState.HALT:
                return self._request(frame)
            case CardState.READY:
                return self._select(frame)
            case CardState.ACTIVE:
                return self._activate(frame, now)
            case CardState.PROTOCOL:
                return self._hear_block(frame, now)
            case _:
                return None

    def _request(self, frame: AirFrame) -> AirFrame | None:
        if frame != WUPA and (frame != REQA or self.state is CardState.HALT):
            return None
        self.state, self._level = CardState.READY, 0
        return air_frame(encode_atqa(self._atqa))

    def _select(self, frame: AirFrame) -> AirFrame | None:
        parts = parts_of(self.uid)
        try:
            if frame.bits == _SELECT_BITS:
                return self._selected(decode_select(frame.data), parts)
            request = decode_anticollision(frame)
        except RemoteProtocolError:
            self._fall_back()
            return None
        if request.cascade_level != self._level + 1:
            self._fall_back()
            return None
        whole = int.from_bytes(encode_anticollision_reply(UidPart(parts[self._level])), "little")
        if (whole ^ request.known) & ((1 << request.known_bits) - 1):
            return None
        return frame_of_bits(whole >> request.known_bits, UID_PART_BITS - request.known_bits)

    def _selected(self, select: Select, parts: list[bytes]) -> AirFrame | None:
        if select.cascade_level != self._level + 1 or select.part != parts[self._level]:
            self._fall_back()
            return None
        self._level += 1
        is_last = self._level == len(parts)
        if is_last:
            self.state = CardState.ACTIVE
        value = self._sak if is_last else Sak(self._sak | 0x04).value
        return air_frame(Edc.CRC_A.append(bytes((value,))))

    def _activate(self, frame: AirFrame, now: float) -> AirFrame | None:
        if frame == hlta():
            self.state, self._was_halted = CardState.HALT, True
            return None
        if self._ats is None or not frame.is_whole or len(frame.data) != _RATS_BYTES or frame.data[0] != RATS:
            self._fall_back()
            return None
        self._picc = PiccDialogue(Edc.CRC_A, self._ats)
        self._picc.receive(frame.data, now)
        answer = self._said()
        if answer is None:
            self._fall_back()
        else:
            self.state = CardState.PROTOCOL
        return answer


class TypeBCard(Card):
    """A card of type B. pupi None: a random one, made anew at each power-up."""

    modulation = "B"

    def __init__(
        self,
        pupi: bytes | None,
        *,
        name: str = "",
        atqb: Atqb | None = None,
        files: CardFiles | None = None,
        think_s: float = 0.0,
        lift: LiftPlan | None = None,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(name, files, think_s=think_s, lift=lift, rng=rng)
        self._is_random = pupi is None
        base = atqb or Atqb(b"", size_and_type=0x81, timing=0x81)
        self._atqb = msgspec.structs.replace(base, pupi=self._rng.randbytes(4) if pupi is None else pupi)
        self._slot: int | None = None

    @property
    def pupi(self) -> bytes:
        """What tells it from others."""
        return self._atqb.pupi

    def power(self, *, is_on: bool) -> None:
        """The field comes or goes."""
        super().power(is_on=is_on)
        self._slot = None
        if is_on and self._is_random:
            self._atqb = msgspec.structs.replace(self._atqb, pupi=self._rng.randbytes(4))

    def hear(self, frame: AirFrame, now: float) -> AirFrame | None:
        """Take a frame; the answer, or None."""
        if self.state is CardState.PROTOCOL:
            return self._hear_block(frame, now)
        if self.state is CardState.POWER_OFF:
            return None
        try:
            body = strip_crc_b(frame.data if frame.is_whole else b"")
            return self._answer(body)
        except RemoteProtocolError:
            return None

    def _answer(self, body: bytes) -> AirFrame | None:
        match body[0]:
            case value if value == APF and len(body) > 1:
                return self._request(decode_reqb(body))
            case value if value == HLTB and self.state is CardState.READY:
                return self._halt(decode_hltb(body))
            case value if value == ATTRIB and self.state is CardState.READY:
                return self._attrib(body)
            case _:
                if self.state is CardState.READY and decode_slot_marker(body) == self._slot:
                    return self._say(encode_atqb(self._atqb))
                return None

    def _request(self, request: Reqb) -> AirFrame | None:
        is_family = request.afi == 0 or request.afi in {self._atqb.afi, self._atqb.afi & 0xF0}
        if not is_family or (self.state is CardState.HALT and not request.wakeup):
            self._fall_back()
            return None
        self.state = CardState.READY
        self._slot = self._rng.randint(1, request.slots)
        return self._say(encode_atqb(self._atqb)) if self._slot == 1 else None

    def _halt(self, pupi: bytes) -> AirFrame | None:
        if pupi != self.pupi:
            return None
        self.state, self._was_halted = CardState.HALT, True
        return self._say(HLTB_ANSWER)

    def _attrib(self, body: bytes) -> AirFrame | None:
        request = decode_attrib(body)
        if request.pupi != self.pupi:
            return None
        if self.files is not None:
            self._picc = PiccDialogue(Edc.CRC_B, self._atqb, attrib=request)
        self.state = CardState.PROTOCOL
        return self._say(encode_attrib_answer(AttribAnswer(cid=request.cid)))

    @staticmethod
    def _say(body: bytes) -> AirFrame:
        return air_frame(body + crc_b(body))
