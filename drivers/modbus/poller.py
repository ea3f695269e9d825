"""One device's poll rounds: what is asked when, what an answer or its absence means, what comes out. No I/O, no clock.

A round reads every block once and makes one sample. Rounds are due every period, counted from the first; one that takes
longer than its period is followed by the next at once, and what was missed by more than a period is left out. The
first one begins with what must be read once.

| what happens | what follows |
|---|---|
| no answer, noise, exceptions 05 06 0B | the same again, `retries` times; then None, communication failed |
| exceptions 02 03 | the block is split into its items, once; an item that is refused alone is absent: None |
| exceptions 04 08 | None, device fault |
| 3 misses in a row (9 when bytes came, but no answer) | the unit is dead: None, and one request each 10th round |
| the port is lost | rounds are None until it is back |

Probes of all dead units of a line take at most a twentieth of its time. Absent registers are looked for again when the
device was dead, and every hour: a controller that boots may refuse what it has.
"""

import logging
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from drivers.errors import DeviceConfigError, DeviceRefusedError, DeviceTimeoutError, DriverError
from drivers.modbus.counters import PollCounters
from drivers.modbus.plan import Layout, Plan, Read
from drivers.modbus.sunspec import Steps, prepare
from drivers.readings import Quality, Sample, Value
from drivers.text import _
from protocols.modbus_devices.master import Call, Failure
from protocols.modbus_devices.pdu import (
    DEVICE_FAILURE,
    GATEWAY_PATH,
    GATEWAY_TARGET,
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    MEMORY_PARITY,
    PASSING_EXCEPTIONS,
    BitsResponse,
    Pdu,
    RegistersResponse,
)
from protocols.modbus_devices.register_map import RegisterMap

log = logging.getLogger(__name__)

PROBE_ROUNDS = 10
"""A dead unit is probed once in so many rounds."""
BUSY_S = 0.1
"""A device that says it is busy is left alone for so long."""
_SILENT_DOUBT = 3
_NOISY_DOUBT = 1
_DEAD_DOUBT = 9
_FAILED = int(Quality.COMMUNICATION_FAILED)
_FAULT = int(Quality.DEVICE_FAULT)
_NOT_READ = int(Quality.UNCERTAIN)
_SILENT_CODES = (GATEWAY_PATH, GATEWAY_TARGET)


class PollState(Enum):
    """Where a device's life stands."""

    WAITING = "waiting for its port"
    POLLING = "polling"
    DEAD = "not answering"
    DOWN = "port down"


class Outlet(Protocol):
    """Who takes what a poller makes; `Readings` with the device's name filled in."""

    def sample(self, sample: Sample) -> None:
        """Take one round."""

    def lost(self, error: DriverError) -> None:
        """The device does not answer."""

    def back(self) -> None:
        """It answers."""


class Step:
    """One question of those that must be answered before the first round."""

    __slots__ = ("attempts", "call", "not_before")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.attempts = 0
        self.not_before = 0.0


class Poller:
    """One device on a bus. See the module's docstring.

    probe_gap_s: how far apart probes must be that take so long (seconds in, seconds out).
    """

    def __init__(
        self,
        name: str,
        registers: RegisterMap,
        layout: Layout,
        *,
        period_s: float,
        retries: int,
        probe_gap_s: Callable[[float], float],
        outlet: Outlet,
    ) -> None:
        self.name = name
        self.state = PollState.WAITING
        self.counters = PollCounters()
        self.next_due: float | None = None
        """When `poll()` has something to say; None while answers are awaited or the port never was open."""
        self.plan = Plan(layout)
        self.round_s = 0.0
        """How long the last round took."""
        self.last_error: str | None = None
        self._registers = registers
        self.period_s = period_s
        self._retries = retries
        self._probe_gap_s = probe_gap_s
        self._outlet = outlet
        self._is_prepared = registers.sunspec_model is None and not registers.scale_factors
        self._steps: Steps | None = None
        self._todo: deque[Read | Step] = deque()
        self._open: dict[Call, Read | Step] = {}
        self._is_in_round = False
        self._number = 0
        self._began = 0.0
        self._round_due = 0.0
        self._values: list[Value] = []
        self._bad: list[tuple[int, int]] = []
        self._answered_at: float | None = None
        self._doubt = 0
        self._probe_at = 0.0
        self._is_lost = True
        self._why_lost: str | None = None

    @property
    def is_dead(self) -> bool:
        """Whether it is only probed."""
        return self.state is PollState.DEAD

    # What the bus calls

    def port_opened(self, now: float) -> None:
        """The port is open: begin a round at once."""
        if self.state is not PollState.DEAD:
            self.state = PollState.POLLING
        self._probe_at = now
        self.next_due = self._round_due = now

    def port_down(self, error: DriverError, now: float) -> None:
        """The port is lost or cannot be opened. What was asked is not answered any more."""
        if self.state is not PollState.DEAD:
            self.state = PollState.DOWN
        self._lose(error)
        if self._is_in_round:
            for item in (*self._open.values(), *self._todo):
                self._give_up(item, _FAILED)
            self._open.clear()
            self._todo.clear()
            self._end_round(now)
        elif self.next_due is None:
            self.next_due = self._round_due = now

    def stop(self) -> None:
        """It is taken off its bus."""
        self._open.clear()
        self._todo.clear()
        self._is_in_round = False
        self._is_lost = True
        self.state = PollState.WAITING
        self.next_due = None

    def miss(self, now: float) -> None:
        """A round is due while the port is not open."""
        self._start_round(now)
        self._end_round(now)

    def poll(self, now: float, held_until: Callable[[Call, float], float]) -> Call | None:
        """The next request, or None when there is none now; `next_due` then says when to ask again."""
        if not self._is_in_round:
            self._start_round(now)
            if self.state is not PollState.DEAD or now >= self._probe_at:
                self._fill_round(now)
        earliest: float | None = None
        if self.state is not PollState.DEAD or not self._open:  # a dead unit is asked one thing
            for at, item in enumerate(self._todo):
                when = max(item.not_before, held_until(item.call, now))
                if when <= now:
                    del self._todo[at]
                    self._open[item.call] = item
                    self.counters.requests += 1
                    self.counters.retries += item.attempts > 0
                    self.next_due = self._round_due if self._todo else None
                    return item.call
                earliest = when if earliest is None else min(earliest, when)
        if self._todo or self._open:
            self.next_due = earliest
        else:
            self._end_round(now)
        return None

    # Answers

    def replied(self, call: Call, response: Pdu, at: float) -> None:
        """The answer to a call of this device."""
        item = self._open.pop(call, None)
        if item is None:
            return
        self._alive()
        assert isinstance(response, (RegistersResponse, BitsResponse))
        if isinstance(item, Step):
            self._take_step(response.registers if isinstance(response, RegistersResponse) else None)
        else:
            self._answered_at = at
            values = item.decoder(response.data)
            if item.place is not None:
                self._values[item.place] = values
            else:
                for i, value in zip(item.indexes, values, strict=True):
                    self._values[i] = value
            if bad := item.decoder.bad(values):
                self._bad += [(item.indexes[i], quality) for i, quality in bad]
        self._go_on(at)

    def failed(self, call: Call, reason: Failure, at: float, code: int | None) -> None:
        """A call has no answer that can be used."""
        item = self._open.pop(call, None)
        if item is None:
            return
        self._note(self.counters.count(call, reason, code))
        if reason is Failure.EXCEPTION and code not in _SILENT_CODES:
            self._alive()
            self._refused(item, code or 0, at)
        else:
            self._unanswered(item, at, is_silent=reason in (Failure.TIMEOUT, Failure.EXCEPTION))
        self._go_on(at)

    def _refused(self, item: Read | Step, code: int, at: float) -> None:
        if code in PASSING_EXCEPTIONS and item.attempts < self._retries:
            item.attempts += 1
            item.not_before = at + BUSY_S
            self._todo.append(item)
        elif isinstance(item, Step):
            self._take_step(None)
        elif code not in (ILLEGAL_ADDRESS, ILLEGAL_VALUE):
            self._give_up(item, _FAULT if code in (DEVICE_FAILURE, MEMORY_PARITY) else _FAILED)
        elif item.is_single:
            self._is_absent(item, at)
        else:
            self._todo.extendleft(reversed(self.plan.split_up(item)))

    def _unanswered(self, item: Read | Step, at: float, *, is_silent: bool) -> None:
        self._doubt += _SILENT_DOUBT if is_silent else _NOISY_DOUBT
        if self._doubt >= _DEAD_DOUBT:
            self._die(item.call, at)
        elif item.attempts < self._retries:
            item.attempts += 1
            self._todo.appendleft(item)
            return
        self._give_up(item, _FAILED)
        if is_silent or self.is_dead:  # a unit that says nothing to one question says nothing to the others
            for other in self._todo:
                self._give_up(other, _FAILED)
            self._todo.clear()

    # Rounds

    def _start_round(self, now: float) -> None:
        self._is_in_round = True
        self._began = now
        self.counters.rounds += 1
        self._answered_at = None
        self._bad = []
        self._values = [None] * len(self.plan.layout.points)

    def _fill_round(self, now: float) -> None:
        if not self._is_prepared:
            self._steps = prepare(self._registers)
            self._next_step(None)
            return
        for read in self.plan.reads(now):
            if self._number % read.group.every == 0:
                read.attempts = 0
                read.not_before = 0.0
                self._todo.append(read)
            else:
                self._give_up(read, _NOT_READ)
        self._number += 1
        self._bad += [(i, _FAILED) for i in self.plan.absent]

    def _go_on(self, at: float) -> None:
        if self._todo:
            self.next_due = self._round_due
        elif not self._open and self._is_in_round:
            self._end_round(at)

    def _end_round(self, now: float) -> None:
        self._is_in_round = False
        at = now
        if self._answered_at is not None:
            at = self._answered_at
            self._bad.sort()
        else:
            self.counters.failed_rounds += 1
            known = dict(self._bad)
            self._bad = [(i, known.get(i, _FAILED)) for i in range(len(self._values))]
        self._outlet.sample(Sample(self.name, at, self._values, self._bad))
        self.round_s = now - self._began
        due = self._round_due + self.period_s
        if due < now:
            self.counters.late_rounds += 1
            if due + self.period_s < now:  # a round late by less than a period keeps its place: it catches up
                due = now
        self.next_due = self._round_due = due

    def _give_up(self, item: Read | Step, quality: int) -> None:
        if isinstance(item, Read):
            self._bad += [(i, quality) for i in item.indexes]

    def _is_absent(self, read: Read, at: float) -> None:
        names = self.plan.layout.names(read.indexes)
        log.warning(_("%s: the device has no register for %s; it is asked again in an hour"), self.name, names)
        self._give_up(read, _FAILED)
        self.plan.strike_out(read, at)

    # What is read once

    def _take_step(self, registers: tuple[int, ...] | None) -> None:
        try:
            self._next_step(registers)
        except DeviceConfigError as e:
            self._steps = None
            self._lose(DeviceRefusedError(str(e)))

    def _next_step(self, registers: tuple[int, ...] | None) -> None:
        assert self._steps is not None
        try:
            request = self._steps.send(registers)
        except StopIteration as done:
            self._steps = None
            self.plan.prepare(*done.value)
            self._is_prepared = True
            self._fill_round(self._began)
        else:
            self._todo.append(Step(self.plan.layout.make_call(request)))

    # Life and death

    def _alive(self) -> None:
        self._doubt = 0
        if self.state is PollState.DEAD:
            self.state = PollState.POLLING
            self.plan.look_again()
        if self._is_lost and self._is_prepared:
            self._is_lost = False
            self._outlet.back()

    def _die(self, call: Call, at: float) -> None:
        tenth_round = self._round_due + (PROBE_ROUNDS - 0.5) * self.period_s
        self._probe_at = max(tenth_round, at + self._probe_gap_s(call.timeout_s))
        error = DeviceTimeoutError(_("unit %d does not answer") % call.unit_id)
        if self.state is not PollState.DEAD or self._why_lost != str(error):  # the port may have been the reason since
            self.state = PollState.DEAD
            self._lose(error)

    def _lose(self, error: DriverError) -> None:
        self._is_lost = True
        self._why_lost = str(error)
        self._note(self._why_lost)
        self._outlet.lost(error)

    def _note(self, error: str) -> None:
        self.last_error = error
        log.debug("%s: %s", self.name, error)
