"""Survey station and data centre against each other, also through a link that loses, and every timer."""

import random
from typing import Any

import pytest

from protocols.core.errors import LocalProtocolError
from protocols.tests.kit import events_of, frames_of
from protocols.tests.lossy_link import LossyLink
from protocols.traffic_survey.survey_centre import (
    MAX_KNOWN,
    Accept,
    Acknowledge,
    Ask,
    Centre,
    CentreSettings,
    CentreState,
    Received,
    Told,
)
from protocols.traffic_survey.survey_commands import (
    Moment,
    OtherPacket,
    PacketType,
    Resend,
    Setting,
    decode_packet,
    encode_packet,
)
from protocols.traffic_survey.survey_frame import Frame, encode_frame, survey_framer
from protocols.traffic_survey.survey_link import GAP_S, key_of, reply_to
from protocols.traffic_survey.survey_records import (
    ACCEPTED,
    BAD_CRC,
    BAD_FORMAT,
    ClassCount,
    IntervalRecord,
    Lane,
    VehicleRecord,
)
from protocols.traffic_survey.survey_station import (
    ACCEPT_TIMEOUT_S,
    MAX_IN_FLIGHT,
    MAX_REPEATS,
    REPLY_TIMEOUT_S,
    Accepted,
    Asked,
    Delivered,
    NotAccepted,
    Refused,
    Send,
    Station,
    StationSettings,
    StationState,
    Undelivered,
    Wanted,
)

DEVICE = b"0044010000000012"
ACCEPTANCE = encode_frame(Frame(b"\x02\xff\xff"))


def vehicle(serial: int) -> VehicleRecord:
    return VehicleRecord(DEVICE, 0, 2025, 3, 9, 23, 59, 59, 999, serial, 12, 6, 88)


def interval(index: int) -> IntervalRecord:
    lane = Lane(11, 10, 40, 5, (ClassCount(3, 60),) * 6)
    return IntervalRecord(DEVICE, b"S227J205320584\x00", 0, 1, 2025, 3, 9, 5, index, (lane,))


def accepted_station(**changes: Any) -> Station:
    station = Station(StationSettings(**changes), 0.0)
    station.receive(ACCEPTANCE, 0.0)
    assert events_of(station) == [Accepted(b"\xff\xff")]
    assert packets_of(station.bytes_to_send()) == [OtherPacket(PacketType.PARAMETERS, b"")]
    return station


def accepting_centre(device_class: int = 2) -> Centre:
    centre = Centre(CentreSettings(device_class=device_class))
    centre.send(Accept(), 0.0)
    assert centre.bytes_to_send() == ACCEPTANCE
    return centre


def packets_of(wire: bytes) -> list[Any]:
    framer = survey_framer()
    framer.feed(wire)
    packets = [decode_packet(frame.data, 2) for frame in frames_of(framer)]
    assert framer.discarded_bytes == framer.waiting == 0
    return packets


def wire_of(packet: Any) -> bytes:
    return encode_frame(Frame(encode_packet(packet)))


@pytest.mark.parametrize("record", [vehicle(70001), interval(288)])
def test_a_record_is_told_acknowledged_and_delivered(record: Any) -> None:
    station, centre = accepted_station(), accepting_centre()
    command = Send(record)
    station.send(command, 1.0)
    centre.receive(station.bytes_to_send(), 1.1)
    assert events_of(centre) == [Received(record)]
    assert centre.bytes_to_send() == b""  # nothing before it is stored
    centre.send(Acknowledge(record), 1.2)
    station.receive(centre.bytes_to_send(), 1.3)
    assert events_of(station) == [Delivered(command)]
    assert station.next_deadline() is None


def test_the_reply_is_the_one_of_the_vectors() -> None:
    assert wire_of(reply_to(vehicle(70001), ACCEPTED)).hex() == (
        "aaaa1a001a30303434303130303030303030303132e9070309711101ffff2f61eeee"
    )


def test_nothing_is_sent_before_the_acceptance() -> None:
    station = Station(StationSettings(), 0.0)
    with pytest.raises(LocalProtocolError):
        station.send(Send(vehicle(1)), 0.0)
    assert station.next_deadline() == ACCEPT_TIMEOUT_S
    station.tick(ACCEPT_TIMEOUT_S - 0.1)
    assert station.state is StationState.CONNECTED
    station.tick(ACCEPT_TIMEOUT_S)
    assert events_of(station) == [NotAccepted()]
    station.receive(ACCEPTANCE, ACCEPT_TIMEOUT_S)  # too late
    assert station.state is StationState.USELESS
    assert events_of(station) == []
    assert station.next_deadline() is None


def test_the_parameters_go_out_on_acceptance() -> None:
    station = Station(StationSettings(parameters=b"abc"), 0.0)
    station.receive(ACCEPTANCE, 0.0)
    centre = accepting_centre()
    centre.receive(station.bytes_to_send(), 0.0)
    assert events_of(centre) == [Told(OtherPacket(PacketType.PARAMETERS, b"abc"))]


def test_parameters_that_no_frame_carries() -> None:
    with pytest.raises(LocalProtocolError):
        Station(StationSettings(parameters=bytes(20_000)), 0.0)


def test_a_record_without_a_reply_is_repeated_then_undelivered() -> None:
    station = accepted_station()
    command = Send(vehicle(1))
    station.send(command, 0.0)
    first = station.bytes_to_send()
    for number in range(1, MAX_REPEATS + 1):
        assert station.next_deadline() == number * REPLY_TIMEOUT_S
        station.tick(number * REPLY_TIMEOUT_S - 0.01)
        assert station.bytes_to_send() == b""
        station.tick(number * REPLY_TIMEOUT_S)
        assert station.bytes_to_send() == first
    station.tick((MAX_REPEATS + 1) * REPLY_TIMEOUT_S)
    assert station.bytes_to_send() == b""
    assert events_of(station) == [Undelivered(command)]
    station.receive(wire_of(reply_to(vehicle(1), ACCEPTED)), 99.0)
    assert events_of(station) == []
    assert station.stray_packets == 1


def test_a_broken_crc_is_repeated_at_once_and_a_refusal_is_final() -> None:
    station = accepted_station(max_repeats=1)
    one, two = Send(vehicle(1)), Send(vehicle(2))
    station.send(one, 0.0)
    station.send(two, 0.0)
    station.bytes_to_send()
    station.receive(wire_of(reply_to(vehicle(1), BAD_CRC)), 0.5)
    assert packets_of(station.bytes_to_send()) == [vehicle(1)]
    station.receive(wire_of(reply_to(vehicle(2), BAD_FORMAT)), 0.5)
    station.receive(wire_of(reply_to(vehicle(1), BAD_CRC)), 0.6)
    assert events_of(station) == [Refused(two, BAD_FORMAT), Undelivered(one)]


def test_so_many_records_wait_and_no_more() -> None:
    station = accepted_station()
    commands = [Send(vehicle(number)) for number in range(MAX_IN_FLIGHT)]
    for command in commands:
        assert station.has_room
        station.send(command, 0.0)
    assert not station.has_room
    with pytest.raises(LocalProtocolError):
        station.send(Send(vehicle(99)), 0.0)
    assert station.abandon() == commands
    assert station.has_room


def test_a_number_that_waits_is_not_sent_twice() -> None:
    station = accepted_station()
    station.send(Send(vehicle(1)), 0.0)
    with pytest.raises(LocalProtocolError):
        station.send(Send(vehicle(1)), 0.0)
    with pytest.raises(LocalProtocolError):
        station.send(Send(vehicle(1 << 24)), 0.0)


def test_a_known_record_is_told_once_and_acknowledged_again() -> None:
    centre = accepting_centre()
    wire = wire_of(vehicle(1))
    centre.receive(wire + wire, 0.0)
    assert events_of(centre) == [Received(vehicle(1))]
    assert centre.bytes_to_send() == b""  # the caller still has it
    centre.send(Acknowledge(vehicle(1), BAD_FORMAT), 0.0)
    reply = centre.bytes_to_send()
    assert packets_of(reply) == [reply_to(vehicle(1), BAD_FORMAT)]
    centre.receive(wire, 0.0)
    assert events_of(centre) == []
    assert centre.bytes_to_send() == reply


def test_the_same_number_with_another_vehicle_is_new() -> None:
    centre = accepting_centre()
    other = VehicleRecord(DEVICE, 0, 2025, 3, 9, 1, 0, 0, 0, 1, 12, 6, 30)  # counting began anew
    centre.receive(wire_of(vehicle(1)) + wire_of(other), 0.0)
    assert events_of(centre) == [Received(vehicle(1)), Received(other)]


def test_so_many_records_are_known_and_no_more() -> None:
    centre = accepting_centre()
    for number in range(MAX_KNOWN + 1):
        centre.receive(wire_of(vehicle(number)), 0.0)
    assert len(events_of(centre)) == MAX_KNOWN + 1
    with pytest.raises(LocalProtocolError):
        centre.send(Acknowledge(vehicle(0)), 0.0)
    centre.send(Acknowledge(vehicle(1)), 0.0)


def test_a_centre_takes_no_record_before_it_accepts() -> None:
    centre = Centre(CentreSettings())
    centre.receive(wire_of(vehicle(1)), 0.0)
    assert events_of(centre) == []
    assert centre.stray_packets == 1
    for command in (Ask(Resend(0x09, Moment(0, 0, 0, 0, 0), Moment(0, 0, 0, 0, 0))), Acknowledge(vehicle(1))):
        with pytest.raises(LocalProtocolError):
            centre.send(command, 0.0)
    assert centre.state is CentreState.CONNECTED


def test_a_record_of_the_other_class_of_device_is_not_read() -> None:
    centre = accepting_centre(device_class=1)
    centre.receive(wire_of(interval(1)), 0.0)
    assert events_of(centre) == []
    assert centre.stray_packets == 1


def test_what_a_centre_asks_reaches_the_station() -> None:
    station, centre = accepted_station(), accepting_centre()
    resend = Resend(PacketType.RESEND_INTERVALS, Moment(2025, 3, 9, 0, 0), Moment(2025, 3, 9, 1, 0))
    setting = Setting(PacketType.SET_PERIOD, b"operator", b"password", b"\x05")
    for packet in (resend, setting):
        centre.send(Ask(packet), 0.0)
    station.receive(centre.bytes_to_send(), 0.1)
    assert events_of(station) == [Wanted(resend), Asked(setting)]
    station.receive(encode_frame(Frame(b"\x77abc")) + wire_of(vehicle(1)) + encode_frame(Frame(b"\x1a")), 0.1)
    assert events_of(station) == [Asked(OtherPacket(0x77, b"abc"))]
    assert station.stray_packets == 2


@pytest.mark.parametrize("make", [accepted_station, accepting_centre])
def test_half_a_frame_holds_up_what_follows_for_a_while(make: Any) -> None:
    dialogue = make()
    dialogue.receive(b"\xaa\xaa\x00\x40" + encode_frame(Frame(b"\x77")), 1.0)
    assert events_of(dialogue) == []
    assert dialogue.next_deadline() == 1.0 + GAP_S
    dialogue.tick(1.0 + GAP_S - 0.1)
    assert events_of(dialogue) == []
    dialogue.tick(1.0 + GAP_S)
    assert len(events_of(dialogue)) == 1
    assert dialogue.framer.discarded_bytes == 4


def test_a_record_and_its_reply_have_the_same_key() -> None:
    for record in (vehicle(3), interval(4)):
        assert key_of(record) == key_of(reply_to(record, ACCEPTED))
    assert key_of(vehicle(3)) != key_of(interval(3))


class StoringCentre(Centre):
    """Stores and acknowledges at once."""

    def __init__(self) -> None:
        super().__init__(CentreSettings(device_class=2))
        self.stored: list[Any] = []

    def receive(self, data: bytes, now: float) -> None:
        super().receive(data, now)
        for event in events_of(self):
            if isinstance(event, Received):
                self.stored.append(event.record)
                self.send(Acknowledge(event.record), now)


@pytest.mark.parametrize("seed", range(25))
def test_through_a_link_that_loses_no_record_is_lost_or_doubled(seed: int) -> None:
    station, centre = accepted_station(max_repeats=30), StoringCentre()
    centre.send(Accept(), 0.0)
    centre.bytes_to_send()
    link = LossyLink(station, centre, seed=seed, rate=0.3)
    records = [interval(number) if number % 5 == 0 else vehicle(number) for number in range(1, 41)]
    commands = []
    for record in records:
        while not station.has_room:
            link.run()
        commands.append(Send(record))
        station.send(commands[-1], link.now)
        link.pump()
    link.run()
    delivered = [event.command for event in link.left_events if isinstance(event, Delivered)]
    assert sorted(map(commands.index, delivered)) == list(range(len(commands)))
    assert sorted(map(records.index, centre.stored)) == list(range(len(records)))


def any_packet(rng: random.Random) -> bytes:
    """Right and wrong replies, records, commands, and what is no packet."""
    record = rng.choice((vehicle, interval))(rng.randrange(4))
    match rng.randrange(7):
        case 0:
            return ACCEPTANCE
        case 1:
            return wire_of(record)
        case 2 | 3:
            return wire_of(reply_to(record, rng.choice((ACCEPTED, BAD_CRC, BAD_FORMAT, 7))))
        case 4:
            return wire_of(Resend(rng.choice((0x09, 0x19)), Moment(2025, 3, 9, 0, 0), Moment(0, 0, 0, 0, 0)))
        case 5:
            return encode_frame(Frame(rng.randbytes(rng.randrange(1, 60))))
        case _:
            return rng.randbytes(rng.randrange(40))


@pytest.mark.parametrize("seed", range(20))
def test_nothing_breaks_either_end(seed: int) -> None:
    rng = random.Random(seed)
    station, centre = Station(StationSettings(), 0.0), accepting_centre()
    now = 0.0
    sent: list[Send] = []
    ended: list[Send] = []
    for number in range(400):
        for end in (station, centre):
            end.receive(any_packet(rng), now)
        if station.has_room:
            sent.append(Send(rng.choice((vehicle, interval))(number + 4)))
            station.send(sent[-1], now)
            centre.receive(wire_of(sent[-1].record), now)
        for event in events_of(centre):
            if isinstance(event, Received):
                centre.send(Acknowledge(event.record), now)
        station.receive(centre.bytes_to_send(), now)
        now += rng.choice((0.0, 0.1, REPLY_TIMEOUT_S))
        for end in (station, centre):
            end.tick(now)
        ended += [one.command for one in events_of(station) if isinstance(one, (Delivered, Refused, Undelivered))]
        assert len(station.bytes_to_send()) < 40_000
    ended += station.abandon()
    assert sorted(map(id, ended)) == sorted(map(id, sent))
