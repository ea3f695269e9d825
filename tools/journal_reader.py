"""A journal as it lies on the disk, looked at without its gateway, whether that runs or not.

Nothing is opened for writing, repaired, renamed or made, and no lock is taken. A gateway that runs may let go of a
segment in between: the position is read before the segments and again behind them, so that what has properly gone is
not taken for missing.
"""

from collections.abc import Iterator
from pathlib import Path

import fastcrc
import msgspec

from edge.store.errors import StorageError
from edge.store.position import MAX_POSITION_BYTES, POSITION, Loss, Position, PositionError, decode_position
from edge.store.segment import FORMAT_VERSION, HEADER_BYTES, Segment, format_of, frames, parse_name
from edge.store.storage import PosixStorage
from protocols.wayside.ranges import RangeSet

MAX_NUMBER = 1 << 62
checksum = fastcrc.crc32.iscsi


class JournalError(Exception):
    """There is no journal, or it cannot be read; the text says which and why."""


class SegmentView(msgspec.Struct, kw_only=True):
    """One file, looked through from its first byte to its last."""

    name: str
    first: int
    last: int
    """The last record that a whole frame stands for; `first` - 1 where there is none."""
    bytes: int
    records: int = 0
    missing: list[tuple[int, int]] = []
    """Ranges of numbers that the file should hold and does not."""
    damaged_bytes: int = 0
    """Bytes before and between whole frames that are no frame."""
    torn_bytes: int = 0
    """Bytes behind the last whole frame: a commit that power cut short, or one that is being written."""
    is_newer: bool = False
    """Written by a newer program: not looked into."""


class LaneView(msgspec.Struct, kw_only=True):
    """One lane. Always: made = acked by all + queued + lost."""

    lane: str
    epoch: str | None
    segments: list[SegmentView]
    made: int
    acked: dict[str, int]
    """By uplink: records that it has let go."""
    queued: int
    lost: int
    losses: list[Loss]
    set_aside: list[str]
    """Files that are kept for a person: of another epoch, damaged, or of a newer program."""
    missing: list[tuple[int, int]]
    """Ranges that are owed or of an unknown fate, and that no file holds."""
    problems: list[str]
    """Plain words for each thing that is wrong; empty for a sound lane."""

    @property
    def first(self) -> int | None:
        """The oldest record that is kept."""
        return next((segment.first for segment in self.segments if segment.records), None)

    @property
    def last(self) -> int | None:
        """The newest record that is kept."""
        return next((segment.last for segment in reversed(self.segments) if segment.records), None)

    @property
    def bytes(self) -> int:
        """What the segments fill."""
        return sum(segment.bytes for segment in self.segments)


class Found(msgspec.Struct):
    """One whole record."""

    lane: str
    epoch: str
    seq: int
    body: bytes


def lane_folders(folder: Path) -> list[Path]:
    """The lanes below a data folder, or below its `journal`. Raises `JournalError` where there is none."""
    for journal in (folder / "journal", folder):
        try:
            lanes = sorted(path for path in journal.iterdir() if path.is_dir() and _is_lane(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise JournalError(f"{journal}: {error.strerror}") from error
        if lanes:
            return lanes
    raise JournalError(f"{folder}: no journal lies here")


def _is_lane(path: Path) -> bool:
    """Intents lie beside the lanes in the same format, and have no position: they are nobody's to receive."""
    return path.name != "intent" and any(
        name.name == POSITION or parse_name(name.name) is not None for name in path.iterdir()
    )


class LaneReader:
    """Reads one lane's folder."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._folder = folder
        self._storage = PosixStorage(folder)  # made, never opened: opening would make the folder

    def close(self) -> None:
        """Let go of the files."""
        self._storage.close()

    def view(self) -> LaneView:
        """Look through everything. Raises `JournalError`."""
        try:
            return self._view()
        except StorageError as error:
            raise JournalError(str(error)) from error

    def records(self, first: int, last: int) -> Iterator[Found]:
        """Whole records of the epoch in use, in order. Raises `JournalError`."""
        try:
            position, _problem = self._position()
            epoch, segments = self._segments(position)
            for segment, upto in segments:
                if segment.first > last or upto < first:
                    continue
                segment.size = self._storage.size(segment.name)
                for _start, _stop, seq, body in frames(self._storage, checksum, segment, 0):
                    if max(first, segment.first) <= seq <= min(last, upto):
                        yield Found(self.name, epoch, seq, body)
        except StorageError as error:
            raise JournalError(str(error)) from error

    def _view(self) -> LaneView:
        position, problem = self._position()
        epoch, found = self._segments(position)
        segments = []
        for segment, upto in found:
            segment.size = self._storage.size(segment.name)
            if segment.size:
                segments.append(self._look(segment, upto))
        after, _problem = self._position()
        if position is not None and position.epoch != epoch:
            position = after = None
        known = position.made if position is not None else 0
        made = max(known, *(segment.last for segment in segments), 0)
        acked = {
            uplink: RangeSet([[first, last] for first, last in pairs])
            for uplink, pairs in (after.acked if after else {}).items()
        }
        losses = [loss for loss in after.lost if not loss.epoch] if after else []
        lost = RangeSet([[loss.first, loss.last] for loss in losses])
        settled = _settled(acked, lost)
        settled.discard(made + 1, MAX_NUMBER)
        for segment in segments:  # a segment in the middle may have gone because nobody owed anything of it
            segment.missing = [gap for first, last in segment.missing for gap in settled.gaps(first, last)]
        missing = _missing(segments, known, settled)
        used = {segment.name for segment in segments}
        return LaneView(
            lane=self.name,
            epoch=epoch or None,
            segments=segments,
            made=made,
            acked={uplink: len(ranges) for uplink, ranges in acked.items()},
            queued=made - len(settled),
            lost=len(lost),
            losses=losses,
            set_aside=[name for name in self._storage.list() if name.endswith(".seg") and name not in used],
            missing=missing,
            problems=[*([problem] if problem else []), *_problems(segments, missing)],
        )

    def _position(self) -> tuple[Position | None, str | None]:
        storage = PosixStorage(self._folder)  # one of its own: the file is replaced, and an open one stays the old one
        try:
            if not storage.size(POSITION):
                return None, None
            return decode_position(storage.read(POSITION, 0, MAX_POSITION_BYTES), checksum), None
        except PositionError as error:
            return None, f"{POSITION}: {error}"
        finally:
            storage.close()

    def _segments(self, position: Position | None) -> tuple[str, list[tuple[Segment, int]]]:
        """The epoch in use and its files, each with the last number that may count in it."""
        found: dict[str, list[tuple[int, str]]] = {}
        for name in self._storage.list():
            parsed = parse_name(name)
            if parsed is not None:
                found.setdefault(parsed[0], []).append((parsed[1], name))
        epoch = max(found, key=lambda each: max(found[each])[0], default="")
        if position is not None and (position.epoch in found or not found):
            epoch = position.epoch
        files = sorted(found.get(epoch, []))
        ends = [*(first - 1 for first, _name in files[1:]), MAX_NUMBER][: len(files)]
        return epoch, [(Segment(name, first), end) for (first, name), end in zip(files, ends, strict=True)]

    def _look(self, segment: Segment, upto: int) -> SegmentView:
        head = self._storage.read(segment.name, 0, HEADER_BYTES)
        version = format_of(head, segment.first, checksum)
        view = SegmentView(name=segment.name, first=segment.first, last=segment.first - 1, bytes=segment.size)
        if version is not None and version > FORMAT_VERSION:
            view.is_newer = True
            return view
        if version is None:
            view.damaged_bytes = min(len(head), HEADER_BYTES)
        expected, marked = segment.first, segment.first
        at = min(HEADER_BYTES, segment.size)
        for start, stop, seq, _body in frames(self._storage, checksum, segment, 0):
            view.damaged_bytes += start - at
            at = stop
            if seq < 0:
                marked = max(marked, min(-seq, upto + 1))
            elif expected <= seq <= upto:
                if seq > expected:
                    view.missing.append((expected, seq - 1))
                view.records += 1
                view.last = seq
                expected = seq + 1
        view.torn_bytes = segment.size - at
        if marked > expected:  # a mark says that they were made durable
            view.missing.append((expected, marked - 1))
            expected = marked
        if upto < MAX_NUMBER and expected <= upto:
            view.missing.append((expected, upto))
        return view


def _settled(acked: dict[str, RangeSet], lost: RangeSet) -> RangeSet:
    """What nobody owes any more: let go by every uplink, or lost."""
    sets = list(acked.values())
    settled = RangeSet(sets[0].pairs()) if sets else RangeSet()
    for other in sets[1:]:
        for first, last in settled.pairs():
            for gap_first, gap_last in other.gaps(first, last):
                settled.discard(gap_first, gap_last)
    for first, last in lost.pairs():
        settled.add(first, last)
    return settled


def _missing(segments: list[SegmentView], known: int, settled: RangeSet) -> list[tuple[int, int]]:
    """Numbers that were made, that no file holds, and that are neither acknowledged nor declared lost."""
    holes = [hole for segment in segments for hole in segment.missing]
    kept_first = segments[0].first if segments else known + 1
    kept_last = max([segment.last for segment in segments], default=0)
    holes.append((1, kept_first - 1))
    if not any(segment.is_newer for segment in segments):
        holes.append((max(kept_last + 1, kept_first), known))
    found = RangeSet()
    for first, last in holes:
        for gap_first, gap_last in settled.gaps(first, last) if first <= last else ():
            found.add(gap_first, gap_last)
    return [(first, last) for first, last in found.pairs()]


def _problems(segments: list[SegmentView], missing: list[tuple[int, int]]) -> list[str]:
    problems = []
    for segment in segments:
        if segment.is_newer:
            problems.append(f"{segment.name}: is of a newer format than this program knows")
        if segment.damaged_bytes:
            problems.append(f"{segment.name}: {segment.damaged_bytes} bytes are damaged")
        problems += [f"{segment.name}: records {first} to {last} are not there" for first, last in segment.missing]
    problems += [f"records {first} to {last} are owed and lie nowhere" for first, last in missing]
    return problems
