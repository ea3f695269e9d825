"""Readable form of tokens and tickets: what a verifier says of them. They are not written: their issuer signs them."""

from collections.abc import Mapping

from protocols.core.errors import FieldError, OptionError, RemoteProtocolError
from protocols.rfid_and_gates.tickets import (
    LAST_MOMENT_S,
    Key,
    KeyType,
    decode_base64url,
    decode_ticket,
    judge_ticket,
    verify_token,
)

Message = dict[str, object]

KEY_OPTIONS = frozenset({"key", "key_type"})
TICKET_OPTIONS = KEY_OPTIONS | {"now", "gate_id", "used"}


def decode_jws(text: str, options: Mapping[str, object]) -> Message:
    """Verify a token. Raises `RemoteProtocolError`, `OptionError`."""
    token = verify_token(text, _key(options))
    try:
        payload = token.payload.decode()
    except UnicodeDecodeError:
        raise FieldError("the payload is no UTF-8", field="payload") from None
    return {"valid": True, "algorithm": token.algorithm, "payload_text": payload}


def decode_gate_ticket(text: str, options: Mapping[str, object]) -> Message:
    """Verify a ticket and judge it. Raises `RemoteProtocolError`, `OptionError`."""
    now, gate_id, used = options.get("now"), options.get("gate_id"), options.get("used", [])
    if isinstance(now, bool) or not isinstance(now, (int, float)) or not abs(now) <= LAST_MOMENT_S:
        raise OptionError("Unix seconds", field="now")
    if not isinstance(gate_id, str):
        raise OptionError("a text", field="gate_id")
    if not isinstance(used, list):
        raise OptionError("a list of ticket ids", field="used")
    token = verify_token(text, _key(options))
    ticket = decode_ticket(token)
    reason = judge_ticket(ticket, now=now, gate_id=gate_id, is_used=ticket.jti in used)
    keys: Message = {
        "valid": reason is None,
        "algorithm": token.algorithm,
        "key_id": token.key_id,
        "ticket_id": ticket.jti,
    }
    return keys if reason is None else {**keys, "reason": reason.value}


def _key(options: Mapping[str, object]) -> Key:
    key, kind = options.get("key"), options.get("key_type")
    known = {each.value: each for each in KeyType}
    if not isinstance(kind, str) or kind not in known:
        raise OptionError("must be one of " + ", ".join(known), field="key_type")
    if not isinstance(key, str):
        raise OptionError("base64url", field="key")
    try:
        return Key(known[kind], decode_base64url(key, "key"))
    except RemoteProtocolError as error:
        raise OptionError(error.reason, field="key") from None
