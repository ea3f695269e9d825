"""The signed envelope: with real Ed25519 and HMAC, with forgeries, and with hostile bytes."""

import base64
import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, RemoteProtocolError
from protocols.wayside.envelope import (
    MAX_DOCUMENT_BYTES,
    MAX_ENVELOPE_BYTES,
    Command,
    Desired,
    Envelope,
    build_envelope,
    command_of,
    desired_of,
    parse_envelope,
    signed_bytes,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
MAC_KEY = b"k" * 32
COMMAND = Command(
    v=1,
    node="rsu-7f3a",
    id="01JD",
    op="vms.show",
    device="vms-7",
    args={"pages": ["ok"]},
    issued=1793421234000,
    life_s=30,
)
DESIRED = Desired(v=1, node="rsu-7f3a", version=78, issued=1793421234000, document="[node]\n")


def mac(data: bytes) -> bytes:
    return hmac.digest(MAC_KEY, data, hashlib.sha256)


def verify(form: str, key_id: str, signed: bytes, signature: bytes) -> bool:
    if form == "mac":
        return key_id == "node" and hmac.compare_digest(mac(signed), signature)
    if key_id != "ops-1":
        return False
    try:
        KEY.public_key().verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def test_a_signed_command_holds_and_says_what_it_said() -> None:
    data = build_envelope("command", COMMAND, key_id="ops-1", sign=KEY.sign)
    assert list(json.loads(data)) == ["key_id", "payload", "sig"]
    envelope = parse_envelope(data)
    assert envelope.form == "sig"
    assert envelope.is_signed("command", verify)
    assert command_of(envelope) == COMMAND


def test_what_is_signed_is_what_the_contract_says() -> None:
    assert signed_bytes("command", b"{}") == b"wayside-command-1\x00{}"
    assert signed_bytes("desired", b"{}") == b"wayside-desired-1\x00{}"
    with pytest.raises(LocalProtocolError):
        signed_bytes("other", b"{}")  # type: ignore[arg-type]
    # Made by hand, as another implementation would: padding may stand there.
    payload = b'{"v":1,"node":"a","id":"1","op":"x.y","issued":1,"life_s":1}'
    signature = KEY.sign(b"wayside-command-1\x00" + payload)
    wire = {"key_id": "ops-1", "payload": base64.urlsafe_b64encode(payload).decode(),
            "sig": base64.urlsafe_b64encode(signature).decode()}  # fmt: skip
    assert parse_envelope(json.dumps(wire).encode()).is_signed("command", verify)


def test_a_node_without_ed25519_takes_a_mac_and_its_counter() -> None:
    command = msgspec.structs.replace(COMMAND, counter=7)
    envelope = parse_envelope(build_envelope("command", command, key_id="node", sign=mac, form="mac"))
    assert envelope.form == "mac"
    assert envelope.is_signed("command", verify)
    assert command_of(envelope).counter == 7
    with pytest.raises(LocalProtocolError):
        build_envelope("command", COMMAND, key_id="node", sign=mac, form="mac")
    for message, reader in ((COMMAND, command_of), (DESIRED, desired_of)):
        bare = Envelope(key_id="node", payload=msgspec.json.encode(message), form="mac", signature=b"")
        with pytest.raises(FieldError):
            reader(bare)


def test_nothing_forged_is_signed() -> None:
    data = build_envelope("command", COMMAND, key_id="ops-1", sign=KEY.sign)
    envelope = parse_envelope(data)
    assert not envelope.is_signed("desired", verify), "a command is no configuration"
    for changed in (
        {"payload": envelope.payload.replace(b"vms.show", b"vms.hide")},
        {"signature": bytes(64)},
        {"key_id": "ops-2"},
        {"form": "mac"},
        {"form": None},
        {"key_id": None},
    ):
        assert not msgspec.structs.replace(envelope, **changed).is_signed("command", verify), changed
    other = build_envelope("command", COMMAND, key_id="ops-1", sign=Ed25519PrivateKey.generate().sign)
    assert not parse_envelope(other).is_signed("command", verify)


def test_an_unsigned_envelope_says_that_it_is_none() -> None:
    envelope = parse_envelope(build_envelope("command", COMMAND, key_id=None, sign=None))
    assert (envelope.form, envelope.key_id, envelope.signature) == (None, None, b"")
    assert not envelope.is_signed("command", lambda *_: True)
    assert command_of(envelope) == COMMAND


def test_a_desired_configuration_is_inline_or_is_fetched() -> None:
    envelope = parse_envelope(build_envelope("desired", DESIRED, key_id="ops-1", sign=KEY.sign))
    assert envelope.is_signed("desired", verify)
    assert desired_of(envelope) == DESIRED
    far = Desired(v=1, node="a", version=1, issued=0, url="https://x.example/c", sha256="0" * 64)
    assert desired_of(parse_envelope(build_envelope("desired", far, key_id="ops-1", sign=KEY.sign))) == far
    longest = Desired(v=1, node="a", version=1, issued=0, document="x" * MAX_DOCUMENT_BYTES)
    assert len(build_envelope("desired", longest, key_id="ops-1", sign=KEY.sign)) < MAX_ENVELOPE_BYTES
    with pytest.raises(LocalProtocolError):
        build_envelope("command", DESIRED, key_id="ops-1", sign=KEY.sign)


@pytest.mark.parametrize(
    "wrong",
    [{"node": "A"}, {"id": ""}, {"id": "a/b"}, {"op": "vms..show"}, {"op": ""}, {"op": "vms.show\n"}, {"life_s": 0},
     {"life_s": 8 * 86_400}, {"issued": -1}, {"v": 2}, {"device": "a b"}, {"counter": 0}],
)  # fmt: skip
def test_a_command_out_of_bounds_is_refused_on_both_sides(wrong: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        build_envelope("command", msgspec.structs.replace(COMMAND, **wrong), key_id="ops-1", sign=KEY.sign)
    payload = json.dumps(msgspec.to_builtins(COMMAND) | wrong).encode()
    with pytest.raises(FieldError):
        command_of(Envelope(key_id="ops-1", payload=payload, form="sig", signature=b""))


@pytest.mark.parametrize(
    "wrong",
    [{"document": None}, {"url": "https://x"}, {"url": "https://x", "document": None}, {"sha256": "0" * 64},
     {"document": None, "url": "http://x", "sha256": "0" * 64}, {"version": 0}, {"document": "x" * 50_000},
     {"document": None, "url": "https://x\n", "sha256": "0" * 64}],
)  # fmt: skip
def test_a_desired_configuration_out_of_bounds_is_refused(wrong: dict[str, Any]) -> None:
    payload = json.dumps(msgspec.to_builtins(DESIRED) | wrong).encode()
    with pytest.raises(FieldError):
        desired_of(Envelope(key_id="ops-1", payload=payload, form="sig", signature=b""))


@pytest.mark.parametrize(
    "kwargs",
    [{"key_id": None, "sign": KEY.sign}, {"key_id": "ops-1", "sign": lambda _: b"short"},
     {"key_id": "ops-1", "sign": KEY.sign, "form": "mac"}],
)  # fmt: skip
def test_a_signature_that_cannot_be_right_is_our_own_fault(kwargs: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        build_envelope("command", msgspec.structs.replace(COMMAND, counter=1), **kwargs)


@pytest.mark.parametrize(
    "wire",
    [b"", b"[]", b"{}", b'{"payload": 1}', b'{"payload": "a"}', b'{"payload": "YWI*"}', b'{"payload": "YW I"}',
     b'{"payload": "YWJ"}', b'{"payload": "+/+/"}', b'{"payload": "YWI==="}', b'{"payload": "Y=WI"}',
     '{"payload": "é"}'.encode(), b'{"payload": "YWI", "sig": "YWI"}', b'{"payload": "YWI", "key_id": "", "sig": ""}',
     b'{"payload": "YWI", "key_id": "a", "sig": "YWI"}', b'{"payload": "YWI", "key_id": "a", "sig": "", "mac": ""}',
     b"{" + b" " * MAX_ENVELOPE_BYTES, b'{"payload":' + b"[" * 50_000],
)  # fmt: skip
def test_a_hostile_envelope_raises_the_permitted_error(wire: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_envelope(wire)


def test_a_payload_of_rubbish_raises_the_permitted_error() -> None:
    for payload in (b"", b"\xff", b"[", b"[" * 50_000, b"null"):
        envelope = Envelope(key_id="ops-1", payload=payload, form="sig", signature=b"")
        for reader in (command_of, desired_of):
            with pytest.raises((FrameError, FieldError)):
                reader(envelope)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.binary(max_size=80), st.integers(0, 300), st.integers(0, 255))
def test_damaged_envelopes_raise_only_the_permitted_error(noise: bytes, at: int, value: int) -> None:
    data = bytearray(build_envelope("command", COMMAND, key_id="ops-1", sign=KEY.sign))
    data[at % len(data)] = value
    for wire in (noise, bytes(data), b'{"payload":"' + noise + b'"}'):
        try:
            envelope = parse_envelope(wire)
            is_signed = envelope.is_signed("command", verify)
            command = command_of(envelope)
        except RemoteProtocolError:
            continue
        assert command == COMMAND or not is_signed


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.binary(max_size=80))
def test_base64_comes_back_as_it_went(data: bytes) -> None:
    for padded in (base64.urlsafe_b64encode(data), base64.urlsafe_b64encode(data).rstrip(b"=")):
        assert parse_envelope(b'{"payload":"' + padded + b'"}').payload == data
