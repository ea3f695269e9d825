"""People stay unknown: card numbers, plates and personal numbers leave a driver only as a keyed hash.

HMAC-SHA256 (RFC 2104) under the node's or the fleet's own key, cut to 128 bits, written `{key id}:{hex}`. The key's id
is the first digits of its own hash, so that records made under an old key are told from those under a new one. Without
the key nobody can try out all card numbers; whoever holds it can, so it is a secret like any other.
"""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

from drivers.text import _

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


class Pseudonym:
    """The function that drivers get, under the key in a file. Before `open` no identity is let through.

    The key is read once: one that was replaced in mid-run would make two people of one. The next start takes it.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._hash: Callable[[bytes], str] | None = None

    def open(self) -> None:
        """Read the key unless it has been read. Raises `PseudonymKeyError` with the file in its text."""
        if self._hash is not None:
            return
        if self._file is None:
            raise PseudonymKeyError(_("[privacy] hash_key is not set"))
        try:
            self._hash = pseudonym_of(read_pseudonym_key(self._file))
        except (OSError, ValueError, PseudonymKeyError) as error:  # ValueError: a NUL in the name
            raise PseudonymKeyError(f"{self._file}: {getattr(error, 'strerror', None) or error}") from error

    def __call__(self, identity: bytes) -> str:
        """The keyed hash of an identity. Raises `PseudonymKeyError` where there is no key."""
        if self._hash is None:
            raise PseudonymKeyError(_("no key has been read"))
        return self._hash(identity)
