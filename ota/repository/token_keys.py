"""Keys that never leave a token or HSM: PKCS #11 (OASIS, 2.40 and 3.0) through python-pkcs11, Ed25519 and ECDSA P-256.

    {holder}-{role}.key    JSON, mode 0600, nothing secret: role, holder, public half, and the URI of the key
    {holder}-{role}.pub    for everybody, as of any other key

What metadata gets is standard TUF: keytype and scheme `ed25519`, or `ecdsa` with `ecdsa-sha2-nistp256`; a device cannot
tell it from a key in a file. Each signature is verified here before anybody else sees it.

The library that the URI names is loaded into this process, so a reference that others may write is refused. Only the
offline roles: what signs on a server each day is a file.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature, Signer, SSlibKey

from ota.errors import RefusedError, Rule
from ota.repository.files import read_file
from ota.repository.keys import (
    ED25519,
    MAX_FILE_BYTES,
    P256,
    KeyRole,
    PublicHalf,
    PublicKey,
    Scheme,
    new_key_files,
    public_half,
    read_passphrase,
    write_halves,
)
from ota.repository.pkcs11_uri import TokenUri, parse_uri

if TYPE_CHECKING:
    import pkcs11
    from pkcs11 import _pkcs11

OFFLINE = (KeyRole.ROOT, KeyRole.TARGETS)
_SCHEMES: dict[bytes, Scheme] = {
    bytes.fromhex("06082a8648ce3d030107"): P256,
    bytes.fromhex("06032b6570"): ED25519,
    b"\x13\x0cedwards25519": ED25519,
}
"""By CKA_EC_PARAMS: a curve's OID (RFC 5480, RFC 8410), or its name as a PrintableString (PKCS #11 3.0, 2.3)."""
_POINT_BYTES = {ED25519: 32, P256: 65}
_PROOF = b"wayside: this key signs"
"""Signed when a reference is made. It is no JSON, so it is no metadata either."""
_GONE = "the token is gone"
_REASONS = {
    "PinIncorrect": "the PIN is wrong",
    "PinInvalid": "the PIN is wrong",
    "PinLenRange": "the PIN is wrong",
    "PinLocked": "the PIN is locked: it was wrong too often",
    "PinExpired": "the PIN has expired",
    "UserPinNotInitialized": "no PIN has been set for it",
    "DeviceRemoved": _GONE,
    "TokenNotPresent": _GONE,
    "SlotIDInvalid": _GONE,
    "SessionHandleInvalid": _GONE,
    "ObjectHandleInvalid": _GONE,
    "KeyHandleInvalid": _GONE,
    "MechanismInvalid": "the token does not sign so",
}


class _ReferenceFile(PublicHalf, frozen=True, kw_only=True):
    format: Literal["wayside-token-key-1"] = "wayside-token-key-1"
    uri: str


class TokenReference(msgspec.Struct, frozen=True):
    """What a `.key` file says of a key that it does not hold."""

    file: Path
    public: PublicKey
    uri: TokenUri


class TokenKey:
    """A key in a token that is open; see `ota.repository.keys.Signatory`."""

    def __init__(self, public: PublicKey, signer: Signer) -> None:
        self.public = public
        self.signer = signer


def read_reference(file: Path) -> TokenReference | None:
    """Read a `.key` file; None where it is no reference. Raises `RefusedError`, `StorageError`."""
    try:
        found = msgspec.json.decode(read_file(file, MAX_FILE_BYTES), type=_ReferenceFile)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # whoever reads it as a key of its own says what is wrong with it
    if file.stat().st_mode & 0o022:
        raise RefusedError(Rule.KEY, str(file), "others may change which library it loads; chmod go-w it")
    public = PublicKey.of(found, str(file))
    check_offline(public.role, str(file))
    return TokenReference(file, public, parse_uri(found.uri))


def check_offline(role: KeyRole, what: str) -> None:
    """Raises `RefusedError` for a role whose keys lie in no token."""
    if role not in OFFLINE:
        raise RefusedError(Rule.KEY, what, f"a key for {role.value} is no offline key, and lies in a file")


def read_pin(uri: TokenUri, environment: Mapping[str, str]) -> bytes | None:
    """The PIN from where the URI says that it is; None where it says nothing. Raises `RefusedError`, `StorageError`."""
    source = uri.pin_source
    if not source:
        return None
    if source.startswith("env:"):
        name = source.removeprefix("env:")
        if name not in environment:
            raise RefusedError(Rule.KEY, uri.name, f"the environment has no {name}, where its PIN should be")
        return os.fsencode(environment[name])
    return read_passphrase(Path(source.removeprefix("file:")))


def write_reference(folder: Path, role: KeyRole, holder: str, uri_text: str, pin: bytes) -> TokenReference:
    """Prove that a token has the key, and write whose it is. Raises `RefusedError`, `StorageError`."""
    private, public = new_key_files(folder, holder, role)
    uri = parse_uri(uri_text)
    check_offline(role, holder)
    with _session(uri, pin) as session:
        scheme, point = _public_point(session, uri)
        half = public_half(role, holder, point, scheme)
        key = PublicKey.of(half, str(public))
        _TokenSigner(key, uri, _private_key(session, uri, scheme), pin).sign(_PROOF)
    reference = _ReferenceFile(
        role=role, holder=holder, keyid=half.keyid, public=half.public, scheme=half.scheme, uri=uri_text
    )
    write_halves(private, reference, public, half)
    return TokenReference(private, key, uri)


@contextmanager
def opened_key(reference: TokenReference, pin: bytes) -> Iterator[TokenKey]:
    """The key for as long as its token is open. Raises `RefusedError`."""
    uri, public = reference.uri, reference.public
    with _session(uri, pin) as session:
        key = _private_key(session, uri, str(public.tuf.scheme))
        yield TokenKey(public, _TokenSigner(public, uri, key, pin))


class _TokenSigner(Signer):
    """As python-tuf signs."""

    def __init__(self, public: PublicKey, uri: TokenUri, key: "pkcs11.SignMixin", pin: bytes) -> None:
        self._public = public
        self._uri = uri
        self._key = key
        self._pin = _text(uri, pin)

    @property
    def public_key(self) -> SSlibKey:
        """The half that metadata lists."""
        assert isinstance(self._public.tuf, SSlibKey)
        return self._public.tuf

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: object, secrets_handler: Callable[[str], str] | None = None
    ) -> "Signer":
        """Not the way in: a reference says more than a URI can."""
        raise NotImplementedError

    def sign(self, payload: bytes) -> Signature:
        """Sign, and verify it. Raises `RefusedError`."""
        with _named(self._uri):
            raw = self._sign(payload)
        if self.public_key.scheme == P256:
            half = len(raw) // 2
            raw = encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
        made = Signature(self._public.keyid, raw.hex())
        try:
            self.public_key.verify_signature(made, payload)
        except UnverifiedSignatureError as error:
            reason = f"it is not the key {self._public.keyid[:8]} that {self._public.holder} has shown to the others"
            raise RefusedError(Rule.KEY, self._uri.name, reason) from error
        return made

    def _sign(self, payload: bytes) -> bytes:
        from pkcs11 import Attribute, Mechanism

        again = {"pin": self._pin} if self._key[Attribute.ALWAYS_AUTHENTICATE] else {}
        if self.public_key.scheme == ED25519:
            return self._key.sign(payload, mechanism=Mechanism.EDDSA, **again)
        digest = Hash(SHA256())
        digest.update(payload)
        return self._key.sign(digest.finalize(), mechanism=Mechanism.ECDSA, **again)


@contextmanager
def _session(uri: TokenUri, pin: bytes) -> Iterator["pkcs11.Session"]:
    import pkcs11

    text = _text(uri, pin)
    try:
        library = pkcs11.lib(uri.module_path)
    except pkcs11.PKCS11Error as error:
        raise RefusedError(Rule.KEY, uri.module_path, "it cannot be loaded as a PKCS #11 library") from error
    try:
        with _named(uri):
            session = _token(library, uri).open(user_pin=text)
        try:
            yield session
        finally:
            with suppress(pkcs11.PKCS11Error):  # a token that is gone has closed it
                session.close()
    finally:
        with suppress(pkcs11.PKCS11Error):
            library.finalize()


def _token(library: "_pkcs11.lib", uri: TokenUri) -> "pkcs11.Token":
    wanted = {"label": uri.token, "manufacturer_id": uri.manufacturer, "model": uri.model}
    found = [
        token
        for token in library.get_tokens()
        if all(getattr(token, name) == value for name, value in wanted.items() if value)
        and (not uri.serial or token.serial == uri.serial.encode())
        and (uri.slot_id is None or token.slot.slot_id == uri.slot_id)
    ]
    if len(found) != 1:
        reason = "no such token is plugged in" if not found else f"{len(found)} tokens are called so; name its serial="
        raise RefusedError(Rule.KEY, uri.name, reason)
    return found[0]


def _objects(session: "pkcs11.Session", uri: TokenUri, kind: "pkcs11.ObjectClass") -> "list[pkcs11.Object]":
    from pkcs11 import Attribute

    wanted: dict[Attribute, object] = {Attribute.CLASS: kind}
    if uri.object:
        wanted[Attribute.LABEL] = uri.object
    if uri.id:
        wanted[Attribute.ID] = uri.id
    return list(session.get_objects(wanted))


def _private_key(session: "pkcs11.Session", uri: TokenUri, scheme: str) -> "pkcs11.SignMixin":
    import pkcs11

    with _named(uri):
        found = _objects(session, uri, pkcs11.ObjectClass.PRIVATE_KEY)
        if len(found) != 1:
            reason = "it has no such private key" if not found else f"{len(found)} keys are called so; name its id="
            raise RefusedError(Rule.KEY, uri.name, reason)
        key = found[0]
        kind = pkcs11.KeyType.EC_EDWARDS if scheme == ED25519 else pkcs11.KeyType.EC
        if not isinstance(key, pkcs11.SignMixin) or key[pkcs11.Attribute.KEY_TYPE] != kind:
            raise RefusedError(Rule.KEY, uri.name, f"it is no key that signs {scheme}")
    return key


def _public_point(session: "pkcs11.Session", uri: TokenUri) -> tuple[Scheme, bytes]:
    """(scheme, the point as `.pub` has it)."""
    import pkcs11

    with _named(uri):
        found = _objects(session, uri, pkcs11.ObjectClass.PUBLIC_KEY)
        if len(found) != 1:
            reason = "it has no public half of it" if not found else f"{len(found)} keys are called so; name its id="
            raise RefusedError(Rule.KEY, uri.name, reason)
        try:
            parameters, point = found[0][pkcs11.Attribute.EC_PARAMS], found[0][pkcs11.Attribute.EC_POINT]
        except pkcs11.AttributeTypeInvalid:
            parameters, point = b"", b""
    scheme = _SCHEMES.get(parameters)
    if scheme is None:
        raise RefusedError(Rule.KEY, uri.name, "it is neither an Ed25519 nor an ECDSA P-256 key")
    size = _POINT_BYTES[scheme]
    if len(point) == size + 2 and point[:2] == bytes([4, size]):  # a DER OCTET STRING; some tokens leave that away
        point = point[2:]
    if len(point) != size:
        raise RefusedError(Rule.KEY, uri.name, f"its public half has {len(point)} bytes and not {size}")
    return scheme, point


@contextmanager
def _named(uri: TokenUri) -> Iterator[None]:
    """One line for whatever a token refuses; never with its PIN."""
    import pkcs11

    try:
        yield
    except pkcs11.PKCS11Error as error:
        name = type(error).__name__
        raise RefusedError(Rule.KEY, uri.name, _REASONS.get(name, f"the token answers {name}")) from error


def _text(uri: TokenUri, pin: bytes) -> str:
    try:
        return pin.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(Rule.KEY, uri.name, "the PIN is no UTF-8") from error
