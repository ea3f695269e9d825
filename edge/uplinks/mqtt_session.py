"""One connection's life above the packets: birth, window, records, acknowledgements, signs of life, farewell.

A session lives once, as its connection does. It drinks from the outbox and from the queue of what is no record, never
holds more unacknowledged than the window, and hangs up on a line that `LinkWatch` finds dead.

Nothing here polls. It acts when bytes come, when something new is durable (`pump`), and at the one deadline that it has
set itself, which is moved only when it must come earlier.
"""

import asyncio
import logging
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import UNSET

from drivers.clock import Clock
from drivers.text import _
from edge.store.outbox import Entry, Outbox
from edge.uplinks.budget import Budget
from edge.uplinks.link_watch import LinkWatch, Sign
from edge.uplinks.mqtt import PUBLISH_OVERHEAD_BYTES, Accepted, Ended, MqttConnection
from edge.uplinks.reconnect import Failure
from edge.uplinks.side_queue import Note, SideQueue
from edge.uplinks.tally import Tally
from edge.uplinks.uplink_errors import UplinkError, error_of, error_of_code
from protocols.core.errors import RemoteProtocolError
from protocols.wayside import state, topics

log = logging.getLogger(__name__)

LEAVE_WITHIN_S = 2.0
COMPRESS_ABOVE_BYTES = 1024
HELD_BACK_S = 1.0
REFUSAL_CODE = 0x80
"""PUBACK and SUBACK reason codes from here on refuse."""
_ZLIB_FIRST_BYTE = 0x78
LARGEST_RECORD_BYTES = 1 << 20
"""With nothing in flight the next record goes whatever its size: no window may be too small for it for ever."""


class Heard(NamedTuple):
    """Who is told what comes down, unverified and as it came. Each is called from the event loop, on its own."""

    command: Callable[[bytes], None]
    desired: Callable[[bytes], None]
    notice: Callable[[bytes], None]
    alarm: Callable[[str, str], None]
    """What went wrong, by the kinds of `Tally`."""


class _Flight(NamedTuple):
    """One QoS 1 message that waits for its PUBACK."""

    what: Entry | Note | None
    """None: birth and farewell."""
    route: str
    bytes: int


class MqttSession:
    """What happens on one connection. `opened` resolves with None when it stands, `ended` and a failure with why."""

    def __init__(
        self,
        *,
        node: str,
        groups: tuple[str, ...],
        keepalive_s: float,
        window: int,
        window_bytes: int,
        compress: bool,
        outbox: Outbox,
        notes: SideQueue,
        budget: Budget,
        tally: Tally,
        heard: Heard,
        on_ingest: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[UplinkError | None] = self._loop.create_future()
        self.ended: asyncio.Future[UplinkError] = self._loop.create_future()
        self.connection: MqttConnection | None = None
        self._on_ingest = on_ingest
        self.has_ingest: bool | None = None
        """Whether somebody behind this broker takes records; None: not heard of."""
        self.ingest_at = 0.0
        """When it last said or showed so."""
        self._node = node
        self._groups = groups
        self._prefix = topics.up_topic(node, "")
        self._window = window
        self._window_bytes = window_bytes
        self._max_packet_bytes: int | None = None
        self._compress = compress
        self._outbox = outbox
        self._notes = notes
        self._budget = budget
        self._tally = tally
        self._heard = heard
        self._clock = clock
        self._watch = LinkWatch(keepalive_s=keepalive_s, now=clock.monotonic())
        self._why: UplinkError | None = None
        self._begun = False
        self._flights: dict[int, _Flight] = {}
        self._flight_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._farewell: bytes | None = None
        self._farewell_id: int | None = None
        self._leaving_for: UplinkError | None = None
        self._said_farewell: asyncio.Future[None] = self._loop.create_future()
        self._handlers: dict[str, Callable[[bytes], None]] = {
            topics.down_topic(node, "command"): heard.command,
            topics.down_topic(node, "desired"): heard.desired,
        }
        self._handlers.update((topics.notice_topic(group), heard.notice) for group in groups)
        self._ack_topic = topics.down_topic(node, "ack")

    @property
    def in_flight(self) -> int:
        """Messages that wait for the broker's acknowledgement."""
        return len(self._flights)

    def begin(self, birth: bytes, number: int) -> None:
        """After `opened`: subscribe and say who we are. `pump` follows, when all that goes first is in the queue.

        number: the session that the birth names.
        """
        connection = self._live()
        if connection is None:
            return
        now = self._clock.monotonic()
        self._begun = True
        self._outbox.connected(now, number)
        connection.subscribe(topics.node_filters(self._node, self._groups))
        self._send(connection, None, "state", birth, now, retain=True)

    def pump(self) -> None:
        """Publish what is due and fits: notes first, then records by the outbox's weights."""
        connection = self._live()
        if connection is None or not self._begun:
            return
        now = self._clock.monotonic()
        due_at = None
        while not connection.is_paused and len(self._flights) < self._window:
            if self._farewell is not None:
                self._farewell_id = self._send(connection, None, "state", self._farewell, now, retain=True)
                self._farewell = None
                continue
            room = self._window_bytes - self._flight_bytes if self._flights else LARGEST_RECORD_BYTES
            note = self._notes.first(now)
            if note is not None and len(note.payload) <= room:
                self._send_note(connection, self._notes.pop(), now)
                continue
            if note is not None or self._leaving_for is not None:
                break
            if not self._budget.has_some(now):
                due_at = self._budget.ready_at(now)
                break
            entry = self._outbox.take(now, room)
            if entry is None:
                due_at = self._outbox.next_deadline()
                break
            self._send_record(connection, entry, now)
        connection.flush()
        self._arm(now, due_at)

    async def leave(self, farewell: bytes, why: UplinkError) -> None:
        """Say goodbye in good order: the state that stays, then DISCONNECT. Bounded by `LEAVE_WITHIN_S` each."""
        connection = self._live()
        if connection is not None and self._begun:
            self._leaving_for = why
            self._farewell = farewell
            self.pump()
            waiting: list[asyncio.Future[Any]] = [self._said_farewell, self.ended]
            await asyncio.wait(waiting, timeout=LEAVE_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
            connection.disconnect()
            await asyncio.wait({self.ended}, timeout=LEAVE_WITHIN_S)
        await self.drop()

    async def drop(self) -> None:
        """Hang up at once, and wait until everything is let go of."""
        if self.connection is not None and self.connection.is_open:
            self.connection.abort()
            await self.ended

    def give_up(self, error: UplinkError) -> None:
        """Hang up for a reason of our own."""
        self._why = self._why or error
        if self.connection is not None:
            self.connection.abort()

    # What the connection calls.

    def on_accepted(self, accepted: Accepted) -> None:
        """CONNACK."""
        self._window = min(self._window, accepted.receive_maximum)
        self._max_packet_bytes = accepted.max_packet_bytes
        if accepted.keepalive_s:  # 0 ends the broker's watch, not ours; one longer than ours would make us blind
            self._watch.keepalive_s = min(self._watch.keepalive_s, accepted.keepalive_s)
        if not self.opened.done():
            self.opened.set_result(None)

    def on_puback(self, packet_id: int, code: int) -> None:
        """The broker has taken a message, or refuses it."""
        is_head = next(iter(self._flights), None) == packet_id
        flight = self._flights.pop(packet_id, None)
        if flight is None:
            return  # not ours, or for the second time
        now = self._clock.monotonic()
        self._flight_bytes -= flight.bytes
        if is_head:
            self._watch.head_changed(now if self._flights else None)
        entry = None if flight.what is None or isinstance(flight.what, Note) else flight.what
        if code < REFUSAL_CODE:
            self._tally.accept(flight.route)
            if entry is not None:
                self._outbox.published(entry, now)
        else:
            self._tally.refuse(flight.route, _("the broker refuses it with reason code 0x{code:02x}").format(code=code))
            if entry is not None:
                self._outbox.refused(entry, now)
        if packet_id == self._farewell_id and not self._said_farewell.done():
            self._said_farewell.set_result(None)

    def on_suback(self, codes: list[int]) -> None:
        """Some brokers grant what they will not deliver; one that refuses is believed."""
        filters = topics.node_filters(self._node, self._groups)
        for name, code in zip(filters, codes, strict=False):
            if code >= REFUSAL_CODE:
                text = _("the broker refuses it with reason code 0x{code:02x}").format(code=code)
                self._tally.alarm_once("subscription-refused", name, text)
            else:
                self._tally.grant(name)

    def on_message(self, topic: str, payload: bytes, *, is_retained: bool) -> None:
        """Something for us. Others are told from the event loop, so that their mistakes are not the connection's."""
        handler = self._handlers.get(topic)
        if handler is not None:
            if payload:  # an empty one only says that a retained message was removed
                self._loop.call_soon(handler, payload)
            return
        try:
            if topic == self._ack_topic:
                self._ack(payload)
            elif topic == topics.INGEST_TOPIC and payload:
                self._ingest(payload, is_retained=is_retained)
        except RemoteProtocolError as error:
            self._tally.bad_messages += 1
            log.debug("%s: cannot be read: %s", topic, error)

    def on_bytes(self) -> None:
        """Something came, so something may go."""
        self._watch.heard(self._clock.monotonic())
        self.pump()

    def on_writable(self) -> None:
        """The line takes bytes again."""
        self.pump()

    def on_ended(self, ended: Ended) -> None:
        """The end: nothing is in flight any more, and what was is owed again."""
        if self._timer is not None:
            self._timer.cancel()
        for flight in reversed(self._flights.values()):
            if isinstance(flight.what, Note):
                self._notes.put_back(flight.what)
        self._flights.clear()
        if self._begun:
            self._outbox.disconnected(self._clock.monotonic())
        if self.connection is not None:
            self._tally.bytes_in += self.connection.bytes_in
            self._tally.bytes_out += self.connection.bytes_out
        error = self._why or self._leaving_for or self._reason_of(ended)
        if not self.opened.done():
            self.opened.set_result(error)
        self.ended.set_result(error)

    # Inside.

    def _live(self) -> MqttConnection | None:
        return self.connection if self._why is None and not self.ended.done() else None

    def _send_note(self, connection: MqttConnection, note: Note, now: float) -> None:
        life_s = None if note.dies_at is None else max(1, int(note.dies_at - now))
        if self._fits(note.route, note.payload):
            self._tally.notes += 1
            self._send(connection, note, note.route, note.payload, now, note.qos, retain=note.retain, life_s=life_s)

    def _send_record(self, connection: MqttConnection, entry: Entry, now: float) -> None:
        payload = entry.payload
        if self._compress and len(payload) > COMPRESS_ABOVE_BYTES and payload[0] != _ZLIB_FIRST_BYTE:
            payload = min(payload, zlib.compress(payload), key=len)
        if not self._fits(entry.route, payload):
            self._outbox.refused(entry, now)
            return
        self._tally.records += 1
        self._budget.spend(len(payload) + len(entry.route) + len(self._prefix) + PUBLISH_OVERHEAD_BYTES)
        self._send(connection, entry, entry.route, payload, now)

    def _send(
        self,
        connection: MqttConnection,
        what: Entry | Note | None,
        route: str,
        payload: bytes,
        now: float,
        qos: int = 1,
        *,
        retain: bool = False,
        life_s: int | None = None,
    ) -> int:
        packet_id = connection.publish(self._prefix + route, payload, qos=qos, retain=retain, life_s=life_s)
        self._watch.sent(now)
        if qos:
            if not self._flights:
                self._watch.head_changed(now)
            self._flights[packet_id] = _Flight(what, route, len(payload))
            self._flight_bytes += len(payload)
        return packet_id

    def _fits(self, route: str, payload: bytes) -> bool:
        """3.2.2.3.6: no packet above the broker's maximum; it would hang up, again and again."""
        if self._max_packet_bytes is None:
            return True
        size = len(self._prefix) + len(route) + len(payload) + PUBLISH_OVERHEAD_BYTES
        if size <= self._max_packet_bytes:
            return True
        text = _("it is {size} bytes long and the broker takes {most} at most")
        self._tally.refuse(route, text.format(size=size, most=self._max_packet_bytes))
        return False

    def _ack(self, payload: bytes) -> None:
        ack = state.decode(payload, state.Ack)
        self._tally.ingest_acks += 1
        self.has_ingest, self.ingest_at = True, self._clock.monotonic()
        answers = None if ack.session is UNSET else ack.session
        self._outbox.acknowledged(ack.lane, ack.epoch, ack.upto, ack.also, self.ingest_at, answers=answers)

    def _ingest(self, payload: bytes, *, is_retained: bool) -> None:
        now = self._clock.monotonic()
        self.has_ingest = state.decode(payload, state.Ingest).online
        if self.has_ingest:
            self.ingest_at = now
        if self._outbox.ingest_seen(self.has_ingest, now, is_retained=is_retained):
            self._on_ingest()

    def _arm(self, now: float, due_at: float | None) -> None:
        """Set the one timer. One that comes too early is left: it looks again, so a busy line seldom sets any."""
        at = self._watch.next_deadline()
        if due_at is not None:
            if due_at <= now:  # due, and yet nothing was given: what holds it back will say so itself
                due_at = now + HELD_BACK_S
            at = min(at, due_at)
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_later(max(0.0, at - now), self._look)

    def _look(self) -> None:
        self._timer = None
        connection = self._live()
        if connection is None:
            return
        now = self._clock.monotonic()
        sign = self._watch.look(now)
        if sign is Sign.UNACKNOWLEDGED:
            self.give_up(UplinkError(Failure.DEAD_LINK, _("a message was not acknowledged in time")))
        elif sign is Sign.SILENT:
            self.give_up(UplinkError(Failure.DEAD_LINK, _("nothing was heard, not even the answer to a ping")))
        else:
            if sign is Sign.PING_DUE:
                self._watch.pinged(now)
                connection.ping()
            self.pump()

    def _reason_of(self, ended: Ended) -> UplinkError:
        if ended.connack_code is not None:
            return error_of_code(ended.connack_code)
        if ended.disconnect_code is not None:
            return error_of_code(ended.disconnect_code)
        if not self.opened.done() and (ended.error is None or isinstance(ended.error, ConnectionResetError)):
            return UplinkError(Failure.SILENT_CLOSE, _("the broker hung up before it answered"))
        if ended.error is not None:
            return error_of(ended.error)
        return UplinkError(Failure.LINK, _("the broker hung up"))
