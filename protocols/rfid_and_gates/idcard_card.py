"""What a resident identity card says (GA 467), as the reader hands it on.

    text length 2 | photo length 2 (| fingerprint length 2) | text | photo | fingerprint        high byte first

Which of the two heads it is follows from the lengths adding up. The text is UTF-16, low byte first, in fields of fixed
width. The photo is WLT, which needs a licensed decoder, and stays bytes. A letter at character 124 tells other cards
apart: foreigners' (I) have other fields; those of residents from Hong Kong, Macao and Taiwan (J) have the same, the
nation empty and the number of a pass in the reserve.

This is personal data. Use what the check needs, in memory: `digest` says whether a number is the one that bought a
ticket without keeping it. No `repr` and no error shows any of it. Bytes cannot be wiped in Python: drop them soon.
"""

import hmac

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError

TEXT_BYTES = 256
MIN_SALT_BYTES = 16
_FIELDS = {
    "name": 15,
    "sex": 1,
    "nation": 2,
    "birth": 8,
    "address": 35,
    "number": 18,
    "issuer": 15,
    "valid_from": 8,
    "valid_to": 8,
    "reserve": 18,
}
"""Field -> characters, GA 467."""
_KIND_AT = 124
_FOREIGNER = "I"
_SHOWN_FIRST, _SHOWN_LAST = 6, 4


class Card(msgspec.Struct, frozen=True):
    """What was read. fingerprint: None where none was asked for. All of it is as on the wire."""

    text: bytes
    photo: bytes
    fingerprint: bytes | None = None

    def __repr__(self) -> str:
        return "Card(...)"


class CardText(msgspec.Struct, frozen=True):
    """The fields of a text, without the blanks that fill them. Codes and dates are as on the card."""

    name: str
    sex: str
    nation: str
    birth: str
    address: str
    number: str
    issuer: str
    valid_from: str
    valid_to: str
    reserve: str

    def __repr__(self) -> str:
        return "CardText(...)"


def decode_card(data: bytes) -> Card:
    """Read the data of an answer. Raises `FieldError`."""
    text, photo, fingerprint = (int.from_bytes(data[at : at + 2], "big") for at in (0, 2, 4))
    if len(data) >= 4 and 4 + text + photo == len(data):
        return Card(data[4 : 4 + text], data[4 + text :])
    if len(data) >= 6 and 6 + text + photo + fingerprint == len(data):
        return Card(data[6 : 6 + text], data[6 + text : 6 + text + photo], data[6 + text + photo :])
    raise FieldError("the lengths do not add up", 0, "text_length")


def encode_card(card: Card) -> bytes:
    """The inverse. Raises `LocalProtocolError`."""
    parts = [card.text, card.photo] + ([] if card.fingerprint is None else [card.fingerprint])
    if any(len(part) > 0xFFFF for part in parts):
        raise LocalProtocolError("a length has two bytes", field="text_length")
    return b"".join((*(len(part).to_bytes(2, "big") for part in parts), *parts))


def is_foreigner(text: bytes) -> bool:
    """Whether the text is that of a foreigner's card, whose fields are others."""
    return text[2 * _KIND_AT : 2 * _KIND_AT + 2] == _FOREIGNER.encode("utf-16-le")


def decode_text(text: bytes) -> CardText:
    """Read the fields of a text. Raises `FieldError`; it shows nothing of them."""
    if len(text) != TEXT_BYTES:
        raise FieldError(f"{TEXT_BYTES} bytes, not {len(text)}", 0, "text")
    if is_foreigner(text):
        raise FieldError("a foreigner's card has other fields", 2 * _KIND_AT, "text")
    try:
        chars = text.decode("utf-16-le")
    except UnicodeDecodeError:
        raise FieldError("not UTF-16", 0, "text") from None
    if len(chars) != TEXT_BYTES // 2:
        raise FieldError("characters outside the basic plane", 0, "text")
    values = []
    at = 0
    for width in _FIELDS.values():
        values.append(chars[at : at + width].rstrip(" \x00"))
        at += width
    return CardText(*values)


def encode_text(text: CardText) -> bytes:
    """The inverse, filled up with blanks. Raises `LocalProtocolError`."""
    chars = ""
    for name, width in _FIELDS.items():
        value: str = getattr(text, name)
        if len(value) > width or any(ord(char) > 0xFFFF or 0xD800 <= ord(char) < 0xE000 for char in value):
            raise LocalProtocolError(f"{width} characters of the basic plane at most", field=name)
        chars += value.ljust(width)
    return chars.encode("utf-16-le")


def masked(number: str) -> str:
    """A number as it may be shown: its first 6 and last 4 characters; nothing of one that is too short for that.

    >>> masked("110101199001011237")
    '110101********1237'
    """
    hidden = len(number) - _SHOWN_FIRST - _SHOWN_LAST
    return number[:_SHOWN_FIRST] + "*" * hidden + number[-_SHOWN_LAST:] if hidden > 0 else "*" * len(number)


def digest(number: str, salt: bytes) -> str:
    """What stands for a number in a ticket: HMAC-SHA256 under the issuer's salt. Raises `LocalProtocolError`."""
    if len(salt) < MIN_SALT_BYTES:
        raise LocalProtocolError(f"{MIN_SALT_BYTES} bytes at least", field="salt")
    return hmac.digest(salt, number.encode(), "sha256").hex()
