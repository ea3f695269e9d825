"""Values of readable messages, checked: numbers, texts, times, names of codes. MicroPython-clean."""

from protocols.core.errors import LocalProtocolError
from protocols.core.instant import days_of, instant_of, instant_text, is_civil

_MOST = 1e12
_TIME = "0000-00-00T00:00:00Z"
_DIGITS = "0123456789"
_HEX_DIGITS = "0123456789abcdefABCDEF"


def whole(value: object, key: str) -> int:
    """A whole number, or `LocalProtocolError`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise LocalProtocolError("not a whole number", field=key)
    return value


def scaled(value: object, per: int, key: str) -> int:
    """A number in units of the wire, rounded, or `LocalProtocolError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_MOST < value < _MOST:
        raise LocalProtocolError("not a number", field=key)
    return round(value * per)


def text(value: object, key: str) -> str:
    """A text, or `LocalProtocolError`."""
    if not isinstance(value, str):
        raise LocalProtocolError("not text", field=key)
    return value


def flag(value: object, key: str) -> int:
    """0 or 1, or a number that came from the wire."""
    return int(value) if isinstance(value, bool) else whole(value, key)


def readable_flag(code: int) -> object:
    """True and false; another number stays one."""
    return code == 1 if code in (0, 1) else code


def word(names: tuple[str, ...], code: int) -> object:
    """The name of a code; a number without one stays one."""
    return names[code] if code < len(names) else code


def code_of(names: tuple[str, ...], value: object, key: str) -> int:
    """The code of a name, or `LocalProtocolError`."""
    if isinstance(value, str):
        if value in names:
            return names.index(value)
        raise LocalProtocolError("none of " + ", ".join(names), field=key)
    return whole(value, key)


def time_text(seconds: int) -> str:
    """UTC seconds since 1970 as `2026-11-24T06:28:53Z`."""
    return instant_text(seconds * 1000)[:-5] + "Z"


def seconds_of(value: object, key: str) -> int:
    """UTC seconds since 1970 of `2026-11-24T06:28:53Z`, or `LocalProtocolError`."""
    if (
        isinstance(value, str)
        and len(value) == len(_TIME)
        and all(
            one in _DIGITS if place == "0" else one == place
            for one, place in zip(value, _TIME)  # noqa: B905  # MicroPython's zip has no strict, and they are as long
        )
    ):
        year, month, day = int(value[0:4]), int(value[5:7]), int(value[8:10])
        hour, minute, second = int(value[11:13]), int(value[14:16]), int(value[17:19])
        if is_civil(year, month, day) and hour < 24 and minute < 60 and second < 60:
            return instant_of(days_of(year, month, day), (hour * 3600 + minute * 60 + second) * 1000) // 1000
    raise LocalProtocolError("not a time such as 2026-11-24T06:28:53Z", field=key)


def bytes_of(value: object, key: str) -> bytes:
    """The bytes of pairs of hex digits, or `LocalProtocolError`."""
    if not is_hex(value):
        raise LocalProtocolError("not pairs of hex digits", field=key)
    return bytes.fromhex(str(value))


def is_hex(value: object) -> bool:
    """Whether it is a text of pairs of hex digits."""
    return isinstance(value, str) and len(value) % 2 == 0 and all(one in _HEX_DIGITS for one in value)
