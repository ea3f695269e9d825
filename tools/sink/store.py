"""The sink's store: records and their watermark in one transaction, then, and only then, something to acknowledge.

The watermark of each (node, lane, epoch) is a set of ranges, held in memory and written with the records that moved it.
When a write fails (a full disk, a file that vanished) nothing of it counts: memory is read back from what is on disk.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from drivers.text import _
from protocols.wayside.fields import Lane
from protocols.wayside.ranges import RangeSet
from protocols.wayside.state import Ack, Health, State
from tools.sink.intake import Heard, Record, Refusal
from tools.sink.ledger import SCHEMA, VERSION

ACK_AFTER_RECORDS = 200
MAX_RANGES_AN_ACK = 1000
"""An acknowledgement stays well below the 64 KB of a message."""
MAX_RANGES_A_STREAM = 100_000
"""A node that leaves a hole behind every record must not eat the memory of all."""
MAX_EPOCHS_A_NODE = 3000
MAX_REFUSALS = 10_000


class StoreError(Exception):
    """The ledger cannot be opened or written; nothing of what was handed in counts as stored."""


@dataclass(slots=True, eq=False)
class Stream:
    """What is known of one (node, lane, epoch)."""

    id: int
    node: str
    lane: Lane
    epoch: str
    received: RangeSet
    duplicates: int
    conflicts: int
    acked: int
    fresh: RangeSet
    """What came since the last acknowledgement, repeats included: a repeat says that an acknowledgement got lost."""
    born: int | None = None
    """The session in which the node just said that it is there: it wants to hear everything."""


class Store:
    """The writing side of a ledger. Calls block for as long as the disk takes."""

    def __init__(self, path: Path) -> None:
        self._streams: dict[tuple[str, str, str], Stream] = {}
        self._epochs: dict[str, int] = {}
        self._due: dict[int, Stream] = {}
        self._acked: dict[int, Stream] = {}
        self._refusals = 0
        self._is_stale = True
        self._lock = _lock(path)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # what nodes tell is nobody else's business
            self._db = sqlite3.connect(path, isolation_level=None, timeout=2)
            try:
                self._prepare()
                self._load()
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, OSError, StoreError) as error:
            os.close(self._lock)
            raise StoreError(f"{path}: {error}") from error

    def close(self) -> None:
        """Write what is left and let go of the file. Raises `StoreError` where that fails."""
        try:
            self.write([], now_ms=0)
        finally:
            self._db.close()
            os.close(self._lock)

    def write(self, messages: Sequence[Record | Heard | Refusal], *, now_ms: int) -> None:
        """Store all of `messages` in one transaction, watermarks included. Raises `StoreError`: then none is stored."""
        if not messages and not self._acked:
            return
        try:
            if self._is_stale:
                self._load()
            self._db.execute("BEGIN IMMEDIATE")
            touched = dict(self._acked)
            rows: list[tuple[Any, ...]] = []
            for message in messages:
                if isinstance(message, Record):
                    self._take(message, now_ms, rows, touched)
                elif isinstance(message, Heard):
                    self._take_heard(message, now_ms, touched)
                else:
                    self._refuse(message, now_ms)
            self._db.executemany(_INSERT_RECORD, rows)
            self._db.executemany(_UPDATE_STREAM, [_row_of(stream) for stream in touched.values()])
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._recover()
            raise StoreError(str(error)) from error
        self._acked.clear()
        for stream in touched.values():
            if stream.fresh or stream.born is not None:
                self._due[stream.id] = stream

    def probe(self) -> None:
        """Write something that changes nothing. Raises `StoreError` where the disk does not take it."""
        try:
            if self._is_stale:
                self._load()
            self._db.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error

    def has_full_ack(self) -> bool:
        """Whether an acknowledgement is due before its second is over."""
        return any(stream.born is not None or len(stream.fresh) >= ACK_AFTER_RECORDS for stream in self._due.values())

    def take_acks(self) -> list[tuple[str, Ack]]:
        """The acknowledgements that are due, by node; what they say is on the disk."""
        acks: list[tuple[str, Ack]] = []
        for stream in self._due.values():
            upto = stream.received.upto
            is_answer = stream.born is not None
            ranges = stream.received.also if is_answer else _ranges_around(stream.received, stream.fresh, upto)
            for start in range(0, len(ranges) or 1, MAX_RANGES_AN_ACK):
                end = start + MAX_RANGES_AN_ACK
                also = [(first, last) for first, last in ranges[start:end]]
                session = msgspec.UNSET if stream.born is None or end < len(ranges) else stream.born
                ack = Ack(lane=stream.lane, epoch=stream.epoch, upto=upto, also=also, session=session)
                acks.append((stream.node, ack))
            stream.fresh = RangeSet()
            stream.born = None
            stream.acked = stream.received.count
            self._acked[stream.id] = stream
        self._due.clear()
        return acks

    def drop_acks(self) -> None:
        """Forget what is due: nobody is to hear of it."""
        for stream in self._due.values():
            stream.fresh = RangeSet()
            stream.born = None
        self._due.clear()

    def _refuse(self, refusal: Refusal, now_ms: int) -> None:
        row = (now_ms, refusal.topic, refusal.reason)
        if self._db.execute(_UPDATE_REFUSAL, row).rowcount == 0 and self._refusals < MAX_REFUSALS:
            new = (refusal.topic, refusal.reason, now_ms, refusal.sample[:64])
            self._db.execute("INSERT INTO refusals VALUES (?1, ?2, 1, ?3, ?4)", new)
            self._refusals += 1

    def _take(self, record: Record, now_ms: int, rows: list[tuple[Any, ...]], touched: dict[int, Stream]) -> None:
        stream = self._stream(record.node, record.lane, record.epoch)
        if stream is None:
            reason = f"{record.node} has more than {MAX_EPOCHS_A_NODE} epochs"
            self._refuse(Refusal(record.route, reason, record.payload), now_ms)
            return
        touched[stream.id] = stream
        seq = record.seq
        if seq in stream.received:
            self._take_again(stream, record, rows)
        elif stream.received.range_count >= MAX_RANGES_A_STREAM and not _touches(stream.received, seq):
            self._refuse(Refusal(record.route, f"{record.node} leaves too many holes", record.payload), now_ms)
            return
        else:
            stream.received.add(seq)
            rows.append(
                (stream.id, seq, record.route, record.boot, record.time_ms, record.time_quality, record.uptime_ms,
                 now_ms, record.is_late, record.payload)
            )  # fmt: skip
            if record.loss is not None:
                self._take_loss(record, touched)
            if record.clock_set is not None:
                setting = record.clock_set
                row = (record.node, record.epoch, setting.boot, setting.uptime, setting.time, setting.offset_ms,
                       setting.source)  # fmt: skip
                self._db.execute("INSERT OR IGNORE INTO clock_sets VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        stream.fresh.add(seq)

    def _take_again(self, stream: Stream, record: Record, rows: list[tuple[Any, ...]]) -> None:
        query = "SELECT payload FROM records WHERE stream = ? AND seq = ?"
        found = self._db.execute(query, (stream.id, record.seq)).fetchone()
        before = found[0] if found else next((row[-1] for row in rows if row[:2] == (stream.id, record.seq)), None)
        if before != record.payload:
            stream.conflicts += 1
        elif not record.route.startswith("catalogue/"):  # published at every connect, which is no mistake
            stream.duplicates += 1

    def _take_loss(self, record: Record, touched: dict[int, Stream]) -> None:
        loss = record.loss
        lost = self._stream(record.node, loss.lane, loss.epoch) if loss else None
        if loss is None or lost is None:
            return
        row = (lost.id, loss.first, loss.last, loss.count, loss.why)
        self._db.execute("INSERT OR IGNORE INTO losses VALUES (?, ?, ?, ?, ?)", row)
        touched[lost.id] = lost

    def _take_heard(self, heard: Heard, now_ms: int, touched: dict[int, Stream]) -> None:
        if isinstance(heard.message, State):
            self._take_state(heard.message, now_ms, touched)
            return
        row = self._db.execute("SELECT epochs FROM nodes WHERE node = ?", (heard.node,)).fetchone()
        epochs = msgspec.json.decode(row[0]) if row else {}
        self._take_health(heard.node, heard.message, epochs)

    def _take_state(self, state: State, now_ms: int, touched: dict[int, Stream]) -> None:
        row = self._db.execute("SELECT session, epochs FROM nodes WHERE node = ?", (state.node,)).fetchone()
        if row is not None and not state.online and state.session < row[0]:
            return  # a late will of an older session
        epochs = state.epochs or (msgspec.json.decode(row[1]) if row else {})
        text = msgspec.json.encode(state).decode()
        values = (
            state.node,
            state.boot,
            state.session,
            state.online,
            msgspec.json.encode(epochs).decode(),
            text,
            now_ms,
        )
        self._db.execute("INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        for lane, epoch in state.epochs.items():
            if "event" in state.epochs:
                pair = (state.node, epoch, state.epochs["event"])
                self._db.execute("INSERT OR IGNORE INTO born_together VALUES (?, ?, ?)", pair)
            stream = self._stream(state.node, lane, epoch)
            if stream is not None:
                stream.born = state.session if state.online else None
                touched[stream.id] = stream
                if lane in state.lanes:
                    self._db.execute(_UPDATE_MADE, (*state.lanes[lane], stream.id))

    def _take_health(self, node: str, health: Health, epochs: dict[str, str]) -> None:
        for lane, said in health.lanes.items():
            stream = self._streams.get((node, lane, epochs.get(lane, "")))
            if stream is not None:
                self._db.execute(_UPDATE_HEALTH, (said.made, said.acked, said.queued, said.lost, stream.id))

    def _stream(self, node: str, lane: Lane, epoch: str) -> Stream | None:
        stream = self._streams.get((node, lane, epoch))
        if stream is None and self._epochs.get(node, 0) < MAX_EPOCHS_A_NODE:
            row = (node, lane, epoch)
            cursor = self._db.execute("INSERT INTO streams (node, lane, epoch) VALUES (?, ?, ?)", row)
            stream = Stream(cursor.lastrowid or 0, node, lane, epoch, RangeSet(), 0, 0, 0, RangeSet())
            self._streams[row] = stream
            self._epochs[node] = self._epochs.get(node, 0) + 1
        return stream

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            text = _("version {version} of a ledger, this writes {ours}")
            raise StoreError(text.format(version=version, ours=VERSION))
        if version == 0:
            if self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                raise StoreError(_("the file is a database, but no ledger"))
            self._db.execute("PRAGMA page_size = 8192")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA wal_autocheckpoint = 4000")
        if version == 0:
            self._db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    def _load(self) -> None:
        """Read every watermark back."""
        self._streams.clear()
        self._epochs.clear()
        for row in self._db.execute("SELECT id, node, lane, epoch, ranges, duplicates, conflicts, acked FROM streams"):
            number, node, lane, epoch, ranges, duplicates, conflicts, acked = row
            received = RangeSet(msgspec.json.decode(ranges))
            stream = Stream(number, node, lane, epoch, received, duplicates, conflicts, acked, RangeSet())
            self._streams[node, lane, epoch] = stream
            self._epochs[node] = self._epochs.get(node, 0) + 1
        self._is_stale = False
        (self._refusals,) = self._db.execute("SELECT count(*) FROM refusals").fetchone()

    def _recover(self) -> None:
        """Undo a failed write, in the database and in memory; what was due is told anew, as far as it is stored."""
        self._is_stale = True
        due = [(stream.node, stream.lane, stream.epoch, stream.born) for stream in self._due.values()]
        self._due.clear()
        self._acked.clear()
        with contextlib.suppress(sqlite3.Error):  # then the next write reads it back, before anything else
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._load()
            for *key, born in due:
                stream = self._streams.get(tuple(key))
                if stream is not None:
                    stream.born = born
                    stream.fresh = RangeSet(stream.received.pairs())
                    self._due[stream.id] = stream


def _lock(path: Path) -> int:
    """One sink a ledger: a second one would acknowledge by a watermark that is not its own."""
    name = path.with_name(path.name + ".lock")
    try:
        lock = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"{name}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreError(_("{path}: another sink writes this ledger").format(path=path)) from error
    return lock


_INSERT_RECORD = """INSERT INTO records (stream, seq, route, boot, time_ms, time_quality, uptime_ms, received_ms,
is_late, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, seq) DO NOTHING"""

_UPDATE_STREAM = "UPDATE streams SET received = ?, duplicates = ?, conflicts = ?, acked = ?, ranges = ? WHERE id = ?"

_UPDATE_MADE = """UPDATE streams SET made = max(ifnull(made, 0), ?1), node_acked = max(ifnull(node_acked, 0), ?2)
WHERE id = ?3"""

_UPDATE_HEALTH = """UPDATE streams SET made = max(ifnull(made, 0), ?1), node_acked = ?2, node_queued = ?3,
node_lost = ?4 WHERE id = ?5"""

_UPDATE_REFUSAL = "UPDATE refusals SET count = count + 1, last_ms = ? WHERE topic = ? AND reason = ?"


def _row_of(stream: Stream) -> tuple[int, int, int, int, str, int]:
    ranges = msgspec.json.encode(stream.received.pairs()).decode()
    return stream.received.count, stream.duplicates, stream.conflicts, stream.acked, ranges, stream.id


def _touches(received: RangeSet, seq: int) -> bool:
    return seq - 1 in received or seq + 1 in received


def _ranges_around(received: RangeSet, fresh: RangeSet, upto: int) -> list[list[int]]:
    """The ranges of `received` above `upto` that hold something of `fresh`."""
    ranges: list[list[int]] = []
    for first, last in fresh.pairs(upto + 1):
        if not ranges or last > ranges[-1][1]:
            ranges.append(received.range_of(first) or [first, last])
    return ranges
