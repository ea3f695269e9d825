"""Turns what drivers make into records of the lanes, and decides when they become durable.

Samples of one stream share a pack for at most its `pack_s` and 16 KB; a pack is encoded once, with its sequence number
inside. The first record after idle commits at once, then there is at most one commit a second; events and transactions
commit at once, and a transaction's driver is told only when the disk has it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from drivers.errors import DriverError
from drivers.readings import DeviceEvent, Sample, TimeOffer, Transaction
from drivers.text import _
from edge.gateway.stream import Part, Stream
from edge.store.errors import StoreError
from edge.store.store import Store
from protocols.core.errors import LocalProtocolError
from protocols.wayside.events import encode_event, encode_transaction
from protocols.wayside.pack_codec import encode_pack
from protocols.wayside.topics import event_route, transaction_route

log = logging.getLogger(__name__)

COMMIT_PERIOD_S = 1.0
DECLARE_PERIOD_S = 60.0
"""What is refused again and again is declared at once, then this often: the alarm must not fill the event lane."""


class RecordClock(Protocol):
    """What the recorder asks of the gateway's clock."""

    def monotonic(self) -> float:
        """Seconds on the drivers' scale."""

    def wall_ms(self, at: float | None = None) -> int:
        """UTC in ms as believed now of the moment `at`."""

    def quality(self) -> str:
        """`gnss`, `ntp`, `rtc`, `hold` or `none`."""

    def uptime_ms(self, at: float | None = None) -> int:
        """Monotonic ms since the boot of this process."""

    def offer(self, offer: TimeOffer) -> None:
        """Take an offer of time."""


class LostDevice(NamedTuple):
    """A device that does not answer."""

    since: float
    """Monotonic seconds."""
    why: str


class EventKey(NamedTuple):
    """A record of the event lane."""

    epoch: str
    seq: int


class Recorder:
    """The `Readings` of every driver."""

    def __init__(
        self,
        *,
        node: str,
        store: Store,
        clock: RecordClock,
        on_committed: Callable[[], None],
        on_seen: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._node = node
        self._store = store
        self._clock = clock
        self._on_committed = on_committed
        self._on_seen = on_seen
        self._telemetry = store.lanes["telemetry"]
        self._streams: dict[str, Stream] = {}
        self._lost: dict[str, LostDevice] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._due: float | None = None
        self._last_commit = float("-inf")
        self._not_recorded: dict[str, int] = {}
        self._refused: set[tuple[str, str]] = set()
        """(lane, device) whose newest record was refused: each was logged once."""
        self._declared_at = float("-inf")
        self.storage_error: str | None = None

    # What app.py arranges ---------------------------------------------------------------------------------------

    def set_streams(self, streams: Mapping[str, Stream]) -> None:
        """Take another set of streams. What waits in the old ones is sealed first, under its own catalogue."""
        for stream in self._streams.values():
            self._seal(stream)
        self._streams = dict(streams)
        self._lost = {device: lost for device, lost in self._lost.items() if device in streams}
        self._commit_at(self._clock.monotonic())

    @property
    def lost_devices(self) -> Mapping[str, LostDevice]:
        """Devices that do not answer."""
        return self._lost

    @property
    def not_recorded(self) -> Mapping[str, int]:
        """Samples a device made that the store could not take, until that is declared."""
        return self._not_recorded

    async def aclose(self) -> None:
        """Seal and commit all that waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._task is not None:
            await asyncio.shield(self._task)
        for stream in self._streams.values():
            self._seal(stream)
        self._declare_not_recorded()
        await self._store.commit()
        self._on_committed()

    # What drivers call ------------------------------------------------------------------------------------------

    def sample(self, sample: Sample) -> None:
        """Take one poll round."""
        stream = self._streams.get(sample.device)
        if stream is None:  # the device was taken out while its last answer was on the way
            return
        if self._on_seen is not None:
            self._on_seen(
                {"device": sample.device, "points": stream.points, "values": sample.values, "bad": sample.bad}
            )
        if not stream.is_news(sample):
            return
        if stream.is_full():
            self._seal(stream)
        stream.add(sample)
        self._commit_at(max(self._last_commit + COMMIT_PERIOD_S, stream.last_sealed + stream.pack_s))

    def event(self, event: DeviceEvent) -> None:
        """Take an event."""
        if self._on_seen is not None:
            self._on_seen({"device": event.device, "event": event.kind, "data": event.data})
        self._event(event.device, event.kind, event.data | {"severity": event.severity}, event.at)

    def node_event(self, kind: str, data: dict[str, Any]) -> None:
        """Record an event of the node itself."""
        self._event(None, kind, data, self._clock.monotonic())

    def put_event(self, kind: str, data: dict[str, Any]) -> EventKey:
        """Append an event of the node itself that its maker keeps until it is made. Raises what `node_event` counts."""
        lane = self._store.lanes["event"]
        key = EventKey(lane.epoch, lane.next_seq)
        self._append_event(None, kind, data, self._clock.monotonic())
        return key

    async def commit_events(self) -> EventKey:
        """Have the disk take all events so far; up to where it has them. Trouble is told by the commit that is due."""
        with suppress(StoreError):
            await self._store.commit("event")
            self._on_committed()
        lane = self._store.lanes["event"]
        return EventKey(lane.epoch, lane.made)

    def _event(self, device: str | None, kind: str, data: dict[str, Any], at: float) -> None:
        try:
            self._append_event(device, kind, data, at)
        except (StoreError, LocalProtocolError) as error:
            self._could_not_record("event", device or self._node, error)
        else:
            self._refused.discard(("event", device or self._node))

    def _append_event(self, device: str | None, kind: str, data: dict[str, Any], at: float) -> None:
        lane = self._store.lanes["event"]
        payload = encode_event(
            node=self._node,
            device=device,
            kind=kind,
            data=data,
            epoch=lane.epoch,
            seq=lane.next_seq,
            boot=self._store.boot,
            time_ms=self._clock.wall_ms(at),
            time_quality=self._clock.quality(),
            uptime_ms=self._clock.uptime_ms(at),
        )
        lane.append(event_route(kind), payload)
        self._commit_at(self._clock.monotonic())

    def record(self, lane: str, route: str, payload: bytes) -> None:
        """Put a record that is encoded already, with the lane's next number inside, into its lane; commit at once."""
        try:
            self._store.lanes[lane].append(route, payload)
        except StoreError as error:
            self._could_not_record(lane, self._node, error)
            return
        self._commit_at(self._clock.monotonic())

    async def transaction(self, transaction: Transaction) -> bool:
        """Return True once the record is durable."""
        lane = self._store.lanes["transaction"]
        try:
            payload = encode_transaction(
                node=self._node,
                device=transaction.device,
                kind=transaction.kind,
                data=transaction.data,
                epoch=lane.epoch,
                seq=lane.next_seq,
                boot=self._store.boot,
                time_ms=self._clock.wall_ms(transaction.at),
                time_quality=self._clock.quality(),
                uptime_ms=self._clock.uptime_ms(transaction.at),
            )
            lane.append(transaction_route(transaction.kind), payload)
            await self._store.commit("transaction")
        except (StoreError, LocalProtocolError) as error:
            self._could_not_record("transaction", transaction.device, error)
            return False
        self._refused.discard(("transaction", transaction.device))
        self._on_committed()
        return True

    def time_offer(self, offer: TimeOffer) -> None:
        """Pass an offer of time to the clock."""
        self._clock.offer(offer)

    def device_lost(self, device: str, error: DriverError) -> None:
        """Say once that a device stopped answering: a log line and an alarm."""
        known = self._lost.get(device)
        if known is not None:
            self._lost[device] = LostDevice(known.since, str(error))  # told once, but what is known of it is the newest
            return
        now = self._clock.monotonic()
        self._lost[device] = LostDevice(now, str(error))
        log.warning(_("%s: lost: %s"), device, error)
        self.event(DeviceEvent(device=device, kind="stalled", at=now, data={"reason": str(error)}, severity="alarm"))

    def device_back(self, device: str) -> None:
        """Say once that it answers again, and after how long."""
        lost = self._lost.pop(device, None)
        if lost is None:
            return
        now = self._clock.monotonic()
        log.info(_("%s: back after %.0f s"), device, now - lost.since)
        self.event(DeviceEvent(device=device, kind="resumed", at=now, data={"after_s": round(now - lost.since, 1)}))

    # Packs and commits ------------------------------------------------------------------------------------------

    def _seal(self, stream: Stream) -> None:
        if not stream.rows:
            return
        rows = len(stream.rows)
        size = self._pack(stream, 0, rows)
        if size:
            stream.bytes_a_row = size / rows
        stream.clear()
        stream.last_sealed = self._clock.monotonic()

    def _pack(self, stream: Stream, first: int, last: int) -> int:
        """Record the rows from `first` to before `last`; return how many bytes that took."""
        lane = self._telemetry
        try:
            payloads = [
                self._encode(stream, part, first, last, seq) for seq, part in enumerate(stream.parts, lane.next_seq)
            ]
        except LocalProtocolError as error:
            if last - first == 1:
                self._could_not_record("telemetry", stream.device, error)
                return 0
            # Too much for one pack, or a row among them that the wire cannot carry: that must not cost the others.
            middle = (first + last) // 2
            return self._pack(stream, first, middle) + self._pack(stream, middle, last)
        try:
            for payload in payloads:
                lane.append(stream.route, payload)
        except StoreError as error:
            self._could_not_record("telemetry", stream.device, error, last - first)
            return 0
        self._refused.discard(("telemetry", stream.device))
        return sum(map(len, payloads))

    def _encode(self, stream: Stream, part: Part, first: int, last: int, seq: int) -> bytes:
        return encode_pack(
            node=self._node,
            epoch=self._telemetry.epoch,
            boot=self._store.boot,
            lane="telemetry",
            seq=seq,
            device=stream.device,
            time=self._clock.wall_ms(stream.first_at),
            time_quality=self._clock.quality(),
            uptime=self._clock.uptime_ms(stream.first_at),
            points=None if part.block is not None else part.points,
            block=part.block,
            offsets=stream.offsets[first:last],
            values=stream.values_of(part, first, last),
            bad=stream.bad_of(part, first, last),
            compact=stream.is_compact,
        )

    def _commit_at(self, when: float) -> None:
        """Have a commit begin at `when` at the latest; while one runs, the next begins after it."""
        self._due = when if self._due is None else min(self._due, when)
        if self._task is not None or (self._timer is not None and self._timer.when() <= self._due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(self._due, self._begin_commit)

    def _begin_commit(self) -> None:
        self._timer = self._due = None
        now = self._last_commit = self._clock.monotonic()
        for stream in self._streams.values():
            if stream.rows and now >= stream.last_sealed + stream.pack_s - 0.001:
                self._seal(stream)
        self._task = asyncio.get_running_loop().create_task(self._commit(), name="commit")

    async def _commit(self) -> None:
        try:
            await self._store.commit()
        except StoreError as error:
            if self.storage_error is None:
                log.error(_("storage: %s; what is made meanwhile waits in memory, within its ceiling"), error)
            self.storage_error = str(error)
        else:
            if self.storage_error is not None:
                log.info(_("storage: works again"))
                self.storage_error = None
            self._on_committed()
            if self._last_commit >= self._declared_at + DECLARE_PERIOD_S:
                self._declare_not_recorded()
        finally:
            self._task = None
        later = [stream.last_sealed + stream.pack_s for stream in self._streams.values() if stream.rows]
        if self.storage_error is not None:
            later.append(self._last_commit + COMMIT_PERIOD_S)
        if self._not_recorded:
            later.append(max(self._declared_at + DECLARE_PERIOD_S, self._last_commit + COMMIT_PERIOD_S))
        if self._due is not None:
            later.append(self._due)
        if later:
            self._commit_at(min(later))

    def _could_not_record(self, lane: str, device: str, error: Exception, rows: int = 1) -> None:
        if (lane, device) not in self._refused:
            self._refused.add((lane, device))
            log.error(_("storage: %s: records are refused: %s"), device, error)
        self._not_recorded[device] = self._not_recorded.get(device, 0) + rows
        self._commit_at(self._last_commit + COMMIT_PERIOD_S)

    def _declare_not_recorded(self) -> None:
        """Tell what the store could not take, as soon as it takes something again."""
        now = self._clock.monotonic()
        for device, count in tuple(self._not_recorded.items()):
            data = {"count": count, "why": "storage", "severity": "alarm"}
            try:
                self._append_event(None if device == self._node else device, "not-recorded", data, now)
            except (StoreError, LocalProtocolError):
                return  # still owed
            self._declared_at = now
            del self._not_recorded[device]
