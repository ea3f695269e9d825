"""A hawkBit server as the gate of an update agent: when a plan is followed, and what became of it.

The plan itself is the Director's, signed for this device, of a server or of plain files on a mirror; the images are the
image repository's. hawkBit chooses the moment: its action must name the images that the plan names, or nothing is done.

    no action, or another image than the plan's      the plan waits
    download skip                                    it waits
    update skip, or the maintenance window closed    it is fetched and written, and the slot is not switched
    attempt, forced                                  it goes on; the conditions of the plan hold for both
    cancelled, before the slot is switched           the download stops; what has come stays for another action
    cancelled, after that                            rejected: the release on trial is judged to its end

Whatever is wrong on this side of it (a token that is gone, a disk that keeps nothing) holds a plan back and ends no
run: a release on trial is judged even so.
"""

from collections.abc import Callable, Mapping
from functools import partial

from ota.errors import OtaError, RefusedError, Rule
from ota.hawkbit.assignment import Assignment, Window
from ota.hawkbit.client import HawkbitClient
from ota.hawkbit.dialogue import CancelAnswer
from ota.hawkbit.events import CancelAsked, ConfirmationAsked, Event, NotTold, Polled, Trouble, Withdrawn
from ota.hawkbit.feedback import Execution, Feedback, Finished, way
from ota.hawkbit.mapping import Module, wanted_of, why_not
from ota.slots.driver import Driver
from ota.slots.machine import MAY_BE_OVERTAKEN, RESTING, State
from ota.slots.record import Record
from ota.targets import Plan, Target

NOT_REACHED = "hawkBit does not answer"
_ENDED = RESTING | {State.CONFIRMED, State.ROLLED_BACK, State.FAILED, State.CANCELLED}
"""From here on the outcome stands."""
_STOPPABLE = (MAY_BE_OVERTAKEN - {State.ARMED}) | RESTING
"""Before the slot is switched: what is armed starts with the next start, whatever a gate says."""
_WAY = {State.PLANNED: Execution.DOWNLOAD, State.FETCHING: Execution.DOWNLOAD, State.FETCHED: Execution.DOWNLOADED}
"""Where an update is -> what hawkBit calls it; anything else is under way."""


class Steering:
    """See `ota.agent.gate.Gate`. `watch` the agent's driver before it runs, `tell` of it afterwards."""

    def __init__(
        self,
        client: HawkbitClient,
        modules: Mapping[str, Module],
        *,
        wall_s: Callable[[], float],
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._client = client
        self._modules = modules
        self._wall_s = wall_s
        self._say = say
        self._driver: Driver | None = None
        self._is_reached = False
        self._is_early = False
        """What holds the plan back is only the moment."""
        self._fault = ""
        """What is wrong on this side."""

    @property
    def has_action(self) -> bool:
        """Whether an action is open."""
        return bool(self._client.memory.action)

    def watch(self, driver: Driver) -> None:
        """Whose update a cancellation is to stop."""
        self._driver = driver

    def look(self) -> None:
        """Ask and tell what is due."""
        self._fault = ""
        try:
            while not self._client.wait_s and (events := self._client.round()):
                for event in events:
                    self._learn(event)
        except OtaError as error:
            self._give_in(error)

    # A gate -----------------------------------------------------------------------------------------------------

    def may_take(self, plan: Plan, images: Mapping[str, Target]) -> str:
        """See `Gate`."""
        assignment = self._asked()
        self._is_early = False
        if assignment is None:
            return self._why_none()
        try:
            reason = why_not(assignment, wanted_of(assignment, self._modules), plan, images)
        except RefusedError as error:
            return str(error)
        if not reason and not assignment.may_download:
            self._is_early = True
            reason = f"action {assignment.action} of hawkBit is not to be begun yet"
        return reason or self._kept(partial(self._client.follow, plan.number))

    def may_switch(self, plan: Plan) -> str:
        """See `Gate`."""
        assignment = self._asked()
        if assignment is None:
            return self._why_none()
        if plan.number != self._client.memory.plan:
            return f"plan {plan.number} was not let go for action {assignment.action} of hawkBit"
        if not self._is_reached:  # what it said before may not hold any more: a window closes
            return NOT_REACHED
        if assignment.window is Window.CLOSED:
            return f"the maintenance window of action {assignment.action} of hawkBit is closed"
        return "" if assignment.may_update else f"action {assignment.action} of hawkBit is not to be installed yet"

    def stops(self) -> str:
        """See `Gate`. While the server cannot be reached a download goes on as it was allowed to."""
        self.look()
        return "" if self._client.memory.plan else "hawkBit wants it no more"

    def _asked(self) -> Assignment | None:
        self.look()
        return None if self._fault else self._client.assignment

    def _why_none(self) -> str:
        if self._fault:
            return self._fault
        return "hawkBit has assigned nothing" if self._is_reached else NOT_REACHED

    # What became of it ------------------------------------------------------------------------------------------

    def tell(self, record: Record, state: State, refusal: str = "", rule: str = "") -> None:
        """How far the open action is. `refusal`, `rule`: why its plan was not taken."""
        memory = self._client.memory
        if memory.action:
            feedback = self._feedback(memory.action, memory.plan, record, state)
            if feedback is None and refusal and rule != Rule.NETWORK.value:  # that one passes, and says nothing of it
                execution = Execution.SCHEDULED if self._is_early else Execution.REJECTED
                feedback = way(memory.action, execution, details=(refusal,), at_s=int(self._wall_s()))
            if feedback is not None:
                self._kept(partial(self._client.report, feedback))
        self.look()

    def _feedback(self, action: str, plan: int, record: Record, state: State) -> Feedback | None:
        """Where its plan is; none while it has none."""
        at_s = int(self._wall_s())
        if not plan or record.plan_number != plan:
            return None
        if state not in _ENDED:
            return way(action, _WAY.get(state, Execution.PROCEEDING), at_s=at_s)
        if record.attempt != str(plan):
            return way(action, Execution.CLOSED, finished=Finished.SUCCESS, details=("it ran already",), at_s=at_s)
        finished = Finished.SUCCESS if record.outcome == "confirmed" else Finished.FAILURE
        why = f"{record.rule}: {record.reason}" if record.rule else record.reason
        return way(action, Execution.CLOSED, finished=finished, details=(record.outcome, why), at_s=at_s)

    def _learn(self, event: Event) -> None:
        if isinstance(event, Polled):
            self._is_reached = True
        elif isinstance(event, CancelAsked):
            self._cancel(event)
        elif isinstance(event, ConfirmationAsked):
            self._say(f"action {event.assignment.action} of hawkBit waits for somebody here to confirm it")
        elif isinstance(event, Withdrawn):
            self._say(f"action {event.action} of hawkBit is withdrawn: {event.reason}")
        elif isinstance(event, Trouble | NotTold):
            self._is_reached &= not isinstance(event, Trouble)
            self._say(f"hawkBit: {event.reason}")

    def _cancel(self, event: CancelAsked) -> None:
        is_stoppable = self._driver is None or not event.is_open or self._may_stop(self._driver)
        answer = CancelAnswer.CANCELLED if is_stoppable else CancelAnswer.REJECTED
        reason = "nothing of it is under way any more" if is_stoppable else "the release is started already"
        self._client.answer_cancel(event.action, answer, reason)
        self._say(f"action {event.action} of hawkBit: cancellation {answer.name.lower()}: {reason}")

    def _may_stop(self, driver: Driver) -> bool:
        """Before the slot is switched, and when the update has nothing to do with the action."""
        record = driver.record()
        is_it = record.plan_number == self._client.memory.plan
        return not is_it or driver.state(record) in _STOPPABLE

    def _kept(self, remember: Callable[[], object]) -> str:
        """Why something is not on the disk; nothing where it is."""
        try:
            remember()
        except OtaError as error:
            self._give_in(error)
            return self._fault
        return ""

    def _give_in(self, error: OtaError) -> None:
        self._fault = str(error)
        self._say(f"hawkBit: {error}")
