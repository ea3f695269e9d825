"""What stands in a frame: its first byte says which table the rest follows."""

from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError
from protocols.table import Table


class Payload(Table, frozen=True, gc=False):
    """A table behind the byte `TYPE`."""

    HEAD: ClassVar[int] = 1
    TYPE: ClassVar[int]
    TYPE_KEY: ClassVar[str]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a whole payload. Raises `RemoteProtocolError`."""
        cls.check_type(data)
        return super().from_bytes(data)

    @classmethod
    def check_type(cls, data: bytes) -> None:
        """Raise `FrameError` unless the first byte says that it is this table."""
        if data[:1] != bytes((cls.TYPE,)):
            raise FrameError(f"the first byte is {cls.TYPE:02x}", 0, cls.TYPE_KEY)

    def head(self) -> bytes:
        """The byte that says which table it is."""
        return bytes((self.TYPE,))

    def readable(self) -> dict[str, object]:
        """Its readable form, with the table's name and the first byte."""
        return {"table": self.TABLE, self.TYPE_KEY: self.TYPE} | super().readable()

    @classmethod
    def from_readable(cls, message: Mapping[str, object]) -> Self:
        """The inverse of `readable`. Raises `LocalProtocolError`."""
        for key, must in (("table", cls.TABLE), (cls.TYPE_KEY, cls.TYPE)):
            if message.get(key, must) != must:
                raise LocalProtocolError(f"is {must} here", field=key)
        return super().from_readable({key: message[key] for key in message if key not in ("table", cls.TYPE_KEY)})


class Command(Payload, frozen=True, gc=False):
    """The lane computer tells the roadside unit something."""

    TYPE_KEY: ClassVar[str] = "cmd_type"


class Report(Payload, frozen=True, gc=False):
    """The roadside unit tells the lane computer something."""

    TYPE_KEY: ClassVar[str] = "frame_type"


class RawPayload(msgspec.Struct, frozen=True, gc=False):
    """A payload of a kind without a table: kept as it came. An empty one is an acknowledgement."""

    raw: bytes

    def to_bytes(self) -> bytes:
        """The bytes as they came."""
        return self.raw


AnyPayload = Payload | RawPayload
