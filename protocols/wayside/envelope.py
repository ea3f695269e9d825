"""The signed envelope: how a command or a desired configuration travels past a broker that is not trusted.

Signed are the ASCII bytes `wayside-command-1` or `wayside-desired-1`, a zero byte, and the payload bytes as they
travelled. Whoever reads an envelope verifies `Envelope.signed_bytes(...)` first and parses the payload after that. The
cryptography is handed in: this file computes no signature and holds no key. See `docs/wire.md`, "The signed envelope".

`sig` is Ed25519 (RFC 8032). `mac` is HMAC-SHA256 (RFC 2104) under the node's own key, for nodes that have no Ed25519;
its payload carries a `counter` that only rises. An envelope may have neither: that is for operations which the node's
configuration lists as harmless, and `form` is then None.
"""

from base64 import urlsafe_b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.wayside.fields import Level, TimeMs, decode_json, whole

MAX_ENVELOPE_BYTES = 131_072
MAX_DOCUMENT_BYTES = 49_152
"""A desired configuration is inline up to here, and is fetched beyond."""
MAX_LIFE_S = 7 * 86_400
"""Results are kept that long at the most, so nothing may live longer: a repeat would not be recognised."""

Purpose = Literal["command", "desired"]
Form = Literal["sig", "mac"]
CommandId = Annotated[str, msgspec.Meta(pattern=whole("[0-9A-Za-z_-]{1,64}"))]
Counter = Annotated[int, msgspec.Meta(ge=1, le=(1 << 53) - 1)]

_SIGNATURE_BYTES = {"sig": 64, "mac": 32}


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a command asks for."""

    v: Literal[1]
    node: Level
    id: CommandId
    op: Annotated[str, msgspec.Meta(pattern=whole(r"[a-z0-9_]{1,32}(\.[a-z0-9_]{1,32}){0,3}"))]
    """`vms.show`: what the operator's `ops` are held against."""
    device: Level | None = None
    args: dict[str, Any] = {}
    issued: TimeMs
    life_s: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIFE_S)]
    counter: Counter | None = None
    """Needed with `mac`."""


class Desired(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A desired configuration: its text, or where it lies and what it hashes to."""

    v: Literal[1]
    node: Level
    version: Annotated[int, msgspec.Meta(ge=1, le=(1 << 53) - 1)]
    """Only rises."""
    issued: TimeMs
    document: str | None = None
    """TOML."""
    url: Annotated[str, msgspec.Meta(pattern=whole("https://[!-~]{1,2000}"))] | None = None
    sha256: Annotated[str, msgspec.Meta(pattern=whole("[0-9a-f]{64}"))] | None = None
    counter: Counter | None = None
    """Needed with `mac`."""

    def __post_init__(self) -> None:
        """Refuse what names no document or two of them, or is too long to stand inline."""
        if (self.document is None) == (self.url is None) or (self.url is None) != (self.sha256 is None):
            raise ValueError("needs either a document or both url and sha256")
        if self.document is not None and len(self.document.encode()) > MAX_DOCUMENT_BYTES:
            raise ValueError(f"the document is longer than {MAX_DOCUMENT_BYTES} bytes")


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope that was read; nothing in it is to be believed yet."""

    key_id: str | None
    """Which operator's key, or which of the node's own; None only where `form` is None."""
    payload: bytes
    form: Form | None
    signature: bytes

    def signed_bytes(self, purpose: Purpose) -> bytes:
        """What the signature must be over."""
        return signed_bytes(purpose, self.payload)

    def is_signed(self, purpose: Purpose, verify: "Verify") -> bool:
        """Whether `verify` believes the signature. An unsigned envelope is never signed."""
        if self.form is None or self.key_id is None:
            return False
        return verify(self.form, self.key_id, signed_bytes(purpose, self.payload), self.signature)


Verify = Callable[[Form, str, bytes, bytes], bool]
"""(form, key_id, signed bytes, signature) -> whether it holds. Answers False for a key that it does not know."""


class WireEnvelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """An envelope as it stands on the wire; `parse_envelope` reads it."""

    payload: str
    key_id: Annotated[str, msgspec.Meta(pattern=whole("[0-9A-Za-z_.-]{1,64}"))] | None = None
    sig: str | None = None
    mac: str | None = None


def signed_bytes(purpose: Purpose, payload: bytes) -> bytes:
    """What a signature of `payload` is over. Raises `LocalProtocolError` for a purpose that it does not know."""
    if purpose not in ("command", "desired"):
        raise LocalProtocolError("is neither command nor desired", field="purpose")
    return b"wayside-" + purpose.encode() + b"-1\x00" + payload


def parse_envelope(data: bytes) -> Envelope:
    """Take an envelope apart without looking into its payload. Raises `RemoteProtocolError`, nothing else."""
    wire = decode_json(data, WireEnvelope, MAX_ENVELOPE_BYTES)
    payload = _from_base64(wire.payload, "payload")
    if wire.sig is None and wire.mac is None:
        return Envelope(key_id=wire.key_id, payload=payload, form=None, signature=b"")
    if wire.sig is not None and wire.mac is not None:
        raise FieldError("stands beside mac", field="sig")
    form: Form = "mac" if wire.sig is None else "sig"
    if wire.key_id is None:
        raise FieldError("is missing", field="key_id")
    signature = _from_base64(wire.sig or wire.mac or "", form)
    if len(signature) != _SIGNATURE_BYTES[form]:
        raise FieldError(f"is not {_SIGNATURE_BYTES[form]} bytes long", field=form)
    return Envelope(key_id=wire.key_id, payload=payload, form=form, signature=signature)


def build_envelope(
    purpose: Purpose,
    message: Command | Desired,
    *,
    key_id: str | None,
    sign: Callable[[bytes], bytes] | None,
    form: Form = "sig",
) -> bytes:
    """Wrap a message. `sign` gets the bytes to be signed; without it the envelope is unsigned.

    Raises `LocalProtocolError` for what does not fit: a message of the other purpose, a bound that is passed, a `mac`
    without its counter, a signature of the wrong length.
    """
    if not isinstance(message, Command if purpose == "command" else Desired):
        raise LocalProtocolError("is a message of the other purpose", field="purpose")
    payload = msgspec.json.encode(message)
    try:
        msgspec.json.decode(payload, type=type(message))  # a struct checks its bounds only when it is read
    except msgspec.ValidationError as error:
        raise LocalProtocolError(str(error)) from error
    wire = {"payload": _to_base64(payload)}
    if sign is not None:
        if key_id is None:
            raise LocalProtocolError("is needed beside a signature", field="key_id")
        if form == "mac" and message.counter is None:
            raise LocalProtocolError("is needed with mac", field="counter")
        signature = sign(signed_bytes(purpose, payload))
        if len(signature) != _SIGNATURE_BYTES[form]:
            raise LocalProtocolError(f"is not {_SIGNATURE_BYTES[form]} bytes long", field=form)
        wire = {"key_id": key_id} | wire | {form: _to_base64(signature)}
    data = msgspec.json.encode(wire)
    if len(data) > MAX_ENVELOPE_BYTES:
        raise LocalProtocolError(f"is longer than {MAX_ENVELOPE_BYTES} bytes")
    return data


def command_of(envelope: Envelope) -> Command:
    """Parse the payload of a command, which the caller has verified. Raises `RemoteProtocolError`, nothing else."""
    command = decode_json(envelope.payload, Command, MAX_ENVELOPE_BYTES)
    if envelope.form == "mac" and command.counter is None:
        raise FieldError("is needed with mac", field="counter")
    return command


def desired_of(envelope: Envelope) -> Desired:
    """Parse the payload of a desired configuration, verified before. Raises `RemoteProtocolError`, nothing else."""
    desired = decode_json(envelope.payload, Desired, MAX_ENVELOPE_BYTES)
    if envelope.form == "mac" and desired.counter is None:
        raise FieldError("is needed with mac", field="counter")
    return desired


def _to_base64(data: bytes) -> str:
    """RFC 4648, section 5, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_base64(text: str, field: str) -> bytes:
    """RFC 4648, section 5; padding may stand there or not, anything else that is not of the alphabet may not."""
    body = text.rstrip("=")
    if not body.isascii() or "+" in body or "/" in body or len(text) - len(body) > 2:
        raise FieldError("is not base64url", field=field)
    standard = body.replace("-", "+").replace("_", "/") + "=" * (-len(body) % 4)
    try:
        data = a2b_base64(standard, strict_mode=True)
    except Base64Error as error:
        raise FieldError("is not base64url", field=field) from error
    if _to_base64(data) != body:
        raise FrameError(f"{field}: is base64url with bits behind its end")
    return data
