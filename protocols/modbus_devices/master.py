"""What a Modbus master asks and hears, and the dialogue on a serial line (or the same bytes over TCP).

MODBUS over Serial Line V1.02, clauses 2.4 (states of the master) and 2.5.1.1 (silences). `tcp_master.py` is its sister
for Modbus TCP.

One request is outstanding at most. Before each one the line has been silent for 3.5 characters, counted from the last
byte that was seen or, reckoned, sent. An answer is taken only from the unit, for the function and of the length that
were asked for; everything else is noise and thrown away.

An RTU answer does not say which registers it holds. So after a time-out its answer is a **straggler** that may still
come: for `late_s`, nothing that such an answer could be mistaken for is asked; the same question again may be, for its
answer would be the right one. A straggler that arrives between two questions is recognised and forgotten. One whose
damaged answer was seen (right head, wrong CRC) is none: it has come.

A 2-wire adapter that repeats what we send is found out at the first read and its echo cut off from then on, for an
answer to function 05 or 06 looks the same.
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar, NamedTuple

import msgspec

from protocols.core.checksum import crc16_modbus
from protocols.core.errors import LocalProtocolError, NeedData, RemoteProtocolError
from protocols.dialogue import EventQueue
from protocols.modbus_devices.pdu import ExceptionResponse, Pdu, Request, check_answer, decode_response
from protocols.modbus_devices.rtu import BROADCAST, RtuFramer, encode_rtu
from protocols.modbus_devices.timing import LineTiming

LATE_S = 2.0
"""How long an answer may come after its time-out: a device that needs longer than this is answering nobody."""
BUSY_S = 1.0
"""A line that is not silent for this long beyond a request's own time-out is not ours to speak on."""
_REPEATING = (5, 6)


class Failure(Enum):
    """Why a call has no answer."""

    TIMEOUT = "no answer"
    NOISE = "no answer among the bytes that came"
    EXCEPTION = "refused"
    MISMATCHED = "the answer does not fit the request"
    LINE_BUSY = "the line is never silent"
    PORT = "the port is not open"


class Call(msgspec.Struct, frozen=True, eq=False):
    """One request to one unit, told from all others by its identity."""

    unit_id: int
    request: Request
    timeout_s: float
    """From the moment that the request begins to travel."""
    owner: object = None
    """Whatever the caller wants to find again in the event."""


class Reply(NamedTuple):
    """The answer, checked against its request; never an exception."""

    call: Call
    response: Pdu
    at: float


class Failed(NamedTuple):
    """No answer that can be used."""

    call: Call
    reason: Failure
    at: float
    exception_code: int | None = None


Event = Reply | Failed


class MasterCounters(msgspec.Struct):
    """What happened on a line, since the start."""

    calls: int = 0
    replies: int = 0
    exceptions: int = 0
    timeouts: int = 0
    noise: int = 0
    mismatched: int = 0
    late: int = 0
    """Answers that came after their time-out and were thrown away."""
    discarded_bytes: int = 0


def judge(call: Call, pdu: bytes, now: float, counters: MasterCounters) -> Event:
    """What a PDU means that came as the answer to a call."""
    try:
        response = decode_response(pdu)
        check_answer(call.request, response)
    except RemoteProtocolError:
        counters.mismatched += 1
        return Failed(call, Failure.MISMATCHED, now)
    if isinstance(response, ExceptionResponse):
        counters.exceptions += 1
        return Failed(call, Failure.EXCEPTION, now, response.exception_code)
    counters.replies += 1
    return Reply(call, response, now)


class MasterState(Enum):
    """Where the master stands."""

    FREE = "free"
    HELD = "held"
    """A call waits for silence, and for stragglers that it could be mistaken for."""
    ASKED = "asked"


class MasterStimulus(Enum):
    """What may happen to it."""

    CALL = "Call"
    MAY_SEND = "silent long enough"
    ANSWER = "answer"
    DEADLINE = "time is over"
    ABANDON = "the port broke"


class _Straggler:
    """An answer that may still come, `count` times."""

    __slots__ = ("call", "count", "until")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.count = 0
        self.until = 0.0

    def is_mistakable_for(self, call: Call) -> bool:
        """Whether its answer would pass for an answer to `call`, which asks for something else."""
        mine, other = self.call.request, call.request
        if self.call.unit_id != call.unit_id or mine.function != other.function or mine == other:
            return False
        lengths = (mine.response_bytes, other.response_bytes)
        return None in lengths or lengths[0] == lengths[1]


class RtuMaster(EventQueue[Event]):
    """The dialogue on a serial line. See `protocols.dialogue.Dialogue` for the face.

    line: None for a stream without character times (RTU over TCP), where the far end keeps the silence.
    """

    def __init__(
        self,
        line: LineTiming | None,
        *,
        late_s: float = LATE_S,
        crc16: Callable[[bytes], int] = crc16_modbus,
    ) -> None:
        super().__init__()
        self.counters = MasterCounters()
        self.is_echoing = False
        """The adapter repeats what we send."""
        self._char_s = 0.0 if line is None else line.char_ms / 1000
        self._silence_s = 0.0 if line is None else line.t3_5_ms / 1000
        self._late_s = late_s
        self._crc16 = crc16
        self._framer = RtuFramer(crc16)
        self._state = MasterState.FREE
        self._call: Call | None = None
        self._frame = b""
        self._wire = b""
        self._stragglers: list[_Straggler] = []
        self._quiet_from = 0.0  # since when nothing travels
        self._may_send_at = 0.0
        self._deadline = 0.0
        self._heard = 0  # bytes since the request
        self._bad_checks = 0
        self._head = b""  # as much of what was heard first as an echo would be long

    # Face of a dialogue

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the line. Raises nothing."""
        self._quiet_from = max(self._quiet_from, now)
        if self._state is MasterState.ASKED:
            data = self._without_echo(data)
            self._heard += len(data)
            self._framer.feed(data)
            self._look_for_answer(now)
        else:
            self._framer.feed(data)
            self._hear_stragglers(now)
            if self._state is MasterState.HELD:
                self._may_send_at = self._reckon_send(now)
        self.counters.discarded_bytes = self._framer.discarded_bytes

    def send(self, command: Call, now: float) -> None:
        """Ask. Raises `LocalProtocolError` while another call is open, or for what no frame carries."""
        if self._state is not MasterState.FREE:
            raise LocalProtocolError("one request at a time on a serial line")
        if command.unit_id == BROADCAST:
            raise LocalProtocolError("nobody answers a broadcast", field="unit_id")
        self._frame = encode_rtu(command.unit_id, command.request.encode(), self._crc16)
        self._call = command
        self.counters.calls += 1
        self._step(MasterStimulus.CALL, now)

    def bytes_to_send(self) -> bytes:
        """The request, once, when the line has been silent long enough."""
        wire, self._wire = self._wire, b""
        return wire

    def next_deadline(self) -> float | None:
        """When the request may go, or when its answer is overdue."""
        if self._state is MasterState.FREE:
            return None
        return min(self._may_send_at, self._deadline) if self._state is MasterState.HELD else self._deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._state is MasterState.HELD and now >= self._may_send_at:
            self._step(MasterStimulus.MAY_SEND, now)
        elif self._state is not MasterState.FREE and now >= self._deadline:
            if self._call is not None and self._call.request.response_bytes is None:
                self._framer.silence()  # only silence ends an answer whose length nobody knows
                self._look_for_answer(now)
            if self._call is not None:
                self._step(MasterStimulus.DEADLINE, now)

    # Of all masters

    @property
    def has_room(self) -> bool:
        """Whether `send()` takes another call."""
        return self._state is MasterState.FREE

    def held_until(self, call: Call, now: float) -> float:
        """Until when a call would be held for fear of stragglers; in the past when it would not."""
        until = now
        for straggler in self._stragglers:
            if straggler.until > until and straggler.is_mistakable_for(call):
                until = straggler.until
        return until

    def abandon(self, now: float) -> list[Call]:
        """The port broke: forget what is open and say what it was. Stragglers are remembered."""
        call, events = self._call, self._events
        self._step(MasterStimulus.ABANDON, now)
        self._events = deque()
        self._wire = b""
        return [event.call for event in events] + ([call] if call is not None else [])

    # Transitions

    def _step(self, what: MasterStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, what]
        action(self, now)

    def _hold(self, now: float) -> None:
        assert self._call is not None
        self._deadline = now + self._call.timeout_s + BUSY_S + self._late_s
        self._may_send_at = self._reckon_send(now)
        if self._may_send_at <= now:
            self._step(MasterStimulus.MAY_SEND, now)

    def _reckon_send(self, now: float) -> float:
        assert self._call is not None
        self._stragglers = [straggler for straggler in self._stragglers if straggler.until > now]
        return max(self._quiet_from + self._silence_s, self.held_until(self._call, now))

    def _transmit(self, now: float) -> None:
        assert self._call is not None
        self._framer.reset()
        self.counters.discarded_bytes = self._framer.discarded_bytes
        self._framer.expect_answer(self._call.unit_id, self._call.request)
        self._heard = 0
        self._bad_checks = self._framer.bad_checks
        self._head = b""
        self._wire = self._frame
        self._quiet_from = now + len(self._frame) * self._char_s
        self._deadline = now + self._call.timeout_s

    def _finish(self, now: float) -> None:
        self._call = None
        self._watch_for_stragglers(now)

    def _give_up_waiting(self, now: float) -> None:
        call = self._call
        assert call is not None
        if self._framer.bad_checks == self._bad_checks:
            self._expect_straggler(call, now)
        if self._heard:
            self.counters.noise += 1
            self._events.append(Failed(call, Failure.NOISE, now))
        else:
            self.counters.timeouts += 1
            self._events.append(Failed(call, Failure.TIMEOUT, now))
        self._finish(now)

    def _give_up_speaking(self, now: float) -> None:
        assert self._call is not None
        self.counters.noise += 1
        self._events.append(Failed(self._call, Failure.LINE_BUSY, now))
        self._finish(now)

    def _let_go(self, now: float) -> None:
        if self._call is not None and not self._wire:
            self._expect_straggler(self._call, now)
        self._finish(now)

    # Answers

    def _look_for_answer(self, now: float) -> None:
        while self._call is not None:
            frame = self._framer.next_frame()
            if isinstance(frame, NeedData):
                return
            is_exception = frame.pdu[0] >= 0x80
            if not (is_exception and self._is_exception_of_a_straggler(self._call, now)):
                self._events.append(judge(self._call, frame.pdu, now, self.counters))
                self._step(MasterStimulus.ANSWER, now)

    def _is_exception_of_a_straggler(self, call: Call, now: float) -> bool:
        """An exception tells neither registers nor length: while another answer of the function is due it is that's."""
        for straggler in self._stragglers:
            other = straggler.call
            if (
                straggler.until > now
                and other.unit_id == call.unit_id
                and other.request.function == call.request.function
                and other.request != call.request
            ):
                self._straggler_came(straggler)
                return True
        return False

    def _expect_straggler(self, call: Call, now: float) -> None:
        for straggler in self._stragglers:
            if straggler.call.unit_id == call.unit_id and straggler.call.request == call.request:
                break
        else:
            straggler = _Straggler(call)
            self._stragglers.append(straggler)
        straggler.count += 1
        straggler.until = now + self._late_s

    def _straggler_came(self, straggler: _Straggler) -> None:
        self.counters.late += 1
        straggler.count -= 1
        if straggler.count <= 0:
            self._stragglers.remove(straggler)

    def _watch_for_stragglers(self, now: float) -> None:
        self._stragglers = [straggler for straggler in self._stragglers if straggler.until > now]
        if self._stragglers:
            awaited = self._stragglers[0].call
            self._framer.expect_answer(awaited.unit_id, awaited.request)

    def _hear_stragglers(self, now: float) -> None:
        while not isinstance(self._framer.next_frame(), NeedData):
            if self._stragglers:
                self._straggler_came(self._stragglers[0])
            self._watch_for_stragglers(now)

    def _without_echo(self, data: bytes) -> bytes:
        """What came, without what we sent ourselves."""
        missing = len(self._frame) - len(self._head)
        if missing <= 0:
            return data
        self._head += data[:missing]
        is_echo = self._frame.startswith(self._head)
        if self.is_echoing:
            if is_echo:
                return data[missing:]
            held_back, self._head = self._head, self._head.ljust(len(self._frame), b"\0")
            return held_back + data[missing:]  # no echo this time, or a damaged one
        if len(self._head) == len(self._frame) and is_echo and self._frame[1] not in _REPEATING:
            self.is_echoing = True
        return data

    TRANSITIONS: ClassVar[
        Mapping[tuple[MasterState, MasterStimulus], tuple[Callable[["RtuMaster", float], None], MasterState]]
    ] = {
        (MasterState.FREE, MasterStimulus.CALL): (_hold, MasterState.HELD),
        (MasterState.FREE, MasterStimulus.ABANDON): (_finish, MasterState.FREE),
        (MasterState.HELD, MasterStimulus.MAY_SEND): (_transmit, MasterState.ASKED),
        (MasterState.HELD, MasterStimulus.DEADLINE): (_give_up_speaking, MasterState.FREE),
        (MasterState.HELD, MasterStimulus.ABANDON): (_finish, MasterState.FREE),
        (MasterState.ASKED, MasterStimulus.ANSWER): (_finish, MasterState.FREE),
        (MasterState.ASKED, MasterStimulus.DEADLINE): (_give_up_waiting, MasterState.FREE),
        (MasterState.ASKED, MasterStimulus.ABANDON): (_let_go, MasterState.FREE),
    }
