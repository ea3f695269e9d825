"""Tickets: what a verifier takes, and what it refuses."""

import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import (
    ChecksumError,
    FieldError,
    FrameError,
    LocalProtocolError,
    OptionError,
    RemoteProtocolError,
)
from protocols.rfid_and_gates.message import decode_message
from protocols.rfid_and_gates.tickets import (
    USED_FOR_S,
    Key,
    KeyType,
    Reason,
    Ticket,
    UsedTickets,
    encode_base64url,
    judge_ticket,
    verify_token,
)

modest = settings(derandomize=True, deadline=None, max_examples=80)

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = SIGNER.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
KEY = Key(KeyType.ED25519, PUBLIC)
SECRET = Key(KeyType.OCT, bytes(range(64)))
HEADER = {"alg": "EdDSA", "kid": "k1"}
CLAIMS = {"iss": "x", "jti": "T1", "aud": ["A", "B"], "nbf": 100, "exp": 200}


def token(header: Any = HEADER, payload: Any = CLAIMS) -> str:
    """A signed token; bytes go into it as they are."""
    given = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    parts = [encode_base64url(part) for part in given]
    return ".".join((*parts, encode_base64url(SIGNER.sign(".".join(parts).encode()))))


def judged(text: str, now: float = 150, gate: str = "A", **options: Any) -> dict[str, Any]:
    key = {"key": encode_base64url(PUBLIC), "key_type": "Ed25519"}
    return decode_message({"protocol": "ticket", "text": text, "now": now, "gate_id": gate, **key, **options})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"now": 100}, None),
        ({"now": 200}, None),
        ({"now": 201}, "expired"),
        ({"now": 201, "gate": "C", "used": ["T1"]}, "expired"),
        ({"now": 99.5, "gate": "C"}, "not_yet_valid"),
        ({"gate": "C", "used": ["T1"]}, "wrong_gate"),
        ({"gate": "B", "used": ["T0", "T1"]}, "replayed"),
        ({"used": ["T0"]}, None),
    ],
)
def test_the_first_reason_counts(options: dict[str, Any], reason: str | None) -> None:
    message = judged(token(), **options)
    assert message["valid"] is (reason is None)
    assert message.get("reason") == reason
    assert (message["key_id"], message["ticket_id"]) == ("k1", "T1")


def test_an_audience_may_be_one_text() -> None:
    assert judged(token(payload={**CLAIMS, "aud": "A"}))["valid"] is True
    assert judged(token(payload={**CLAIMS, "aud": "AB"}))["reason"] == "wrong_gate"
    assert judged(token({"alg": "EdDSA"}, {"jti": "T", "aud": "A", "exp": 2e9}))["key_id"] is None


@pytest.mark.parametrize("lacking", ["jti", "aud", "exp"])
def test_claims_that_lack_something(lacking: str) -> None:
    with pytest.raises(FieldError):
        judged(token(payload={name: value for name, value in CLAIMS.items() if name != lacking}))


@pytest.mark.parametrize(
    "claims",
    [
        [],
        "x",
        {**CLAIMS, "exp": "200"},
        {**CLAIMS, "exp": True},
        {**CLAIMS, "aud": [1]},
        b"",
        b'{"jti":"\xff","aud":"A","exp":200}',
        {**CLAIMS, "exp": 10**400},
        {**CLAIMS, "exp": 1e300},
        {**CLAIMS, "exp": -1},
        {**CLAIMS, "nbf": -(10**400)},
    ],
)
def test_claims_of_another_kind(claims: Any) -> None:
    with pytest.raises(FieldError):
        judged(token(payload=claims))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "eddsa"},
        {"alg": None},
        {},
        [],
        {"alg": "EdDSA", "crit": ["exp"]},
        {"alg": "EdDSA", "kid": 1},
        b'{"alg":"EdDS\xc1"}',
        b'{"alg":"EdDSA","kid":"\xff"}',
        b"[" * 5000,
    ],
)
def test_the_key_decides_the_algorithm(header: Any) -> None:
    with pytest.raises((FrameError, FieldError)):
        verify_token(token(header), KEY)


def test_a_mac_under_the_public_key_is_no_signature() -> None:
    head = encode_base64url(b'{"alg":"HS256"}') + "." + encode_base64url(b"{}")
    forged = f"{head}.{encode_base64url(hmac.digest(PUBLIC, head.encode(), 'sha256'))}"
    with pytest.raises(FieldError):
        verify_token(forged, KEY)
    assert verify_token(forged, Key(KeyType.OCT, PUBLIC)).algorithm == "HS256"  # as a secret it would hold
    with pytest.raises(ChecksumError):
        verify_token(forged, SECRET)
    unsigned = encode_base64url(b'{"alg":"none"}') + "." + encode_base64url(b"{}") + "."
    for key in (KEY, SECRET):
        with pytest.raises(FieldError):
            verify_token(unsigned, key)


def test_the_example_of_rfc_7515() -> None:
    text = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    message = decode_message({"protocol": "jws", "text": text, "key": key, "key_type": "oct"})
    assert message["algorithm"] == "HS256"
    assert json.loads(str(message["payload_text"]))["iss"] == "joe"


def test_a_payload_that_is_no_text() -> None:
    text = token(payload=b"\xff")
    assert verify_token(text, KEY).payload == b"\xff"
    with pytest.raises(FieldError):
        decode_message({"protocol": "jws", "text": text, "key": encode_base64url(PUBLIC), "key_type": "Ed25519"})


@modest
@given(st.text(max_size=50))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    for key in (KEY, SECRET):
        with pytest.raises(RemoteProtocolError) as caught:
            verify_token(text, key)
        assert PUBLIC.hex() not in str(caught.value)


def test_no_key_shows() -> None:
    assert repr(SECRET) == "Key(oct)"
    for kind, size in ((KeyType.ED25519, 31), (KeyType.OCT, 31)):
        with pytest.raises(OptionError) as caught:
            Key(kind, b"\x42" * size)
        assert caught.value.raw == b""


def test_used_tickets_are_remembered_a_day_past_their_end() -> None:
    used = UsedTickets(max_tickets=2)
    first, second = (Ticket(jti=name, aud="A", exp=200) for name in ("T1", "T2"))
    used.add(first)
    used.add(first)
    used.add(second)
    with pytest.raises(LocalProtocolError):
        used.add(Ticket(jti="T3", aud="A", exp=1))
    assert "T1" in used
    assert judge_ticket(first, now=150, gate_id="A", is_used="T1" in used) is Reason.REPLAYED
    assert used.forget(200 + USED_FOR_S) == 0
    assert used.forget(201 + USED_FOR_S) == 2
    assert len(used) == 0
    assert "T1" not in used


@pytest.mark.parametrize("now", [float("nan"), float("inf"), 10**400])
def test_a_time_that_is_none_lets_nobody_through(now: Any) -> None:
    with pytest.raises(OptionError):
        judged(token(), now=now)


def test_clocks_may_differ_by_as_much_as_is_configured() -> None:
    ticket = Ticket(jti="T1", aud="A", exp=200, nbf=100)
    assert judge_ticket(ticket, now=205, gate_id="A", skew_s=5) is None
    assert judge_ticket(ticket, now=206, gate_id="A", skew_s=5) is Reason.EXPIRED
    assert judge_ticket(ticket, now=95, gate_id="A", skew_s=5) is None
    assert judge_ticket(ticket, now=94, gate_id="A", skew_s=5) is Reason.NOT_YET_VALID
