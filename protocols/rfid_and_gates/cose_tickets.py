"""Tickets as COSE_Sign1 (RFC 9052, 4.2) in base45 (RFC 9285): the same claims in a smaller QR code.

    D2 or nothing | 84 | protected | unprotected | payload | signature
    protected     a byte string with A1 01 27, or A2 01 27 04 and a key id
    unprotected   A0, or A1 04 and a key id

Signed is ["Signature1", protected, no external data, payload]. The algorithm is EdDSA and stands in the protected
header; there or in the other one a key id may stand, and nothing else. What is not verified yet is so read without a
CBOR decoder. The payload is a CWT (RFC 8392): claims 1 iss, 3 aud, 4 exp, 5 nbf, 7 cti, the ticket's id in UTF-8.

>>> decode_base45("QED8WEX0")
b'ietf!'
"""

from typing import Any

import cbor2
import msgspec

from protocols.core.errors import ChecksumError, FieldError, FrameError
from protocols.rfid_and_gates.tickets import MAX_TOKEN_CHARS, Key, KeyType, Ticket, Token, with_times

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
EDDSA = "EdDSA"
_VALUES = {char: value for value, char in enumerate(ALPHABET)}
_TAG, _ARRAY_OF_4 = 0xD2, 0x84
_PROTECTED = (b"\xa1\x01\x27", b"\xa2\x01\x27\x04")
_UNPROTECTED = (b"\xa0", b"\xa1\x04")
_BYTES, _TEXT = 0x40, 0x60
_DIRECT, _ONE_BYTE, _TWO_BYTES = 24, 24, 25
_CLAIMS = {1: "iss", 3: "aud", 4: "exp", 5: "nbf", 7: "jti"}
_MAX_DEPTH = 3


def decode_base45(text: str) -> bytes:
    """The bytes. Raises `FrameError`."""
    out = bytearray()
    for at in range(0, len(text), 3):
        values = [_VALUES.get(char, -1) for char in text[at : at + 3]]
        number = sum(value * 45**place for place, value in enumerate(values))
        size = len(values) - 1
        if -1 in values or size == 0 or number >= 1 << 8 * size:
            raise FrameError("not base45", at, "text")
        out += number.to_bytes(size, "big")
    return bytes(out)


def encode_base45(data: bytes) -> str:
    """The inverse."""
    text = ""
    for at in range(0, len(data), 2):
        piece = data[at : at + 2]
        number = int.from_bytes(piece, "big")
        for _place in range(len(piece) + 1):
            number, value = divmod(number, 45)
            text += ALPHABET[value]
    return text


def _head(major: int, size: int) -> bytes:
    """How a byte string or a text begins, in the shortest form."""
    if size < _DIRECT:
        return bytes((major | size,))
    if size <= 0xFF:
        return bytes((major | _ONE_BYTE, size))
    return bytes((major | _TWO_BYTES,)) + size.to_bytes(2, "big")


def _byte_string(data: bytes, at: int, name: str) -> tuple[bytes, int]:
    """The byte string at a place, and where it ends. Raises `FrameError`."""
    first = data[at] if at < len(data) else 0
    extra = {_BYTES | _ONE_BYTE: 1, _BYTES | _TWO_BYTES: 2}.get(first, 0)
    start = at + 1 + extra
    size = int.from_bytes(data[at + 1 : start], "big") if extra else first - _BYTES
    if size < 0 or data[at:start] != _head(_BYTES, size) or start + size > len(data):
        raise FrameError("no byte string in its shortest form", at, name)
    return data[start : start + size], start + size


def _key_id(data: bytes, at: int, forms: tuple[bytes, bytes], name: str) -> tuple[bytes | None, int]:
    """The key id in a header of one of two forms, without and with one, and where it ends. Raises `FrameError`."""
    plain, named = forms
    if data.startswith(named, at):
        return _byte_string(data, at + len(named), name)
    if data.startswith(plain, at):
        return None, at + len(plain)
    raise FrameError("holds something else than EdDSA and a key id", at, name)


def signed_bytes(protected: bytes, payload: bytes) -> bytes:
    """What is signed: Sig_structure, RFC 9052, 4.4."""
    parts = [_head(_TEXT, 10) + b"Signature1"]
    parts += [_head(_BYTES, len(part)) + part for part in (protected, b"", payload)]
    return bytes((_ARRAY_OF_4,)) + b"".join(parts)


def verify_cose(text: str, key: Key) -> Token:
    """The token in a QR code's text, if its signature holds. Raises `FrameError`, `FieldError`, `ChecksumError`."""
    if len(text) > MAX_TOKEN_CHARS:
        raise FrameError(f"at most {MAX_TOKEN_CHARS} characters", MAX_TOKEN_CHARS, "text")
    if key.key_type is not KeyType.ED25519:
        raise FieldError("an Ed25519 key goes with COSE_Sign1 only", field="alg")
    data = decode_base45(text)
    at = 1 if data[:1] == bytes((_TAG,)) else 0
    if data[at : at + 1] != bytes((_ARRAY_OF_4,)):
        raise FrameError("an array of four", at, "text")
    protected, at = _byte_string(data, at + 1, "protected")
    inner_id, end = _key_id(protected, 0, _PROTECTED, "protected")
    if end != len(protected):
        raise FrameError("holds something else than EdDSA and a key id", at, "protected")
    outer_id, at = _key_id(data, at, _UNPROTECTED, "unprotected")
    payload, at = _byte_string(data, at, "payload")
    signature, at = _byte_string(data, at, "signature")
    if at != len(data):
        raise FrameError("something follows the signature", at, "text")
    if not key.verifies(signature, signed_bytes(protected, payload)):
        raise ChecksumError("the signature does not hold", at - len(signature), "signature")
    key_id = outer_id if inner_id is None else inner_id
    return Token(EDDSA, None if key_id is None else key_id.decode("utf-8", "replace"), payload)


def decode_cwt(token: Token) -> Ticket:
    """The claims of a token that was verified. Raises `FieldError`."""
    try:
        claims: Any = cbor2.loads(
            token.payload, max_depth=_MAX_DEPTH, allow_indefinite=False, allow_duplicate_keys=False
        )
        if not isinstance(claims, dict) or cbor2.dumps(claims) != token.payload:
            raise FieldError("not a map in its shortest form", field="payload")
        named = {name: claims[number] for number, name in _CLAIMS.items() if number in claims}
        if isinstance(named.get("jti"), bytes):
            named["jti"] = named["jti"].decode()
        return with_times(msgspec.convert(named, Ticket))
    except (cbor2.CBORError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise FieldError(f"no claims of a ticket: {type(error).__name__}", field="payload") from None
