"""ELM327: the stream cut at its prompts, and replies."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, FrameError, LocalProtocolError
from protocols.tests.kit import cases_of, drip, frames_of, noisy
from protocols.vehicle_bus.elm import ERROR_TEXTS, Framer, decode_reply, encode_command, encode_reply
from protocols.vehicle_bus.elm_answers import read_lines
from protocols.vehicle_bus.message import decode_message

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
REPLIES = [case["text"].encode() for case in cases_of("vehicle_bus") if case["kind"] == "elm" and ">" in case["text"]]
CEILING = 1024


@pytest.mark.parametrize("wire", REPLIES)
def test_replies_byte_by_byte_and_in_noise(wire):
    assert drip(Framer(), wire) == [wire]
    assert drip(Framer(), b"\x00".join(bytes((byte,)) for byte in wire) * 2) == [wire] * 2
    assert noisy(Framer(CEILING), wire, seed=len(wire), ceiling=CEILING)[-1] == wire


@EXAMPLES
@given(replies=st.lists(st.sampled_from(REPLIES), max_size=6), seed=st.integers(0, 2**32 - 1))
def test_any_split_equals_the_whole(replies, seed):
    rng = random.Random(seed)
    wire = b"".join(replies)
    framer = Framer()
    found = []
    while wire:
        size = rng.randint(1, 30)
        framer.feed(wire[:size])
        wire = wire[size:]
        found += frames_of(framer)
    assert found == replies


def test_a_reply_without_end_stays_bounded():
    framer = Framer(CEILING)
    for _ in range(100):
        framer.feed(b"41 0C 1A F8 \r" * 20)
        assert framer.next_frame() is NEED_DATA
        assert len(framer._buffer) <= CEILING
    framer.feed(b">")
    assert len(framer.next_frame()) == CEILING
    assert framer.discarded_bytes == 100 * 260 + 1 - CEILING
    framer.feed(b"OK")
    framer.reset()
    framer.feed(b"\r>")
    assert framer.next_frame() == b"\r>"


@pytest.mark.parametrize(("status", "text"), ERROR_TEXTS.items())
def test_every_error_text_is_known(status, text):
    for line in (text, f"SEARCHING...{text}", text.lower()):
        reply = decode_reply(encode_reply([line]), "010C")
        assert (reply.status, reply.lines) == ("bus_init_error" if "INIT" in text else status, ())


def test_an_error_text_behind_data_spoils_its_line_only():
    reply = decode_reply("41 0C 1A F8 <DATA ERROR\r41 0C 1A F9\r\r>", "010C")
    assert (reply.status, reply.lines) == ("data_error", ("41 0C 1A F9",))


@pytest.mark.parametrize(
    ("text", "request_", "status", "lines"),
    [
        ("010c\r41 0C 1A F8\r\r>", "01 0C", "ok", ("41 0C 1A F8",)),
        ("\r>", "010C", "empty", ()),
        (">", "", "empty", ()),
        ("010C\r\n\r\n>", "010C", "empty", ()),
        ("BUS INIT: OK\r\n41 0C 1A F8\r\n\r\n>", "010C", "ok", ("41 0C 1A F8",)),
        ("SEARCHING...BUS INIT: ...OK\r41 0C\r\r>", "010C", "ok", ("41 0C",)),
        ("BUS INIT: ...ERROR\r\r>", "010C", "bus_init_error", ()),
        ("7E8 03 7F 01 12\rNO DATA\r\r>", "010C", "no_data", ("7E8 03 7F 01 12",)),
    ],
)
def test_a_reply(text, request_, status, lines):
    reply = decode_reply(text, request_)
    assert (reply.status, reply.lines) == (status, lines)


@pytest.mark.parametrize("text", ["", "41 0C", "41 0C>\r", ">>"])
def test_one_prompt_at_the_end(text):
    with pytest.raises(FrameError):
        decode_reply(text, "010C")


def test_commands():
    assert encode_command("01 0c 1") == b"01 0c 1\r"
    assert encode_command("at sp 0") == b"at sp 0\r"
    for wrong in (
        "hello",
        "ÄT",
        "ATZ\x07",
        "01;02",
        "ATE0\rATZ",
        "010C\n010D",
        "01\u30000C",
        "01\t0C",
        "AT\xa0Z",
        "\u017fT",
    ):
        with pytest.raises(LocalProtocolError):
            encode_command(wrong)


@pytest.mark.parametrize(
    ("lines", "options", "answers", "garbled", "incomplete"),
    [
        (["41 0C 1A F8", "410C1AF9"], {}, ["410c1af8", "410c1af9"], [], 0),
        (["00A", "0: 49 02 01 31 32 33", "1: 34 35 36 37 00 00 00"], {}, ["49020131323334353637"], [], 0),
        (["00A", "0: 49 02 01 31 32 33", "2: 34 35 36 37"], {}, [], [], 1),
        (["00A", "0: 49 02 01 31 32 33"], {}, [], [], 1),
        (["00A", "00A", "0: 49 02 01 31 32 33", "1: 34 35 36 37"], {}, ["49020131323334353637"], [], 1),
        (["0: 49 02", "000", "4", "XX"], {}, [], ["0: 49 02", "000", "4", "XX"], 0),
        (["7E8 03 41 0D 32", "7E9 03 41 0D 33", "7E8 03 41 0D 34"], {"h": True}, ["410d32", "410d34", "410d33"], [], 0),
        (["7E8", "7E8 0", "7E8 03 41"], {"h": True}, [], ["7E8", "7E8 0"], 0),
        (["48 6B 10 41 0D 32 11"], {"h": True, "bus": "kline"}, ["410d32"], [], 0),
        (["48 6B 10 41", "48"], {"h": True, "bus": "kline"}, [], ["48 6B 10 41", "48"], 0),
    ],
)
def test_lines(lines, options, answers, garbled, incomplete):
    found = read_lines(lines, bus=options.get("bus", "can11"), has_headers="h" in options)
    assert [message.hex() for answer in found.answers for message in answer.messages] == answers
    assert (found.garbled, found.incomplete) == (garbled, incomplete)


def elm(text, request, **options):
    return decode_message({"kind": "elm", "text": text, "request": request, **options})


def test_what_settings_say():
    assert elm("A6\r\r>", "AT DPN").items() >= {"automatic": True, "protocol": "6"}.items()
    assert elm("A\r\r>", "ATDPN").items() >= {"automatic": False, "protocol": "A"}.items()
    assert elm("?\r\r>", "ATDPN").items() >= {"automatic": None, "protocol": None, "status": "unknown_command"}.items()
    assert elm("12.34\r\r>", "ATRV")["voltage_v"] == 12.34
    assert elm("\r>", "ATRV")["voltage_v"] is None
    assert elm("\r>", "ATI")["adapter"] is None
    assert elm("OK\r\r>", "STFAC")["text_lines"] == ["OK"]


def test_what_belongs_to_another_service_is_foreign():
    message = elm("7E8 03 7F 01 12\r7E9 03 7F 09 12\r7EA 02 41 0D\r\r>", "010D", headers=True)
    assert message["foreign"] == ["7f0912"]
    assert [answer["ecu"] for answer in message["answers"]] == ["7E8", "7EA"]
    assert message["answers"][1]["message"] is None  # cut short
