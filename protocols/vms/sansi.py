"""Data of sansi (三思, GB/T 34428.3) and fenghai (丰海) frames.

    04  brightness mode      mode digit                                 result
    05  set brightness       RRGGBB, two digits each                    result
    06  read brightness      -                                          mode digit, two digits of level
    09  fetch a file         name, offset (4 bytes)                     content
    10  send a file          name, + or -, offset (4 bytes), content    result
    97  what is shown now    -                                          item 3, stay 5, in 2, speed 5 digits, media
    98  show a stored list   its name                                   result

A result is "0" for success. fenghai answers 06 with result, mode, .., two digits, and 09 with result, name, "+",
offset, content. Other types are vendor-specific and stay unread.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Self

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.vms.content import (
    Content,
    CurrentItem,
    Result,
    digits_of,
    number_at,
    offset_octets,
    read_behind_result,
)

MAX_LEVEL = 31
SUCCESS = ord("0")
_NAME = re.compile(rb"([^.\x00-\x1f]*\.[0-9A-Za-z]+)([+-])", re.DOTALL)
"""No control characters: a name without an extension must not run on into its offset."""
_BARE_NAME = re.compile(rb"([^+-]*)([+-])", re.DOTALL)


class SansiResult(Result, frozen=True):
    """The digit 0 is success."""

    SUCCESS: ClassVar[int] = SUCCESS


class ModeRequest(Content, frozen=True):
    """04: 0 automatic, 1 manual; older signs may have it the other way round."""

    mode: int

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read one digit."""
        _check_size(data, 1)
        return cls(number_at(data, 0, 1, "brightness_mode"))

    def data(self) -> bytes:
        """One digit."""
        return digits_of(self.mode, 1, "brightness_mode")


class LevelsRequest(Content, frozen=True):
    """05: brightness of each colour, 0 to 31."""

    red: int
    green: int
    blue: int

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read three times two digits."""
        _check_size(data, 6)
        return cls(*(number_at(data, at, at + 2, "brightness_raw") for at in (0, 2, 4)))

    def data(self) -> bytes:
        """Three times two digits."""
        return b"".join(digits_of(level, 2, "brightness_raw") for level in (self.red, self.green, self.blue))


class Brightness(Content, frozen=True):
    """06: mode and level."""

    mode: int
    level: int

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read three digits."""
        _check_size(data, 3)
        return cls(number_at(data, 0, 1, "brightness_mode"), number_at(data, 1, 3, "brightness_raw"))

    def data(self) -> bytes:
        """Three digits."""
        return digits_of(self.mode, 1, "brightness_mode") + digits_of(self.level, 2, "brightness_raw")


class FengHaiBrightness(SansiResult, frozen=True):
    """06 of fenghai. rest: mode digit, whatever, two digits of level; nothing of this after a failure."""

    @property
    def mode(self) -> int | None:
        """0 automatic, 1 manual."""
        return number_at(self.rest, 0, 1, "brightness_mode") if self.rest else None

    @property
    def level(self) -> int | None:
        """0 to 31."""
        return number_at(self.rest[-2:], 0, 2, "brightness_raw") if self.rest else None

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read the result and hold the rest to its digits."""
        brightness = super().from_data(data)
        if brightness.rest:
            if len(brightness.rest) < 3:
                raise FieldError("a mode and a level", offset=len(data), field="brightness_raw", raw=data)
            number_at(data, 1, 2, "brightness_mode")
            number_at(data, len(data) - 2, len(data), "brightness_raw")
        return brightness


class FileRequest(Content, frozen=True):
    """09: the content of a file from an offset on, please."""

    name: bytes
    offset: int

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read a name and four bytes."""
        if len(data) < 4:
            raise FieldError("no offset", offset=len(data), field="file_offset", raw=data)
        return cls(data[:-4], int.from_bytes(data[-4:], "big"))

    def data(self) -> bytes:
        """A name and four bytes."""
        return self.name + offset_octets(self.offset)


class FileContent(Content, frozen=True):
    """09 of sansi: what the file holds from the offset on."""

    content: bytes

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """All of it."""
        return cls(data)

    def data(self) -> bytes:
        """All of it."""
        return self.content


class FileChunk(Content, frozen=True):
    """10: a piece of a file. mode: "+", or "-" to start over."""

    name: bytes
    mode: bytes
    offset: int
    content: bytes

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read name, mode, offset and content; the name ends at the first + or -, a dot and letters before it."""
        match = _NAME.match(data) or _BARE_NAME.match(data)
        if match is None:
            raise FieldError("no + or - behind a name", offset=len(data), field="write_mode", raw=data)
        end = match.end() + 4
        if len(data) < end:
            raise FieldError("no offset", offset=len(data), field="file_offset", raw=data)
        return cls(match.group(1), match.group(2), int.from_bytes(data[match.end() : end], "big"), data[end:])

    def data(self) -> bytes:
        """Write it; refuse a name that would be read as another."""
        data = self.name + self.mode + offset_octets(self.offset) + self.content
        match = _NAME.match(data) or _BARE_NAME.match(data)
        if self.mode not in {b"+", b"-"} or match is None or match.group(1) != self.name:
            raise LocalProtocolError("a name with an extension, then + or -", field="file_name")
        return data


class FengHaiFile(SansiResult, frozen=True):
    """09 of fenghai. rest: a chunk as 10 has it; nothing after a failure."""

    @property
    def chunk(self) -> FileChunk | None:
        """Name, offset and content."""
        return FileChunk.from_data(self.rest) if self.rest else None

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read the result and hold the rest to its form."""
        file = super().from_data(data)
        if file.rest:
            read_behind_result(FileChunk, file.rest)
        return file


class SansiItem(CurrentItem, frozen=True):
    """97: what is shown."""

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read 15 digits and the media."""
        return cls(
            number_at(data, 0, 3, "item_index"),
            number_at(data, 3, 8, "stay_raw"),
            number_at(data, 8, 10, "in_mode"),
            number_at(data, 10, 15, "play_speed"),
            data[15:],
        )

    def data(self) -> bytes:
        """15 digits and the media."""
        return (
            digits_of(self.index, 3, "item_index")
            + digits_of(self.stay, 5, "stay_raw")
            + digits_of(self.in_mode, 2, "in_mode")
            + digits_of(self.speed, 5, "play_speed")
            + self.media
        )


def _check_size(data: bytes, size: int) -> None:
    if len(data) != size:
        raise FieldError(f"{len(data)} bytes where {size} are due", offset=min(len(data), size), field="data", raw=data)


REQUESTS: Mapping[str, type[Content]] = {
    "04": ModeRequest,
    "05": LevelsRequest,
    "09": FileRequest,
    "10": FileChunk,
}
RESPONSES: Mapping[str, type[Content]] = {
    "04": SansiResult,
    "05": SansiResult,
    "06": Brightness,
    "09": FileContent,
    "10": SansiResult,
    "97": SansiItem,
    "98": SansiResult,
}
FENGHAI_RESPONSES: Mapping[str, type[Content]] = {**RESPONSES, "06": FengHaiBrightness, "09": FengHaiFile}
