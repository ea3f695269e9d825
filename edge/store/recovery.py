"""What a journal finds when it is opened: which segments count, where the newest ends, what is missing.

MicroPython-clean. What follows the last commit mark was being written when the power went: whole records are kept, the
rest is cut. What cannot be read *before* a commit mark was damaged later: its numbers stay taken. Nothing is taken for
made before the medium has confirmed it once more: a process that was killed between write and sync leaves records that
can be read and may still vanish.
"""

from edge.store.segment import FORMAT_VERSION, HEADER_BYTES, Segment, format_of, frames, parse_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.store.medium import Medium

DOUBT = "doubt"
"""A file that is there as long as a doubt is, for the repair takes away what gave rise to it: the epoch, and the first
number that may have been given before."""
_NOT_YET_KNOWN = 1 << 62
ASIDE = "aside-"
NEWER = "newer-"
KEPT_ASIDE = 2
"""Damaged segments kept for whoever wants to look; older ones go."""


class Found:
    """A journal as it lies on the medium, repaired."""

    __slots__ = ("can_append", "doubt_from", "epoch", "is_newer", "lost", "next_seq", "notes", "segments")

    def __init__(self, epoch: str | None) -> None:
        self.epoch = epoch
        self.segments: list[Segment] = []
        self.next_seq = 1
        self.can_append = False
        self.doubt_from = 0
        """Its end does not look as a commit leaves it: there may have been more, from this number on, that has left the
        box. 0: there is no doubt."""
        self.is_newer = False
        """A newer program has been here: what it wrote is kept for it under other names, and we begin anew."""
        self.lost: list[tuple[int, int]] = []
        self.notes: list[str] = []


def recover(storage: "Medium", checksum: "Callable[[bytes], int]", epoch: str | None, at_least: int) -> Found:
    """Look through the medium and repair it; see `Journal.open` for `epoch` and `at_least`."""
    by_epoch = _by_epoch(storage)
    heads = {name: _head(storage, name) for each in by_epoch.values() for _first, name in each}
    newer = [name for each in by_epoch.values() for first, name in each if _is_newer(heads[name], first, checksum)]
    if newer:
        return _keep_newer(storage, newer)
    if epoch is None and by_epoch:
        epoch = max(by_epoch, key=lambda each: max(by_epoch[each])[0])
    found = Found(epoch)
    found.doubt_from = _marked_doubt(storage, epoch)
    for other, segments in by_epoch.items():
        if other != epoch:
            _doubt(storage, found)
            for _first, name in segments:
                keep_aside(storage, name)
                found.notes.append(name + ": set aside: it belongs to another epoch")
    for first, name in sorted(by_epoch.get(epoch or "", ())):
        _take(storage, checksum, found, name, first, heads[name])
    if found.segments:
        _find_end(storage, checksum, found)
        newest = found.segments[-1]
        storage.sync(newest.name)
        storage.sync_dir()
        found.next_seq = max(newest.last + 1, newest.first)
    if at_least >= found.next_seq:
        _doubt(storage, found)
        found.lost.append((found.next_seq, at_least))
        found.next_seq = at_least + 1
        found.can_append = False
    if found.doubt_from and found.epoch:
        found.doubt_from = min(found.doubt_from, found.next_seq)
        mark_doubt(storage, found.epoch, found.doubt_from)
    return found


def mark_doubt(storage: "Medium", epoch: str, first: int) -> None:
    """Leave a mark on the medium. On one that takes nothing it cannot be left."""
    try:
        storage.replace(DOUBT, (epoch + " " + str(first)).encode())
    except Exception:  # noqa: BLE001  # media differ in what they raise; a start must not fail for it
        return


def _doubt(storage: "Medium", found: Found) -> None:
    """Before anything is repaired; which number it begins with is told when all is found."""
    if not found.doubt_from:
        found.doubt_from = _NOT_YET_KNOWN
        mark_doubt(storage, found.epoch or "", _NOT_YET_KNOWN)


def _marked_doubt(storage: "Medium", epoch: str | None) -> int:
    if DOUBT not in storage.list():
        return 0
    try:
        words = storage.read(DOUBT, 0, 64).split()
        if len(words) == 2 and words[0] == (epoch or "").encode():
            return max(1, int(words[1]))
    except Exception:  # noqa: BLE001  # unreadable, or damaged as well: of the doubt there is none
        return _NOT_YET_KNOWN
    return _NOT_YET_KNOWN


def _by_epoch(storage: "Medium") -> dict[str, list[tuple[int, str]]]:
    """Segments as (first sequence, name)."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in storage.list():
        parsed = parse_name(name)
        if parsed is not None:
            found.setdefault(parsed[0], []).append((parsed[1], name))
    return found


def keep_aside(storage: "Medium", name: str) -> None:
    """Rename a segment so that it does not count any more; only the newest few are kept. May be done twice."""
    kept = ASIDE + name
    if storage.size(name):
        storage.rename(name, kept)
    others = [other for other in storage.list() if other.startswith(ASIDE) and other != kept]
    while len(others) >= KEPT_ASIDE:
        storage.remove(others.pop(0))


def _head(storage: "Medium", name: str) -> bytes | None:
    """The first bytes of a segment, None where the medium cannot give them: what follows them may still be read."""
    try:
        return storage.read(name, 0, HEADER_BYTES)
    except Exception:  # noqa: BLE001  # media differ in what they raise; the segment counts as damaged
        return None


def _is_newer(head: bytes | None, first: int, checksum: "Callable[[bytes], int]") -> bool:
    version = format_of(head or b"", first, checksum)
    return version is not None and version > FORMAT_VERSION


def _keep_newer(storage: "Medium", newer: list[str]) -> Found:
    """After an update was rolled back: all that lies there stays for the newer program's return.

    Its own segments go last: as long as one is there, the next start does the rest.
    """
    names = [name for name in storage.list() if name[: len(ASIDE)] not in (ASIDE, NEWER) and name not in newer]
    for name in names + newer:
        storage.rename(name, NEWER + name)
    storage.sync_dir()
    found = Found(None)
    found.is_newer = True
    found.notes.append(str(len(newer)) + " segments are of a newer format: kept for the program that wrote them")
    return found


def _take(
    storage: "Medium", checksum: "Callable[[bytes], int]", found: Found, name: str, first: int, head: bytes | None
) -> None:
    if head is not None and len(head) < HEADER_BYTES:
        # Power went while the segment was made: nothing in it was ever committed. Or the disk has lost it.
        _doubt(storage, found)
        storage.remove(name)
        return
    segment = Segment(name, first)
    segment.size = storage.size(name)
    segment.is_damaged = format_of(head or b"", first, checksum) is None
    if segment.is_damaged:
        found.notes.append(name + ": its header is damaged; its records are read as far as they can be")
    if found.segments:
        found.segments[-1].last = first - 1
    found.segments.append(segment)


def _find_end(storage: "Medium", checksum: "Callable[[bytes], int]", found: Found) -> None:
    """Find the end of the newest segment: whole records are kept, a torn tail is cut."""
    segment = found.segments[-1]
    end = HEADER_BYTES
    marked_end = HEADER_BYTES
    for _start, stop, seq, _body in frames(storage, checksum, segment, 0):
        if seq < 0:
            marked_end = stop
            segment.last = max(segment.last, -seq - 1)
        else:
            segment.last = max(segment.last, seq)
        end = stop
    is_whole = end == segment.size and end == marked_end > HEADER_BYTES and not segment.is_damaged
    if not is_whole:
        _doubt(storage, found)
    if end < segment.size:
        found.notes.append(segment.name + ": " + str(segment.size - end) + " bytes behind the last record are torn")
        if storage.truncate is not None:
            storage.truncate(segment.name, end)
            segment.size = end
    else:
        found.can_append = end == marked_end and not segment.is_damaged
