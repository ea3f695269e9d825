"""The reader's end of ISO-DEP (ISO/IEC 14443-4:2016, clauses 5 to 7) as a dialogue without I/O.

One `PcdDialogue` lives for one activation of one card: RATS or ATTRIB, perhaps PPS, then APDUs in blocks with chaining,
S(WTX) and the recovery rules 1 to 8, then DESELECT. What is handed to `receive()` is one frame, as the radio saw it.

Recovery: a broken or missing block is asked for again (R(NAK), or R(ACK) while the card chains) at most twice, then the
card is deselected and given up: `CardLost`. Whoever owns the field resets it then.

What each block leads to stands in `PcdDialogue.TRANSITIONS`; the states are those of the standard's annex, with WTX and
recovery as steps that keep the state.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, RemoteProtocolError
from protocols.iso14443.activation import Ats, Pps, Rats, decode_ats, encode_pps, encode_rats
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
from protocols.iso14443.parameters import (
    ACTIVATION_FWT_S,
    DELTA_FWT_S,
    MAX_FWT_S,
    frame_size_code_of,
    frame_waiting_time_s,
    guard_time_s,
)
from protocols.iso14443.pcd_events import (
    Activate,
    Activated,
    Answer,
    CardLost,
    CheckPresence,
    Deselect,
    Deselected,
    PcdCommand,
    PcdEvent,
    PcdState,
    PcdStimulus,
    Present,
    RatesSet,
    SetRates,
    Transceive,
)
from protocols.iso14443.type_b import (
    Atqb,
    AttribAnswer,
    attrib,
    decode_attrib_answer,
    encode_attrib,
)

MAX_RETRIES = 2
"""R(NAK)s or R(ACK)s for one block before the card is given up."""
MAX_RESENDS = 3
"""How often one I-block is sent again because the card says that it did not get it."""
MAX_SINGLE_RETRIES = 1
"""RATS, PPS and S(DESELECT) are repeated once."""
MAX_ANSWER_BYTES = 65_538
"""The longest extended APDU answer and its status word: a chain beyond it is no answer."""
EXCHANGE_LIMIT_S = 10.0
"""However often a card asks for more time: by then its answer must be there."""

_STIMULI: Mapping[type[PcdCommand], PcdStimulus] = {
    Activate: PcdStimulus.ACTIVATE,
    SetRates: PcdStimulus.SET_RATES,
    Transceive: PcdStimulus.TRANSCEIVE,
    CheckPresence: PcdStimulus.CHECK,
    Deselect: PcdStimulus.DESELECT,
}


class PcdDialogue(IsoDepEnd[PcdEvent]):
    """A reader's talk with one card. See the module's docstring.

    edc: how frames are protected. fsd: the largest frame that the reader takes. cid: the card's number, or None where
    there is only one card and blocks carry none. exchange_limit_s: how long one APDU may take at most.
    """

    def __init__(
        self, edc: Edc, *, fsd: int = 256, cid: int | None = None, exchange_limit_s: float = EXCHANGE_LIMIT_S
    ) -> None:
        super().__init__()
        self._edc = edc
        self._fsd = fsd
        encode_rats(Rats(frame_size_code_of(fsd), cid or 0))  # whether there are such frames and such a number
        self._asked_cid = cid
        self._cid: int | None = None
        self._exchange_limit_s = exchange_limit_s
        self._state = PcdState.IDLE
        self._held: tuple[bytes, float] | None = None
        self._not_before = 0.0
        self._limit: float | None = None
        self._atqb: Atqb | None = None
        self._request = b""
        self._pps = Pps()
        self._activation: Activated | None = None
        self._fsc = 0
        self._fwt_s = 0.0
        self._number = 0
        self._last = b""
        self._to_send = b""
        self._piece_at = self._piece_end = 0
        self._answer = bytearray()
        self._wtxm = 1
        self._retries = 0
        self._resends = 0
        self._reason = ""

    @property
    def state(self) -> PcdState:
        """Where it stands."""
        return self._state

    @property
    def _is_chaining(self) -> bool:
        return self._piece_end < len(self._to_send)

    def send(self, command: PcdCommand, now: float) -> None:
        """Start something. Raises `LocalProtocolError` when it is not the time for it."""
        stimulus = _STIMULI[type(command)]
        if (self._state, stimulus) not in self.TRANSITIONS:
            raise LocalProtocolError(f"{stimulus.value} is not possible while {self._state.value}")
        self._prepare(command)
        self._retries = self._resends = 0
        self._limit = now + self._exchange_limit_s
        self._step(stimulus, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take one frame. Broken ones are recovered from, late ones passed over; nothing is raised."""
        if self._deadline is None or self._held is not None:
            return
        try:
            stimulus = self._judge(bytes(data))
            if (self._state, stimulus) not in self.TRANSITIONS:
                raise FieldError(f"{stimulus.value} while {self._state.value}")
        except RemoteProtocolError as error:
            stimulus = self._trouble(str(error), now)
        else:
            stimulus = self._within_limits(stimulus, now)
        self._step(stimulus, now)

    def tick(self, now: float) -> None:
        """Time has passed: the answer is overdue, or the guard time after the ATS is over."""
        if self._deadline is None or now < self._deadline:
            return
        if self._held is not None:
            (self._outgoing, wait_s), self._held = self._held, None
            self._deadline = now + wait_s
            return
        self._step(self._trouble("no answer", now), now)

    def _prepare(self, command: PcdCommand) -> None:
        """Make ready what will be sent. Raises `LocalProtocolError`, and nothing is changed then."""
        match command:
            case Activate(atqb):
                cid = self._asked_cid or 0
                if atqb is None:
                    self._request = encode_rats(Rats(frame_size_code_of(self._fsd), cid))
                else:
                    self._request = encode_attrib(attrib(atqb, fsd=self._fsd, cid=cid))
                self._atqb = atqb
            case SetRates():
                if not 0 <= command.dri <= 3 or not 0 <= command.dsi <= 3:
                    raise LocalProtocolError("the codes of bit rates are 0 to 3", field="pps1")
                self._pps = Pps(self._asked_cid or 0, command.dsi << 2 | command.dri)
            case Transceive():
                self._to_send = command.data
                self._answer = bytearray()

    def _judge(self, data: bytes) -> PcdStimulus:
        """What a frame means here. Raises `RemoteProtocolError` for one that is broken or out of place."""
        if len(data) + (EDC_BYTES if self._edc is Edc.NONE else 0) > self._fsd:
            raise FrameError(f"{len(data)} bytes are more than the reader takes", raw=data)
        body = self._edc.strip(data)
        match self._state:
            case PcdState.ACTIVATING:
                self._activation = Activated(decode_ats(body) if self._atqb is None else self._attributed(body), body)
                return PcdStimulus.ACTIVATED
            case PcdState.PPS:
                if body != encode_pps(self._pps)[:1]:
                    raise FieldError("not the answer to PPS", field="ppss", raw=body)
                return PcdStimulus.RATES_SET
            case _:
                return self._judge_block(decode_block(body))

    def _attributed(self, body: bytes) -> AttribAnswer:
        """The answer to ATTRIB tells the CID that was given; 0 where the card takes none."""
        answer = decode_attrib_answer(body)
        if answer.cid not in (0, self._asked_cid):
            raise FieldError(f"an answer for CID {answer.cid}", field="cid")
        return answer

    def _judge_block(self, block: Block) -> PcdStimulus:
        if block.cid != self._cid:
            raise FieldError(f"a block for CID {block.cid}", field="cid")
        match block:
            case InformationBlock():
                return self._judge_information(block)
            case ReceiveBlock():
                if block.nak:
                    raise FieldError("R(NAK) is the reader's", field="pcb")
                if block.block_number != self._number:
                    return PcdStimulus.ACK_OTHER
                if self._state is PcdState.XFER_TX and not self._is_chaining:
                    raise FieldError("R(ACK) where an I-block is due", field="pcb")
                return PcdStimulus.ACK
            case WaitBlock():
                self._wtxm = block.wtxm
                return PcdStimulus.WTX
            case DeselectBlock():
                return PcdStimulus.DESELECTED

    def _judge_information(self, block: InformationBlock) -> PcdStimulus:
        if block.block_number != self._number:
            raise FieldError("an I-block with the wrong number", field="block_number")
        if self._state is PcdState.XFER_TX and self._is_chaining:
            raise FieldError("an I-block where R(ACK) is due", field="pcb")
        if block.nad is not None or len(self._answer) + len(block.inf) > MAX_ANSWER_BYTES:
            raise FieldError("an I-block with NAD, or a chain without end", field="inf")
        self._answer += block.inf
        return PcdStimulus.BLOCK_MORE if block.chaining else PcdStimulus.BLOCK_LAST

    def _within_limits(self, stimulus: PcdStimulus, now: float) -> PcdStimulus:
        """A good answer, unless it came too late or once too often."""
        if self._limit is not None and now > self._limit:
            return self._trouble("the card takes too long", now)
        if stimulus is not PcdStimulus.ACK_OTHER or self._state is PcdState.CHECKING:
            self._retries = 0
            return stimulus
        self._resends += 1
        if self._resends > MAX_RESENDS:
            self._reason = "the card does not take a block"
            return PcdStimulus.SPENT
        return stimulus

    def _trouble(self, reason: str, now: float) -> PcdStimulus:
        if self._state is not PcdState.GIVING_UP:
            self._reason = reason
        is_block = self._state in {PcdState.XFER_TX, PcdState.XFER_RX, PcdState.CHECKING}
        self._retries += 1
        if self._retries > (MAX_RETRIES if is_block else MAX_SINGLE_RETRIES):
            return PcdStimulus.SPENT
        return PcdStimulus.SPENT if self._limit is not None and now > self._limit else PcdStimulus.TROUBLE

    def _step(self, stimulus: PcdStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        self._deadline = None
        action(self, now)

    def _transmit(self, body: bytes, wait_s: float, now: float) -> None:
        self._last = body
        frame = self._edc.append(body)
        if now < self._not_before:
            self._held = (frame, wait_s)
            self._deadline = self._not_before
        else:
            self._outgoing = frame
            self._deadline = now + wait_s

    def _say(self, block: Block, now: float) -> None:
        self._transmit(encode_block(block), self._fwt_s + DELTA_FWT_S, now)

    def _repeat(self, now: float) -> None:
        self._transmit(self._last, ACTIVATION_FWT_S, now)

    def _activate(self, now: float) -> None:
        self._transmit(self._request, ACTIVATION_FWT_S, now)

    def _activated(self, now: float) -> None:
        assert self._activation is not None
        card = self._atqb if self._atqb is not None else self._activation.answer
        if isinstance(card, (Ats, Atqb)):
            self._fsc = card.fsc
            self._fwt_s = frame_waiting_time_s(card.fwi)
            self._cid = self._asked_cid if card.cid_supported else None
            self._not_before = now + guard_time_s(card.sfgi)
        self._number = 0
        self._events.append(self._activation)

    def _set_rates(self, now: float) -> None:
        self._transmit(encode_pps(self._pps), ACTIVATION_FWT_S, now)

    def _rates_set(self, _now: float) -> None:
        self._events.append(RatesSet())

    def _send_first(self, now: float) -> None:
        self._piece_at = 0
        self._send_piece(now)

    def _next_piece(self, now: float) -> None:
        self._number ^= 1  # rule B
        self._resends = 0
        self._piece_at = self._piece_end
        self._send_piece(now)

    def _send_piece(self, now: float) -> None:
        """Send the I-block at hand, again where rule 6 asks for it."""
        room = self._fsc - 1 - EDC_BYTES - (self._cid is not None)
        piece = self._to_send[self._piece_at : self._piece_at + room]
        self._piece_end = self._piece_at + len(piece)
        self._say(InformationBlock(self._number, piece, self._is_chaining, self._cid), now)

    def _ask_again(self, now: float) -> None:
        """Rule 4: R(NAK)."""
        self._say(ReceiveBlock(self._number, nak=True, cid=self._cid), now)

    def _acknowledge(self, now: float) -> None:
        """Rule 2: the card chains on; rule B."""
        self._number ^= 1
        self._acknowledge_again(now)

    def _acknowledge_again(self, now: float) -> None:
        """Rule 5: R(ACK) in place of R(NAK) while the card chains."""
        self._say(ReceiveBlock(self._number, cid=self._cid), now)

    def _grant_time(self, now: float) -> None:
        wait_s = min(self._fwt_s * self._wtxm, MAX_FWT_S) + DELTA_FWT_S
        self._transmit(encode_block(WaitBlock(self._wtxm, cid=self._cid)), wait_s, now)

    def _answered(self, _now: float) -> None:
        self._number ^= 1  # rule B
        self._events.append(Answer(bytes(self._answer)))

    def _present(self, _now: float) -> None:
        self._events.append(Present())

    def _deselect(self, now: float) -> None:
        self._transmit(encode_block(DeselectBlock(self._cid)), ACTIVATION_FWT_S, now)

    def _deselected(self, _now: float) -> None:
        self._events.append(Deselected(is_confirmed=True))

    def _not_deselected(self, _now: float) -> None:
        self._events.append(Deselected(is_confirmed=False))

    def _give_up(self, now: float) -> None:
        self._retries = MAX_SINGLE_RETRIES  # S(DESELECT) is sent once here
        self._limit = None
        self._transmit(encode_block(DeselectBlock(self._cid)), ACTIVATION_FWT_S, now)

    def _lost(self, _now: float) -> None:
        self._events.append(CardLost(self._reason))

    TRANSITIONS: ClassVar[
        Mapping[tuple[PcdState, PcdStimulus], tuple[Callable[["PcdDialogue", float], None], PcdState]]
    ] = {
        (PcdState.IDLE, PcdStimulus.ACTIVATE): (_activate, PcdState.ACTIVATING),
        (PcdState.ACTIVATING, PcdStimulus.ACTIVATED): (_activated, PcdState.ACTIVATED),
        (PcdState.ACTIVATING, PcdStimulus.TROUBLE): (_repeat, PcdState.ACTIVATING),
        (PcdState.ACTIVATING, PcdStimulus.SPENT): (_lost, PcdState.LOST),
        (PcdState.ACTIVATED, PcdStimulus.SET_RATES): (_set_rates, PcdState.PPS),
        (PcdState.PPS, PcdStimulus.RATES_SET): (_rates_set, PcdState.ACTIVATED),
        (PcdState.PPS, PcdStimulus.TROUBLE): (_repeat, PcdState.PPS),
        (PcdState.PPS, PcdStimulus.SPENT): (_give_up, PcdState.GIVING_UP),
        (PcdState.ACTIVATED, PcdStimulus.TRANSCEIVE): (_send_first, PcdState.XFER_TX),
        (PcdState.XFER_TX, PcdStimulus.ACK): (_next_piece, PcdState.XFER_TX),
        (PcdState.XFER_TX, PcdStimulus.ACK_OTHER): (_send_piece, PcdState.XFER_TX),
        (PcdState.XFER_TX, PcdStimulus.WTX): (_grant_time, PcdState.XFER_TX),
        (PcdState.XFER_TX, PcdStimulus.BLOCK_MORE): (_acknowledge, PcdState.XFER_RX),
        (PcdState.XFER_TX, PcdStimulus.BLOCK_LAST): (_answered, PcdState.ACTIVATED),
        (PcdState.XFER_TX, PcdStimulus.TROUBLE): (_ask_again, PcdState.XFER_TX),
        (PcdState.XFER_TX, PcdStimulus.SPENT): (_give_up, PcdState.GIVING_UP),
        (PcdState.XFER_RX, PcdStimulus.WTX): (_grant_time, PcdState.XFER_RX),
        (PcdState.XFER_RX, PcdStimulus.BLOCK_MORE): (_acknowledge, PcdState.XFER_RX),
        (PcdState.XFER_RX, PcdStimulus.BLOCK_LAST): (_answered, PcdState.ACTIVATED),
        (PcdState.XFER_RX, PcdStimulus.TROUBLE): (_acknowledge_again, PcdState.XFER_RX),
        (PcdState.XFER_RX, PcdStimulus.SPENT): (_give_up, PcdState.GIVING_UP),
        (PcdState.ACTIVATED, PcdStimulus.CHECK): (_ask_again, PcdState.CHECKING),
        (PcdState.CHECKING, PcdStimulus.ACK_OTHER): (_present, PcdState.ACTIVATED),
        (PcdState.CHECKING, PcdStimulus.TROUBLE): (_ask_again, PcdState.CHECKING),
        (PcdState.CHECKING, PcdStimulus.SPENT): (_give_up, PcdState.GIVING_UP),
        (PcdState.ACTIVATED, PcdStimulus.DESELECT): (_deselect, PcdState.DESELECTING),
        (PcdState.DESELECTING, PcdStimulus.DESELECTED): (_deselected, PcdState.HALTED),
        (PcdState.DESELECTING, PcdStimulus.TROUBLE): (_repeat, PcdState.DESELECTING),
        (PcdState.DESELECTING, PcdStimulus.SPENT): (_not_deselected, PcdState.LOST),
        (PcdState.GIVING_UP, PcdStimulus.DESELECTED): (_lost, PcdState.LOST),
        (PcdState.GIVING_UP, PcdStimulus.SPENT): (_lost, PcdState.LOST),
    }
