"""Small files of a person, beside the repository's own: read with a ceiling, written whole or not at all."""

from pathlib import Path

from ota.errors import RefusedError, Rule, StorageError
from ota.storage import FRESH, PosixStorage, replace

MAX_METADATA_BYTES = 5_000_000


def read_file(file: Path, limit: int = MAX_METADATA_BYTES) -> bytes:
    """What a file holds. Raises `RefusedError` where it is too large, `StorageError`."""
    data = PosixStorage(file.parent).read(file.name, 0, limit + 1)
    if len(data) > limit:
        raise RefusedError(Rule.LENGTH, str(file), f"it has more than {limit} bytes")
    return data


def write_new(file: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file that is not there yet. Raises `RefusedError`, `StorageError`."""
    storage = PosixStorage(file.parent)
    storage.open()
    if storage.size(file.name) >= 0:
        raise RefusedError(Rule.STORAGE, str(file), "it exists, and is not replaced")
    try:
        replace(storage, file.name, data)
        storage.set_mode(file.name, mode)
    except StorageError:
        storage.remove(file.name + FRESH)
        storage.remove(file.name)
        raise
