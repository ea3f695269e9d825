r"""On which line of a TOML document each key stands.

`tomllib` and msgspec know values, not places. This scanner reads headers and keys only (bare, quoted and dotted keys,
tables, arrays of tables, inline tables and arrays, all four kinds of string, comments) and steps over everything else.
It is made for text that `tomllib` has accepted: it judges nothing, and on other text its answer is merely useless.
It runs only when there is something to report, so a good configuration never pays for it.

Source: TOML 1.0.0, https://toml.io/en/v1.0.0.

>>> scan_lines('[node]\nid = "a"\n[[bus]]\nname = "x"\n')[("bus", 0, "name")]
4
"""

import re
from collections.abc import Iterator

Path = tuple[str | int, ...]
"""Where a value stands: keys, and zero-based numbers of array elements: `("device", 1, "unit_id")`."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"[ \t\r]*")
_SPACE_AND_LINES = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_REST_OF_LINE = re.compile(r"[^\n]*")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_BASIC_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL_STRING = re.compile(r"'[^'\n]*'")
_LONG_BASIC_STRING = re.compile(r'"""(?:\\.|[^\\])*?"""(?!")', re.DOTALL)
_LONG_LITERAL_STRING = re.compile(r"'''.*?'''(?!')", re.DOTALL)
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([btnfr"\\]))')
_MAX_DEPTH = 100  # deeper than anything that a configuration means; a hostile one must not exhaust the stack
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def scan_lines(text: str) -> dict[Path, int]:
    """Give the line, from 1, of every table, key and array element of a valid TOML document."""
    return _Scanner(text).scan()


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a key, or of the nearest thing around it that stands in the document; 1 when nothing does."""
    for length in range(len(path), 0, -1):
        line = lines.get(path[:length])
        if line is not None:
            return line
    return 1


def written(path: Path) -> str:
    """A path as people read it: `device[1].unit_id`; keys that are not bare stand in quotes.

    >>> written(("device", 1, "unit id"))
    'device[1]."unit id"'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        key = part if _BARE_KEY.fullmatch(part) else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
        text += f".{key}" if text else key
    return text


class _Scanner:
    """One pass over one document; `position` only ever grows."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.lines: dict[Path, int] = {}
        self._lengths: dict[Path, int] = {}  # elements so far of each array of tables
        self._line = 1
        self._counted_to = 0

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while True:
            self._skip(_SPACE_AND_LINES)
            before = self.position
            match self._peek():
                case "":
                    return self.lines
                case "[":
                    table = self._header()
                case _:
                    self._key_and_value(table)
            if self.position == before:  # not TOML: step over it rather than stand still
                self.position += 1

    def _header(self) -> Path:
        """`[a.b]` or `[[a.b]]`: note its line and return the table that the next keys belong to."""
        line = self._current_line()
        is_array = self.text.startswith("[[", self.position)
        self.position += 2 if is_array else 1
        path: Path = ()
        keys = list(self._key_parts())
        for key in keys[:-1]:
            path = (*path, key)
            self.lines.setdefault(path, line)
            if path in self._lengths:  # below an array of tables a header means its last element
                path = (*path, self._lengths[path] - 1)
        path = (*path, *keys[-1:])
        if is_array:
            number = self._lengths.get(path, 0)
            self._lengths[path] = number + 1
            self.lines.setdefault(path, line)
            path = (*path, number)
        self.lines[path] = line
        self._skip(_REST_OF_LINE)
        return path

    def _key_and_value(self, table: Path) -> None:
        """`a.b = value`, in a table or in an inline table."""
        line = self._current_line()
        path = table
        for key in self._key_parts():
            path = (*path, key)
            self.lines.setdefault(path, line)
        if self._peek() == "=":
            self.position += 1
            self._skip(_SPACE)
            self._value(path)

    def _key_parts(self) -> Iterator[str]:
        """The parts of a dotted key; stops at whatever follows it."""
        while True:
            self._skip(_SPACE)
            if (bare := _BARE_KEY.match(self.text, self.position)) is not None:
                self.position = bare.end()
                yield bare.group()
            elif (basic := _BASIC_STRING.match(self.text, self.position)) is not None:
                self.position = basic.end()
                yield _ESCAPE.sub(_unescape, basic.group()[1:-1])
            elif (literal := _LITERAL_STRING.match(self.text, self.position)) is not None:
                self.position = literal.end()
                yield literal.group()[1:-1]
            else:
                return
            self._skip(_SPACE)
            if self._peek() != ".":
                return
            self.position += 1

    def _value(self, path: Path) -> None:
        match self._peek():
            case "{" if len(path) < _MAX_DEPTH:
                self._inline_table(path)
            case "[" if len(path) < _MAX_DEPTH:
                self._array(path)
            case '"' | "'":
                self._string()
            case _:
                self._skip(_SCALAR)

    def _inline_table(self, path: Path) -> None:
        self.position += 1
        while self._peek() not in ("", "}"):
            before = self.position
            self._skip(_SPACE_AND_LINES)
            self._key_and_value(path)
            self._skip(_SPACE_AND_LINES)
            if self._peek() == ",":
                self.position += 1
            elif self.position == before:
                return
        self.position += 1

    def _array(self, path: Path) -> None:
        self.position += 1
        number = 0
        while True:
            self._skip(_SPACE_AND_LINES)
            before = self.position
            if self._peek() in ("", "]"):
                self.position += 1
                return
            self.lines[*path, number] = self._current_line()
            self._value((*path, number))
            number += 1
            self._skip(_SPACE_AND_LINES)
            if self._peek() == ",":
                self.position += 1
            elif self.position == before:
                return

    def _string(self) -> None:
        for pattern in (_LONG_BASIC_STRING, _LONG_LITERAL_STRING, _BASIC_STRING, _LITERAL_STRING):
            if (found := pattern.match(self.text, self.position)) is not None:
                self.position = found.end()
                return
        self._skip(_REST_OF_LINE)

    def _peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if (found := pattern.match(self.text, self.position)) is not None:
            self.position = found.end()

    def _current_line(self) -> int:
        self._line += self.text.count("\n", self._counted_to, self.position)
        self._counted_to = self.position
        return self._line


def _unescape(escape: re.Match[str]) -> str:
    short, long, letter = escape.groups()
    return _ESCAPED[letter] if letter else chr(int(short or long, 16))
