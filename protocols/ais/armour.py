"""Six-bit groups and what they are written as: the armour of a payload, and text.

ITU-R M.1371-5, Annex 8 (six-bit text); IEC 61162-1, VDM (armour). A value of 0 to 39 is armoured as the
character 48 further on, `0` to `W`, a value of 40 to 63 as the one 56 further on, `` ` `` to `w`. As text, 0 to 31 are
`@` to `_` and 32 to 63 the space to `?`.

Both are base64 with another alphabet, so base64 does the work: one pass in C, whatever the length.

>>> unarmour(b"H3") == 0o3003
True
>>> text_of(0o0102, 2)
'AB'
"""

import binascii

from protocols.core.errors import FieldError, LocalProtocolError

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_ARMOUR = bytes(range(48, 88)) + bytes(range(96, 120))
_TEXT = bytes(range(64, 96)) + bytes(range(32, 64))
_ILLEGAL = b"!"
"""No character of base64: its strict decoder refuses it."""
_FROM_ARMOUR = bytes(_BASE64[_ARMOUR.index(code)] if code in _ARMOUR else _ILLEGAL[0] for code in range(256))
_FROM_TEXT = bytes(_BASE64[_TEXT.index(code)] if code in _TEXT else _ILLEGAL[0] for code in range(256))
_TO_ARMOUR = bytes.maketrans(_BASE64, _ARMOUR)
_TO_TEXT = bytes.maketrans(_BASE64, _TEXT)

_from_bytes = int.from_bytes
_from_base64 = binascii.a2b_base64


def _groups_of(characters: bytes) -> int:
    """The groups of base64 as one integer, the first one uppermost. Raises `binascii.Error`."""
    short = -len(characters) % 4
    if short:
        return _from_bytes(_from_base64(characters + b"A" * short, strict_mode=True), "big") >> 6 * short
    return _from_bytes(_from_base64(characters, strict_mode=True), "big")


def _characters_of(groups: int, count: int, table: bytes) -> bytes:
    short = -count % 4
    size = (count + short) // 4 * 3
    return binascii.b2a_base64((groups << 6 * short).to_bytes(size, "big"), newline=False)[:count].translate(table)


def unarmour(payload: bytes, begin: int = 0) -> int:
    """The groups of a payload as one integer. Raises `FieldError` where a character is none of the 64.

    `begin` is where the payload begins in its line, for the offset of the error.
    """
    try:
        if len(payload) % 4:
            return _groups_of(payload.translate(_FROM_ARMOUR))
        return _from_bytes(_from_base64(payload.translate(_FROM_ARMOUR), strict_mode=True), "big")
    except binascii.Error:
        offset = begin + min(at for at, code in enumerate(payload) if code not in _ARMOUR)
    raise FieldError("a character that is none of the 64", offset=offset, field="armor", raw=payload)


def armour(groups: int, count: int) -> bytes:
    """The payload of `count` groups."""
    return _characters_of(groups, count, _TO_ARMOUR)


def text_of(groups: int, count: int) -> str:
    """The text of `count` groups without the `@` that fill its end."""
    return _characters_of(groups, count, _TO_TEXT).decode().rstrip("@")


def groups_of_text(text: str, count: int, name: str) -> int:
    """A text as `count` groups, filled up with `@`. Raises `LocalProtocolError`."""
    if len(text) > count:
        raise LocalProtocolError(f"longer than {count} characters", field=name)
    try:
        return _groups_of(text.encode("ascii").ljust(count, b"@").translate(_FROM_TEXT))
    except ValueError:  # what both the encoder and base64 raise
        raise LocalProtocolError("a character that six bits cannot write", field=name) from None


def writable(value: str) -> str:
    """In upper case; what six bits cannot write, and `@`, which would end the text, become spaces."""
    return "".join(one if " " <= one <= "_" and one != "@" else " " for one in value.upper())
