"""Tickets: signed tokens in QR codes, verified at the gate without a connection.

A token is a compact JWS (RFC 7515): header, payload and signature as base64url, with points between. The verifier's key
decides the algorithm, never the token: an Ed25519 public key takes EdDSA only (RFC 8037), a secret HS256 only. So no
token gets through with `none`, nor with a MAC under a public key. Base64url is taken in its one form, without padding
and with no bits behind its end. The claims of a ticket are iss, jti, aud, nbf, exp (RFC 7519) and typ; whoever checks
says what time it is.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from enum import Enum

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocols.core.errors import ChecksumError, FieldError, FrameError, LocalProtocolError, OptionError

MAX_TOKEN_CHARS = 8192
"""A QR code holds 4296 characters."""
ED25519_KEY_BYTES = 32
MIN_SECRET_BYTES = 32
"""RFC 7518, 3.2: a secret as long as the hash at least."""
USED_FOR_S = 86_400
"""A used ticket is remembered so long past its end."""
MAX_USED_TICKETS = 1_000_000
LAST_MOMENT_S = 253_402_300_799
"""The end of the year 9999, in Unix seconds."""
_PARTS = 3
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


class KeyType(Enum):
    """Of the verifier's key."""

    ED25519 = "Ed25519"
    OCT = "oct"


ALGORITHMS = {KeyType.ED25519: "EdDSA", KeyType.OCT: "HS256"}


class Key:
    """What a token is verified with. Its `repr` shows nothing of it."""

    __slots__ = ("_public", "_secret", "key_type")

    def __init__(self, key_type: KeyType, data: bytes) -> None:
        """Raises `OptionError` for a key of the wrong length."""
        self.key_type = key_type
        self._secret = b""
        self._public: Ed25519PublicKey | None = None
        if key_type is KeyType.ED25519:
            if len(data) != ED25519_KEY_BYTES:
                raise OptionError(f"{ED25519_KEY_BYTES} bytes", field="key")
            self._public = Ed25519PublicKey.from_public_bytes(data)
        elif len(data) < MIN_SECRET_BYTES:
            raise OptionError(f"{MIN_SECRET_BYTES} bytes at least", field="key")
        else:
            self._secret = data

    def __repr__(self) -> str:
        return f"Key({self.key_type.value})"

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        """Whether a signature, or a MAC, holds."""
        if self._public is None:
            return hmac.compare_digest(hmac.digest(self._secret, signed, "sha256"), signature)
        try:
            self._public.verify(signature, signed)
        except InvalidSignature:
            return False
        return True


class Header(msgspec.Struct, frozen=True):
    """The header of a token. Other members mean nothing here."""

    alg: str
    kid: str | None = None
    crit: msgspec.Raw | None = None


class Token(msgspec.Struct, frozen=True):
    """A token whose signature holds."""

    algorithm: str
    key_id: str | None
    payload: bytes


def decode_base64url(text: str, name: str) -> bytes:
    """The bytes. Raises `FrameError` for all but the one form without padding."""
    if _BASE64URL.fullmatch(text) is None or len(text) % 4 == 1:
        raise FrameError("not base64url", field=name)
    standard = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    try:
        data = a2b_base64(standard, strict_mode=True)
    except Base64Error:
        raise FrameError("not base64url", field=name) from None
    if encode_base64url(data) != text:
        raise FrameError("base64url with bits behind its end", field=name)
    return data


def encode_base64url(data: bytes) -> str:
    """RFC 4648, clause 5, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def verify_token(text: str, key: Key) -> Token:
    """The token, if its signature holds. Raises `FrameError`, `FieldError`, `ChecksumError`."""
    if len(text) > MAX_TOKEN_CHARS:
        raise FrameError(f"at most {MAX_TOKEN_CHARS} characters", MAX_TOKEN_CHARS, "text")
    parts = text.split(".")
    if len(parts) != _PARTS:
        raise FrameError("header, payload and signature with points between", 0, "text")
    names = ("header", "payload", "signature")
    raw_header, payload, signature = (decode_base64url(part, name) for part, name in zip(parts, names, strict=True))
    try:
        header = msgspec.json.decode(raw_header, type=Header)
    except _NO_JSON as error:
        raise FrameError(f"not a header: {type(error).__name__}", 0, "header") from None
    if header.alg != ALGORITHMS[key.key_type]:
        raise FieldError(f"a key of type {key.key_type.value} goes with {ALGORITHMS[key.key_type]} only", field="alg")
    if header.crit is not None:
        raise FieldError("holds what must be understood, and nothing is", field="crit")
    if not key.verifies(signature, f"{parts[0]}.{parts[1]}".encode("ascii")):
        raise ChecksumError("the signature does not hold", len(parts[0]) + len(parts[1]) + 2, "signature")
    return Token(header.alg, header.kid, payload)


class Ticket(msgspec.Struct, frozen=True):
    """The claims of a ticket. Times in Unix seconds. aud: the gates it is for."""

    jti: str
    aud: list[str] | str
    exp: int | float
    nbf: int | float | None = None
    iss: str | None = None
    typ: str | None = None

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates it is for."""
        return (self.aud,) if isinstance(self.aud, str) else tuple(self.aud)


class Reason(Enum):
    """Why a signed ticket is not good here and now. The first that applies counts."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_GATE = "wrong_gate"
    REPLAYED = "replayed"


def decode_ticket(token: Token) -> Ticket:
    """The claims of a token. Raises `FieldError`."""
    try:
        ticket = msgspec.json.decode(token.payload, type=Ticket)
    except _NO_JSON as error:
        raise FieldError(f"no claims of a ticket: {type(error).__name__}", field="payload") from None
    return with_times(ticket)


def with_times(ticket: Ticket) -> Ticket:
    """The ticket. Raises `FieldError` where a time is none: nothing would ever be later than what is not a number."""
    for name, moment in (("exp", ticket.exp), ("nbf", ticket.nbf)):
        if moment is not None and not 0 <= moment <= LAST_MOMENT_S:
            raise FieldError(f"{name} is no time from 1970 to 9999", field="payload")
    return ticket


def judge_ticket(
    ticket: Ticket, *, now: float, gate_id: str, is_used: bool = False, skew_s: float = 0.0
) -> Reason | None:
    """Why a ticket is not good here and now, or None. skew_s: by how much clocks may differ."""
    if now > ticket.exp + skew_s:
        return Reason.EXPIRED
    if ticket.nbf is not None and now < ticket.nbf - skew_s:
        return Reason.NOT_YET_VALID
    if gate_id not in ticket.gates:
        return Reason.WRONG_GATE
    return Reason.REPLAYED if is_used else None


class UsedTickets:
    """Tickets that have let somebody through, until a day past their end. When it is full no ticket is good."""

    def __init__(self, max_tickets: int = MAX_USED_TICKETS) -> None:
        self._max_tickets = max_tickets
        self._forget_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._forget_at)

    def __contains__(self, ticket_id: str) -> bool:
        return ticket_id in self._forget_at

    def add(self, ticket: Ticket) -> None:
        """Remember it. Raises `LocalProtocolError` when there is no room: then it must not let anybody through."""
        if ticket.jti not in self._forget_at and len(self._forget_at) >= self._max_tickets:
            raise LocalProtocolError(f"{self._max_tickets} used tickets are remembered, and no more fit")
        self._forget_at[ticket.jti] = ticket.exp + USED_FOR_S

    def forget(self, now: float) -> int:
        """Forget what is long past its end; how many that were."""
        old = [ticket_id for ticket_id, moment in self._forget_at.items() if now > moment]
        for ticket_id in old:
            del self._forget_at[ticket_id]
        return len(old)
