"""What readable messages share: whether what was written says what the message says."""

import pytest

from protocols.core.errors import LocalProtocolError
from protocols.message_fields import TOO_LARGE, Fields, check_fits

READ = {
    "kind": "x",
    "hex": "0aff",
    "count": 2,
    "is_on": True,
    "items": [{"a": 1, "b": None}, {"a": 2.5}],
    "pair": [1, 2],
}


@pytest.mark.parametrize(
    "message",
    [
        {},
        READ,
        {"hex": "0AFF"},
        {"count": 2.0},
        {"items": [{"a": 1}, {}]},
        {"pair": (1, 2)},
        {"missing": None},
        {"items": [{"a": 1, "c": None}, {"a": 2.5, "b": None}]},
    ],
    ids=str,
)
def test_what_is_given_is_there(message):
    check_fits(message, READ)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"missing": 0}, "missing"),
        ({"kind": "x", "count": 3}, "count"),
        ({"count": True}, "count"),
        ({"is_on": 1}, "is_on"),
        ({"hex": "0aff00"}, "hex"),
        ({"hex": 0}, "hex"),
        ({"items": [{"a": 1}]}, "items"),
        ({"items": [{"a": 2}, {}]}, "items"),
        ({"items": {"a": 1}}, "items"),
        ({"pair": None}, "pair"),
        ({"kind": ["x"]}, "kind"),
    ],
    ids=str,
)
def test_what_is_given_is_not_there(message, field):
    with pytest.raises(LocalProtocolError) as caught:
        check_fits(message, READ)
    assert caught.value.field == field
    check_fits(message, READ, field)


@pytest.mark.parametrize("value", [True, "1", [], float("nan"), float("inf"), -float("inf"), 10**400, TOO_LARGE])
def test_what_is_no_number(value):
    with pytest.raises(LocalProtocolError):
        Fields({"n": value}).number("n")


@pytest.mark.parametrize("value", [None, 0, -1.5, 10**99])
def test_what_is_a_number_or_none(value):
    assert Fields({"n": value}).number("n") == value
