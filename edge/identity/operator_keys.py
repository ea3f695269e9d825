"""Operators' Ed25519 keys: made, written, read; signatures made and checked.

Source: Ed25519 as in RFC 8032 (a key is 32 bytes, a signature 64), public keys in PEM as RFC 8410 lays them out,
private keys in PKCS #8 (RFC 5958), encrypted when there is a passphrase.

Reading a public key needs no cryptography library, so that a configuration is checked, and the gateway started, without
loading one: it comes when the first signature does.
"""

import base64
import binascii
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.text import _

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLIC_KEY_BYTES = 32
MAX_FILE_BYTES = 8192
_PEM_FIRST, _PEM_LAST = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
_SUBJECT_PUBLIC_KEY_INFO = bytes.fromhex("302a300506032b6570032100")
"""RFC 8410 section 4: SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING } around the 32 bytes."""


class OperatorKeyError(Exception):
    """A key file that cannot be used. Its text is one line for a person and never holds key material."""


def read_public_key(file: Path) -> bytes:
    """Return the 32 bytes of a public key from a file: PEM (`BEGIN PUBLIC KEY`), or the bare bytes in base64.

    Raises `OperatorKeyError` for anything else, `OSError` when the file cannot be read.
    """
    with file.open("rb") as opened:
        data = opened.read(MAX_FILE_BYTES + 1)
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if "PRIVATE KEY" in text:
        raise OperatorKeyError(
            _("holds a private key; give the public one (.pub), and keep the private one off this box")
        )
    is_pem = text.startswith(_PEM_FIRST) and text.endswith(_PEM_LAST)
    body = text[len(_PEM_FIRST) : -len(_PEM_LAST)] if is_pem else text
    try:
        key = base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error:
        key = b""
    if is_pem:
        key = key[len(_SUBJECT_PUBLIC_KEY_INFO) :] if key.startswith(_SUBJECT_PUBLIC_KEY_INFO) else b""
    if len(key) != PUBLIC_KEY_BYTES:
        raise OperatorKeyError(
            _("is not an Ed25519 public key: PEM, or 32 bytes in base64, as `wayside keys new` writes it")
        )
    return key


def is_signed(public_key: bytes, signature: bytes, signed: bytes) -> bool:
    """Whether the holder of `public_key` signed these bytes. Any bytes may be given: wrong ones give False."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(public_key) != PUBLIC_KEY_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


class OperatorKey:
    """A private key, held by an operator and never by a gateway."""

    def __init__(self, key: "Ed25519PrivateKey") -> None:
        self._key = key

    @classmethod
    def new(cls) -> "OperatorKey":
        """Make a key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, file: Path, passphrase: bytes | None = None) -> "OperatorKey":
        """Read a private key. Raises `OperatorKeyError`; `OSError` when the file cannot be read."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        if b"BEGIN ENCRYPTED PRIVATE KEY" in data and not passphrase:
            raise OperatorKeyError(_("is encrypted: a passphrase is needed"))
        try:
            key = load_pem_private_key(data, passphrase if b"ENCRYPTED" in data else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            if passphrase and b"ENCRYPTED" in data:
                raise OperatorKeyError(_("cannot be opened with this passphrase")) from error
            raise OperatorKeyError(_("is not a private key in PEM")) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise OperatorKeyError(_("is not an Ed25519 key"))
        return cls(key)

    @property
    def public_bytes(self) -> bytes:
        """The 32 bytes of its public half."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of a signature over `data`."""
        return self._key.sign(data)

    def write(self, private: Path, public: Path, passphrase: bytes | None = None) -> None:
        """Write both halves, the private one for its owner alone. Raises `FileExistsError` rather than overwrite."""
        from cryptography.hazmat.primitives import serialization

        encryption: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        )
        secret = self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        open_half = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if public.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(public))
        write_new(private, secret, mode=0o600)
        write_new(public, open_half, mode=0o644)


def write_new(file: Path, data: bytes, *, mode: int) -> None:
    """Write a file that must not exist yet, with its mode from the first byte on. Raises `OSError`."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
