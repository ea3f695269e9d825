"""What a device tells the server: the body of a feedback, of an answer to a question, and of its attributes.

    POST {base}/deploymentBase/{action}/feedback      DdiActionFeedback
    POST {base}/cancelAction/{action}/feedback        the same
    POST {base}/confirmationBase/{action}/feedback    DdiConfirmationFeedback
    PUT  {base}/configData                            DdiConfigData

An action stays open at the server until `closed` has come with a result. A cancellation is answered by `closed`, too
(success: it is cancelled, failure: it could not be), or by `rejected`; `canceled`, for all that its name says, is not
understood there (hawkBit issue 952).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any

import msgspec

from ota.trust.web import plain

MAX_DETAILS = 16
"""A server keeps 50 messages of a status, and 512 characters of each; an error fits into less."""


class Execution(Enum):
    """Where an action is (DdiStatus.ExecutionStatus)."""

    CLOSED = "closed"
    """It has ended, as the result says."""
    PROCEEDING = "proceeding"
    CANCELED = "canceled"
    """The device itself wishes to stop; the action stays open all the same."""
    SCHEDULED = "scheduled"
    """It was noticed, and is to be done later."""
    REJECTED = "rejected"
    """An update is not taken, and the action stays open; or a cancellation is not, and the update goes on."""
    RESUMED = "resumed"
    """It goes on after a restart."""
    DOWNLOADED = "downloaded"
    DOWNLOAD = "download"
    """The download begins."""


class Finished(Enum):
    """The result of an action (DdiResult.FinalResult)."""

    SUCCESS = "success"
    FAILURE = "failure"
    NONE = "none"


class Channel(Enum):
    """Whose feedback it is; the word is the resource's."""

    DEPLOYMENT = "deploymentBase"
    CANCEL = "cancelAction"
    CONFIRMATION = "confirmationBase"


class Mode(Enum):
    """What becomes of the attributes that the server has (DdiUpdateMode)."""

    MERGE = "merge"
    REPLACE = "replace"
    REMOVE = "remove"


class Feedback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to be told. It lies on the disk until the server has it."""

    channel: Channel
    action: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,19}$")]
    execution: Execution
    """Of a confirmation: `closed`."""
    finished: Finished = Finished.NONE
    """Of a confirmation: `success` is confirmed, `failure` denied."""
    done: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] | None = None
    """Progress: so much of `of`."""
    of: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] | None = None
    code: Annotated[int, msgspec.Meta(ge=-(1 << 31), lt=1 << 31)] | None = None
    details: tuple[str, ...] = ()
    at_s: Annotated[int, msgspec.Meta(ge=0, le=1 << 37)] = 0
    """When it was so, in seconds since 1970; 0 where the device does not know."""

    @property
    def is_final(self) -> bool:
        """Whether the action, or the question, has ended with it."""
        return self.execution is Execution.CLOSED or (
            self.channel is Channel.CANCEL and self.execution is Execution.REJECTED
        )

    def says_same(self, other: "Feedback | None") -> bool:
        """Whether the server learns nothing new from it after another."""
        return other is not None and msgspec.structs.replace(self, at_s=0) == msgspec.structs.replace(other, at_s=0)


def way(
    action: str,
    execution: Execution,
    *,
    finished: Finished = Finished.NONE,
    progress: tuple[int, int] | None = None,
    code: int | None = None,
    details: tuple[str, ...] = (),
    at_s: int = 0,
) -> Feedback:
    """Where an update is; `closed` with a result ends it. `progress`: so much of so much."""
    done, of = progress or (None, None)
    return Feedback(
        channel=Channel.DEPLOYMENT, action=action, execution=execution, finished=finished,
        done=done, of=of, code=code, details=shortened(details), at_s=at_s,
    )  # fmt: skip


def shortened(details: tuple[str, ...]) -> tuple[str, ...]:
    """Messages as a server keeps them."""
    return tuple(plain(each) for each in details[:MAX_DETAILS] if each.strip())


def encode_feedback(feedback: Feedback) -> bytes:
    """Its body. Older servers want `id` and read `time`, newer ones read `timestamp`; each passes over the other's."""
    common = {"code": feedback.code, "details": list(feedback.details)}
    common = {name: value for name, value in common.items() if value not in (None, [])}
    if feedback.channel is Channel.CONFIRMATION:
        is_confirmed = feedback.finished is Finished.SUCCESS
        return msgspec.json.encode({"confirmation": "confirmed" if is_confirmed else "denied", **common})
    result: dict[str, Any] = {"finished": feedback.finished.value}
    if feedback.done is not None:
        progress = {"cnt": feedback.done, "of": feedback.of}
        result["progress"] = {name: value for name, value in progress.items() if value is not None}
    body: dict[str, Any] = {"id": feedback.action}
    if feedback.at_s:
        body["time"] = datetime.fromtimestamp(feedback.at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body["timestamp"] = feedback.at_s * 1_000
    body["status"] = {"execution": feedback.execution.value, "result": result, **common}
    return msgspec.json.encode(body)


def encode_attributes(attributes: Mapping[str, str], mode: Mode) -> bytes:
    """The body of configData."""
    return msgspec.json.encode({"mode": mode.value, "data": dict(attributes)})
