"""A signature that travels as a file of its own, so that each key holder signs on their own machine.

4.rsu.json                      what is signed; nobody changes it on the way
4.rsu.json.alice-1f0c22ab.sig   one holder's signature over it
"""

from pathlib import PurePath
from typing import Any, Literal

import msgspec
from securesystemslib.exceptions import UnverifiedSignatureError
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Signature, Signed, Targets
from tuf.api.serialization import DeserializationError, SerializationError
from tuf.api.serialization.json import CanonicalJSONSerializer

from ota.errors import RefusedError, Rule
from ota.repository.keys import KeyRole, Signatory, holder_of

ENDING = ".sig"


class DetachedSignature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `.sig` holds."""

    format: Literal["wayside-signature-1"] = "wayside-signature-1"
    file: str
    keyid: str
    sig: str


def parse(data: bytes, what: str) -> Metadata[Any]:
    """Metadata of any role. Raises `RefusedError`."""
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        CanonicalJSONSerializer().serialize(metadata.signed)  # not every JSON can be signed: no fraction, for one
    except (DeserializationError, SerializationError) as error:
        raise RefusedError(Rule.FORMAT, what, "it is no TUF metadata") from error
    return metadata


def name_of(metadata: Metadata[Any], role: str) -> str:
    """The file's name, `4.rsu.json`."""
    return f"{metadata.signed.version}.{role}.json"


def role_in(file: str) -> tuple[int, str]:
    """(4, `rsu`) of `4.rsu.json`. Raises `RefusedError`."""
    number, _, rest = PurePath(file).name.partition(".")
    role, _, ending = rest.partition(".")
    if not number.isdecimal() or not role or ending != "json":
        raise RefusedError(Rule.FORMAT, file, "metadata is named {version}.{role}.json")
    return int(number), role


def check_name(metadata: Metadata[Any], file: str) -> str:
    """The role of a file whose name and content say the same. Raises `RefusedError`."""
    version, role = role_in(file)
    if metadata.signed.version != version:
        raise RefusedError(Rule.VERSION, file, f"it holds version {metadata.signed.version}")
    expected: type[Signed] = Root if role == "root" else Targets
    if type(metadata.signed) is not expected or role in ("snapshot", "timestamp"):
        raise RefusedError(Rule.ROLE, file, f"it holds {metadata.signed.type}, which is not what key holders sign here")
    return role


def check_key_role(metadata: Metadata[Any], file: str, role: KeyRole) -> str:
    """The role of a file. Raises `RefusedError` where keys of `role` do not sign it."""
    name = check_name(metadata, file)
    wanted = KeyRole.ROOT if name == "root" else KeyRole.TARGETS
    if role is not wanted:
        raise RefusedError(Rule.KEY, file, f"{wanted.value} keys sign this, and this one is for {role.value}")
    return name


def sign(metadata: Metadata[Any], file: str, key: Signatory) -> tuple[str, bytes]:
    """(name, content) of a holder's signature file. Raises `RefusedError` where this key does not sign this."""
    check_key_role(metadata, file, key.public.role)
    made = key.signer.sign(metadata.signed_bytes)
    signature = DetachedSignature(file=PurePath(file).name, keyid=made.keyid, sig=made.signature)
    name = f"{PurePath(file).name}.{key.public.holder}-{made.keyid[:8]}{ENDING}"
    return name, msgspec.json.encode(signature) + b"\n"


def is_by(key: Signatory, metadata: Metadata[Any], file: str, data: bytes) -> bool:
    """Whether a signature file's content is this key's word for just this."""
    try:
        found = msgspec.json.decode(data, type=DetachedSignature)
        key.public.tuf.verify_signature(Signature(found.keyid, found.sig), metadata.signed_bytes)
    except (msgspec.DecodeError, UnicodeDecodeError, UnverifiedSignatureError):
        return False
    return found.file == PurePath(file).name and found.keyid == key.public.keyid


def attach(metadata: Metadata[Any], file: str, data: bytes, what: str) -> str:
    """Put a signature file's content to the metadata that it is for; the key's id. Raises `RefusedError`."""
    try:
        found = msgspec.json.decode(data, type=DetachedSignature)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(Rule.FORMAT, what, "it is no signature of `wayside ota repo sign`") from error
    if found.file != file:
        raise RefusedError(Rule.SIGNATURE, what, f"it signs {found.file}, not {file}")
    metadata.signatures[found.keyid] = Signature(found.keyid, found.sig)
    return found.keyid


def check_signed(delegator: Root | Targets, role: str, metadata: Metadata[Any], file: str) -> None:
    """Raises `RefusedError` with `Rule.THRESHOLD`, and who could still sign."""
    try:
        result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    except (ValueError, RepositoryError) as error:
        raise RefusedError(Rule.ROLE, file, f"nobody delegates to {role}") from error
    if not result:
        missing = ", ".join(sorted(holder_of(key) for key in result.unsigned.values()))
        reason = f"{len(result.signed)} of {result.threshold} signatures; one of these must sign too: {missing}"
        raise RefusedError(Rule.THRESHOLD, file, reason)
