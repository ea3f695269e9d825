"""The card's end of ISO-DEP (ISO/IEC 14443-4:2016, clauses 5 to 7) as a dialogue without I/O.

One `PiccDialogue` lives from RATS (type A) or ATTRIB (type B) to DESELECT or the loss of the field. What is handed to
`receive()` is one frame, as the radio saw it. A card is silent on what it does not understand: nothing is raised.

It keeps rules C to E and 9 to 13: it answers R-blocks with its last block or an acknowledgement, chains both ways, and
while whoever computes the answer takes long it asks for more time by itself (`tick()`).

What each block leads to stands in `PiccDialogue.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.iso14443.activation import Ats, decode_pps, decode_rats, encode_ats, encode_pps
from protocols.iso14443.block import (
    EDC_BYTES,
    Block,
    DeselectBlock,
    InformationBlock,
    ReceiveBlock,
    WaitBlock,
    decode_block,
    encode_block,
)
from protocols.iso14443.crc import Edc
from protocols.iso14443.iso_dep import IsoDepEnd
from protocols.iso14443.parameters import frame_waiting_time_s
from protocols.iso14443.type_b import Atqb, Attrib

MAX_COMMAND_BYTES = 65_544
"""The longest extended APDU: a chain beyond it is met with silence."""
WAIT_SHARE = 0.75
"""The share of the frame waiting time after which a card asks for more."""


class Respond(msgspec.Struct, frozen=True):
    """The answer to the command that was received last."""

    data: bytes


class CommandReceived(msgspec.Struct, frozen=True):
    """A whole command came; `Respond` is due."""

    data: bytes


class RatesChanged(msgspec.Struct, frozen=True):
    """The reader chose other bit rates (codes 0 to 3)."""

    dri: int
    dsi: int


class PiccDeselected(msgspec.Struct, frozen=True):
    """The reader sent the card to HALT."""


PiccEvent = CommandReceived | RatesChanged | PiccDeselected


class PiccState(Enum):
    """Where the card stands."""

    SELECTED = "selected"
    FRESH = "fresh"
    READY = "ready"
    RECEIVING = "receiving"
    PROCESSING = "processing"
    EXTENDING = "extending"
    SENDING = "sending"
    HALTED = "halted"


class PiccStimulus(Enum):
    """What may happen to it."""

    RATS = "RATS"
    PPS = "PPS"
    BLOCK_MORE = "I-block, chaining"
    BLOCK_LAST = "I-block"
    ACK_OTHER = "R(ACK), other number"
    NAK_OTHER = "R(NAK), other number"
    SAME = "R-block, own number"
    WTX = "S(WTX)"
    DESELECT = "S(DESELECT)"
    RESPOND = "Respond"
    RESPOND_LONG = "Respond, in a chain"
    WAITED = "most of the waiting time is over"
    BROKEN = "anything else"


class PiccDialogue(IsoDepEnd[PiccEvent]):
    """A card's talk with a reader. See the module's docstring.

    edc: how frames are protected. answer: the ATS to RATS; or, for a card of type B, its ATQB, together with `attrib`,
    the ATTRIB that selected it. wtxm: how many waiting times it asks for at once.
    Raises `LocalProtocolError` for what no card can answer.
    """

    def __init__(self, edc: Edc, answer: Ats | Atqb, *, attrib: Attrib | None = None, wtxm: int = 2) -> None:
        super().__init__()
        self._edc = edc
        self._ats = encode_ats(answer if isinstance(answer, Ats) else Ats())
        self._fsc = answer.fsc
        self._is_cid_supported = answer.cid_supported
        self._is_nad_supported = answer.nad_supported
        self._fwt_s = frame_waiting_time_s(answer.fwi)
        encode_block(WaitBlock(wtxm))  # whether it may ask for so much
        self._wtxm = wtxm
        self._state = PiccState.SELECTED if attrib is None else PiccState.READY
        self._fsd = 0 if attrib is None else attrib.fsd
        self._cid = 0 if attrib is None else attrib.cid
        self._number = 1  # rule C
        self._last = b""
        self._reply_cid: int | None = None
        self._received = b""
        self._command = bytearray()
        self._answer = b""
        self._sent = 0
        self._is_answer_ready = False

    @property
    def state(self) -> PiccState:
        """Where it stands."""
        return self._state

    def send(self, command: Respond, now: float) -> None:
        """Answer the command. Raises `LocalProtocolError` when none waits for an answer."""
        if self._state not in {PiccState.PROCESSING, PiccState.EXTENDING} or self._is_answer_ready:
            raise LocalProtocolError("no command waits for an answer")
        self._answer, self._sent = command.data, 0
        self._is_answer_ready = True
        if self._state is PiccState.PROCESSING:
            self._step(self._respond(), now)

    def receive(self, data: bytes, now: float) -> None:
        """Take one frame. What is broken, foreign or out of place is met with silence."""
        try:
            stimulus = self._judge(self._edc.strip(bytes(data)), len(data))
        except RemoteProtocolError:
            stimulus = PiccStimulus.BROKEN
        if (self._state, stimulus) in self.TRANSITIONS:
            self._step(stimulus, now)

    def tick(self, now: float) -> None:
        """Time has passed: the card asks for more."""
        if self._deadline is not None and now >= self._deadline:
            self._step(PiccStimulus.WAITED, now)

    def _judge(self, body: bytes, size: int) -> PiccStimulus:
        """What a frame means here. Raises `RemoteProtocolError` for one that is broken."""
        self._received = body
        if self._state is PiccState.SELECTED:
            request = decode_rats(body)
            self._fsd, self._cid = request.fsd, request.cid
            return PiccStimulus.RATS
        if size + (EDC_BYTES if self._edc is Edc.NONE else 0) > self._fsc:
            return PiccStimulus.BROKEN
        if self._state is PiccState.FRESH and body and body[0] & 0xF0 == 0xD0:
            return PiccStimulus.PPS if decode_pps(body).cid == self._cid else PiccStimulus.BROKEN
        block = decode_block(body)
        if not self._is_addressed(block):
            return PiccStimulus.BROKEN
        self._reply_cid = block.cid
        return self._judge_block(block)

    def _is_addressed(self, block: Block) -> bool:
        """Whether a block is for this card. One without CID is for the card with CID 0, 14443-4 7.1.2.2."""
        if block.cid is None:
            return self._cid == 0
        return self._is_cid_supported and block.cid == self._cid

    def _judge_block(self, block: Block) -> PiccStimulus:
        match block:
            case InformationBlock():
                is_too_long = len(self._command) + len(block.inf) > MAX_COMMAND_BYTES
                if is_too_long or (block.nad is not None and not self._is_nad_supported):
                    return PiccStimulus.BROKEN
                if self._state in {PiccState.FRESH, PiccState.READY, PiccState.RECEIVING}:
                    self._command += block.inf
                return PiccStimulus.BLOCK_MORE if block.chaining else PiccStimulus.BLOCK_LAST
            case ReceiveBlock():
                if block.block_number == self._number:
                    return PiccStimulus.SAME
                return PiccStimulus.NAK_OTHER if block.nak else PiccStimulus.ACK_OTHER
            case WaitBlock():
                return PiccStimulus.WTX if block.wtxm == self._wtxm else PiccStimulus.BROKEN
            case DeselectBlock():
                return PiccStimulus.DESELECT

    def _step(self, stimulus: PiccStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _transmit(self, body: bytes) -> None:
        self._last = body
        self._outgoing = self._edc.append(body)

    def _say(self, block: Block) -> None:
        self._transmit(encode_block(block))

    def _answer_rats(self, _now: float) -> None:
        self._transmit(self._ats)
        self._last = b""  # an ATS is no block: rule 11 does not bring it back

    def _answer_pps(self, _now: float) -> None:
        request = decode_pps(self._received)
        self._transmit(encode_pps(request)[:1])
        self._last = b""
        self._events.append(RatesChanged(request.dri, request.dsi))

    def _take_more(self, _now: float) -> None:
        """Rule 2; rule D."""
        self._number ^= 1
        self._say(ReceiveBlock(self._number, cid=self._reply_cid))

    def _take_last(self, now: float) -> None:
        """Rule D; the command is whole."""
        self._number ^= 1
        self._last = b""
        self._is_answer_ready = False
        self._deadline = now + WAIT_SHARE * self._fwt_s
        command, self._command = bytes(self._command), bytearray()
        self._events.append(CommandReceived(command))

    def _respond(self) -> PiccStimulus:
        return PiccStimulus.RESPOND_LONG if len(self._answer) - self._sent > self._room() else PiccStimulus.RESPOND

    def _room(self) -> int:
        return self._fsd - 1 - EDC_BYTES - (self._reply_cid is not None)

    def _send_piece(self, _now: float) -> None:
        """Rule 10."""
        self._deadline = None
        piece = self._answer[self._sent : self._sent + self._room()]
        self._sent += len(piece)
        is_chaining = self._sent < len(self._answer)
        self._say(InformationBlock(self._number, piece, is_chaining, self._reply_cid))

    def _next_piece(self, now: float) -> None:
        """Rules 13 and E."""
        self._number ^= 1
        self._step(self._respond(), now)

    def _ask_for_time(self, _now: float) -> None:
        """Rule 9."""
        self._deadline = None
        self._say(WaitBlock(self._wtxm, cid=self._reply_cid))

    def _time_granted(self, now: float) -> None:
        self._deadline = now + WAIT_SHARE * self._fwt_s * self._wtxm
        if self._is_answer_ready:
            self._step(self._respond(), now)

    def _repeat(self, _now: float) -> None:
        """Rule 11."""
        if self._last:
            self._transmit(self._last)

    def _acknowledge(self, _now: float) -> None:
        """Rule 12. Not a new block: what rule 11 would bring back stays the same."""
        self._outgoing = self._edc.append(encode_block(ReceiveBlock(self._number, cid=self._reply_cid)))

    def _deselect(self, _now: float) -> None:
        self._deadline = None
        self._say(DeselectBlock(self._reply_cid))
        self._events.append(PiccDeselected())

    TRANSITIONS: ClassVar[
        Mapping[tuple[PiccState, PiccStimulus], tuple[Callable[["PiccDialogue", float], None], PiccState]]
    ] = {
        (PiccState.SELECTED, PiccStimulus.RATS): (_answer_rats, PiccState.FRESH),
        (PiccState.FRESH, PiccStimulus.PPS): (_answer_pps, PiccState.READY),
        (PiccState.FRESH, PiccStimulus.BLOCK_MORE): (_take_more, PiccState.RECEIVING),
        (PiccState.FRESH, PiccStimulus.BLOCK_LAST): (_take_last, PiccState.PROCESSING),
        (PiccState.FRESH, PiccStimulus.NAK_OTHER): (_acknowledge, PiccState.READY),
        (PiccState.FRESH, PiccStimulus.DESELECT): (_deselect, PiccState.HALTED),
        (PiccState.READY, PiccStimulus.BLOCK_MORE): (_take_more, PiccState.RECEIVING),
        (PiccState.READY, PiccStimulus.BLOCK_LAST): (_take_last, PiccState.PROCESSING),
        (PiccState.READY, PiccStimulus.SAME): (_repeat, PiccState.READY),
        (PiccState.READY, PiccStimulus.NAK_OTHER): (_acknowledge, PiccState.READY),
        (PiccState.READY, PiccStimulus.DESELECT): (_deselect, PiccState.HALTED),
        (PiccState.RECEIVING, PiccStimulus.BLOCK_MORE): (_take_more, PiccState.RECEIVING),
        (PiccState.RECEIVING, PiccStimulus.BLOCK_LAST): (_take_last, PiccState.PROCESSING),
        (PiccState.RECEIVING, PiccStimulus.SAME): (_repeat, PiccState.RECEIVING),
        (PiccState.RECEIVING, PiccStimulus.NAK_OTHER): (_acknowledge, PiccState.RECEIVING),
        (PiccState.RECEIVING, PiccStimulus.DESELECT): (_deselect, PiccState.HALTED),
        (PiccState.PROCESSING, PiccStimulus.RESPOND): (_send_piece, PiccState.READY),
        (PiccState.PROCESSING, PiccStimulus.RESPOND_LONG): (_send_piece, PiccState.SENDING),
        (PiccState.PROCESSING, PiccStimulus.WAITED): (_ask_for_time, PiccState.EXTENDING),
        (PiccState.PROCESSING, PiccStimulus.SAME): (_ask_for_time, PiccState.EXTENDING),
        (PiccState.PROCESSING, PiccStimulus.DESELECT): (_deselect, PiccState.HALTED),
        (PiccState.EXTENDING, PiccStimulus.WTX): (_time_granted, PiccState.PROCESSING),
        (PiccState.EXTENDING, PiccStimulus.SAME): (_repeat, PiccState.EXTENDING),
        (PiccState.EXTENDING, PiccStimulus.NAK_OTHER): (_acknowledge, PiccState.EXTENDING),
        (PiccState.EXTENDING, PiccStimulus.DESELECT): (_deselect, PiccState.HALTED),
        (PiccState.SENDING, PiccStimulus.ACK_OTHER): (_next_piece, PiccState.PROCESSING),
        (PiccState.SENDING, PiccStimulus.SAME): (_repeat, PiccState.SENDING),
        (PiccState.SENDING, PiccStimulus.NAK_OTHER): (_acknowledge, PiccState.SENDING),
        (PiccState.SENDING, PiccStimulus.DESELECT): (_deselect, PiccState.HALTED),
    }
