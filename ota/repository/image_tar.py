"""A folder as an image of kind `release-dir`: the same bytes whenever, wherever and by whomever it is made.

A POSIX tar without compression, so that a delta between two releases is small: the manifest first, then every folder
and file in the order of their names, mtime 0, owner 0, modes 0644 and 0755. Links and devices are refused; what Python
leaves beside its sources (`__pycache__`) stays out, for it holds times.
"""

import io
import json
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ota.errors import RefusedError, Rule, StorageError
from ota.installers.tree import MANIFEST, entries, manifest_of
from ota.storage import PosixStorage
from ota.targets import MAX_IMAGE_BYTES, Schema, to_json_types

LEFT_OUT = "__pycache__"


def image_of(folder: Path, *, name: str, version: str, counter: int, entry: Sequence[str], schema: Schema) -> bytes:
    """The image. `entry`: what the launcher starts. Raises `RefusedError` and `StorageError`."""
    said = {"name": name, "version": version, "counter": counter, "entry": list(entry), "schema": to_json_types(schema)}
    manifest = json.dumps(said, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar:
        tar.addfile(_head(MANIFEST, len(manifest), 0o644), io.BytesIO(manifest))
        for path in _walk(folder):
            inner = path.relative_to(folder).as_posix()
            if inner == MANIFEST:
                raise RefusedError(Rule.FORMAT, str(path), "the manifest is written here; this one must not be there")
            _add(tar, path, inner)
            if packed.tell() > MAX_IMAGE_BYTES:
                raise RefusedError(Rule.LENGTH, str(folder), f"the image is larger than {MAX_IMAGE_BYTES:,} bytes")
    image = packed.getvalue()
    _check(image, str(folder))
    return image


def folder_files(folder: Path) -> list[Path]:
    """Every file of a folder that belongs into an image, sorted. Raises `RefusedError`, `StorageError`."""
    paths = list(_walk(folder))
    for path in paths:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise _no_file(path)
    return [path for path in paths if path.is_file()]


def _walk(folder: Path) -> Iterator[Path]:
    try:
        paths = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise StorageError(str(folder), error.strerror or str(error)) from error
    for path in paths:
        if path.name == LEFT_OUT:
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    try:
        name.encode()
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            head = _head(name, 0, 0o755)
            head.type = tarfile.DIRTYPE
            tar.addfile(head)
        elif stat.S_ISREG(mode):
            data = path.read_bytes()
            tar.addfile(_head(name, len(data), 0o755 if mode & stat.S_IXUSR else 0o644), io.BytesIO(data))
        else:
            raise _no_file(path)
    except UnicodeEncodeError as error:
        raise RefusedError(Rule.FORMAT, repr(path.name), "this name is not UTF-8") from error
    except OSError as error:
        raise StorageError(str(path), error.strerror or str(error)) from error


def _no_file(path: Path) -> RefusedError:
    return RefusedError(Rule.FORMAT, str(path), "it is neither a file nor a folder; an image holds no links")


def _head(name: str, size: int, mode: int) -> tarfile.TarInfo:
    head = tarfile.TarInfo(name)
    head.size, head.mode = size, mode
    return head


def _check(image: bytes, what: str) -> None:
    """Whether the device's own reader takes it. Raises `RefusedError`."""
    with tempfile.TemporaryDirectory() as folder:
        storage = PosixStorage(Path(folder))
        storage.write("image.tar", 0, image)
        try:
            manifest_of(storage, "image.tar", entries(storage, "image.tar"))
        except RefusedError as error:
            raise RefusedError(error.rule, what, error.reason) from error
