"""GB/T 32960 platform: who may speak, what comes again, what cannot be read, what it keeps."""

import pytest

from protocols.core.errors import LocalProtocolError
from protocols.gbt32960 import platform as platform_side
from protocols.gbt32960.catalogue import Empty
from protocols.gbt32960.frame import (
    COMMAND,
    MAX_DATA_BYTES,
    Command,
    Frame,
    Response,
    decode_frame,
    encode_frame,
)
from protocols.gbt32960.login import PlatformLogin, VehicleLogin
from protocols.gbt32960.parameters import Control, ParameterIds
from protocols.gbt32960.platform import Ask, PartyState, Told
from protocols.gbt32960.vehicle import (
    LogIn,
    LoginFailed,
    LogOut,
    Send,
    Vehicle,
    VehicleSettings,
)
from protocols.tests.gbt32960_pair import (
    CODE,
    OTHER_VIN,
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


@pytest.mark.parametrize(("edition", "code"), [(2016, Response.ERROR), (2025, Response.UNKNOWN_VIN)])
def test_reports_without_a_login_are_refused(edition: int, code: Response) -> None:
    other = platform()
    for command in (Command.REAL_TIME, Command.VEHICLE_LOGOUT):
        other.receive(encode_frame(Frame(edition, command, COMMAND, VIN, data=clock(1) + b"\x00\x01")), 0.0)
        (answer,) = frames_in(other.bytes_to_send())
        assert (answer.response, answer.data) == (code, clock(1))
    assert events_of(other) == []


def test_a_login_that_is_refused_leaves_the_vehicle_out() -> None:
    one, other = vehicle(), platform()
    one.send(login(), 0.0)
    settle(one, other, 0.0, Response.ERROR)
    assert other.state_of(VIN) is PartyState.OUT
    assert [type(event) for event in events_of(one)] == [LoginFailed]


def test_a_platform_speaks_for_its_vehicles() -> None:
    one = Vehicle(VehicleSettings(vin=CODE, is_platform=True), clock, 0.0)
    other = platform()
    one.send(LogIn(PlatformLogin(bytes(6), 7, b"user".ljust(12, b"\0"), b"secret".ljust(20, b"\0"), 1)), 0.0)
    (told,) = settle(one, other, 0.0)
    assert "secret" not in repr(told.body)
    other.receive(encode_frame(Frame(2016, Command.REAL_TIME, COMMAND, OTHER_VIN, data=report(1).write())), 1.0)
    (told,) = events_of(other)
    assert told.frame.vin == OTHER_VIN
    # It logged in on the connection before this one.
    other.receive(encode_frame(Frame(2016, Command.VEHICLE_LOGOUT, COMMAND, OTHER_VIN, data=clock(1) + b"\0\1")), 1.5)
    (told,) = events_of(other)
    assert (told.frame.vin, told.frame.command) == (OTHER_VIN, Command.VEHICLE_LOGOUT)
    other.send(platform_side.Answer(told), 1.5)
    assert other.state_of(CODE) is PartyState.IN
    one.send(LogOut(), 2.0)
    settle(one, other, 2.0)
    other.receive(encode_frame(Frame(2016, Command.REAL_TIME, COMMAND, OTHER_VIN, data=report(2).write())), 3.0)
    assert events_of(other) == []
    assert decode_frame(other.bytes_to_send()).response == Response.ERROR


def test_what_comes_again_before_it_is_answered_is_told_once() -> None:
    one, other = logged_in()
    one.send(Send(report(1)), 1.0)
    wire = one.bytes_to_send()
    other.receive(wire + wire, 1.0)
    (told,) = events_of(other)
    assert other.bytes_to_send() == b""
    other.send(platform_side.Answer(told), 1.0)
    other.receive(wire, 2.0)
    assert len(frames_in(other.bytes_to_send())) == 2
    assert events_of(other) == []


def test_a_data_unit_that_cannot_be_read_is_answered_with_an_error() -> None:
    one, other = logged_in()
    del one
    broken = Frame(2016, Command.REAL_TIME, COMMAND, VIN, data=clock(1) + b"\x7d")
    other.receive(encode_frame(broken), 1.0)
    assert events_of(other) == []
    assert other.bad_bodies == 1
    assert decode_frame(other.bytes_to_send()).response == Response.ERROR
    other.receive(encode_frame(Frame(2016, Command.VEHICLE_LOGOUT, COMMAND, VIN, data=clock(2))), 2.0)
    assert decode_frame(other.bytes_to_send()).response == Response.ERROR
    assert other.state_of(VIN) is PartyState.IN


def test_the_longest_frame_arrives_with_more_behind_it() -> None:
    _, other = logged_in()
    control = Control(clock(1), 1, bytes(MAX_DATA_BYTES - 7))
    longest = encode_frame(Frame(2016, Command.CONTROL, COMMAND, VIN, data=control.write()))
    other.receive(longest + encode_frame(Frame(2016, Command.HEARTBEAT, COMMAND, VIN)), 1.0)
    (told,) = events_of(other)
    assert told.body == control
    assert [frame.command for frame in frames_in(other.bytes_to_send())] == [Command.HEARTBEAT]
    assert other.discarded_bytes == 0


def test_the_platform_bounds_what_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_side, "MAX_PARTIES", 3)
    monkeypatch.setattr(platform_side, "REMEMBERED", 5)
    monkeypatch.setattr(platform_side, "MAX_IN_FLIGHT", 2)
    other = platform()
    for number in range(5):
        vin = b"LZYTAGBW0G%07d" % number
        data = VehicleLogin(clock(number), 1, bytes(20)).write()
        other.receive(encode_frame(Frame(2016, Command.VEHICLE_LOGIN, COMMAND, vin, data=data)), 0.0)
    assert len(events_of(other)) == 3
    assert [frame.response for frame in frames_in(other.bytes_to_send())] == [Response.ERROR] * 2
    states = [other.state_of(b"LZYTAGBW0G%07d" % number) for number in range(5)]
    assert states == [PartyState.ASKED] * 3 + [PartyState.OUT] * 2
    one, third = logged_in()
    for number in range(20):
        one.send(Send(report(number)), 1.0)
        settle(one, third, 1.0)
    assert len(third._answers) == 5
    for number in range(2):
        third.send(Ask(VIN, 2016, Command.HEARTBEAT, Empty()), float(number))
    with pytest.raises(LocalProtocolError):
        third.send(Ask(VIN, 2016, Command.HEARTBEAT, Empty()), 3.0)
    with pytest.raises(LocalProtocolError):
        third.send(platform_side.Answer(Told(Frame(2016, 2, COMMAND, VIN), Empty()), COMMAND), 3.0)


def test_an_answer_that_cannot_be_read_is_told_without_its_body() -> None:
    _, other = logged_in()
    ask = Ask(VIN, 2016, Command.QUERY_PARAMETERS, ParameterIds(clock(1), b"\x01"))
    other.send(ask, 1.0)
    answer = Frame(2016, Command.QUERY_PARAMETERS, Response.SUCCESS, VIN, data=clock(1) + b"\x01\x77")
    other.receive(encode_frame(answer), 1.0)
    assert events_of(other) == [platform_side.Answered(ask, answer, None)]
    assert other.bad_bodies == 1
