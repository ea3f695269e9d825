"""The vehicles of one link: what the unit reports of each, and what is decided.

A part of `controller.Controller`, which sees to numbers, repeats and the link itself. What each stimulus leads to
stands in `Vehicles.PASSAGES`.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import ClassVar

from protocols.core.errors import LocalProtocolError
from protocols.etc_rsu.controller_events import (
    Abandoned,
    ControllerEvent,
    ControllerSettings,
    Decide,
    PassageState,
    PassageStimulus,
    Reported,
    Undecided,
)
from protocols.etc_rsu.passage import (
    DEBIT,
    DECISION_STIMULI,
    TAKES_ANEW,
    Key,
    Passage,
    is_on_card,
    is_settled,
    obu_of,
    stop_of,
    type_of,
)
from protocols.etc_rsu.payload import AnyPayload
from protocols.listener import earliest

MAX_PASSAGES = 64
"""Vehicles at once; the one that was heard of longest ago gives way."""
MAX_UNSETTLED = 256
"""Debits of unknown outcome that are remembered."""


class Vehicles:
    """Vehicles and their debits. answer: send a payload as the answer to a report. tell: to the application."""

    def __init__(
        self,
        settings: ControllerSettings,
        answer: Callable[[Key, bytes], None],
        tell: Callable[[ControllerEvent], None],
    ) -> None:
        self._settings = settings
        self._answer = answer
        self._emit = tell
        self._passages: OrderedDict[bytes, Passage] = OrderedDict()
        self._unsettled: OrderedDict[bytes, AnyPayload] = OrderedDict()

    def state_of(self, obu_id: bytes) -> PassageState:
        """Where a vehicle stands."""
        passage = self._passages.get(obu_id)
        return PassageState.ABSENT if passage is None else passage.state

    def only_reading(self) -> Passage | None:
        """The vehicle whose next report is due, if there is just one."""
        reading = [each for each in self._passages.values() if each.state is PassageState.READING]
        return reading[0] if len(reading) == 1 else None

    def next_deadline(self) -> float | None:
        """When a report or a decision is due."""
        return earliest(*(passage.deadline for passage in self._passages.values()))

    def tick(self, now: float) -> None:
        """Time has passed."""
        for passage in list(self._passages.values()):
            if passage.deadline is not None and now >= passage.deadline:
                is_units = passage.state in (PassageState.READING, PassageState.TRADING)
                self._move(passage, PassageStimulus.SILENCE if is_units else PassageStimulus.LATE, now)

    def forget(self, now: float) -> None:
        """The unit begins anew: forget the vehicles, but not their debits."""
        for passage in self._passages.values():
            self._give_up(passage, now)
        self._passages.clear()

    def report(self, obu_id: bytes, key: Key, report: AnyPayload, stimulus: PassageStimulus, now: float) -> None:
        """The unit reports something of a vehicle."""
        passage = self._passages.pop(obu_id, None) or Passage(obu_id)
        if len(self._passages) >= MAX_PASSAGES:
            _oldest, left = self._passages.popitem(last=False)
            self._give_up(left, now)
        self._passages[obu_id] = passage
        passage.unsettled = self._unsettled.get(obu_id)
        passage.key, passage.report, passage.asks = key, report, 0
        self._move(passage, stimulus, now)

    def decide(self, command: Decide, now: float) -> None:
        """The application decides. Raises `LocalProtocolError`."""
        passage = self._passages.get(command.obu_id)
        stimulus = DECISION_STIMULI.get(type_of(command.payload) or 0)
        if passage is None or stimulus is None or (passage.state, stimulus) not in self.PASSAGES:
            raise LocalProtocolError("this cannot be decided of that vehicle now", field="payload")
        if obu_of(command.payload) not in (None, command.obu_id):
            raise LocalProtocolError("is another vehicle's", field="obu_id")
        if type_of(command.payload) == DEBIT and (passage.is_written or self._is_done(passage, command.payload)):
            raise LocalProtocolError("the card carries the record of a debit already", field="payload")
        self._answer(passage.key, command.payload.to_bytes())
        if stimulus is PassageStimulus.TRADE:
            passage.trade = command.payload if type_of(command.payload) in TAKES_ANEW else passage.unsettled
        self._move(passage, stimulus, now)

    def _is_done(self, passage: Passage, debit: AnyPayload) -> bool:
        return passage.report is not None and is_on_card(debit, passage.report)

    def _move(self, passage: Passage, stimulus: PassageStimulus, now: float) -> None:
        action, passage.state = self.PASSAGES[passage.state, stimulus]
        action(self, passage, now)
        if passage.state is PassageState.ABSENT:
            del self._passages[passage.obu_id]

    def _tell(self, passage: Passage, now: float) -> None:
        self._ask_decision(passage, now + self._settings.decide_s)

    def _tell_card(self, passage: Passage, now: float) -> None:
        assert passage.report is not None
        passage.is_written = passage.unsettled is not None and is_on_card(passage.unsettled, passage.report)
        self._tell(passage, now)

    def _tell_anew(self, passage: Passage, now: float) -> None:
        """The vehicle is back before the result of its debit."""
        self._leave_open(passage)
        (self._tell_card if passage.state is PassageState.CARD else self._tell)(passage, now)

    def _tell_result(self, passage: Passage, _now: float) -> None:
        """A result waits for as long as it takes to store it."""
        assert passage.report is not None
        if is_settled(self._settings.interface, passage.report):
            self._unsettled.pop(passage.obu_id, None)
            passage.unsettled = passage.trade = None
        self._leave_open(passage)
        self._ask_decision(passage, None)

    def _ask_decision(self, passage: Passage, deadline: float | None) -> None:
        assert passage.report is not None
        passage.deadline = deadline
        self._emit(Reported(passage.obu_id, passage.report, passage.unsettled, passage.is_written))

    def _expect(self, passage: Passage, now: float) -> None:
        passage.is_written = False
        passage.deadline = now + self._settings.step_s

    def _end(self, passage: Passage, _now: float) -> None:
        passage.deadline = None

    def _refuse(self, passage: Passage, _now: float) -> None:
        """A report that nothing led to: the unit shall begin anew with this vehicle."""
        self._answer(passage.key, stop_of(self._settings.interface, passage.obu_id).to_bytes())
        passage.deadline = None

    def _let_go(self, passage: Passage, now: float) -> None:
        assert passage.report is not None
        self._refuse(passage, now)
        self._emit(Undecided(passage.obu_id, passage.report))

    def _give_up(self, passage: Passage, _now: float) -> None:
        self._leave_open(passage)
        passage.deadline = None
        self._emit(Abandoned(passage.obu_id, passage.unsettled))

    def _leave_open(self, passage: Passage) -> None:
        """Remember a debit whose outcome is not known."""
        if passage.trade is None:
            return
        passage.unsettled, passage.trade = passage.trade, None
        self._unsettled.pop(passage.obu_id, None)
        self._unsettled[passage.obu_id] = passage.unsettled
        if len(self._unsettled) > MAX_UNSETTLED:
            self._unsettled.popitem(last=False)

    PASSAGES: ClassVar[
        Mapping[tuple[PassageState, PassageStimulus], tuple[Callable[["Vehicles", Passage, float], None], PassageState]]
    ] = {
        (PassageState.ABSENT, PassageStimulus.FOUND): (_tell, PassageState.FOUND),
        (PassageState.ABSENT, PassageStimulus.VEHICLE): (_refuse, PassageState.ABSENT),
        (PassageState.ABSENT, PassageStimulus.CARD): (_refuse, PassageState.ABSENT),
        (PassageState.ABSENT, PassageStimulus.RESULT): (_tell_result, PassageState.RESULT),
        (PassageState.FOUND, PassageStimulus.FOUND): (_tell, PassageState.FOUND),
        (PassageState.FOUND, PassageStimulus.VEHICLE): (_refuse, PassageState.ABSENT),
        (PassageState.FOUND, PassageStimulus.CARD): (_refuse, PassageState.ABSENT),
        (PassageState.FOUND, PassageStimulus.RESULT): (_tell_result, PassageState.RESULT),
        (PassageState.FOUND, PassageStimulus.CONTINUE): (_expect, PassageState.READING),
        (PassageState.FOUND, PassageStimulus.STOP): (_end, PassageState.ABSENT),
        (PassageState.FOUND, PassageStimulus.LATE): (_let_go, PassageState.ABSENT),
        (PassageState.READING, PassageStimulus.FOUND): (_tell, PassageState.FOUND),
        (PassageState.READING, PassageStimulus.VEHICLE): (_tell, PassageState.VEHICLE),
        (PassageState.READING, PassageStimulus.CARD): (_tell_card, PassageState.CARD),
        (PassageState.READING, PassageStimulus.RESULT): (_tell_result, PassageState.RESULT),
        (PassageState.READING, PassageStimulus.SILENCE): (_give_up, PassageState.ABSENT),
        (PassageState.VEHICLE, PassageStimulus.FOUND): (_tell, PassageState.FOUND),
        (PassageState.VEHICLE, PassageStimulus.VEHICLE): (_tell, PassageState.VEHICLE),
        (PassageState.VEHICLE, PassageStimulus.CARD): (_refuse, PassageState.ABSENT),
        (PassageState.VEHICLE, PassageStimulus.RESULT): (_tell_result, PassageState.RESULT),
        (PassageState.VEHICLE, PassageStimulus.CONTINUE): (_expect, PassageState.READING),
        (PassageState.VEHICLE, PassageStimulus.STOP): (_end, PassageState.ABSENT),
        (PassageState.VEHICLE, PassageStimulus.LATE): (_let_go, PassageState.ABSENT),
        (PassageState.CARD, PassageStimulus.FOUND): (_tell, PassageState.FOUND),
        (PassageState.CARD, PassageStimulus.VEHICLE): (_refuse, PassageState.ABSENT),
        (PassageState.CARD, PassageStimulus.CARD): (_tell_card, PassageState.CARD),
        (PassageState.CARD, PassageStimulus.RESULT): (_tell_result, PassageState.RESULT),
        (PassageState.CARD, PassageStimulus.TRADE): (_expect, PassageState.TRADING),
        (PassageState.CARD, PassageStimulus.STOP): (_end, PassageState.ABSENT),
        (PassageState.CARD, PassageStimulus.LATE): (_let_go, PassageState.ABSENT),
        (PassageState.TRADING, PassageStimulus.FOUND): (_tell_anew, PassageState.FOUND),
        (PassageState.TRADING, PassageStimulus.VEHICLE): (_tell_anew, PassageState.VEHICLE),
        (PassageState.TRADING, PassageStimulus.CARD): (_tell_anew, PassageState.CARD),
        (PassageState.TRADING, PassageStimulus.RESULT): (_tell_result, PassageState.RESULT),
        (PassageState.TRADING, PassageStimulus.SILENCE): (_give_up, PassageState.ABSENT),
        (PassageState.RESULT, PassageStimulus.FOUND): (_tell, PassageState.FOUND),
        (PassageState.RESULT, PassageStimulus.VEHICLE): (_refuse, PassageState.ABSENT),
        (PassageState.RESULT, PassageStimulus.CARD): (_refuse, PassageState.ABSENT),
        (PassageState.RESULT, PassageStimulus.RESULT): (_tell_result, PassageState.RESULT),
        (PassageState.RESULT, PassageStimulus.CONTINUE): (_end, PassageState.ABSENT),
        (PassageState.RESULT, PassageStimulus.STOP): (_end, PassageState.ABSENT),
    }
