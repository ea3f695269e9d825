"""The files of a journal: how a segment looks, byte by byte, and how whole frames are found in a damaged one.

MicroPython-clean. Segments are files `{epoch}-{first sequence}.seg`, little-endian:

    header   "WSJ", format version 1, epoch (8), first sequence (8), CRC-32C (4)                     24 bytes
    record   0xA9, 0, length (4), sequence (8), CRC-32C over those 14 bytes and the body (4), body   18 + length
    commit   0xC3, 0, 0 (4), next sequence (8), CRC-32C over those 14 bytes (4)                      18 bytes

A commit mark says that all before it was made durable together.
"""

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.store.medium import Medium

FORMAT_VERSION = 1
HEADER_BYTES = 24
FRAME_BYTES = 18
MAX_BODY_BYTES = 131072
_MAGIC = b"WSJ"
_RECORD = 0xA9
_COMMIT = 0xC3
_READ_BYTES = 262144


class Segment:
    """One file: records `first` to `last`, the last byte that counts, and where to begin reading in the middle."""

    __slots__ = ("first", "index", "is_damaged", "last", "name", "size")

    def __init__(self, name: str, first: int) -> None:
        self.name = name
        self.first = first
        self.last = first - 1
        self.size = 0
        self.index: list[tuple[int, int]] = []
        self.is_damaged = False
        """Something in it cannot be read: it is set aside instead of removed."""


def header(epoch: str, first: int, checksum: "Callable[[bytes], int]") -> bytes:
    """The first bytes of a segment."""
    head = _MAGIC + bytes((FORMAT_VERSION,)) + bytes.fromhex(epoch) + struct.pack("<Q", first)
    return head + struct.pack("<I", checksum(head))


def format_of(head: bytes, first: int, checksum: "Callable[[bytes], int]") -> int | None:
    """The format of a segment, None when its header is damaged. All formats have these 24 bytes in common."""
    if len(head) < HEADER_BYTES or head[:3] != _MAGIC:
        return None
    (crc,) = struct.unpack_from("<I", head, 20)
    if crc != checksum(head[:20]) or struct.unpack_from("<Q", head, 12)[0] != first:
        return None
    return head[3]


def record_head(body: bytes, seq: int, checksum: "Callable[[bytes], int]") -> bytes:
    """What stands before a record's body."""
    head = struct.pack("<BBIQ", _RECORD, 0, len(body), seq)
    return head + struct.pack("<I", checksum(head + body))


def commit_mark(next_seq: int, checksum: "Callable[[bytes], int]") -> bytes:
    """The end of a commit."""
    head = struct.pack("<BBIQ", _COMMIT, 0, 0, next_seq)
    return head + struct.pack("<I", checksum(head))


def segment_name(epoch: str, first: int) -> str:
    """`{epoch}-{first}.seg`, the number in 16 hexadecimal digits so that names sort."""
    return f"{epoch}-{first:016x}.seg"


def parse_name(name: str) -> tuple[str, int] | None:
    """(epoch, first) of a segment's name, or None."""
    if len(name) != 37 or name[16] != "-" or not name.endswith(".seg"):
        return None
    try:
        int(name[:16], 16)
        return name[:16], int(name[17:33], 16)
    except ValueError:
        return None


def frames(
    storage: "Medium", checksum: "Callable[[bytes], int]", segment: Segment, offset: int
) -> "Iterator[tuple[int, int, int, bytes]]":
    """Every whole frame from `offset` on as (start, stop, sequence, body).

    A commit mark has the next sequence number, negative. After what is no frame it goes on at the very next byte. A
    number that cannot be at its place is no frame either: so a frame in the payload of a damaged record does no harm.
    """
    end = segment.size
    at = max(offset, HEADER_BYTES)
    base = at
    data = b""
    while True:
        have = len(data) - (at - base)
        need = FRAME_BYTES
        if have >= FRAME_BYTES:
            kind, zero, length, seq = struct.unpack_from("<BBIQ", data, at - base)
            if zero == 0 and length <= MAX_BODY_BYTES and (kind == _RECORD or (kind == _COMMIT and length == 0)):
                need = FRAME_BYTES + length
                if have >= need:
                    start = at - base
                    (crc,) = struct.unpack_from("<I", data, start + 14)
                    body = data[start + FRAME_BYTES : start + need]
                    is_possible = segment.first <= seq <= segment.first + (at - HEADER_BYTES) // FRAME_BYTES
                    if is_possible and crc == checksum(data[start : start + 14] + body):
                        yield at, at + need, (seq if kind == _RECORD else -seq), body
                        at += need
                        continue
                    need = 0
            else:
                need = 0
        if need and base + len(data) < end:
            more = storage.read(segment.name, base + len(data), min(_READ_BYTES, end - base - len(data)))
            if more:
                data = data[at - base :] + more
                base = at
                continue
            end = base + len(data)
        if have < FRAME_BYTES:
            return
        at += 1
        # Jump to the next byte that could begin a frame.
        record = data.find(bytes((_RECORD, 0)), at - base)
        commit = data.find(bytes((_COMMIT, 0)), at - base)
        nearest = min(record if record >= 0 else len(data), commit if commit >= 0 else len(data))
        at = base + min(nearest, max(at - base, len(data) - 1))
