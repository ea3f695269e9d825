"""AIS against lines from outside our encoder: both layers and both ways, one byte at a time, in noise."""

import doctest
import json
from typing import Any

import pytest

from protocols.ais import armour, assembler, aton, catalogue, counting, message, sentence
from protocols.ais.assembler import received_of
from protocols.ais.catalogue import APPLICATIONS, BY_TYPE, encode
from protocols.ais.listener import AisListener
from protocols.ais.message import decode_message, encode_message
from protocols.ais.sentence import decode_part, encode_part, join
from protocols.core.errors import NEED_DATA
from protocols.nmea0183.framer import MAX_BUFFERED, Framer
from protocols.tests.kit import VECTORS, cases_of, check_vector, drip, each_vector, frames_of, input_of, noisy, pieces

GOOD = [case for case in cases_of("ais") if not case["expect"].get("error")]
ENCODED = [case for case in json.loads((VECTORS / "ais.json").read_text())["cases"] if "encode" in case]
each_good = pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in GOOD])


def lines_of(case: dict[str, Any]) -> list[bytes]:
    text = case["text"]
    return [line.encode() for line in (text if isinstance(text, list) else [text])]


@each_vector("ais")
def test_vector(vector: dict[str, Any]) -> None:
    check_vector(vector, decode_message)


@each_good
def test_positions_hold_to_a_ten_millionth(case: dict[str, Any]) -> None:
    got = decode_message(input_of(case))
    for key in ("lat", "lon"):
        if case["expect"].get(key) is not None:
            assert abs(got[key] - case["expect"][key]) <= 1e-7


@each_good
def test_no_key_that_nobody_expects(case: dict[str, Any]) -> None:
    optional = {"channel", "regional"} if case["expect"]["type"] == 21 else {"channel"}
    assert set(decode_message(input_of(case))) - set(case["expect"]) <= optional


@each_good
def test_lines_and_bits_come_back(case: dict[str, Any]) -> None:
    lines = lines_of(case)
    parts = [decode_part(line) for line in lines]
    assert [encode_part(part) for part in parts] == lines
    assert [encode_part(decode_part(line)) for line in lines] == lines  # by the short way, where there is one
    ordered = sorted(parts, key=lambda part: part.head.number)
    assert encode(received_of(parts).message) == join(ordered)


@each_good
def test_message_encodes_to_lines_that_say_the_same(case: dict[str, Any]) -> None:
    read = decode_message(input_of(case))
    written = encode_message(read)
    assert decode_message(written) == read
    assert encode_message(decode_message(written)) == written


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in ENCODED])
def test_encoded_vector(case: dict[str, Any]) -> None:
    assert encode_message(case["encode"]) == case["expect"]


def test_metadata_behind_the_checksum_is_cut_off() -> None:
    line = "!AIVDM,1,1,,B,15N4cJ`005Jrek0H@9n`DW5608EP,0*13"
    assert decode_message({"text": line + ",d-109,S2105,b003669945,1241544035"}) == decode_message({"text": line})


def test_all_lines_at_once_one_byte_at_a_time_and_in_pieces() -> None:
    lines = [line for case in GOOD for line in lines_of(case)]
    wire = b"".join(line + b"\r\n" for line in lines)
    assert drip(Framer(), wire) == lines
    found = []
    framer = Framer()
    for piece in pieces(wire, seed=1):
        framer.feed(piece)
        found += frames_of(framer)
    assert found == lines


@pytest.mark.parametrize("seed", range(8))
def test_listener_recovers_after_noise(seed: int) -> None:
    line = lines_of(GOOD[0])[0]
    frames = noisy(Framer(), line + b"\r\n", seed=seed, ceiling=MAX_BUFFERED)
    assert frames[-1] == line
    assert frames.count(line) >= MAX_BUFFERED // (len(line) + 2) + 2


def test_listener_hears_every_vector() -> None:
    listener = AisListener()
    for number, case in enumerate(GOOD):
        for line in lines_of(case):
            listener.receive(line + b"\r\n", 10.0 * number)
        received = listener.next_event()
        assert received == received_of([decode_part(line) for line in lines_of(case)]) or case["expect"].get("tag")
        assert listener.next_event() is NEED_DATA
    assert (listener.broken, listener.unsupported, listener.dropped, listener.discarded) == (0, 0, 0, 0)


def test_what_has_a_frame_from_outside() -> None:
    outside = [case["expect"] for case in GOOD if not case["origin"].startswith("built")]
    assert {expect["type"] for expect in outside} >= set(BY_TYPE)
    heard = {(expect["type"], expect.get("dac"), expect.get("fid")) for expect in outside}
    assert set(APPLICATIONS) - heard == {
        (6, 0, 0),
        (6, 250, 10),
        (6, 200, 21),
        (6, 200, 22),
        (8, 200, 40),
        (8, 200, 55),
    }


@pytest.mark.parametrize("module", [armour, aton, assembler, catalogue, counting, message, sentence])
def test_examples_in_docstrings(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
