"""Electronic purse: vectors both ways, what is refused, unknown values, and any bytes; no key in any error."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.core.errors import LocalProtocolError, OptionError, RemoteProtocolError
from protocols.epurse.message import COMPUTATIONS, KINDS, TABLES, decode_message, encode_message
from protocols.epurse.purchase_tables import Balance
from protocols.table import layout_of
from protocols.tests.kit import cases_of, check_vector, damaged_message, each_vector, input_of

GOOD = [case for case in cases_of("epurse") if "error" not in case["expect"]]
WRITABLE = [case for case in GOOD if case["kind"] not in COMPUTATIONS]
KEY = "5ec2e75ec2e75ec2e75ec2e75ec2e75e"


@each_vector("epurse")
def test_vector(vector):
    check_vector(vector, decode_message)


@pytest.mark.parametrize("case", WRITABLE, ids=lambda case: case["name"])
def test_a_message_is_written_back_as_it_was(case):
    assert encode_message(decode_message(input_of(case))) == {"hex": case["hex"]}


@pytest.mark.parametrize("case", WRITABLE, ids=lambda case: case["name"])
def test_the_keys_of_the_layout_are_enough_to_write_it(case):
    wire = encode_message({"kind": case["kind"], **case["expect"]})["hex"]
    if case["kind"] in {"lnt_file15", "balance"}:  # what the layout ignores is kept beside it
        assert decode_message({"kind": case["kind"], "hex": wire}).items() >= case["expect"].items()
    else:
        assert wire == case["hex"]


def test_there_is_a_vector_for_every_kind():
    assert {case["kind"] for case in GOOD} == set(KINDS)


@pytest.mark.parametrize("kind", TABLES)
def test_every_other_length_is_refused(kind):
    layout = layout_of(TABLES[kind])
    sizes = set(layout.by_size)
    for size in range(90):
        if size in sizes or (layout.open_form is not None and size >= layout.open_form.size):
            TABLES[kind].from_bytes(bytes(size))
        else:
            with pytest.raises(RemoteProtocolError) as caught:
                decode_message({"kind": kind, "hex": "00" * size})
            assert (caught.value.kind, caught.value.field, caught.value.raw) == ("frame", kind, b"")


@pytest.mark.parametrize("text", ["0", "0g", "é"])
def test_what_is_no_hex_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        decode_message({"kind": "balance", "hex": text})


@pytest.mark.parametrize(("kind", "size"), [("sam_init_cmd", 36), ("sam_init_cmd", 28), ("lnt_file15", 52)])
def test_forms_have_their_sizes(kind, size):
    assert len(encode_message(decode_message({"kind": kind, "hex": "ab" * size}))["hex"]) == 2 * size


@given(st.sampled_from(sorted(TABLES)), st.data())
def test_any_bytes_of_the_right_length_survive(kind, data):
    layout = layout_of(TABLES[kind])
    sizes = [*layout.by_size, *([layout.open_form.size, layout.open_form.size + 28] if layout.open_form else [])]
    size = data.draw(st.sampled_from(sizes))
    wire = data.draw(st.binary(min_size=size, max_size=size))
    table = TABLES[kind].from_bytes(wire)
    assert table.to_bytes() == wire
    assert TABLES[kind].from_readable(table.readable()) == table


@given(st.sampled_from(KINDS), st.binary(max_size=100))
def test_any_bytes_raise_only_what_they_may(kind, data):
    params = COMPUTATIONS[kind].params if kind in COMPUTATIONS else {}
    keys = {name: KEY[: 2 * size] for name, size in params.items()}
    try:
        message = decode_message({"kind": kind, "hex": data.hex(), **({"params": keys} if keys else {})})
    except RemoteProtocolError:
        return
    assert kind in COMPUTATIONS or encode_message(message) == {"hex": data.hex()}


@given(st.integers(0, 0xFFFF_FFFF))
def test_a_balance_keeps_its_noise(raw):
    message = decode_message({"kind": "balance", "hex": raw.to_bytes(4, "big").hex()})
    assert message["balance"] == raw % (1 << 31)
    assert encode_message(message) == {"hex": raw.to_bytes(4, "big").hex()}
    assert Balance.from_bytes(Balance(raw).to_bytes()) == Balance(raw)


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"kind": "x", "hex": ""},
        {"kind": "balance", "hex": 1},
        {"kind": "balance", "hex": "00000000", "x": 1},
        {"kind": "balance", "hex": "00000000", "params": {}},
        {"kind": "mac_des", "hex": ""},
        {"kind": "mac_des", "hex": "", "params": [KEY]},
        {"kind": "mac_des", "hex": "", "params": {"key": KEY[:16], "iv": KEY[:16]}},
        {"kind": "mac_3des", "hex": "", "params": {"key": KEY}},
        {"kind": "tac_key", "hex": KEY, "params": {"key": KEY}},
    ],
)
def test_a_bad_case_is_an_option_error(case):
    with pytest.raises(OptionError):
        decode_message(case)


@pytest.mark.parametrize("kind", [name for name in COMPUTATIONS if name != "tac_key"])
@pytest.mark.parametrize("key", [KEY + KEY[:2], KEY[:6], KEY[:15], "5ec2e7xx", None, 7, [KEY]])
def test_no_error_shows_a_key(kind, key):
    params = dict.fromkeys(COMPUTATIONS[kind].params, "11" * 8) | {"key": key}
    with pytest.raises(OptionError) as caught:
        decode_message({"kind": kind, "hex": "00" * 8, "params": params})
    seen = f"{caught.value} {caught.value!r} {caught.value.raw!r} {caught.value.__cause__}"
    assert "5ec2e7" not in seen


@pytest.mark.parametrize("kind", COMPUTATIONS)
def test_a_cryptogram_cannot_be_written_back(kind):
    with pytest.raises(LocalProtocolError):
        encode_message({"kind": kind, "mac": "00000000"})


@pytest.mark.parametrize("case", WRITABLE, ids=lambda case: case["name"])
def test_a_damaged_message_is_written_or_refused(case):
    rng = random.Random(case["name"])
    message = decode_message(input_of(case))
    written = 0
    for _number in range(200):
        broken = damaged_message(rng, message)
        if not isinstance(broken, dict):
            continue
        try:
            wire = encode_message(broken)
        except LocalProtocolError:
            continue
        again = decode_message({"kind": broken["kind"], **wire})
        assert encode_message(again) == wire
        written += 1
    assert written < 200, "some of it is refused"
