"""Electronic seals: which event leads where, and what raises an alarm.

Seals' own protocols are their makers' secret (ISO 18185 and 安全智能锁 frame them differently); what all have in common
is the life of a seal, and that its reports are counted. What each event leads to stands in `TRANSITIONS`; every other
combination is refused.

>>> next_state(SealState.SEALED, SealEvent.ROD_OPEN)
(<SealState.TAMPERED: 'tampered'>, True)
"""

from collections.abc import Mapping
from enum import Enum

import msgspec

from protocols.core.errors import FieldError


class SealState(Enum):
    """Where a seal stands."""

    OPEN = "open"
    SEALED = "sealed"
    TAMPERED = "tampered"


class SealEvent(Enum):
    """What a seal reports."""

    LOCK_AUTHORISED = "lock_authorised"
    UNLOCK_AUTHORISED = "unlock_authorised"
    UNLOCK_UNAUTHORISED = "unlock_unauthorised"
    ROD_OPEN = "rod_open"
    CABLE_CUT = "cable_cut"
    CASE_OPEN = "case_open"
    RESET_SUPERVISOR = "reset_supervisor"
    LOW_BATTERY = "low_battery"


TRANSITIONS: Mapping[tuple[SealState, SealEvent], tuple[bool, SealState]] = {
    (SealState.OPEN, SealEvent.LOCK_AUTHORISED): (False, SealState.SEALED),
    (SealState.OPEN, SealEvent.LOW_BATTERY): (True, SealState.OPEN),
    (SealState.SEALED, SealEvent.UNLOCK_AUTHORISED): (False, SealState.OPEN),
    (SealState.SEALED, SealEvent.ROD_OPEN): (True, SealState.TAMPERED),
    (SealState.SEALED, SealEvent.CABLE_CUT): (True, SealState.TAMPERED),
    (SealState.SEALED, SealEvent.CASE_OPEN): (True, SealState.TAMPERED),
    (SealState.SEALED, SealEvent.UNLOCK_UNAUTHORISED): (True, SealState.TAMPERED),
    (SealState.SEALED, SealEvent.LOW_BATTERY): (True, SealState.SEALED),
    (SealState.TAMPERED, SealEvent.RESET_SUPERVISOR): (False, SealState.OPEN),
    (SealState.TAMPERED, SealEvent.LOW_BATTERY): (True, SealState.TAMPERED),
}
"""(state, event) -> (whether it raises an alarm, the state after it)."""


def next_state(state: SealState, event: SealEvent) -> tuple[SealState, bool]:
    """The state after an event, and whether it raises an alarm. Raises `FieldError`."""
    row = TRANSITIONS.get((state, event))
    if row is None:
        raise FieldError(f"{event.value} does not happen while {state.value}", field="event")
    alarm, after = row
    return after, alarm


class SealReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a seal says. Its signature was verified by whoever hands it on. Positions in degrees times a million."""

    seal_id: str
    counter: int
    time_ms: int
    event: SealEvent
    battery_percent: int | None = None
    latitude_e6_deg: int | None = None
    longitude_e6_deg: int | None = None


class Seal:
    """One seal as its reports tell of it: the counter rises with each, or the report is refused."""

    def __init__(self, seal_id: str, state: SealState = SealState.OPEN, counter: int = -1) -> None:
        self.seal_id = seal_id
        self.state = state
        self.counter = counter

    def take(self, report: SealReport) -> bool:
        """Take a report; whether it raises an alarm. Raises `FieldError`, and then nothing has changed."""
        if report.seal_id != self.seal_id:
            raise FieldError("another seal", field="seal_id")
        if report.counter <= self.counter:
            raise FieldError(f"does not rise: {report.counter} after {self.counter}", field="counter")
        state, alarm = next_state(self.state, report.event)
        self.state, self.counter = state, report.counter
        return alarm
