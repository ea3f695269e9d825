"""Sentences: the checksum, the line, any bytes."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import FrameError, LocalProtocolError, RemoteProtocolError, UnsupportedError
from protocols.nmea0183.catalogue import KINDS, decode
from protocols.nmea0183.characters import BLANKS, RESERVED, _blanked, blanked
from protocols.nmea0183.checksum import CHECK_ENDS, _EndsOnDemand, check_of
from protocols.nmea0183.message import decode_message, encode_message
from protocols.nmea0183.position import Gga
from protocols.nmea0183.sentence import LONGEST_LINE, Decoder, decode_sentence, encode_sentence
from protocols.nmea0183.tag_block import decode_tag, encode_tag
from protocols.tests.nmea0183_lines import line_of, message_of

modest = settings(derandomize=True, deadline=None, max_examples=100)


# The checksum


@given(st.binary(max_size=1100))
@modest
def test_checksum_is_the_exclusive_or_of_all_bytes(data: bytes) -> None:
    want = 0
    for byte in data:
        want ^= byte
    assert check_of(data) == want


@pytest.mark.parametrize("case", ["upper", "lower"])
def test_checksum_in_either_case_is_taken_and_kept(case: str) -> None:
    line = b"$HEHDT,4.1,T*2A" if case == "upper" else b"$HEHDT,4.1,T*2a"
    sentence = decode(line)
    assert sentence.heading_true_deg == 4.1
    assert encode_sentence(sentence) == line


@pytest.mark.parametrize(
    "line", [b"$HEHDT,4.1,T", b"$HEHDT,4.1,T*", b"$HEHDT,4.1,T*2", b"$HEHDT,4.1,T*2B", b"$HEHDT,4.1,T*+A"]
)
def test_checksum_is_mandatory(line: bytes) -> None:
    with pytest.raises(FrameError):
        decode(line)


# The line


@pytest.mark.parametrize("inside", ["$", "!", "*", "\\", "\x07", "\x7f", "\r"])
def test_reserved_and_unprintable_characters_inside_are_refused_even_with_a_good_checksum(inside: str) -> None:
    with pytest.raises(FrameError):
        decode(line_of(f"GPTXT,01,01,02,a{inside}b"))


def test_length_is_bounded() -> None:
    longest = line_of("GPTXT,01,01,02," + "x" * (LONGEST_LINE - 19))
    assert len(longest) == LONGEST_LINE
    assert decode(longest).msg_num == 1
    with pytest.raises(FrameError):
        decode(line_of("GPTXT,01,01,02," + "x" * (LONGEST_LINE - 18)))


def test_encapsulated_data_is_framed_but_not_understood_here() -> None:
    line = b"!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C"
    sentence = decode_sentence(line)
    assert (sentence.fields[0], sentence.talker, sentence.formatter) == ("!AIVDM", "AI", "VDM")
    assert encode_sentence(sentence) == line
    with pytest.raises(UnsupportedError):
        decode(line)


@pytest.mark.parametrize("body", ["PUBX,00,1", "PMTK001,604,3", "GPXYZ,1,2", "PSRF150,1", "CCGPQ,GGA"])
def test_unknown_sentences_survive_the_layer_below_and_are_unsupported_above(body: str) -> None:
    assert encode_sentence(decode_sentence(line_of(body))) == line_of(body)
    with pytest.raises(UnsupportedError):
        decode(line_of(body))


@pytest.mark.parametrize("body", ["gpgga,1", "GP,1", "GPGGAX,1", "G-GGA,1", ",1,2,3", "P,1"])
def test_addresses_that_are_none(body: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_sentence(line_of(body))
    assert not isinstance(caught.value, UnsupportedError)


def test_talker_with_a_digit_is_a_talker() -> None:
    assert message_of("U0HDT,1.0,T")["talker"] == "U0"


@pytest.mark.parametrize("talker", ["GP", "GN", "BD", "GB", "GA", "GL", "PQ", "QZ", "IN"])
def test_every_talker_says_the_same(talker: str) -> None:
    gga = decode(line_of(f"{talker}GGA,063000.00,3204.12345,N,11846.54321,E,1,09,0.8,9.7,M,3.1,M,,"))
    assert isinstance(gga, Gga)
    assert gga.talker == talker
    assert gga.position_e9 == (32068724167, 118775720167)


# The short way


def outcome_of(decoder: Decoder, line: bytes) -> object:
    try:
        sentence = decoder.decode(line)
    except RemoteProtocolError as error:
        return type(error), error.offset, error.field, error.reason
    return type(sentence), sentence.body, sentence.check, sentence.tag


@given(
    st.sampled_from([b"GPHDT,274.07,T", b"BDGGA,063000.00,3204.12345,N,11846.54321,E,1,09,0.8,9.7,M,3.1,M,,"]),
    st.binary(max_size=2),
    st.integers(0, 80),
    st.integers(0, 80),
    st.sampled_from([0, 0, 0, 1, 0x40]),
)
@modest
def test_an_address_met_before_changes_nothing_about_what_comes_of_a_line(
    body: bytes, put: bytes, at: int, until: int, flip: int
) -> None:
    used = Decoder(KINDS)
    used.decode(b"$GPHDT,274.07,T*03")
    used.decode(line_of("BDGGA,063000.00,3204.12345,N,11846.54321,E,1,09,0.8,9.7,M,3.1,M,,"))
    changed = body[:at] + put + body[until:]
    line = b"$" + changed + CHECK_ENDS[check_of(changed) ^ flip]
    assert outcome_of(used, line) == outcome_of(Decoder(KINDS), line)


@given(st.binary(max_size=100))
@modest
def test_small_machines_blank_characters_and_end_lines_alike(data: bytes) -> None:
    assert _blanked(data, BLANKS) == blanked(data, BLANKS)
    assert _EndsOnDemand()[check_of(data)] == CHECK_ENDS[check_of(data)]
    assert (blanked(data, BLANKS) == data) == all(0x20 <= code < 0x7F and chr(code) not in RESERVED for code in data)


# Any bytes


@given(st.binary(max_size=120))
@modest
def test_any_bytes_raise_the_permitted_error_only(data: bytes) -> None:
    for decoder, encoder in ((decode, encode_sentence), (decode_sentence, encode_sentence), (decode_tag, encode_tag)):
        try:
            read = decoder(data)
        except RemoteProtocolError:
            continue
        assert encoder(read) == data


FIELD = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="$!*\\"), max_size=9)


@given(st.sampled_from(sorted(KINDS)), st.lists(FIELD, max_size=22))
@modest
def test_any_fields_with_a_good_checksum_raise_the_permitted_error_only(formatter: str, fields: list[str]) -> None:
    line = line_of(",".join(["GN" + formatter, *fields]))
    try:
        message = decode_message({"text": line.decode()})
    except RemoteProtocolError:
        return
    assert encode_sentence(decode(line)) == line
    with suppress(LocalProtocolError):
        assert decode_message(encode_message(message))["formatter"] == formatter


@given(st.text(max_size=80))
@modest
def test_any_text_raises_the_permitted_error_only(text: str) -> None:
    try:
        message = decode_message({"text": text})
    except RemoteProtocolError:
        return
    assert text.rstrip("\r\n").endswith(str(encode_message(message)["text"])[-2:])
