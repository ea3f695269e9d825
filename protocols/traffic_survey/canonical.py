"""JSON in the one form that is hashed and signed: RFC 8785 for values without fractions.

Keys in order, no blanks, UTF-8, every key there. Whole numbers only, such as a float holds exactly: no two programs
write one of them differently.
"""

import hashlib
from typing import Annotated, TypeVar

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError

T = TypeVar("T", bound=msgspec.Struct)

Whole = Annotated[int, msgspec.Meta(ge=-(2**53) + 1, le=2**53 - 1)]
"""What a float holds exactly: RFC 8785, appendix D."""
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""As hex digits, lower case."""


def encode_canonical(value: msgspec.Struct) -> bytes:
    """Write it. Raises `LocalProtocolError` for values that are not of their types, and text that is no Unicode."""
    try:
        data = msgspec.json.encode(value, order="sorted")
        msgspec.json.decode(data, type=type(value))  # a struct checks its values only when it is read
    except UnicodeEncodeError:
        raise LocalProtocolError("text with half a character") from None
    except msgspec.ValidationError as error:
        raise LocalProtocolError(str(error)) from None
    return data


def decode_canonical(data: bytes, kind: type[T], max_bytes: int) -> T:
    """Read it; nothing but the canonical form is taken. Raises `FrameError`, `FieldError`."""
    if len(data) > max_bytes:
        raise FrameError(f"at most {max_bytes} bytes", max_bytes)
    try:
        value = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FieldError(f"no {kind.__name__}: {type(error).__name__}") from None
    if encode_canonical(value) != data:
        raise FrameError("not in canonical form")
    return value


def sha256_of(data: bytes) -> str:
    """The digest as hex digits."""
    return hashlib.sha256(data).hexdigest()
