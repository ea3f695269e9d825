"""The gateway: the only place that builds things and joins them.

Store -> clock -> recorder -> fleet -> cloud link -> inbox, configuration and status. `edge.gateway.start` makes one.
"""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec

from drivers.errors import DeviceConfigError
from drivers.text import _
from edge.gateway import health, systemd
from edge.gateway.audit import AuditError, AuditLog
from edge.gateway.clock import GatewayClock
from edge.gateway.cloud_link import CloudLink
from edge.gateway.config import NodeConfigFile
from edge.gateway.config_history import ConfigHistory
from edge.gateway.desired import ApplyError, DesiredConfig
from edge.gateway.epochs import EpochRenewal
from edge.gateway.fleet import Fleet, tell_failure
from edge.gateway.inbox import Inbox
from edge.gateway.notices import Notices
from edge.gateway.operators import Operators
from edge.gateway.recorder import Recorder
from edge.gateway.results import Results
from edge.gateway.status_socket import StatusSocket
from edge.gateway.stream import Stream
from edge.gateway.supervisor import Supervisor
from edge.gateway.update_desk import LOOK, UpdateDesk
from edge.identity.pseudonym import Pseudonym
from edge.store.errors import StoreError
from edge.store.opening import open_store
from edge.store.store import Quotas
from edge.uplinks.mqtt_session import Heard
from protocols.wayside.events import encode_event

log = logging.getLogger(__name__)

HEALTH_PERIOD_S = 60.0
DRAIN_S = 5.0
"""On SIGTERM what is owed may still go for this long, if somebody takes it."""
EXIT_STOPPED = 0
EXIT_DEFECT = 1


class Gateway:
    """One node. `run()` is its whole life. Made inside the event loop."""

    def __init__(self, file: Path, document: bytes, config: NodeConfigFile, history: ConfigHistory) -> None:
        self._file = file
        self._config = config
        self._history = history
        self._node = config.node.id
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._exit_code = EXIT_STOPPED
        self._tasks: set[asyncio.Task[None]] = set()
        self._prometheus: Any = None
        data = Path(config.node.data)
        self._store = open_store(
            data / "journal",
            quotas=_quotas(config),
            encode_loss=self._encode_loss,
            monotonic=self._loop.time,
        )
        self._clock = GatewayClock(boot=self._store.boot, monotonic=self._loop.time, on_set=self._clock_set)
        self._socket = StatusSocket(data / "status.sock", self.status)
        self._recorder = Recorder(
            node=self._node,
            store=self._store,
            clock=self._clock,
            on_committed=lambda: self._link.committed(),
            on_seen=self._seen,
        )
        self._supervisor = Supervisor(self._clock, tell_failure(self._recorder))
        self._fleet = Fleet(
            supervisor=self._supervisor,
            clock=self._clock,
            readings=self._recorder,
            pseudonym=Pseudonym(None if config.privacy.hash_key is None else Path(config.privacy.hash_key)),
            directory=data,
        )
        self._audit = AuditLog(data / "audit")
        self._operators = Operators()
        self._inbox = Inbox(
            node=self._node,
            clock=self._clock,
            results=Results(data / "results.jsonl"),
            audit=self._audit,
            carry_out=self._carry_out,
            publish=lambda route, payload: self._link.publish(route, payload),
        )
        self._desired = DesiredConfig(
            node=self._node,
            file=file,
            history=history,
            running=(document, config),
            applier=self,
            inbox=self._inbox,
            clock=self._clock,
            on_outcome=lambda: self._link.report(),
            audit=self._write_audit,
        )
        self._updates = UpdateDesk(
            config.update,
            journal=self._recorder,
            on_restart=self._stop.set,
            on_account=self._desired.report_too,
        )
        self._notices = Notices(self._clock)
        self._epochs = EpochRenewal(self._store.renew_epoch, self._epoch_renewed)
        self._link = CloudLink(
            config=config,
            store=self._store,
            clock=self._clock,
            history=lambda: history.state,
            digest=lambda: self._desired.digest,
            slots=lambda: self._updates.account,
            on_connected=self._desired.connected,
            on_ahead=lambda lane: self._spawn(self._epochs.run(lane)),
            heard=Heard(
                command=self._inbox.receive,
                desired=self._desired.receive,
                notice=self._notices.receive,
                alarm=lambda kind, text: self._node_event(kind, {"reason": text[:500], "severity": "alarm"}),
            ),
        )

    # Life -------------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._desired.reload)
        self._fleet.open()
        try:
            self._audit.open()
        except AuditError as error:
            log.error(_("audit: %s"), error)
        self._set_operators(self._config)
        self._inbox.open()
        for note in self._store.notes():
            log.warning(_("journal: %s"), note)
        self._supervisor.start(self._link.uplink)
        await self._fleet.apply(self._config, on_built=self._devices_built)
        await self._open_doors()
        self._spawn(self._desired.run())
        self._spawn(self._clock.watch())
        self._spawn(self._beat())
        self._spawn(self._updates.run())
        systemd.notify("READY=1")
        log.info(_("%s: runs, start %d, configuration %s"), self._node, self._store.boot, self._desired.digest[:19])
        await self._stop.wait()
        systemd.notify("STOPPING=1")
        await self._aclose()
        return self._exit_code

    async def _aclose(self) -> None:
        await self._desired.aclose()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._fleet.stop()
        await self._inbox.aclose()
        try:
            await self._recorder.aclose()
            await self._drain()
        except StoreError as error:
            log.error(_("storage: %s"), error)
        self._link.uplink.leaving("stopped")
        await self._supervisor.stop_all()
        await self._socket.aclose()
        if self._prometheus is not None:
            await self._prometheus.aclose()
        try:
            self._store.commit_now()
        except StoreError as error:
            log.error(_("storage: %s"), error)
        self._store.close()
        log.info(_("%s: stopped"), self._node)

    async def _drain(self) -> None:
        """Give what is owed a moment to go, as long as somebody takes it."""
        until = self._loop.time() + DRAIN_S
        while self._link.is_connected and self._loop.time() < until:
            if not any(lane.queued for lane in self._store.lanes.values()):
                return
            await asyncio.sleep(0.05)

    async def _beat(self) -> None:
        """Watchdog and health."""
        watchdog_s = systemd.watchdog_period_s()
        health_due = 0.0
        while True:
            now = self._loop.time()
            if watchdog_s is not None:
                systemd.notify("WATCHDOG=1")
            if now >= health_due:
                health_due = now + HEALTH_PERIOD_S
                devices = self._fleet.status(self._recorder.lost_devices, now)
                payload = health.health_payload(self._store, self._clock, devices)
                self._link.uplink.publish("health", payload, qos=0, life_s=2 * HEALTH_PERIOD_S)
            await asyncio.sleep(min(watchdog_s or HEALTH_PERIOD_S, HEALTH_PERIOD_S))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        """A part that fails is a defect of ours: the service manager starts us again, with everything on the disk."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error(_("a defect stopped a part of the gateway"), exc_info=task.exception())
            self._exit_code = EXIT_DEFECT
            self._stop.set()

    # Configuration ----------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether the uplink is reached."""
        return self._link.is_connected

    async def apply(self, config: NodeConfigFile) -> None:
        """Go over to another configuration; see `edge.gateway.desired`. Raises `ApplyError`."""
        for table in ("node", "privacy", "status", "update"):
            if getattr(config, table) != getattr(self._config, table):
                raise ApplyError(_("[{table}] cannot change while it runs; restart the service").format(table=table))
        old = self._config
        try:
            await self._go_over(config)
        except (OSError, DeviceConfigError) as error:
            try:
                await self._go_over(old)
            except (OSError, DeviceConfigError) as further:
                log.error(_("configuration: the one before cannot be put back as a whole: %s"), further)
            raise ApplyError(str(error)) from error

    async def _go_over(self, config: NodeConfigFile) -> None:
        old, self._config = self._config, config
        self._set_operators(config)
        self._store.quotas = _quotas(config)
        await self._fleet.apply(config, on_built=self._devices_built)
        if config.uplink != old.uplink:
            self._link.uplink.leaving("configuration")
            await self._supervisor.forget(self._link.uplink.name)
            self._link.build(config)
            self._supervisor.start(self._link.uplink)

    def _set_operators(self, config: NodeConfigFile) -> None:
        self._inbox.set_operators(self._operators.read(config.commands), config.commands.harmless)

    async def look_again(self) -> None:
        """A person says that what was missing is there: keys are read again, and who gave up starts again."""
        self._set_operators(self._config)
        await self._fleet.try_again()

    async def _open_doors(self) -> None:
        """For whoever asks on the spot. What cannot be opened is said, and is no reason not to poll."""
        try:
            await self._socket.open()
        except OSError as error:
            log.error(_("status: %s: %s"), Path(self._config.node.data) / "status.sock", error.strerror or error)
        if self._config.status.prometheus is None:
            return
        from edge.gateway.prometheus import PrometheusEndpoint

        self._prometheus = PrometheusEndpoint(self._config.status.prometheus, self.status)
        try:
            await self._prometheus.open()
        except OSError as error:
            log.error(_("prometheus: %s: %s"), self._config.status.prometheus, error.strerror or error)
            self._prometheus = None

    def _devices_built(self) -> None:
        """The devices of a configuration exist: their catalogue is journaled ahead of their first pack."""
        digest, devices, blocks = self._fleet.catalogue()
        compact = self._config.uplink.mqtt.compact
        streams = {
            name: Stream(
                name,
                driver.points,
                pack_s=config.pack_s,
                has_change_report=getattr(config, "report", "all") == "change",
                digest=digest if compact else None,
            )
            for name, (config, driver) in self._fleet.drivers().items()
        }
        self._recorder.set_streams(streams)
        catalogue = self._link.next_catalogue(digest, devices, blocks)
        if catalogue is not None:
            self._recorder.record("telemetry", *catalogue)

    def _epoch_renewed(self, lane: str) -> None:
        self._link.outbox.epoch_renewed(lane)
        self._devices_built()
        self._link.uplink.publish_state()

    # Events of the node itself ----------------------------------------------------------------------------------

    def _node_event(self, kind: str, data: dict[str, Any]) -> None:
        self._recorder.node_event(kind, data)

    def _clock_set(self, data: dict[str, Any]) -> None:
        self._node_event("clock-set", data)
        self._link.uplink.link_up()

    def _seen(self, document: dict[str, Any]) -> None:
        if self._socket.has_tails:
            self._socket.publish(document)

    def _encode_loss(
        self, *, lane: str, epoch: str, first: int, last: int, count: int, why: str, event_epoch: str, seq: int
    ) -> bytes:
        log.warning(_("%s: %d records are lost (%s), %d to %d; this is declared"), lane, count, why, first, last)
        return encode_event(
            node=self._node,
            device=None,
            kind="loss",
            data={"lane": lane, "epoch": epoch, "from": first, "to": last, "count": count, "why": why},
            epoch=event_epoch,
            seq=seq,
            boot=self._store.boot,
            time_ms=self._clock.wall_ms(),
            time_quality=self._clock.quality(),
            uptime_ms=self._clock.uptime_ms(),
        )

    # Commands ---------------------------------------------------------------------------------------------------

    async def _carry_out(self, device: str | None, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "node.status":
            return self.status()
        if operation == LOOK:
            return self._updates.look(arguments)
        if device is None:
            raise DeviceConfigError(_("the operation {op} needs a device").format(op=operation))
        if operation in ("device.enable", "device.disable"):
            await self._fleet.set_enabled(device, is_enabled=operation == "device.enable")
            return {"enabled": operation == "device.enable"}
        return await self._fleet.command(device, operation, arguments)

    def _write_audit(self, what: str, **facts: Any) -> None:
        try:
            self._audit.write(
                what,
                time_ms=self._clock.wall_ms(),
                time_quality=self._clock.quality(),
                uptime_ms=self._clock.uptime_ms(),
                **facts,
            )
        except AuditError as error:
            log.error(_("audit: %s"), error)

    # Status -----------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The status document."""
        now = self._loop.time()
        uplink = self._link.uplink.status()
        history = self._history.state
        return {
            "node": self._node,
            "version": health.version(),
            "boot": self._store.boot,
            "uptime_s": round(self._clock.uptime_ms() / 1000, 1),
            "config": {
                "file": str(self._file),
                "digest": self._desired.digest,
                "version": history.version,
                "outcome": history.outcome,
                "reason": history.reason,
                "on_trial": self._desired.is_on_trial,
                "mistakes": [msgspec.structs.asdict(problem) for problem in self._desired.mistakes],
                "refused_pushes": self._desired.refused_pushes,
            },
            "clock": self._clock.status(),
            "storage": health.storage_status(self._store, self._recorder.storage_error, self._recorder.not_recorded),
            "lanes": {
                name: msgspec.structs.asdict(lane) for name, lane in health.lane_health(self._store, now).items()
            },
            "uplink": {"state": "connected" if uplink["connected"] else "away", **uplink},
            "buses": self._fleet.bus_status(),
            "devices": self._fleet.status(self._recorder.lost_devices, now),
            "commands": {"unbelieved": self._inbox.unbelieved, "not_obeyed": self._operators.not_obeyed},
            "notices": {"heard": self._notices.heard, "refused": self._notices.refused},
            "rss_mb": round(health.resident_mb(), 1),
        }


def _quotas(config: NodeConfigFile) -> Quotas:
    return Quotas(config.journal.quota_mb, {str(name): lane.quota_mb for name, lane in config.journal.lane.items()})
