"""Both ends against each other over a line that loses, breaks and doubles packets."""

import random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocols.hj212 import platform, site
from protocols.hj212.command import OtherCommand
from protocols.hj212.data import HourData, StartRealtime
from protocols.hj212.packet import Packet, encode_packet
from protocols.hj212.parameters import SetTimeouts
from protocols.hj212.platform import Accept, Uploaded
from protocols.hj212.site import Upload
from protocols.hj212.times import RequestNumbers, qn_of
from protocols.tests.hj212_kit import (
    DATA,
    INTERVAL,
    QN,
    REALTIME,
    a_platform,
    a_site,
    codes_of,
    events_of,
    long_data,
    said,
    wire,
)

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None)


# -- both ends -----


class Line:
    """Two dialogues and the line between them. Packets are lost, broken, doubled and cut by a seed."""

    def __init__(self, seed: int, loss: float) -> None:
        self.rng = random.Random(seed)
        self.loss = loss
        self.site = a_site()
        self.platform = a_platform()
        self.now = 0.0
        self.kept: dict[Any, int] = {}
        self.done: dict[str, int] = {}
        self.site_events: list[Any] = []
        self.platform_events: list[Any] = []

    def spoilt(self, data: bytes) -> bytes:
        chance = self.rng.random()
        if not data or chance > self.loss:
            return data
        if chance < self.loss / 3:
            return b""
        if chance < self.loss / 2:
            return data * 2
        at = self.rng.randrange(len(data))
        return data[:at] + bytes((data[at] ^ 1 << self.rng.randrange(8),)) + data[at + 1 :]

    def pump(self) -> None:
        for _ in range(20):
            self.platform.receive(self.spoilt(self.site.bytes_to_send()), self.now)
            self.site.receive(self.spoilt(self.platform.bytes_to_send()), self.now)
            for event in events_of(self.site):
                self.site_events.append(event)
                if isinstance(event, site.Requested):
                    self.done[event.qn] = self.done.get(event.qn, 0) + 1
                    self.site.send(site.Data(command=REALTIME, qn=event.qn), self.now)
                    self.site.send(site.Finish(qn=event.qn, exe_rtn=1), self.now)
            for event in events_of(self.platform):
                self.platform_events.append(event)
                if isinstance(event, Uploaded):
                    self.kept[event.key] = self.kept.get(event.key, 0) + 1
                    self.platform.send(Accept(event), self.now)

    def run(self) -> None:
        self.pump()
        for _ in range(500):
            deadlines = [one.next_deadline() for one in (self.site, self.platform)]
            due = [deadline for deadline in deadlines if deadline is not None]
            if not due:
                return
            self.now = min(due)
            self.site.tick(self.now)
            self.platform.tick(self.now)
            self.pump()
        raise AssertionError("it never ends")


def test_over_a_good_line_everything_arrives_once():
    line = Line(0, 0.0)
    numbers = RequestNumbers()
    uploads = [Upload(command=command, qn=numbers.next(0)) for command in (DATA, long_data(), DATA)]
    requests = [platform.Request(command=command, qn=numbers.next(0)) for command in (INTERVAL, StartRealtime())]
    for upload in uploads:
        line.site.send(upload, 0.0)
    for request in requests:
        line.platform.send(request, 0.0)
    line.run()
    assert [event.what for event in line.site_events if isinstance(event, site.Delivered)] == [
        uploads[0], uploads[2], uploads[1],
    ]  # fmt: skip
    finished = [event for event in line.platform_events if isinstance(event, platform.Finished)]
    assert finished == [platform.Finished(request=request, exe_rtn=1) for request in requests]
    assert set(line.kept.values()) == {1}
    assert line.site.framer.discarded_bytes == line.platform.framer.discarded_bytes == 0


@EXAMPLES
@given(st.integers(0, 2**32), st.sampled_from([0.1, 0.3, 0.6]))
@example(1, 1.0)
def test_over_a_bad_line_nothing_is_done_twice_and_nothing_confirmed_is_lost(seed, loss):
    line = Line(seed, loss)
    numbers = RequestNumbers()
    uploads = [Upload(command=command, qn=numbers.next(0)) for command in (DATA, long_data(), DATA)]
    requests = [platform.Request(command=command, qn=numbers.next(0)) for command in (INTERVAL, StartRealtime())]
    for upload in uploads:
        line.site.send(upload, 0.0)
    for request in requests:
        line.platform.send(request, 0.0)
    line.run()
    kept = {(qn, pno) for _mn, _cn, qn, _time, pno in line.kept}
    for event in line.site_events:
        if isinstance(event, site.Delivered):
            parts = (1, 2) if isinstance(event.what.command, HourData) else (None,)
            assert all((event.what.qn, part) in kept for part in parts)
    answered = sum(isinstance(event, (site.Delivered, site.Undelivered)) for event in line.site_events)
    assert answered == len(uploads)
    over = (platform.Finished, platform.Refused, platform.Unanswered, platform.NoResult)
    assert sum(isinstance(event, over) for event in line.platform_events) == len(requests)
    assert all(count == 1 for count in line.done.values())
    for event in line.platform_events:
        if isinstance(event, platform.Finished):
            assert line.done[event.request.qn] == 1


@EXAMPLES
@given(st.binary(max_size=400), st.integers(0, 9))
@example(b"##9999", 9)
@example(b"##0##", 3)
def test_any_bytes_are_passed_over_and_the_next_packet_is_taken(noise, cut):
    nobody = encode_packet(Packet(b"CP=&&" + noise.translate(None, b"\r\n") + b"&&"))  # a good check, nobody's name
    begun = wire("2051")[:cut] + noise
    for one in (a_site(), a_platform()):
        for data in (noise, begun, nobody):
            one.receive(data, 0.0)
        one.tick(100.0)
        assert events_of(one) == []
        assert one.bytes_to_send() == b""
        assert one.next_deadline() is None
        assert one.framer.waiting == 0
        assert one.framer.discarded_bytes == len(noise) + len(begun)
        assert one.counters.bad_segments + one.counters.strangers == 1
        one.receive(wire("2011"), 100.0)
        (event,) = events_of(one)
        assert isinstance(event, (site.Requested, Uploaded))


def test_a_long_piece_is_taken_whole():
    one = a_platform()
    one.receive(wire("2011", flag=4) * 500, 0.0)
    assert len(events_of(one)) == 500


def test_an_unknown_command_can_be_sent():
    one = a_platform()
    one.send(platform.Request(command=OtherCommand(code="4711"), qn=QN), 0.0)
    one.send(platform.Request(command=SetTimeouts(over_time_s=5, re_count=3), qn=qn_of(0)), 0.0)
    assert codes_of(said(one)) == ["4711", "1000"]
