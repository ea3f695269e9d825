"""The store of one gateway: its lanes, their common quota, and the group commit that makes records durable.

A commit is one write and one sync for each lane with news, in a thread of its own, so that the event loop never waits
for the disk; callers that come while one runs share the next. What must be on the disk before something else is written
in that order: the position file, then the removal of segments; a loss in the position file, then its event.
"""

import asyncio
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import fastcrc

from edge.store.errors import Cause, StorageError, StoreError, StoreLockedError
from edge.store.journal import Batch
from edge.store.lane import Lane, LaneName, Loss
from edge.store.medium import Medium
from edge.store.segment import Segment
from edge.store.storage import PosixStorage

LANES: tuple[LaneName, ...] = ("transaction", "event", "telemetry")
"""By rank: the last is evicted first, the first never."""
MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES = 64 << 10, 1 << 20
POSITION_PERIOD_S = 5.0
BALLAST = "ballast"
BALLAST_BYTES = 256 << 10
"""Given back when the disk is full, so that what was evicted can still be written down."""
MAX_LOSS_BACKLOG_BYTES = 1 << 20
MB = 1_000_000


class EncodeLoss(Protocol):
    """Makes the payload of a `loss` event with the sequence number `seq` of the event lane."""

    def __call__(
        self, *, lane: str, epoch: str, first: int, last: int, count: int, why: str, event_epoch: str, seq: int
    ) -> bytes:
        """Encode it."""


class Quotas:
    """Bytes that all lanes together, and each of them, may fill."""

    def __init__(self, total_mb: float, lanes_mb: Mapping[str, float] | None = None) -> None:
        self.total = int(total_mb * MB)
        self.lanes = {name: int(mb * MB) for name, mb in (lanes_mb or {}).items()}

    def segment_bytes(self) -> int:
        """Segments are small beside the quota: eviction works in whole ones."""
        smallest = min([self.total, *self.lanes.values()])
        return max(MIN_SEGMENT_BYTES, min(MAX_SEGMENT_BYTES, smallest // 32))


class _Work:
    """What one commit has to do in the store's thread, lane by lane."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.position: bytes | None = None
        self.segments: list[Segment] = []
        self.batch: Batch | None = None
        self.error: StorageError | None = None
        self.is_written = False


class Store:
    """See the module's docstring. Made by `open_store`."""

    def __init__(
        self,
        lanes: Mapping[LaneName, tuple[Lane, Medium]],
        *,
        quotas: Quotas,
        boot: int,
        encode_loss: EncodeLoss,
        monotonic: Callable[[], float],
        lock: int = -1,
    ) -> None:
        self.lanes: dict[str, Lane] = {name: lane for name, (lane, _medium) in lanes.items()}
        self._media: dict[str, Medium] = {name: medium for name, (_lane, medium) in lanes.items()}
        self.quotas = quotas
        self.boot = boot
        self._encode_loss = encode_loss
        self._monotonic = monotonic
        self._lock = lock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._to_discard: dict[str, list[Segment]] = {name: [] for name in self.lanes}
        self._declaring: dict[str, list[tuple[int, Loss]]] = {}
        self._position_due = 0.0
        self._is_ballast_out = False
        self.is_full = False
        """The disk, or the quota of a lane that may not evict, is full."""

    # Commit -----------------------------------------------------------------------------------------------------

    async def commit(self) -> None:
        """Return when the disk has all that was appended before the call. Raises `StoreError`."""
        if self._running is None:
            self._running = self._start(None)
            await asyncio.shield(self._running)
            return
        # What runs may have begun before our records came: wait for the one after it, which all late comers share.
        if self._next is None:
            self._next = self._start(self._running)
        await asyncio.shield(self._next)

    def _start(self, after: asyncio.Task[None] | None) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._commit(after), name="store commit")
        task.add_done_callback(_retrieve)
        return task

    async def _commit(self, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait({after})
            self._running, self._next = self._next, None
        try:
            await self._commit_once()
        except StorageError as error:
            if error.cause is not Cause.FULL or not self._make_room():
                self.is_full = error.cause is Cause.FULL
                raise
            await self._commit_once()
        finally:
            if self._next is None:
                self._running = None
        self.is_full = any(lane.is_full for lane in self.lanes.values())

    async def _commit_once(self) -> None:
        self._evict_to_quota()
        self._declare_losses()
        work = self._plan()
        if any(each.batch or each.segments or each.position is not None for each in work):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write, work)
        self._settle(work)

    def commit_now(self) -> None:
        """Commit in this thread, before the event loop runs or after it has ended. Raises `StoreError`."""
        self._evict_to_quota()
        self._declare_losses()
        work = self._plan(is_last=True)
        self._write(work)
        self._settle(work)

    def _plan(self, *, is_last: bool = False) -> list[_Work]:
        now = self._monotonic()
        is_due = is_last or now >= self._position_due
        if is_due:
            self._position_due = now + POSITION_PERIOD_S
        plan = []
        for name, lane in self.lanes.items():
            work = _Work(lane)
            self._to_discard[name] += lane.take_settled_segments()
            work.segments = list(self._to_discard[name])
            if lane.is_position_dirty and (is_due or work.segments):
                work.position = lane.position()
                lane.is_position_dirty = False
            work.batch = lane.journal.begin_commit()
            plan.append(work)
        return plan

    def _write(self, plan: list[_Work]) -> None:
        """In the store's thread. One lane's trouble is not another's."""
        for work in plan:
            try:
                if work.position is not None:
                    work.lane.save_position(work.position)
                for segment in tuple(work.segments):
                    work.lane.journal.discard(segment)
                    work.segments.remove(segment)
                if work.batch is not None:
                    work.lane.journal.write_commit(work.batch)
                    work.is_written = True
            except StorageError as error:
                work.error = error
        if self._is_ballast_out and not any(work.error for work in plan):
            _lay_ballast(self._media["event"])
            self._is_ballast_out = False

    def _settle(self, plan: list[_Work]) -> None:
        now = self._monotonic()
        error: StorageError | None = None
        for work in plan:
            lane = work.lane
            self._to_discard[lane.name] = work.segments
            if work.error is not None:
                error = error or work.error
                lane.is_position_dirty = lane.is_position_dirty or work.position is not None
            if work.batch is not None:
                if work.is_written:
                    lane.committed(work.batch, now)
                else:
                    lane.journal.fail_commit(work.batch)
        self._mark_declared()
        if error is not None:
            raise error

    # Quota and loss ---------------------------------------------------------------------------------------------

    @property
    def total_bytes(self) -> int:
        """What the journals fill and are about to fill."""
        return sum(lane.journal.total_bytes + lane.journal.pending_bytes for lane in self.lanes.values())

    def _evict_to_quota(self) -> None:
        for name in reversed(LANES):
            lane = self.lanes.get(name)
            if lane is None:
                continue
            own = self.quotas.lanes.get(name)
            while own is not None and lane.journal.total_bytes + lane.journal.pending_bytes > own:
                if name == "transaction" or not self._evict(name):
                    break
            while name != "transaction" and self.total_bytes > self.quotas.total:
                if not self._evict(name):
                    break
        transaction = self.lanes["transaction"]
        own = self.quotas.lanes.get("transaction", self.quotas.total)
        segment = self.quotas.segment_bytes()
        transaction.is_full = (
            transaction.journal.total_bytes + transaction.journal.pending_bytes + segment > own
            or self.total_bytes - segment > self.quotas.total
        ) and transaction.queued > 0

    def _evict(self, name: str) -> bool:
        segment = self.lanes[name].evict_oldest()
        if segment is None:
            return False
        self._to_discard[name].append(segment)
        return True

    def _make_room(self) -> bool:
        """The disk is full: give up the oldest telemetry, else the oldest events. False when there is nothing left."""
        self._media["event"].remove(BALLAST)
        self._is_ballast_out = True
        return any(self._evict(name) for name in ("telemetry", "event"))

    def _declare_losses(self) -> None:
        events = self.lanes["event"]
        for lane in self.lanes.values():
            waiting = self._declaring.setdefault(lane.name, [])
            for loss in lane.undeclared():
                if any(loss == pending for _seq, pending in waiting):
                    continue
                if events.journal.pending_bytes > MAX_LOSS_BACKLOG_BYTES:
                    return  # the disk takes nothing: the position file remembers, and it is said later
                payload = self._encode_loss(
                    lane=lane.name,
                    epoch=lane.epoch,
                    first=loss.first,
                    last=loss.last,
                    count=loss.last - loss.first + 1,
                    why=loss.why,
                    event_epoch=events.epoch,
                    seq=events.next_seq,
                )
                waiting.append((events.append("event/loss", payload), loss))

    def _mark_declared(self) -> None:
        made = self.lanes["event"].made
        for name, waiting in tuple(self._declaring.items()):
            for seq, loss in tuple(waiting):
                if seq <= made:
                    self.lanes[name].declared(loss)
                    waiting.remove((seq, loss))

    async def renew_epoch(self, name: str) -> int:
        """Begin a lane again under another epoch, its owed records declared lost; return how many they are.

        For a box whose data folder was restored from a backup: the ingest knows numbers that it has not made, and could
        not tell the new records that bear them from the old. Raises `StoreError`.
        """
        lane, events = self.lanes[name], self.lanes["event"]
        while True:
            await self.commit()
            if not lane.journal.pending_bytes:
                break
        owed = lane.settled.gaps(1, lane.made)
        epoch = lane.epoch
        if lane is events:
            lane.renew_epoch()
        for first, last in owed:
            payload = self._encode_loss(
                lane=name,
                epoch=epoch,
                first=first,
                last=last,
                count=last - first + 1,
                why="damaged",
                event_epoch=events.epoch,
                seq=events.next_seq,
            )
            events.append("event/loss", payload)
        await self.commit()
        if lane is not events:
            lane.renew_epoch()
        return sum(last - first + 1 for first, last in owed)

    # State ------------------------------------------------------------------------------------------------------

    @property
    def bytes_written(self) -> int:
        """Bytes given to write(), which wear the flash."""
        return sum(getattr(medium, "bytes_written", 0) for medium in self._media.values())

    def free_bytes(self) -> int:
        """Free space where the journals lie. Raises `StorageError`."""
        return self._media["event"].free_bytes()

    def notes(self) -> list[str]:
        """Lines for a person about what was found at the start."""
        return [f"{lane.name}: {note}" for lane in self.lanes.values() for note in lane.journal.notes]

    def close(self) -> None:
        """Let go of every file and of the lock. What was not committed is gone."""
        self._thread.shutdown(wait=True)
        for medium in self._media.values():
            if isinstance(medium, PosixStorage):
                medium.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _retrieve(task: asyncio.Task[None]) -> None:
    """Whoever awaits a commit sees its error; one that nobody awaits any more must not be reported as forgotten."""
    if not task.cancelled():
        task.exception()


def open_store(
    folder: Path,
    *,
    quotas: Quotas,
    encode_loss: EncodeLoss,
    monotonic: Callable[[], float],
    uplinks: tuple[str, ...] = ("mqtt",),
) -> Store:
    """Open the store in `folder`, made when it is not there, and count this start.

    Raises `StoreLockedError` when another gateway holds it, `StorageError` when the disk refuses.
    """
    root = PosixStorage(folder)
    root.open()
    lock = _take_lock(folder)
    try:
        boot = _count_boot(root)
        root.close()
        lanes: dict[LaneName, tuple[Lane, Medium]] = {}
        for name in LANES:
            medium = PosixStorage(folder / name)
            medium.open()
            lane = Lane(
                name,
                medium,
                checksum=fastcrc.crc32.iscsi,
                new_epoch=lambda: secrets.token_hex(8),
                segment_bytes=quotas.segment_bytes(),
                uplinks=uplinks,
            )
            lane.open()
            lanes[name] = lane, medium
        _lay_ballast(lanes["event"][1])
        return Store(lanes, quotas=quotas, boot=boot, encode_loss=encode_loss, monotonic=monotonic, lock=lock)
    except BaseException:
        os.close(lock)
        raise


def _take_lock(folder: Path) -> int:
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{folder / 'lock'}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreLockedError(f"{folder}: another gateway holds this data folder") from error
    return lock


def _count_boot(root: PosixStorage) -> int:
    try:
        boot = int(json.loads(root.read("boot.json", 0, 1000))["boot"]) + 1 if root.size("boot.json") else 1
    except (ValueError, KeyError, TypeError):
        boot = 1  # a damaged count: to begin again is the lesser evil
    root.replace("boot.json", json.dumps({"boot": boot}).encode())
    return boot


def _lay_ballast(medium: Medium) -> None:
    if medium.size(BALLAST) >= BALLAST_BYTES:
        return
    try:
        medium.append(BALLAST, bytes(BALLAST_BYTES - medium.size(BALLAST)))
        medium.end(BALLAST)
    except StoreError:
        medium.end(BALLAST)  # the disk is full already: eviction will have to do without
