"""How the types of this package say what their bytes are: a field's type carries its row of the standard's table.

    class GeneralReply(Body, frozen=True):
        reply_serial: U16
        reply_msg_id: U16
        result: U8

`U16` is `Annotated[int, Unsigned(2)]`: an int to whoever uses the type, two bytes to whoever reads or writes it. One
row serves reading, writing and both directions of the readable form. The rows are in `kinds.py`.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Self, TypeVar, get_type_hints

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError, RemoteProtocolError
from protocols.jt808.dialect import Dialect
from protocols.message_fields import Fields, refuse_others

StructT = TypeVar("StructT", bound=msgspec.Struct)


class Absent:
    """The type of `ABSENT`: a readable message has no such key."""


ABSENT = Absent()


class Readable(Fields):
    """`Fields` whose numbers are never null; objects come as they are."""

    def number(self, name: str) -> float:
        """A number, whole or not."""
        value = self._message.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e10:
            raise LocalProtocolError("a number", field=name)
        return value

    def mapping(self, name: str) -> Mapping[str, object]:
        """An object."""
        value = self._message.get(name)
        if not isinstance(value, Mapping):
            raise LocalProtocolError("an object", field=name)
        return value


class Source:
    """The bytes of a body, and how far they have been read."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def remaining(self) -> int:
        """Bytes that have not been read."""
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        """The next bytes. Raises `FrameError` where there are fewer."""
        if count > len(self.data) - self.at:
            raise FrameError(f"the body ends where {count} bytes are due", offset=len(self.data))
        piece = self.data[self.at : self.at + count]
        self.at += count
        return piece

    def rest(self) -> bytes:
        """All that has not been read."""
        return self.take(self.remaining)


class Scope:
    """What a field may depend on: the dialect, the fields around it, and counts that stand ahead of their lists."""

    __slots__ = ("counts", "dialect", "has_ended", "values")

    def __init__(self, dialect: Dialect, outer: Mapping[str, Any] | None = None) -> None:
        self.dialect = dialect
        self.values: dict[str, Any] = dict(outer or {})
        self.counts: dict[str, int] = {}
        self.has_ended = False
        """A field that may be missing at the end of a body is: nothing can follow."""

    def inner(self, values: Mapping[str, Any] | None = None) -> "Scope":
        """The scope of a structure inside this one."""
        scope = Scope(self.dialect, self.values)
        scope.values.update(values or {})
        return scope


class Kind:
    """A row of a table. `write` and `parse` raise `LocalProtocolError`, `read` raises `RemoteProtocolError`."""

    def read(self, source: Source, scope: Scope, /) -> Any:
        """Take the value off the body."""
        raise NotImplementedError

    def write(self, value: Any, scope: Scope, /) -> bytes:
        """The value's bytes."""
        raise NotImplementedError

    def show(self, value: Any, scope: Scope, /) -> object:
        """The value in the readable form, or `ABSENT`."""
        raise NotImplementedError

    def parse(self, fields: Readable, name: str, scope: Scope, /) -> Any:
        """The value from the readable form."""
        raise NotImplementedError


@cache
def layout_of(struct: type[msgspec.Struct]) -> tuple[tuple[str, Kind], ...]:
    """The rows of a type, in the order of the wire."""
    hints = get_type_hints(struct, include_extras=True)
    return tuple((name, hints[name].__metadata__[0]) for name in struct.__struct_fields__)


def read_struct(struct: type[StructT], source: Source, scope: Scope) -> StructT:
    """Read a structure's fields one after another."""
    scope = scope.inner()
    values: dict[str, Any] = {}
    for name, kind in layout_of(struct):
        try:
            values[name] = scope.values[name] = kind.read(source, scope)
        except RemoteProtocolError as error:
            error.field = error.field or name
            raise
    return struct(**values)


def write_struct(value: msgspec.Struct, scope: Scope) -> bytes:
    """The bytes of a structure."""
    scope = scope.inner(msgspec.structs.asdict(value))
    parts: list[bytes] = []
    for name, kind in layout_of(type(value)):
        try:
            parts.append(kind.write(scope.values[name], scope))
        except LocalProtocolError as error:
            error.field = error.field or name
            raise
    return b"".join(parts)


def show_struct(value: msgspec.Struct, scope: Scope) -> dict[str, object]:
    """A structure in the readable form."""
    scope = scope.inner(msgspec.structs.asdict(value))
    shown = {name: kind.show(scope.values[name], scope) for name, kind in layout_of(type(value))}
    return {name: readable for name, readable in shown.items() if readable is not ABSENT}


def parse_struct(struct: type[StructT], message: Mapping[str, object], scope: Scope) -> StructT:
    """A structure from the readable form. Keys that it has not are refused."""
    scope = scope.inner()
    fields = Readable(message)
    layout = layout_of(struct)
    refuse_others(message, {name for name, _kind in layout})
    values: dict[str, Any] = {}
    for name, kind in layout:
        values[name] = scope.values[name] = kind.parse(fields, name, scope)
    return struct(**values)


class Body(msgspec.Struct, frozen=True):
    """What stands between header and check. Types whose rows the tables cannot say read and write themselves."""

    ID: ClassVar[int]

    @classmethod
    def from_bytes(cls, data: bytes, dialect: Dialect, /) -> Self:
        """Read a whole body. Raises `RemoteProtocolError` for bytes that are missing or left over."""
        source = Source(data)
        body = read_struct(cls, source, Scope(dialect))
        if source.remaining:
            raise FrameError(f"{source.remaining} bytes follow the last field", offset=source.at)
        return body

    def to_bytes(self, dialect: Dialect, /) -> bytes:
        """Write it. Raises `LocalProtocolError`."""
        return write_struct(self, Scope(dialect))

    def readable(self, dialect: Dialect, /) -> dict[str, object]:
        """Its readable form."""
        return show_struct(self, Scope(dialect))

    @classmethod
    def from_readable(cls, message: Mapping[str, object], dialect: Dialect, /) -> Self:
        """The inverse of `readable`. Raises `LocalProtocolError`."""
        return parse_struct(cls, message, Scope(dialect))
