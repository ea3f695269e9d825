"""The manifest of a set of modules: what a secondary runs, file by file. MicroPython-clean.

    WSM1 12 9 1.4.2
    9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 2210 board/pins.mpy
    60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 804 main.mpy

First line: format, release counter, floor (while this set runs nothing below it is taken), version. Then SHA-256,
length and name of each file, sorted by name. The SHA-256 of all of it is the name of the set. It is read line by line:
a microcontroller never holds it whole.
"""

from ota.mcu.errors import SecondaryError

HEAD = "WSM1"
MAX_LINE_BYTES = 160
MAX_NAME_CHARS = 64
MAX_FILES = 512
MAX_FILE_BYTES = 1 << 20
_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/"
_HEX = "0123456789abcdef"
_SHA256_CHARS = 64


class Entry:
    """One file of the set."""

    __slots__ = ("length", "name", "sha256")

    def __init__(self, sha256: str, length: int, name: str) -> None:
        self.sha256 = sha256
        self.length = length
        self.name = name

    def line(self) -> bytes:
        """As it stands in the manifest."""
        return (self.sha256 + " " + str(self.length) + " " + self.name + "\n").encode()


def head_line(counter: int, floor: int, version: str) -> bytes:
    """The first line."""
    return (HEAD + " " + str(counter) + " " + str(floor) + " " + version + "\n").encode()


def read_head(line: bytes) -> "tuple[int, int, str]":
    """Release counter, floor and version. Raises `SecondaryError`."""
    words = _words(line, 4)
    if words[0] != HEAD:
        raise SecondaryError("format", "the manifest begins with " + words[0][:8])
    return _number(words[1], 1 << 53), _number(words[2], 1 << 53), words[3]


def read_entry(line: bytes, before: str) -> Entry:
    """A file's line; `before` is the name on the line above. Raises `SecondaryError`."""
    sha256, length, name = _words(line, 3)
    if len(sha256) != _SHA256_CHARS or not _is_all(sha256, _HEX):
        raise SecondaryError("format", "a hash in the manifest is none")
    check_name(name)
    if name <= before:
        raise SecondaryError("format", name + " is out of order or there twice")
    return Entry(sha256, _number(length, MAX_FILE_BYTES), name)


def check_name(name: str) -> None:
    """Whether a name stays inside the set's folder. Raises `SecondaryError`."""
    parts = name.split("/")
    is_good = 0 < len(name) <= MAX_NAME_CHARS and _is_all(name, _ALPHABET)
    if not is_good or "" in parts or "." in parts or ".." in parts:
        raise SecondaryError("format", "the manifest names a file that may not be")


def _words(line: bytes, count: int) -> "list[str]":
    if len(line) > MAX_LINE_BYTES or line[-1:] != b"\n":
        raise SecondaryError("format", "a line of the manifest has no end")
    for byte in line[:-1]:
        if not 0x20 <= byte < 0x7F:
            raise SecondaryError("format", "a line of the manifest is no text")
    words = line[:-1].decode().split(" ")
    if len(words) != count or "" in words:
        raise SecondaryError("format", "a line of the manifest has not " + str(count) + " words")
    return words


def _number(word: str, most: int) -> int:
    if not 0 < len(word) < 18 or not _is_all(word, "0123456789") or int(word) > most:
        raise SecondaryError("format", "a number in the manifest is none")
    return int(word)


def _is_all(text: str, alphabet: str) -> bool:
    return all(char in alphabet for char in text)
