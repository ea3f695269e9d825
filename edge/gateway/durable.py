"""Small files that survive a power cut: replaced in one step, or a line at a time appended. All raise `OSError`.

What a disk has damaged all the same is told from what was written, and is never a reason to stay down.
"""

import os
from pathlib import Path
from typing import TypeVar

import fastcrc
import msgspec

_T = TypeVar("_T")
_MARK = b"\ncrc32c "


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file, readable by its owner alone: after a power cut it holds the old or the new, never a part."""
    fresh = path.with_name(path.name + ".new")
    _write(fresh, data, os.O_TRUNC)
    fresh.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def write_over(path: Path, data: bytes) -> None:
    """Write over the first bytes of a file that is there, which needs no new room. For what fits into one sector."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, data, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, line: bytes) -> None:
    """Append to a file, readable by its owner alone; the disk has the line when the call returns, or nothing of it."""
    _write(path, line, os.O_APPEND)


def cut_torn_line(path: Path) -> None:
    """Take off what a power cut has left of a last line, so that the next one begins a line."""
    if path.exists():
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.truncate(path, whole)


def encode_kept(value: object) -> bytes:
    """JSON and its checksum, as the position file of a lane has it: a flipped bit may leave good JSON."""
    text = msgspec.json.encode(value)
    return text + _MARK + b"%08x\n" % fastcrc.crc32.iscsi(text)


def decode_kept(data: bytes, kind: type[_T], *, needs_checksum: bool = False) -> _T | None:
    """What JSON of ours says; None when it is damaged.

    Where a part of the text would be good JSON too, as of a number, it needs its checksum.
    """
    text, mark, crc = data.rpartition(_MARK)
    text = text.strip() if mark else data
    if (mark or needs_checksum) and crc != b"%08x\n" % fastcrc.crc32.iscsi(text):
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _write(path: Path, data: bytes, how: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        before = os.fstat(descriptor).st_size
        try:
            view = memoryview(data)
            while view:  # a nearly full disk may take a part
                view = view[file.write(view) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
