"""What a record becomes by an action of the table. Pure; what an action does to the disk is the driver's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ota.errors import RefusedError, Rule
from ota.slots.ecus import Ecu, recorded, table_of
from ota.slots.machine import Action, Event, State
from ota.slots.neighbours import Offer, Report
from ota.slots.record import BOOTS, Record
from ota.slots.trailer import Mark, Trailer


def other(slot: str) -> str:
    """The other slot."""
    return "b" if slot == "a" else "a"


def own_row(record: Record, own_ecu: str) -> Ecu | None:
    """The row of the slots, where they are to get an image."""
    row = table_of(record).get(own_ecu)
    return None if row is None or row.progress == "runs" else row


def after(action: Action, event: Event, record: Record, own: Ecu | None) -> Record:
    """The record that follows, its state apart."""
    match action:
        case Action.ARM if own is not None:
            return replace(record, trial=other(record.confirmed), boots_left=BOOTS, fell_back="")
        case Action.CONFIRM:
            return replace(_settled(record), confirmed=record.to_start, floors=_floors(record), outcome="confirmed")
        case Action.POINT_BACK if event is Event.CANCEL:
            return replace(_settled(record), outcome="cancelled")
        case Action.POINT_BACK:
            tried = [row.sha256 for row in table_of(record).values() if row.progress != "runs"]
            guilty = [own.sha256] if event is Event.FELL_BACK and own is not None else tried
            quarantine = record.quarantine | dict.fromkeys(guilty, record.plan_number)
            outcome = "failed" if record.trial == record.confirmed else "rolled back"  # there was nothing to go back to
            return replace(_settled(record), quarantine=quarantine, outcome=outcome)
        case Action.GIVE_UP:
            return replace(record, outcome="cancelled" if event is Event.CANCEL else "failed")
        case _:
            return record


def without_confirmed(record: Record, state: State, running: str, fault: str) -> Record:
    """The confirmed slot cannot be started: what the launcher has taken instead is what is known to be good now.

    Where that is the release that was to be given up, nothing has gone back, and that is told.
    """
    lost = f"and slot {record.confirmed} cannot be started any more ({fault})"
    kept = replace(record, confirmed=running)
    if record.fell_back:
        return replace(kept, fell_back=f"{record.fell_back}, {lost}")
    if state in (State.ROLLING_BACK, State.ROLLED_BACK):
        return replace(kept, outcome="failed", reason=f"{record.reason}, {lost}")
    return replace(kept, reason=fault)


def with_row(record: Record, ecu: str, **changes: Any) -> Record:
    """The record with something else in a row."""
    rows = table_of(record)
    values = {name: getattr(rows[ecu], name) for name in rows[ecu].__struct_fields__}
    return replace(record, ecus=recorded(rows | {ecu: Ecu(**(values | changes))}))


def check_number(record: Record, offer: Offer) -> None:
    """Raises `RefusedError` for a plan that is older than what was taken, or another one under its number."""
    plan, what = offer.plan, f"plan {offer.plan.number}"
    if plan.number < record.plan_number:
        raise RefusedError(Rule.PLAN, what, f"plan {record.plan_number} has been taken before")
    is_other = record.plan_digest not in ("", offer.digest)  # unknown, where both records were lost
    if plan.number == record.plan_number and is_other and not plan.is_cancelled:
        raise RefusedError(Rule.PLAN, what, "it is not the plan that was taken under this number")


def is_same_work(record: Record, offer: Offer) -> bool:
    """Whether a plan wants of every ECU what is under way already: it ends nothing, and is taken afterwards."""
    wants = {ecu: (each.target, offer.targets[each.target].sha256) for ecu, each in offer.plan.ecus.items()}
    has = {ecu: (row.target, row.sha256) for ecu, row in table_of(record).items()}
    return not offer.plan.is_cancelled and wants == has


def trailer_of(own: Ecu, proof: Mapping[str, Any]) -> Trailer:
    """What the slot is to say of its image. `proof`: of the metadata that it was verified by."""
    return Trailer(
        target=own.target,
        sha256=own.sha256,
        length=own.length,
        version=own.version,
        counter=own.counter,
        proof=dict(proof),
    )


def report_of(record: Record, log_tail: bytes) -> Report:
    """How the attempt has ended."""
    return Report(
        attempt=record.attempt,
        plan_number=record.plan_number,
        outcome=record.outcome or "failed",
        rule=record.rule,
        reason=record.reason,
        ecus=recorded(table_of(record)),
        log_tail=log_tail,
    )


def mark_of(record: Record, trailer: Trailer) -> Mark:
    """What the confirmed slot is to keep of a record."""
    return Mark(
        sha256=trailer.sha256,
        sequence=record.sequence,
        plan_number=record.plan_number,
        floors=record.floors,
        quarantine=record.quarantine,
    )


def _settled(record: Record) -> Record:
    """Nothing is on trial."""
    return replace(record, trial="", boots_left=0, fell_back="")


def _floors(record: Record) -> dict[str, int]:
    floors = dict(record.floors)
    for row in table_of(record).values():
        if row.progress != "failed" and row.floor:
            floors[row.floor_name] = max(row.floor, floors.get(row.floor_name, 0))
    return floors
