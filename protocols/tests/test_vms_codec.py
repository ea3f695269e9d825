"""Variable message signs: frames and contents, both ways, and what is refused."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import (
    NEED_DATA,
    ChecksumError,
    FieldError,
    FrameError,
    LocalProtocolError,
    RemoteProtocolError,
)
from protocols.tests.kit import frames_of
from protocols.vms import dianming, sansi, xianke
from protocols.vms.content import Unread
from protocols.vms.contents import REQUESTS, RESPONSES, content_type
from protocols.vms.frame import (
    DIALECTS,
    DIANMING,
    FENGHAI,
    MAX_FRAME_BYTES,
    SANSI,
    Frame,
    Framer,
    crc_xmodem,
    decode_frame,
    encode_frame,
)

EXAMPLES = settings(max_examples=150, derandomize=True, deadline=None)
ANY_DIALECT = st.sampled_from(list(DIALECTS.values()))


@st.composite
def frames(draw, dialect, is_response):
    kind = f"{draw(st.integers(0, 99)):02}" if dialect.has_type(is_response=is_response) else None
    source = draw(st.binary(min_size=2, max_size=2)) if dialect.has_source else None
    return Frame(draw(st.binary(min_size=2, max_size=2)), draw(st.binary(max_size=60)), kind, source)


@EXAMPLES
@given(data=st.data(), dialect=ANY_DIALECT, is_response=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_frames_are_read_as_they_were_written_however_they_are_split(data, dialect, is_response, seed):
    sent = data.draw(st.lists(frames(dialect, is_response), max_size=5))
    wires = [encode_frame(frame, dialect, is_response=is_response) for frame in sent]
    assert [decode_frame(wire, dialect, is_response=is_response) for wire in wires] == sent
    assert not any(mark in wire[1:-1] for wire in wires for mark in b"\x02\x03")
    rng = random.Random(seed)
    stream = b"".join(wires)
    framer = Framer(dialect, is_response=is_response)
    found = []
    while stream:
        size = rng.randint(1, 30)
        framer.feed(stream[:size])
        stream = stream[size:]
        found += frames_of(framer)
    assert found == sent
    assert framer.discarded_bytes == framer.bad_frames == 0


BODIES = st.binary(max_size=40) | st.builds(
    bytes.__add__, st.text("0123456789", max_size=6).map(str.encode), st.binary()
)


@EXAMPLES
@given(body=BODIES, dialect=ANY_DIALECT, response=st.booleans())
def test_any_body_with_a_good_crc_is_a_frame_or_has_a_bad_header(body, dialect, response):
    wire = body + crc_xmodem(body).to_bytes(2, "big")
    wire = wire.replace(b"\x1b", b"\x1b\x00").replace(b"\x02", b"\x1b\xe7").replace(b"\x03", b"\x1b\xe8")
    wire = b"\x02" + wire + b"\x03"
    has_type = dialect.has_type(is_response=response)
    header = 2 + 2 * dialect.has_source + 2 * has_type
    kind = body[:2] if dialect.type_first else body[header - 2 : header]
    if len(body) < header or (has_type and not kind.isdigit()):
        with pytest.raises(FrameError if len(body) < header else FieldError):
            decode_frame(wire, dialect, is_response=response)
        return
    frame = decode_frame(wire, dialect, is_response=response)
    assert frame.data == body[header:]
    assert encode_frame(frame, dialect, is_response=response) == wire


@EXAMPLES
@given(inner=st.binary(max_size=40), dialect=ANY_DIALECT, response=st.booleans())
def test_any_bytes_raise_nothing_else(inner, dialect, response):
    wire = b"\x02" + inner + b"\x03"
    offset = None
    try:
        frame = decode_frame(wire, dialect, is_response=response)
    except RemoteProtocolError as error:
        offset = error.offset
    else:
        assert encode_frame(frame, dialect, is_response=response) == wire
        return
    assert offset is not None
    assert 0 <= offset < len(wire)


GOOD = "0230303036ba4c03"


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        ("", FrameError),
        ("02", FrameError),
        ("03", FrameError),
        ("0203", FrameError),
        ("02ba03", FrameError),
        ("02000003", FrameError),
        (GOOD[:-2], FrameError),
        ("0330303036ba4c03", FrameError),
        ("023030303602ba4c03", FrameError),
        ("023030303603ba4c03", FrameError),
        ("02303030361b41ba4c03", FrameError),
        ("0230303036ba1b03", FrameError),
        ("0230303036ba4d03", ChecksumError),
        (encode_frame(Frame(b"00", b"", "06"), FENGHAI, is_response=False).hex(), None),
        (encode_frame(Frame(b"00", b"6A"), SANSI, is_response=True).hex(), FieldError),
    ],
)
def test_there_is_no_such_frame(wire, error):
    if error is None:
        assert decode_frame(bytes.fromhex(wire), SANSI, is_response=False).frame_type == "06"
        return
    with pytest.raises(error):
        decode_frame(bytes.fromhex(wire), SANSI, is_response=False)


@pytest.mark.parametrize(
    ("frame", "dialect", "is_response"),
    [
        (Frame(b"0", b"", "06"), SANSI, False),
        (Frame(b"00", b"", "6"), SANSI, False),
        (Frame(b"00", b"", "0a"), SANSI, False),
        (Frame(b"00", b"", "\N{SUPERSCRIPT TWO}1"), SANSI, False),
        (Frame(b"00", b"", None), SANSI, False),
        (Frame(b"00", b"", "06"), SANSI, True),
        (Frame(b"00", b"", "06", b"01"), SANSI, False),
        (Frame(b"00", b"", "06"), DIANMING, False),
        (Frame(b"00", b"", "06", b"0"), DIANMING, False),
    ],
)
def test_a_frame_that_cannot_be_written(frame, dialect, is_response):
    with pytest.raises(LocalProtocolError):
        encode_frame(frame, dialect, is_response=is_response)


def test_a_start_always_begins_anew_and_an_endless_frame_stays_bounded():
    framer = Framer(SANSI, is_response=False)
    good = bytes.fromhex(GOOD)
    framer.feed(b"\x03\x03noise" + good[:4] + good + b"\x03" + good[:-1])
    assert frames_of(framer) == [Frame(b"00", b"", "06")]
    assert framer.discarded_bytes == 2 + 5 + 4 + 1
    framer.reset()
    for _ in range(100):
        framer.feed(b"\x02" + bytes(1000))
        assert framer.next_frame() is NEED_DATA
        assert len(framer._buffer) <= MAX_FRAME_BYTES
    framer.feed(b"\x03" + good)
    assert frames_of(framer) == [Frame(b"00", b"", "06")]
    assert framer.bad_frames == 1


@EXAMPLES
@given(noise=st.binary(max_size=300), data=st.binary(max_size=100))
def test_after_noise_every_later_frame_is_found(noise, data):
    frame = Frame(b"01", data, "10")
    framer = Framer(SANSI, is_response=False)
    framer.feed(noise + encode_frame(frame, SANSI, is_response=False) * 3)
    assert frames_of(framer)[-3:] == [frame] * 3


CONTENTS = [
    (dialect, is_response, kind)
    for is_response, tables in ((False, REQUESTS), (True, RESPONSES))
    for dialect, table in tables.items()
    for kind in table
]
DIGITS = st.text("0123456789", max_size=20).map(str.encode)


@EXAMPLES
@given(
    where=st.sampled_from(CONTENTS),
    data=st.one_of(st.binary(max_size=40), st.builds(bytes.__add__, DIGITS, st.binary(max_size=20))),
)
def test_any_content_is_written_back_byte_for_byte_or_refused(where, data):
    dialect, is_response, kind = where
    try:
        content = content_type(kind, DIALECTS[dialect], is_response=is_response).from_data(data)
    except FieldError:
        return
    assert content.data() == data


@pytest.mark.parametrize(
    ("content", "data"),
    [
        (sansi.ModeRequest(1), b"1"),
        (sansi.LevelsRequest(31, 5, 0), b"310500"),
        (sansi.Brightness(0, 9), b"009"),
        (sansi.FengHaiBrightness(0x30, b"1xx15"), b"01xx15"),
        (sansi.FileRequest(b"play.lst", 258), b"play.lst\x00\x00\x01\x02"),
        (sansi.FileChunk(b"a-b.lst", b"+", 1, b"x+y"), b"a-b.lst+\x00\x00\x00\x01x+y"),
        (sansi.FileChunk(b"play.lst", b"-", 0, b"a+b"), b"play.lst-\x00\x00\x00\x00a+b"),
        (sansi.FileChunk(b"play", b"+", 0, b"a.b-c"), b"play+\x00\x00\x00\x00a.b-c"),
        (sansi.FengHaiFile(0x30, b"a.lst+\x00\x00\x00\x00[x]"), b"0a.lst+\x00\x00\x00\x00[x]"),
        (sansi.SansiItem(1, 300, 2, 7, b"<a>"), b"0010030002" + b"00007<a>"),
        (dianming.DianMingLevels(b"FFFFFF"), b"FFFFFF"),
        (dianming.DianMingFileRequest(b"play00.lst", 12), b"00000012play00.lst"),
        (dianming.DianMingFileRequest(b"a", 0, is_zero_bytes=True), bytes(8) + b"a"),
        (dianming.DianMingFile(b"a.lst", 0, b"[P"), b"+00000000a.lst[P"),
        (dianming.DianMingFile(b"a.lst", 2048, b"x[y"), b"+00002048a.lstx[y"),
        (xianke.XianKeFile(rb"list\000.xkl", 0, b"[LIST]"), rb"012list\000.xkl0000[LIST]"),
        (xianke.XianKeFetched(1, b"003a.b0000x"), b"\x01003a.b0000x"),
        (xianke.XianKeResult(0), b"\x00"),
    ],
)
def test_contents(content, data):
    assert content.data() == data
    assert type(content).from_data(data) == content


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (sansi.ModeRequest, b"x"),
        (sansi.ModeRequest, b"11"),
        (sansi.LevelsRequest, b"31311"),
        (sansi.LevelsRequest, b"3131a1"),
        (sansi.Brightness, b"1"),
        (sansi.FileRequest, b"abc"),
        (sansi.FileChunk, b"play.lst"),
        (sansi.FileChunk, b"play.lst+\0\0\0"),
        (sansi.SansiItem, b"00100300020000"),
        (sansi.SansiResult, b""),
        (sansi.SansiResult, b"x"),
        (sansi.FengHaiBrightness, b"011"),
        (sansi.FengHaiBrightness, b"0x11"),
        (sansi.FengHaiBrightness, b"011x"),
        (sansi.FengHaiFile, b"0abc"),
        (dianming.DianMingLevels, b"FFFFF0"),
        (dianming.DianMingBrightness, b"FFFFFFI"),
        (dianming.DianMingFileRequest, b"0000000xa"),
        (dianming.DianMingFile, b"*00000000a.lst"),
        (dianming.DianMingFile, b"+0000"),
        (dianming.DianMingItem, b"00100050000000"),
        (xianke.XianKeFile, b"0x2ab0000"),
        (xianke.XianKeFile, b"005ab"),
        (xianke.XianKeFile, b"002ab000"),
        (xianke.XianKeFetched, b"\x01002"),
    ],
)
def test_there_are_no_such_contents(kind, data):
    with pytest.raises(FieldError):
        kind.from_data(data)


@pytest.mark.parametrize(
    "content",
    [
        sansi.ModeRequest(10),
        sansi.LevelsRequest(100, 0, 0),
        sansi.FileRequest(b"a", 1 << 32),
        sansi.FileChunk(b"a+b", b"+", 0, b""),
        sansi.FileChunk(b"a.b", b"*", 0, b""),
        sansi.SansiResult(256),
        sansi.SansiItem(1000, 1, 1, 1, b""),
        dianming.DianMingLevels(b"abc"),
        dianming.DianMingBrightness(b"abc", 0, 0),
        dianming.DianMingBrightness(b"FFFFFF", 0, 256),
        dianming.DianMingFile(b"a[b", 0, b"[P"),
        dianming.DianMingFile(b"a.lst", 1, b"", is_zero_bytes=True),
        xianke.XianKeFile(bytes(1000), 0),
        xianke.XianKeFile(b"a", 10000),
    ],
)
def test_a_content_that_cannot_be_written(content):
    with pytest.raises(LocalProtocolError):
        content.data()


def test_results_differ_between_vendors():
    assert sansi.SansiResult.from_data(b"0").is_ok
    assert not sansi.SansiResult.from_data(b"1").is_ok
    assert dianming.DianMingResult.from_data(b"1").is_ok
    assert not dianming.DianMingResult.from_data(b"0").is_ok
    assert xianke.XianKeResult.from_data(b"\x01").is_ok
    assert not xianke.XianKeResult.from_data(b"\x00").is_ok
    assert content_type("02", SANSI, is_response=False) is Unread
    assert content_type(None, SANSI, is_response=True) is Unread
