"""Variable message signs: a host and a sign against each other, every timer, and a bad line."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.tests.kit import events_of
from protocols.tests.lossy_link import LossyLink
from protocols.vms import dianming, sansi, xianke
from protocols.vms.content import Unread
from protocols.vms.frame import DIALECTS, DIANMING, FENGHAI, SANSI, XIANKE, Frame, encode_frame
from protocols.vms.host import (
    ANSWER_TIMEOUT_S,
    CHUNK_BYTES,
    MAX_FILE_BYTES,
    MAX_TRIES,
    Answered,
    Ask,
    Failed,
    HostState,
    Offline,
    SignHost,
    Upload,
    Uploaded,
    UploadRefused,
)
from protocols.vms.sign import RequestReceived, Respond, SignDialogue, SignState

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
RESULTS = {
    "sansi": sansi.SansiResult(0x30),
    "fenghai": sansi.SansiResult(0x30),
    "dianming": dianming.DianMingResult(0x31),
    "xianke": xianke.XianKeResult(1),
}


def file_of(size, seed):
    """A file that begins as a list does: where dianming's name ends can only be told by that."""
    return b"[" + random.Random(seed).randbytes(size - 1)


def answer(data):
    return encode_frame(Frame(b"01", data), SANSI, is_response=True)


class ServingSign(SignDialogue):
    """A sign that takes files and tells its brightness, which changes with every question."""

    def __init__(self, dialect):
        super().__init__(dialect)
        self.files = {}
        self.asked = 0
        self.refuses_from = None

    def receive(self, data, now):
        super().receive(data, now)
        while isinstance(event := self.next_event(), RequestReceived):
            self.send(Respond(self.answer_to(event.content)), now)

    def answer_to(self, content):
        if isinstance(content, (sansi.FileChunk, dianming.DianMingFile, xianke.XianKeFile)):
            return self.take(content)
        self.asked += 1
        return sansi.Brightness(1, self.asked % 32) if self._dialect is SANSI else Unread(b"x")

    def take(self, chunk):
        result = RESULTS[self._dialect.name]
        if self.refuses_from is not None and chunk.offset >= self.refuses_from:
            return type(result)(result.code ^ 1)
        held = self.files.setdefault(chunk.name, bytearray())
        held[chunk.offset :] = chunk.content
        return result


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("size", [1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 7])
def test_a_file_arrives_whole(dialect, size):
    content = file_of(size, size)
    link = LossyLink(SignHost(dialect), ServingSign(dialect))
    link.left.send(Upload(b"play.lst", content), 0.0)
    link.run()
    assert link.left_events == [Uploaded(b"play.lst")]
    assert link.right.files == {b"play.lst": content}
    assert link.now == 0.0
    whole, rest = divmod(size, CHUNK_BYTES)
    assert link.frames == 2 * (whole + (rest > 0 or dialect is XIANKE))


def test_a_file_that_is_refused_half_way():
    link = LossyLink(SignHost(SANSI), ServingSign(SANSI))
    link.right.refuses_from = CHUNK_BYTES
    link.left.send(Upload(b"play.lst", bytes(3 * CHUNK_BYTES)), 0.0)
    link.run()
    assert link.left_events == [UploadRefused(b"play.lst", CHUNK_BYTES)]
    assert link.left.state is HostState.IDLE


def test_three_tries_then_offline():
    host = SignHost(SANSI)
    host.send(Ask("06"), 0.0)
    with pytest.raises(LocalProtocolError):
        host.send(Ask("06"), 0.0)
    wire = host.bytes_to_send()
    times = []
    while (due := host.next_deadline()) is not None:
        times.append(due)
        host.tick(due - 0.01)
        assert host.bytes_to_send() == b""
        host.tick(due)
        assert host.bytes_to_send() == (wire if len(times) < MAX_TRIES else b"")
    assert times == [3.0, 6.0, 9.0]
    assert host.next_event() == Offline("06")


def test_after_a_repeat_a_late_answer_is_not_taken_for_the_next():
    host = SignHost(SANSI)
    host.send(Ask("06"), 0.0)
    host.tick(3.0)
    host.bytes_to_send()
    host.receive(answer(b"115"), 3.1)
    assert isinstance(host.next_event(), Answered)
    host.send(Ask("06"), 3.2)
    assert host.bytes_to_send() == b""
    host.receive(answer(b"115"), 3.3)
    assert host.stray_frames == 1
    assert host.next_event() is NEED_DATA
    assert host.next_deadline() == 3.1 + ANSWER_TIMEOUT_S
    host.tick(6.1)
    assert host.bytes_to_send() != b""
    host.receive(answer(b"116"), 6.2)
    assert host.next_event().content == sansi.Brightness(1, 16)
    host.send(Ask("06"), 6.3)
    assert host.bytes_to_send() != b""


def test_an_answer_that_is_none():
    host = SignHost(SANSI)
    host.send(Ask("06"), 0.0)
    host.receive(answer(b"x"), 0.1)
    event = host.next_event()
    assert isinstance(event, Failed)
    assert host.state is HostState.IDLE


@pytest.mark.parametrize(("dialect", "kind"), [(FENGHAI, "06"), (XIANKE, "05"), (DIANMING, "22")])
def test_an_answer_to_something_else_is_passed_over(dialect, kind):
    host = SignHost(dialect)
    host.send(Ask(kind if dialect is not DIANMING else "21"), 0.0)
    source = b"01" if dialect.has_source else None
    for other in ("98", "20"):
        host.receive(encode_frame(Frame(b"00", b"0", other, source), dialect, is_response=True), 0.1)
    assert host.stray_frames == 2
    good = b"FFFFFFI5" if dialect is DIANMING else b"\x01"
    good = b"0115" if dialect is FENGHAI else good
    host.receive(encode_frame(Frame(b"00", good, kind, source), dialect, is_response=True), 0.2)
    assert isinstance(host.next_event(), Answered)
    host.receive(encode_frame(Frame(b"00", good, kind, source), dialect, is_response=True), 0.3)
    assert host.next_event() is NEED_DATA
    assert host.stray_frames == 3


def test_what_cannot_be_asked():
    host = SignHost(XIANKE)
    for command in (
        Ask("6"),
        Ask("20", xianke.XianKeFile(b"a", 10000)),
        Upload(b"a", b""),
        Upload(b"a", bytes(MAX_FILE_BYTES + 1)),
        Upload(b"a.xkl", bytes(6 * CHUNK_BYTES)),  # four digits of offset
    ):
        with pytest.raises(LocalProtocolError):
            host.send(command, 0.0)
    assert host.state is HostState.IDLE
    assert host.bytes_to_send() == b""


def test_a_dianming_answer_goes_back_to_who_asked():
    sign = SignDialogue(DIANMING, address=b"07")
    sign.receive(encode_frame(Frame(b"07", b"", "21", b"01"), DIANMING, is_response=False), 0.0)
    sign.send(Respond(dianming.DianMingBrightness(b"FFFFFF", 0x49, 53)), 0.0)
    expected = encode_frame(Frame(b"01", b"FFFFFFI5", "22", b"07"), DIANMING, is_response=True)
    assert sign.bytes_to_send() == expected


def test_a_sign_hears_what_is_for_it():
    sign = SignDialogue(SANSI, address=b"02")
    for address, is_heard in ((b"03", False), (b"02", True), (b"00", True), (b"\0\0", True)):
        sign.receive(encode_frame(Frame(address, b"", "06"), SANSI, is_response=False), 0.0)
        assert isinstance(sign.next_event(), RequestReceived) is is_heard
    sign.receive(encode_frame(Frame(b"02", b"xx", "05"), SANSI, is_response=False), 0.0)
    assert sign.next_event() is NEED_DATA
    assert sign.unread_requests == 1


def test_a_sign_answers_once_and_forgets_a_request_for_the_next():
    sign = SignDialogue(SANSI)
    with pytest.raises(LocalProtocolError):
        sign.send(Respond(sansi.SansiResult(0x30)), 0.0)
    for kind in ("06", "97"):
        sign.receive(encode_frame(Frame(b"00", b"", kind), SANSI, is_response=False), 0.0)
    assert sign.next_event() == RequestReceived("97", Unread())
    assert sign.next_event() is NEED_DATA
    assert sign.state is SignState.BUSY
    sign.send(Respond(sansi.SansiItem(1, 300, 1, 0, b"x")), 0.0)
    assert sign.state is SignState.IDLE
    assert sign.next_deadline() is None
    sign.tick(1.0)


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(0.01, 0.4))
def test_on_a_bad_line_no_answer_belongs_to_an_older_question(seed, rate):
    """A sansi answer does not tell what it answers, so the line must not double it, and a serial line does not.

    The sign's level grows with every question it hears: an older answer would go back.
    """
    link = LossyLink(SignHost(SANSI), ServingSign(SANSI), seed=seed, rate=rate, is_doubling=False)
    last = 0
    for _ in range(8):
        link.left.send(Ask("06"), link.now)
        link.run()
        event = link.left_events[-1]
        assert isinstance(event, (Answered, Offline))
        if isinstance(event, Answered):
            assert event.content.level > last
            last = event.content.level
    assert len(link.left_events) == 8


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(0.01, 0.3), dialect=st.sampled_from(list(DIALECTS.values())))
def test_on_a_bad_line_a_file_that_is_said_to_be_there_is_there(seed, rate, dialect):
    content = file_of(3 * CHUNK_BYTES + 5, seed)
    link = LossyLink(SignHost(dialect), ServingSign(dialect), seed=seed, rate=rate, is_doubling=False)
    link.left.send(Upload(b"play.lst", content), 0.0)
    link.run()
    (event,) = link.left_events
    if isinstance(event, Uploaded):
        assert link.right.files == {b"play.lst": content}
    else:
        assert isinstance(event, Offline)


KINDS = (
    "01",
    "04",
    "05",
    "06",
    "09",
    "10",
    "11",
    "20",
    "21",
    "22",
    "23",
    "24",
    "57",
    "58",
    "71",
    "72",
    "74",
    "97",
    "98",
)


@EXAMPLES
@given(
    pieces=st.lists(st.tuples(st.sampled_from(KINDS), st.binary(max_size=30) | st.sampled_from([b"0", b"1", b"115"]))),
    dialect=st.sampled_from(list(DIALECTS.values())),
)
def test_no_frames_and_no_bytes_break_either_end(pieces, dialect):
    """Good frames with any contents, and the same without their checks; one answer at most to each."""
    host, sign = SignHost(dialect), SignDialogue(dialect)
    now = 0.0
    source = b"01" if dialect.has_source else None
    for kind, data in pieces:
        now += 1.0
        if host.state is HostState.IDLE:
            host.send(Ask(kind, Unread(data)), now)
        answered = Frame(b"01", data, kind if dialect.has_type(is_response=True) else None, source)
        host.receive(encode_frame(answered, dialect, is_response=True), now)
        heard = sign.framer.bad_frames, sign.unread_requests
        sign.receive(encode_frame(Frame(b"01", data, kind, source), dialect, is_response=False), now)
        event = sign.next_event()
        if isinstance(event, RequestReceived):
            assert (event.frame_type, event.content.data()) == (kind, data)
            sign.send(Respond(Unread(data)), now)
            assert sign.state is SignState.IDLE
        else:
            assert (sign.framer.bad_frames, sign.unread_requests) == (heard[0], heard[1] + 1)
        for end in (host, sign):
            end.receive(data, now)
            end.receive(b"\x02" + data + b"\x03", now)
            end.tick(now)
            assert len(end.bytes_to_send()) < 100
            events_of(end)
