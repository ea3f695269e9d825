r"""Talks with an ELM327 and, through it, with the vehicle: a dialogue without I/O (ELM327 data sheet).

Nothing is sent before the prompt. `Connect` ends what may be running, resets the adapter, sets it up (no echo, no
linefeeds, headers on), lets it find the vehicle's protocol, and tries each in turn where it finds none. After that one
`Ask` is in flight. Without a reply in time a harmless command stops what runs, and what comes within a second is thrown
away. An adapter that stays silent, or that says its own name, has lost its settings: that is `Lost`, and `Connect`
begins anew. During set-up a reply that cannot be that of the command in flight came late, and is passed over.

What each event leads to stands in `ElmDialogue.TRANSITIONS`.

>>> elm = ElmDialogue()
>>> elm.send(Connect(), now=0.0)
>>> elm.tick(elm.next_deadline())
>>> elm.bytes_to_send()
b'AT@1\rATZ\r'
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, NeedData
from protocols.dialogue import StreamEnd
from protocols.vehicle_bus.elm import (
    EMPTY,
    OK,
    PROTOCOL_NUMBER,
    Framer,
    Reply,
    decode_reply,
    encode_command,
    is_setting,
)
from protocols.vehicle_bus.elm_answers import Answers, read_lines

SETTLE_S = 0.5
"""What an interrupted command still says is over by then."""
SETTING_TIMEOUT_S = 3.0
"""ATZ takes a second, the others some milliseconds."""
SEARCH_TIMEOUT_S = 20.0
"""A search through all protocols, each with its bus initialisation."""
ASK_TIMEOUT_S = 6.0
"""An ECU may promise its answer for five seconds."""
STOP_TIMEOUT_S = 1.0
MAX_STOPS = 3
SET_UP = ("ATZ", "ATE0", "ATL0", "ATH1", "ATSP0")
SEARCH = "0100"
PROTOCOLS_TO_TRY = "681792345A"
"""In this order, as python-OBD does."""
_BUSES = {"6": "can11", "8": "can11", "B": "can11", "7": "can29", "9": "can29", "A": "can29", "C": "can29"}
_NAME = "ELM327"
_VERSION = re.compile(r"v\d", re.IGNORECASE)
"""Every adapter says its version when it was reset, clones and others too."""
_DONE = "OK"
_PROBE = b"AT@1\r"
"""Its first character stops what runs; an idle adapter tells what it is. A bare CR would repeat the last command."""
_BLANK = b" "
"""Stops what is known to run."""


class Connect(msgspec.Struct, frozen=True):
    """Reset the adapter, set it up and find the vehicle."""


class Ask(msgspec.Struct, frozen=True):
    """A request in hex digits, or a setting (AT..)."""

    request: str
    timeout_s: float = ASK_TIMEOUT_S


class Stop(msgspec.Struct, frozen=True):
    """End what runs, such as ATMA; its reply comes nevertheless."""


class Connected(msgspec.Struct, frozen=True):
    """The vehicle answers. protocol: the adapter's number for it; bus: can11, can29 or kline."""

    adapter: str
    protocol: str
    bus: str


class NoVehicle(msgspec.Struct, frozen=True):
    """The adapter is there, but no protocol brought an answer. status: of the last attempt."""

    status: str


class Replied(msgspec.Struct, frozen=True):
    """A reply. answers: what it holds, for a request to the vehicle."""

    request: str
    reply: Reply
    answers: Answers | None


class Failed(msgspec.Struct, frozen=True):
    """No reply in time; the adapter is ready again."""

    request: str


class Lost(msgspec.Struct, frozen=True):
    """The adapter is silent, or has been reset and knows nothing of its settings."""

    reason: str


ElmCommand = Connect | Ask | Stop
ElmEvent = Connected | NoVehicle | Replied | Failed | Lost


class ElmState(Enum):
    """Where the dialogue stands."""

    CLOSED = "closed"
    SETTLING = "settling"
    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    STOPPING = "stopping"


class ElmStimulus(Enum):
    """What may happen to it."""

    CONNECT = "Connect"
    NEXT = "prompt, more to set up"
    CONNECTED = "prompt, protocol known"
    NO_VEHICLE = "prompt, all protocols tried"
    ASK = "Ask"
    STOP = "Stop"
    REPLY = "prompt"
    RESTARTED = "the adapter says its name, or a prompt unasked"
    SILENCE = "silence"
    STOPPED = "a prompt came within a second"
    SPENT = "silence, stops spent"


class ElmDialogue(StreamEnd[ElmEvent]):
    """One adapter."""

    def __init__(self) -> None:
        super().__init__()
        self._state = ElmState.CLOSED
        self.framer = Framer()
        self._deadline: float | None = None
        self._steps: deque[str] = deque()
        self._to_try: deque[str] = deque()
        self._request = ""
        self._timeout_s = 0.0
        self._reply = Reply(EMPTY, (), ">")
        self._adapter = ""
        self._protocol = ""
        self._status = ""
        self._stops = 0
        self._is_stopped = False
        self.late_replies = 0
        """Replies during set-up that belonged to an earlier command."""

    @property
    def state(self) -> ElmState:
        """Where it stands."""
        return self._state

    @property
    def bus(self) -> str:
        """What the vehicle speaks, once that is known: can11, can29 or kline."""
        return _BUSES.get(self._protocol, "kline")

    def send(self, command: ElmCommand, now: float) -> None:
        """Connect, ask or stop. Raises `LocalProtocolError` where that is not possible now."""
        match command:
            case Connect():
                stimulus = ElmStimulus.CONNECT
            case Stop():
                stimulus = ElmStimulus.STOP
            case Ask():
                stimulus = ElmStimulus.ASK
                encode_command(command.request)
        if (self._state, stimulus) not in self.TRANSITIONS:
            raise LocalProtocolError(f"not possible while {self._state.value}")
        if isinstance(command, Ask):
            self._request, self._timeout_s = command.request, command.timeout_s
        self._step(stimulus, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing."""
        self.framer.feed(data)
        while not isinstance(frame := self.framer.next_frame(), NeedData):
            self._reply = decode_reply(frame.decode("latin-1"), self._request)
            if self._state is ElmState.STARTING and self._is_late():
                self.late_replies += 1
                continue
            stimulus = self._judge()
            if (self._state, stimulus) in self.TRANSITIONS:
                self._step(stimulus, now)

    def next_deadline(self) -> float | None:
        """When the prompt must have come."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._deadline is not None and now >= self._deadline:
            self._step(self._silence(), now)

    def _silence(self) -> ElmStimulus:
        if self._state is not ElmState.STOPPING:
            return ElmStimulus.SILENCE
        if self._is_stopped:
            return ElmStimulus.STOPPED
        return ElmStimulus.SPENT if self._stops >= MAX_STOPS else ElmStimulus.SILENCE

    def _judge(self) -> ElmStimulus:
        if self._state is ElmState.STARTING:
            return self._judge_set_up()
        is_reset = any(_NAME in line for line in self._reply.lines) and not is_setting(self._request)
        return ElmStimulus.RESTARTED if self._state is ElmState.READY or is_reset else ElmStimulus.REPLY

    def _is_late(self) -> bool:
        """Whether a reply during set-up is no reply to the command in flight, which will still get its own."""
        reply = self._reply
        if reply.status not in {OK, EMPTY}:
            return self._request == SET_UP[0]  # what became of the probe
        last = reply.lines[-1] if reply.lines else ""
        match self._request:
            case "ATZ":
                return _VERSION.search(last) is None
            case "ATDPN":
                return PROTOCOL_NUMBER.fullmatch(last) is None
            case request if is_setting(request):
                return last != _DONE
            case _:
                return last in {"", _DONE} or _NAME in last

    def _judge_set_up(self) -> ElmStimulus:
        """What a reply during set-up leads to; it also remembers what the reply said."""
        if self._request == "ATZ":
            self._adapter = self._reply.lines[-1] if self._reply.lines else ""
        elif self._request == SEARCH:
            self._status = self._reply.status
            if self._is_answer():
                self._steps.append("ATDPN")
            elif self._to_try:
                self._steps += (f"ATTP{self._to_try.popleft()}", SEARCH)
        elif self._request == "ATDPN" and self._reply.status == OK:
            self._protocol = self._reply.lines[-1][-1:].upper()
            return ElmStimulus.CONNECTED
        return ElmStimulus.NEXT if self._steps else ElmStimulus.NO_VEHICLE

    def _is_answer(self) -> bool:
        """Whether some ECU said which PIDs it has; how its header looks is not known yet."""
        return self._reply.status == OK and any("4100" in "".join(line.split()) for line in self._reply.lines)

    def _step(self, stimulus: ElmStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _put(self, request: str, timeout_s: float, now: float) -> None:
        self._request = request
        self._outgoing += encode_command(request)
        self._deadline = now + timeout_s

    def _settle(self, now: float) -> None:
        self._outgoing += _PROBE
        self._deadline = now + SETTLE_S

    def _set_up(self, now: float) -> None:
        self.framer.reset()
        self._steps = deque(SET_UP)
        self._steps.append(SEARCH)
        self._to_try = deque(PROTOCOLS_TO_TRY)
        self._protocol = ""
        self._next(now)

    def _next(self, now: float) -> None:
        request = self._steps.popleft()
        self._put(request, SEARCH_TIMEOUT_S if request == SEARCH else SETTING_TIMEOUT_S, now)

    def _connected(self, _now: float) -> None:
        self._deadline = None
        self._events.append(Connected(self._adapter, self._protocol, self.bus))

    def _no_vehicle(self, _now: float) -> None:
        self._deadline = None
        self._events.append(NoVehicle(self._status))

    def _ask(self, now: float) -> None:
        self._stops = 0
        self.framer.reset()
        self._put(self._request, self._timeout_s, now)

    def _stop(self, _now: float) -> None:
        self._outgoing += _BLANK

    def _probe(self, now: float) -> None:
        self._stops += 1
        self._is_stopped = False
        self._outgoing += _PROBE
        self._deadline = now + STOP_TIMEOUT_S

    def _drain(self, _now: float) -> None:
        """There may be two prompts, of what was stopped and of what stopped it."""
        self._is_stopped = True

    def _replied(self, _now: float) -> None:
        self._deadline = None
        answers = None
        if not is_setting(self._request):
            answers = read_lines(self._reply.lines, bus=self.bus, has_headers=True)
        self._events.append(Replied(self._request, self._reply, answers))

    def _failed(self, _now: float) -> None:
        self._deadline = None
        self._events.append(Failed(self._request))

    def _restarted(self, _now: float) -> None:
        self._lose("the adapter was reset")

    def _silent(self, _now: float) -> None:
        self._lose("the adapter is silent")

    def _lose(self, reason: str) -> None:
        self._deadline = None
        self._events.append(Lost(reason))

    TRANSITIONS: ClassVar[
        Mapping[tuple[ElmState, ElmStimulus], tuple[Callable[["ElmDialogue", float], None], ElmState]]
    ] = {
        (ElmState.CLOSED, ElmStimulus.CONNECT): (_settle, ElmState.SETTLING),
        (ElmState.SETTLING, ElmStimulus.SILENCE): (_set_up, ElmState.STARTING),
        (ElmState.STARTING, ElmStimulus.NEXT): (_next, ElmState.STARTING),
        (ElmState.STARTING, ElmStimulus.CONNECTED): (_connected, ElmState.READY),
        (ElmState.STARTING, ElmStimulus.NO_VEHICLE): (_no_vehicle, ElmState.CLOSED),
        (ElmState.STARTING, ElmStimulus.SILENCE): (_silent, ElmState.CLOSED),
        (ElmState.READY, ElmStimulus.ASK): (_ask, ElmState.BUSY),
        (ElmState.READY, ElmStimulus.CONNECT): (_settle, ElmState.SETTLING),
        (ElmState.READY, ElmStimulus.RESTARTED): (_restarted, ElmState.CLOSED),
        (ElmState.BUSY, ElmStimulus.REPLY): (_replied, ElmState.READY),
        (ElmState.BUSY, ElmStimulus.STOP): (_stop, ElmState.BUSY),
        (ElmState.BUSY, ElmStimulus.SILENCE): (_probe, ElmState.STOPPING),
        (ElmState.BUSY, ElmStimulus.RESTARTED): (_restarted, ElmState.CLOSED),
        (ElmState.STOPPING, ElmStimulus.REPLY): (_drain, ElmState.STOPPING),
        (ElmState.STOPPING, ElmStimulus.STOPPED): (_failed, ElmState.READY),
        (ElmState.STOPPING, ElmStimulus.SILENCE): (_probe, ElmState.STOPPING),
        (ElmState.STOPPING, ElmStimulus.SPENT): (_silent, ElmState.CLOSED),
        (ElmState.STOPPING, ElmStimulus.RESTARTED): (_restarted, ElmState.CLOSED),
    }
