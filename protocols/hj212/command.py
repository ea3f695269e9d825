"""What all commands share: a command code, plain items with a meaning, and whatever else stands in CP.

A command's class lists its plain items in `PLAIN`; each is a field of the class. Items that it does not list are kept
in `others` and written behind them. To keep every byte, the order and the separators too, stay with `Segment`.
"""

from enum import Enum
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.hj212.cp import Item, chained
from protocols.hj212.segment import Segment
from protocols.hj212.times import local_ms_of

_MAX_DIGITS = 9


class Kind(Enum):
    """How the value of a plain item is written."""

    TEXT = "text"
    WHOLE = "whole number"
    TIME = "YYYYMMDDhhmmss"


class Plain(NamedTuple):
    """A plain item: the field that holds it, its name in CP, how it is written, whether it may be missing."""

    field: str
    name: str
    kind: Kind = Kind.TEXT
    is_needed: bool = True


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Any command. others: the items of CP that have no field of their own."""

    CN: ClassVar[str] = ""
    PLAIN: ClassVar[tuple[Plain, ...]] = ()

    others: tuple[Item, ...] = ()

    @property
    def cn(self) -> str:
        """The command code."""
        return self.CN


class OtherCommand(Command, frozen=True, kw_only=True):
    """A command that this code does not know."""

    code: str

    @property
    def cn(self) -> str:
        """The command code."""
        return self.code


CommandT = TypeVar("CommandT", bound=Command)


def read_command(kind: type[CommandT], segment: Segment) -> CommandT:
    """The command of one class in a data segment. Raises `FieldError` for a plain item that is missing or wrong."""
    values: dict[str, Any] = {}
    names = {plain.name: plain for plain in kind.PLAIN}
    others = []
    for item in segment.items:
        plain = names.get(item.name) if item.attribute is None else None
        if plain is None or plain.field in values:
            others.append(item)
        elif item.value is None:
            raise FieldError("has no value", field=item.name)
        else:
            values[plain.field] = _read(plain, item.value)
    for plain in kind.PLAIN:
        if plain.is_needed and plain.field not in values:
            raise FieldError("is missing", field=plain.name)
    return kind(**values, others=chained(others))


def write_items(command: Command) -> tuple[Item, ...]:
    """The items of CP. Raises `LocalProtocolError` for a value that cannot be written."""
    items = []
    for plain in command.PLAIN:
        value = getattr(command, plain.field)
        if value is not None:
            items.append(Item(plain.name, _written(plain, value)))
    return chained((*items, *command.others))


def _read(plain: Plain, text: str) -> int | str:
    if plain.kind is Kind.WHOLE:
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
            raise FieldError("is not a whole number", field=plain.name)
        return int(text)
    if plain.kind is Kind.TIME:
        local_ms_of(text, plain.name)
    return text


def _written(plain: Plain, value: int | str) -> str:
    text = str(value)
    try:
        _read(plain, text)
    except FieldError as error:
        raise LocalProtocolError(error.reason, field=plain.name) from error
    return text
