"""A JSON object that came as text, with the keys that belong in it and no others."""

import msgspec

from protocols.core.errors import FieldError, FrameError

MAX_CHARS = 65_536


def read_object(text: str, required: frozenset[str], optional: frozenset[str] = frozenset()) -> dict[str, object]:
    """The object. Raises `FrameError` for what is none, `FieldError` for a key that is missing or not known."""
    if len(text) > MAX_CHARS:
        raise FrameError(f"at most {MAX_CHARS} characters", MAX_CHARS, "text")
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise FrameError(f"not JSON: {type(error).__name__}", field="text") from None
    if not isinstance(value, dict):
        raise FrameError("a JSON object", 0, "text")
    for key in value:
        if key not in required | optional:
            raise FieldError("there is no such key here", field=f"{key:.40}")
    for key in sorted(required - value.keys()):
        raise FieldError("is missing", field=key)
    return value


def whole_number(values: dict[str, object], name: str, maximum: int, default: int | None = None) -> int:
    """A number from 0 to `maximum`. Raises `FieldError`."""
    value = values.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise FieldError(f"a whole number from 0 to {maximum}", field=name)
    return value


def word(values: dict[str, object], name: str) -> str:
    """A text. Raises `FieldError`."""
    value = values.get(name)
    if not isinstance(value, str):
        raise FieldError("a text", field=name)
    return value
