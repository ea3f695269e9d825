r"""Data of xianke (显科) frames. A result is the raw byte 01 for success, 00 for failure.

    00 state   05 brightness   22 select a list   23 name of the list   24 what is shown now
    20 send a file       length of the name (3 digits), name, offset (4 digits), content      result
    21 fetch a file      length of the name (3 digits), name, offset (4 digits)               result, the same, content

What the others carry beyond the result is not described and stays unread.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

from protocols.core.errors import FieldError
from protocols.vms.content import Content, Result, digits_of, number_at, read_behind_result


class XianKeResult(Result, frozen=True):
    """01 is success."""

    SUCCESS: ClassVar[int] = 1


class XianKeFile(Content, frozen=True):
    """20 and 21: a file's name, an offset in it, and in 20 what stands there."""

    name: bytes
    offset: int
    content: bytes = b""

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read length, name, offset and content."""
        end = 3 + number_at(data, 0, 3, "file_name")
        if len(data) < end:
            raise FieldError("the name is cut short", offset=len(data), field="file_name", raw=data)
        return cls(data[3:end], number_at(data, end, end + 4, "file_offset"), data[end + 4 :])

    def data(self) -> bytes:
        """Length, name, offset and content."""
        length = digits_of(len(self.name), 3, "file_name")
        return length + self.name + digits_of(self.offset, 4, "file_offset") + self.content


class XianKeFetched(XianKeResult, frozen=True):
    """21, the response. rest: a file as 20 has it; nothing after a failure."""

    @property
    def file(self) -> XianKeFile | None:
        """Name, offset and content."""
        return XianKeFile.from_data(self.rest) if self.rest else None

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read the result and hold the rest to its form."""
        fetched = super().from_data(data)
        if fetched.rest:
            read_behind_result(XianKeFile, fetched.rest)
        return fetched


REQUESTS: Mapping[str, type[Content]] = {"20": XianKeFile, "21": XianKeFile}
RESPONSES: Mapping[str, type[Content]] = {
    "05": XianKeResult,
    "20": XianKeResult,
    "21": XianKeFetched,
    "22": XianKeResult,
    "23": XianKeResult,
    "24": XianKeResult,
}
