"""What the readable forms of the vehicle bus share: hex with blanks, options."""

from collections.abc import Mapping

from protocols import message_fields
from protocols.core.errors import OptionError
from protocols.message_case import text_in

Case = Mapping[str, object]
Message = dict[str, object]


def octets(case: Case, name: str = "hex") -> bytes:
    """Bytes from hex digits, blanks between them allowed. Raises `OptionError`, `FrameError`."""
    return octets_of(text(case, name), name)


def octets_of(digits: str, name: str) -> bytes:
    """Bytes from hex digits, blanks anywhere. Raises `FrameError`."""
    return message_fields.octets_of("".join(digits.split()), name)


def text(case: Case, name: str) -> str:
    """A string of a case. Raises `OptionError`."""
    return text_in(case, name, "is text")


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
