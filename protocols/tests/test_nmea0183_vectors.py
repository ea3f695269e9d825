"""NMEA 0183 against lines from outside our encoder: both layers, drip, noise, and pynmea2 as an independent witness."""

import datetime as dt
import doctest
from typing import Any

import pynmea2
import pytest

from protocols.core import instant
from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.nmea0183 import (
    catalogue,
    characters,
    checksum,
    fields,
    fix,
    framer,
    message,
    position,
    sentence,
    tag_block,
)
from protocols.nmea0183.catalogue import KINDS, decode
from protocols.nmea0183.framer import MAX_BUFFERED, Framer
from protocols.nmea0183.message import decode_message, encode_message
from protocols.nmea0183.sentence import decode_sentence, encode_sentence
from protocols.tests.kit import cases_of, check_vector, drip, each_vector, input_of, is_same, noisy

GOOD = [case for case in cases_of("nmea0183") if not case["expect"].get("error")]
each_good = pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in GOOD])


@each_vector("nmea0183")
def test_vector(vector: dict[str, Any]) -> None:
    check_vector(vector, decode_message)


@each_good
def test_vector_with_line_end(case: dict[str, Any]) -> None:
    assert decode_message({"text": case["text"] + "\r\n"}) == decode_message(input_of(case))


@each_good
def test_wire_type_loses_nothing(case: dict[str, Any]) -> None:
    line = case["text"].encode()
    assert encode_sentence(decode_sentence(line)) == line
    assert encode_sentence(decode(line)) == line


@each_good
def test_degrees_hold_to_a_ten_millionth(case: dict[str, Any]) -> None:
    got = decode_message(input_of(case))
    for key in ("lat_deg", "lon_deg"):
        want = case["expect"].get(key)
        if want is not None:
            assert abs(got[key] - want) <= 1e-8  # type: ignore[operator]


@each_good
def test_every_name_of_the_table_is_there(case: dict[str, Any]) -> None:
    assert set(decode_message(input_of(case))) == set(case["expect"])


@each_good
def test_message_encodes_to_a_line_that_says_the_same(case: dict[str, Any]) -> None:
    read = decode_message(input_of(case))
    if case["name"] == "GNGGA_05":  # centimetres, age and station: real, and longer than a sentence may be when sent
        with pytest.raises(LocalProtocolError):
            encode_message(read)
        return
    written = encode_message(read)
    again = decode_message(written)
    for key in ("lat_deg", "lon_deg"):
        if read.get(key) is not None:
            assert abs(again.pop(key) - read.pop(key)) <= 1e-7  # type: ignore[operator]
    assert again == read
    assert encode_message(decode_message(written)) == written


def test_lines_in_the_form_that_we_send_come_back_byte_for_byte() -> None:
    canonical = [case["text"] for case in GOOD if case["origin"] != "built" and case["name"].startswith("GPGSV")]
    canonical += [
        "$GNRMC,000702.00,A,4404.12985,N,12118.84631,W,0.423,,090624,,,A,V*0F",
        "$SDDBT,17.3,f,5.2,M,2.8,F*3E",
    ]
    for text in canonical:
        assert encode_message(decode_message({"text": text})) == {"text": text}


@each_good
def test_framer_one_byte_at_a_time(case: dict[str, Any]) -> None:
    line = case["text"].encode()
    assert drip(Framer(), line + b"\r\n") == [line]


@each_good
def test_framer_recovers_after_noise(case: dict[str, Any]) -> None:
    line = case["text"].encode()
    wire = line + b"\r\n"
    frames = noisy(Framer(), wire, seed=len(line), ceiling=MAX_BUFFERED)
    assert frames[-1] == line
    assert frames.count(line) >= MAX_BUFFERED // len(wire) + 2  # of three more: the noise took one with it at most


def test_framer_takes_all_vectors_in_one_piece() -> None:
    lines = [case["text"].encode() for case in GOOD]
    feeder = Framer()
    got = []
    for line in lines:
        feeder.feed(line + b"\r\n")
        while (frame := feeder.next_frame()) is not NEED_DATA:
            got.append(frame)
    assert got == lines
    assert feeder.discarded == 0


def _latitude(read: Any) -> float | None:
    return read.latitude if read.lat else None


def _longitude(read: Any) -> float | None:
    return read.longitude if read.lon else None


def _seconds(read: Any) -> float | None:
    at = read.timestamp
    if not isinstance(at, dt.time):
        return None
    return at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6


def _number(text: Any) -> float | None:
    return None if text in (None, "") else float(text)


WITNESS = {
    "utc_s": _seconds,
    "lat_deg": _latitude,
    "lon_deg": _longitude,
    "status": lambda read: read.status or None,
    "fix_quality": lambda read: _number(read.gps_qual),
    "num_sats": lambda read: _number(read.num_sats),
    "hdop": lambda read: _number(getattr(read, "horizontal_dil", None) or getattr(read, "hdop", None)),
    "altitude_m": lambda read: _number(read.altitude),
    "geoid_sep_m": lambda read: _number(read.geo_sep),
    "dgps_age_s": lambda read: _number(read.age_gps_data),
    "course_deg": lambda read: _number(read.true_course),
    "date": lambda read: read.datestamp.isoformat() if hasattr(read.datestamp, "isoformat") else None,
    "pdop": lambda read: _number(read.pdop),
    "vdop": lambda read: _number(read.vdop),
    "fix_mode": lambda read: _number(read.mode_fix_type),
    "sats_in_view": lambda read: _number(read.num_sv_in_view),
    "num_msgs": lambda read: _number(getattr(read, "num_messages", None) or getattr(read, "num_msg", None)),
    "msg_num": lambda read: _number(read.msg_num),
    "course_true_deg": lambda read: _number(read.true_track),
    "course_mag_deg": lambda read: _number(read.mag_track),
    "speed_kmh": lambda read: _number(read.spd_over_grnd_kmph),
    "zone_hours": lambda read: _number(read.local_zone),
    "zone_minutes": lambda read: _number(read.local_zone_minutes),
    "heading_true_deg": lambda read: _number(read.heading),
    "rate_deg_min": lambda read: _number(read.rate_of_turn),
    "depth_feet": lambda read: _number(read.depth_feet),
    "depth_m": lambda read: _number(getattr(read, "depth_meters", None) or getattr(read, "depth", None)),
    "depth_fathoms": lambda read: _number(read.depth_fathoms),
    "offset_m": lambda read: _number(read.offset),
    "max_range_m": lambda read: _number(read.range),
    "temperature_c": lambda read: _number(read.temperature),
    "wind_angle_deg": lambda read: _number(read.wind_angle),
    "wind_reference": lambda read: read.reference or None,
    "wind_speed": lambda read: _number(read.wind_speed),
    "wind_speed_unit": lambda read: read.wind_speed_units or None,
    "text_id": lambda read: _number(read.msg_type),
    "text": lambda read: read.text or None,
}

DISAGREEMENTS = {
    # (case, key): why pynmea2 1.19.0 says something else, and why we stay with ours.
    ("GPRMC_06", "lat_deg"): "36000.0000 in a void fix is no position; pynmea2 computes 360 degrees",
    ("GPRMC_06", "lon_deg"): "72000.0000 in a void fix is no position; pynmea2 computes 720 degrees",
    ("rmc_void_bogus_36000", "lat_deg"): "the same",
    ("rmc_void_bogus_36000", "lon_deg"): "the same",
    ("txt_escape", "text"): "pynmea2 leaves ^hh as it stands",
    ("vtg_old_four_fields", "course_mag_deg"): "pynmea2 knows the form with letters only",
    ("vtg_old_four_fields", "speed_knots"): "the same",
    ("vtg_old_four_fields", "speed_kmh"): "the same",
    ("vtg_old_four_fields", "mode"): "the same",
}


@each_good
def test_pynmea2_says_the_same(case: dict[str, Any]) -> None:
    read = pynmea2.parse(case["text"].rpartition("\\")[2], check=True)
    ours = decode_message(input_of(case))
    assert (read.talker, read.sentence_type) == (ours["talker"], ours["formatter"])
    for key, value in ours.items():
        if key in WITNESS and (hasattr(read, "num_msg") or key != "num_msgs" or ours["formatter"] == "GSV"):
            theirs = WITNESS[key](read)
            if (case["name"], key) in DISAGREEMENTS:
                assert not is_same(theirs, value), f"{key}: they agree again; strike the line from DISAGREEMENTS"
            else:
                assert is_same(theirs, value), f"{key}: pynmea2 {theirs!r}, we {value!r}"


@pytest.mark.parametrize("name", ["bad_checksum", "bad_checksum_not_hex", "bad_public_1", "bad_public_3"])
def test_pynmea2_refuses_the_same_lines(name: str) -> None:
    case = next(case for case in cases_of("nmea0183") if case["name"] == name)
    with pytest.raises(pynmea2.ParseError):
        pynmea2.parse(case["text"], check=True)


def test_every_formatter_has_a_vector_from_outside() -> None:
    assert {case["expect"]["formatter"] for case in GOOD if case["origin"] != "built"} == set(KINDS)


@pytest.mark.parametrize(
    "module", [instant, catalogue, characters, checksum, fields, fix, framer, message, position, sentence, tag_block]
)
def test_examples_in_docstrings(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
