"""What is still to be told to the server: what comes first, and what becomes of it when it is not taken.

A result is told until the server has it, or has nothing left that it belongs to. What is only on the way to one is
given up where the server refuses it: it must not stand before a result. What is refused waits for the next poll; so a
server that never takes it hears of it no more often, and is polled all the same.
"""

from http import HTTPStatus

from ota.errors import OtaError
from ota.hawkbit.events import Ask, NotTold, Request, Told
from ota.hawkbit.feedback import Channel, Feedback, encode_feedback
from ota.hawkbit.memory import Memory

MAX_TRIES = 3
"""Where the server says that it is too much: then it is no matter of haste, but of how much one action may say."""


class SecondResultError(OtaError):
    """An action that has a result was given another one: a mistake on this side."""


class Outbox:
    """The part of a dialogue that speaks. `memory` is changed by it and by the dialogue."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._sent: Feedback | None = None
        self._held: Feedback | None = None
        """What was refused, and waits for the next poll."""
        self._is_unknown = False
        """The server says not to know what it belongs to."""
        self._times_too_many = 0

    @property
    def is_due(self) -> bool:
        """Whether something is to be told now."""
        return bool(self.memory.owed) and self.memory.owed[0] != self._held

    def next_request(self) -> Request:
        """What is owed first."""
        self._sent = sent = self.memory.owed[0]
        return Request(Ask.FEEDBACK, "POST", f"/{sent.channel.value}/{sent.action}/feedback", encode_feedback(sent))

    def report(self, feedback: Feedback) -> bool:
        """Where an update is; whether the server will hear it. It has one result, and nothing comes after that.

        Of an action that is not open nothing is told. Raises `SecondResultError`.
        """
        known = self.memory.result_of(Channel.DEPLOYMENT, feedback.action)
        if known is not None and feedback.is_final and feedback.finished is not known.finished:
            how, now = known.finished.value, feedback.finished.value
            raise SecondResultError(f"action {feedback.action}: it has ended ({how}) and cannot end again ({now})")
        if known is not None or feedback.action != self.memory.action:
            return False
        before = self.memory
        self.memory = before.ended().with_result(feedback) if feedback.is_final else before.with_step(feedback)
        return self.memory is not before

    def put(self, answer: Feedback) -> None:
        """An answer to a question of the server, or once more a result; the last word counts."""
        self.memory = self.memory.with_result(answer)

    def taken(self) -> Told:
        """The server has what was sent."""
        sent = self._take_sent()
        self.memory = self.memory.told(sent)
        self._times_too_many = 0
        return Told(sent)

    def refused(self, status: int) -> NotTold | None:
        """The server does not take what was sent.

        410 says that the action is over. 404 says so too, but so does a proxy that has lost its way: a poll will tell.
        """
        sent = self._take_sent()
        reason = f"the server says {status}"
        if status == HTTPStatus.GONE:
            self.memory = self.memory.told(sent)
            return NotTold(sent, f"{reason}: it is over there")
        if not sent.is_final and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self.memory = self.memory.without(sent)
            return NotTold(sent, reason)
        self._held, self._is_unknown = sent, status == HTTPStatus.NOT_FOUND
        return None

    def too_many(self) -> NotTold | None:
        """429: it is sent again, and after three times refused."""
        self._times_too_many += 1
        if self._times_too_many < MAX_TRIES:
            return None
        self._times_too_many = 0
        return self.refused(HTTPStatus.TOO_MANY_REQUESTS)

    def polled(self, channel: Channel | None, action: str) -> NotTold | None:
        """A poll was answered, with this open: what was refused is tried again, unless it belongs to nothing."""
        held, self._held = self._held, None
        if held is None or not self._is_unknown or held not in self.memory.owed:
            return None
        is_shown = held.action == action and held.channel in (channel, Channel.DEPLOYMENT)
        if is_shown:
            return None
        self.memory = self.memory.told(held)
        return NotTold(held, "the server has nothing open that it belongs to")

    def _take_sent(self) -> Feedback:
        sent, self._sent = self._sent, None
        assert sent is not None, "it was sent"
        return sent
