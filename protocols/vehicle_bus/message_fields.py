"""What the readable forms of the vehicle bus share: hex with blanks, options."""

from collections.abc import Mapping

from protocols.core.errors import FrameError, OptionError

Case = Mapping[str, object]
Message = dict[str, object]


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
