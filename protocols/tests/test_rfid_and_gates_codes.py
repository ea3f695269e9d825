"""Containers, seals, scanners, hostapd and identity cards: what holds beyond the vectors."""

import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import (
    ChecksumError,
    FieldError,
    FrameError,
    LocalProtocolError,
    RemoteProtocolError,
    UnsupportedError,
)
from protocols.rfid_and_gates import ean13, hostapd, iso6346
from protocols.rfid_and_gates import idcard_card as cards
from protocols.rfid_and_gates.eseal import TRANSITIONS, Seal, SealEvent, SealReport, SealState, next_state
from protocols.rfid_and_gates.idcard_sam import Response, encode_frame, response_frame
from protocols.rfid_and_gates.message import decode_message, encode_message
from protocols.rfid_and_gates.scanner import (
    IDLE_S,
    MAX_CODE_CHARS,
    MAX_CODES,
    MAX_WAITING_CHARS,
    ScannerFramer,
    encode_codes,
    scanner_listener,
)
from protocols.tests.kit import frames_of, pieces

modest = settings(derandomize=True, deadline=None, max_examples=80)

# Containers and articles


@modest
@given(
    st.text(string.ascii_uppercase, min_size=3, max_size=3),
    st.sampled_from("UJZR"),
    st.text(string.digits, min_size=6, max_size=6),
)
def test_one_check_digit_holds_and_no_other(owner: str, category: str, serial: str) -> None:
    body = owner + category + serial
    digit = iso6346.check_digit_of(body)
    number = iso6346.decode_container(f" {body.lower()[:4]} {serial} {digit}\n")
    assert iso6346.encode_container(number) == f"{body}{digit}"
    for other in set(range(10)) - {digit}:
        with pytest.raises(ChecksumError) as caught:
            iso6346.decode_container(f" {body} {other} ")
        assert (caught.value.reason, caught.value.offset) == (f"{other} where {digit} is due", 12)


@pytest.mark.parametrize(
    "text", ["", "CSQU305438", "CSQX3054383", "CS1U3054383", "C\u017fQU3054383", "CSQU305438\u0663", "A" * 99]
)
def test_what_is_no_container(text: str) -> None:
    with pytest.raises(FrameError):
        iso6346.decode_container(text)


def test_a_remainder_of_ten_is_flagged() -> None:
    assert iso6346.decode_container("GESU0000140").is_low_trust
    assert not iso6346.decode_container("TGHU7599330").is_low_trust
    with pytest.raises(LocalProtocolError):
        iso6346.encode_container(iso6346.ContainerNumber("CSQ", "U", "305438", 4))


@modest
@given(st.text(string.digits, min_size=12, max_size=12))
def test_articles(digits: str) -> None:
    digit = ean13.check_digit_of(digits)
    assert ean13.decode_ean13(f"{digits}{digit}") == digit
    with pytest.raises(ChecksumError):
        ean13.decode_ean13(f"{digits}{(digit + 1) % 10}")
    with pytest.raises(FrameError):
        ean13.decode_ean13(digits)


# Seals


def test_every_other_combination_is_refused() -> None:
    for state in SealState:
        for event in SealEvent:
            if (state, event) not in TRANSITIONS:
                with pytest.raises(FieldError):
                    next_state(state, event)
        assert next_state(state, SealEvent.LOW_BATTERY) == (state, True)
    assert len(TRANSITIONS) == 10


def report(counter: int, event: SealEvent, seal_id: str = "S1") -> SealReport:
    return SealReport(seal_id=seal_id, counter=counter, time_ms=0, event=event)


def test_a_counter_must_rise() -> None:
    seal = Seal("S1")
    assert not seal.take(report(5, SealEvent.LOCK_AUTHORISED))
    for again in (report(5, SealEvent.ROD_OPEN), report(4, SealEvent.ROD_OPEN), report(6, SealEvent.ROD_OPEN, "S2")):
        with pytest.raises(FieldError):
            seal.take(again)
    with pytest.raises(FieldError):
        seal.take(report(6, SealEvent.LOCK_AUTHORISED))
    assert (seal.state, seal.counter) == (SealState.SEALED, 5)
    assert seal.take(report(6, SealEvent.ROD_OPEN))
    assert (seal.state, seal.counter) == (SealState.TAMPERED, 6)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"state": "open"}', '{"state": "shut", "event": "rod_open"}', '{"state": 1, "event": 2}']
)
def test_what_happened_to_no_seal(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_message({"protocol": "eseal", "text": text})


def test_what_is_no_unicode_happens_to_no_seal() -> None:
    with pytest.raises(LocalProtocolError):
        encode_message(
            {"protocol": "eseal", "state_before": "open", "event": "\ud800", "state": "open", "alarm": False}
        )


# Scanners

CODES = st.lists(st.text([chr(n) for n in range(0x20, 0x100)], min_size=1, max_size=20), max_size=5)


@modest
@given(CODES, st.sampled_from(("\r", "\n", "\r\n", "\n\r")), st.integers(0, 99))
def test_codes_come_back_with_any_end(codes: list[str], end: str, seed: int) -> None:
    framer = ScannerFramer()
    found = []
    for piece in pieces("".join(code + end for code in codes).encode("latin-1"), seed):
        framer.feed(piece)
        found += frames_of(framer)
    assert found == codes
    assert framer.pending == ""
    framer.feed(encode_codes(tuple(codes), "half"))
    assert frames_of(framer) == codes
    assert framer.pending == "half"


def test_stx_drops_what_came_before() -> None:
    framer = ScannerFramer(("]Q1", "]C0"))
    framer.feed(b"noise\x02]Q1ABC\x03]C0\r]C012\r\x02X\x02Y\x03")
    assert frames_of(framer) == ["ABC", "12", "Y"]
    assert framer.discarded_bytes == 6


def test_an_endless_code_is_dropped_up_to_its_end() -> None:
    framer = ScannerFramer()
    for _ in range(30):
        framer.feed(b"x" * 1000)
        assert framer.waiting <= MAX_CODE_CHARS
    framer.feed(b"x\rABC\r")
    assert frames_of(framer) == ["ABC"]
    assert framer.discarded_bytes == 30_001
    framer.feed(b"a\r" * (MAX_CODES + 3))
    assert len(frames_of(framer)) == MAX_CODES
    long = b"a" * MAX_CODE_CHARS + b"\r"
    before = framer.discarded_bytes
    framer.feed(long * 100)
    kept = frames_of(framer)
    assert sum(len(code) for code in kept) == MAX_WAITING_CHARS
    assert framer.discarded_bytes - before == 100 * MAX_CODE_CHARS - MAX_WAITING_CHARS


def test_a_code_without_an_end_is_one_after_a_while() -> None:
    listener = scanner_listener()
    assert list(listener.frames(b"ABC", 1.0)) == []
    assert listener.deadline == 1.0 + IDLE_S
    assert list(listener.tick(1.0 + IDLE_S / 2)) == []
    assert list(listener.tick(1.0 + IDLE_S)) == ["ABC"]
    assert listener.deadline is None


@pytest.mark.parametrize("code", ["", "a\rb", "a\x02", "\u4e2d", "x" * (MAX_CODE_CHARS + 1)])
def test_what_no_scanner_sends(code: str) -> None:
    with pytest.raises(LocalProtocolError):
        encode_codes((code,))


# hostapd


@modest
@given(st.text(max_size=60), st.sampled_from(sorted(hostapd.COMMANDS)))
def test_any_answer_is_written_back_or_refused(text: str, kind: str) -> None:
    for start in ("", "<3>", "02:00:00:00:00:01\n", "state="):
        for chosen in (kind, "event"):
            try:
                message = decode_message({"protocol": "hostapd", "kind": chosen, "text": start + text})
            except RemoteProtocolError:
                continue
            written = str(encode_message(json.loads(json.dumps(message)))["text"])
            assert written == start + text or ("end" in message and written == "")


@modest
@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=20), min_size=1, max_size=6))
def test_lines_lose_nothing(lines: list[str]) -> None:
    text = "\n".join(lines)
    if text.rstrip("\n") in ("", hostapd.FAIL, hostapd.UNKNOWN_COMMAND):
        return
    if text:
        assert hostapd.encode_lines(hostapd.decode_lines(text)) == text
    station = "02:00:00:00:01:00\n" + text
    read = hostapd.decode_station(station)
    assert read is not None
    assert hostapd.encode_lines(read) == station


def test_events() -> None:
    event = hostapd.decode_event("IFNAME=wlan1 <2>WPS-ENROLLEE-SEEN 02:00:00:00:01:00 572c\nx")
    assert (event.interface, event.priority, event.word) == ("wlan1", 2, "WPS-ENROLLEE-SEEN")
    assert event.mac == "02:00:00:00:01:00"
    assert hostapd.encode_event(event) == "IFNAME=wlan1 <2>WPS-ENROLLEE-SEEN 02:00:00:00:01:00 572c\nx"
    assert hostapd.decode_event("<3>DFS-RADAR-DETECTED freq=5260").mac is None
    assert hostapd.decode_event("<3>X ").rest == ""
    for bad in ("", "AP-ENABLED", "<>X", "<3>", "<3> X", "<1234>X", "OK", "<3>" + "x" * 70_000):
        with pytest.raises(FrameError):
            hostapd.decode_event(bad)
    for word in ("", "A B", "A\n"):
        with pytest.raises(LocalProtocolError):
            hostapd.encode_event(hostapd.Event(3, word))


@pytest.mark.parametrize(
    ("kind", "text", "error"),
    [
        ("PING", "UNKNOWN COMMAND\n", UnsupportedError),
        ("SOMETHING", "UNKNOWN COMMAND\n", UnsupportedError),
        ("PING", "OK\n", FrameError),
        ("ENABLE", "PONG\n", FrameError),
        ("STATUS", "FAIL\n", FrameError),
        ("STATUS", "freq=2.4\n", FieldError),
        ("STA-FIRST", "not an address\n", FrameError),
        ("STA x", "02:00:00:00:01:00\nflags=AUTH\n", FieldError),
    ],
)
def test_answers_that_are_none(kind: str, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode_message({"protocol": "hostapd", "kind": kind, "text": text})


@pytest.mark.parametrize("text", ["", "FAIL\n", "FAIL"])
def test_there_are_no_more_stations(text: str) -> None:
    case = {"protocol": "hostapd", "kind": "STA-NEXT 02:00:00:00:01:00", "text": text}
    assert decode_message(case)["end"] is True


def test_addresses_are_stored_hashed() -> None:
    salt = b"of the day 24.11"
    assert hostapd.hashed_mac("02:00:00:00:0A:00", salt) == hostapd.hashed_mac("02:00:00:00:0a:00", salt)
    assert hostapd.hashed_mac("02:00:00:00:0a:00", salt) != hostapd.hashed_mac("02:00:00:00:0a:00", salt[::-1])
    with pytest.raises(LocalProtocolError):
        hostapd.hashed_mac("02:00:00:00:0a:00", b"short")


# Identity cards: nobody's data

TEXT = cards.CardText(
    *("\u6d4b\u8bd5", "1", "01", "19900101", "\u67d0\u5e02\u67d0\u8def1\u53f7", "110101199001011237"),
    *("\u67d0\u5c40", "20200101", "20400101", ""),
)
CARD = cards.Card(cards.encode_text(TEXT), bytes(1024))


def answer(data: bytes, sw3: int = 0x90) -> dict[str, Any]:
    wire = encode_frame(response_frame(Response(0, 0, sw3, data)))
    return decode_message({"protocol": "idcard_sam", "hex": wire.hex()})


def test_a_card_is_shown_masked_only() -> None:
    message = answer(cards.encode_card(CARD))
    assert message["payload_length"] == 0x0508
    assert message["card_state"] == "read"
    assert (message["text_length"], message["photo_length"], message["fingerprint_length"]) == (256, 1024, 0)
    assert message["id_number_masked"] == "110101********1237"
    shown = json.dumps(message, ensure_ascii=False) + repr(CARD) + repr(TEXT) + repr(Response(0, 0, 0x90, CARD.text))
    for secret in ("\u6d4b\u8bd5", "19900101", "20400101", CARD.text.hex()[:20]):
        assert secret not in shown
    assert cards.decode_text(CARD.text) == TEXT


def test_a_card_with_fingerprints() -> None:
    card = cards.Card(CARD.text, CARD.photo, bytes(1024))
    assert cards.decode_card(cards.encode_card(card)) == card
    assert answer(cards.encode_card(card))["fingerprint_length"] == 1024


def test_other_answers() -> None:
    assert answer(bytes(8))["card_state"] == "selected"
    assert "data_hex" not in answer(bytes(8))  # the chip's serial number is nobody's business
    assert answer(b"", 0x80)["card_state"] == "not_found"
    assert answer(b"", 0x41)["card_state"] == "read_failed"
    assert "card_state" not in answer(b"", 0x10)
    with pytest.raises(FieldError):
        answer(cards.encode_card(CARD) + b"\x00")
    with pytest.raises(FieldError):
        decode_message({"protocol": "idcard_sam", "hex": "aaaaaa96690003000003", "direction": "response"})


def test_a_card_of_a_resident_from_hong_kong_has_its_number_in_the_same_place() -> None:
    text = bytearray(CARD.text)
    text[32:36] = "  ".encode("utf-16-le")
    text[248:250] = "J".encode("utf-16-le")
    message = answer(cards.encode_card(cards.Card(bytes(text), CARD.photo)))
    assert message["id_number_masked"] == "110101********1237"
    assert cards.decode_text(bytes(text)).nation == ""


def test_a_foreigners_card_shows_no_number() -> None:
    text = bytearray(CARD.text)
    text[248:250] = "I".encode("utf-16-le")
    message = answer(cards.encode_card(cards.Card(bytes(text), CARD.photo)))
    assert message["card_state"] == "read"
    assert "id_number_masked" not in message
    with pytest.raises(FieldError):
        cards.decode_text(bytes(text))


@modest
@given(st.binary(min_size=256, max_size=256))
def test_any_text_is_read_or_refused(text: bytes) -> None:
    try:
        read = cards.decode_text(text)
    except FieldError as error:
        assert error.raw == b""  # noqa: PT017  # whether it is raised at all is the data's doing
    else:
        assert cards.decode_text(cards.encode_text(read)) == read


def test_texts_and_numbers_out_of_bounds() -> None:
    for value in ("x" * 16, "\U00020000", "\ud800"):
        with pytest.raises(LocalProtocolError):
            cards.encode_text(cards.CardText(value, *[""] * 9))
    with pytest.raises(FieldError):
        cards.decode_text(bytes(255))
    with pytest.raises(LocalProtocolError):
        cards.encode_card(cards.Card(bytes(65_536), b""))
    assert cards.masked("1234567890") == "**********"
    assert cards.masked("12345678901") == "123456*8901"
    assert cards.digest("x", bytes(16)) != cards.digest("y", bytes(16))
    with pytest.raises(LocalProtocolError):
        cards.digest("x", b"short")
