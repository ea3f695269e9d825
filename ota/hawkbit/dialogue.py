"""The dialogue with a hawkBit server over its DDI: which request comes next, what its answer means. No I/O, no clock.

One request is in flight at a time. What is owed to the server goes out first, then what it has asked for. `memory` is
what must be on the disk before the next request is sent, and before an event is acted upon.

    poll -> configData                 the server asks for attributes, or they have changed: told
         -> confirmationBase/{action}  somebody here must agree: `confirm`
         -> deploymentBase/{action}    an update: `report` its way, and its result once
         -> cancelAction/{action}      stop it: `answer_cancel`

An answer of 404 or 410 to a question means that the action is over; 401 and 403 that the token is not right: the next
try is as far off as a poll. 429 is waited out for as long as it says. Everything else is tried again, ever more slowly,
up to the time between two polls.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from http import HTTPStatus

import msgspec

from ota.errors import RefusedError
from ota.hawkbit.assignment import Assignment
from ota.hawkbit.events import (
    NEED_DATA,
    Ask,
    Assigned,
    AttributesTold,
    CancelAsked,
    ConfirmationAsked,
    Event,
    NeedData,
    Polled,
    Reply,
    Request,
    Trouble,
    Withdrawn,
)
from ota.hawkbit.feedback import Channel, Execution, Feedback, Finished, Mode, encode_attributes, shortened
from ota.hawkbit.memory import Memory
from ota.hawkbit.outbox import Outbox
from ota.hawkbit.resources import Link, decode_base, decode_cancel, decode_confirmation, decode_deployment

MIN_SLEEP_S, MAX_SLEEP_S = 10.0, 7 * 86_400.0
"""Between two polls, whatever the server suggests."""
FIRST_BACKOFF_S = 5.0
MAX_WAIT_S = 86_400.0
"""The longest that a server may bid a device to wait with its 429."""
_OVER = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_TOKEN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_QUESTIONS = frozenset({Ask.DEPLOYMENT, Ask.CONFIRMATION, Ask.CANCEL})
_NOT_YET = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})
"""Statuses that say nothing about what was told."""


class CancelAnswer(Enum):
    """How a cancellation is answered."""

    CANCELLED = (Execution.CLOSED, Finished.SUCCESS)
    FAILED = (Execution.CLOSED, Finished.FAILURE)
    """It should have been stopped, and could not be."""
    REJECTED = (Execution.REJECTED, Finished.NONE)
    """It goes on: the release is started already."""


class Dialogue:
    """One device's dialogue with its server, begun with what the disk has of the one before.

    poll_s: between two polls until the server has suggested a time. first_poll_s: until the first one.
    uniform: a number between two: polls and retries are spread, so that a fleet does not come all at once.
    """

    def __init__(
        self,
        memory: Memory,
        attributes: Mapping[str, str],
        *,
        uniform: Callable[[float, float], float],
        mode: Mode = Mode.MERGE,
        poll_s: float = 300.0,
        now: float = 0.0,
        first_poll_s: float = 0.0,
    ) -> None:
        self._outbox = Outbox(memory)
        self.assignment: Assignment | None = None
        """The action as the server has last put it, to be confirmed or done; none before it was asked."""
        self._attributes = encode_attributes(attributes, mode) if attributes else b""
        self._attributes_sha256 = hashlib.sha256(self._attributes).hexdigest()
        self._wants_attributes = bool(attributes) and memory.attributes != self._attributes_sha256
        self._uniform = uniform
        self._sleep_s = poll_s
        self._next_poll = now + first_poll_s
        self._quiet_until = now
        self._failures = 0
        self._wanted: tuple[Channel, Link] | None = None
        """What the last poll has pointed to and was not fetched yet."""
        self._seen: tuple[Channel, Link] | None = None
        """What was fetched last."""
        self._question: tuple[str, str] | None = None
        """(the action of a cancellation, the action to stop): asked, and not answered yet."""
        self._in_flight: Request | None = None
        self._events: deque[Event] = deque()
        self._taken: dict[Ask, Callable[[bytes, float], None]] = {
            Ask.POLL: self._when_polled,
            Ask.DEPLOYMENT: self._when_deployed,
            Ask.CONFIRMATION: self._when_to_be_confirmed,
            Ask.CANCEL: self._when_cancelled,
            Ask.ATTRIBUTES: self._when_attributes_taken,
            Ask.FEEDBACK: self._when_told,
        }
        """What an answer is for -> what it does."""

    @property
    def memory(self) -> Memory:
        """What must be on the disk before the next request, and before an event is acted upon."""
        return self._outbox.memory

    # What goes out ----------------------------------------------------------------------------------------------

    def next_request(self, now: float) -> Request | None:
        """What is to be sent now, if anything; it is answered by `receive` or `lost`."""
        if self._in_flight is not None or now < self._quiet_until:
            return None
        self._in_flight = self._choose(now)
        return self._in_flight

    def next_deadline(self) -> float | None:
        """When there is something to be sent, as things stand; none while an answer is awaited."""
        if self._in_flight is not None:
            return None
        is_due = self._outbox.is_due or self._wants_attributes or self._wanted is not None
        return self._quiet_until if is_due else max(self._quiet_until, self._next_poll)

    def _choose(self, now: float) -> Request | None:
        if self._outbox.is_due:
            return self._outbox.next_request()
        if self._wants_attributes:
            return Request(Ask.ATTRIBUTES, "PUT", "/configData", self._attributes)
        if now >= self._next_poll:  # before what the last one has pointed to, which may never be answered
            return Request(Ask.POLL, "GET", "")
        if self._wanted is None:
            return None
        channel, link = self._wanted
        query = f"?c={link.c}" if link.c else ""
        return Request(Ask(channel.value), "GET", f"/{channel.value}/{link.action}{query}")

    # What this side says ----------------------------------------------------------------------------------------

    def report(self, feedback: Feedback) -> bool:
        """See `Outbox.report`."""
        is_told = self._outbox.report(feedback)
        if is_told and feedback.is_final:
            self._forget()
        return is_told

    def follow(self, plan: int) -> None:
        """This plan of the Director is what the open action comes to."""
        if self.memory.action and self.memory.plan != plan:
            self._outbox.memory = msgspec.structs.replace(self.memory, plan=plan)

    def confirm(
        self, action: str, *, is_confirmed: bool, code: int | None = None, details: tuple[str, ...] = ()
    ) -> None:
        """Agree to an action, or not; the last word counts."""
        finished = Finished.SUCCESS if is_confirmed else Finished.FAILURE
        self._outbox.put(
            Feedback(
                channel=Channel.CONFIRMATION,
                action=action,
                execution=Execution.CLOSED,
                finished=finished,
                code=code,
                details=shortened(details),
            )
        )

    def answer_cancel(self, action: str, answer: CancelAnswer, reason: str = "", at_s: int = 0) -> bool:
        """Answer to `CancelAsked`; whether there was such a question."""
        if self._question is None or self._question[1] != action:
            return False
        execution, finished = answer.value
        question, self._question = self._question[0], None
        if answer is not CancelAnswer.REJECTED and action == self.memory.action:
            self._forget()
        self._outbox.put(
            Feedback(
                channel=Channel.CANCEL,
                action=question,
                execution=execution,
                finished=finished,
                details=shortened((reason,)),
                at_s=at_s,
            )
        )
        return True

    # What comes in ----------------------------------------------------------------------------------------------

    def next_event(self) -> Event | NeedData:
        """What was learnt, in order."""
        return self._events.popleft() if self._events else NEED_DATA

    def lost(self, reason: str, now: float) -> None:
        """No answer came: whether the server has acted is not known, so it is said again."""
        self._in_flight = None
        self._back_off(reason, now)

    def receive(self, reply: Reply, now: float) -> None:
        """The answer to what is in flight. Raises nothing: what is wrong with it is an event."""
        request, self._in_flight = self._in_flight, None
        assert request is not None, "there was a request"
        if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            try:
                self._taken[request.ask](reply.body, now)
            except RefusedError as error:
                self._back_off(str(error), now)
        else:
            self._refused(request.ask, reply, now)

    def _refused(self, ask: Ask, reply: Reply, now: float) -> None:
        status, what = reply.status, f"{ask.value}: the server says {reply.status}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            if ask is Ask.FEEDBACK:
                self._tell(self._outbox.too_many())
            if reply.retry_after_s is None:
                self._back_off(what, now)
            else:
                self._trouble(what, min(max(reply.retry_after_s, 1.0), MAX_WAIT_S) * self._uniform(1.0, 1.1), now)
        elif ask is Ask.FEEDBACK and status not in _NOT_YET:
            self._tell(self._outbox.refused(status))
            if status not in _OVER:
                self._back_off(what, now)
        elif ask is Ask.ATTRIBUTES and status not in _NOT_YET:
            self._wants_attributes = False  # the server asks again when it is polled
            self._back_off(what, now)
        elif ask in _QUESTIONS and status in _OVER:
            self._wanted = None
            if ask is not Ask.CANCEL:  # there a question is over, and the action may go on
                self._withdraw(f"the server says {status}")
        elif status in _TOKEN:
            self._trouble(f"{what}: the token is not right, or not for this", self._spread(self._sleep_s), now)
        else:
            self._back_off(what, now)

    def _when_polled(self, body: bytes, now: float) -> None:
        base = decode_base(body)
        self._failures = 0
        if base.sleep_s is not None:
            self._sleep_s = min(max(base.sleep_s, MIN_SLEEP_S), MAX_SLEEP_S)
        self._next_poll = now + self._spread(self._sleep_s)
        self._wants_attributes |= base.wants_attributes and bool(self._attributes)
        channel, link = base.open or (None, Link(""))
        self._events.append(Polled(self._next_poll - now, link.action))
        if channel is not Channel.CANCEL and self.memory.action not in ("", link.action):
            self._withdraw(f"action {link.action} is open there instead" if link.action else "it is not open there")
        self._tell(self._outbox.polled(channel, link.action))
        self._wanted = base.open if channel is not None and self._is_news(channel, link) else None

    def _is_news(self, channel: Channel, link: Link) -> bool:
        """Whether what is open is to be asked about. What has ended here is not: it is told again how."""
        known = self.memory.result_of(channel, link.action)
        if known is not None and known.execution is Execution.CLOSED:
            is_told = known not in self.memory.owed
            is_denial = channel is Channel.CONFIRMATION and known.finished is Finished.FAILURE
            if is_told and not is_denial:
                self._outbox.put(known)
            return False
        is_owed = known is not None and known in self.memory.owed
        is_open = self._question is not None if channel is Channel.CANCEL else self.assignment is not None
        return not is_owed and not (is_open and self._seen == (channel, link))

    def _when_deployed(self, body: bytes, _now: float) -> None:
        self.assignment = decode_deployment(body, self._take_wanted())
        self._outbox.memory = self.memory.begun(self.assignment.action)
        self._events.append(Assigned(self.assignment))

    def _when_to_be_confirmed(self, body: bytes, _now: float) -> None:
        self.assignment = decode_confirmation(body, self._take_wanted())
        self._events.append(ConfirmationAsked(self.assignment))

    def _when_cancelled(self, body: bytes, _now: float) -> None:
        question = self._take_wanted()
        action = decode_cancel(body, question)
        self._question = question, action
        result = self.memory.result_of(Channel.DEPLOYMENT, action)
        if result is None:
            self._events.append(CancelAsked(action, is_open=action == self.memory.action))
        elif result.finished is Finished.SUCCESS:
            self.answer_cancel(action, CancelAnswer.REJECTED, "the update has ended before: success")
        else:
            self.answer_cancel(action, CancelAnswer.CANCELLED, "the update has ended before: failure")

    def _when_attributes_taken(self, _body: bytes, _now: float) -> None:
        self._wants_attributes = False
        self._outbox.memory = msgspec.structs.replace(self.memory, attributes=self._attributes_sha256)
        self._events.append(AttributesTold())

    def _when_told(self, _body: bytes, _now: float) -> None:
        self._events.append(self._outbox.taken())

    # Inside -----------------------------------------------------------------------------------------------------

    def _take_wanted(self) -> str:
        """The action that was asked for. What its answer cannot be read for is asked for again with the next poll."""
        assert self._wanted is not None, "it was asked for"
        self._seen, self._wanted = self._wanted, None
        self.assignment = self._question = None
        return self._seen[1].action

    def _withdraw(self, reason: str) -> None:
        if self.memory.action:
            self._events.append(Withdrawn(self.memory.action, reason))
        self._forget()

    def _forget(self) -> None:
        self._outbox.memory = self.memory.ended()
        self.assignment = self._seen = None

    def _tell(self, event: Event | None) -> None:
        if event is not None:
            self._events.append(event)

    def _spread(self, seconds: float) -> float:
        """Never later than said: a server counts a device as overdue."""
        return self._uniform(0.8, 1.0) * seconds

    def _back_off(self, reason: str, now: float) -> None:
        wait_s = min(FIRST_BACKOFF_S * 2 ** min(self._failures, 16), self._sleep_s)
        self._failures += 1
        self._trouble(reason, self._uniform(0.5, 1.0) * wait_s, now)

    def _trouble(self, reason: str, wait_s: float, now: float) -> None:
        self._quiet_until = now + wait_s
        self._events.append(Trouble(reason, wait_s))
