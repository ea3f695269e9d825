"""`pkcs11:` URIs: the examples of RFC 7512 that name a key, and everything that is refused, without its PIN."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.errors import RefusedError, Rule
from ota.repository.pkcs11_uri import parse_uri

MODULE = "module-path=/usr/lib/p11.so"


def test_a_key_is_named_by_token_and_object() -> None:
    uri = parse_uri("pkcs11:token=alice;object=alice-root?module-path=/usr/lib/p11.so&pin-source=file:/run/pin")
    assert (uri.token, uri.object, uri.module_path, uri.pin_source) == (
        "alice",
        "alice-root",
        "/usr/lib/p11.so",
        "file:/run/pin",
    )
    assert uri.name == "token alice, key alice-root"


def test_the_rfcs_example_with_every_filter_of_a_token() -> None:
    """RFC 7512, section 3: a token by its maker, its serial number and its model; a key by its id in bytes."""
    text = (
        "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.;"
        "serial=;model=1.0;id=%69%95%3E%5C%F4%BD%EC%91;type=private?" + MODULE
    )
    uri = parse_uri(text)
    assert (uri.token, uri.manufacturer, uri.model) == ("Software PKCS#11 softtoken", "Snake Oil, Inc.", "1.0")
    assert uri.id == bytes.fromhex("69953e5cf4bdec91")
    assert uri.name == "token Software PKCS#11 softtoken, key 69953e5cf4bdec91"


def test_a_plus_is_a_plus_and_an_equals_sign_may_stand_in_a_value() -> None:
    uri = parse_uri(f"pkcs11:token=a+b=c;slot-id=327;id=%01?{MODULE}")
    assert (uri.token, uri.slot_id, uri.id) == ("a+b=c", 327, b"\1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is named pkcs11:token="),
        ("alice.key", "is named pkcs11:token="),
        ("pkcs11:", "it must say which token"),
        (f"pkcs11:token=a?{MODULE}", "and which key"),
        (f"pkcs11:object=a?{MODULE}", "which token"),
        (f"pkcs11:token=;object=a?{MODULE}", "which token"),
        ("pkcs11:token=a;object=b", "module-path must be the absolute path"),
        ("pkcs11:token=a;object=b?module-path=p11.so", "module-path must be the absolute path"),
        (f"pkcs11:token=a;token=b;object=c?{MODULE}", "token is there twice"),
        (f"pkcs11:token=a;id=%01\n?{MODULE}", "characters that are to be percent-encoded"),
        (f"pkcs11:token=a;object=b;type=cert?{MODULE}", "only a private key signs"),
        (f"pkcs11:token=a;object=b;x-vendor=1?{MODULE}", "an attribute that is not known here"),
        (f"pkcs11:token=a;object=b?{MODULE}&module-name=p11", "an attribute that is not known here"),
        (f"pkcs11:token=a;object=b?{MODULE}&pin-source=%7C/bin/pin", "a command is not run"),
        (f"pkcs11:token=a;object=b?{MODULE}&pin-source=pin", "file:/absolute/path or env:NAME"),
        (f"pkcs11:token=a b;object=c?{MODULE}", "to be percent-encoded"),
        (f"pkcs11:token=%zz;object=c?{MODULE}", "to be percent-encoded"),
        (f"pkcs11:token;object=c?{MODULE}", "it has no value"),
        (f"pkcs11:token=%FF;object=c?{MODULE}", "token: it is no UTF-8"),
        (f"pkcs11:token=a%0Ab;object=c?{MODULE}", "cannot be printed"),
        (f"pkcs11:token=a;object=b;slot-id=-1?{MODULE}", "slot-id is a number"),
        (f"pkcs11:token=a;object=b;slot-id={1 << 64}?{MODULE}", "slot-id is a number"),
        ("pkcs11:token=" + "a" * 1100, "is named pkcs11:token="),
    ],
)
def test_what_does_not_name_one_key_is_refused(text: str, said: str) -> None:
    with pytest.raises(RefusedError, match=r"^key: pkcs11 URI: ") as refused:
        parse_uri(text)
    assert said in str(refused.value)
    assert refused.value.rule is Rule.KEY


@pytest.mark.parametrize("text", ["?pin-value=1234", "?module-path=/p&pin-value=1234", ";pin-value=1234"])
def test_a_pin_in_the_name_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_uri(f"pkcs11:token=a;object=b{text}")
    assert "1234" not in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_a_key_or_one_line(text: str) -> None:
    try:
        named = parse_uri(f"pkcs11:token=a;object=b{text}").name
    except RefusedError as error:
        named = str(error)
    assert "\n" not in named
