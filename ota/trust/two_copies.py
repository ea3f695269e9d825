"""A small record that must not be lost: two files, each with a checksum, of which the older one is written.

    {stem}-a, {stem}-b:  magic "WTC1" | CRC-32 of all that follows | sequence, 8 bytes | length, 4 bytes | record

A cut while one is written leaves the other. Numbers are big-endian.
"""

import struct
from zlib import crc32

from ota.errors import Cause, StorageError
from ota.storage import Storage, parent

MAX_BYTES = 1 << 20
_MAGIC = b"WTC1"
_HEAD = struct.Struct(">4sIQI")
_BODY_FROM = 8


class TwoCopies:
    """The record of one name. Read it once before it is written."""

    def __init__(self, storage: Storage, stem: str) -> None:
        self._storage = storage
        self.stem = stem
        self._names = (f"{stem}-a", f"{stem}-b")
        self._newest = 1
        self._sequence = 0
        self.damaged: list[str] = []
        """Copies that are there and do not hold; one of them after a power cut is no loss."""

    def read(self) -> bytes | None:
        """The newest record that holds; none where there is none.

        Raises `StorageError`, also where the disk gives none of what is there: that is no empty record.
        """
        self.damaged = []
        best: bytes | None = None
        broken: StorageError | None = None
        for index, name in enumerate(self._names):
            if self._storage.size(name) < 0:
                continue
            try:
                data = self._storage.read(name, 0, _HEAD.size + MAX_BYTES)
            except StorageError as error:
                if error.cause is not Cause.BROKEN:
                    raise
                data, broken = b"", error
            sequence, record = _decode(data)
            if record is None:
                self.damaged.append(name)
            elif best is None or sequence > self._sequence:
                best, self._sequence, self._newest = record, sequence, index
        if best is None and broken is not None:
            raise broken
        return best

    def write(self, record: bytes) -> None:
        """Put a record in place of the older one. Raises `StorageError`, and the newest one stays."""
        if len(record) > MAX_BYTES:
            raise StorageError(self._names[0], f"a record of {len(record)} bytes; at most {MAX_BYTES}")
        body = struct.pack(">QI", self._sequence + 1, len(record)) + record
        data = _MAGIC + struct.pack(">I", crc32(body)) + body
        name = self._names[1 - self._newest]
        if name in self.damaged:
            self._storage.remove(name)  # what comes in its place lies on other sectors
        self._storage.write(name, 0, data)
        self._storage.truncate(name, len(data))
        self._storage.sync(name)
        self._storage.sync_folder(parent(name))  # each time: nobody knows whether the last program lived to do it
        self._newest = 1 - self._newest
        self._sequence += 1


def _decode(data: bytes) -> tuple[int, bytes | None]:
    if len(data) < _HEAD.size:
        return 0, None
    magic, check, sequence, length = _HEAD.unpack_from(data)
    body = data[_BODY_FROM : _HEAD.size + length]
    if magic != _MAGIC or len(data) < _HEAD.size + length or crc32(body) != check:
        return 0, None
    return sequence, data[_HEAD.size : _HEAD.size + length]
