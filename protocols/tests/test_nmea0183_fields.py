"""Fields of sentences: what is refused, what is none, what we write; satellites."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.core.instant import days_of
from protocols.nmea0183.catalogue import decode
from protocols.nmea0183.characters import escape, unescape
from protocols.nmea0183.fields import (
    read_day,
    read_integer,
    read_number,
    read_time_ms,
    write_day,
    write_integer,
    write_number,
    write_position,
    write_time,
)
from protocols.nmea0183.message import decode_message
from protocols.nmea0183.motion import Zda
from protocols.nmea0183.position import Rmc
from protocols.nmea0183.satellites import Gsa, Gsv, Satellite
from protocols.nmea0183.sentence import encode_for_sending, encode_sentence
from protocols.nmea0183.text import Txt
from protocols.tests.nmea0183_lines import line_of, message_of

modest = settings(derandomize=True, deadline=None, max_examples=100)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("GPGGA,1,2,3,4,5,6,7,8,9,10,11", "fields"),
        ("GPRMC,000702.00,A,4404.1,N,12118.8,W,0.4,", "fields"),
        ("GPVTG,1.0,T,2.0,M,3.0", "fields"),
        ("GPVTG,1.0,T,2.0,M,3.0,N,4.0", "fields"),
        ("YXXDR,C,21.5,C,AIR,P,1.0,B", "fields"),
        ("GPGSV,1,1,01,06,45,120", "fields"),
        ("GPGSV,1,1,01,06,45,120,41,09,60", "fields"),
        ("GPGSV,1,1,01,06,45,120,41,G", "fields"),
        ("GPHDT,1e2,T", "heading_true_deg"),
        ("GPHDT,nan,T", "heading_true_deg"),
        ("GPHDT,inf,T", "heading_true_deg"),
        ("GPHDT,1_0,T", "heading_true_deg"),
        ("GPHDT, 10,T", "heading_true_deg"),
        ("GPHDT,.5,T", "heading_true_deg"),
        ("GPHDT,5.,T", "heading_true_deg"),
        ("GPHDT,--5,T", "heading_true_deg"),
        ("GPHDT,0x1F,T", "heading_true_deg"),
        ("GPHDT," + "9" * 400 + ",T", "number"),
        ("GPHDT,-" + "9" * 400 + ".0,T", "number"),
        ("GPGGA,240000.00,,,,,0,,,,,,", "utc"),
        ("GPGGA,236000.00,,,,,0,,,,,,", "utc"),
        ("GPGGA,235961.00,,,,,0,,,,,,", "utc"),
        ("GPGGA,2359.00,,,,,0,,,,,,", "utc"),
        ("GPGGA,235959.,,,,,0,,,,,,", "utc"),
        ("GPGGA,,,,,,1.0,,,,,,", "fix_quality"),
        ("GPRMC,000000,V,,,,,,,300226", "date"),
        ("GPRMC,000000,V,,,,,,,000000", "date"),
        ("GPRMC,000000,V,,,,,,,1", "date"),
        ("GPRMC,000000,,,,,,,,", "status"),
        ("GPRMC,000000,A,3204.1,N,,,,,201126", "position"),
        ("GPRMC,000000,A,3204.1,NS,11846.5,E,,,201126", "position"),
        ("GPRMC,000000,A,9000.1,N,11846.5,E,,,201126", "position"),
        ("GPRMC,000000,A,3204.1,N,18000.1,E,,,201126", "position"),
        ("GPRMC,000000,A,32-4.1,N,11846.5,E,,,201126", "position"),
        ("GPGNS,000000,3204.1,N,11846.5,X,NNA,1,1.0,,,,", "position"),
        ("GPGLL,3204.1,N,11860.5,E,000000,A", "position"),
        ("GPGNS,000000,,,,,A1,1,1.0,,,,", "mode"),
        ("GPZDA,000000,31,04,2026,00,00", "date"),
        ("GPZDA,000000,31,01,26,00,00", "date"),
        ("GPZDA,000000,31,01,2026,14,00", "zone_hours"),
        ("GPZDA,000000,31,01,2026,00,60", "zone_hours"),
        ("GPRMC,000000,V,,,,,,,,1.0,N", "mag_var_deg"),
    ],
)
def test_fields_that_are_refused(body: str, reason: str) -> None:
    with pytest.raises(FieldError) as caught:
        message_of(body)
    assert caught.value.field == reason
    assert caught.value.offset is not None
    assert 0 < caught.value.offset <= len(body) + 1


@pytest.mark.parametrize(
    ("body", "bad"),
    [
        ("GPHDT,1e2,T", "1e2"),
        ("GPGGA,063000.00,3204.1,N,11846.5,E,1,09,0x8,9.7,M,3.1,M,,", "0x8"),
        ("GPGGA,063000.00,3204.1,N,11846.5,E,1,09,0.8,9.7,M,3.1,M,1s,", "1s"),
        ("GPRMC,000000,A,3204.1,N,11846.5,E,,,201326", "201326"),
        ("GPRMC,000000,B,3204.1,N,11846.5,E,,,201126", "B,"),
        ("GPGSV,1,1,01,06,45,12-,41", "12-"),
        ("GPGSA,A,3,01,0B,,,,,,,,,,,2.1,1.2,1.8", "0B"),
        ("YXXDR,C,21.5,C,AIR,P,1.0.1,B,BARO", "1.0.1"),
    ],
)
@pytest.mark.parametrize("tag", ["", "\\s:GN01,c:1700000000*32\\"])
def test_the_place_of_a_bad_field_is_told_within_the_line(body: str, bad: str, tag: str) -> None:
    line = tag + line_of(body).decode()
    with pytest.raises(FieldError) as caught:
        decode_message({"text": line})
    assert caught.value.offset == line.rindex(bad)


def test_a_bad_field_is_told_when_a_value_is_looked_at_and_again_each_time() -> None:
    hdt = decode(line_of("GPHDT,1e2,T"))
    for _ in range(2):
        with pytest.raises(FieldError):
            _ = hdt.heading_true_deg
    with pytest.raises(AttributeError):
        _ = hdt.no_such_value


def test_void_positions_are_none_and_zeros_are_kept_for_the_rules_of_use() -> None:
    for position in ["8960.0000,N,00000.0000,E", "3204.1,N,,", "3204.1,,11846.5,E", "36000.0000,N,72000.0000,E"]:
        read = message_of(f"GPRMC,000000,V,{position},,,201126")
        assert (read["lat_deg"], read["lon_deg"]) == (None, None)
    assert message_of("GPRMC,000000,V,0000.0,N,00000.0,E,,,201126")["lat_deg"] == 0.0


def test_empty_is_none_and_never_zero() -> None:
    assert read_number(["", ""], 1, "x") is None
    assert read_integer(["", ""], 1, "x") is None
    assert read_time_ms([""], 0) is None
    assert read_day([""], 0) is None
    assert set(list(message_of("GPGGA,,,,,,,,,,,,").values())[2:]) == {None}


def test_older_and_newer_editions_are_shorter_and_longer() -> None:
    assert message_of("GPRMC,000000,V,,,,,,,201126")["mode"] is None
    assert message_of("GNRMC,000000,V,,,,,,,201126,,,N,V,future,9")["nav_status"] == "V"


def test_time_keeps_three_decimals_and_the_leap_second() -> None:
    assert read_time_ms(["235960.5"], 0) == 86_400_500
    assert read_time_ms(["000000.0004"], 0) == 0
    assert read_time_ms(["000000.0006"], 0) == 1
    assert write_time(86_400_500) == "235960.50"
    assert write_time(86_399_007) == "235959.007"


@pytest.mark.parametrize(("text", "year"), [("010100", 2000), ("010179", 2079), ("010180", 1980), ("010199", 1999)])
def test_two_digits_of_a_year(text: str, year: int) -> None:
    assert read_day([text], 0) == days_of(year, 1, 1)
    assert write_day(days_of(year, 1, 1)) == text


@given(
    st.integers(-90_000_000_000, 90_000_000_000),
    st.integers(-180_000_000_000, 180_000_000_000),
    st.integers(0, 86_400_999),
    st.integers(days_of(1980, 1, 1), days_of(2079, 12, 31)),
)
@modest
def test_what_we_write_reads_back_within_a_hundred_thousandth_of_a_minute(
    lat: int, lon: int, utc_ms: int, day: int
) -> None:
    rmc = decode(encode_for_sending(Rmc.of("BD", utc_ms, "A", (lat, lon), 1.5, 359.9, day, mode="A"))[:-2])
    assert isinstance(rmc, Rmc)
    assert rmc.position_e9 is not None
    assert abs(rmc.position_e9[0] - lat) <= 84
    assert abs(rmc.position_e9[1] - lon) <= 84
    assert (rmc.utc_ms, rmc.day) == (utc_ms, day)


def test_rounding_of_minutes_carries_into_degrees() -> None:
    assert write_position((31_999_999_999, -119_999_999_999)) == ["3200.00000", "N", "12000.00000", "W"]


@given(st.floats(-1e6, 1e6), st.integers(0, 2), st.integers(0, 3))
@modest
def test_numbers_keep_their_decimals_up_to_the_most_that_we_send(value: float, fewest: int, more: int) -> None:
    most = fewest + more
    text = write_number(value, fewest, most, "x")
    assert abs(read_number([text], 0, "x") - value) <= 0.5 * 10**-most + 1e-9  # type: ignore[operator]
    assert fewest <= len(text.partition(".")[2]) <= most
    assert not text.startswith("-0") or float(text) < 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9, -1e9])
def test_numbers_that_no_field_carries(value: float) -> None:
    with pytest.raises(LocalProtocolError):
        write_number(value, 1, 3, "x")


def test_zones_west_of_greenwich_have_two_digits_and_a_sign() -> None:
    """A field of a fixed number of digits grows by its sign; receivers that leave the zero out are understood."""
    assert Zda.of("GP", 0, days_of(2004, 3, 11), -1, 0).fields[5:] == ["-01", "00"]
    assert decode(line_of("GPZDA,160012.71,11,03,2004,-1,00")).zone_hours == -1


def test_dates_whose_year_has_not_four_digits_have_no_field() -> None:
    assert Zda.of("GP", 0, days_of(9999, 12, 31)).fields[2:5] == ["31", "12", "9999"]
    for day in (days_of(9999, 12, 31) + 1, days_of(1000, 1, 1) - 1, -1_000_000):
        with pytest.raises(LocalProtocolError):
            Zda.of("GP", 0, day)


def test_integers_that_no_field_carries() -> None:
    with pytest.raises(LocalProtocolError):
        write_integer(10**9, 1, "x")
    with pytest.raises(FieldError):
        read_integer(["1" * 10], 0, "x")


def test_escapes_go_both_ways_and_half_ones_stand_for_themselves() -> None:
    assert unescape("gr^FCn^2C^2a ok^2") == "grün,* ok^2"
    assert unescape("^^zz^") == "^^zz^"
    assert escape("grün,*$!\\^~\n", "text") == "gr^FCn^2C^2A^24^21^5C^5E^7E^0A"
    with pytest.raises(LocalProtocolError):
        escape("水位", "text")


@given(st.text(st.characters(max_codepoint=255), min_size=1, max_size=12))
@modest
def test_any_latin_text_travels(text: str) -> None:
    assert decode(encode_sentence(Txt.of("GN", 1, 1, 2, text))).text == text


def test_commas_in_a_text_that_nobody_escaped_belong_to_it() -> None:
    assert message_of("GNTXT,01,01,02,a,b,c")["text"] == "a,b,c"


# Satellites


def test_gsa_of_another_edition_and_with_a_float_for_a_system() -> None:
    fields = "A,3,214,,,,,,,,,,,,2.1,1.2,1.8"
    assert message_of(f"GNGSA,{fields},B")["system_id"] == 11
    assert message_of(f"BDGSA,{fields},1.8")["system_id"] is None


def test_gsv_trailing_fields() -> None:
    one = "1,1,01,06,45,120,41"
    assert message_of(f"GPGSV,{one}")["signal_id"] is None
    assert message_of(f"GPGSV,{one},")["signal_id"] is None
    assert message_of(f"GPGSV,{one},b")["signal_id"] == 11
    assert message_of(f"GPGSV,{one},1,4")["signal_id"] == 1
    assert message_of("GPGSV,1,1,00")["sats"] == []
    assert message_of("GPGSV,1,1,01,,,,,07,1,2,")["sats"] == [
        {"id": 7, "elevation_deg": 1.0, "azimuth_deg": 2.0, "snr_db": None}
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e9])
def test_satellites_at_angles_that_no_field_carries(value: float) -> None:
    assert Gsv.of("GP", 1, 1, 1, [Satellite(7, 45.0, 7, 40.5)]).fields[4:] == ["07", "45", "007", "40.5"]
    for sat in (Satellite(1, value, 2, 3), Satellite(1, 2, value, 3), Satellite(1, 2, 3, value)):
        with pytest.raises(LocalProtocolError):
            Gsv.of("GP", 1, 1, 1, [sat])


def test_more_satellites_than_a_sentence_holds_are_refused() -> None:
    with pytest.raises(LocalProtocolError):
        Gsa.of("GP", "A", 3, list(range(1, 14)), 1.0, 1.0, 1.0)
    with pytest.raises(LocalProtocolError):
        Gsv.of("GP", 1, 1, 5, [Satellite(n, 1, 2, 3) for n in range(5)])
