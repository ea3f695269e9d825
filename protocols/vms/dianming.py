"""Data of dianming (电明, 同洲) frames. A response has the request's type + 1; "1" is success.

    01 link check   11 screen on "1", off "0"   19 restart   39 send a list   47 show a list
    21 read brightness      -                                 22  RRGGBB or FFFFFF, status byte, level byte
    23 set brightness       RRGGBB, or FFFFFF automatic       24  result
    57 fetch a list         offset (8 digits), name           58  "+", offset (8 digits), name, content
    71 send and show        "+", offset (8 digits), name,     72  result
                            content
    73 what is shown now    -                                 74  item 3, stay 5, in 2, effect 2, out 2, speed 2 digits,
                                                                  media

One public driver sends an offset of eight zero bytes; it is kept so. What 01, 11, 39 and 47 carry is not described.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Self

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.vms.content import Content, CurrentItem, Result, digits_of, number_at, octet_of

AUTOMATIC = b"FFFFFF"
_ZEROS = bytes(8)
_OFFSET_DIGITS = 8
_NAME = re.compile(rb"[^\[]*?\.[0-9A-Za-z]{3}", re.DOTALL)


class DianMingResult(Result, frozen=True):
    """The digit 1 is success."""

    SUCCESS: ClassVar[int] = ord("1")


class DianMingLevels(Content, frozen=True):
    """23: two digits a colour, or automatic."""

    levels: bytes

    @property
    def is_automatic(self) -> bool:
        """Whether the sign is to find the level itself."""
        return self.levels == AUTOMATIC

    @property
    def first(self) -> int | None:
        """The level of the first colour; None where it is automatic."""
        return None if self.is_automatic else int(self.levels[:2])

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read six characters."""
        if len(data) != 6 or (data != AUTOMATIC and not data.isdigit()):
            raise FieldError("six digits or FFFFFF", offset=0, field="brightness_mode", raw=data)
        return cls(data)

    def data(self) -> bytes:
        """Six characters."""
        if len(self.levels) != 6 or (self.levels != AUTOMATIC and not self.levels.isdigit()):
            raise LocalProtocolError("six digits or FFFFFF", field="brightness_mode")
        return self.levels


class DianMingBrightness(Content, frozen=True):
    """22: what was set, a status byte that nobody describes, and the level."""

    levels: bytes
    status: int
    level: int
    rest: bytes = b""

    @property
    def is_automatic(self) -> bool:
        """Whether the sign finds the level itself."""
        return self.levels == AUTOMATIC

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read six characters and two bytes."""
        if len(data) < 8:
            raise FieldError(f"{len(data)} bytes where 8 are due", offset=len(data), field="brightness_raw", raw=data)
        return cls(data[:6], data[6], data[7], data[8:])

    def data(self) -> bytes:
        """Six characters and two bytes."""
        if len(self.levels) != 6:
            raise LocalProtocolError("six characters", field="brightness_mode")
        status, level = octet_of(self.status, "status"), octet_of(self.level, "brightness_raw")
        return self.levels + status + level + self.rest


class DianMingFileRequest(Content, frozen=True):
    """57: a list from an offset on, please."""

    name: bytes
    offset: int
    is_zero_bytes: bool = False

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read an offset and a name."""
        return cls(data[_OFFSET_DIGITS:], _offset_at(data, 0), data[:_OFFSET_DIGITS] == _ZEROS)

    def data(self) -> bytes:
        """An offset and a name."""
        return _offset_octets(self.offset, is_zero_bytes=self.is_zero_bytes) + self.name


class DianMingFile(Content, frozen=True):
    """58 and 71: a piece of a list. The name goes to the [ of the list, or to the end of its extension."""

    name: bytes
    offset: int
    content: bytes
    mode: bytes = b"+"
    is_zero_bytes: bool = False

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read mode, offset, name and content."""
        if data[:1] not in {b"+", b"-"}:
            raise FieldError("+ or -", offset=0, field="write_mode", raw=data)
        begin = 1 + _OFFSET_DIGITS
        offset = _offset_at(data, 1)
        name = _name_of(data[begin:], offset)
        return cls(name, offset, data[begin + len(name) :], data[:1], data[1:begin] == _ZEROS)

    def data(self) -> bytes:
        """Write it; refuse a name that would be read as another."""
        named = self.name + self.content
        if self.mode not in {b"+", b"-"} or _name_of(named, self.offset) != self.name:
            raise LocalProtocolError("+ or -, and a name with an extension of three letters", field="file_name")
        return self.mode + _offset_octets(self.offset, is_zero_bytes=self.is_zero_bytes) + named


class DianMingItem(CurrentItem, frozen=True, kw_only=True):
    """74: what is shown. effect: while it is shown; out_mode: how it leaves."""

    effect: int
    out_mode: int

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read 16 digits and the media."""
        return cls(
            number_at(data, 0, 3, "item_index"),
            number_at(data, 3, 8, "stay_raw"),
            number_at(data, 8, 10, "in_mode"),
            number_at(data, 14, 16, "play_speed"),
            data[16:],
            effect=number_at(data, 10, 12, "effect_mode"),
            out_mode=number_at(data, 12, 14, "out_mode"),
        )

    def data(self) -> bytes:
        """16 digits and the media."""
        return (
            digits_of(self.index, 3, "item_index")
            + digits_of(self.stay, 5, "stay_raw")
            + digits_of(self.in_mode, 2, "in_mode")
            + digits_of(self.effect, 2, "effect_mode")
            + digits_of(self.out_mode, 2, "out_mode")
            + digits_of(self.speed, 2, "play_speed")
            + self.media
        )


def _offset_at(data: bytes, at: int) -> int:
    if data[at : at + _OFFSET_DIGITS] == _ZEROS:
        return 0
    return number_at(data, at, at + _OFFSET_DIGITS, "file_offset")


def _offset_octets(offset: int, *, is_zero_bytes: bool) -> bytes:
    if is_zero_bytes:
        if offset:
            raise LocalProtocolError("eight zero bytes are offset 0", field="file_offset")
        return _ZEROS
    return digits_of(offset, _OFFSET_DIGITS, "file_offset")


def _name_of(data: bytes, offset: int) -> bytes:
    """The name in front of a list, else up to its extension, else all. Later pieces may hold a [ of their own."""
    bracket = data.find(b"[") if offset == 0 else -1
    if bracket >= 0:
        return data[:bracket]
    match = _NAME.match(data)
    return match.group() if match else data


TYPES: Mapping[str, type[Content]] = {
    "12": DianMingResult,
    "22": DianMingBrightness,
    "23": DianMingLevels,
    "24": DianMingResult,
    "40": DianMingResult,
    "48": DianMingResult,
    "57": DianMingFileRequest,
    "58": DianMingFile,
    "71": DianMingFile,
    "72": DianMingResult,
    "74": DianMingItem,
}
"""Both directions: the type alone tells which."""
