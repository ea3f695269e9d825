"""Card readers and hostapd: the dialogues against scripted ends, a link that loses, and every timer."""

from typing import Any

import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError, NeedData
from protocols.rfid_and_gates.hostapd import Event
from protocols.rfid_and_gates.hostapd_client import ANSWER_S as HOSTAPD_S
from protocols.rfid_and_gates.hostapd_client import (
    Answered,
    Ask,
    Attached,
    HostapdClient,
    HostapdState,
    ListStations,
    Stations,
    Told,
    Unanswered,
)
from protocols.rfid_and_gates.idcard_card import Card, encode_card
from protocols.rfid_and_gates.idcard_reader import (
    ANSWER_S,
    MAX_UNANSWERED,
    POLL_S,
    CardRead,
    CardReader,
    Poll,
    ReaderSettings,
    ReaderState,
    ReadFailed,
    Silent,
    Stop,
)
from protocols.rfid_and_gates.idcard_sam import (
    Frame,
    Response,
    decode_request,
    encode_frame,
    idcard_framer,
    response_frame,
)
from protocols.tests.kit import events_of, frames_of
from protocols.tests.lossy_link import LossyLink

# Identity cards

CARD = Card(bytes(256), bytes(1024))


class SamReader:
    """A reader with the face of a dialogue: a card lies on it, and is found once."""

    def __init__(self) -> None:
        self.framer = idcard_framer()
        self.is_there = True
        self.heard_at = 0.0
        self.out: list[bytes] = []
        self.asked: list[int] = []
        self.answers = {0x2002: Response(0, 0, 0x90, bytes(8)), 0x3001: Response(0, 0, 0x90, encode_card(CARD))}

    def receive(self, data: bytes, now: float) -> None:
        if now > self.heard_at:
            self.framer.silence()  # half a request does not hold up the next
            frames_of(self.framer)
        self.heard_at = now
        self.framer.feed(data)
        for frame in frames_of(self.framer):
            request = decode_request(frame)
            code = request.command << 8 | request.parameter
            self.asked.append(code)
            self.answer(code)

    def answer(self, code: int) -> None:
        response = self.answers.get(code, Response(0, 0, 0x21))
        if code == 0x2001:
            response = Response(0, 0, 0x9F, bytes(4)) if self.is_there else Response(0, 0, 0x80)
        if code == 0x3001:
            self.is_there = False
        self.out.append(encode_frame(response_frame(response)))

    def bytes_to_send(self) -> bytes:
        return self.out.pop(0) if self.out else b""

    def next_event(self) -> NeedData:
        return NEED_DATA

    def next_deadline(self) -> None:
        return None

    def tick(self, now: float) -> None:
        pass


def exchange(host: CardReader, reader: SamReader, now: float) -> None:
    while data := host.bytes_to_send():
        reader.receive(data, now)
        while answer := reader.bytes_to_send():
            host.receive(answer, now)


def polling() -> tuple[CardReader, SamReader]:
    host = CardReader(ReaderSettings())
    host.send(Poll(), 0.0)
    return host, SamReader()


def test_a_card_is_found_selected_read_and_not_read_again() -> None:
    host, reader = polling()
    exchange(host, reader, 0.0)
    assert reader.asked == [0x2001, 0x2002, 0x3001]
    assert events_of(host) == [CardRead(CARD)]
    assert host.next_deadline() == POLL_S
    host.tick(POLL_S)
    exchange(host, reader, POLL_S)
    assert reader.asked[3:] == [0x2001]
    assert events_of(host) == []
    reader.is_there = True
    host.tick(2 * POLL_S)
    exchange(host, reader, 2 * POLL_S)
    assert events_of(host) == [CardRead(CARD)]


@pytest.mark.parametrize(
    ("code", "response", "sw3"),
    [
        (0x2002, Response(0, 0, 0x81), 0x81),
        (0x3001, Response(0, 0, 0x41), 0x41),
        (0x3001, Response(0, 0, 0x90, bytes(8)), None),
        (0x3001, Response(0, 0, 0x90, bytes(300)), None),
    ],
)
def test_a_card_that_is_not_read(code: int, response: Response, sw3: int | None) -> None:
    host, reader = polling()
    reader.answers[code] = response
    exchange(host, reader, 0.0)
    assert events_of(host) == [ReadFailed(sw3)]
    assert host.state is ReaderState.WAITING


def test_a_reader_that_does_not_answer_is_told_once() -> None:
    host, reader = polling()
    now = 0.0
    told = []
    for _ in range(2 * MAX_UNANSWERED):
        assert host.bytes_to_send()
        assert host.next_deadline() == pytest.approx(now + ANSWER_S)
        now += ANSWER_S
        host.tick(now)
        told.append(events_of(host))
        now += POLL_S
        host.tick(now)
    assert told == [[], [], [Silent()], [], [], []]
    exchange(host, reader, now)
    assert events_of(host) == [CardRead(CARD)]


def test_fingerprints_are_asked_for_only_where_wanted() -> None:
    host = CardReader(ReaderSettings(wants_fingerprint=True))
    reader = SamReader()
    reader.answers[0x3010] = Response(0, 0, 0x90, encode_card(Card(bytes(256), bytes(1024), bytes(512))))
    host.send(Poll(), 0.0)
    exchange(host, reader, 0.0)
    (event,) = events_of(host)
    assert len(event.card.fingerprint) == 512


def test_a_host_that_stops_hears_no_more() -> None:
    host, reader = polling()
    with pytest.raises(LocalProtocolError):
        host.send(Poll(), 0.0)
    reader.receive(host.bytes_to_send(), 0.0)
    host.send(Stop(), 0.0)
    with pytest.raises(LocalProtocolError):
        host.send(Stop(), 0.0)
    host.receive(reader.bytes_to_send(), 0.0)
    assert host.stray_frames == 1
    assert host.next_deadline() is None
    host.send(Poll(), 0.0)
    host.receive(encode_frame(Frame(b"\x20\x01")), 0.0)  # its own echo
    assert host.state is ReaderState.FINDING
    assert host.stray_frames == 2


@pytest.mark.parametrize("seed", range(20))
def test_through_a_line_that_loses_a_card_is_read_whole_or_not_at_all(seed: int) -> None:
    host, reader = polling()
    link = LossyLink(host, reader, seed=seed, rate=0.3)
    cycle(host, reader, link, rounds=300)
    read = [event for event in link.left_events if isinstance(event, CardRead)]
    assert read
    assert all(event.card == CARD for event in read)
    link.rate = 0.0
    cycle(host, reader, link, rounds=3)  # one may still wait for what was lost
    assert link.left_events[-1] == CardRead(CARD)


def cycle(host: CardReader, reader: SamReader, link: Any, *, rounds: int) -> None:
    for _ in range(rounds):
        link.pump()
        due = host.next_deadline()
        assert due is not None
        link.now = max(link.now, due)
        host.tick(link.now)
        reader.is_there = True
    link.pump()


# hostapd

STATION = "02:00:00:00:01:0{}\nflags=[AUTH]\n"


def attached() -> HostapdClient:
    client = HostapdClient(0.0)
    assert client.bytes_to_send() == b"ATTACH"
    client.receive(b"OK\n", 0.0)
    assert events_of(client) == [Attached()]
    assert client.next_deadline() is None
    return client


def test_stations_are_listed_one_by_one_and_events_come_between() -> None:
    client = attached()
    client.send(ListStations(), 1.0)
    assert client.bytes_to_send() == b"STA-FIRST"
    client.receive(STATION.format(1).encode(), 1.0)
    client.receive(b"<3>AP-STA-CONNECTED 02:00:00:00:01:02", 1.0)
    assert client.bytes_to_send() == b"STA-NEXT 02:00:00:00:01:01"
    client.receive(STATION.format(2).encode(), 1.0)
    client.receive(b"FAIL\n", 1.0)
    told, listed = events_of(client)
    assert told == Told(Event(3, "AP-STA-CONNECTED", "02:00:00:00:01:02"))
    assert isinstance(listed, Stations)
    assert [station.head for station in listed.stations] == ["02:00:00:00:01:01", "02:00:00:00:01:02"]


def test_a_list_without_an_end_is_given_up() -> None:
    client = attached()
    command = ListStations()
    client.send(command, 1.0)
    client.receive(STATION.format(1).encode(), 1.0)
    client.receive(STATION.format(1).encode(), 1.0)
    assert events_of(client) == [Unanswered(command)]
    client.send(command, 2.0)
    client.receive(b"UNKNOWN COMMAND\n", 2.0)
    assert events_of(client) == [Unanswered(command)]
    assert client.state is HostapdState.IDLE


def test_a_command_is_answered_or_the_client_is_of_no_use() -> None:
    client = attached()
    command = Ask("SET ssid X")
    for bad in ("NONSENSE", "SET x\nDISABLE", "SET ssid \ud800"):
        with pytest.raises(LocalProtocolError):
            client.send(Ask(bad), 0.0)
    client.send(command, 1.0)
    with pytest.raises(LocalProtocolError):
        client.send(command, 1.0)
    client.receive(b"OK\n", 1.0)
    assert events_of(client) == [Answered(command, "OK\n")]
    client.receive(b"OK\n", 1.0)
    client.receive(b"\xff", 1.0)
    assert client.stray_datagrams == 2
    client.send(command, 2.0)
    client.tick(2.0 + HOSTAPD_S - 0.1)
    assert events_of(client) == []
    client.tick(2.0 + HOSTAPD_S)
    assert events_of(client) == [Unanswered(command)]
    client.receive(b"OK\n", 9.0)  # whose answer it is, nobody knows
    assert events_of(client) == []
    with pytest.raises(LocalProtocolError):
        client.send(command, 9.0)


@pytest.mark.parametrize("answer", [b"FAIL\n", b"what\n", None])
def test_a_client_that_cannot_attach(answer: bytes | None) -> None:
    client = HostapdClient(0.0)
    if answer is None:
        client.tick(HOSTAPD_S)
    else:
        client.receive(answer, 0.0)
    assert events_of(client) == [Unanswered(None)]
    assert client.state is HostapdState.GONE
