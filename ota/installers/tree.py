"""A release as it lies in a slot: the image, a tar, and the tree that is unpacked from it.

    slots/{a|b}/image.tar   the very bytes that signed metadata names
    slots/{a|b}/tree/       its files and folders, nothing else

An image holds regular files and folders only. Links, devices, absolute names, `..`, names twice, and bytes behind the
end are refused before anything is unpacked. Standard library only: the launcher reads it.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from ota.errors import RefusedError, Rule, StorageError, printable
from ota.storage import Storage, parent, remove_all

PIECE_BYTES = 1 << 16
MAX_ENTRIES = 20_000
MAX_MANIFEST_BYTES = 1 << 16
MAX_DEPTH = 16
MANIFEST = "manifest.json"


class Entry(NamedTuple):
    """A file or a folder of an image; `offset` is that of its bytes."""

    name: str
    is_folder: bool
    mode: int
    offset: int
    size: int


class Manifest(NamedTuple):
    """What an image says of itself: its first entry."""

    name: str
    version: str
    counter: int
    entry: list[str]
    """What to start: `python` and its arguments, or a file of the tree."""


def image_of(slot: str) -> str:
    """The file of a slot's image."""
    return f"slots/{slot}/image.tar"


def tree_of(slot: str) -> str:
    """The folder of a slot's tree."""
    return f"slots/{slot}/tree"


def entries(storage: Storage, image: str) -> list[Entry]:
    """What an image holds, the manifest first. Raises `RefusedError` (format) and `StorageError`."""
    found: dict[str, Entry] = {}
    reader = io.BufferedReader(_Reader(storage, image), PIECE_BYTES)
    try:
        with tarfile.open(fileobj=reader, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep all of them, some 3 MB of a large image
                entry = _entry(member, image)
                _admit(entry, found, image)
            end = tar.offset
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise _refused(image, f"it is no tar: {error}") from error
    files = {entry.name for entry in found.values() if not entry.is_folder}
    for entry in found.values():
        for folder in _folders_of(entry):
            if folder in files:
                raise _refused(image, f"{folder!r} is a file and a folder")
    if any(piece.count(0) != len(piece) for piece in pieces(storage, image, end, storage.size(image) - end)):
        raise _refused(image, "something follows its end")
    if next(iter(found), "") != MANIFEST or MANIFEST not in files:
        raise _refused(image, f"its first entry is not {MANIFEST}")
    return list(found.values())


def manifest_of(storage: Storage, image: str, listed: list[Entry]) -> Manifest:
    """Raises `RefusedError` (format) and `StorageError`."""
    first = listed[0]
    manifest = _manifest(storage, image, image, first.offset, first.size)
    files = (each.name for each in listed if not each.is_folder)
    if manifest.entry[0] != "python" and manifest.entry[0] not in files:
        raise _refused(image, f"it is to start {manifest.entry[0]!r}, which it does not hold")
    return manifest


def manifest_in(storage: Storage, slot: str) -> Manifest:
    """As it lies in a tree that was looked at before. Raises `RefusedError` (format) and `StorageError`."""
    tree = tree_of(slot)
    name = f"{tree}/{MANIFEST}"
    return _manifest(storage, tree, name, 0, storage.size(name))


def _manifest(storage: Storage, what: str, name: str, offset: int, size: int) -> Manifest:
    if size > MAX_MANIFEST_BYTES:
        raise _refused(what, f"{MANIFEST} is too long")
    try:
        body = json.loads(storage.read(name, offset, size))
        manifest = Manifest(body["name"], body["version"], body["counter"], body["entry"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refused(what, f"{MANIFEST} lacks name, version, counter or entry") from error
    if not _is_entry(manifest.entry) or type(manifest.counter) is not int:
        raise _refused(what, f"{MANIFEST} names nothing that can be started")
    return manifest


def unpack(storage: Storage, slot: str) -> None:
    """Make the tree anew; all of it is durable afterwards. Raises `RefusedError` and `StorageError`."""
    image, tree = image_of(slot), tree_of(slot)
    listed = entries(storage, image)
    remove_all(storage, tree)
    storage.make_folder(tree)
    made = {""}
    for entry in listed:
        for folder in _folders_of(entry):
            if folder not in made:
                storage.make_folder(f"{tree}/{folder}")
                made.add(folder)
        if not entry.is_folder:
            name = f"{tree}/{entry.name}"
            storage.truncate(name, 0)
            offset = 0
            for piece in pieces(storage, image, entry.offset, entry.size):
                storage.write(name, offset, piece)
                offset += len(piece)
            storage.set_mode(name, entry.mode)
            storage.sync(name)
    for folder in made:
        storage.sync_folder(f"{tree}/{folder}".rstrip("/"))
    storage.sync_folder(parent(tree))


def image_fault(storage: Storage, slot: str, sha256: str, length: int) -> str:
    """What is wrong with a slot's image; nothing where it is right."""
    image = image_of(slot)
    hasher = hashlib.sha256()
    try:
        size = storage.size(image)
        if size != length:
            return f"{image} has {max(size, 0):,} bytes, not {length:,}"
        for piece in pieces(storage, image, 0, length):
            hasher.update(piece)
    except StorageError as error:
        return str(error)
    return "" if hasher.hexdigest() == sha256 else f"{image} is not the image that its trailer names"


def tree_fault(storage: Storage, slot: str) -> str:
    """What in a slot's tree is not as in its image; nothing where all is."""
    image, tree = image_of(slot), tree_of(slot)
    try:
        listed = entries(storage, image)
        missing = {folder + "/" for entry in listed for folder in _folders_of(entry)}
        missing.update(entry.name for entry in listed if not entry.is_folder)
        for name in _walk(storage, tree, ""):  # not all at once: a large release has thousands
            if name not in missing:
                return printable(f"{tree}/{name} is not of the image")
            missing.remove(name)
        if missing:
            return f"{tree}/{min(missing)} is missing"
        for entry in listed:
            if not entry.is_folder and not _is_same(storage, image, entry, f"{tree}/{entry.name}"):
                return f"{tree}/{entry.name} is not as in the image"
    except (RefusedError, StorageError) as error:
        return str(error)
    return ""


def unpacked_sha256(storage: Storage, slot: str, sha256: str, length: int) -> str:
    """Over the tree that a slot's image makes; nothing where it is not the image with this hash."""
    image = image_of(slot)
    try:
        listed = entries(storage, image)
        parts = {folder + "/": _Part(image, 0, 0) for entry in listed for folder in _folders_of(entry)}
        parts.update({each.name: _Part(image, each.offset, each.size) for each in listed if not each.is_folder})
        found = _sha256(storage, parts)
    except (RefusedError, StorageError):
        return ""
    return "" if image_fault(storage, slot, sha256, length) else found  # after it was read, so that it holds for that


def is_tree(storage: Storage, slot: str, tree_sha256: str) -> bool:
    """Whether a slot's tree is, name for name and byte for byte, the one with this hash; its image is not asked."""
    tree = tree_of(slot)
    if not tree_sha256:
        return False
    try:
        parts = {name: _Part(f"{tree}/{name}", 0, _size(storage, tree, name)) for name in _walk(storage, tree, "")}
        return _sha256(storage, parts) == tree_sha256
    except (RefusedError, StorageError):
        return False


def pieces(storage: Storage, name: str, offset: int, size: int) -> Iterator[bytes]:
    """Some bytes of a file. Raises `StorageError` where it has fewer."""
    end = offset + size
    while offset < end:
        piece = storage.read(name, offset, min(PIECE_BYTES, end - offset))
        if not piece:
            raise StorageError(name, f"it ends at {offset}")
        yield piece
        offset += len(piece)


def _entry(member: tarfile.TarInfo, image: str) -> Entry:
    name, parts = member.name, member.name.split("/")
    if not name.isprintable() or "\\" in name or len(parts) > MAX_DEPTH or any(len(each) > 200 for each in parts):
        raise _refused(image, f"the name {name[:80]!r} is not allowed")
    if any(part in ("", ".", "..") for part in parts):
        raise _refused(image, f"the name {name[:80]!r} leads elsewhere")
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) or member.sparse is not None:
        raise _refused(image, f"{name!r} is neither a file nor a folder")
    mode = 0o755 if member.isdir() or member.mode & 0o111 else 0o644
    return Entry(name, member.isdir(), mode, member.offset_data, member.size if member.isreg() else 0)


def _admit(entry: Entry, found: dict[str, Entry], image: str) -> None:
    if entry.name in found:
        raise _refused(image, f"{entry.name!r} is there twice")
    if len(found) == MAX_ENTRIES:
        raise _refused(image, f"it has more than {MAX_ENTRIES} entries")
    found[entry.name] = entry


def _folders_of(entry: Entry) -> list[str]:
    """The folders that an entry needs, the outer ones first."""
    parts = entry.name.split("/")
    count = len(parts) + 1 if entry.is_folder else len(parts)
    return ["/".join(parts[:end]) for end in range(1, count)]


class _Part(NamedTuple):
    """Where the bytes of a file of a tree lie; a folder has none."""

    file: str
    offset: int
    size: int


def _sha256(storage: Storage, parts: dict[str, _Part]) -> str:
    """Over each name, a folder's with a `/`, in order, and the hash of what is in it."""
    whole = hashlib.sha256()
    for name in sorted(parts):
        hasher = hashlib.sha256()
        for piece in pieces(storage, *parts[name]):
            hasher.update(piece)
        whole.update(name.encode(errors="surrogateescape") + b"\0" + hasher.digest())
    return whole.hexdigest()


def _size(storage: Storage, tree: str, name: str) -> int:
    return 0 if name.endswith("/") else storage.size(f"{tree}/{name}")


def _walk(storage: Storage, folder: str, below: str) -> Iterator[str]:
    if below.count("/") > MAX_DEPTH:
        raise _refused(folder, "it goes deeper than any image")
    for name in storage.list(folder):
        yield below + name
        if name.endswith("/"):
            yield from _walk(storage, f"{folder}/{name[:-1]}", below + name)


def _is_same(storage: Storage, image: str, entry: Entry, name: str) -> bool:
    if storage.size(name) != entry.size:
        return False
    offset = 0
    for piece in pieces(storage, image, entry.offset, entry.size):
        if storage.read(name, offset, len(piece)) != piece:
            return False
        offset += len(piece)
    return True


def _is_entry(value: Any) -> bool:
    """A row of words that a program can be given."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(word, str) and word and word.isprintable() for word in value)


def _refused(image: str, reason: str) -> RefusedError:
    return RefusedError(Rule.FORMAT, image, reason)


class _Reader(io.RawIOBase):
    """A file of the storage for `tarfile`."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._name = name
        self._size = storage.size(name)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._storage.read(self._name, self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
