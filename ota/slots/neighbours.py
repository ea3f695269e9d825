"""Whom the driver of an update speaks to. Each is given to it; none of them knows the slots.

Everything here may raise `RefusedError` (a rule forbids it), another `OtaError` (not now: later it may go on) and
`StorageError` (the disk does not take it).
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple, Protocol

from ota.errors import Rule
from ota.payload.choice import Held
from ota.targets import Plan, Target

LATER = frozenset({Rule.NETWORK, Rule.BUDGET, Rule.CONDITION, Rule.SPACE, Rule.CANCELLED})
"""Refusals of a download that may not hold tomorrow. One that is cancelled is ended by the plan that has done so."""


class Offer(NamedTuple):
    """A plan whose metadata was verified a moment ago."""

    plan: Plan
    digest: str
    """Of the plan itself: the same however often it is signed anew."""
    targets: Mapping[str, Target]
    """By the path that the plan names."""
    hardware: Mapping[str, str]
    """ECU -> its hardware id."""
    proof: Mapping[str, Any]
    """Role -> version and hash of the metadata that says so; it is kept beside the image."""


class Progress(NamedTuple):
    """How far a download is."""

    done_bytes: int
    all_bytes: int


class Payload(Protocol):
    """The bytes of an update, verified; whatever is on the disk already is never fetched again."""

    def fetch_next(self, target: Target) -> Progress:
        """Fetch a bit more of what makes a target."""

    def is_complete(self, target: Target) -> bool:
        """Whether all of it is here, every block of it checked again since the start."""

    def image(self, target: Target, base: Held | None) -> Iterator[bytes]:
        """The target's bytes; `base` is the image that runs. Refuses, at the very end too, what is not the target.

        When a delta made the wrong image, `is_complete` is false afterwards: the whole image is to be fetched.
        """

    def was_full(self, target: Target) -> None:
        """The disk took no more of a target: it is not fetched again before more is free."""

    def tidy(self) -> None:
        """Nothing is under way: what was fetched may go, by age and room."""


class Secondaries(Protocol):
    """The other ECUs. Each call may be repeated and then changes nothing."""

    def running(self, ecu: str) -> str:
        """SHA-256 of the image that an ECU runs and has confirmed; nothing where it is on trial, or not known."""

    def stage(self, ecu: str, target: Target) -> bool:
        """Bring a bit more of a set into the part that is not in use; whether all of it is there and verified."""

    def is_staged(self, ecu: str, sha256: str) -> bool:
        """Whether an ECU has a set, verified and not in use."""

    def arm(self, ecu: str, sha256: str) -> None:
        """Start the staged set, on trial."""

    def runs(self, ecu: str, sha256: str) -> bool:
        """Whether an ECU that was told to start a set runs it, on trial or for good; else it has fallen back."""

    def commit(self, ecu: str, sha256: str) -> None:
        """Keep it for good."""

    def revert(self, ecu: str, sha256: str) -> None:
        """Go back to the set before, or drop the staged one."""


class Wellbeing(Enum):
    """What the health gates say of a release on trial."""

    WELL = "well"
    """All gates have held for as long as they must."""
    WAITING = "waiting"
    ILL = "ill"


class Verdict(NamedTuple):
    """The judgement of a moment, and why."""

    wellbeing: Wellbeing
    reason: str


class Health(Protocol):
    """The health gates."""

    def check(self) -> Verdict:
        """Judge the running release. Begins anew with each process."""

    def log_tail(self) -> bytes:
        """The last words of a release, at most 16 KiB."""


class Report(NamedTuple):
    """How an attempt ended."""

    attempt: str
    plan_number: int
    outcome: str
    rule: str
    reason: str
    ecus: Mapping[str, Mapping[str, Any]]
    log_tail: bytes


class Reports(Protocol):
    """The queue of what must be told. What becomes of a report there has no influence on slots."""

    def put(self, report: Report) -> None:
        """Keep it durably until it is taken; one of the same attempt again is the same report."""
