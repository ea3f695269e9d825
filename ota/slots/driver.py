"""Takes an update through its states: one durable step at a time, so that the power may go between any two.

`offer` takes a verified plan, `step` does one thing: it looks at the world, names what it finds as an event of
`ota.slots.machine`, does the action that the table gives and writes the record of the state that follows. After a start
a driver made anew goes on where the record is. Reports are put into their queue and nothing else: what becomes of them
changes no slot.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from enum import Enum
from typing import NamedTuple

from ota.errors import Cause, OtaError, RefusedError, Rule, StorageError
from ota.installers.installer import Installer
from ota.slots.barrier import Barrier, Step
from ota.slots.changes import (
    after,
    check_number,
    is_same_work,
    mark_of,
    other,
    own_row,
    report_of,
    trailer_of,
    without_confirmed,
)
from ota.slots.ecus import Ecu, recorded, rows_of, table_of
from ota.slots.machine import MAY_BE_OVERTAKEN, RESTING, VOLATILE, Action, Event, State, follow, state_of
from ota.slots.neighbours import LATER, Health, Offer, Payload, Reports, Secondaries, Wellbeing
from ota.slots.record import SLOTS, Record, RecordStore, StaleRecordError
from ota.slots.trailer import rebuild
from ota.storage import Storage
from ota.targets import Plan, Target

_RETURNS = frozenset({Event.BLOBS_WRONG, Event.SLOT_WRONG})
MAX_RETURNS = 3
"""So often a process begins anew with what the disk has spoiled: a broken medium is not worn out further."""


class Did(Enum):
    """What came of a step."""

    STEP = "step"
    """Something was done: there may be more at once."""
    WAITING = "waiting"
    RESTART = "restart"
    """Another slot is to be started: end the running release, and let the launcher choose."""
    RESTING = "resting"


class Outcome(NamedTuple):
    """What came of a step, and what it waits for."""

    did: Did
    reason: str = ""


class NoSlotError(OtaError):
    """Both records are lost, and so are both slots. Whatever runs, nothing vouches for it."""


class Driver:
    """One process's hold on the update. Not thread-safe."""

    def __init__(
        self,
        storage: Storage,
        key: bytes,
        *,
        lock: Callable[[], AbstractContextManager[object]],
        installer: Installer,
        payload: Payload,
        secondaries: Secondaries,
        health: Health,
        reports: Reports,
        own_ecu: str,
        running: str,
        may_switch: Callable[[Plan], str],
    ) -> None:
        """`running`: the slot that the launcher has started; `may_switch`: why not yet, nothing where it may.

        Raises `RefusedError` for a slot that there is not.
        """
        if running not in SLOTS:
            raise RefusedError(Rule.FORMAT, f"slot {running}", f"the slots of a device are {' and '.join(SLOTS)}")
        self._storage = storage
        self._key = key
        self._store = RecordStore(storage, key, lock)
        self._installer = installer
        self._payload = payload
        self._secondaries = secondaries
        self._barrier = Barrier(secondaries, own_ecu, payload.is_complete)
        self._health = health
        self._reports = reports
        self._own_ecu = own_ecu
        self._running = running
        self._may_switch = may_switch
        self._offer: Offer | None = None
        self._next: Offer | None = None
        """What ends the update that is under way."""
        self._is_healthy = False
        self._returns = 0

    # What others ask --------------------------------------------------------------------------------------------

    def record(self) -> Record:
        """What holds now; made from the slots where both records are lost. Raises `NoSlotError`, `StorageError`."""
        record = self._store.read()
        if record is None:
            made = rebuild(self._storage, self._key, lambda slot: not self._installer.start_fault(slot))
            if made is None:
                raise NoSlotError(f"{Rule.STORAGE.value}: neither a record nor a slot holds")
            record = self._store.write(made)
        return record

    def state(self, record: Record) -> State:
        """Where it is. A state that only a newer release knows is a trial, if there is one, and a failure if not."""
        if self._is_healthy and record.state == State.TRIAL.name:
            return State.HEALTHY
        return state_of(record.state) or (State.TRIAL if record.trial else State.FAILED)

    def offer(self, offer: Offer) -> bool:
        """Take a verified plan, or the one that is under way again; whether there is anything to do about it.

        Raises `RefusedError`, with nothing changed: it is older than what was taken, or asks for what is forbidden.
        """
        record = self.record()
        state, plan = self.state(record), offer.plan
        check_number(record, offer)
        if state in RESTING:
            return self._take(record, offer)
        is_it = plan.number == record.plan_number and not plan.is_cancelled
        if is_it or (state in MAY_BE_OVERTAKEN and is_same_work(record, offer)):
            self._offer = offer  # a newer plan that wants the same vouches for it, under its own conditions
        else:
            self._next = offer
        return True

    def step(self) -> Outcome:
        """Do one thing. Raises `StorageError`: nothing is lost, the next step tries again."""
        record = self.record()
        state = self.state(record)
        may_end = state in MAY_BE_OVERTAKEN and self._running == record.confirmed
        try:
            if self._next is not None and may_end:
                reason = "the plan is cancelled" if self._next.plan.is_cancelled else "a newer plan has come"
                return self._move(record, Event.CANCEL, Rule.CANCELLED, reason)
            if self._running != record.to_start:
                return self._start_another(record)
            handler: Callable[[Record], Outcome] = getattr(self, f"_when_{state.name.lower()}")
            return handler(record)
        except StaleRecordError:
            return Outcome(Did.STEP)
        except StorageError:
            raise
        except OtaError as error:  # not now
            return Outcome(Did.WAITING, str(error))

    @property
    def is_overtaken(self) -> bool:
        """Whether a newer plan, or one that cancels, is to end what is under way."""
        return self._next is not None

    def give_up_trial(self, reason: str) -> None:
        """The trial has had its time: the old slot is to run again. Anywhere else it does nothing."""
        record = self.record()
        if self.state(record) in (State.TRIAL, State.HEALTHY):
            self._move(record, Event.ILL, Rule.HEALTH, reason or "it has not been well for long enough")

    def run(self) -> Outcome:
        """Step until it waits, rests, or wants a restart."""
        while (outcome := self.step()).did is Did.STEP:
            pass
        return outcome

    def _start_another(self, record: Record) -> Outcome:
        if record.to_start == record.confirmed and (fault := self._installer.start_fault(record.confirmed)):
            self._store.write(without_confirmed(record, self.state(record), self._running, fault))
            return Outcome(Did.STEP)
        if record.to_start == record.trial:  # the launcher must count: what cannot be written now, is not then
            self._store.write(record)
        return Outcome(Did.RESTART, f"slot {record.to_start} is to be started")

    # Plans ------------------------------------------------------------------------------------------------------

    def _take(self, record: Record, offer: Offer) -> bool:
        plan = offer.plan
        if plan.number == record.plan_number or plan.is_cancelled:
            return False
        running = {ecu: self._secondaries.running(ecu) for ecu in plan.ecus if ecu != self._own_ecu}
        trailer = self._installer.trailer(record.confirmed)
        running[self._own_ecu] = trailer.sha256 if trailer is not None else ""
        rows = rows_of(offer, running, record)
        taken = replace(record, plan_number=plan.number, plan_digest=offer.digest, quarantine={})
        if all(row.progress == "runs" for row in rows.values()):
            self._store.write(taken)
            return False
        fresh = replace(taken, policy=plan.policy, attempt=str(plan.number), ecus=recorded(rows))
        self._offer = offer
        self._move(replace(fresh, outcome="", rule="", reason=""), Event.PLAN)
        return True

    # States -----------------------------------------------------------------------------------------------------

    def _when_idle(self, _record: Record) -> Outcome:
        if self._next is not None:
            offer, self._next = self._next, None
            try:
                is_taken = self.offer(offer)
            except RefusedError as error:  # it is offered again, to be refused before all
                return Outcome(Did.RESTING, str(error))
            if is_taken:
                return Outcome(Did.STEP)
        return Outcome(Did.RESTING)

    _when_reported = _when_idle

    def _when_planned(self, record: Record) -> Outcome:
        if self._offer is None:
            return _UNVERIFIED
        return self._move(record, Event.VERIFIED)

    def _when_fetching(self, record: Record) -> Outcome:
        for target in self._to_fetch(record):
            if self._payload.is_complete(target):
                continue
            try:
                self._payload.fetch_next(target)
            except RefusedError as error:
                if error.rule in LATER:
                    raise
                return self._move(record, Event.REFUSED, error.rule, str(error))
            return self._move(record, Event.BLOCK)
        return self._move(record, Event.ALL_FETCHED) if self._offer is not None else _UNVERIFIED

    def _when_fetched(self, record: Record) -> Outcome:
        if self._offer is None:
            return _UNVERIFIED
        own = self._own(record)
        if not all(self._payload.is_complete(target) for target in self._to_fetch(record)):
            return self._move(record, Event.BLOBS_WRONG)
        if own is None:
            return self._move(record, Event.SLOT_STAYS)
        return self._move(record, Event.LIES_HERE if self._lies_here(record, own) else Event.BLOBS_RIGHT)

    def _when_slot_invalid(self, record: Record) -> Outcome:
        self._installer.erase(other(record.confirmed))
        return self._move(record, Event.ERASED)

    def _when_writing(self, record: Record) -> Outcome:
        own = self._own(record)
        if self._offer is None or own is None:
            reason = "its record is of a newer release"
            return _UNVERIFIED if own is not None else self._move(record, Event.REFUSED, Rule.FORMAT, reason)
        target = self._offer.targets[own.target]
        if not self._payload.is_complete(target):  # after a cut, another way to the image may be the one that is left
            return self._move(record, Event.BLOBS_WRONG)
        slot = other(record.confirmed)
        self._installer.erase(slot)
        try:
            pieces = self._payload.image(target, self._installer.held(record.confirmed))
            self._installer.write(slot, trailer_of(own, self._offer.proof), pieces)
        except RefusedError as error:
            if not self._payload.is_complete(target):
                return self._move(record, Event.BLOBS_WRONG)
            return self._move(record, Event.REFUSED, error.rule, str(error))
        except StorageError as error:
            if error.cause is not Cause.FULL:
                raise
            self._payload.was_full(target)
            return self._move(record, Event.REFUSED, Rule.SPACE, str(error))
        return self._move(record, Event.IMAGE_WRITTEN)

    def _when_written(self, record: Record) -> Outcome:
        own = self._own(record)
        is_right = own is not None and self._lies_here(record, own)
        return self._move(record, Event.SLOT_RIGHT if is_right else Event.SLOT_WRONG)

    def _when_secondaries_staged(self, record: Record) -> Outcome:
        if self._offer is None:
            return _UNVERIFIED
        if (outcome := self._follow(record, self._barrier.stage(record, self._offer.targets))) is not None:
            return outcome
        rows = table_of(record)
        if self._own(record) is None and all(row.progress in ("runs", "failed") for row in rows.values()):
            return self._move(record, Event.REFUSED, Rule.ECU, "no secondary has taken its set")
        reason = self._may_switch(self._offer.plan)
        if reason:
            return Outcome(Did.WAITING, reason)
        own = self._own(record)  # days may have gone by since it was written
        is_right = own is None or self._lies_here(record, own)
        return self._move(record, Event.ALL_STAGED if is_right else Event.SLOT_WRONG)

    def _when_armed(self, record: Record) -> Outcome:
        if record.fell_back:
            return self._move(record, Event.FELL_BACK, Rule.HEALTH, record.fell_back)
        return self._move(record, Event.STARTED)

    def _when_trial(self, record: Record) -> Outcome:
        if record.fell_back:
            return self._move(record, Event.FELL_BACK, Rule.HEALTH, record.fell_back)
        return self._follow(record, self._barrier.arm(record)) or self._judge(record, Event.WELL)

    def _when_healthy(self, record: Record) -> Outcome:
        return self._follow(record, self._barrier.hold(record)) or self._judge(record, Event.GATES_PASSED)

    def _judge(self, record: Record, well: Event) -> Outcome:
        wellbeing, reason = self._health.check()
        if wellbeing is Wellbeing.WAITING:
            return Outcome(Did.WAITING, reason)
        if wellbeing is Wellbeing.ILL:
            return self._move(record, Event.ILL, Rule.HEALTH, reason)
        return self._move(record, well)

    def _when_confirmed(self, record: Record) -> Outcome:
        trailer = self._installer.trailer(record.confirmed)
        if trailer is not None:
            self._installer.mark(record.confirmed, mark_of(record, trailer))
        step = self._barrier.keep(record, is_awaited=self.is_overtaken)
        return self._follow(record, step) or self._report(record, Event.COMMITTED)

    def _when_rolling_back(self, record: Record) -> Outcome:
        step = self._barrier.go_back(record, is_awaited=self.is_overtaken)
        return self._follow(record, step) or self._move(record, Event.REVERTED)

    def _when_rolled_back(self, record: Record) -> Outcome:
        return self._report(record, Event.REPORT_KEPT)

    _when_cancelled = _when_failed = _when_rolled_back

    # Actions: what is durable before the record, and what the record says ----------------------------------------

    def _move(self, record: Record, event: Event, rule: Rule | None = None, reason: str = "") -> Outcome:
        """Do what the table says and write where it leads."""
        state = self.state(record)
        if event in _RETURNS:
            self._returns += 1
            if self._returns > MAX_RETURNS:
                event, rule, reason = Event.REFUSED, Rule.STORAGE, "the disk does not keep what is written to it"
        action, end = follow(state, event)
        self._do(action, record)
        changed = after(action, event, record, self._own(record))
        if rule is not None:
            changed = replace(changed, rule=rule.value, reason=reason)
        self._is_healthy = end is State.HEALTHY
        if end not in VOLATILE and event is not Event.BLOCK:  # of blocks the payload keeps its own account
            self._store.write(replace(changed, state=end.name))
        return Outcome(Did.STEP)

    def _follow(self, record: Record, step: Step | None) -> Outcome | None:
        """Record what has become of a secondary; None where there is nothing to record."""
        if step is None:
            return None
        if step.event is not None:
            return self._move(step.record, step.event, step.rule, step.reason)
        if step.record is not record:
            self._store.write(step.record)
        return Outcome(Did.STEP)

    def _do(self, action: Action, record: Record) -> None:
        if action is Action.ERASE_TRAILER:
            self._installer.erase(other(record.confirmed))
        elif action is Action.WRITE_TRAILER:
            own = self._own(record)
            assert own is not None, "an image was written"
            assert self._offer is not None, "of an offer"
            self._installer.seal(other(record.confirmed), trailer_of(own, self._offer.proof))

    def _report(self, record: Record, event: Event) -> Outcome:
        try:
            log_tail = self._health.log_tail() if self.state(record) is State.ROLLED_BACK else b""
            self._reports.put(report_of(record, log_tail))
            self._payload.tidy()
        except OtaError as error:  # it is tried again for ever, and decides nothing
            return Outcome(Did.WAITING, str(error))
        return self._move(record, event)

    # Looks ------------------------------------------------------------------------------------------------------

    def _own(self, record: Record) -> Ecu | None:
        return own_row(record, self._own_ecu)

    def _lies_here(self, record: Record, own: Ecu) -> bool:
        slot = other(record.confirmed)
        trailer = self._installer.trailer(slot)
        return trailer is not None and trailer.sha256 == own.sha256 and not self._installer.fault(slot)

    def _to_fetch(self, record: Record) -> list[Target]:
        if self._offer is None:
            return []
        own = self._own(record)
        lies_here = own is not None and self._lies_here(record, own)
        return [
            self._offer.targets[row.target]
            for ecu, row in table_of(record).items()
            if row.progress == "wanted" and not (ecu == self._own_ecu and lies_here)
        ]


_UNVERIFIED = Outcome(Did.WAITING, "the metadata of the plan is to be verified again")
