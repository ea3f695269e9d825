"""NTCIP 1203: MULTI texts, the activation code and the CRC of a message."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.checksum import crc16_mcrf4xx
from protocols.core.errors import FieldError, LocalProtocolError
from protocols.vms.multi import MAX_MULTI_CHARACTERS, Bracket, Page, Tag, decode_multi, encode_multi, pages_of
from protocols.vms.ntcip import CHANGEABLE, Activation, decode_activation, encode_activation, message_crc

EXAMPLES = settings(max_examples=150, derandomize=True, deadline=None)


@EXAMPLES
@given(text=st.text(st.sampled_from("[]nplpt0123o, Axé"), max_size=30))
def test_any_text_is_written_back_as_it_was_or_refused(text):
    try:
        parts = decode_multi(text)
    except FieldError:
        return
    assert encode_multi(parts) == text


PLAIN = st.text(st.characters(exclude_characters="[]"), min_size=1, max_size=8)
PARTS = st.lists(st.one_of(PLAIN.map(Tag), st.sampled_from("[]").map(Bracket)), max_size=8)


@EXAMPLES
@given(parts=PARTS, text=PLAIN)
def test_parts_are_read_as_they_were_written(parts, text):
    mixed = tuple(one for part in parts for one in (text, part))
    assert decode_multi(encode_multi(mixed)) == mixed


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("", [Page(("",))]),
        ("A[nl][nl2]B", [Page(("A", "", "B"))]),
        ("[cf255,0,0][jl3][fo1]A[[1]][g1,0,0]", [Page(("A[1]",))]),
        ("[PT20O]A[NP][pto3]B", [Page(("A",), 20, None), Page(("B",), None, 3)]),
    ],
)
def test_pages(text, pages):
    assert pages_of(decode_multi(text)) == pages


@pytest.mark.parametrize(
    "text", ["[", "]", "a]", "[a", "[a[b]", "[ptx]", "[pt1o2o3]", "x" * (MAX_MULTI_CHARACTERS + 1)]
)
def test_there_is_no_such_text(text):
    with pytest.raises(FieldError):
        pages_of(decode_multi(text))


@pytest.mark.parametrize("part", ["a[b", Tag("x]"), Bracket("x")])
def test_a_part_that_cannot_be_written(part):
    with pytest.raises(LocalProtocolError):
        encode_multi([part])


@EXAMPLES
@given(data=st.binary(min_size=12, max_size=12))
def test_an_activation_is_written_back_byte_for_byte(data):
    assert encode_activation(decode_activation(data)) == data


def test_an_activation_out_of_bounds():
    with pytest.raises(FieldError):
        decode_activation(bytes(11))
    for wrong in (
        Activation(0xFFFF, 1, CHANGEABLE, 1, 0, (0, 0, 0, 0)),
        Activation(1, 256, CHANGEABLE, 1, 0, (0, 0, 0, 0)),
        Activation(1, 1, CHANGEABLE, 1, 0, (0, 0, 0, 256)),
        Activation(1, 1, CHANGEABLE, 1, 0, (10, 0, 1)),
        Activation(1, 1, CHANGEABLE, 1, 0, (10, 0, 1, 2, 3)),
    ):
        with pytest.raises(LocalProtocolError):
            encode_activation(wrong)


def test_the_crc_is_x25_with_its_bytes_swapped():
    """906E is the catalogue's check value of X-25, which is MCRF4XX inverted."""
    assert crc16_mcrf4xx(b"123456789") ^ 0xFFFF == 0x906E
    for beacon, pixel_service in ((False, False), (True, False), (False, True)):
        whole = b"ROAD[nl]CLOSED" + bytes((beacon, pixel_service))
        crc = crc16_mcrf4xx(whole) ^ 0xFFFF
        swapped = int.from_bytes(crc.to_bytes(2, "big"), "little")
        assert message_crc(b"ROAD[nl]CLOSED", beacon=beacon, pixel_service=pixel_service) == swapped
