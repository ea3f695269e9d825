"""The two sets of modules on a secondary, and the one that is being written. MicroPython-clean.

    lib_a/ lib_b/     the modules of a set
    set_a set_b       its manifest, behind one line with the code (HMAC) that only this box can have made
    in.set in.part    what comes from the gateway: the manifest, then the stream of one file after the other

A set without its `set_` file is none. That file is removed before anything of the set is touched and written last, so
whenever power goes, a set is whole or it is not there. Nothing is renamed: while a rename between two folders is under
way, littlefs hides the file that follows in the first, and a cut leaves it hidden until the next write.
"""

import hashlib
import os

from ota.mcu.authentic import is_same, mac
from ota.mcu.delta import PIECE_BYTES, WINDOW_BITS, apply_delta, copy_full
from ota.mcu.errors import SecondaryError
from ota.mcu.manifest import MAX_FILES, MAX_LINE_BYTES, Entry, read_entry, read_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from ota.mcu.delta import Inflated

    Inflate = Callable[[BinaryIO, int], Inflated]
    """A raw deflate stream and the bits of its window; on a board `deflate.DeflateIO`."""

SLOTS = "ab"
KEEP, FULL, DELTA, ASK = b"k", b"f", b"d", b"q"
_IN_SET, _IN_PART = "in.set", "in.part"
_MAC_LINE_BYTES = 65


class Sets:
    """Both sets below `root`. `key`: the per-device key; `inflate`: how a stream is decompressed here."""

    def __init__(self, root: str, key: bytes, inflate: "Inflate") -> None:
        self._root = root
        self._key = key
        self._inflate = inflate

    # What is there ----------------------------------------------------------------------------------------------

    def folder(self, slot: int) -> str:
        """Where the modules of a slot lie."""
        return self._path("lib_" + SLOTS[slot])

    def head(self, slot: int) -> "tuple[bytes, int, int] | None":
        """(hash, release counter, floor) of a slot whose manifest is this box's own; None where there is none."""
        try:
            with open(self._path("set_" + SLOTS[slot]), "rb") as file:  # noqa: PTH123
                line = file.read(_MAC_LINE_BYTES)
                counter, floor, _version = read_head(_line(file))
                file.seek(_MAC_LINE_BYTES)
                name = _hash_of(file)
        except (OSError, SecondaryError):
            return None
        return (name, counter, floor) if is_same(line, self._mac_line(name)) else None

    def is_whole(self, slot: int) -> bool:
        """Whether every file of a slot is what its manifest says."""
        if self.head(slot) is None:
            return False
        try:
            for entry in self._entries("set_" + SLOTS[slot], _MAC_LINE_BYTES):
                if not self._is_right(self.folder(slot) + "/" + entry.name, entry):
                    return False
        except (OSError, SecondaryError):
            return False
        return True

    # What comes -------------------------------------------------------------------------------------------------

    def make_manifest(self, slot: int, kind: bytes, length: int, name: bytes) -> None:
        """The manifest of the set `name`, from its stream, for `slot`. Raises `SecondaryError`."""
        if length > MAX_FILES * MAX_LINE_BYTES:
            raise SecondaryError("format", "a manifest of " + str(length) + " bytes")
        with open(self._path(_IN_SET), "wb") as file:  # noqa: PTH123
            self._unpack(kind, length, self._path("set_" + SLOTS[1 - slot]), _MAC_LINE_BYTES, file)
        with open(self._path(_IN_SET), "rb") as file:  # noqa: PTH123
            if _hash_of(file) != name:
                raise SecondaryError("hash", "the manifest is not the one that was offered")

    def offered(self) -> "tuple[bytes, int]":
        """(hash, release counter) of the manifest that has come, read to its end. Raises `SecondaryError`."""
        try:
            with open(self._path(_IN_SET), "rb") as file:  # noqa: PTH123
                counter, _floor, _version = read_head(_line(file))
            for _entry in self._entries(_IN_SET, 0):
                pass
            with open(self._path(_IN_SET), "rb") as file:  # noqa: PTH123
                return _hash_of(file), counter
        except OSError:
            raise SecondaryError("order", "no manifest has come") from None

    def begin(self, slot: int) -> None:
        """The slot is about to be written: from now on it is none."""
        self._remove("set_" + SLOTS[slot])

    def take_part(self, offset: int, data: bytes) -> None:
        """A part of one file's stream; 0 begins anew."""
        self._put(_IN_PART, offset, data)

    def has_file(self, slot: int, index: int) -> bool:
        """Whether the file of that number in the manifest is there already. Raises `SecondaryError`."""
        entry = self._entry(index)
        return self._is_right(self.folder(slot) + "/" + entry.name, entry)

    def make_file(self, slot: int, index: int, kind: bytes) -> None:
        """Make the file of that number in the manifest. Done twice it does no harm. Raises `SecondaryError`."""
        entry = self._entry(index)
        path = self.folder(slot) + "/" + entry.name
        if self._is_right(path, entry):
            return
        self._make_folders(slot, entry.name)
        running = self.folder(1 - slot) + "/" + entry.name
        with open(path, "wb") as file:  # noqa: PTH123
            if kind == KEEP:
                _copy(running, file)
            else:
                self._unpack(kind, entry.length, running, 0, file)
        if not self._is_right(path, entry):
            raise SecondaryError("hash", entry.name + " is not what the manifest says")

    def seal(self, slot: int) -> bytes:
        """All files are there: the slot is a set. Returns its hash. Raises `SecondaryError`."""
        name, _counter = self.offered()
        for entry in self._entries(_IN_SET, 0):
            if not self._is_right(self.folder(slot) + "/" + entry.name, entry):
                raise SecondaryError("hash", entry.name + " is missing or wrong")
        self._remove_others(slot)
        out = self._path("set_" + SLOTS[slot])
        with open(out, "wb") as file, open(self._path(_IN_SET), "rb") as manifest:  # noqa: PTH123
            file.write(self._mac_line(name))
            while True:
                data = manifest.read(PIECE_BYTES)
                if not data:
                    break
                file.write(data)
        self._remove(_IN_PART)
        return name

    # Within -----------------------------------------------------------------------------------------------------

    def _unpack(self, kind: bytes, length: int, running: str, offset: int, file: "BinaryIO") -> None:
        """What came as a stream, whole or as a delta from a file that runs, as it is from `offset` on."""
        try:
            with open(self._path(_IN_PART), "rb") as packed:  # noqa: PTH123
                stream = self._inflate(packed, WINDOW_BITS)
                if kind == FULL:
                    copy_full(stream, length, file.write)
                    return
                with open(running, "rb") as old:  # noqa: PTH123
                    old_length = os.stat(running)[6] - offset  # noqa: PTH116
                    apply_delta(stream, old, offset, old_length, length, file.write)
        except OSError:
            raise SecondaryError("base", "the stream, or the file that it builds upon, cannot be read") from None

    def _entries(self, name: str, offset: int) -> "Iterator[Entry]":
        with open(self._path(name), "rb") as file:  # noqa: PTH123
            file.seek(offset)
            _line(file)
            before = ""
            count = 0
            while True:
                line = _line(file)
                if not line:
                    return
                entry = read_entry(line, before)
                before = entry.name
                count += 1
                if count > MAX_FILES:
                    raise SecondaryError("format", "the manifest names more than " + str(MAX_FILES) + " files")
                yield entry

    def _entry(self, index: int) -> Entry:
        try:
            for entry in self._entries(_IN_SET, 0):
                if index == 0:
                    return entry
                index -= 1
        except OSError:
            raise SecondaryError("order", "no manifest has come") from None
        raise SecondaryError("format", "the manifest has no such file")

    def _is_right(self, path: str, entry: Entry) -> bool:
        try:
            if os.stat(path)[6] != entry.length:  # noqa: PTH116
                return False
            with open(path, "rb") as file:  # noqa: PTH123
                return _hash_of(file) == bytes.fromhex(entry.sha256)
        except OSError:
            return False

    def _remove_others(self, slot: int) -> None:
        """Files of an older set would be imported where the new one has none."""
        names = set()
        for entry in self._entries(_IN_SET, 0):
            names.add(entry.name)
        for name in self._files(self.folder(slot), ""):
            if name not in names:
                os.remove(self.folder(slot) + "/" + name)  # noqa: PTH107

    def _files(self, folder: str, prefix: str) -> "list[str]":
        found = []
        for name in os.listdir(folder):  # noqa: PTH208
            path = folder + "/" + name
            if os.stat(path)[0] & 0x4000:  # noqa: PTH116
                found += self._files(path, prefix + name + "/")
            else:
                found.append(prefix + name)
        return found

    def _make_folders(self, slot: int, name: str) -> None:
        path = self.folder(slot)
        _make_folder(path)
        for part in name.split("/")[:-1]:
            path += "/" + part
            _make_folder(path)

    def _put(self, name: str, offset: int, data: bytes) -> None:
        path = self._path(name)
        if offset == 0:
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(data)
            return
        try:
            size = os.stat(path)[6]  # noqa: PTH116
        except OSError:
            size = -1
        if size == offset + len(data) and _holds(path, offset, data):
            return  # said again, since its answer was lost
        if size != offset:
            raise SecondaryError("order", "the part begins at " + str(offset) + " where " + str(size) + " have come")
        with open(path, "ab") as file:  # noqa: PTH123
            file.write(data)

    def _remove(self, name: str) -> None:
        try:
            os.remove(self._path(name))  # noqa: PTH107
        except OSError:
            return  # it is not there

    def _mac_line(self, name: bytes) -> bytes:
        return mac(self._key, b"set", name).hex().encode() + b"\n"

    def _path(self, name: str) -> str:
        return self._root + "/" + name


def _holds(path: str, offset: int, data: bytes) -> bool:
    with open(path, "rb") as file:  # noqa: PTH123
        file.seek(offset)
        return bool(data) and file.read(len(data)) == data


def _make_folder(path: str) -> None:
    try:
        os.mkdir(path)  # noqa: PTH102
    except OSError:
        return  # it is there; where it cannot be made, writing into it says so


def _line(file: "BinaryIO") -> bytes:
    return file.readline(MAX_LINE_BYTES + 1)


def _hash_of(file: "BinaryIO") -> bytes:
    """Of what follows in a file."""
    hasher = hashlib.sha256()
    while True:
        data = file.read(PIECE_BYTES)
        if not data:
            return hasher.digest()
        hasher.update(data)


def _copy(path: str, file: "BinaryIO") -> None:
    try:
        with open(path, "rb") as source:  # noqa: PTH123
            while True:
                data = source.read(PIECE_BYTES)
                if not data:
                    return
                file.write(data)
    except OSError:
        raise SecondaryError("base", "the running set has no such file") from None
