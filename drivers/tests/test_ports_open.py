"""URLs of ports, ports in memory, and the pump over them."""

import asyncio
import re
from collections import deque

import pytest

from drivers.errors import DeviceConfigError, PortError
from drivers.exchange import Exchange
from drivers.ports.memory_port import memory_pair
from drivers.ports.open_port import check_port_url, open_port
from drivers.ports.port import LineSettings
from drivers.tests.bench_of_one import Ear, LoopClock, until
from protocols.core.errors import NEED_DATA, FrameError, LocalProtocolError

RIGHT = [
    "serial:/dev/ttyS1",
    "serial:/dev/serial/by-id/usb-A10K3F?baud=9600&parity=N",
    "serial:usb=A10K3F?baud=19200&parity=e&bits=8&stop=2",
    "pty:/dev/pts/4?baud=115200",
    "tcp:10.0.0.7:502",
    "tcp:meter.example:1502",
    "tcp:[fd00::7]:502",
]
WRONG = [
    ("/dev/ttyS1", "starts with serial:"),
    ("", "starts with serial:"),
    ("udp:10.0.0.7:502", "starts with serial:"),
    ("serial:", "whole path"),
    ("serial:ttyS1", "whole path"),
    ("serial:usb=", "serial number"),
    ("serial:/dev/ttyS1?baud=fast", "baud is a number from 50"),
    ("serial:/dev/ttyS1?baud=0", "baud is a number from 50"),
    ("serial:/dev/ttyS1?parity=X", "parity is N, E or O"),
    ("serial:/dev/ttyS1?bits=9", "bits is a number from 7 to 8"),
    ("serial:/dev/ttyS1?stop=3", "stop is a number from 1 to 2"),
    ("serial:/dev/ttyS1?speed=9600", "baud, bits, parity and stop"),
    ("serial:/dev/ttyS1?baud=9600&baud=9600", "stands twice"),
    ("serial:/dev/ttyS1?baud", "are written"),
    ("tcp:10.0.0.7", "tcp:HOST:PORT"),
    ("tcp::502", "tcp:HOST:PORT"),
    ("tcp:a b:502", "tcp:HOST:PORT"),
    ("tcp:a\0b:502", "tcp:HOST:PORT"),
    ("tcp:meter..example:502", "1 to 63 characters"),
    (f"tcp:{'m' * 64}:502", "1 to 63 characters"),
    ("tcp:10.0.0.7:0", "1 to 65535"),
    ("tcp:10.0.0.7:70000", "1 to 65535"),
    ("tcp:fd00::7:502", "brackets"),
]


@pytest.mark.parametrize("url", RIGHT)
def test_a_right_url_opens_nothing_and_is_a_port(url):
    assert check_port_url(url) is None
    assert open_port(url).name == url


@pytest.mark.parametrize(("url", "says"), WRONG)
def test_a_wrong_url_says_what_would_be_right(url, says):
    assert says in check_port_url(url)
    with pytest.raises(DeviceConfigError, match=re.escape(f"{url}: ")):
        open_port(url)


async def test_two_ends_in_memory_hear_each_other():
    near, far = memory_pair(LineSettings(baud=19200))
    ears = Ear(), Ear()
    await near.open(ears[0])
    await far.open(ears[1])
    near.write(b"there")
    far.write(b"back")
    assert ears[1].heard == b""  # never inside write()
    await until(lambda: (ears[0].heard, ears[1].heard) == (b"back", b"there"))
    near.alter = lambda data: (data[:1], data[1:] * 2)
    near.write(b"ab")
    await until(lambda: ears[1].heard == b"thereabb")
    far.lose()
    assert len(ears[1].losses) == 1
    with pytest.raises(PortError):
        far.write(b"x")
    near.refusal = PortError("no")
    await near.aclose()
    with pytest.raises(PortError, match="no"):
        await near.open(ears[0])


class Echo:
    """A dialogue: sends each command, hands up each line, hates `!`, and says `tick` at its deadline."""

    def __init__(self) -> None:
        self.wire = b""
        self.events = deque()
        self.deadline = None
        self.ticked_at = []

    def receive(self, data, now):
        if b"!" in data:
            raise FrameError("no shouting")
        self.events.append(data)

    def next_event(self):
        return self.events.popleft() if self.events else NEED_DATA

    def send(self, command, now):
        if not command:
            raise LocalProtocolError("nothing to say")
        self.wire += command

    def bytes_to_send(self):
        wire, self.wire = self.wire, b""
        return wire

    def next_deadline(self):
        return self.deadline

    def tick(self, now):
        self.ticked_at.append(now)
        self.deadline = None
        self.wire += b"tick"


async def test_the_pump_moves_bytes_events_and_time():
    near, far = memory_pair()
    ear, dialogue, events, trace, violations = Ear(), Echo(), [], [], []
    await far.open(ear)

    def on_event(event):
        events.append(event)
        if event == b"ask":
            exchange.send(b"answer")  # from inside the pump

    exchange = Exchange(
        near,
        dialogue,
        LoopClock(),
        on_event=on_event,
        on_lost=events.append,
        on_violation=violations.append,
        trace=lambda at, way, wire: trace.append((way, wire)),
    )
    await exchange.open()
    exchange.send(b"hello")
    await until(lambda: ear.heard == b"hello")
    far.write(b"ask")
    await until(lambda: ear.heard == b"helloanswer")
    far.write(b"!")
    await until(lambda: violations)
    with pytest.raises(LocalProtocolError):
        exchange.send(b"")
    dialogue.deadline = LoopClock().monotonic() + 0.02
    exchange.pump()
    await until(lambda: ear.heard == b"helloanswertick")
    assert trace == [("out", b"hello"), ("in", b"ask"), ("out", b"answer"), ("in", b"!"), ("out", b"tick")]
    near.lose(PortError("gone"))
    assert str(events[-1]) == "gone"
    assert not exchange.is_open
    await exchange.aclose()


async def test_an_earlier_deadline_overtakes_and_a_later_one_is_kept():
    near, _far = memory_pair()
    dialogue = Echo()
    exchange = Exchange(near, dialogue, LoopClock(), on_event=print, on_lost=print)
    now = LoopClock().monotonic()
    dialogue.deadline = now + 60
    await exchange.open()
    dialogue.deadline = now + 0.02
    exchange.pump()
    await until(lambda: dialogue.ticked_at)
    assert dialogue.ticked_at[0] >= now + 0.02
    dialogue.deadline = LoopClock().monotonic() + 0.01
    exchange.pump()
    dialogue.deadline += 0.03  # moved later: the armed timer finds nothing due
    want = dialogue.deadline
    await until(lambda: len(dialogue.ticked_at) == 2)
    assert dialogue.ticked_at[1] >= want
    await exchange.aclose()


async def test_fine_deadlines_are_met_within_a_fraction_of_a_millisecond():
    near, _far = memory_pair()
    dialogue = Echo()
    exchange = Exchange(near, dialogue, LoopClock(), on_event=print, on_lost=print, fine=True)
    await exchange.open()
    late = []
    for _ in range(40):
        dialogue.deadline = want = LoopClock().monotonic() + 0.00375
        before = len(dialogue.ticked_at)
        exchange.pump()
        await until(lambda before=before: len(dialogue.ticked_at) > before)
        assert dialogue.ticked_at[-1] >= want
        late.append(dialogue.ticked_at[-1] - want)
    assert sorted(late)[len(late) // 4] < 0.0004  # a quarter of them at least, however busy the machine
    await exchange.aclose()


async def test_a_write_that_fails_is_a_lost_port():
    near, _far = memory_pair()
    lost = []
    exchange = Exchange(near, Echo(), LoopClock(), on_event=print, on_lost=lost.append)
    await exchange.open()
    await near.aclose()
    exchange.send(b"x")
    await asyncio.sleep(0)
    assert len(lost) == 1
    await exchange.aclose()
