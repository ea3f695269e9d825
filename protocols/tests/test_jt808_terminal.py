"""A JT/T 808 terminal's life: registration, authentication, every timer, log-off, what waits for an answer."""

import random

import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.jt808.catalogue import read_packet
from protocols.jt808.dialect import JT2011, JT2013, JT2019
from protocols.jt808.driver import PULLED_OUT, DriverCard
from protocols.jt808.frame import Frame, encode_frame
from protocols.jt808.general import Heartbeat, LinkCheck, LogOff, PlatformReply, TerminalReply, TimeQuery, TimeReply
from protocols.jt808.link import MAX_IN_FLIGHT, Timers
from protocols.jt808.location import LocationQuery
from protocols.jt808.platform import AuthenticationAsked, LoggedOff, PlatformState, RegistrationAsked
from protocols.jt808.registration import Authentication, Registration, RegistrationReply
from protocols.jt808.session import Answer, Answered, Close, Connected, Disconnected, Received, Send, Unanswered
from protocols.jt808.subpackage import Abandoned, split
from protocols.jt808.terminal import MAIN_TRIES, ROOM_FOR_OWN, TerminalDialogue
from protocols.jt808.terminal_events import (
    CodeDropped,
    CodeGiven,
    Connect,
    Delivered,
    LogOffNow,
    Offline,
    Online,
    PlatformTime,
    RegistrationRefused,
    Report,
    TerminalState,
)
from protocols.jt808.values import bytes_of_utc_ms
from protocols.tests.jt808_pair import CODE, Pair, bodies_in, config, frames_in, online, place

DIALECTS = [JT2011, JT2013, JT2019]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: str(dialect.edition))
def test_it_registers_authenticates_and_is_online(dialect):
    pair = Pair(dialect)
    pair.run()
    assert pair.terminal_events == [Connect(), CodeGiven(CODE), Online()]
    assert [type(event) for event in pair.platform_events] == [RegistrationAsked, AuthenticationAsked]
    assert pair.platform.state is PlatformState.ONLINE
    assert pair.platform.dialect is dialect
    assert pair.platform.phone == pair.terminal.link.phone


def test_with_a_code_it_authenticates_first_on_every_connection():
    pair = online()
    assert pair.terminal_events == [Connect(), Online()]
    pair.disconnect()
    pair.run(60)
    assert [type(event) for event in pair.platform_events] == [AuthenticationAsked] * 2
    assert pair.terminal.state is TerminalState.ONLINE


def test_a_code_that_is_refused_is_dropped_and_it_registers():
    pair = Pair(auth_code=b"old")
    pair.run()
    assert pair.terminal_events == [Connect(), CodeDropped(), CodeGiven(CODE), Online()]


def test_a_platform_that_refuses_its_own_codes_is_not_asked_in_a_circle():
    pair = Pair(reconnect_min_s=4, reconnect_max_s=100)
    pair.admits = False
    pair.run(1000)
    assert pair.terminal_events[:4] == [
        Connect(),
        CodeGiven(CODE),
        CodeDropped(),
        Close("the code that the platform gave is refused"),
    ]
    assert 10 < len(pair.connects) < 40
    assert len(pair.told(CodeGiven)) == len(pair.connects)
    pair.admits = True
    pair.run(100)
    assert pair.terminal.state is TerminalState.ONLINE


@pytest.mark.parametrize(("result", "wait_s"), [(1, 1800), (2, 4 * 3600), (3, 1800), (4, 4 * 3600)])
def test_a_refused_registration_is_tried_again_after_long(result, wait_s):
    pair = Pair()
    pair.registration_result = result
    pair.run(10)
    assert pair.terminal_events == [Connect(), RegistrationRefused(result), Close("registration refused")]
    assert pair.terminal.next_deadline() == wait_s
    pair.registration_result = 0
    pair.run(wait_s)
    assert pair.terminal.state is TerminalState.ONLINE


@pytest.mark.parametrize("auth_code", [None, CODE])
def test_a_platform_that_does_not_answer_is_left(auth_code):
    pair = Pair(auth_code=auth_code, lose=lambda _frame: True, idle_timeout_s=1000)
    pair.run(329)
    assert pair.told(Close) == []
    pair.run(1)
    assert len(pair.told(Close)) == 1
    assert pair.terminal.state is TerminalState.OFFLINE


def test_the_waits_grow_as_the_standard_says_and_the_bytes_stay():
    pair = online()
    pair.terminal.send(Report(place(1), 1), 1000.0)
    first = pair.terminal.bytes_to_send()
    times = []
    while pair.terminal.state is TerminalState.ONLINE:
        now = pair.terminal.next_deadline()
        pair.terminal.tick(now)
        wire = pair.terminal.bytes_to_send()
        if wire and b"\x02\x00" in wire[:3]:
            assert wire == first
            times.append(now)
    assert times == [1010, 1030, 1090]
    assert now == 1000 + 10 + 20 + 60 + 240
    assert pair.terminal.stored == 1  # not lost: it waits for the next connection


def test_a_silent_link_is_dead_but_an_unanswered_message_on_a_live_one_is_not():
    pair = online()
    pair.terminal.send(Send(TimeQuery(), "t"), pair.now)
    pair.answers_messages = False
    for number in range(400):
        pair.terminal.send(Report(place(number), number), pair.now)
        pair.run(1)
        pair.answers_messages = True
        pair.platform.link.transmit(TerminalReply(0, 0, 0), pair.now)  # any traffic proves the link
        pair.answers_messages = False
    assert Unanswered("t") in pair.terminal_events
    assert pair.terminal.state is TerminalState.ONLINE


def test_a_heartbeat_is_sent_when_nothing_else_was():
    pair = online(heartbeat_interval_s=60.0)
    assert pair.terminal.next_deadline() == 60
    pair.run(50)
    pair.terminal.send(Report(place(1), 1), pair.now)
    pair.run(59)
    assert pair.terminal.link.in_flight == 0
    pair.now = pair.terminal.next_deadline()
    assert pair.now == 110
    pair.terminal.tick(pair.now)
    assert bodies_in(pair.terminal.bytes_to_send()) == [Heartbeat()]


def test_a_link_without_answers_to_heartbeats_is_dead():
    pair = online(heartbeat_interval_s=60.0, idle_timeout_s=1000)
    pair.lose = lambda _frame: True
    pair.run(60 + 330)
    assert pair.told(Offline) == [Offline("no answer to 0x0002")]
    assert pair.told(Close)


def test_any_traffic_proves_the_link_though_heartbeats_are_not_answered():
    pair = online(heartbeat_interval_s=60.0)
    pair.lose = lambda frame: frame[:2] == bytes((0, 2))
    for number in range(10):
        pair.run(70)
        pair.terminal.send(Report(place(number), number), pair.now)
        pair.run()
    assert len(pair.told(Delivered)) == 10
    assert pair.told(Close) == []


def test_timers_can_be_changed():
    pair = online()
    pair.terminal.set_timers(Timers(reply_timeout_s=2, retransmissions=0), 7)
    assert pair.terminal.next_deadline() == 7
    pair.lose = lambda _frame: True
    pair.run(8.9)
    assert pair.told(Close) == []
    pair.run(0.1)
    assert pair.told(Close)


def test_it_connects_again_ever_later_and_tries_the_backup_server():
    pair = Pair(auth_code=CODE, has_backup=True, reconnect_min_s=4, reconnect_max_s=100)
    pair.is_reachable = False
    pair.run(2000)
    waits = [later - before for (before, _), (later, _) in zip(pair.connects, pair.connects[1:], strict=False)]
    for number, wait_s in enumerate(waits):
        longest = min(100, 4 * 2**number)
        assert longest / 2 <= wait_s <= longest
    backups = [to_backup for _now, to_backup in pair.connects]
    assert backups[: 2 * MAIN_TRIES] == [False] * MAIN_TRIES + [True] * MAIN_TRIES
    pair.is_reachable = True
    pair.run(200)
    pair.disconnect()
    assert pair.terminal.next_deadline() - pair.now <= 4  # patience begins anew


def test_the_platform_s_clock_is_asked_for():
    pair = Pair(JT2019, auth_code=CODE, asks_time=True)
    pair.answers_messages = False
    pair.run()
    (event,) = [event for event in pair.platform_events if isinstance(event, Received)]
    pair.platform.send(Answer(event.packet, body=TimeReply(bytes_of_utc_ms(1_795_472_933_000, 0))), pair.now)
    pair.run()
    assert pair.told(PlatformTime) == [PlatformTime(1_795_472_933_000, pair.now)]


def test_it_logs_off_and_stays_off():
    pair = online()
    pair.terminal.send(LogOffNow(), pair.now)
    pair.run()
    assert LoggedOff() in pair.platform_events
    assert pair.terminal_events[-2:] == [CodeDropped(), Close("logged off")]
    assert pair.terminal.state is TerminalState.LOGGED_OFF
    assert pair.terminal.next_deadline() is None
    pair.run(10_000)
    assert len(pair.connects) == 1
    pair.connect()
    pair.run()
    assert pair.terminal.state is TerminalState.ONLINE


@pytest.mark.parametrize(("way", "reason"), [("silence", "no answer to 0x0003"), ("disconnect", "disconnected")])
def test_a_log_off_that_is_not_answered_leaves_it_registered(way, reason):
    pair = online(idle_timeout_s=1000)
    pair.lose = lambda _frame: True
    pair.terminal.send(LogOffNow(), pair.now)
    if way == "silence":
        pair.run(330)
    else:
        pair.disconnect()
        pair.run()
    assert pair.told(Offline) == [Offline(reason)]
    assert pair.told(CodeDropped) == []


def test_a_token_may_be_anything():
    pair = online(timers=Timers(reply_timeout_s=1, retransmissions=0))
    pair.lose = lambda _frame: True
    pair.terminal.send(Send(LogOff(), {"row": 1}), pair.now)
    pair.terminal.send(Report(place(1), {"row": 2}), pair.now)
    pair.run(1)
    assert Unanswered({"row": 1}) in pair.terminal_events
    assert pair.terminal.stored == 1


def test_what_waited_for_an_answer_when_the_link_went_is_told():
    pair = online()
    pair.answers_messages = False
    pair.terminal.send(Send(TimeQuery(), "time"), pair.now)
    pair.run()
    pair.disconnect()
    pair.run()
    assert pair.told(Unanswered) == [Unanswered("time")]


def test_a_message_of_the_platform_that_stays_incomplete_is_told():
    pair = online()
    packages = split(Frame(0x8108, pair.terminal.link.phone, 5, bytes(3000)))
    pair.terminal.receive(encode_frame(packages[0]), pair.now)
    pair.run(60)
    assert pair.told(Abandoned) == [Abandoned(0x8108, pair.terminal.link.phone, 3, 1)]


def test_commands_at_the_wrong_time_are_local_errors():
    terminal = TerminalDialogue(config(), rng=random.Random(1))
    packet = read_packet(Frame(0x8201, config().phone, 1))
    for command in (LogOffNow(), Send(TimeQuery()), Answer(packet)):
        with pytest.raises(LocalProtocolError):
            terminal.send(command, 0.0)
    terminal.send(Connected(), 0.0)
    with pytest.raises(LocalProtocolError):
        terminal.send(Connected(), 0.0)
    terminal.send(Disconnected(), 0.0)
    terminal.send(Disconnected(), 0.0)
    assert terminal.state is TerminalState.OFFLINE


def test_no_more_than_so_many_messages_wait_at_one_time():
    pair = online()
    for _ in range(MAX_IN_FLIGHT - ROOM_FOR_OWN):
        pair.terminal.send(Send(TimeQuery()), pair.now)
    with pytest.raises(LocalProtocolError):
        pair.terminal.send(Send(TimeQuery()), pair.now)
    pair.terminal.send(Report(place(1), 1), pair.now)  # is kept
    pair.terminal.tick(pair.now + 59)


def test_with_all_room_taken_heartbeats_and_a_log_off_still_go():
    pair = online(timers=Timers(reply_timeout_s=500), idle_timeout_s=10_000)
    pair.lose = lambda _frame: True
    for _ in range(MAX_IN_FLIGHT - ROOM_FOR_OWN):
        pair.terminal.send(Send(TimeQuery()), pair.now)
    pair.terminal.receive(encode_frame(Frame(0x8702, pair.terminal.link.phone, 7)), pair.now)
    asked = pair.terminal.next_event()
    with pytest.raises(LocalProtocolError):  # this answer wants an answer
        pair.terminal.send(Answer(asked.packet, body=DriverCard(PULLED_OUT, bytes(6))), pair.now)
    bodies_in(pair.terminal.bytes_to_send())
    pair.now += 60
    pair.terminal.tick(pair.now)
    assert bodies_in(pair.terminal.bytes_to_send()) == [Heartbeat()]
    pair.terminal.send(LogOffNow(), pair.now)
    assert bodies_in(pair.terminal.bytes_to_send()) == [LogOff()]
    pair.run(60_000)
    assert pair.told(Offline)


def test_a_code_that_no_authentication_can_hold_is_not_taken():
    pair = Pair(JT2019)
    pair.terminal.tick(0.0)
    pair.terminal.send(Connected(), 0.0)
    (frame,) = frames_in(pair.terminal.bytes_to_send())
    reply = RegistrationReply(frame.serial, 0, bytes(256)).to_bytes(JT2019)
    pair.terminal.receive(encode_frame(Frame(0x8100, frame.phone, 0, reply, 1)), 1.0)
    assert pair.terminal.next_event() == Connect()
    assert pair.terminal.next_event() == Close("the platform gave a code that no authentication can hold")
    assert pair.terminal.state is TerminalState.OFFLINE
    assert pair.terminal.bytes_to_send() == b""
    assert pair.terminal.next_deadline() is not None


def test_a_link_check_is_answered_and_a_query_is_handed_over():
    pair = online(JT2019)
    pair.platform.send(Send(LinkCheck(), "check"), pair.now)
    pair.platform.send(Send(LocationQuery(), "query"), pair.now)
    pair.run()
    assert [type(event.packet.body) for event in pair.told(Received)] == [LocationQuery]
    assert [event.token for event in pair.platform_events if isinstance(event, Answered)] == ["check"]


def test_what_comes_before_it_is_online_is_counted_only():
    terminal = TerminalDialogue(config(auth_code=CODE), rng=random.Random(1))
    terminal.send(Connected(), 0.0)
    terminal.bytes_to_send()
    query = encode_frame(Frame(0x8201, config().phone, 7))
    terminal.receive(query, 0.0)
    terminal.receive(encode_frame(Frame(0x8300, config().phone, 8)), 0.0)
    assert terminal.next_event() is NEED_DATA
    assert terminal.early_messages == 2
    terminal.receive(encode_frame(Frame(0x8001, config().phone, 9, bytes.fromhex("0000010200"))), 0.0)
    terminal.receive(query, 0.0)  # sent again: it is new now
    assert terminal.next_event() == Online()
    assert isinstance(terminal.next_event(), Received)


def test_foreign_and_stray_frames_are_counted_only():
    pair = online()
    pair.terminal.receive(encode_frame(Frame(0x8201, "0" * 12, 7)), pair.now)
    body = PlatformReply(99, 0x0200).to_bytes(JT2013)
    pair.terminal.receive(encode_frame(Frame(0x8001, pair.terminal.link.phone, 7, body)), pair.now)
    assert (pair.terminal.link.foreign_frames, pair.terminal.link.stray_answers) == (1, 1)
    assert pair.terminal.next_event() is NEED_DATA


def test_a_wrong_body_is_answered_with_its_result():
    pair = online()
    pair.terminal.receive(encode_frame(Frame(0x8103, pair.terminal.link.phone, 7, b"\x05")), pair.now)
    assert bodies_in(pair.terminal.bytes_to_send()) == [TerminalReply(7, 0x8103, 2)]


def test_the_authentication_of_2019_says_more():
    pair = Pair(JT2019, auth_code=CODE, imei=b"123456789012345", software_version=b"1.2")
    pair.run()
    (asked,) = pair.platform_events
    assert asked.packet.body == Authentication(CODE, b"123456789012345", b"1.2".ljust(20, b"\x00"))


def test_no_secret_is_in_an_event_s_text():
    assert "A1B2C3" not in repr(CodeGiven(CODE))
    assert isinstance(config().registration, Registration)
