"""The MQTT uplink: owns the connection's whole life, over brokers that come and go.

`run()` lives until it is cancelled, then says goodbye in good order. When and where to connect is decided by
`edge.uplinks.reconnect`, what happens on a connection by `edge.uplinks.mqtt_session`; this file joins them to the
network, keeps what outlives a connection (messages that are no records, counters, the day's budget) and tells people:
lost once, back once with how long it took.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from drivers.clock import Clock
from drivers.text import _
from edge.store.outbox import Outbox
from edge.uplinks.budget import Budget
from edge.uplinks.config import CONNECT_TIMEOUT_S, Broker, MqttConfig
from edge.uplinks.dialler import Dialler
from edge.uplinks.mqtt import MqttConnection
from edge.uplinks.mqtt_session import Heard, MqttSession
from edge.uplinks.reconnect import STEADY_S, Attempt, Failure, Reconnect
from edge.uplinks.side_queue import MAX_MESSAGES, Note, SideQueue
from edge.uplinks.tally import Tally
from edge.uplinks.uplink_errors import UplinkError, error_of
from protocols.wayside import topics

log = logging.getLogger(__name__)

MAX_SAID = 64
STUCK_S = 1.0
"""An attempt that has lasted this long when a link comes up was made without it."""
VERDICT_S = 0.01
"""In TLS 1.3 a broker judges our certificate when we think that the handshake is over. One that is near refuses within
this; if CONNECT were written into the closed socket, its error would hide the alert that says why. Far away the alert
is read before the reset comes."""
INGEST_SILENT_S = 90.0
"""An ingest repeats its state every 30 s: after three of these it is not there."""
MEGABYTE = 1_000_000


class StatePayload(Protocol):
    """Makes the payload of `state`: birth, orderly close and will. Must not fail."""

    def __call__(self, *, session: int, online: bool, why: str | None) -> bytes:
        """`why` is None at birth."""


class MqttUplink:
    """Drinks from an outbox and talks to one broker at a time. Everything that touches the world is handed in.

    folder: what the names of certificate files are relative to. next_session: the number of this connection, over all
    starts; it must not fail, for a disk that refuses is no reason to be offline. on_connected: called at each connect,
    before the first record goes; what it publishes goes before them.
    """

    name = "uplink mqtt"

    def __init__(
        self,
        *,
        node: str,
        config: MqttConfig,
        folder: Path,
        outbox: Outbox,
        clock: Clock,
        state_payload: StatePayload,
        next_session: Callable[[], int],
        on_connected: Callable[[], None],
        heard: Heard,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        now = clock.monotonic()
        self._node = node
        self._config = config
        self._brokers = config.parsed_brokers
        self._dialler = Dialler(config, folder)
        self._outbox = outbox
        self._clock = clock
        self._state_payload = state_payload
        self._next_session = next_session
        self._on_connected = on_connected
        self._heard = heard
        self._reconnect = Reconnect(brokers=len(self._brokers), metered=config.is_metered, now=now, uniform=uniform)
        bytes_per_day = None if config.megabytes_per_day is None else config.megabytes_per_day * MEGABYTE
        self._budget = Budget(bytes_per_day, now=now)
        self._notes = SideQueue()
        self._tally = Tally(heard.alarm)
        self._session: MqttSession | None = None
        self._session_number = 0
        self._connected_at: float | None = None
        self._mqtt5 = True
        self._sessions = 0
        self._error: UplinkError | None = None
        self._last_broker: str | None = None
        self._said: set[tuple[str, Failure]] = set()
        self._has_said_lost = False
        self._due = asyncio.Event()
        self._dialling: asyncio.Timeout | None = None
        self._dialled_at = 0.0
        self._is_woken = False
        self._why_leaving = "stopped"

    # What the gateway calls.

    @property
    def is_connected(self) -> bool:
        """Whether a broker serves us at this moment."""
        return self._connected_at is not None

    def wake(self) -> None:
        """Something new is durable. From the event loop's thread; many calls before the next turn are one."""
        if self._session is not None and not self._is_woken:
            self._is_woken = True
            asyncio.get_running_loop().call_soon(self._pump)

    def publish(
        self, suffix: str, payload: bytes, *, qos: int = 1, retain: bool = False, life_s: float | None = None
    ) -> bool:
        """Queue what is not a record, ahead of records: `reported`, `health`, `result/...`, `request/...`.

        False: the queue is full, or nobody is connected and the message is QoS 0, which nobody will miss.
        """
        if qos == 0 and self._session is None:
            return False
        dies_at = None if life_s is None else self._clock.monotonic() + life_s
        if not self._notes.put(Note(suffix, payload, qos, retain, dies_at)):
            return False
        self.wake()
        return True

    def publish_state(self) -> None:
        """Say again how things are: something that stands in `state` has changed."""
        if self._connected_at is not None:
            payload = self._state_payload(session=self._session_number, online=True, why=None)
            self.publish("state", payload, retain=True)

    def link_up(self) -> None:
        """A network interface came up, the clock was set, or a person says now: try at once."""
        now = self._clock.monotonic()
        self._reconnect.link_up(now)
        self._due.set()
        if self._dialling is not None and now - self._dialled_at >= STUCK_S:
            self._dialling.reschedule(now)  # its packets went nowhere, and the next may be long in coming

    def leaving(self, why: str) -> None:
        """The reason that the farewell gives when `run()` is cancelled."""
        self._why_leaving = why

    def status(self) -> dict[str, Any]:
        """Plain data for people and machines."""
        now = self._clock.monotonic()
        attempt = self._reconnect.next_attempt(now)
        connection = self._session.connection if self._session else None
        since = self._reconnect.outage_since if self._connected_at is None else self._connected_at
        return {
            "connected": self.is_connected,
            "broker": self._brokers[self._reconnect.broker].url,
            "mqtt": ("5" if self._mqtt5 else "3.1.1") if self.is_connected else None,
            "since_s": round(now - since, 1),
            "next_attempt_in_s": None if self.is_connected else round(max(0.0, attempt.at - now), 1),
            "error": None if self._error is None or self.is_connected else str(self._error),
            "failure": None if self._error is None or self.is_connected else self._error.failure.value,
            "ingest": self._session.has_ingest if self._session else None,
            "acknowledged_by": self._config.acknowledged_by,
            "sessions": self._sessions,
            "in_flight": self._session.in_flight if self._session else 0,
            "in_flight_limit": self._config.in_flight,
            "queued": len(self._notes),
            "queued_limit": MAX_MESSAGES,
            "dropped": self._notes.dropped,
            "records": self._tally.records,
            "notes": self._tally.notes,
            "acknowledged": self._tally.acknowledged,
            "refused": self._tally.refused,
            "refused_names": sorted(self._tally.refused_names),
            "ingest_acks": self._tally.ingest_acks,
            "bad_messages": self._tally.bad_messages,
            "bytes_in": self._tally.bytes_in + (connection.bytes_in if connection else 0),
            "bytes_out": self._tally.bytes_out + (connection.bytes_out if connection else 0),
            "budget_left_bytes": self._budget.left_bytes(now),
        }

    async def run(self) -> None:
        """Connect, serve, connect again, until cancelled."""
        try:
            while True:
                attempt = await self._next_due()
                if await self._connect(attempt):
                    await self._serve()
        finally:
            await self._leave()

    # Inside.

    async def _next_due(self) -> Attempt:
        """Wait until an attempt is due; `link_up` cuts the wait short."""
        while True:
            self._due.clear()
            now = self._clock.monotonic()
            attempt = self._reconnect.next_attempt(now)
            if attempt.at <= now:
                return attempt
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), attempt.at - now)

    async def _connect(self, attempt: Attempt) -> bool:
        """One attempt, from name lookup to CONNACK."""
        broker = self._brokers[attempt.broker]
        self._mqtt5 = attempt.mqtt5
        session = self._session = self._new_session()
        connection = session.connection = MqttConnection(
            client_id=self._node, mqtt5=attempt.mqtt5, keepalive_s=self._config.keepalive, listener=session
        )
        error: UplinkError | None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S[self._config.bearer]) as self._dialling:
                self._dialled_at = self._clock.monotonic()
                await self._dialler.dial(broker, connection)
                if broker.tls:
                    await asyncio.wait({session.ended}, timeout=VERDICT_S)
                if not session.ended.done():
                    self._session_number = self._next_session()
                    will = self._state_payload(session=self._session_number, online=False, why="lost")
                    connection.start(will_topic=topics.up_topic(self._node, "state"), will_payload=will)
                error = await session.opened
        except (OSError, UnicodeError, UplinkError) as caught:
            error = error_of(caught)
        finally:
            self._dialling = None
        if error is None:
            return True
        self._session = None
        await session.drop()
        now = self._clock.monotonic()
        self._reconnect.failed(now, error.failure, mqtt5=attempt.mqtt5)
        if self._due.is_set():
            self._reconnect.link_up(now)
        if error.failure is Failure.VERSION and attempt.mqtt5:
            log.info(_("uplink: %s refuses MQTT 5, so MQTT 3.1.1 is tried"), broker.url)
        else:
            self._tell_lost(broker, error)
        return False

    def _new_session(self) -> MqttSession:
        config = self._config
        return MqttSession(
            node=self._node,
            groups=config.groups,
            keepalive_s=config.keepalive,
            window=config.in_flight,
            window_bytes=config.in_flight_kb * 1024,
            compress=config.is_metered,
            outbox=self._outbox,
            notes=self._notes,
            budget=self._budget,
            tally=self._tally,
            heard=self._heard,
            on_ingest=self.publish_state,
            clock=self._clock,
        )

    async def _serve(self) -> None:
        """From birth to the end of a connection."""
        session = self._session
        assert session is not None, "it has been connected"
        broker = self._brokers[self._reconnect.broker]
        self._connected_at = self._clock.monotonic()
        self._reconnect.connected(self._connected_at)
        self._sessions += 1
        self._tell_back(broker)
        if self._last_broker not in (None, broker.url):
            self._outbox.broker_changed()
        self._last_broker = broker.url
        number = self._session_number
        session.begin(self._state_payload(session=number, online=True, why=None), number)
        self._on_connected()
        session.pump()
        while not session.ended.done():
            better = await self._better_elsewhere(session)
            if better is not None:
                await session.leave(self._farewell(better.failure.value), better)
        self._lost(session.ended.result())
        self._tell_lost(broker, session.ended.result())

    async def _better_elsewhere(self, session: MqttSession) -> UplinkError | None:
        """Wait until the connection ends (None), or until there is a reason to leave it for another broker."""
        assert self._connected_at is not None, "it serves"
        now = self._clock.monotonic()
        deadlines = []
        if len(self._brokers) > 1 and self._config.acknowledged_by == "ingest":
            limit_s = self._reconnect.dwell_s
            if session.has_ingest:
                self._reconnect.ingest_heard()
                limit_s = INGEST_SILENT_S
            at = max(self._connected_at, session.ingest_at) + limit_s
            if now >= at:
                return UplinkError(Failure.NO_INGEST, _("nobody behind this broker takes records"))
            deadlines.append(at)
        probe_at = self._reconnect.probe_due()
        if probe_at is not None:
            if now >= probe_at:
                is_back = await self._dialler.answers(self._brokers[0])
                self._reconnect.probed(self._clock.monotonic())
                if is_back and not session.ended.done():
                    return UplinkError(Failure.PREFERRED_IS_BACK, _("the preferred broker answers again"))
            deadlines.append(probe_at)
        await asyncio.wait({session.ended}, timeout=max(0.0, min(deadlines) - now) if deadlines else None)
        return None

    async def _leave(self) -> None:
        """Cancelled, or failed by a defect of ours: let go of everything, in good order where there is time."""
        session = self._session
        if session is None:
            return
        why = UplinkError(Failure.LINK, self._why_leaving)
        try:
            if self._connected_at is not None:
                await session.leave(self._farewell(self._why_leaving), why)
        finally:
            await session.drop()
            self._session = None
            if self._connected_at is not None:
                self._lost(why)

    def _farewell(self, why: str) -> bytes:
        return self._state_payload(session=self._session_number, online=False, why=why)

    def _lost(self, error: UplinkError) -> None:
        assert self._connected_at is not None, "it was connected"
        now = self._clock.monotonic()
        if now - self._connected_at >= STEADY_S:
            self._said.clear()
            self._tally.forget_alarms()
        self._session = self._connected_at = None
        self._reconnect.lost(now, error.failure)

    def _tell_lost(self, broker: Broker, error: UplinkError) -> None:
        """One line for each way in which each broker fails, until a connection has stood for some time."""
        self._error = error
        said = (broker.url, error.failure)
        if said in self._said or len(self._said) >= MAX_SAID:
            return
        self._said.add(said)
        self._has_said_lost = True
        if error.failure in (Failure.CREDENTIAL, Failure.TAKEN_OVER):
            log.error(_("uplink: %s: %s; somebody must look at this"), broker.url, error)
            self._tally.alarm(error.failure.value, f"{broker.url}: {error}")
        else:
            log.warning(_("uplink: %s: %s; it is tried again by itself"), broker.url, error)

    def _tell_back(self, broker: Broker) -> None:
        version = "5" if self._mqtt5 else "3.1.1"
        if self._has_said_lost:
            lasted_s = self._clock.monotonic() - self._reconnect.outage_since
            log.info(_("uplink: connected to %s again after %.1f s, MQTT %s"), broker.url, lasted_s, version)
        elif self._sessions == 1:
            log.info(_("uplink: connected to %s, MQTT %s"), broker.url, version)
        self._has_said_lost = False

    def _pump(self) -> None:
        self._is_woken = False
        if self._session is not None:
            self._session.pump()
