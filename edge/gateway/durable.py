"""Small files that survive a power cut: replaced in one step, or a line at a time appended. Both raise `OSError`."""

import os
from pathlib import Path


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


def append_line(path: Path, line: bytes) -> None:
    """Append to a file, readable by its owner alone; the disk has the line when the call returns."""
    _write(path, line, os.O_APPEND)


def _write(path: Path, data: bytes, how: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:  # a nearly full disk may take a part
            view = view[file.write(view) :]
        os.fsync(descriptor)
