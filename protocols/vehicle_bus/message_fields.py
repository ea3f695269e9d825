"""What the readable forms of the vehicle bus share: hex with blanks, options, numbers of a message."""

from collections.abc import Mapping

from protocols.core.errors import FrameError, LocalProtocolError, OptionError
from protocols.message_fields import Fields
from protocols.vehicle_bus.signals import Number

Case = Mapping[str, object]
Message = dict[str, object]


class BusFields(Fields):
    """A message's fields that are to be written, with objects among them."""

    def record(self, name: str) -> "BusFields":
        """An object."""
        value = self._message.get(name)
        if not isinstance(value, Mapping):
            raise LocalProtocolError("an object", field=name)
        return BusFields(value)

    def records(self, name: str) -> list["BusFields"]:
        """A list of objects."""
        items = self.sequence(name)
        if not all(isinstance(item, Mapping) for item in items):
            raise LocalProtocolError("a list of objects", field=name)
        return [BusFields(item) for item in items if isinstance(item, Mapping)]

    def names(self, name: str) -> list[str]:
        """A list of strings."""
        items = self.sequence(name)
        if not all(isinstance(item, str) for item in items):
            raise LocalProtocolError("a list of texts", field=name)
        return [item for item in items if isinstance(item, str)]

    def integers(self, name: str, maximum: int) -> list[int]:
        """A list of numbers from 0 to `maximum`."""
        items = [item for item in self.sequence(name) if isinstance(item, int) and 0 <= item <= maximum]
        if len(items) != len(self.sequence(name)):
            raise LocalProtocolError(f"a list of numbers from 0 to {maximum}", field=name)
        return items

    def number(self, name: str) -> Number | None:
        """A number, or None where it is null."""
        value = self._message.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise LocalProtocolError("a number or null", field=name)
        return value

    def all_names(self) -> list[str]:
        """The names of all fields, in order."""
        return list(self._message)


def octets(case: Case, name: str = "hex") -> bytes:
    """Bytes from hex digits, blanks between them allowed. Raises `OptionError`, `FrameError`."""
    return octets_of(text(case, name), name)


def octets_of(digits: str, name: str = "hex") -> bytes:
    """Bytes from hex digits. Raises `FrameError`."""
    try:
        return bytes.fromhex("".join(digits.split()))
    except ValueError:
        raise FrameError("not whole bytes of hex digits", field=name) from None


def text(case: Case, name: str) -> str:
    """A string of a case. Raises `OptionError`."""
    value = case.get(name)
    if not isinstance(value, str):
        raise OptionError("is text", field=name)
    return value


def texts(case: Case, name: str) -> list[str]:
    """A list of strings of a case. Raises `OptionError`."""
    value = case.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise OptionError("is a list of texts", field=name)
    return value


def choice(case: Case, name: str, choices: tuple[str, ...]) -> str:
    """One of several words, the first where there is none. Raises `OptionError`."""
    value = case.get(name, choices[0])
    if not isinstance(value, str) or value not in choices:
        raise OptionError("is " + " or ".join(choices), field=name)
    return value


def flag(case: Case, name: str) -> bool:
    """True or false, false where there is none. Raises `OptionError`."""
    value = case.get(name, False)
    if not isinstance(value, bool):
        raise OptionError("is true or false", field=name)
    return value
