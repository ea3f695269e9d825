"""The terminal's end of a purchase (JR/T 0025.1; JT/T 978), as a dialogue without I/O: card and SAM meet in it.

    Buy -> 8050 card -> 8070 SAM -> 80DC card .. -> Store, Stored -> 8054 card -> 8072 SAM -> Paid

The bytes to send are APDUs for the card, one at a time; what the SAM is asked and what must be stored are events. Money
is safe because of these rules:

* what is needed to settle is stored before the card may debit (8054);
* once 8054 went out, only the card itself says whether it was debited: a refusal counts no more than silence;
* a purchase with an unknown end is settled before its card may pay again: by the proof that the card holds (805A) and
  by its balance (805C). Debited is what a balance lower by the amount shows, not debited what an unchanged one shows
  when there is no proof. Where there is one, the counter (8050 of amount 0) tells: as it was, the proof is an earlier
  purchase's; else the card may have been loaded since, and that stays unknown. Unknown it stays, too, where the newest
  record of the log (file 18) is of another terminal: its purchase may have lowered the balance;
* the SAM gets no MAC2 that may be another purchase's: it counts wrong ones and locks itself.

Where an amount is 0 the balance tells nothing: proof and counter decide. Purchases into an overdraft stay unknown when
their end is not heard: what a balance below zero looks like is not public.

What each step leads to stands in `PurchaseDialogue.TRANSITIONS`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import ClassVar

from protocols.core.errors import LocalProtocolError
from protocols.dialogue import EventQueue
from protocols.epurse import commands
from protocols.epurse import purchase_steps as steps
from protocols.epurse import purchase_verdicts as verdicts
from protocols.epurse.card_exchange import CardExchange
from protocols.epurse.kept import KeptPurchases
from protocols.epurse.purchase_events import (
    WAITS_FOR_CARD,
    WAITS_FOR_SAM,
    AskSam,
    Buy,
    CardLost,
    Declined,
    Mac2,
    NotDebited,
    Paid,
    Pending,
    PurchaseCommand,
    PurchaseEvent,
    PurchaseSettings,
    Resume,
    SamAnswered,
    Store,
    Stored,
    Suspicious,
    Unknown,
)
from protocols.epurse.purchase_events import PurchaseState as State
from protocols.epurse.purchase_events import PurchaseStimulus as Stimulus
from protocols.epurse.purchase_tables import InitPurchaseAnswer, ProveAnswer
from protocols.epurse.sam import SamInitAnswer, credit_sam
from protocols.epurse.union_files import LOG_RECORD_BYTES, SFI_LOG
from protocols.iso14443.apdu import CommandApdu, ResponseApdu, read_record, select_by_id


class PurchaseDialogue(EventQueue[PurchaseEvent]):
    """A terminal's talk with card after card. See the module's docstring."""

    def __init__(self, settings: PurchaseSettings) -> None:
        super().__init__()
        if not settings.proof_offsets:
            raise LocalProtocolError("at least one serial number to ask with", field="proof_offsets")
        if settings.max_kept < 1:
            raise LocalProtocolError("the purchase that runs must be kept", field="max_kept")
        self._settings = settings
        self._state = State.IDLE
        self._kept = KeptPurchases(settings.keep_s, settings.max_kept)
        self._deadline: float | None = None
        self._buy: Buy | None = None
        self._init: InitPurchaseAnswer | None = None
        self._updates: deque[CommandApdu] = deque()
        self._pending: Pending | None = None
        """What is being carried out or settled."""
        self._is_recovered = False
        self._serials: deque[int] = deque()
        """Those that a proof is still to be asked for with."""
        self._proof: ProveAnswer | None = None
        self._mac2 = Mac2.UNCHECKED
        self._reason = ""
        self._sw: int | None = None
        self._exchange = CardExchange()
        self._sam_asked: CommandApdu | None = None
        self._sam_session: Pending | None = None
        """The purchase whose MAC2 the SAM can check."""
        self._may_select_sam = False

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._state

    @property
    def kept(self) -> tuple[Pending, ...]:
        """Purchases with an unknown end that wait for their cards."""
        return self._kept.all()

    def send(self, command: PurchaseCommand, now: float) -> None:
        """Tell it something. Raises `LocalProtocolError` for a `Buy` while another runs, or one that cannot be."""
        match command:
            case Buy():
                self._take(command, now)
            case SamAnswered(asked, response):
                if self._state in WAITS_FOR_SAM and asked == self._sam_asked:
                    self._hear_sam(response, now)
            case Stored(pending):
                if self._state is State.STORING and pending == self._pending:
                    self._step(Stimulus.STORED, now)
            case CardLost():
                self._lose("the card left", now)
            case Resume(pending):
                if self._state is not State.IDLE:
                    raise LocalProtocolError("a purchase runs")
                if self._kept.of_card(pending.card.card_number) is not None:
                    raise LocalProtocolError("this card has a purchase to settle already", field="card")
                self._keep(pending, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take the card's answer. Raises nothing: what is no answer counts as a refusal."""
        if self._state not in WAITS_FOR_CARD:
            return
        response = self._exchange.hear(data)
        if response is None:
            self._deadline = now + self._settings.card_timeout_s
        else:
            self._take_verdict(self._judge_card(response), now)

    def bytes_to_send(self) -> bytes:
        """The command that is due to the card; empty when none is."""
        return self._exchange.bytes_to_send()

    def next_deadline(self) -> float | None:
        """When an answer must have come, or a kept purchase is given up."""
        due = (self._deadline, self._kept.next_expiry(self._pending))
        return min((one for one in due if one is not None), default=None)

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._deadline is not None and now >= self._deadline:
            if self._state in WAITS_FOR_CARD:
                self._lose("no answer", now)
            elif self._state is State.STORING:
                self._reason = "not stored in time"
                self._step(Stimulus.NOT_STORED, now)
            else:
                self._hear_sam(None, now)
        self._events += map(Suspicious, self._kept.expired(now, self._pending))

    def _take(self, buy: Buy, now: float) -> None:
        """Begin a purchase, or settle what is open with this card."""
        if self._state is not State.IDLE:
            raise LocalProtocolError("another purchase runs")
        steps.check(self._settings, buy)
        self._buy, self._updates = buy, deque(steps.updates_of(buy))
        self._proof, self._mac2, self._reason, self._sw = None, Mac2.UNCHECKED, "", None
        self._pending = self._kept.of_card(buy.card.card_number)
        self._is_recovered = self._pending is not None
        self._step(Stimulus.BUY_UNSETTLED if self._is_recovered else Stimulus.BUY, now)

    def _lose(self, reason: str, now: float) -> None:
        """Nothing more comes from the card. What the SAM is asked after the debit it is asked nevertheless."""
        if (self._state, Stimulus.LOST) in self.TRANSITIONS:
            self._reason = reason
            self._step(Stimulus.LOST, now)

    def _judge_card(self, response: ResponseApdu) -> verdicts.Verdict:
        match self._state:
            case State.INITIALISING:
                return verdicts.judge_init(response, None if self._buy is None else self._buy.balance)
            case State.UPDATING:
                return verdicts.judge_update(response, is_last=not self._updates)
            case State.DEBITING:
                return verdicts.judge_debit(response)
            case State.PROVING:
                return verdicts.judge_proof(response, is_last=not self._serials)
        return self._weigh_answer(response)

    def _weigh_answer(self, response: ResponseApdu) -> verdicts.Verdict:
        """What tells whether a purchase took place."""
        assert self._pending is not None
        if self._state is State.COUNTING:
            return verdicts.judge_count(response, self._pending, is_recovered=self._is_recovered)
        is_checkable = self._sam_session == self._pending
        if self._state is State.READING_LOG:
            return verdicts.judge_log(response, self._pending, self._proof, is_checkable=is_checkable)
        return verdicts.judge_balance(
            response, self._pending, self._proof, is_recovered=self._is_recovered, is_checkable=is_checkable
        )

    def _hear_sam(self, response: ResponseApdu | None, now: float) -> None:
        """The SAM's answer, or its silence."""
        self._sam_asked = None
        match self._state:
            case State.ASKING_MAC1:
                self._take_verdict(verdicts.judge_sam_init(response, may_select=self._may_select_sam), now)
            case State.SELECTING_SAM:
                self._take_verdict(verdicts.judge_sam_selection(response), now)
            case _:
                self._mac2 = verdicts.judge_mac2(response)
                self._step(Stimulus.MAC2_KNOWN, now)

    def _take_verdict(self, verdict: verdicts.Verdict, now: float) -> None:
        stimulus = verdict.stimulus
        match verdict.answer:
            case InitPurchaseAnswer():
                self._init = verdict.answer
            case SamInitAnswer():
                assert self._buy is not None
                assert self._init is not None
                self._pending = steps.pending_of(self._settings, self._buy, self._init, verdict.answer)
                self._sam_session = self._pending
                stimulus = Stimulus.MAC1_UPDATES if self._updates else Stimulus.MAC1
            case ProveAnswer():
                self._proof = verdict.answer
        if verdict.reason:  # that of the debit stays, with what the balance adds
            self._reason = f"{self._reason}; {verdict.reason}" if self._reason else verdict.reason
            self._sw = verdict.sw if self._sw is None else self._sw
        self._step(stimulus, now)

    def _step(self, stimulus: Stimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        self._deadline = None
        action(self, now)

    def _tell_card(self, command: CommandApdu, now: float) -> None:
        self._exchange.ask(command)
        self._deadline = now + self._settings.card_timeout_s

    def _ask_sam(self, command: CommandApdu, now: float) -> None:
        self._sam_asked = command
        self._events.append(AskSam(command))
        self._deadline = now + self._settings.sam_timeout_s

    def _begin(self, now: float) -> None:
        assert self._buy is not None
        self._pending, self._may_select_sam = None, True
        self._tell_card(steps.init_of(self._settings, self._buy), now)

    def _begin_anew(self, now: float) -> None:
        """The earlier purchase took no money: the new one may."""
        assert self._pending is not None
        self._kept.forget(self._pending)
        self._events.append(NotDebited(self._pending))
        self._is_recovered = False
        self._begin(now)

    def _ask_mac1(self, now: float) -> None:
        assert self._buy is not None
        assert self._init is not None
        self._sam_session = None
        self._ask_sam(steps.sam_init_of(self._settings, self._buy, self._init), now)

    def _select_sam(self, now: float) -> None:
        self._may_select_sam = False
        self._ask_sam(select_by_id(self._settings.sam_application_id), now)

    def _update(self, now: float) -> None:
        self._tell_card(self._updates.popleft(), now)

    def _store(self, now: float) -> None:
        assert self._pending is not None
        self._events.append(Store(self._pending))
        self._deadline = now + self._settings.store_timeout_s

    def _debit(self, now: float) -> None:
        """From here on the card alone knows."""
        assert self._pending is not None
        self._keep(self._pending, now)
        self._tell_card(steps.debit_of(self._pending), now)

    def _check_mac2(self, now: float) -> None:
        """The money is taken: whatever the SAM says, this purchase is settled."""
        assert self._proof is not None
        self._ask_sam(credit_sam(self._proof.mac2), now)

    def _settle(self, now: float) -> None:
        assert self._pending is not None
        serial = self._pending.offline_serial
        self._serials = deque((serial + offset) & 0xFFFF for offset in self._settings.proof_offsets)
        self._prove(now)

    def _prove(self, now: float) -> None:
        assert self._pending is not None
        self._tell_card(commands.prove(self._pending.trans_type, self._serials.popleft()), now)

    def _weigh(self, now: float) -> None:
        self._tell_card(commands.get_balance(purse=self._settings.purse), now)

    def _read_log(self, now: float) -> None:
        self._tell_card(read_record(1, LOG_RECORD_BYTES, short_id=SFI_LOG), now)

    def _count(self, now: float) -> None:
        assert self._pending is not None
        self._tell_card(steps.count_of(self._settings, self._pending), now)

    def _paid(self, _now: float) -> None:
        assert self._pending is not None
        self._kept.forget(self._pending)
        tac = None if self._proof is None else self._proof.tac
        self._events.append(Paid(self._pending, tac, self._mac2, self._is_recovered))
        self._end()

    def _decline(self, _now: float) -> None:
        assert self._buy is not None
        if self._pending is not None:
            self._kept.forget(self._pending)
        self._events.append(Declined(self._buy.card, self._reason, self._sw, self._pending))
        self._end()

    def _leave_unknown(self, _now: float) -> None:
        assert self._pending is not None
        self._events.append(Unknown(self._pending, self._reason))
        self._end()

    def _end(self) -> None:
        self._buy = self._init = self._pending = self._sam_asked = None
        self._exchange.drop()

    def _keep(self, pending: Pending, now: float) -> None:
        gone = self._kept.keep(pending, now)
        if gone is not None:
            self._events.append(Suspicious(gone))

    TRANSITIONS: ClassVar[
        Mapping[tuple[State, Stimulus], tuple[Callable[["PurchaseDialogue", float], None], State]]
    ] = {
        (State.IDLE, Stimulus.BUY): (_begin, State.INITIALISING),
        (State.IDLE, Stimulus.BUY_UNSETTLED): (_settle, State.PROVING),
        (State.INITIALISING, Stimulus.INITIALISED): (_ask_mac1, State.ASKING_MAC1),
        (State.INITIALISING, Stimulus.REFUSED): (_decline, State.IDLE),
        (State.INITIALISING, Stimulus.LOST): (_decline, State.IDLE),
        (State.ASKING_MAC1, Stimulus.MAC1): (_store, State.STORING),
        (State.ASKING_MAC1, Stimulus.MAC1_UPDATES): (_update, State.UPDATING),
        (State.ASKING_MAC1, Stimulus.SAM_LOST_SELECTION): (_select_sam, State.SELECTING_SAM),
        (State.ASKING_MAC1, Stimulus.SAM_REFUSED): (_decline, State.IDLE),
        (State.ASKING_MAC1, Stimulus.LOST): (_decline, State.IDLE),
        (State.SELECTING_SAM, Stimulus.SAM_SELECTED): (_ask_mac1, State.ASKING_MAC1),
        (State.SELECTING_SAM, Stimulus.SAM_REFUSED): (_decline, State.IDLE),
        (State.SELECTING_SAM, Stimulus.LOST): (_decline, State.IDLE),
        (State.UPDATING, Stimulus.UPDATED): (_update, State.UPDATING),
        (State.UPDATING, Stimulus.ALL_UPDATED): (_store, State.STORING),
        (State.UPDATING, Stimulus.REFUSED): (_decline, State.IDLE),
        (State.UPDATING, Stimulus.LOST): (_decline, State.IDLE),
        (State.STORING, Stimulus.STORED): (_debit, State.DEBITING),
        (State.STORING, Stimulus.NOT_STORED): (_decline, State.IDLE),
        (State.STORING, Stimulus.LOST): (_decline, State.IDLE),
        (State.DEBITING, Stimulus.DEBITED): (_check_mac2, State.CHECKING_MAC2),
        (State.DEBITING, Stimulus.DEBIT_UNCLEAR): (_settle, State.PROVING),
        (State.DEBITING, Stimulus.LOST): (_leave_unknown, State.IDLE),
        (State.CHECKING_MAC2, Stimulus.MAC2_KNOWN): (_paid, State.IDLE),
        (State.PROVING, Stimulus.PROOF): (_weigh, State.WEIGHING),
        (State.PROVING, Stimulus.NO_PROOF_YET): (_prove, State.PROVING),
        (State.PROVING, Stimulus.NO_PROOF): (_weigh, State.WEIGHING),
        (State.PROVING, Stimulus.LOST): (_leave_unknown, State.IDLE),
        (State.WEIGHING, Stimulus.UNCHANGED): (_begin_anew, State.INITIALISING),
        (State.WEIGHING, Stimulus.UNCHANGED_REFUSED): (_decline, State.IDLE),
        (State.WEIGHING, Stimulus.DEBITED_BEFORE): (_paid, State.IDLE),
        (State.WEIGHING, Stimulus.DEBITED_CHECKABLE): (_check_mac2, State.CHECKING_MAC2),
        (State.WEIGHING, Stimulus.UNCLEAR): (_leave_unknown, State.IDLE),
        (State.WEIGHING, Stimulus.LOST): (_leave_unknown, State.IDLE),
        (State.WEIGHING, Stimulus.LOWER): (_read_log, State.READING_LOG),
        (State.READING_LOG, Stimulus.DEBITED_BEFORE): (_paid, State.IDLE),
        (State.READING_LOG, Stimulus.DEBITED_CHECKABLE): (_check_mac2, State.CHECKING_MAC2),
        (State.READING_LOG, Stimulus.UNCLEAR): (_leave_unknown, State.IDLE),
        (State.READING_LOG, Stimulus.LOST): (_leave_unknown, State.IDLE),
        (State.WEIGHING, Stimulus.DOUBTED): (_count, State.COUNTING),
        (State.COUNTING, Stimulus.UNCHANGED): (_begin_anew, State.INITIALISING),
        (State.COUNTING, Stimulus.UNCHANGED_REFUSED): (_decline, State.IDLE),
        (State.COUNTING, Stimulus.DEBITED_BEFORE): (_paid, State.IDLE),
        (State.COUNTING, Stimulus.UNCLEAR): (_leave_unknown, State.IDLE),
        (State.COUNTING, Stimulus.LOST): (_leave_unknown, State.IDLE),
    }
