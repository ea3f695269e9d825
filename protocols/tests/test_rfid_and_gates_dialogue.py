"""LLRP and card readers, hostapd and gates: the dialogues against scripted ends, a link that loses, and every timer."""

from typing import Any

import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError, NeedData
from protocols.rfid_and_gates import llrp_reports as reports
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
from protocols.rfid_and_gates.llrp_client import (
    KEEPALIVE_S,
    LATENESS_S,
    MAX_MISSED,
    Close,
    Closed,
    LlrpClient,
    LlrpSettings,
    LlrpState,
    Lost,
    Seen,
    Started,
)
from protocols.rfid_and_gates.llrp_message import LlrpMessage, MessageType, encode_message_frame, llrp_framer
from protocols.tests.kit import frames_of
from protocols.tests.lossy_link import LossyLink


def events_of(dialogue: Any) -> list[Any]:
    events = []
    while not isinstance(event := dialogue.next_event(), NeedData):
        events.append(event)
    return events


# LLRP

ANSWERS = {3: 13, 14: 4, 20: 30, 21: 31, 22: 32, 23: 33, 24: 34, 25: 35}
TAG = reports.TagReport(bytes(range(12)), 1, -55, 3)


class LlrpReader:
    """Accepts, answers, and holds the reader's own order: what is not added cannot be enabled."""

    def __init__(self, refuses: int | None = None, silent_to: int | None = None) -> None:
        self.framer = llrp_framer()
        self.refuses, self.silent_to = refuses, silent_to
        self.asked: list[int] = []
        self.out = encode_message_frame(reports.connection_event(0, 1))

    def receive(self, data: bytes) -> None:
        self.framer.feed(data)
        for message in frames_of(self.framer):
            kind = message.message_type
            self.asked.append(kind)
            if kind in ANSWERS and kind != self.silent_to:
                status = reports.Status(110 if kind == self.refuses else 0)
                self.out += encode_message_frame(reports.response(ANSWERS[kind], message.message_id, status))

    def pump(self, client: LlrpClient, now: float) -> None:
        while self.out:
            out, self.out = self.out, b""
            for byte in out:
                client.receive(bytes((byte,)), now)
            self.receive(client.bytes_to_send())


def running() -> tuple[LlrpClient, LlrpReader]:
    client, reader = LlrpClient(LlrpSettings(), 0.0), LlrpReader()
    reader.pump(client, 0.0)
    assert events_of(client) == [Started()]
    return client, reader


def send_from(reader: LlrpReader, client: LlrpClient, message: LlrpMessage, now: float) -> None:
    reader.out += encode_message_frame(message)
    reader.pump(client, now)


def test_an_inventory_is_started_step_by_step() -> None:
    client, reader = running()
    assert reader.asked == [21, 3, 20, 24, 22]
    assert client.state is LlrpState.RUNNING


def test_reports_are_told_and_keepalives_acknowledged() -> None:
    client, reader = running()
    send_from(reader, client, LlrpMessage(61, 9, b"", (reports.encode_tag(TAG),)), 1.0)
    assert events_of(client) == [Seen((TAG,))]
    send_from(reader, client, LlrpMessage(62, 77), 2.0)
    assert reader.asked[-1] == MessageType.KEEPALIVE_ACK
    due = 2.0 + MAX_MISSED * KEEPALIVE_S + LATENESS_S
    assert client.next_deadline() == due
    client.tick(due - 0.1)
    assert events_of(client) == []
    client.tick(due)
    assert [type(event) for event in events_of(client)] == [Lost]
    assert client.state is LlrpState.CLOSED
    assert client.next_deadline() is None
    send_from(reader, client, LlrpMessage(62, 78), due)
    assert client.stray_messages == 1


@pytest.mark.parametrize("kind", [21, 3, 20, 24, 22])
def test_a_step_that_is_refused_or_not_answered_loses_the_connection(kind: int) -> None:
    client, reader = LlrpClient(LlrpSettings(), 0.0), LlrpReader(refuses=kind)
    reader.pump(client, 0.0)
    (lost,) = events_of(client)
    assert "110" in lost.reason
    client, reader = LlrpClient(LlrpSettings(), 0.0), LlrpReader(silent_to=kind)
    reader.pump(client, 0.0)
    assert reader.asked[-1] == kind
    assert client.next_deadline() == 10.0
    client.tick(10.0)
    assert [type(event) for event in events_of(client)] == [Lost]


@pytest.mark.parametrize("status", [1, 2, 3, 4, 99])
def test_a_connection_that_is_not_accepted(status: int) -> None:
    client = LlrpClient(LlrpSettings(), 0.0)
    with pytest.raises(LocalProtocolError):
        client.send(Close(), 0.0)
    client.receive(encode_message_frame(reports.connection_event(status, 1)), 0.0)
    assert [type(event) for event in events_of(client)] == [Lost]
    assert client.bytes_to_send() == b""


def test_a_reader_that_says_nothing() -> None:
    client = LlrpClient(LlrpSettings(), 0.0)
    client.tick(10.0)
    assert [type(event) for event in events_of(client)] == [Lost]


@pytest.mark.parametrize("is_answered", [True, False])
def test_closing(is_answered: bool) -> None:
    client, reader = running()
    if not is_answered:
        reader.silent_to = 14
    client.send(Close(), 1.0)
    with pytest.raises(LocalProtocolError):
        client.send(Close(), 1.0)
    reader.receive(client.bytes_to_send())
    reader.pump(client, 1.1)
    client.tick(1.0 + 10.0)
    assert events_of(client) == [Closed()]


def test_what_answers_nothing_is_passed_over() -> None:
    client, reader = running()
    send_from(reader, client, reports.response(30, 999, reports.Status(1)), 1.0)
    send_from(reader, client, LlrpMessage(1023, 1, b"vendor"), 1.0)
    send_from(reader, client, LlrpMessage(63, 1), 1.0)
    broken = LlrpMessage(61, 1, b"", (reports.Parameter(240, b"\x01"),))
    send_from(reader, client, broken, 1.0)
    assert events_of(client) == []
    assert client.stray_messages == 3
    send_from(reader, client, reports.response(100, 5, reports.Status(101)), 1.0)
    assert [type(event) for event in events_of(client)] == [Lost]


def test_a_response_that_comes_twice_answers_once() -> None:
    client = LlrpClient(LlrpSettings(), 0.0)
    client.receive(encode_message_frame(LlrpMessage(0, 0)), 0.0)  # nothing was asked yet
    assert (client.state, client.stray_messages) == (LlrpState.CONNECTING, 1)
    client, reader = running()
    for kind, message_id in ((31, 1), (13, 2), (30, 3), (34, 4), (32, 5), (32, 5)):
        send_from(reader, client, reports.response(kind, message_id, reports.Status(0)), 1.0)
    assert events_of(client) == []
    assert (client.state, client.stray_messages) == (LlrpState.RUNNING, 6)


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
    for bad in ("NONSENSE", "SET x\nDISABLE"):
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
