"""Signing keys: made by their holder, at rest only encrypted: Ed25519 here, or in a token (`token_keys`).

    {holder}-{role}.key   for its holder alone: JSON, mode 0600; what it is stands in clear, the key itself is encrypted
    {holder}-{role}.pub   for everybody: JSON

The private half (32 bytes, RFC 8032) is encrypted with AES-256-GCM under a key that scrypt (RFC 7914) makes of the
passphrase. What stands in clear is authenticated with it: nobody turns a key for `targets` into one for `root` by
editing a file. A passphrase comes from a file or from a prompt.
"""

import hashlib
import os
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import CryptoSigner, Signer, SSlibKey
from tuf.api.metadata import Key

from ota.errors import RefusedError, Rule, StorageError
from ota.repository.files import read_file, write_new

HOLDER_FIELD = "x-wayside-holder"
"""In a key's public half, also where metadata lists it: who holds it."""
Scheme = Literal["ed25519", "ecdsa-sha2-nistp256"]
ED25519: Scheme = "ed25519"
P256: Scheme = "ecdsa-sha2-nistp256"
"""As the TUF specification, 1.0.34, section 4.2, names them. P-256 is what many tokens have."""
MIN_PASSPHRASE_BYTES = 12
MAX_FILE_BYTES = 8192
_SCRYPT_COST = 1 << 15
_MAX_SCRYPT_COST = 1 << 20
_SCRYPT_BLOCK = 8
_NONCE_BYTES, _SALT_BYTES, _KEY_BYTES = 12, 16, 32


class KeyRole(Enum):
    """What a key is for. One key has one role."""

    ROOT = "root"
    TARGETS = "targets"
    """The top targets and the product families."""
    ONLINE = "online"
    """Snapshot and timestamp of the image repository; lies on the publishing machine."""
    DIRECTOR = "director"


Holder = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,40}\Z")]
Hex = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2})+\Z", max_length=256)]


class KeyNames(msgspec.Struct, frozen=True, kw_only=True):
    """What every file of a key says in clear."""

    role: KeyRole
    holder: Holder
    keyid: Hex
    public: Hex


class PublicHalf(KeyNames, frozen=True, kw_only=True):
    """`public`: 32 bytes of Ed25519 (RFC 8032), or a point of P-256, uncompressed (SEC 1, 2.3.3)."""

    scheme: Scheme = ED25519


class _PublicFile(PublicHalf, frozen=True, kw_only=True):
    format: Literal["wayside-public-key-1"] = "wayside-public-key-1"


class _PrivateFile(KeyNames, frozen=True, kw_only=True):
    format: Literal["wayside-key-1"] = "wayside-key-1"
    scrypt_cost: Annotated[int, msgspec.Meta(ge=_SCRYPT_COST, le=_MAX_SCRYPT_COST)] = _SCRYPT_COST
    salt: Hex
    nonce: Hex
    encrypted: Hex
    checksum: Hex
    """SHA-256 of the rest: tells a damaged file from a wrong passphrase."""

    def in_clear(self) -> bytes:
        """What the cipher authenticates beside the key."""
        return msgspec.json.encode([self.format, self.role, self.holder, self.keyid, self.public, self.scrypt_cost])

    def digest(self) -> str:
        """The checksum as it should be."""
        return hashlib.sha256(self.in_clear() + f"{self.salt}{self.nonce}{self.encrypted}".encode()).hexdigest()


class PublicKey(msgspec.Struct, frozen=True):
    """The half that everybody may have."""

    role: KeyRole
    holder: str
    tuf: Key

    @property
    def keyid(self) -> str:
        """As metadata names it."""
        return str(self.tuf.keyid)

    @classmethod
    def read(cls, file: Path, role: KeyRole | None = None) -> "PublicKey":
        """Read a `.pub`. Raises `RefusedError` where it is none, or not for `role`; `StorageError`."""
        try:
            found = msgspec.json.decode(read_file(file, MAX_FILE_BYTES), type=_PublicFile)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RefusedError(Rule.KEY, str(file), "it is no public key of `wayside ota repo key`") from error
        made = cls.of(found, str(file))
        if role is not None and found.role is not role:
            reason = f"it is a key for {found.role.value}, not for {role.value}; one key has one role"
            raise RefusedError(Rule.KEY, str(file), reason)
        return made

    @classmethod
    def of(cls, found: PublicHalf, file: str) -> "PublicKey":
        """What a file says. Raises `RefusedError` where its key id does not belong to its key."""
        try:
            key = _tuf_key(bytes.fromhex(found.public), found.holder, found.scheme)
        except ValueError as error:
            raise RefusedError(Rule.KEY, file, "its key is none: the file is damaged") from error
        if key.keyid != found.keyid:
            raise RefusedError(Rule.KEY, file, "its key id does not belong to its key: the file is damaged")
        return cls(found.role, found.holder, key)


class Signatory(Protocol):
    """Somebody's key, ready to sign."""

    @property
    def public(self) -> PublicKey:
        """The half that everybody may have."""

    @property
    def signer(self) -> Signer:
        """As python-tuf signs with it."""


class SigningKey:
    """A private key in memory."""

    def __init__(self, key: Ed25519PrivateKey, role: KeyRole, holder: str) -> None:
        self._key = key
        self.public = PublicKey(role, holder, _tuf_key(key.public_key().public_bytes_raw(), holder))
        self.signer = CryptoSigner(key, _sslib(self.public.tuf))
        """As python-tuf signs with it."""

    @classmethod
    def new(cls, role: KeyRole, holder: str) -> "SigningKey":
        """Make a key. Raises `RefusedError` for a name that cannot be a holder's."""
        check_holder(holder)
        return cls(Ed25519PrivateKey.generate(), role, holder)

    @classmethod
    def read(cls, file: Path, passphrase: bytes) -> "SigningKey":
        """Read a `.key`. Raises `RefusedError` for a wrong passphrase and a broken file; `StorageError`."""
        found = _read_private(file)
        try:
            sealed = AESGCM(_stretched(passphrase, bytes.fromhex(found.salt), found.scrypt_cost))
            secret = sealed.decrypt(bytes.fromhex(found.nonce), bytes.fromhex(found.encrypted), found.in_clear())
        except InvalidTag as error:
            raise RefusedError(Rule.KEY, str(file), "this passphrase does not open it") from error
        except ValueError as error:  # a cost or a nonce that there is not
            raise RefusedError(Rule.KEY, str(file), "it was not encrypted so: the file is damaged") from error
        key = cls(Ed25519PrivateKey.from_private_bytes(secret), found.role, found.holder)
        if key.public.keyid != found.keyid:
            raise RefusedError(Rule.KEY, str(file), "its key id does not belong to its key: the file is damaged")
        return key

    def write(self, folder: Path, passphrase: bytes) -> tuple[Path, Path]:
        """Write both halves; returns where. Raises `RefusedError` rather than overwrite, `StorageError`."""
        check_passphrase(passphrase)
        private, public = new_key_files(folder, self.public.holder, self.public.role)
        half = _PublicFile(
            role=self.public.role,
            holder=self.public.holder,
            keyid=self.public.keyid,
            public=self._key.public_key().public_bytes_raw().hex(),
        )
        write_halves(private, self._sealed(half, passphrase), public, half)
        return private, public

    def _sealed(self, names: KeyNames, passphrase: bytes) -> _PrivateFile:
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
        shell = _PrivateFile(
            role=names.role,
            holder=names.holder,
            keyid=names.keyid,
            public=names.public,
            salt=salt.hex(),
            nonce=nonce.hex(),
            encrypted="",
            checksum="",
        )
        sealed = AESGCM(_stretched(passphrase, salt, shell.scrypt_cost))
        encrypted = sealed.encrypt(nonce, self._key.private_bytes_raw(), shell.in_clear())
        whole = msgspec.structs.replace(shell, encrypted=encrypted.hex())
        return msgspec.structs.replace(whole, checksum=whole.digest())


def public_half(role: KeyRole, holder: str, point: bytes, scheme: Scheme) -> PublicHalf:
    """What a `.pub` says of a key."""
    keyid = str(_tuf_key(point, holder, scheme).keyid)
    return _PublicFile(role=role, holder=holder, keyid=keyid, public=point.hex(), scheme=scheme)


def write_halves(private: Path, held: KeyNames, public: Path, half: PublicHalf) -> None:
    """Both files of a key, or none. Raises `RefusedError`, `StorageError`."""
    write_new(private, _pretty(held), mode=0o600)
    try:
        write_new(public, _pretty(half))
    except (RefusedError, StorageError):
        private.unlink(missing_ok=True)
        raise


def check_holder(holder: str) -> None:
    """Raises `RefusedError` for a name that cannot be a holder's."""
    try:
        msgspec.convert(holder, Holder)
    except msgspec.ValidationError as error:
        raise RefusedError(Rule.KEY, holder, "a holder's name is 1 to 41 of a-z 0-9 _ . -") from error


def key_files(folder: Path, holder: str, role: KeyRole) -> tuple[Path, Path]:
    """Where a key lies: the private file, the public one."""
    return folder / f"{holder}-{role.value}.key", folder / f"{holder}-{role.value}.pub"


def new_key_files(folder: Path, holder: str, role: KeyRole) -> tuple[Path, Path]:
    """Where a new key will lie. Raises `RefusedError` for what is no holder's name, and where one lies already."""
    check_holder(holder)
    private, public = key_files(folder, holder, role)
    for file in (private, public):
        if file.exists():
            raise RefusedError(Rule.KEY, str(file), "it exists, and is not replaced: its holder would lose it")
    return private, public


def role_of(file: Path) -> tuple[KeyRole, str]:
    """(role, key id) of a private key, without its passphrase. Raises `RefusedError`, `StorageError`."""
    found = _read_private(file)
    return found.role, found.keyid


def holder_of(key: Key) -> str:
    """Who holds a key that metadata lists, and its id, for a person."""
    return f"{key.unrecognized_fields.get(HOLDER_FIELD, '?')} ({key.keyid[:8]})"


def introduced(key: Key) -> str:
    """As `holder_of` says it, with the whole id: of another key that begins so one can be made in an hour."""
    return f"{key.unrecognized_fields.get(HOLDER_FIELD, '?')} ({key.keyid})"


def has_own_id(key: Key) -> bool:
    """Whether its id is made of it. python-tuf takes any (TAP 12); here it is what people have read to each other."""
    public = key.keyval["public"] if isinstance(key, SSlibKey) else ""
    try:
        if key.scheme == ED25519:
            made = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)))
        elif key.scheme == P256:
            made = SSlibKey.from_crypto(load_pem_public_key(public.encode()))
        else:
            return False
    except (ValueError, UnsupportedAlgorithm):
        return False
    return bool(made.keyid == key.keyid and made.scheme == key.scheme)


def read_passphrase(file: Path) -> bytes:
    """The first line of a file that only its owner may read. Raises `RefusedError`, `StorageError`."""
    data = read_file(file, MAX_FILE_BYTES)
    if file.stat().st_mode & 0o077:
        raise RefusedError(Rule.KEY, str(file), "others may read this passphrase; chmod 600 it")
    return data.partition(b"\n")[0].rstrip(b"\r")


def check_passphrase(passphrase: bytes) -> None:
    """Raises `RefusedError` where it is too short for a new key."""
    if len(passphrase) < MIN_PASSPHRASE_BYTES:
        reason = f"it has {len(passphrase)} bytes; a new key wants at least {MIN_PASSPHRASE_BYTES}"
        raise RefusedError(Rule.KEY, "passphrase", reason)


def _read_private(file: Path) -> _PrivateFile:
    try:
        found = msgspec.json.decode(read_file(file, MAX_FILE_BYTES), type=_PrivateFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = (
            "it is no key as `wayside ota repo key` writes it, or one in a token, which signs for offline roles only"
        )
        raise RefusedError(Rule.KEY, str(file), reason) from error
    if found.digest() != found.checksum:
        raise RefusedError(Rule.KEY, str(file), "the file is damaged: its checksum is wrong")
    return found


def _stretched(passphrase: bytes, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=_KEY_BYTES, n=cost, r=_SCRYPT_BLOCK, p=1).derive(passphrase)


def _tuf_key(raw: bytes, holder: str, scheme: str = ED25519) -> Key:
    if scheme == P256:
        key = SSlibKey.from_crypto(EllipticCurvePublicKey.from_encoded_point(SECP256R1(), raw))
    else:
        key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(raw))
    key.unrecognized_fields[HOLDER_FIELD] = holder
    return key


def _sslib(key: Key) -> SSlibKey:
    assert isinstance(key, SSlibKey)
    return key


def _pretty(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
