"""The store of one gateway: its lanes, their common quota, and the group commit that makes records durable.

A commit is one write and one sync for each lane with news, in a thread of its own, so that the event loop never waits
for the disk; callers that come while one runs share the next. `edge.store.plan` has what is written in which order.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress

from edge.store.errors import Cause, StorageError
from edge.store.folder import Ballast
from edge.store.intents import Intent, Intents, Result
from edge.store.lane import Lane, LaneName
from edge.store.losses import Declarations, EncodeLoss
from edge.store.medium import Medium
from edge.store.plan import LaneWork, Plan
from edge.store.segment import Segment
from edge.store.storage import PosixStorage

LANES: tuple[LaneName, ...] = ("transaction", "event", "telemetry")
"""By rank: the last is evicted first, the first never."""
MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES = 64 << 10, 1 << 20
POSITION_PERIOD_S = 5.0
MAX_EVICTIONS = 3
"""Segments given up, at most, for one commit on a full disk: somebody else may be filling it."""
MB = 1_000_000


class Quotas:
    """Bytes that all lanes together, and each of them, may fill."""

    def __init__(self, total_mb: float, lanes_mb: Mapping[str, float] | None = None) -> None:
        self.total = int(total_mb * MB)
        self.lanes = {name: int(mb * MB) for name, mb in (lanes_mb or {}).items()}

    def segment_bytes(self) -> int:
        """Segments are small beside the quota: eviction works in whole ones."""
        smallest = min([self.total, *self.lanes.values()])
        return max(MIN_SEGMENT_BYTES, min(MAX_SEGMENT_BYTES, smallest // 32))


class Store:
    """See the module's docstring. Made by `edge.store.opening`."""

    def __init__(
        self,
        lanes: Mapping[LaneName, tuple[Lane, Medium]],
        *,
        intents: Intents,
        quotas: Quotas,
        boot: int,
        encode_loss: EncodeLoss,
        monotonic: Callable[[], float],
        lock: int = -1,
    ) -> None:
        self.lanes: dict[str, Lane] = {name: lane for name, (lane, _medium) in lanes.items()}
        self._media: list[Medium] = [medium for _lane, medium in lanes.values()] + [intents.medium]
        self._root: Medium = lanes["event"][1]
        self._intents = intents
        intents.compare(self._is_found)
        self.quotas = quotas
        self.boot = boot
        self._monotonic = monotonic
        self._lock = lock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._writing: tuple[Plan, Future[None] | None] | None = None
        self._to_discard: dict[str, list[Segment]] = {name: [] for name in self.lanes}
        self._intents_to_discard: list[Segment] = []
        self._declarations = Declarations(self.lanes, encode_loss)
        self._position_due = 0.0
        self._upkeep: asyncio.TimerHandle | None = None
        for lane in self.lanes.values():
            lane.on_dirty = self._keep_up_soon
        self._ballast = Ballast(self._root)
        self._ballast.lay()
        self.is_full = False
        """The disk, or the quota of a lane that may not evict, is full."""
        self.upkeep_error: str | None = None
        """What keeps positions from being saved or segments from being removed; records are safe all the same."""

    # Commit -----------------------------------------------------------------------------------------------------

    async def commit(self, lane: str | None = None) -> None:
        """Return when the disk has all that was appended before the call, or all that was appended to `lane`.

        Raises `StorageError`; where a lane is named, another one's trouble is none.
        """
        wanted = 0 if lane is None else self.lanes[lane].next_seq - 1
        if self._running is None:
            task = self._running = self._start(None)
        else:
            # What runs may have begun before our records came: wait for the next, which all late comers share.
            task = self._next = self._next or self._start(self._running)
        try:
            await asyncio.shield(task)
        except StorageError:
            if lane is None or self.lanes[lane].made < wanted:
                raise

    def _keep_up_soon(self, is_urgent: bool) -> None:
        """What was acknowledged or found damaged is written down although nothing new is made."""
        if is_urgent and self._upkeep is not None:
            self._upkeep.cancel()
            self._upkeep = None
        after_s = 0.0 if is_urgent else POSITION_PERIOD_S
        with suppress(RuntimeError):  # no loop runs yet, or any more: then the next commit does it
            self._upkeep = self._upkeep or asyncio.get_running_loop().call_later(after_s, self._keep_up)

    def _keep_up(self) -> None:
        self._upkeep = None
        if any(lane.is_position_dirty for lane in self.lanes.values()):
            self._position_due = 0.0
            if self._running is None:
                self._running = self._start(None)
            elif self._next is None:
                self._next = self._start(self._running)

    def commit_now(self) -> None:
        """Commit in this thread, positions too: before the event loop runs or at its end. Raises `StorageError`."""
        for plan in self._rounds(is_last=True):
            plan.write()

    def _start(self, after: asyncio.Task[None] | None) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._commit(after), name="store commit")
        task.add_done_callback(_retrieve)
        return task

    async def _commit(self, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait({after})
            self._running, self._next = self._next, None
        try:
            for plan in self._rounds():
                future = self._thread.submit(plan.write)
                self._writing = plan, future
                await asyncio.shield(asyncio.wrap_future(future))
        finally:
            if self._next is None:
                self._running = None

    def _rounds(self, *, is_last: bool = False) -> Iterator[Plan]:
        """What to write, round after round, until the disk has all that was appended before; the caller writes it."""
        self._finish_abandoned()
        journals = [*(lane.journal for lane in self.lanes.values()), self._intents.journal]
        wanted = [(journal, journal.epoch, journal.next_seq - 1) for journal in journals]
        evictions = 0
        while True:
            self._evict_to_quota()
            self._declarations.declare()
            plan = self._plan(is_last=is_last)
            if plan.has_work:
                self._writing = plan, None
                yield plan
                self._settle(plan)
            error = plan.error
            if error is not None:
                evictions += 1
                if error.cause is not Cause.FULL or evictions > MAX_EVICTIONS or not self._make_room():
                    self.is_full = error.cause is Cause.FULL
                    raise error
            elif all(journal.epoch != epoch or journal.committed_seq >= seq for journal, epoch, seq in wanted):
                break
        self.is_full = any(lane.is_full for lane in self.lanes.values())

    def _finish_abandoned(self) -> None:
        """A commit whose task was cancelled has left its write behind: wait for it and take note of what it did."""
        if self._writing is not None:
            plan, future = self._writing
            if future is not None:
                wait([future])
            self._settle(plan)

    def _plan(self, *, is_last: bool) -> Plan:
        now = self._monotonic()
        is_due = is_last or now >= self._position_due or any(lane.is_epoch_new for lane in self.lanes.values())
        if is_due:
            self._position_due = now + POSITION_PERIOD_S
        plan = Plan(self._intents, self._ballast)
        for name, lane in self.lanes.items():
            work = LaneWork(lane)
            self._to_discard[name] += lane.take_settled_segments()
            work.segments = list(self._to_discard[name])
            if (lane.is_position_dirty and is_due) or (lane.is_copy_behind and work.segments):
                work.position = lane.position()
                lane.is_position_dirty = False
            plan.lanes.append(work)
        self._intents_to_discard += self._intents.take_settled_segments()
        plan.intent_segments = list(self._intents_to_discard)
        if not any(lane.is_epoch_new for lane in self.lanes.values()):  # an end may name the new one once it counts
            plan.intent_batch = self._intents.journal.begin_commit()
        plan.behind_intents, later = self._intents.lanes_behind(plan.intent_batch)
        for work in plan.lanes:
            if work.lane.name not in later:
                work.batch = work.lane.journal.begin_commit()
        return plan

    def _settle(self, plan: Plan) -> None:
        """Take note of what the disk has; once for each plan."""
        if self._writing is None or self._writing[0] is not plan:
            return
        self._writing = None
        now = self._monotonic()
        trouble: StorageError | None = None
        for work in plan.lanes:
            lane = work.lane
            self._to_discard[lane.name] = work.segments
            trouble = trouble or work.upkeep_error
            if work.position is not None:
                lane.is_copy_behind = lane.is_copy_behind and not (work.is_copy_saved and not lane.is_position_dirty)
                if work.is_position_saved:
                    lane.is_epoch_new = lane.is_epoch_new and not work.is_epoch_new
                else:
                    lane.is_position_dirty = True
            if work.batch is not None:
                if work.is_written:
                    lane.committed(work.batch, now)
                else:
                    lane.journal.fail_commit()
        self._intents_to_discard = plan.intent_segments
        if plan.intent_batch is not None:
            if plan.are_intents_written:
                self._intents.journal.end_commit(plan.intent_batch)
            else:
                self._intents.journal.fail_commit()
        self._intents.settle(self._is_durable)
        self._declarations.settle()
        self.upkeep_error = str(trouble) if trouble is not None else None

    # Intents ----------------------------------------------------------------------------------------------------

    @property
    def unfinished_intents(self) -> list[Intent]:
        """Intents that this start has found without a result."""
        return list(self._intents.unfinished)

    def begin_intent(self, data: bytes) -> int:
        """Queue an intent; when the next `commit` returns, it is durable and the step may be taken."""
        return self._intents.begin(data)

    def end_intent(self, seq: int, lane: str = "transaction") -> None:
        """The record appended last to `lane` is the step's result; when the next `commit` returns, both are durable.

        Nothing may await between the two calls. Raises `StoreError` where no such intent is open.
        """
        self._intents.end(seq, Result(lane, self.lanes[lane].epoch, self.lanes[lane].next_seq - 1))

    def _is_durable(self, result: Result) -> bool:
        """An epoch ends only when all that was appended in it is durable."""
        lane = self.lanes.get(result.lane)
        return lane is not None and (lane.epoch != result.epoch or lane.made >= result.seq)

    def _is_found(self, result: Result) -> bool:
        """The same after a start, when a write that power cut short may have left the number and not the record."""
        lane = self.lanes.get(result.lane)
        if lane is None or not self._is_durable(result):
            return False
        if lane.epoch != result.epoch or result.seq == 0 or result.seq in lane.released:
            return True
        losses = [loss for loss in lane.losses if loss.why == "quota" and not loss.epoch]
        if any(loss.first <= result.seq <= loss.last for loss in losses):
            return True
        try:
            return any(record.seq == result.seq for record in lane.read(result.seq))
        except StorageError:
            return False

    # Quota and loss ---------------------------------------------------------------------------------------------

    @property
    def total_bytes(self) -> int:
        """What the journals fill and are about to fill."""
        return sum(self._bytes_of(name) for name in self.lanes)

    def _evict_to_quota(self) -> None:
        transaction = self.lanes["transaction"]
        for name in reversed(LANES):
            own = self.quotas.lanes.get(name)
            while own is not None and self._bytes_of(name) > own and self._evict(name):
                pass
        while self.total_bytes > self.quotas.total and self._evict(*reversed(LANES)):
            pass
        own = self.quotas.lanes.get("transaction", self.quotas.total)
        segment = self.quotas.segment_bytes()
        while self._bytes_of("transaction") + segment > own and self._evict("transaction"):
            pass
        transaction.is_full = (
            self._bytes_of("transaction") + segment > own or self.total_bytes - segment > self.quotas.total
        ) and transaction.queued > 0

    def _bytes_of(self, name: str) -> int:
        journal = self.lanes[name].journal
        return journal.total_bytes + journal.pending_bytes

    def _evict(self, *names: str) -> bool:
        """Give up a segment that nobody owes anything of, else the oldest of the first lane here that may evict."""
        for name in names:
            segment = self.lanes[name].take_settled_behind()
            if segment is not None:
                self._to_discard[name].append(segment)
                return True
        for name in names:
            segment = self.lanes[name].evict_oldest() if name != "transaction" else None
            if segment is not None:
                self._to_discard[name].append(segment)
                return True
        return False

    def _make_room(self) -> bool:
        """The disk is full: give up what nobody owes, else the oldest telemetry or events. False: nothing is left."""
        with suppress(StorageError):  # what is evicted may fit all the same
            self._ballast.give()
        return self._evict(*reversed(LANES))

    async def renew_epoch(self, name: str) -> int:
        """Begin a lane again under another epoch, its owed records declared lost; return how many they are.

        For a box whose data folder was restored from a backup: the ingest knows numbers that it has not made, and could
        not tell the new records that bear them from the old. Raises `StoreError`.
        """
        lane = self.lanes[name]
        while self._writing is not None or lane.journal.pending_bytes:
            await self.commit()
        # Nothing is being written and nothing awaits from here on: no record of the lane slips in between.
        epoch = lane.epoch
        left = self._declarations.end_epoch(lane)
        self._to_discard[name] += lane.renew_epoch(left)
        count = sum(loss.last - loss.first + 1 for loss in left if loss.epoch == epoch and not loss.is_declared)
        with suppress(StorageError):  # done at the next commit that succeeds, whose caller hears of the trouble
            await self.commit()
        return count

    # State ------------------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> str | None:
        """What of the disk does not work although commits do: a read, a position, a removal."""
        return self.upkeep_error or next((lane.read_error for lane in self.lanes.values() if lane.read_error), None)

    @property
    def bytes_written(self) -> int:
        """Bytes given to write(), which wear the flash."""
        return sum(getattr(medium, "bytes_written", 0) for medium in self._media)

    def free_bytes(self) -> int:
        """Free space where the journals lie. Raises `StorageError`."""
        return self._root.free_bytes()

    def notes(self) -> list[str]:
        """Lines for a person about what was found at the start."""
        lanes = [f"{lane.name}: {note}" for lane in self.lanes.values() for note in lane.journal.notes]
        return lanes + [f"intent: {note}" for note in self._intents.journal.notes]

    def close(self) -> None:
        """Let go of every file and of the lock. What was not committed is gone."""
        if self._upkeep is not None:
            self._upkeep.cancel()
        self._thread.shutdown(wait=True)
        for medium in self._media:
            if isinstance(medium, PosixStorage):
                medium.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _retrieve(task: asyncio.Task[None]) -> None:
    """Whoever awaits a commit sees its error; one that nobody awaits any more must not be reported as forgotten."""
    if not task.cancelled():
        task.exception()
