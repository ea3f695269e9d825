"""Rows that depend on something: on a flag further ahead, on what is left of the body, on the dialect.

See `layout.py`; the rows that stand by themselves are in `kinds.py`.
"""

from collections.abc import Callable
from typing import Any

from protocols.core.errors import LocalProtocolError
from protocols.jt808.layout import ABSENT, Kind, Readable, Scope, Source

_NOT_HERE = "does not belong here: another field says so"


class When(Kind):
    """A field that is there exactly when a condition on what stands before it holds; otherwise it is None."""

    def __init__(self, condition: Callable[[Scope], object], kind: Kind) -> None:
        self._condition = condition
        self._kind = kind

    def read(self, source: Source, scope: Scope) -> Any:
        """The value, or None."""
        return self._kind.read(source, scope) if self._condition(scope) else None

    def write(self, value: Any, scope: Scope) -> bytes:
        """The value, if it is due."""
        if (value is not None) != bool(self._condition(scope)):
            raise LocalProtocolError("must be given" if value is None else _NOT_HERE)
        return b"" if value is None else self._kind.write(value, scope)

    def show(self, value: Any, scope: Scope) -> object:
        """The value; a missing one has no key."""
        return ABSENT if value is None else self._kind.show(value, scope)

    def parse(self, fields: Readable, name: str, scope: Scope) -> Any:
        """The value, if it is due."""
        if self._condition(scope):
            return self._kind.parse(fields, name, scope)
        if fields.has(name):
            raise LocalProtocolError(_NOT_HERE, field=name)
        return None


class Trailing(Kind):
    """A field that is there when any bytes are left; otherwise it is None, and so must be all that follow."""

    def __init__(self, kind: Kind, is_required: Callable[[Scope], object] = lambda _scope: False) -> None:
        self._kind = kind
        self._is_required = is_required

    def read(self, source: Source, scope: Scope) -> Any:
        """The value, or None at the end of the body."""
        return self._kind.read(source, scope) if source.remaining or self._is_required(scope) else None

    def write(self, value: Any, scope: Scope) -> bytes:
        """The value, if it is there."""
        if value is not None and scope.has_ended:
            raise LocalProtocolError("cannot be given without the field before it")
        if value is not None:
            return self._kind.write(value, scope)
        if self._is_required(scope):
            raise LocalProtocolError("must be given")
        scope.has_ended = True
        return b""

    def show(self, value: Any, scope: Scope) -> object:
        """The value; a missing one has no key."""
        return ABSENT if value is None else self._kind.show(value, scope)

    def parse(self, fields: Readable, name: str, scope: Scope) -> Any:
        """The value, if it is there."""
        is_there = fields.has(name) or self._is_required(scope)
        return self._kind.parse(fields, name, scope) if is_there else None


class Either(Kind):
    """One layout under dialects for which a condition holds, another under the others."""

    def __init__(self, condition: Callable[[Scope], object], then: Kind, otherwise: Kind) -> None:
        self._condition = condition
        self._then = then
        self._otherwise = otherwise

    def _kind(self, scope: Scope) -> Kind:
        return self._then if self._condition(scope) else self._otherwise

    def read(self, source: Source, scope: Scope) -> Any:
        """As the dialect has it."""
        return self._kind(scope).read(source, scope)

    def write(self, value: Any, scope: Scope) -> bytes:
        """As the dialect has it."""
        return self._kind(scope).write(value, scope)

    def show(self, value: Any, scope: Scope) -> object:
        """As the dialect has it."""
        return self._kind(scope).show(value, scope)

    def parse(self, fields: Readable, name: str, scope: Scope) -> Any:
        """As the dialect has it."""
        return self._kind(scope).parse(fields, name, scope)


def is_extended(scope: Scope) -> bool:
    """Whether the dialect has what 2019 added to older messages."""
    return scope.dialect.has_extended_messages


def has_bit(flags: str, bit: int) -> Callable[[Scope], object]:
    """Whether a bit of a field further ahead is set."""
    return lambda scope: scope.values[flags] & 1 << bit


def is_there(name: str) -> Callable[[Scope], object]:
    """Whether a field further ahead is there."""
    return lambda scope: scope.values[name] is not None
