"""The line that several Modbus devices share, or the connection that they stand behind: one owner, one schedule.

The bus opens its port, and opens it again when it is lost, backing off from `REOPEN_FIRST_S` to its fastest device's
period. Devices come and go without that. Whenever the master has room, the next call is chosen: writes and other
commands first, then the device whose round has been due longest; a device that its own stragglers hold up lets others
pass. All that happens in callbacks: no task waits for an answer.

Over TCP, a connection on which nothing at all is answered any more is given up and made anew; a line is left open, for
there is nothing that reopening would mend.

`MAX_IN_FLIGHT`: 1 on a line, `max_in_flight` over Modbus TCP. One handle or connection is open at most.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from enum import Enum
from typing import Any

import fastcrc

from drivers.clock import Clock
from drivers.errors import DeviceRefusedError, PortError
from drivers.exchange import Exchange, Trace
from drivers.modbus.config import BusConfig
from drivers.modbus.schedule import MAX_WAITING, BusDevice, Command, Schedule
from drivers.ports.port import Port
from drivers.text import _
from protocols.core.errors import RemoteProtocolError
from protocols.modbus_devices.master import LATE_S, Call, Event, Failure, Reply, RtuMaster
from protocols.modbus_devices.pdu import MAX_PDU_BYTES, Pdu, Request
from protocols.modbus_devices.tcp_master import TcpMaster
from protocols.modbus_devices.timing import LineTiming

log = logging.getLogger(__name__)

REOPEN_FIRST_S = 0.1
REOPEN_LEAST_CAP_S = 0.1
REOPEN_CAP_S = 4.0
"""A replugged adapter must be found again within 10 s, a restarted server within two periods."""
PROBE_SHARE = 20
"""Probing dead units takes at most one part in so many of a line's time."""
SILENT_CALLS = 3
"""So many calls in a row without any answer make a TCP connection suspect, the window's own calls on top."""
STREAM_TIMEOUT_S = 1.0
MARGIN_S = 0.05
"""What a time-out grants beyond the reckoned exchange: the event loops and adapters on the way."""
_RTU_EXTRA_BYTES = 3


class BusState(Enum):
    """Where the port stands."""

    STOPPED = "stopped"
    OPENING = "opening"
    OPEN = "open"
    DOWN = "down"


class ModbusBus:
    """See the module's docstring.

    is_private: its one device tells of its losses, so the bus does not log them. late_s: how long a line's answers may
    come after their time-out.
    """

    def __init__(
        self,
        config: BusConfig,
        port: Port,
        clock: Clock,
        *,
        is_private: bool = False,
        late_s: float = LATE_S,
        trace: Trace | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.config = config
        self.state = BusState.STOPPED
        self.opened = 0
        """How often the port was opened."""
        line = port.line
        self.line = None if line is None else LineTiming(baud=line.baud, bits_per_char=line.bits_per_char)
        self.is_tcp = config.frames == "tcp"
        self._port = port
        self._now = clock.monotonic
        self._clock = clock
        self._log_level = logging.DEBUG if is_private else logging.WARNING
        self._trace = trace
        self._uniform = uniform
        self._master: RtuMaster | TcpMaster = (
            TcpMaster(config.max_in_flight)
            if self.is_tcp
            else RtuMaster(self.line, late_s=late_s, crc16=fastcrc.crc16.modbus)
        )
        self._schedule = Schedule()
        self._exchange: Exchange[Call, Event] | None = None
        self._lost: asyncio.Future[None] | None = None
        self._error: PortError | None = None
        """What is wrong with the port; None while it is open."""
        self._down_since: float | None = None
        """Since when nothing is answered because of the port. Cleared by an answer, not by an open port: one that opens
        and closes again and again is one loss in the log."""
        self._silent_calls = 0
        self._was_answered = False
        self._wake: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """The bus's name in the configuration."""
        return self.config.name

    # Devices

    def attach(self, device: BusDevice) -> None:
        """Begin to poll a device."""
        self._schedule.devices.append(device)
        now = self._now()
        if self.state is BusState.OPEN:
            device.port_opened(now)
        elif self.state is BusState.DOWN and self._error is not None:
            device.port_down(self._error, now)
        self._fill(now)

    def detach(self, device: BusDevice) -> None:
        """Poll a device no longer; an answer that is still due is nobody's."""
        self._schedule.devices.remove(device)
        device.stop()

    async def ask(self, unit_id: int, request: Request, timeout_s: float) -> Pdu:
        """Ask ahead of all polls. Raises `DeviceRefusedError`, `DeviceTimeoutError` or `PortError`."""
        if self.state is not BusState.OPEN:
            raise self._error or PortError(_("%s is not open") % self._port.name)
        if len(self._schedule.commands) >= MAX_WAITING:
            raise DeviceRefusedError(_("%s: %d commands are waiting already") % (self.name, MAX_WAITING))
        command = Command(unit_id, request, timeout_s)
        self._schedule.commands.append(command)
        self._fill(self._now())
        try:
            return await command.answer
        finally:
            if command in self._schedule.commands:
                self._schedule.commands.remove(command)

    def timeout_s(self, request: Request, *, delay_ms: float, timeout_ms: float | None) -> float:
        """How long the answer to a request may take: as configured, or reckoned."""
        if self.line is None:
            return STREAM_TIMEOUT_S + delay_ms / 1000 if timeout_ms is None else timeout_ms / 1000
        asked = len(request.encode()) + _RTU_EXTRA_BYTES
        answered = (request.response_bytes or MAX_PDU_BYTES) + _RTU_EXTRA_BYTES
        if timeout_ms is None:
            return self.line.exchange_ms(asked, answered, delay_ms) / 1000 + MARGIN_S
        return ((asked + answered) * self.line.char_ms + timeout_ms) / 1000

    def probe_gap_s(self, cost_s: float) -> float:
        """How far apart the probes of one dead unit must be, each of which may cost this much."""
        return PROBE_SHARE * cost_s * max(1, sum(device.is_dead for device in self._schedule.devices))

    def status(self) -> dict[str, Any]:
        """Plain data for `wayside status`."""
        counters = self._master.counters
        return {
            "port": self._port.name,
            "port_state": self.state.value,
            "port_error": None if self._error is None else str(self._error),
            "opened": self.opened,
            "devices": len(self._schedule.devices),
            "waiting_commands": len(self._schedule.commands),
            "max_waiting_commands": MAX_WAITING,
            "calls": counters.calls,
            "replies": counters.replies,
            "exceptions": counters.exceptions,
            "timeouts": counters.timeouts,
            "noise": counters.noise,
            "mismatched": counters.mismatched,
            "late": counters.late,
            "discarded_bytes": counters.discarded_bytes,
        }

    # The port

    async def run(self) -> None:
        """Keep the port open until cancelled. What goes wrong with it is tried again and never raised."""
        self.state = BusState.OPENING
        wait_s = REOPEN_FIRST_S
        try:
            while True:
                await self._live_once()
                if self._was_answered:
                    wait_s = REOPEN_FIRST_S
                await asyncio.sleep(self._uniform(wait_s / 2, wait_s))
                wait_s = min(2 * wait_s, self._reopen_cap_s())
        finally:
            self.state = BusState.STOPPED
            await self._close()
            if self._wake is not None:
                self._wake.cancel()
                self._wake = None

    async def _live_once(self) -> None:
        """One opening of the port, until it is lost."""
        self._lost = asyncio.get_running_loop().create_future()
        self._was_answered = False
        self._silent_calls = 0
        self._exchange = Exchange(
            self._port,
            self._master,
            self._clock,
            on_event=self._on_event,
            on_lost=self._lose,
            on_violation=self._on_violation,
            trace=self._trace,
            fine=self.line is not None,
        )
        try:
            await self._exchange.open()
        except PortError as e:
            self._down(e)
            return
        self._up()
        try:
            await self._lost
        except Exception:
            self._down(PortError(_("%s: a defect stopped it") % self.name))
            raise
        await self._close()

    def _up(self) -> None:
        now = self._now()
        self.opened += 1
        self.state = BusState.OPEN
        self._error = None
        for device in self._schedule.devices:
            device.port_opened(now)
        self._fill(now)

    def _down(self, error: PortError) -> None:
        now = self._now()
        if self._down_since is None:
            log.log(self._log_level, "%s: %s", self.name, error)
            self._down_since = now
        self.state = BusState.DOWN
        self._error = error
        for device in self._schedule.devices:
            device.port_down(error, now)
        self._arm(now)

    def _lose(self, error: PortError) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
            self._down(error)

    async def _close(self) -> None:
        if self._exchange is not None:
            await self._exchange.aclose()
        now = self._now()
        for call in self._master.abandon(now):
            if isinstance(call.owner, Command):  # devices are told by `port_down`
                call.owner.failed(call, Failure.PORT, now, None)
        while self._schedule.commands:
            command = self._schedule.commands.popleft()
            command.failed(command.call, Failure.PORT, now, None)

    def _reopen_cap_s(self) -> float:
        return max(REOPEN_LEAST_CAP_S, min([REOPEN_CAP_S, *(device.period_s for device in self._schedule.devices)]))

    # Calls

    def _on_event(self, event: Event) -> None:
        try:
            self._deliver(event)
        except Exception as e:  # noqa: BLE001  # a defect of ours ends `run()` with it: the supervisor logs it whole
            if self._lost is not None and not self._lost.done():
                self._lost.set_exception(e)
        else:
            self._fill(event.at)

    def _deliver(self, event: Event) -> None:
        owner: Any = event.call.owner
        if isinstance(event, Reply):
            self._answered(event.at)
            owner.replied(event.call, event.response, event.at)
            return
        owner.failed(event.call, event.reason, event.at, event.exception_code)
        if event.reason is Failure.EXCEPTION:
            self._answered(event.at)
            return
        self._silent_calls += 1
        if self.line is None and self._silent_calls >= SILENT_CALLS + self.config.max_in_flight - 1:
            self._lose(PortError(_("%s: nothing is answered on this connection any more") % self._port.name))

    def _answered(self, now: float) -> None:
        self._silent_calls = 0
        self._was_answered = True
        if self._down_since is not None:
            level = min(self._log_level, logging.INFO)
            log.log(level, _("%s: port works again after %.1f s"), self.name, now - self._down_since)
            self._down_since = None

    def _on_violation(self, error: RemoteProtocolError) -> None:
        self._lose(PortError(_("%s: what comes is not Modbus: %s") % (self._port.name, error)))

    def _fill(self, now: float) -> None:
        """Give the master calls while it has room. One write carries them all."""
        exchange = self._exchange
        if self.state is not BusState.OPEN or exchange is None or not exchange.is_open:
            self._arm(now)
            return
        is_news = False
        while self._master.has_room:
            call = self._schedule.next_call(now, self._master.held_until)
            if call is None:
                self._arm(now)
                break
            self._master.send(call, self._now())
            is_news = True
        if is_news:
            exchange.pump()

    def _arm(self, now: float) -> None:
        """Wake up when the next device is due, or when a command is no longer held up."""
        if self.state is BusState.STOPPED:
            return
        when = self._schedule.next_due(now, self._master.held_until)
        if when is None:
            return
        if self._wake is not None:
            if self._wake.when() <= when:
                return
            self._wake.cancel()
        self._wake = asyncio.get_running_loop().call_at(when, self._woken)

    def _woken(self) -> None:
        self._wake = None
        now = self._now()
        if self.state is BusState.DOWN:
            for device in self._schedule.devices:
                if device.next_due is not None and device.next_due <= now:
                    device.miss(now)
        self._fill(now)
