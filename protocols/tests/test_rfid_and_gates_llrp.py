"""An LLRP client against a scripted reader: every step, every timer, and what comes unasked."""

import pytest

from protocols.core.errors import LocalProtocolError
from protocols.rfid_and_gates import llrp_reports as reports
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
from protocols.tests.kit import events_of, frames_of

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


@pytest.mark.parametrize(
    "settings", [LlrpSettings(rospec_id=1 << 32), LlrpSettings(rospec_id=-1), LlrpSettings(keepalive_s=5e6)]
)
def test_settings_that_no_message_carries(settings: LlrpSettings) -> None:
    with pytest.raises(LocalProtocolError):
        LlrpClient(settings, 0.0)


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
