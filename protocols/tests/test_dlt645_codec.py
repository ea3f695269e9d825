"""Frames of both editions: vectors both ways, in noise, readable, and what is refused."""

import doctest
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import (
    NEED_DATA,
    ChecksumError,
    FieldError,
    FrameError,
    LocalProtocolError,
    OptionError,
    RemoteProtocolError,
)
from protocols.dlt645 import bcd, catalogue, frame, message, quantities, quantities_1997
from protocols.dlt645.catalogue import decode_answer, decode_request, frame_of_answer, frame_of_request
from protocols.dlt645.edition import BAUD_RATES, Edition
from protocols.dlt645.frame import ANY_ADDRESS, MAX_FRAME_BYTES, Frame, Framer, decode_frame, encode_frame, fits_address
from protocols.dlt645.message import decode_message, encode_message
from protocols.dlt645.requests import (
    Clock,
    SetClock,
)
from protocols.tests.kit import cases_of, check_vector, drip, each_vector, frames_of, input_of, noisy, pieces

EXAMPLES = settings(max_examples=150, derandomize=True, deadline=None)
GOOD = [case for case in cases_of("dlt645") if "error" not in case["expect"]]
each_good = pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in GOOD])
WIRES = [bytes.fromhex(case["hex"]) for case in GOOD]
PARTS = [*WIRES, b"\x68", b"\xfe", b"\x68" * 9, b"\x16", b"noise"]
BOTH = pytest.mark.parametrize("edition", list(Edition))
E07, E97 = Edition.E2007, Edition.E1997
METER = "123456789012"


WITH_VALUE = "68129078563412689108333334338967453354" + "16"
CLOCK = Clock(2025, 3, 1, 12, 30, 59)


@each_vector("dlt645")
def test_vector(vector: dict[str, Any]) -> None:
    check_vector(vector, decode_message)


@each_good
def test_a_vector_is_written_byte_for_byte(case: dict[str, Any]) -> None:
    wire = bytes.fromhex(case["hex"])
    read = decode_frame(wire)
    assert encode_frame(read) == wire
    assert encode_message(decode_message(input_of(case))) == {"hex": case["hex"]}
    edition = Edition(case.get("version", 2007))
    if read.is_response:
        answer = decode_answer(read, edition)
        again = frame_of_answer(read.address, answer, edition, preamble_count=read.preamble_count)
    else:
        request = decode_request(read, edition)
        again = frame_of_request(read.address, request, edition, preamble_count=read.preamble_count)
    assert encode_frame(again) == wire


@each_good
def test_a_vector_comes_byte_by_byte(case: dict[str, Any]) -> None:
    wire = bytes.fromhex(case["hex"])
    found = Framer()
    assert drip(found, wire) == [decode_frame(wire)]
    assert found.discarded_bytes == 0


@each_good
def test_a_vector_is_found_again_after_noise(case: dict[str, Any]) -> None:
    wire = bytes.fromhex(case["hex"])
    for seed in range(8):
        assert noisy(Framer(), wire, seed=seed, ceiling=MAX_FRAME_BYTES)[-1] == decode_frame(wire)


# -- frames -----


@pytest.mark.parametrize(
    ("wire", "error", "field", "offset"),
    [
        ("", FrameError, "start", 0),
        ("fefe", FrameError, "start", 2),
        ("00", FrameError, "start", 0),
        ("fe68", FrameError, None, 2),
        ("6812907856341268110433333433", FrameError, "length", 9),
        ("68129078563412671104333334336816", FrameError, "start", 7),
        ("68129078563412681105333334336816", FrameError, "length", 9),
        ("fe68129078563412681104333334336817", FrameError, "end", 16),
        ("fe68129078563412681104333334336916", ChecksumError, "checksum", 15),
        ("6812907856341268110433333433681600", FrameError, "length", 9),
    ],
)
def test_a_broken_frame_is_refused(wire: str, error: type[RemoteProtocolError], field: str | None, offset: int) -> None:
    with pytest.raises(error) as refused:
        decode_frame(bytes.fromhex(wire))
    assert (refused.value.field, refused.value.offset) == (field, offset)


def test_the_longest_frame_comes_through() -> None:
    longest = Frame(METER, 0x91, bytes(255), 255)
    assert decode_frame(encode_frame(longest)) == longest
    assert drip(Framer(max_bytes=1), encode_frame(longest)) == [longest]


@pytest.mark.parametrize(
    "wrong",
    [
        Frame("12345678901", 0x11),
        Frame("12345678901G", 0x11),
        Frame("AAAAAAAAAAAA", 0x11),
        Frame(METER, 256),
        Frame(METER, -1),
        Frame(METER, 0x11, bytes(256)),
        Frame(METER, 0x11, b"", -1),
        Frame(METER, 0x11, b"", 256),
    ],
)
def test_no_frame_for_nonsense(wrong: Frame) -> None:
    with pytest.raises(LocalProtocolError):
        encode_frame(wrong)


FRAMES = st.builds(
    Frame,
    st.text("0123456789abcdef", min_size=12, max_size=12),
    st.integers(0, 255),
    st.binary(max_size=255),
    st.integers(0, 20),
)


@EXAMPLES
@given(FRAMES)
def test_every_frame_reads_back(one: Frame) -> None:
    wire = encode_frame(one)
    assert decode_frame(wire) == one
    assert drip(Framer(), wire) == [one]


@EXAMPLES
@given(
    st.lists(st.sampled_from([*WIRES, b"\x68", b"\xfe", b"\x68" * 9, b"\x16", b"noise"]), max_size=8),
    st.integers(0, 99),
)
def test_any_split_equals_the_whole(parts: list[bytes], seed: int) -> None:
    wire = b"".join(parts)
    whole, split = Framer(), Framer()
    whole.feed(wire)
    found: list[Frame] = []
    for piece in pieces(wire, seed):
        split.feed(piece)
        found += frames_of(split)
    assert found == frames_of(whole)
    assert (split.discarded_bytes, split.bad_checks) == (whole.discarded_bytes, whole.bad_checks)


def test_a_false_start_swallows_no_frame() -> None:
    wire = WIRES[1]
    for false_start in (b"\x68", b"\x68" + bytes(6) + b"\x68\x11\x03", wire[:9], b"\x68\x01\x02"):
        found = Framer()
        assert drip(found, false_start + wire * 9)[-1] == decode_frame(wire)
        found = Framer()
        found.feed(false_start)
        found.next_frame()
        found.reset()  # silence
        assert drip(found, wire) == [decode_frame(wire)]
        assert found.discarded_bytes == len(false_start)


def test_a_wrong_sum_is_counted() -> None:
    broken = WIRES[1][:-2] + b"\x00\x16"
    found = Framer()
    assert drip(found, broken + WIRES[1]) == [decode_frame(WIRES[1])]
    assert (found.bad_checks, found.discarded_bytes) == (1, len(broken))


def test_wake_up_bytes_belong_to_the_frame_behind_them() -> None:
    found = Framer()
    bare = WIRES[1]
    assert [one.preamble_count for one in drip(found, b"\xfe\x00\xfe\xfe" + bare + b"\xfe" * 600 + bare + bare)] == [
        2,
        600,
        0,
    ]
    assert found.discarded_bytes == 1


def test_an_endless_stream_stays_bounded_and_accounted_for() -> None:
    rng = random.Random(1)
    found = Framer(max_bytes=1)
    fed = framed = 0
    for _ in range(500):
        data = rng.choice((bytes(rng.choice((0x68, 0, 0xFF)) for _ in range(50)), rng.randbytes(99), WIRES[1]))
        data = data.replace(b"\xfe", b"\xff")
        found.feed(data)
        fed += len(data)
        framed += sum(len(one.data) + 12 for one in frames_of(found))
        assert 0 <= fed - framed - found.discarded_bytes <= MAX_FRAME_BYTES
    found.feed(bytes(5000) + WIRES[1])
    assert frames_of(found) == [decode_frame(WIRES[1])]


def test_an_address_may_be_shortened() -> None:
    assert fits_address(ANY_ADDRESS, METER)
    assert fits_address("aaaaaaaa9012", METER)
    assert not fits_address("aaaaaaaa9013", METER)
    assert not fits_address("aaaaaaaaaa1a", METER)


# -- readable -----


def test_a_broadcast_clock_is_readable() -> None:
    sent = encode_frame(frame_of_request("999999999999", SetClock(CLOCK), E07)).hex()
    assert decode_message({"hex": sent})["clock"] == "2025-03-01T12:30:59"
    for wrong in ("5930120103", "593012013225", "5a3012010325"):
        with pytest.raises(FieldError):
            decode_message({"hex": encode_frame(Frame(METER, 0x08, bytes.fromhex(wrong))).hex()})


def test_a_refusal_and_a_quantity_are_readable() -> None:
    shown = decode_message({"hex": encode_frame(Frame(METER, 0xD4, b"\x06")).hex()})
    assert shown["errors"] == ["no data", "not authorised"]
    assert encode_message(shown) == {"hex": encode_frame(Frame(METER, 0xD4, b"\x06")).hex()}
    old = {"hex": encode_frame(Frame(METER, 0xC1, b"\x02")).hex(), "version": 1997}
    assert decode_message(old)["errors"] == ["identifier"]
    assert decode_message({"hex": encode_frame(Frame(METER, 0xD1, b"\x80")).hex()})["errors"] == []
    read = decode_message({"hex": WITH_VALUE})
    assert (read["quantity"], read["value"], read["unit"]) == ("forward active energy", 1234.56, "kWh")
    assert encode_message(read) == {"hex": WITH_VALUE}
    asked = decode_message({"hex": "fefefefe68129078563412681104333334336816"})
    assert asked["quantity"] == "forward active energy"
    with pytest.raises(LocalProtocolError):
        encode_message({**read, "quantity": "voltage"})


@pytest.mark.parametrize(
    ("control", "data", "field"),
    [
        (0x91, "000001005634", "data"),
        (0x91, "000001005634120a", "forward active energy"),
        (0x91, "0000", "di"),
        (0xD1, "", "error_word"),
        (0x08, "999999999999", "clock"),
        (0x93, "00", "meter_address"),
    ],
)
def test_an_error_in_the_data_says_where_they_stand(control: int, data: str, field: str) -> None:
    wire = encode_frame(Frame(METER, control, bytes.fromhex(data), preamble_count=2))
    with pytest.raises(FieldError) as refused:
        decode_message({"hex": wire.hex()})
    assert (refused.value.field, refused.value.offset) == (field, 12)


def test_a_wrong_sum_is_told_with_the_right_one() -> None:
    with pytest.raises(ChecksumError, match="the sum is 69 where 68 is due"):
        decode_frame(bytes.fromhex("68129078563412681104333334336916"))


@pytest.mark.parametrize("control", [0x17, 0x97])
def test_baud_rates_are_readable(control: int) -> None:
    for code, rate in BAUD_RATES.items():
        assert decode_message({"hex": encode_frame(Frame(METER, control, bytes((code,)))).hex()})["baud"] == rate
    assert "baud" not in decode_message({"hex": encode_frame(Frame(METER, control, b"\x80")).hex()})


def test_a_piece_shows_its_sequence() -> None:
    sent = encode_frame(Frame(METER, 0xB2, bytes.fromhex("010d300311223305")))
    shown = decode_message({"hex": sent.hex()})
    assert (shown["di"], shown["data_hex"], shown["sequence"], shown["has_more"]) == ("03300d01", "112233", 5, True)
    assert encode_message(shown) == {"hex": sent.hex()}


def test_unlisted_functions_are_shown_as_bytes() -> None:
    for control in (0x1F, 0x9F, 0xDF, 0x00):
        shown = decode_message({"hex": encode_frame(Frame(METER, control, b"\x01\x02")).hex()})
        assert shown["data_hex"] == "0102"
        assert "di" not in shown
        assert encode_message(shown) == {"hex": encode_frame(Frame(METER, control, b"\x01\x02")).hex()}


def test_guarded_requests_are_shown_as_bytes() -> None:
    sent = encode_frame(Frame(METER, 0x14, b"\x01"))
    assert decode_message({"hex": sent.hex()})["data_hex"] == "01"


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"hex": 1},
        {"\ud800": 1},
        {"hex": "", "version": 1998},
        {"hex": "", "decode": "all"},
        {"hex": "", "x": 1},
    ],
)
def test_a_senseless_case_is_refused(case: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        decode_message(case)


@pytest.mark.parametrize("text", ["6", "zz", "\ud800", "68" * 5000])
def test_what_is_no_hex_is_refused(text: str) -> None:
    with pytest.raises(FrameError):
        decode_message({"hex": text})


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"address": METER},
        {"address": "1", "control": 17},
        {"address": METER, "control": 256},
        {"address": METER, "control": 17, "x": 1},
        {"address": METER, "control": 17},
        {"address": METER, "control": 17, "di": "000100"},
        {"address": METER, "control": 17, "di": "0001000x"},
        {"address": METER, "control": 17, "di": "00010000", "is_response": True},
        {"address": METER, "control": 0x91, "di": "00010000", "data_hex": "56341200", "value": 1.0},
        {"address": METER, "control": 0x91, "di": "00010000", "data_hex": "5634"},
        {"address": METER, "control": 17, "data_hex": "0"},
        {"address": "\ud800", "control": 17},
        {"address": METER, "control": 17, "\ud800": 1},
        {"address": METER, "control": 0x91, "data_hex": "00" * 256},
    ],
)
def test_no_frame_for_a_senseless_message(wrong: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_message(wrong)


def test_a_message_may_name_its_edition() -> None:
    sent = {"address": METER, "control": 0x0A, "data_hex": "129078563412"}
    assert encode_message(sent) == encode_message({**sent, "version": 1997})
    assert encode_message({"address": METER.upper(), "control": 1, "di": "9010"})


@EXAMPLES
@given(FRAMES, st.sampled_from([1997, 2007]))
def test_every_readable_frame_is_written_again(one: Frame, version: int) -> None:
    wire = encode_frame(one).hex()
    try:
        shown = decode_message({"hex": wire, "version": version})
    except RemoteProtocolError as refused:
        assert refused.kind == "field"  # noqa: PT017  # both ways are right
        return
    assert encode_message({**shown, "version": version}) == {"hex": wire}


@EXAMPLES
@given(st.binary(max_size=60))
def test_any_bytes_raise_only_remote_errors(noise: bytes) -> None:
    for version in (1997, 2007):
        for wire in (noise, b"\x68" + bytes(6) + b"\x68" + noise):
            try:
                shown = decode_message({"hex": wire.hex(), "version": version})
            except RemoteProtocolError as refused:
                assert refused.kind in ("frame", "checksum", "field", "unsupported")  # noqa: PT017  # both ways are right
            else:
                assert encode_message({**shown, "version": version})


@pytest.mark.parametrize("module", [bcd, catalogue, frame, message, quantities, quantities_1997])
def test_examples_in_docstrings(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_the_framer_waits_for_the_rest() -> None:
    found = Framer()
    found.feed(WIRES[1][:-1])
    assert found.next_frame() is NEED_DATA
