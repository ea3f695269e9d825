"""Typed access to the fields of a message that is to be written, so that a wrong one is a `LocalProtocolError`.

Beside it the hex digits of a case that is to be read.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeGuard

from protocols.core.errors import FrameError, LocalProtocolError

TOO_LARGE = 1e100
"""Beyond it reckoning with whole numbers could leave what a float holds."""


def octets_of(digits: str, name: str = "hex", max_chars: int | None = None) -> bytes:
    """Bytes from hex digits, blanks between them allowed. Raises `FrameError`; also for more than `max_chars`."""
    if max_chars is not None and len(digits) > max_chars:
        raise FrameError(f"{len(digits)} characters are no frame", 0, name)
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise FrameError("not whole bytes of hex digits", field=name) from None


def _is_number_up_to(value: object, maximum: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= maximum


def refuse_others(message: Mapping[str, object], known: Collection[str]) -> None:
    """Raise `LocalProtocolError` for a key that is not among those known."""
    for key in message:
        if key not in known:
            raise LocalProtocolError("there is no such key here", field=str(key))


class Fields:
    """A message's fields. Every getter raises `LocalProtocolError` for what is missing or of the wrong type."""

    def __init__(self, message: Mapping[str, object]) -> None:
        self._message = message

    def has(self, name: str) -> bool:
        """Whether a field is there and not null."""
        return self._message.get(name) is not None

    def integer(self, name: str, maximum: int, default: int | None = None) -> int:
        """A number from 0 to `maximum`."""
        value = self._message.get(name, default)
        if not _is_number_up_to(value, maximum):
            raise LocalProtocolError(f"a number from 0 to {maximum}", field=name)
        return value

    def optional(self, name: str, maximum: int) -> int | None:
        """A number from 0 to `maximum`, or None where it is missing or null."""
        return self.integer(name, maximum) if self.has(name) else None

    def flag(self, name: str, *, default: bool | None = None) -> bool:
        """True or false."""
        value = self._message.get(name, default)
        if not isinstance(value, bool):
            raise LocalProtocolError("true or false", field=name)
        return value

    def text(self, name: str) -> str:
        """A string."""
        value = self._message.get(name)
        if not isinstance(value, str):
            raise LocalProtocolError("a string", field=name)
        return value

    def octets(self, name: str, size: int | None = None, default: str | None = None) -> bytes:
        """Bytes from hex digits, `size` of them if given."""
        value = self._message.get(name, default)
        try:
            data = bytes.fromhex(value) if isinstance(value, str) else None
        except ValueError:
            data = None
        if data is None or (size is not None and len(data) != size):
            raise LocalProtocolError(f"{'' if size is None else f'{size} bytes as '}hex digits", field=name)
        return data

    def sequence(self, name: str) -> Sequence[object]:
        """A list."""
        value = self._message.get(name)
        if not isinstance(value, (list, tuple)):
            raise LocalProtocolError("a list", field=name)
        return value

    def record(self, name: str) -> "Fields":
        """An object."""
        value = self._message.get(name)
        if not isinstance(value, Mapping):
            raise LocalProtocolError("an object", field=name)
        return Fields(value)

    def records(self, name: str) -> list["Fields"]:
        """A list of objects."""
        items = self.sequence(name)
        if not all(isinstance(item, Mapping) for item in items):
            raise LocalProtocolError("a list of objects", field=name)
        return [Fields(item) for item in items if isinstance(item, Mapping)]

    def names(self, name: str) -> list[str]:
        """A list of strings."""
        items = self.sequence(name)
        if not all(isinstance(item, str) for item in items):
            raise LocalProtocolError("a list of texts", field=name)
        return [item for item in items if isinstance(item, str)]

    def integers(self, name: str, maximum: int) -> list[int]:
        """A list of numbers from 0 to `maximum`."""
        items = self.sequence(name)
        numbers = [item for item in items if _is_number_up_to(item, maximum)]
        if len(numbers) != len(items):
            raise LocalProtocolError(f"a list of numbers from 0 to {maximum}", field=name)
        return numbers

    def number(self, name: str) -> float | None:
        """A number, or None where it is null. No field holds one from `TOO_LARGE` on, nor what is not finite."""
        value = self._message.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < TOO_LARGE:
            raise LocalProtocolError("a number or null", field=name)
        return value

    def all_names(self) -> list[str]:
        """The names of all fields, in order."""
        return list(self._message)
