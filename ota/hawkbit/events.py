"""What a dialogue with a server asks for, and what it has learnt."""

from enum import Enum
from typing import NamedTuple

from ota.hawkbit.assignment import Assignment
from ota.hawkbit.feedback import Feedback


class Ask(Enum):
    """What a request is for."""

    POLL = "poll"
    DEPLOYMENT = "deploymentBase"
    CONFIRMATION = "confirmationBase"
    CANCEL = "cancelAction"
    ATTRIBUTES = "configData"
    FEEDBACK = "feedback"


class Request(NamedTuple):
    """To be sent now; what comes of it is given to `receive` or `lost`."""

    ask: Ask
    method: str
    path: str
    """Below `/{tenant}/controller/v1/{controllerId}`."""
    body: bytes | None = None


class Reply(NamedTuple):
    """What the server has answered."""

    status: int
    body: bytes = b""
    retry_after_s: float | None = None


class NeedData(NamedTuple):
    """No event yet."""


NEED_DATA = NeedData()


class Assigned(NamedTuple):
    """An action to be done: new, changed (from soft to forced, a window has opened), or seen again after a start."""

    assignment: Assignment


class ConfirmationAsked(NamedTuple):
    """The server releases an action when somebody here has agreed: `confirm`."""

    assignment: Assignment


class CancelAsked(NamedTuple):
    """An action is to be stopped: `answer_cancel`."""

    action: str
    is_open: bool
    """It is the one that is under way here."""


class Withdrawn(NamedTuple):
    """The server has no more to do with an action that had no result: closed there by force, or overtaken."""

    action: str
    reason: str


class Told(NamedTuple):
    """The server has a feedback."""

    feedback: Feedback


class NotTold(NamedTuple):
    """It will not be told: the server does not want it any more, or takes no more of this kind."""

    feedback: Feedback
    reason: str


class AttributesTold(NamedTuple):
    """The server has the device's attributes."""


class Polled(NamedTuple):
    """A poll was answered."""

    next_s: float
    """Until the next one."""
    action: str
    """What is open at the server; empty where nothing is."""


class Trouble(NamedTuple):
    """It did not work; it is tried again after `wait_s`."""

    reason: str
    wait_s: float


Event = Assigned | ConfirmationAsked | CancelAsked | Withdrawn | Told | NotTold | AttributesTold | Polled | Trouble
