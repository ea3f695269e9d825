"""People stay unknown: card numbers, plates and personal numbers leave a driver only as a keyed hash.

HMAC-SHA256 (RFC 2104) under the node's or the fleet's own key, cut to 128 bits, written `{key id}:{hex}`. The key's id
is the first digits of its own hash, so that records made under an old key are told from those under a new one. Without
the key nobody can try out all card numbers; whoever holds it can, so it is a secret like any other.
"""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

MIN_KEY_BYTES = 16
MAX_KEY_BYTES = 1_024


class PseudonymKeyError(Exception):
    """The key cannot be used. Its text never holds key material."""


def pseudonym_of(key: bytes) -> Callable[[bytes], str]:
    """The function that drivers get. Raises `PseudonymKeyError` for a key that is too short or too long."""
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise PseudonymKeyError(f"has {len(key)} bytes; from {MIN_KEY_BYTES} to {MAX_KEY_BYTES} would be right")
    key_id = "k" + hashlib.sha256(b"wayside-pseudonym-key-id\x00" + key).hexdigest()[:6]

    def pseudonym(identity: bytes) -> str:
        return f"{key_id}:{hmac.digest(key, identity, 'sha256')[:16].hex()}"

    return pseudonym


def read_pseudonym_key(file: Path) -> bytes:
    """Read a key file: the bytes as they stand, without a line end. Raises `OSError`, `PseudonymKeyError`."""
    with file.open("rb") as opened:
        key = opened.read(MAX_KEY_BYTES + 2).rstrip(b"\r\n")
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise PseudonymKeyError(f"has {len(key)} bytes; from {MIN_KEY_BYTES} to {MAX_KEY_BYTES} would be right")
    return key


def no_pseudonym(_identity: bytes) -> str:
    """Stands in where no key is configured; the configuration sees to it that no such driver runs then."""
    raise AssertionError("a driver that sees people runs without [privacy] hash_key")
