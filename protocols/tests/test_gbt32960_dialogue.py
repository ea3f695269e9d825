"""GB/T 32960 dialogues: vehicle and platform against each other, also through a link that loses, and every timer."""

import random

import pytest

from protocols.core.errors import LocalProtocolError
from protocols.gbt32960 import platform as platform_side
from protocols.gbt32960 import vehicle as vehicle_side
from protocols.gbt32960.frame import COMMAND, Command, Frame, Response, decode_frame, encode_frame
from protocols.gbt32960.link import ANSWER_TIMEOUT_S, GAP_S
from protocols.gbt32960.login import VehicleLogin
from protocols.gbt32960.parameters import (
    Activation,
    ActivationAnswer,
    Control,
    Parameter,
    ParameterIds,
    Parameters,
)
from protocols.gbt32960.platform import Ask, PartyState, Told
from protocols.gbt32960.report import Report
from protocols.gbt32960.vehicle import (
    HEARTBEAT_S,
    LONG_WAIT_S,
    MAX_IN_FLIGHT,
    RETRY_S,
    Asked,
    Delivered,
    LoggedOut,
    LogIn,
    LoginFailed,
    LogOut,
    Refused,
    Request,
    Send,
    Silent,
    SyncTime,
    TimeTold,
    Undelivered,
    VehicleState,
)
from protocols.tests.gbt32960_pair import (
    VIN,
    clock,
    events_of,
    frames_in,
    logged_in,
    login,
    platform,
    report,
    settle,
    vehicle,
)


def test_a_vehicle_logs_in_reports_and_logs_out() -> None:
    one, other = logged_in()
    assert one.state is VehicleState.IN
    assert other.state_of(VIN) is PartyState.IN
    command = Send(report(7))
    one.send(command, 1.0)
    (told,) = settle(one, other, 1.0)
    assert told.body == report(7)
    assert events_of(one) == [Delivered(command)]
    one.send(LogOut(), 2.0)
    (told,) = settle(one, other, 2.0)
    assert (told.body.time, told.body.login_serial) == (clock(2.0), 1)
    assert events_of(one) == [LoggedOut()]
    assert other.state_of(VIN) is PartyState.OUT
    assert one.next_deadline() is None
    assert other.next_deadline() is None


def test_a_login_tells_the_time_at_which_it_is_sent() -> None:
    one = vehicle()
    one.send(login(), 5.0)
    frame = decode_frame(one.bytes_to_send())
    assert (frame.command, frame.response, frame.data[:6]) == (Command.VEHICLE_LOGIN, COMMAND, clock(5.0))


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_login_that_fails_is_tried_three_times_and_then_after_a_long_wait(is_silent: bool) -> None:
    one, other = vehicle(), platform()
    one.send(login(), 0.0)
    now = 0.0
    waits = []
    for _ in range(4):
        if is_silent:
            one.bytes_to_send()
            assert one.next_deadline() == now + ANSWER_TIMEOUT_S
            now += ANSWER_TIMEOUT_S
            one.tick(now)
        else:
            settle(one, other, now, Response.DUPLICATE_VIN)
        (failed,) = events_of(one)
        assert failed == LoginFailed(None if is_silent else Response.DUPLICATE_VIN, failed.retry_at)
        assert one.state is VehicleState.WAITING
        assert one.next_deadline() == failed.retry_at
        waits.append(failed.retry_at - now)
        now = failed.retry_at
        one.tick(now - 0.01)
        assert one.bytes_to_send() == b""
        one.tick(now)
    assert waits == [RETRY_S, RETRY_S, LONG_WAIT_S, RETRY_S]


def test_what_may_be_sent_when() -> None:
    one = vehicle()
    for command in (Send(report(1)), LogOut()):
        with pytest.raises(LocalProtocolError):
            one.send(command, 0.0)
    one.send(login(), 0.0)
    with pytest.raises(LocalProtocolError):
        one.send(login(), 0.0)
    one, _ = logged_in()
    for number in range(MAX_IN_FLIGHT):
        one.send(Send(report(number)), 1.0)
    assert not one.has_room
    with pytest.raises(LocalProtocolError):
        one.send(Send(report(99)), 1.0)
    assert len(one.abandon()) == MAX_IN_FLIGHT
    assert one.has_room


def test_a_login_that_no_frame_carries_leaves_the_vehicle_out() -> None:
    one = vehicle()
    with pytest.raises(LocalProtocolError):
        one.send(LogIn(VehicleLogin(bytes(6), 1, b"short")), 0.0)
    assert one.state is VehicleState.OUT
    assert one.bytes_to_send() == b""
    one.send(login(), 0.0)
    assert one.state is VehicleState.LOGIN_DUE


def test_a_report_without_an_answer_is_undelivered_and_sent_again_as_it_was() -> None:
    one, other = logged_in()
    command = Send(report(1))
    one.send(command, 1.0)
    lost = one.bytes_to_send()
    one.tick(1.0 + ANSWER_TIMEOUT_S)
    assert events_of(one) == [Undelivered(command)]
    one.send(Send(command.report, is_reissue=True), 50.0)
    again = one.bytes_to_send()
    assert decode_frame(again).command == Command.REISSUE
    assert decode_frame(again).data == decode_frame(lost).data
    other.receive(again, 50.0)
    (told,) = events_of(other)
    other.receive(lost, 50.0)  # the first one arrives after all: told once, and answered when the other is
    assert events_of(other) == []
    other.send(platform_side.Answer(told), 50.0)
    assert [frame.command for frame in frames_in(other.bytes_to_send())] == [Command.REISSUE]
    other.receive(lost, 51.0)
    assert [frame.command for frame in frames_in(other.bytes_to_send())] == [Command.REAL_TIME]


def test_a_report_that_is_refused_is_not_kept() -> None:
    one, other = logged_in()
    command = Send(report(1))
    one.send(command, 1.0)
    settle(one, other, 1.0, Response.WRONG_SIGNATURE)
    assert events_of(one) == [Refused(command, Response.WRONG_SIGNATURE)]


def test_answers_find_their_reports_by_time() -> None:
    one, other = logged_in()
    commands = [Send(Report(clock(number))) for number in range(3)]  # nothing but a time
    for command in commands:
        one.send(command, 1.0)
    other.receive(one.bytes_to_send(), 1.0)
    told = events_of(other)
    for event in reversed(told):
        other.send(platform_side.Answer(event), 1.0)
    one.receive(other.bytes_to_send(), 1.0)
    assert events_of(one) == [Delivered(command) for command in reversed(commands)]
    one.receive(encode_frame(Frame(2016, Command.REAL_TIME, Response.SUCCESS, VIN, data=clock(9))), 1.0)
    assert one.stray_frames == 1


def test_a_heartbeat_goes_when_nothing_else_does() -> None:
    one, other = logged_in()
    one.send(Send(report(1)), 30.0)
    settle(one, other, 30.0)
    events_of(one)
    assert one.next_deadline() == 30.0 + HEARTBEAT_S
    one.tick(30.0 + HEARTBEAT_S)
    (beat,) = frames_in(wire := one.bytes_to_send())
    assert (beat.command, beat.data) == (Command.HEARTBEAT, b"")
    other.receive(wire, 90.0)
    one.receive(other.bytes_to_send(), 90.0)
    assert events_of(one) == events_of(other) == []
    one.tick(90.0 + HEARTBEAT_S)
    one.bytes_to_send()  # lost
    one.tick(90.0 + HEARTBEAT_S + ANSWER_TIMEOUT_S)
    assert events_of(one) == [Silent()]


def test_the_platform_tells_its_time() -> None:
    one, other = vehicle(), platform()
    one.send(SyncTime(), 3.0)
    settle(one, other, 3.0)
    assert events_of(one) == [TimeTold(clock(3.0))]
    command = SyncTime()
    one.send(command, 4.0)
    one.bytes_to_send()
    one.tick(4.0 + ANSWER_TIMEOUT_S)
    assert events_of(one) == [vehicle_side.Answered(command, None)]


def test_parameters_are_asked_for_and_answered() -> None:
    one, other = logged_in()
    ask = Ask(VIN, 2016, Command.QUERY_PARAMETERS, ParameterIds(clock(1), b"\x01\x09"))
    other.send(ask, 1.0)
    one.receive(other.bytes_to_send(), 1.0)
    (asked,) = events_of(one)
    params = Parameters(asked.body.time, (Parameter(1, b"\x27\x10"), Parameter(9, b"\x3c")))
    one.send(vehicle_side.Answer(asked, params=params), 1.0)
    other.receive(one.bytes_to_send(), 1.0)
    (answered,) = events_of(other)
    assert (answered.command, answered.body) == (ask, params)


def test_a_command_is_answered_with_its_time_or_times_out() -> None:
    one, other = logged_in()
    ask = Ask(VIN, 2016, Command.CONTROL, Control(clock(1), 3))
    other.send(ask, 1.0)
    one.receive(other.bytes_to_send(), 1.0)
    (asked,) = events_of(one)
    one.send(vehicle_side.Answer(asked, Response.ERROR), 1.0)
    other.receive(one.bytes_to_send(), 1.0)
    (answered,) = events_of(other)
    assert answered.frame.response == Response.ERROR
    assert answered.body.time == clock(1)
    later = Ask(VIN, 2016, Command.CONTROL, Control(clock(2), 3))
    other.send(later, 2.0)
    assert other.next_deadline() == 2.0 + ANSWER_TIMEOUT_S
    other.tick(2.0 + ANSWER_TIMEOUT_S)
    assert events_of(other) == [platform_side.Answered(later, None, None)]


def test_an_answer_bears_no_command_s_flag() -> None:
    one, other = logged_in()
    other.send(Ask(VIN, 2016, Command.CONTROL, Control(clock(1), 3)), 1.0)
    one.receive(other.bytes_to_send(), 1.0)
    (asked,) = events_of(one)
    with pytest.raises(LocalProtocolError):
        one.send(vehicle_side.Answer(asked, COMMAND), 1.0)
    assert one.bytes_to_send() == b""


def test_a_command_that_cannot_be_read_is_answered_with_an_error() -> None:
    one, _ = logged_in()
    broken = Frame(2016, Command.SET_PARAMETERS, COMMAND, VIN, data=clock(1) + b"\x01\x77")
    one.receive(encode_frame(broken), 1.0)
    (answer,) = frames_in(one.bytes_to_send())
    assert (answer.response, answer.data) == (Response.ERROR, clock(1))
    assert events_of(one) == []


@pytest.mark.parametrize("response", [COMMAND, Response.SUCCESS])
def test_an_activation_comes_before_the_login(response: int) -> None:
    one, other = vehicle(edition=2025), platform()
    activation = Activation(clock(0), b"1234567812345678", b"key", VIN, 1, b"r", b"s")
    request = Request(Command.ACTIVATION, activation)
    one.send(request, 0.0)
    other.receive(one.bytes_to_send(), 0.0)
    (told,) = events_of(other)
    assert told.body == activation
    answer = Frame(2025, Command.ACTIVATION_ANSWER, response, VIN, data=ActivationAnswer(1, 1).write())
    one.receive(encode_frame(answer), 0.0)
    (answered,) = events_of(one)
    assert (answered.command, answered.frame.data) == (request, b"\x01\x01")


def test_half_a_frame_holds_up_what_follows_for_a_while_only() -> None:
    one, other = logged_in()
    one.send(Send(report(1)), 1.0)
    wire = one.bytes_to_send()
    torn = encode_frame(Frame(2016, Command.CONTROL, COMMAND, VIN, data=bytes(900)))[:30]
    other.receive(torn + wire, 1.0)
    assert events_of(other) == []
    assert other.next_deadline() == 1.0 + GAP_S
    other.tick(1.0 + GAP_S)
    assert [type(event) for event in events_of(other)] == [Told]
    assert other.discarded_bytes == 30


def test_frames_that_are_no_concern_of_an_end_are_counted() -> None:
    one, other = logged_in()
    other.receive(encode_frame(Frame(2016, Command.CONTROL, Response.SUCCESS, VIN, data=clock(1))), 1.0)
    assert other.stray_frames == 1
    one.receive(b"\xff\xff", 1.0)
    assert one.discarded_bytes == 2


def test_a_logout_without_an_answer_is_over_too() -> None:
    one, _ = logged_in()
    one.send(LogOut(), 1.0)
    one.tick(1.0 + ANSWER_TIMEOUT_S)
    assert events_of(one) == [LoggedOut()]
    assert one.state is VehicleState.OUT


class Lossy:
    """Carries bytes one way; loses, doubles and damages some frames."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def __call__(self, wire: bytes) -> bytes:
        out = b""
        for frame in frames_in(wire):
            data = encode_frame(frame)
            match self.rng.randrange(10):
                case 0:
                    continue
                case 1:
                    at = self.rng.randrange(len(data))
                    data = data[:at] + bytes((data[at] ^ 1 << self.rng.randrange(8),)) + data[at + 1 :]
                case 2:
                    data += data
            out += data
        return out


class Bench:
    """Vehicle and platform on a link that loses: 40 reports, each kept until it is delivered."""

    def __init__(self, seed: int) -> None:
        self.link = Lossy(random.Random(seed))
        self.one, self.other = vehicle(answer_timeout_s=5.0), platform()
        self.live = list(range(1, 41))
        self.kept: list[Report] = []
        self.delivered: list[bytes] = []
        self.told: list[bytes] = []
        self.now = 0.0
        self.one.send(login(), 0.0)

    def step(self) -> None:
        if self.one.has_room and (self.live or self.kept):
            is_live = bool(self.live)
            body = report(self.live.pop(0)) if is_live else self.kept.pop(0)
            self.one.send(Send(body, is_reissue=not is_live), self.now)
        self.other.receive(self.link(self.one.bytes_to_send()), self.now)
        for event in events_of(self.other):
            if isinstance(event, Told):
                if isinstance(event.body, Report):
                    self.told.append(event.body.time)
                self.other.send(platform_side.Answer(event), self.now)
        self.one.receive(self.link(self.other.bytes_to_send()), self.now)
        for event in events_of(self.one):
            if isinstance(event, Undelivered):
                self.kept.append(event.command.report)
            elif isinstance(event, Delivered):
                self.delivered.append(event.command.report.time)
            assert not isinstance(event, (Refused, Asked))
        self.now += 1.0
        self.one.tick(self.now)
        self.other.tick(self.now)


@pytest.mark.parametrize("seed", range(25))
def test_through_a_link_that_loses_every_report_arrives_once(seed: int) -> None:
    bench = Bench(seed)
    for _ in range(5000):
        bench.step()
        if len(bench.delivered) == 40:
            break
    assert sorted(bench.delivered) == sorted(bench.told) == sorted(clock(number) for number in range(1, 41))
