"""The life of an update as one table: what happens in each state, what leads where, what is true after a power cut.

Pure: nothing here touches a disk or asks the time. The driver (`ota.slots.driver`) looks at the world, says what it has
found as an `Event`, does the `Action` that the table names, and then writes the record of the state that it leads to.
An action is done before its record is written and may be done twice: every one leads to the same end when repeated.

`CRASH_TABLE` is drawn in docs/ota_slots.md.
"""

from enum import Enum
from typing import NamedTuple


class State(Enum):
    """Where an update is. All but HEALTHY are written down."""

    IDLE = "idle"
    PLANNED = "planned"
    FETCHING = "fetching"
    FETCHED = "fetched"
    SLOT_INVALID = "slot invalid"
    WRITING = "writing"
    WRITTEN = "written"
    SECONDARIES_STAGED = "secondaries staged"
    ARMED = "armed"
    TRIAL = "trial"
    HEALTHY = "healthy"
    CONFIRMED = "confirmed"
    REPORTED = "reported"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Event(Enum):
    """What was found."""

    PLAN = "a plan with something to do"
    VERIFIED = "metadata verified again"
    LIES_HERE = "the image lies in the slot already"
    SLOT_STAYS = "no image for the slot"
    BLOCK = "a block more"
    ALL_FETCHED = "every block here"
    BLOBS_RIGHT = "blobs whole"
    BLOBS_WRONG = "a blob is not right"
    ERASED = "trailer gone"
    IMAGE_WRITTEN = "image written"
    SLOT_RIGHT = "read back, right"
    SLOT_WRONG = "read back, wrong"
    ECU_STAGED = "a secondary more"
    ALL_STAGED = "all staged, conditions hold"
    STARTED = "started in the new slot"
    FELL_BACK = "launcher fell back"
    WELL = "healthy long enough"
    ILL = "unhealthy"
    GATES_PASSED = "still healthy"
    COMMITTED = "secondaries committed, report kept"
    REVERTED = "secondaries reverted"
    REPORT_KEPT = "report kept"
    CANCEL = "plan cancelled or overtaken"
    REFUSED = "refused"


class Action(Enum):
    """What is made durable before the record of the new state."""

    NOTHING = "nothing"
    KEEP_PLAN = "keep the plan"
    ERASE_TRAILER = "erase the slot's trailer"
    WRITE_TRAILER = "write the slot's trailer"
    ARM = "point to the new slot"
    CONFIRM = "confirm the slot and raise the floors"
    POINT_BACK = "point to the old slot"
    GIVE_UP = "keep the reason"


class Row(NamedTuple):
    """One state."""

    leaving: str
    """What is durable when it is left."""
    after_cut: str
    """What the next boot does when the power went here."""
    ways: dict[Event, tuple[Action, State]]


_CANCEL = {Event.CANCEL: (Action.GIVE_UP, State.CANCELLED)}
_GIVE_UP = {**_CANCEL, Event.REFUSED: (Action.GIVE_UP, State.FAILED)}
_FELL_BACK = {Event.FELL_BACK: (Action.POINT_BACK, State.ROLLING_BACK)}
_ILL = {Event.ILL: (Action.POINT_BACK, State.ROLLING_BACK)}
_NEXT_PLAN = {Event.PLAN: (Action.KEEP_PLAN, State.PLANNED)}

CRASH_TABLE: dict[State, Row] = {
    State.IDLE: Row("nothing", "waits for a plan", {**_NEXT_PLAN}),
    State.PLANNED: Row(
        "plan, hashes and number of the attempt",
        "verifies the metadata again and goes on",
        {Event.VERIFIED: (Action.NOTHING, State.FETCHING), **_CANCEL},
    ),
    State.FETCHING: Row(
        "each block, then its bit in the map",
        "trusts only blocks whose hash it has checked again; goes on with the first that is missing",
        {
            Event.BLOCK: (Action.NOTHING, State.FETCHING),
            Event.ALL_FETCHED: (Action.NOTHING, State.FETCHED),
            **_GIVE_UP,
        },
    ),
    State.FETCHED: Row(
        "that all is here",
        "checks every block again before it uses one",
        {
            Event.BLOBS_RIGHT: (Action.ERASE_TRAILER, State.SLOT_INVALID),
            Event.BLOBS_WRONG: (Action.NOTHING, State.FETCHING),
            Event.LIES_HERE: (Action.NOTHING, State.WRITTEN),
            Event.SLOT_STAYS: (Action.NOTHING, State.SECONDARIES_STAGED),
            **_GIVE_UP,
        },
    ),
    State.SLOT_INVALID: Row(
        "the trailer of the slot is gone; what runs was not touched",
        "the running slot boots; begins to write from the start",
        {Event.ERASED: (Action.NOTHING, State.WRITING), **_CANCEL},
    ),
    State.WRITING: Row(
        "the image, its unpacked tree, and only then the trailer",
        "without a trailer the slot is never started; begins to write from the start, fetches nothing again",
        {
            Event.IMAGE_WRITTEN: (Action.WRITE_TRAILER, State.WRITTEN),
            Event.BLOBS_WRONG: (Action.NOTHING, State.FETCHING),
            **_GIVE_UP,
        },
    ),
    State.WRITTEN: Row(
        "nothing more",
        "reads the slot back; writes it again if it is wrong",
        {
            Event.SLOT_RIGHT: (Action.NOTHING, State.SECONDARIES_STAGED),
            Event.SLOT_WRONG: (Action.ERASE_TRAILER, State.FETCHING),
            **_GIVE_UP,
        },
    ),
    State.SECONDARIES_STAGED: Row(
        "each secondary's set, verified and not in use; then, in one record, the new slot and its boots",
        "asks each secondary for what it has; offers again what is missing; reads the slot back once more",
        {
            Event.ECU_STAGED: (Action.NOTHING, State.SECONDARIES_STAGED),
            Event.ALL_STAGED: (Action.ARM, State.ARMED),
            Event.BLOBS_WRONG: (Action.NOTHING, State.FETCHING),
            Event.SLOT_WRONG: (Action.ERASE_TRAILER, State.FETCHING),
            **_GIVE_UP,
        },
    ),
    State.ARMED: Row(
        "a boot less, before the new slot is started",
        "the new slot boots; the old one if the record was torn",
        {
            Event.STARTED: (Action.NOTHING, State.TRIAL),
            **_FELL_BACK,
            Event.CANCEL: (Action.POINT_BACK, State.CANCELLED),
        },
    ),
    State.TRIAL: Row(
        "a boot less, before each start",
        "the new slot boots while it has boots left, then the old one; judges its health from the beginning",
        {Event.WELL: (Action.NOTHING, State.HEALTHY), **_ILL, **_FELL_BACK},
    ),
    State.HEALTHY: Row(
        "slot confirmed, floors raised, in one record",
        "is in trial again, and judges anew",
        {Event.GATES_PASSED: (Action.CONFIRM, State.CONFIRMED), **_ILL},
    ),
    State.CONFIRMED: Row(
        "mark in the slot; each secondary committed; the report in its queue",
        "does these again; never goes back from here, whatever becomes of the report",
        {Event.COMMITTED: (Action.NOTHING, State.REPORTED)},
    ),
    State.REPORTED: Row("nothing", "waits for a plan", {**_NEXT_PLAN}),
    State.ROLLING_BACK: Row(
        "old slot, quarantine and reason were kept on entering; each secondary reverted",
        "the old slot boots; tells the secondaries again to revert",
        {Event.REVERTED: (Action.NOTHING, State.ROLLED_BACK)},
    ),
    State.ROLLED_BACK: Row(
        "the report, with the reason and the last log, in its queue",
        "puts the report there again: the same attempt, so it is one report",
        {Event.REPORT_KEPT: (Action.NOTHING, State.IDLE)},
    ),
    State.CANCELLED: Row(
        "the report in its queue; what was fetched is removed",
        "does both again",
        {Event.REPORT_KEPT: (Action.NOTHING, State.IDLE)},
    ),
    State.FAILED: Row(
        "the report in its queue; what was fetched is removed",
        "does both again; the same plan is not tried again",
        {Event.REPORT_KEPT: (Action.NOTHING, State.IDLE)},
    ),
}

TRANSITIONS: dict[tuple[State, Event], tuple[Action, State]] = {
    (state, event): way for state, row in CRASH_TABLE.items() for event, way in row.ways.items()
}
"""What is drawn, and what the driver follows."""

VOLATILE = frozenset({State.HEALTHY})
"""Never written down: after a cut there, the record says TRIAL."""
RESTING = frozenset({State.IDLE, State.REPORTED})
"""Nothing is under way."""
MAY_BE_OVERTAKEN = frozenset(state for state, row in CRASH_TABLE.items() if Event.CANCEL in row.ways)
"""A newer plan, or one that cancels, ends what is under way."""


def follow(state: State, event: Event) -> tuple[Action, State]:
    """What to do and where it leads. An event that its state does not know is a defect of the driver."""
    return TRANSITIONS[state, event]


def state_of(word: str) -> State | None:
    """A recorded state; None for one that this version does not know, as a newer release may have left it."""
    return State.__members__.get(word)
