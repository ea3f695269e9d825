"""The ledger of the reference ingest: its SQLite schema, and how others read it.

One file. `records` holds every payload as it came, once per (node, lane, epoch, sequence); `streams` holds a watermark
and counters for each (node, lane, epoch), written in the same transaction as the records that they count. Reading is
safe while the sink writes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from drivers.text import _
from protocols.core.errors import RemoteProtocolError
from protocols.wayside.events import CloudEvent, decode_event
from protocols.wayside.pack import Pack
from protocols.wayside.pack_codec import decode_pack
from protocols.wayside.ranges import RangeSet
from protocols.wayside.state import Catalogue, decode_catalogue

VERSION = 1

SCHEMA = """
CREATE TABLE streams (
  id INTEGER PRIMARY KEY,
  node TEXT NOT NULL, lane TEXT NOT NULL, epoch TEXT NOT NULL,
  received INTEGER NOT NULL DEFAULT 0,    -- records that are there
  duplicates INTEGER NOT NULL DEFAULT 0,  -- came again, byte for byte
  conflicts INTEGER NOT NULL DEFAULT 0,   -- came again under the same key with other bytes: refused, the first stays
  acked INTEGER NOT NULL DEFAULT 0,       -- records that the node was told of
  ranges TEXT NOT NULL DEFAULT '[]',      -- the watermark: [[first, last], ...]
  made INTEGER, node_acked INTEGER, node_queued INTEGER, node_lost INTEGER,  -- what the node said last
  UNIQUE (node, lane, epoch)
) STRICT;
CREATE TABLE records (
  id INTEGER PRIMARY KEY,
  stream INTEGER NOT NULL REFERENCES streams (id),
  seq INTEGER NOT NULL,
  route TEXT NOT NULL,                    -- telemetry/<device>, event/<kind>, transaction/<kind>, catalogue/<digest>
  boot INTEGER, time_ms INTEGER, time_quality TEXT, uptime_ms INTEGER,
  received_ms INTEGER NOT NULL,
  is_late INTEGER NOT NULL,               -- came as backfill
  payload BLOB NOT NULL,
  UNIQUE (stream, seq)
) STRICT;
CREATE TABLE losses (
  stream INTEGER NOT NULL REFERENCES streams (id),
  first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, why TEXT NOT NULL,
  PRIMARY KEY (stream, first, last)
) STRICT, WITHOUT ROWID;
CREATE TABLE clock_sets (
  node TEXT NOT NULL, event_epoch TEXT NOT NULL, boot INTEGER NOT NULL,
  uptime_ms INTEGER NOT NULL, time_ms INTEGER NOT NULL, offset_ms INTEGER NOT NULL, source TEXT NOT NULL,
  PRIMARY KEY (node, event_epoch, boot, uptime_ms, time_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE born_together (              -- which epochs a node named in one birth: a box that lost its disk starts
  node TEXT NOT NULL, epoch TEXT NOT NULL, event_epoch TEXT NOT NULL,  -- its boots at 1 again
  PRIMARY KEY (node, epoch, event_epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE nodes (
  node TEXT PRIMARY KEY, boot INTEGER NOT NULL, session INTEGER NOT NULL, online INTEGER NOT NULL,
  epochs TEXT NOT NULL, state TEXT NOT NULL, seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE refusals (
  topic TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, last_ms INTEGER NOT NULL, sample BLOB NOT NULL,
  PRIMARY KEY (topic, reason)
) STRICT, WITHOUT ROWID;
"""

_DATED = """
SELECT s.node, s.lane, s.epoch, r.seq, r.route, r.boot, r.time_ms AS claimed_ms, r.time_quality, r.uptime_ms,
       r.received_ms, r.is_late, r.payload,
       (SELECT c.time_ms - c.uptime_ms + r.uptime_ms FROM clock_sets c
        WHERE c.node = s.node AND c.boot = r.boot AND c.uptime_ms > r.uptime_ms
          AND (c.event_epoch = s.epoch
               OR EXISTS (SELECT 1 FROM born_together b
                          WHERE b.node = s.node AND b.epoch = s.epoch AND b.event_epoch = c.event_epoch)
               OR NOT EXISTS (SELECT 1 FROM born_together b WHERE b.node = s.node AND b.epoch = s.epoch))
        ORDER BY c.uptime_ms DESC LIMIT 1) AS set_ms
FROM records r JOIN streams s ON s.id = r.stream
WHERE (:node IS NULL OR s.node = :node) AND (:lane IS NULL OR s.lane = :lane)
ORDER BY s.node, s.lane, s.id, r.seq
"""
"""What a boot made before its clock was set is dated by the last setting: earlier ones may have been as wrong."""

_ISLANDS = """
SELECT min(seq), max(seq)
FROM (SELECT seq, seq - row_number() OVER (ORDER BY seq) AS island FROM records WHERE stream = ?)
GROUP BY island ORDER BY 1
"""


class LedgerError(Exception):
    """The file is no ledger, or one of a newer version."""


@dataclass(frozen=True)
class LaneLedger:
    """The account of one (node, lane, epoch)."""

    node: str
    lane: str
    epoch: str
    made: int | None
    """Highest number that the node said it made; None while it said nothing."""
    received: int
    """Records that are stored, each counted once."""
    acked: int
    """Records that the node was told of."""
    duplicates: int
    conflicts: int
    lost: int
    """Records that the node declared lost and that never came."""
    losses: list[tuple[int, int, str]]
    """(first, last, why) of what was declared."""
    gaps: list[tuple[int, int]]
    """(first, last) of what is neither there nor declared lost, up to the highest number known."""
    upto: int
    """What is known to exist: the highest number that was made, received or declared lost."""
    node_says: dict[str, int | None]
    """made, acked, queued and lost as the node counted them last."""

    @property
    def missing(self) -> int:
        """How many records are neither there nor declared lost."""
        return sum(last - first + 1 for first, last in self.gaps)


@dataclass(frozen=True)
class Ledger:
    """The whole account."""

    lanes: list[LaneLedger]
    refusals: list[tuple[str, str, int]]
    """(topic, reason, how often)"""
    problems: list[str] = field(default_factory=list)
    """What does not add up; see `check`."""

    def totals(self) -> dict[str, dict[str, int]]:
        """By lane, over all nodes and epochs: made, received, acked, lost, duplicates, missing."""
        totals: dict[str, dict[str, int]] = {}
        for lane in self.lanes:
            total = totals.setdefault(
                lane.lane, dict.fromkeys(("made", "received", "acked", "lost", "duplicates", "missing"), 0)
            )
            total["made"] += lane.upto if lane.made is None else max(lane.made, lane.upto)
            total["received"] += lane.received
            total["acked"] += lane.acked
            total["lost"] += lane.lost
            total["duplicates"] += lane.duplicates
            total["missing"] += lane.missing
        return totals


@dataclass(frozen=True)
class StoredRecord:
    """One record as it is in the ledger, dated as well as is known now."""

    node: str
    lane: str
    epoch: str
    seq: int
    route: str
    boot: int | None
    claimed_ms: int | None
    """The time that the node gave it."""
    time_quality: str | None
    uptime_ms: int | None
    received_ms: int
    is_late: int
    """1 where it came as backfill."""
    payload: bytes
    set_ms: int | None
    """The time by a later setting of the node's clock; None where there was none."""

    @property
    def time_ms(self) -> int | None:
        """When it was, ms UTC."""
        return self.claimed_ms if self.set_ms is None else self.set_ms

    @property
    def pack(self) -> Pack:
        """The pack, for a record of telemetry."""
        return decode_pack(self.payload)

    @property
    def event(self) -> CloudEvent:
        """The event or transaction."""
        return decode_event(self.payload)


@dataclass(frozen=True)
class Reading:
    """One value of one point."""

    node: str
    device: str
    point: str
    time_ms: float
    value: Any
    quality: int
    seq: int


def open_ledger(path: Path) -> sqlite3.Connection:
    """Open a ledger for reading. Raises `LedgerError`."""
    if not path.is_file():
        raise LedgerError(_("{path}: there is no such ledger").format(path=path))
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        connection.close()
        raise LedgerError(_("{path}: is no ledger: {error}").format(path=path, error=error)) from error
    if version != VERSION:
        connection.close()
        text = _("{path}: version {version} of a ledger, this reads {ours}")
        raise LedgerError(text.format(path=path, version=version, ours=VERSION))
    return connection


def read_ledger(path: Path) -> Ledger:
    """Read the counters: cheap, whatever the ledger holds. Raises `LedgerError`."""
    with closing(open_ledger(path)) as connection, connection:
        connection.execute("BEGIN")
        lanes = [_read_lane(connection, row) for row in connection.execute(f"{_STREAMS} ORDER BY node, lane, id")]
        refusals = connection.execute("SELECT topic, reason, count FROM refusals ORDER BY topic, reason").fetchall()
        return Ledger(lanes, refusals)


def verify_ledger(path: Path) -> Ledger:
    """Read the counters and hold them against every record; `Ledger.problems` says what does not add up.

    For each (node, lane, epoch): every number from 1 to the highest known is there exactly once or was declared lost;
    the watermark says what the records say; nothing came twice with other bytes. Raises `LedgerError`.
    """
    ledger = read_ledger(path)
    with closing(open_ledger(path)) as connection:
        for lane in ledger.lanes:
            ledger.problems.extend(f"{lane.node}/{lane.lane}/{lane.epoch}: {text}" for text in _check(connection, lane))
    return ledger


def read_records(path: Path, *, node: str | None = None, lane: str | None = None) -> Iterator[StoredRecord]:
    """Every record, by node, lane and sequence. Raises `LedgerError`."""
    with closing(open_ledger(path)) as connection:
        for row in connection.execute(_DATED, {"node": node, "lane": lane}):
            yield StoredRecord(*row)


def read_readings(path: Path, *, node: str | None = None, device: str | None = None) -> Iterator[Reading]:
    """Every value of the telemetry, with the points' names from the pack or from the catalogue that it points into.

    Raises `LedgerError` where a pack names a block that no catalogue has.
    """
    blocks: dict[tuple[str, str], list[str]] = {}
    for catalogue in read_catalogues(path, node=node):
        for name, points in catalogue.blocks.items():
            blocks[catalogue.node, f"{catalogue.digest}/{name}"] = points
    for record in read_records(path, node=node, lane="telemetry"):
        if not record.route.startswith("telemetry/") or (device and record.route != f"telemetry/{device}"):
            continue
        yield from _readings_of(record, blocks)


def read_catalogues(path: Path, *, node: str | None = None) -> Iterator[Catalogue]:
    """Every catalogue. Raises `LedgerError`."""
    for record in read_records(path, node=node, lane="telemetry"):
        if record.route.startswith("catalogue/"):
            yield decode_catalogue(record.payload)


def _readings_of(record: StoredRecord, blocks: dict[tuple[str, str], list[str]]) -> Iterator[Reading]:
    try:
        pack = record.pack
    except RemoteProtocolError as error:  # the sink stores nothing that it cannot read
        text = _("record {seq} of {node} is damaged: {error}")
        raise LedgerError(text.format(seq=record.seq, node=record.node, error=error)) from error
    points = pack.points
    if points is None:
        points = blocks.get((record.node, str(pack.block)))
        if points is None or any(len(row) != len(points) for row in pack.values):
            text = _("record {seq} of {node} names block {block}, which does not fit")
            raise LedgerError(text.format(seq=record.seq, node=record.node, block=pack.block))
    quality = {(sample, point): code for sample, point, code in pack.bad}
    for sample, (offset, row) in enumerate(zip(pack.offsets, pack.values, strict=True)):
        for index, (point, value) in enumerate(zip(points, row, strict=True)):
            time_ms = (record.time_ms or 0) + offset
            yield Reading(pack.node, pack.device, point, time_ms, value, quality.get((sample, index), 0), record.seq)


_STREAMS = """SELECT id, node, lane, epoch, made, received, acked, duplicates, conflicts, ranges, node_acked,
node_queued, node_lost FROM streams"""


def _read_lane(connection: sqlite3.Connection, row: tuple[Any, ...]) -> LaneLedger:
    stream, node, lane, epoch, made, received, acked, duplicates, conflicts, ranges, node_acked, queued, node_lost = row
    there = RangeSet(msgspec.json.decode(ranges))
    losses = connection.execute(
        "SELECT first, last, why FROM losses WHERE stream = ? ORDER BY 1, 2", (stream,)
    ).fetchall()
    declared = RangeSet(losses and [[first, last] for first, last, _why in losses])
    upto = max(made or 0, there.last or 0, declared.last or 0)
    gaps: list[tuple[int, int]] = []
    lost = 0
    for first, last in there.gaps(1, upto):
        undeclared = declared.gaps(first, last)
        lost += last - first + 1 - sum(b - a + 1 for a, b in undeclared)
        gaps.extend(undeclared)
    return LaneLedger(
        node=node,
        lane=lane,
        epoch=epoch,
        made=made,
        received=received,
        acked=acked,
        duplicates=duplicates,
        conflicts=conflicts,
        lost=lost,
        losses=losses,
        gaps=gaps,
        upto=upto,
        node_says={"made": made, "acked": node_acked, "queued": queued, "lost": node_lost},
    )


def _check(connection: sqlite3.Connection, lane: LaneLedger) -> Iterator[str]:
    (stream, ranges) = connection.execute(
        "SELECT id, ranges FROM streams WHERE node = ? AND lane = ? AND epoch = ?", (lane.node, lane.lane, lane.epoch)
    ).fetchone()
    islands = [list(island) for island in connection.execute(_ISLANDS, (stream,))]
    if islands != msgspec.json.decode(ranges):
        yield _("the watermark says {ranges}, the records {islands}").format(ranges=ranges, islands=islands)
    (count,) = connection.execute("SELECT count(*) FROM records WHERE stream = ?", (stream,)).fetchone()
    if count != lane.received:
        yield _("{counted} records were counted, {there} are there").format(counted=lane.received, there=count)
    for first, last in lane.gaps:
        yield _("records {first} to {last} are neither there nor declared lost").format(first=first, last=last)
    if lane.conflicts:
        yield _("{number} records came again with other bytes").format(number=lane.conflicts)
    if lane.upto != lane.received + lane.lost + lane.missing:
        yield _("{made} made is not {received} received, {lost} lost and {missing} missing").format(
            made=lane.upto, received=lane.received, lost=lane.lost, missing=lane.missing
        )
    there = RangeSet(islands)
    for first, last, count in connection.execute("SELECT first, last, count FROM losses WHERE stream = ?", (stream,)):
        absent = sum(b - a + 1 for a, b in there.gaps(first, last))
        if absent > count:
            yield _("of records {first} to {last} {count} were declared lost, {absent} are not there").format(
                first=first, last=last, count=count, absent=absent
            )
