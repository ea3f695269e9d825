"""One exchange that we began: a packet that wants an answer, repeated until it has one.

HJ 212-2017 clause 6.2 (应答模式): an answer is due within OverTime (5 s); without one the same packet goes out again
with the same QN, up to ReCount (3) times. Data wait for 9014, a notice for 9013. A request waits for 9011 and then for
9012; what was lost on the way is no harm: a result stands for the answer, data before the answer too. Parts of a whole
are sent one after the other, each after the answer to the one before; the parts of a request together.

What each stimulus leads to stands in `Exchange.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

OVER_TIME_S = 5.0
RE_COUNT = 3


class Terms(msgspec.Struct, frozen=True):
    """How long to wait. result_s: for what a request led to, from its answer or the last data on; None: not at all."""

    over_time_s: float = OVER_TIME_S
    re_count: int = RE_COUNT
    result_s: float | None = None


class ExchangeState(Enum):
    """Where an exchange stands."""

    ANSWER_DUE = "answer due"
    RESULT_DUE = "result due"
    DONE = "done"


class ExchangeStimulus(Enum):
    """What may happen to it."""

    PART_ANSWERED = "answer to a part"
    ANSWERED = "answer"
    ACCEPTED = "9011, will run"
    REFUSED = "9011, refused"
    DATA = "data with its QN"
    RESULT = "9012"
    NO_ANSWER = "no answer"
    SPENT = "no answer, repeats spent"
    NO_RESULT = "no result"


class Outcome(Enum):
    """How an exchange ended."""

    ANSWERED = "answered"
    REFUSED = "refused"
    FINISHED = "finished"
    NO_ANSWER = "no answer"
    NO_RESULT = "no result"


class Exchange:
    """See the module's docstring. packets: the parts in their order, at least one."""

    def __init__(self, owner: object, packets: tuple[bytes, ...], terms: Terms, now: float) -> None:
        self.owner = owner
        """Whatever the caller wants to find again."""
        self.state = ExchangeState.ANSWER_DUE
        self.outcome: Outcome | None = None
        self.code = 0
        """QnRtn or ExeRtn that ended it."""
        self.deadline = 0.0
        self.outgoing = bytearray()
        """What is due on the line; whoever sends it clears it."""
        self.part = 0
        """Which part is being sent, from 0."""
        self._packets = packets
        self._terms = terms
        self._repeats = 0
        self._send(now)

    @property
    def part_count(self) -> int:
        """How many parts it has."""
        return len(self._packets)

    def answered(self, now: float) -> None:
        """9013 or 9014 came for the part that was sent last."""
        is_last = self.part == len(self._packets) - 1
        self._step(ExchangeStimulus.ANSWERED if is_last else ExchangeStimulus.PART_ANSWERED, now)

    def accepted(self, now: float) -> None:
        """9011 came: it will run."""
        self._step(ExchangeStimulus.ACCEPTED, now)

    def refused(self, code: int, now: float) -> None:
        """9011 came: it will not run."""
        self._end_with(ExchangeStimulus.REFUSED, code, now)

    def data_came(self, now: float) -> None:
        """The other end is at work."""
        self._step(ExchangeStimulus.DATA, now)

    def result(self, code: int, now: float) -> None:
        """9012 came."""
        self._end_with(ExchangeStimulus.RESULT, code, now)

    def garbled(self, now: float) -> None:
        """The other end heard it with a wrong CRC: as if it had not answered."""
        if self.state is ExchangeState.ANSWER_DUE:
            self._step(self._no_answer(), now)

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self.state is ExchangeState.DONE or now < self.deadline:
            return
        self._step(self._no_answer() if self.state is ExchangeState.ANSWER_DUE else ExchangeStimulus.NO_RESULT, now)

    def _no_answer(self) -> ExchangeStimulus:
        is_spent = self._repeats >= self._terms.re_count
        return ExchangeStimulus.SPENT if is_spent else ExchangeStimulus.NO_ANSWER

    def _end_with(self, stimulus: ExchangeStimulus, code: int, now: float) -> None:
        if (self.state, stimulus) in self.TRANSITIONS:
            self.code = code
            self._step(stimulus, now)

    def _step(self, stimulus: ExchangeStimulus, now: float) -> None:
        """Follow the table; what has no place there means nothing here."""
        transition = self.TRANSITIONS.get((self.state, stimulus))
        if transition is not None:
            action, self.state = transition
            action(self, now)

    def _send(self, now: float) -> None:
        # A request's parts go out together: it is the whole that is answered.
        whole = b"".join(self._packets) if self._terms.result_s is not None else self._packets[self.part]
        self.outgoing += whole
        self.deadline = now + self._terms.over_time_s

    def _repeat(self, now: float) -> None:
        self._repeats += 1
        self._send(now)

    def _next_part(self, now: float) -> None:
        self.part += 1
        self._repeats = 0
        self._send(now)

    def _await_result(self, now: float) -> None:
        assert self._terms.result_s is not None, "only a request is accepted"
        self.deadline = now + self._terms.result_s

    def _answer_came(self, _now: float) -> None:
        self.outcome = Outcome.ANSWERED

    def _refusal_came(self, _now: float) -> None:
        self.outcome = Outcome.REFUSED

    def _result_came(self, _now: float) -> None:
        self.outcome = Outcome.FINISHED

    def _gave_up(self, _now: float) -> None:
        self.outcome = Outcome.NO_ANSWER

    def _gave_up_result(self, _now: float) -> None:
        self.outcome = Outcome.NO_RESULT

    TRANSITIONS: ClassVar[
        Mapping[tuple[ExchangeState, ExchangeStimulus], tuple[Callable[["Exchange", float], None], ExchangeState]]
    ] = {
        (ExchangeState.ANSWER_DUE, ExchangeStimulus.PART_ANSWERED): (_next_part, ExchangeState.ANSWER_DUE),
        (ExchangeState.ANSWER_DUE, ExchangeStimulus.NO_ANSWER): (_repeat, ExchangeState.ANSWER_DUE),
        (ExchangeState.ANSWER_DUE, ExchangeStimulus.ANSWERED): (_answer_came, ExchangeState.DONE),
        (ExchangeState.ANSWER_DUE, ExchangeStimulus.REFUSED): (_refusal_came, ExchangeState.DONE),
        (ExchangeState.ANSWER_DUE, ExchangeStimulus.RESULT): (_result_came, ExchangeState.DONE),
        (ExchangeState.ANSWER_DUE, ExchangeStimulus.SPENT): (_gave_up, ExchangeState.DONE),
        (ExchangeState.ANSWER_DUE, ExchangeStimulus.ACCEPTED): (_await_result, ExchangeState.RESULT_DUE),
        (ExchangeState.ANSWER_DUE, ExchangeStimulus.DATA): (_await_result, ExchangeState.RESULT_DUE),
        (ExchangeState.RESULT_DUE, ExchangeStimulus.DATA): (_await_result, ExchangeState.RESULT_DUE),
        (ExchangeState.RESULT_DUE, ExchangeStimulus.RESULT): (_result_came, ExchangeState.DONE),
        (ExchangeState.RESULT_DUE, ExchangeStimulus.NO_RESULT): (_gave_up_result, ExchangeState.DONE),
    }
