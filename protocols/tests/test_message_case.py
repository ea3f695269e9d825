"""What all readable messages share: the opening of a case that is read, the fields of a message that is written."""

import pytest

from protocols.core.errors import FrameError, LocalProtocolError, OptionError
from protocols.message_case import check_options, check_same, kind_and_octets, one_of, text_in
from protocols.message_fields import TOO_LARGE, Fields

KINDS = ("head", "body")


def test_a_case_has_a_kind_and_bytes():
    assert kind_and_octets({"kind": "head", "hex": "0A b0"}, KINDS) == ("head", b"\x0a\xb0")
    assert kind_and_octets({"kind": "body", "hex": "", "params": {}}, KINDS, "params") == ("body", b"")


@pytest.mark.parametrize(
    ("case", "field"),
    [
        ({}, "kind"),
        ({"kind": "tail", "hex": ""}, "kind"),
        ({"kind": ["head"], "hex": ""}, "kind"),
        ({"kind": "head"}, "hex"),
        ({"kind": "head", "hex": b""}, "hex"),
        ({"kind": "head", "hex": "", "speed": 1}, "speed"),
        ({"kind": "head", "hex": "", 7: 1}, 7),
    ],
)
def test_a_bad_case_names_the_option(case, field):
    with pytest.raises(OptionError) as caught:
        kind_and_octets(case, KINDS)
    assert caught.value.field == field


@pytest.mark.parametrize("text", ["0", "0g", "\u5341", "00" * 9])
def test_what_is_no_hex_or_too_much_is_no_frame(text):
    with pytest.raises(FrameError) as caught:
        kind_and_octets({"kind": "head", "hex": text}, KINDS, max_chars=16)
    assert caught.value.field == "hex"


def test_a_name_is_one_of_those_known():
    assert one_of("head", KINDS, "kind") == "head"
    with pytest.raises(LocalProtocolError, match="head, body") as caught:
        one_of(None, KINDS, "part")
    assert caught.value.field == "part"
    assert not isinstance(caught.value, OptionError)


def test_a_long_option_is_cut_short():
    with pytest.raises(OptionError) as caught:
        check_options({"x" * 1000: 1}, ("hex",), "head")
    assert len(caught.value.reason) < 100


def test_a_text_is_a_text():
    assert text_in({"text": "x"}, "text", "a line") == "x"
    with pytest.raises(OptionError, match="a line"):
        text_in({"text": 1}, "text", "a line")


READ = {"hex": "0aff", "count": 2, "is_on": True, "inner": {"c": "0a0b"}, "items": [{"a": 1, "b": None}, {"a": 2.5}]}


@pytest.mark.parametrize(
    "given",
    [{}, READ, {"hex": "0AFF"}, {"count": 2.0}, {"inner": {"c": "0A0B"}}, {"items": [{"a": 1}, {}]}, {"inner": {}}],
    ids=str,
)
def test_all_that_is_given_was_read(given):
    check_same(given, READ)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"missing": None}, "missing"),
        ({"hex": "0aff", "count": 3}, "count"),
        ({"count": True}, "count"),
        ({"is_on": 1}, "is_on"),
        ({"hex": "0aff00"}, "hex"),
        ({"hex": 0}, "hex"),
        ({"hex": ["0aff"]}, "hex"),
        ({"inner": {"c": "0f0f"}}, "c"),
        ({"inner": 1}, "inner"),
        ({"items": [{"a": 1}]}, "items"),
        ({"items": [{"a": 2}, {}]}, "a"),
        ({"items": {"a": 1}}, "items"),
        ({"items": None}, "items"),
    ],
    ids=str,
)
def test_what_is_given_must_be_what_was_read(given, field):
    with pytest.raises(LocalProtocolError) as caught:
        check_same(given, READ)
    assert caught.value.field == field
    check_same(given, READ, *given)


@pytest.mark.parametrize("value", [True, "1", [], float("nan"), float("inf"), -float("inf"), 10**400, TOO_LARGE])
def test_what_is_no_number(value):
    with pytest.raises(LocalProtocolError):
        Fields({"n": value}).number("n")


@pytest.mark.parametrize("value", [None, 0, -1.5, 10**99])
def test_what_is_a_number_or_none(value):
    assert Fields({"n": value}).number("n") == value


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        (lambda fields: fields.integer("x", 9), [None, True, 10, -1, 1.0, "1"]),
        (lambda fields: fields.integers("x", 9), [None, 1, [10], [True], [1, None], "11"]),
        (lambda fields: fields.flag("x"), [None, 0, "true"]),
        (lambda fields: fields.text("x"), [None, 1, b""]),
        (lambda fields: fields.octets("x", 2), [None, "00", "0g0g", 7, b"00"]),
        (lambda fields: fields.sequence("x"), [None, "ab", {}]),
        (lambda fields: fields.record("x"), [None, [], "ab"]),
        (lambda fields: fields.records("x"), [None, {}, [1]]),
        (lambda fields: fields.names("x"), [None, "ab", [1]]),
        (lambda fields: fields.number("x"), ["1", True, float("nan"), float("inf"), 1e300]),
    ],
)
def test_a_field_of_the_wrong_type_is_named(read, wrong):
    for value in wrong:
        with pytest.raises(LocalProtocolError) as caught:
            read(Fields({"x": value}))
        assert caught.value.field == "x", value
