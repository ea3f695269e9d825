"""Both ends of the line to a buoy: commands that are done once, and a line that loses."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.aton.commands import (
    EXECUTED,
    REASONS,
    RECEIVED,
    REFUSED,
    VERIFIED,
    Answer,
    Command,
    encode_command,
)
from protocols.aton.frame import Frame, decode_frame, encode_frame
from protocols.aton.link import FINISH_S, GAP_S, MOST_EVENTS, MOST_PENDING, MOST_TRIES, REPEAT_S, Buoy, Unanswered
from protocols.aton.orders import OrderBook
from protocols.aton.telemetry import (
    REPORT,
    ROUTINE,
    Report,
    item_of,
)
from protocols.aton.verbs import (
    LAMP_OFF,
    LAMP_ON,
    LampMode,
    Query,
    Reboot,
    SetIntensity,
    SyncTime,
)
from protocols.core.errors import (
    LocalProtocolError,
)
from protocols.tests.aton_buoy import BUOY, LATER_S, NOW_S, both, events_of


def test_a_command_from_received_to_verified() -> None:
    shore, buoy = both()
    command = Command(5, LATER_S, LampMode(LAMP_ON, 0, 0))
    shore.send(command, 0.0)
    assert shore.next_deadline() == REPEAT_S
    buoy.receive(shore.bytes_to_send(), 1.0)
    assert events_of(buoy) == [command]
    buoy.send(Answer(5, EXECUTED), 2.0)
    buoy.send(Answer(5, VERIFIED, 0, "0.52 A"), 3.0)
    buoy.send(Report(ROUTINE, NOW_S, [item_of("lamp_on", 1)]), 3.0)
    shore.receive(buoy.bytes_to_send(), 4.0)
    *answers, report = events_of(shore)
    assert answers == [Answer(5, RECEIVED), Answer(5, EXECUTED), Answer(5, VERIFIED, 0, "0.52 A")]
    assert report.get("lamp_on") == 1
    assert shore.next_deadline() is None
    assert (shore.bytes_to_send(), buoy.bytes_to_send(), buoy.next_deadline()) == (b"", b"", None)
    buoy.tick(9.0)


def test_the_same_command_is_done_once() -> None:
    shore, buoy = both()
    shore.send(Command(5, LATER_S, Reboot()), 0.0)
    wire = shore.bytes_to_send()
    for _ in range(3):
        buoy.receive(wire, 1.0)
    assert len(events_of(buoy)) == 1
    buoy.send(Answer(5, EXECUTED), 1.0)
    buoy.bytes_to_send()
    buoy.receive(wire, 2.0)
    assert events_of(buoy) == []
    shore.receive(buoy.bytes_to_send() * 2, 3.0)
    assert events_of(shore) == [Answer(5, EXECUTED)]


def test_refused_at_once_and_not_an_event() -> None:
    shore, buoy = both()
    shore.send(Command(5, LATER_S, LampMode(LAMP_OFF, 0, 0)), 0.0)
    buoy.receive(shore.bytes_to_send(), 1.0)
    assert events_of(buoy) == []
    shore.receive(buoy.bytes_to_send(), 2.0)
    assert events_of(shore) == [Answer(5, REFUSED, REASONS.index("not_confirmed"))]


def test_a_command_expires_by_the_buoys_clock() -> None:
    _shore, buoy = both()
    wire = encode_frame(Frame(2, BUOY, 1, encode_command(Command(5, NOW_S + 10, Reboot()))))
    buoy.receive(wire, 9.9)
    assert len(events_of(buoy)) == 1
    _shore, buoy = both()
    buoy.receive(wire, 10.0)
    assert events_of(buoy) == []


def test_unanswered_after_five_tries() -> None:
    shore, _buoy = both()
    shore.send(Command(5, LATER_S, Reboot()), 0.0)
    sent = [shore.bytes_to_send()]
    now = 0.0
    while (deadline := shore.next_deadline()) is not None:
        shore.tick(deadline - 0.01)
        assert shore.bytes_to_send() == b""
        now = deadline
        shore.tick(now)
        sent.append(shore.bytes_to_send())
    assert now == MOST_TRIES * REPEAT_S
    assert [bool(wire) for wire in sent] == [True] * MOST_TRIES + [False]
    assert len({decode_frame(wire).serial for wire in sent[:-1]}) == MOST_TRIES
    [event] = events_of(shore)
    assert isinstance(event, Unanswered)
    assert event.command_id == 5


def test_an_answer_that_was_lost_is_asked_for_again() -> None:
    shore, buoy = both()
    shore.send(Command(5, LATER_S, SetIntensity(3)), 0.0)
    buoy.receive(shore.bytes_to_send(), 1.0)
    shore.receive(buoy.bytes_to_send(), 1.0)
    assert events_of(shore) == [Answer(5, RECEIVED)]
    buoy.send(Answer(5, EXECUTED), 2.0)
    buoy.bytes_to_send()  # lost
    assert shore.next_deadline() == 1.0 + FINISH_S
    shore.tick(1.0 + FINISH_S)
    buoy.receive(shore.bytes_to_send(), 1.0 + FINISH_S)
    shore.receive(buoy.bytes_to_send(), 1.0 + FINISH_S)
    assert len(events_of(buoy)) == 1
    assert events_of(shore) == [Answer(5, EXECUTED)]
    assert shore.next_deadline() is None


def test_a_command_that_is_taken_and_never_finished_ends_all_the_same() -> None:
    shore, buoy = both()
    shore.send(Command(5, LATER_S, SetIntensity(3)), 0.0)
    buoy.receive(shore.bytes_to_send(), 0.0)
    shore.receive(buoy.bytes_to_send(), 0.0)
    now = 0.0
    while (deadline := shore.next_deadline()) is not None:
        now = deadline
        shore.tick(now)
        buoy.receive(shore.bytes_to_send(), now)
        shore.receive(buoy.bytes_to_send(), now)
    assert now == MOST_TRIES * FINISH_S
    received, unanswered = events_of(shore)
    assert received == Answer(5, RECEIVED)
    assert isinstance(unanswered, Unanswered)
    assert (unanswered.command_id, unanswered.stage) == (5, RECEIVED)
    assert len(events_of(buoy)) == 1


def test_the_time_that_comes_late_is_the_time_of_its_sending() -> None:
    shore, buoy = both()
    shore.send(Command(5, LATER_S, SyncTime(NOW_S)), 100.0)
    shore.bytes_to_send()  # lost
    shore.tick(100.0 + REPEAT_S)
    buoy.receive(shore.bytes_to_send(), 1.0)
    [command] = events_of(buoy)
    assert command.arguments == SyncTime(NOW_S + int(REPEAT_S))


def test_a_buoy_whose_caller_is_asleep_refuses_and_loses_nothing() -> None:
    shore, buoy = both()
    for number in range(MOST_EVENTS + 1):
        wire = encode_frame(Frame(2, BUOY, 1, encode_command(Command(number, LATER_S, Query(0, 0, 0)))))
        buoy.receive(wire, 0.0)
        shore.receive(buoy.bytes_to_send(), 0.0)
    assert events_of(shore)[-1] == Answer(MOST_EVENTS, REFUSED, REASONS.index("busy"))
    assert [event.command_id for event in events_of(buoy)] == list(range(MOST_EVENTS))
    buoy.receive(wire, 0.0)  # later it is taken
    assert [event.command_id for event in events_of(buoy)] == [MOST_EVENTS]


def test_half_a_frame_is_forgotten_at_its_deadline() -> None:
    shore, buoy = both()
    shore.send(Command(5, LATER_S, Reboot()), 0.0)
    wire = shore.bytes_to_send()
    torn = encode_frame(Frame(2, BUOY, 1, bytes(400)))[:30]
    buoy.receive(torn + wire, 1.0)
    assert events_of(buoy) == []
    assert buoy.next_deadline() == 1.0 + GAP_S
    buoy.tick(1.0 + GAP_S)
    assert [event.command_id for event in events_of(buoy)] == [5]
    assert buoy.next_deadline() is None
    shore.receive(torn + buoy.bytes_to_send(), 2.0)
    assert shore.next_deadline() == 2.0 + GAP_S
    shore.tick(2.0 + GAP_S)
    assert events_of(shore) == [Answer(5, RECEIVED)]


def test_a_buoy_that_started_anew_does_nothing_twice() -> None:
    shore, buoy = both()
    shore.send(Command(5, LATER_S, Reboot()), 0.0)
    wire = shore.bytes_to_send()
    buoy.receive(wire, 1.0)
    buoy.send(Answer(5, EXECUTED), 1.0)
    kept = buoy.book.saved()  # the caller writes it down before it reboots
    again = Buoy(BUOY, book=OrderBook(kept))
    again.utc_offset_s = NOW_S
    again.receive(wire, 9.0)
    assert events_of(again) == []
    shore.receive(again.bytes_to_send(), 9.0)
    assert events_of(shore) == [Answer(5, EXECUTED)]


def test_commands_and_answers_that_are_refused_here() -> None:
    shore, buoy = both()
    for number in range(MOST_PENDING):
        shore.send(Command(number, LATER_S, Reboot()), 0.0)
    for number in (3, MOST_PENDING):
        with pytest.raises(LocalProtocolError):
            shore.send(Command(number, LATER_S, Reboot()), 0.0)
    with pytest.raises(LocalProtocolError):
        buoy.send(Answer(77, EXECUTED), 0.0)


def test_what_is_remembered_is_bounded() -> None:
    shore, buoy = both()
    for number in range(3 * MOST_EVENTS):
        shore.send(Command(number, LATER_S, Query(0, 0, 0)), 0.0)
        buoy.receive(shore.bytes_to_send(), 0.0)
        [asked] = events_of(buoy)
        buoy.send(Answer(asked.command_id, EXECUTED), 0.0)
        shore.receive(buoy.bytes_to_send(), 0.0)
    assert len(shore._stages) == MOST_EVENTS
    assert len(events_of(shore)) == MOST_EVENTS


def test_others_and_nonsense_are_counted() -> None:
    shore, buoy = both()
    foreign = [Frame(2, BUOY + 1, 1, b""), Frame(REPORT, BUOY, 1, b""), Frame(9, BUOY, 1, b"")]
    for frame in foreign:
        buoy.receive(encode_frame(frame), 0.0)
    buoy.receive(encode_frame(Frame(2, BUOY, 1, b"x")), 0.0)
    assert (buoy.foreign, buoy.broken) == (3, 1)
    for frame in (Frame(REPORT, BUOY + 1, 1, b""), Frame(2, BUOY, 1, b"")):
        shore.receive(encode_frame(frame), 0.0)
    shore.receive(encode_frame(Frame(REPORT, BUOY, 1, b"x")), 0.0)
    assert (shore.foreign, shore.broken) == (2, 1)


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_over_a_line_that_loses_and_damages(seed: int) -> None:
    rng = random.Random(seed)

    def line(wire: bytes) -> bytes:
        if rng.random() < 0.4:
            return b""
        if rng.random() < 0.2 and wire:
            at = rng.randrange(len(wire))
            return wire[:at] + bytes([wire[at] ^ 1 << rng.randrange(8)]) + wire[at + 1 :]
        return wire

    shore, buoy = both()
    wanted = [Command(number, LATER_S, SetIntensity(number)) for number in range(6)]
    done: list[Command] = []
    for command in wanted:
        shore.send(command, 0.0)
    now = 0.0
    while (deadline := shore.next_deadline()) is not None:
        buoy.receive(line(shore.bytes_to_send()), now)
        for event in events_of(buoy):
            done.append(event)
            buoy.send(Answer(event.command_id, EXECUTED), now)
        shore.receive(line(buoy.bytes_to_send()), now)
        now = deadline
        shore.tick(now)
    told = events_of(shore)
    assert len(done) == len({command.command_id for command in done})  # nothing is done twice
    unanswered = {event.command_id for event in told if isinstance(event, Unanswered)}
    answered = {event.command_id for event in told if isinstance(event, Answer)}
    assert unanswered | answered == {command.command_id for command in wanted}
    assert answered <= {command.command_id for command in done}
