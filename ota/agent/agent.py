"""One run of the update agent: looks whether there is a plan, takes what is under way further, judges a trial.

It ends when there is nothing to do, when it must wait for longer, or when another slot is to be started; whoever
starts it (the gateway's supervisor, a timer, a person) is told by its exit code. What it was doing stands on the disk.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from enum import IntEnum
from functools import partial
from pathlib import Path

import msgspec

from ota.agent.account import account_on
from ota.agent.account_file import write_account
from ota.agent.audit import Audit, read_seen, write_seen
from ota.agent.config import OWN, ConfigError, UpdateConfig
from ota.agent.gate import Gate, OpenGate
from ota.agent.own_slots import own_slots
from ota.agent.parts import daily_budget, installers, lines, report_queue, repositories, sources, trust_client
from ota.agent.payload import FetchedPayload
from ota.agent.receipts import leave_receipts
from ota.agent.secondaries import McuSecondaries
from ota.agent.wellbeing import GatewayHealth
from ota.agent.world import World, why_not_now
from ota.errors import OtaError, RefusedError, Rule, StorageError
from ota.installers.mcu import SecondaryLineError
from ota.local_conditions import listener, unmet
from ota.payload.choice import Held, Way
from ota.payload.limits import SpeedLimit
from ota.payload.space import Room
from ota.reports import MAX_LOG_BYTES, EcuOutcome, Report
from ota.slots.changes import other
from ota.slots.driver import Did, Driver, Outcome
from ota.slots.ecus import table_of
from ota.slots.lock import only_one, record_lock
from ota.slots.machine import RESTING, State
from ota.slots.neighbours import Offer
from ota.slots.neighbours import Report as Ended
from ota.slots.record import read_key
from ota.storage import PosixStorage
from ota.targets import Plan, Target
from ota.vitals import GatewayAwayError, Vitals

LOOK_S = 5.0
"""Between two looks at a release on trial, or at what an update waits for."""
_JITTER = (0.5, 1.5)
"""Of the time between two looks at the repositories."""
_JUDGED = frozenset({State.ARMED, State.TRIAL, State.HEALTHY})
_MAX_KEY_BYTES = 4_096


class End(IntEnum):
    """Exit code of a run."""

    RESTING = 0
    """Nothing is under way."""
    WAITING = 10
    """Something waits: for a window, a network, a condition. Start it again soon."""
    RESTART = 11
    """Another slot is to be started: end what runs, and let the launcher choose. RAUC's: the machine is restarting."""


class UpdateAgent:
    """Built once a run. Raises `ConfigError`, `StorageError` and `RefusedError`.

    running: the slot that the launcher has started; stick: a folder to read instead of the network; gate: who else has
    a say in when a plan is followed.
    """

    def __init__(
        self,
        config: UpdateConfig,
        *,
        running: str,
        stick: Path | None = None,
        world: World | None = None,
        gate: Gate | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.world = world or World()
        self._config = config
        self._say = say
        self._stick = stick
        self._gate = gate or OpenGate()
        folder = config.path(config.data)
        self.storage = PosixStorage(folder)
        self.storage.open()
        key = read_key(self.storage)
        if key is None:
            raise ConfigError(f"{folder}: this device is not set up: there is no key (wayside ota setup)")
        self.audit = Audit(self.storage, self.world.wall_s)
        self._slots = own_slots(config, self.storage, key, running, say)
        self._plan: Plan | None = None
        """The plan that this run has verified, and what it names by ECU."""
        self._targets: dict[str, Target] = {}
        self._remark = ""
        self._is_soon = False
        """A secondary did not answer: the next run is to come soon."""
        self._look_at = self.world.monotonic() + config.poll_s
        """When a long download asks whether it is still wanted."""
        self._has_time: bool | None = None
        """Asked once a run."""
        self._sources = sources(config, stick, self.is_synchronised)
        self._payload = self._make_payload()
        self._health = self._make_health()
        self._trust = trust_client(config, self.storage, self.world.wall_s, self.is_synchronised)
        self.reports = report_queue(config, self.storage)
        self._lines = lines(config)
        self._secondaries = McuSecondaries(self.storage, installers(config, self._lines), self._payload)
        self._on_secondaries: dict[str, str] = {}
        self.driver = Driver(
            self.storage,
            key,
            lock=partial(record_lock, folder),
            installer=self._slots.installer,
            payload=self._payload,
            secondaries=self._secondaries,
            health=self._health,
            reports=_Queue(self, config.device),
            own_ecu=OWN,
            running=self._slots.running,
            may_switch=self._may_switch,
        )

    # A run ------------------------------------------------------------------------------------------------------

    def run(self, *, is_forced: bool = False) -> End:
        """Until it ends. `is_forced`: ask the repositories now, whenever they were asked last.

        Where another agent is at work already, as one that its gateway's end has left behind, this one leaves it to it.
        """
        with only_one(self.storage.folder) as is_alone, ExitStack() as used:
            for line in self._lines.values():
                used.enter_context(closing(line))
            for source in self._sources:
                used.enter_context(closing(source))
            end = self._run(is_forced=is_forced) if is_alone else End.WAITING
            if self._stick is not None and self.reports is not None:  # before the gateway may take them
                leave_receipts(self._stick, self._config.device, self.reports, self._say)
            if end is End.RESTART:
                self._slots.restart()
        return end

    def _run(self, *, is_forced: bool) -> End:
        self._trust.open()
        if self._finish_trial() is End.RESTART:
            return End.RESTART
        state = self.driver.state(self.driver.record())
        if is_forced or state not in RESTING | _JUDGED or self._is_due():
            self._poll()
        end = self._finish_trial()
        return End.WAITING if end is End.RESTING and self._is_soon else end

    def _finish_trial(self) -> End:
        """Take it as far as it goes; a trial is judged to its end."""
        until = self.world.monotonic() + self._config.health.within_s
        while True:
            outcome = self.driver.run()
            record = self.driver.record()
            state = self.driver.state(record)
            self._note(outcome, state)
            if outcome.did is Did.RESTART:
                return End.RESTART
            if outcome.did is Did.WAITING and state in _JUDGED:
                if self.world.monotonic() >= until:  # a secondary that does not answer must not hold a trial for ever
                    self.driver.give_up_trial(outcome.reason)
                    continue
                self.world.sleep(LOOK_S)
                continue
            if state in (State.CONFIRMED, State.REPORTED) and record.outcome == "confirmed":
                self._raise_floors()
            return End.RESTING if outcome.did is Did.RESTING else End.WAITING

    def _is_due(self) -> bool:
        """Also where the next look lies further ahead than any does: the clock was wrong when that was written."""
        left = read_seen(self.storage).next_at - self.world.wall_s()
        return not 0 < left <= self._config.poll_s * _JITTER[1]

    def _poll(self) -> None:
        """Ask both repositories; what they say is offered to the slots."""
        now = self.world.wall_s()
        seen = read_seen(self.storage)
        jitter = self.world.uniform(*_JITTER)
        seen = msgspec.structs.replace(seen, asked_at=int(now), next_at=int(now + self._config.poll_s * jitter))
        try:
            self._offer()
        except RefusedError as error:
            if str(error) != seen.refusal:  # what is refused every hour stands once in the trail
                self.audit.refused(error)
            self._say(str(error))
            seen = msgspec.structs.replace(seen, refusal=str(error), rule=error.rule.value)
        except SecondaryLineError as error:  # what it runs is not known, so neither is what there is to do
            self._say(str(error))
            self._is_soon = True
            seen = msgspec.structs.replace(seen, refusal=str(error), rule="", next_at=int(now))
        else:
            seen = msgspec.structs.replace(seen, answered_at=int(now), refusal="", rule="", remark=self._remark)
        write_seen(self.storage, seen)
        self._tell()

    def _is_overtaken(self) -> bool:
        """Between two blocks of a long download: ask again, as often as without one, whether it is still wanted."""
        if self._gate.stops():
            return True
        now = self.world.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + self._config.poll_s
        self._poll()
        return self.driver.is_overtaken

    def _offer(self) -> None:
        record = self.driver.record()
        with ExitStack() as connections:
            director, images = repositories(self._config, self._stick, connections, has_clock=self.is_synchronised())
            verified = self._trust.refresh(director, images, quarantined=record.quarantine)
        self._remark = "; ".join(filter(None, [verified.now.remark, *verified.damaged]))
        self._plan, self._targets = verified.plan, verified.targets
        self._payload.conditions = verified.plan.conditions
        if not verified.plan.is_cancelled:
            held_back = self._gate.may_take(verified.plan, verified.targets)
            is_known = verified.plan.number == record.plan_number and self.driver.state(record) in RESTING
            if held_back and not is_known:
                raise RefusedError(Rule.CONDITION, f"plan {verified.plan.number}", held_back)
        floors = self._trust.floors.record
        proof = {role: floor.version for role, floor in floors.roles.items()}
        offer = Offer(
            plan=verified.plan,
            digest=floors.plan_sha256,
            targets={target.path: target for target in verified.targets.values()},
            hardware={name: ecu.hardware for name, ecu in self._config.ecu.items()},
            proof=proof,
        )
        if self.driver.offer(offer):
            self.audit.note("plan taken", plan=verified.plan.number)

    def is_synchronised(self) -> bool:
        """Whether the gateway has its time from somebody else; where no gateway is named, the system's word counts."""
        if self._config.status_socket is None:
            return self.world.is_synchronised()
        if self._has_time is None:
            try:
                self._has_time = self.world.look(self._config.path(self._config.status_socket)).time == "set"
            except GatewayAwayError:
                return False
        return self._has_time

    def _unmet(self, names: list[str]) -> str:
        """Of local conditions, those that do not hold now."""
        if not self._config.condition or self._config.status_socket is None:
            return self.world.unmet(names)
        return unmet(names, self._config.condition, listener(self._config.path(self._config.status_socket)))

    def _may_switch(self, plan: Plan) -> str:
        """Why the slot may not be switched now; the last look at the gateway before it is."""
        reason = why_not_now(plan, self.world.wall_s(), self._unmet) or self._gate.may_switch(plan)
        if not reason:
            self._health.remember()
        return reason

    def _note(self, outcome: Outcome, state: State) -> None:
        """For `wayside ota status`, and each new state once for the trail."""
        record = self.driver.record()
        seen = read_seen(self.storage)
        waits_for = outcome.reason if outcome.did is Did.WAITING else ""
        if (state.value, waits_for) != (seen.state, seen.waits_for):
            self.audit.note("state", state=state.value, attempt=record.attempt, waits_for=waits_for)
        way = next((each.word for each in self._payload.ways.values()), seen.way)
        write_seen(self.storage, msgspec.structs.replace(seen, state=state.value, waits_for=waits_for, way=way))
        self._tell()

    def _tell(self) -> None:
        """For whoever watches from afar; a disk that does not take it holds up nothing."""
        try:
            write_account(self.storage, account_on(self.storage, self._config.device))
        except StorageError as error:
            self._say(str(error))

    def _raise_floors(self) -> None:
        """In the trust's own record too; done again after a cut it changes nothing."""
        if self._plan is None or self._slots.installer.trailer(self.driver.record().confirmed) is None:
            return
        record = self.driver.record()
        if record.plan_number != self._plan.number:
            return
        for ecu, row in table_of(record).items():
            target = self._targets.get(ecu)
            if target is not None and target.sha256 == row.sha256 and row.progress != "failed":
                self._trust.floors.confirm(self._config.ecu[ecu].hardware, target.info)

    # Building ---------------------------------------------------------------------------------------------------

    def _make_payload(self) -> FetchedPayload:
        limits = self._config.limits
        own = None if limits.kilobytes_per_s is None else int(limits.kilobytes_per_s * 1_000)

        def speed(planned: int | None) -> SpeedLimit:
            wanted = [each for each in (own, planned) if each is not None]
            return SpeedLimit(min(wanted, default=None), monotonic=self.world.monotonic, sleep=self.world.sleep)

        return FetchedPayload(
            self.storage,
            budget=daily_budget(self._config, self.storage, self.world.wall_s, self.is_synchronised),
            speed=speed,
            sources=self._sources,
            held=self._held,
            room=self._room,
            is_cancelled=self._is_overtaken,
            progress=self._progress,
        )

    def _held(self, target: Target) -> list[Held]:
        """Of the slot that is confirmed, which nobody writes to; for a set what all secondaries run that want it."""
        if target.info.kind != "mcu":
            held = self._slots.installer.held(self.driver.record().confirmed)
            return [] if held is None else [held]
        running = {self._running_on(ecu) for ecu, each in self._targets.items() if each.path == target.path}
        return [Held(each, 0, _not_here) for each in running if each and len(running) == 1]

    def _room(self, target: Target) -> Room:
        """A secondary's set is unpacked in memory."""
        if target.info.kind == "mcu":
            return Room(0, 0)
        return self._slots.installer.room(other(self.driver.record().confirmed), target.length)

    def _running_on(self, ecu: str) -> str:
        """Asked once a run; nothing where it does not answer: then the whole set is fetched."""
        if ecu not in self._on_secondaries:
            try:
                self._on_secondaries[ecu] = self._secondaries.running(ecu)
            except OtaError:
                return ""
        return self._on_secondaries[ecu]

    def _progress(self, target: Target, way: Way, done: int, all_: int) -> None:
        seen = read_seen(self.storage)
        if done == all_ or done - seen.done_bytes > all_ // 20 or done < seen.done_bytes:
            write_seen(self.storage, msgspec.structs.replace(seen, done_bytes=done, all_bytes=all_, way=way.word))
            self._tell()
        self._say(f"{target.path}: {way.word} {done:,} of {all_:,} bytes")

    def _make_health(self) -> GatewayHealth:
        config = self._config
        path = None if config.status_socket is None else config.path(config.status_socket)

        def look() -> Vitals:
            return Vitals() if path is None else self.world.look(path)

        return GatewayHealth(self.storage, config.health, look=look, log=self._log, monotonic=self.world.monotonic)

    def _log(self) -> bytes:
        """The gateway's last words."""
        if self._config.log_file is None:
            return b""
        try:
            with self._config.path(self._config.log_file).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_LOG_BYTES))
                return file.read(MAX_LOG_BYTES)
        except OSError:
            return b""


class _Queue:
    """See `ota.slots.neighbours.Reports`."""

    def __init__(self, agent: UpdateAgent, device: str) -> None:
        self._agent = agent
        self._device = device

    def put(self, report: Ended) -> None:
        """Sign it and keep it; and a line in the audit trail."""
        agent = self._agent
        agent.audit.note(
            "ended", attempt=report.attempt, outcome=report.outcome, rule=report.rule, reason=report.reason
        )
        if agent.reports is None:
            return
        document = {
            "attempt": report.attempt,
            "device": self._device,
            "plan": report.plan_number,
            "outcome": report.outcome.replace(" ", "-"),
            "rule": report.rule,
            "reason": report.reason,
            "time": int(agent.world.wall_s()),
            "time_quality": "set" if agent.is_synchronised() else "none",
            "ecus": {
                name: msgspec.to_builtins(EcuOutcome(target=row["target"], after=row["sha256"]))
                for name, row in report.ecus.items()
            },
        }
        agent.reports.put(msgspec.convert(document, Report), report.log_tail)


def _not_here(_offset: int, _size: int) -> bytes:
    raise AssertionError("what a secondary runs is read by the secondary")
