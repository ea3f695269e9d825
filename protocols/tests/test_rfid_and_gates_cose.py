"""Tickets as COSE_Sign1 in base45: what a verifier takes, and what it refuses."""

from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import ChecksumError, FieldError, FrameError, RemoteProtocolError
from protocols.rfid_and_gates.cose_tickets import decode_base45, decode_cwt, encode_base45, signed_bytes, verify_cose
from protocols.rfid_and_gates.tickets import Key, KeyType, Ticket

modest = settings(derandomize=True, deadline=None, max_examples=80)
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = Key(
    KeyType.ED25519,
    SIGNER.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw),
)
CLAIMS = {1: "gd", 3: ["G1", "G2"], 4: 200, 5: 100, 7: b"T1"}
PROTECTED = cbor2.dumps({1: -8})


def signed(payload: bytes, protected: bytes = PROTECTED, unprotected: Any = None, tag: bool = True) -> bytes:
    """Written by the library, not by the code under test."""
    signature = SIGNER.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
    parts = [protected, {} if unprotected is None else unprotected, payload, signature]
    return cbor2.dumps(cbor2.CBORTag(18, parts) if tag else parts)


def token(claims: Any = CLAIMS, **options: Any) -> str:
    return encode_base45(signed(cbor2.dumps(claims), **options))


@pytest.mark.parametrize(
    ("data", "text"), [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")]
)
def test_the_examples_of_rfc_9285(data: bytes, text: str) -> None:
    assert encode_base45(data) == text
    assert decode_base45(text) == data


@pytest.mark.parametrize("text", ["GGW", ":::", "A", "AAAA", "ab", "A\u00df", "::"])
def test_what_is_no_base45(text: str) -> None:
    with pytest.raises(FrameError):
        decode_base45(text)


@modest
@given(st.binary(max_size=100))
def test_base45_comes_back(data: bytes) -> None:
    assert decode_base45(encode_base45(data)) == data


def test_what_is_signed_is_that_of_the_cose_examples() -> None:
    """EdDSA-sig-02 of the examples of the COSE working group; its key is Ed448, its structure the same."""
    want = "846A5369676E61747572653143A101274054546869732069732074686520636F6E74656E742E"
    assert signed_bytes(bytes.fromhex("a10127"), b"This is the content.").hex().upper() == want
    for size in (0, 23, 24, 255, 256, 5000):
        assert signed_bytes(PROTECTED, bytes(size)) == cbor2.dumps(["Signature1", PROTECTED, b"", bytes(size)])


@pytest.mark.parametrize(
    ("options", "key_id"),
    [
        ({}, None),
        ({"tag": False}, None),
        ({"unprotected": {4: b"k1"}}, "k1"),
        ({"protected": cbor2.dumps({1: -8, 4: b"k2"})}, "k2"),
        ({"protected": cbor2.dumps({1: -8, 4: b"k2"}), "unprotected": {4: b"k1"}}, "k2"),
    ],
)
def test_a_ticket_is_verified_and_read(options: dict[str, Any], key_id: str | None) -> None:
    found = verify_cose(token(**options), KEY)
    assert (found.algorithm, found.key_id) == ("EdDSA", key_id)
    assert decode_cwt(found) == Ticket(jti="T1", aud=["G1", "G2"], exp=200, nbf=100, iss="gd")


@pytest.mark.parametrize(
    "protected", [b"", cbor2.dumps({}), cbor2.dumps({1: -7}), cbor2.dumps({1: -8, 2: [4]}), PROTECTED + b"\x00"]
)
def test_nothing_but_eddsa_and_a_key_id_is_protected(protected: bytes) -> None:
    with pytest.raises(FrameError):
        verify_cose(token(protected=protected), KEY)


@pytest.mark.parametrize("unprotected", [{1: -8}, {4: b"k", 5: b"x"}, {4: "k"}, []])
def test_nothing_but_a_key_id_is_unprotected(unprotected: Any) -> None:
    with pytest.raises(FrameError):
        verify_cose(token(unprotected=unprotected), KEY)


def test_any_bit_changed_or_byte_cut_is_noticed() -> None:
    wire = signed(cbor2.dumps(CLAIMS))
    for at in range(8 * len(wire)):
        broken = bytearray(wire)
        broken[at // 8] ^= 1 << at % 8
        with pytest.raises(RemoteProtocolError):
            verify_cose(encode_base45(bytes(broken)), KEY)
    for end in range(len(wire)):
        with pytest.raises(FrameError):
            verify_cose(encode_base45(wire[:end]), KEY)
    with pytest.raises(FrameError):
        verify_cose(encode_base45(wire + b"\x00"), KEY)


def test_other_keys() -> None:
    with pytest.raises(FieldError):
        verify_cose(token(), Key(KeyType.OCT, bytes(32)))
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    raw = other.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    with pytest.raises(ChecksumError):
        verify_cose(token(), Key(KeyType.ED25519, raw))
    with pytest.raises(FrameError):
        verify_cose("0" * 9000, KEY)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        cbor2.dumps([1]),
        cbor2.dumps(CLAIMS) + b"\x00",
        b"\xa1\x18\x04\x01",
        cbor2.dumps({**CLAIMS, 7: b"\xff"}),
        cbor2.dumps({**CLAIMS, 7: 5}),
        cbor2.dumps({**CLAIMS, 4: "200"}),
        cbor2.dumps({**CLAIMS, 4: float("nan")}),
        cbor2.dumps({**CLAIMS, 4: float("inf")}),
        cbor2.dumps({**CLAIMS, 4: 10**400}),
        cbor2.dumps({**CLAIMS, 5: float("nan")}),
        cbor2.dumps({**CLAIMS, 3: [[[["x"]]]]}),
        cbor2.dumps({number: value for number, value in CLAIMS.items() if number != 4}),
    ],
)
def test_a_payload_that_holds_no_ticket(payload: bytes) -> None:
    found = verify_cose(encode_base45(signed(payload)), KEY)
    with pytest.raises(FieldError):
        decode_cwt(found)


@modest
@given(st.binary(max_size=60))
def test_any_payload_is_a_ticket_or_refused(payload: bytes) -> None:
    try:
        decode_cwt(verify_cose(encode_base45(signed(payload)), KEY))
    except FieldError as error:
        assert error.field == "payload"  # noqa: PT017  # whether it is raised at all is the data's doing


@modest
@given(st.binary(max_size=80))
def test_any_bytes_are_refused(data: bytes) -> None:
    for start in (b"", b"\x84", b"\xd2\x84\x43\xa1\x01\x27\xa0"):
        with pytest.raises(RemoteProtocolError):
            verify_cose(encode_base45(start + data), KEY)
