"""A telemetry station's end of the link (SL 651-2014, clause 6.3.2) as a dialogue without I/O.

* M1: a report is sent and forgotten. M2: it waits for the centre's confirm. M3: what is longer than a frame goes in
  packets, all in a row, and is confirmed once; a packet that the centre asks for with NAK goes again, ended by ETX.
* M4: the centre asks (`Asked`), the station answers (`Answer`), the centre confirms. A command that changes the station
  is answered with the new state and applied only after that last confirm (`Apply`).
* No confirm in time: sent again, twice at most, then given up (`Failed`) until the next contact. What was given up may
  be sent later with its own serial number and observation time.
* EOT lets the station go (`Released`). After ESC it stays, keeps the link alive with function 2F, and returns to its
  set mode (`Returned`) after ten minutes without a word from the centre.

One thing is under way at a time: the caller sends alarms first, then changes, special conditions and timed reports.
What each stimulus leads to stands in `Station.TRANSITIONS`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec
from fastcrc import crc16

from protocols.core.errors import FieldError, LocalProtocolError, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.listener import Listener, earliest
from protocols.sl651.bodies import Bare, Body, Opening, read_opening
from protocols.sl651.catalogue import CHANGES, KEEP_ALIVE, decode_body
from protocols.sl651.frame import ACK, ENQ, EOT, ESC, ETB, ETX, NAK, Frame, encode_frame
from protocols.sl651.link import GAP_S, MAX_RESENDS, Clock, fast_framer
from protocols.sl651.packets import again, split
from protocols.sl651.station_events import (
    Answer,
    Apply,
    Asked,
    Broadcast,
    Confirmed,
    Failed,
    Released,
    Returned,
    Send,
    StationCommand,
    StationEvent,
    StationSettings,
    StationState,
    StationStimulus,
)

ON_LINE_S = 600.0
"""A station that was told to stay returns to its mode after this long without a command."""
_MAX_SERIAL = 0xFFFF
BROADCAST_TAIL = b"\xff\xff"


class _Unit(msgspec.Struct, frozen=True):
    """What is sent in a row and confirmed once: a frame, or the packets of one. Its number tells a late confirm."""

    serial: int
    frames: list[Frame]


class Station(StreamEnd[StationEvent]):
    """A station's talk with its centre. See the module's docstring."""

    def __init__(self, settings: StationSettings, clock: Clock, last_serial: int = 0) -> None:
        super().__init__()
        self.settings = settings
        self.last_serial = last_serial
        """Of the last message that had a number of its own; kept over restarts by the caller."""
        self.stray_frames = 0
        """Frames of the centre that answered nothing, or that could not be read."""
        self._clock = clock
        self._state = StationState.IDLE
        self._framer = fast_framer()
        self._listener = Listener(self._framer, GAP_S)
        self._units: deque[_Unit] = deque()
        self._unsent: deque[Frame] = deque()
        self._next_packet_at = 0.0
        self._deadline: float | None = None
        self._tries = 0
        self._naks = 0
        self._serial = 0
        self._command: Send | None = None
        self._query: Asked | None = None
        self._held: Asked | None = None
        self._on_line_until: float | None = None
        self._keep_alive_at: float | None = None

    @property
    def state(self) -> StationState:
        """Where it stands."""
        return self._state

    @property
    def is_on_line(self) -> bool:
        """Whether it was told to stay."""
        return self.settings.is_always_on or self._on_line_until is not None

    @property
    def discarded_bytes(self) -> int:
        """Bytes from the line that belonged to no frame."""
        return self._framer.discarded_bytes

    def send(self, command: StationCommand, now: float) -> None:
        """Report or answer. Raises `LocalProtocolError` when it is not the time for it, or no frame carries it."""
        if isinstance(command, Answer):
            self._take_answer(command, now)
            return
        if self._state is not StationState.IDLE or self._unsent:
            raise LocalProtocolError("something is under way")
        serial = self._next_serial() if command.serial is None else command.serial
        if not 1 <= serial <= _MAX_SERIAL:
            raise LocalProtocolError("1 to 65535", field="serial")
        end_char = ETB if command.more_follows else ETX
        unit = self._unit_of(command.function_code, command.body, serial, end_char, now)
        if command.serial is None:
            self.last_serial = serial
        self._units = deque([unit])
        self._command = command
        self._step(StationStimulus.SEND if command.is_confirmed else StationStimulus.SEND_ONCE, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted."""
        for frame in self._listener.frames(data, now):
            self._take(frame, now)

    def next_deadline(self) -> float | None:
        """When `tick()` is due at the latest."""
        packet_at = self._next_packet_at if self._unsent else None
        idle = None
        if self._state is StationState.IDLE and self.is_on_line:
            idle = earliest(self._on_line_until, 0.0 if self._keep_alive_at is None else self._keep_alive_at)
        return earliest(self._deadline, self._listener.deadline, packet_at, idle)

    def tick(self, now: float) -> None:
        """Time has passed."""
        for frame in self._listener.tick(now):
            self._take(frame, now)
        if self._unsent and now >= self._next_packet_at:
            self._send_packets(now)
        if self._deadline is not None and now >= self._deadline:
            tries_left = self._tries < MAX_RESENDS and self._state is not StationState.ANSWER_DUE
            self._step(StationStimulus.SILENCE if tries_left else StationStimulus.SPENT, now)
        if self._state is StationState.IDLE:
            self._tick_idle(now)

    def _tick_idle(self, now: float) -> None:
        if self._on_line_until is not None and now >= self._on_line_until:
            self._on_line_until = None
            self._events.append(Returned())
        if not self.is_on_line:
            self._keep_alive_at = None
        elif self._keep_alive_at is None or now >= self._keep_alive_at:
            if self._keep_alive_at is not None:
                body = Bare(Opening(self.last_serial, self._clock(now)))
                self._outgoing += encode_frame(self._frame(KEEP_ALIVE, body, ETX), crc16.modbus)
            self._keep_alive_at = now + self.settings.keep_alive_s

    # From the line

    def _take(self, frame: Frame, now: float) -> None:
        is_ours = self._is_ours(frame)
        is_broadcast = is_ours and frame.station_addr[3:] == BROADCAST_TAIL
        stimulus = None
        if is_ours and frame.end_char == ENQ:
            stimulus = self._judge_query(frame, is_broadcast=is_broadcast)
        elif is_ours and self._is_awaited(frame):
            stimulus = self._judge_confirm(frame)
        if stimulus is None or (self._state, stimulus) not in self.TRANSITIONS:
            self.stray_frames += not is_broadcast
            return
        if frame.end_char in {ESC, ENQ}:
            self._on_line_until = now + ON_LINE_S
        self._step(stimulus, now)
        if frame.end_char == EOT and self._state is StationState.IDLE:
            self._on_line_until = self._keep_alive_at = None
            self._events.append(Released())

    def _is_ours(self, frame: Frame) -> bool:
        """Whether it is from our centre, which some write as 0, to us or to all stations of our county."""
        own = self.settings.station_addr
        is_from_centre = frame.is_down and frame.center_addr in {self.settings.center_addr, 0}
        return is_from_centre and frame.station_addr in {own, own[:3] + BROADCAST_TAIL}

    def _judge_query(self, frame: Frame, *, is_broadcast: bool) -> StationStimulus | None:
        try:
            asked = Asked(frame, decode_body(frame))
        except RemoteProtocolError:
            return None
        if is_broadcast:
            self._events.append(Broadcast(frame, asked.body))
            return None
        if self._query is not None and self._query.asks_the_same(asked):
            self._query = asked  # as it was said last: a clock is set to the time that it holds
            return StationStimulus.SAME_QUERY
        self._held = asked
        return StationStimulus.QUERY

    def _is_awaited(self, frame: Frame) -> bool:
        """Whether a confirm is that of what was sent last."""
        if not self._units or frame.function_code != self._units[0].frames[0].function_code:
            return False
        if frame.end_char == NAK:  # the centre does not know the serial of a message whose first packet it misses
            return True
        try:
            opening, _ = read_opening(frame.body, frame.is_ascii)
        except FieldError:
            return False
        return opening.serial == self._serial

    def _judge_confirm(self, frame: Frame) -> StationStimulus | None:
        if frame.end_char == NAK:
            packets = self._units[0].frames
            is_known = frame.packet_total == packets[0].packet_total and self._naks < MAX_RESENDS * len(packets)
            if not is_known or frame.packet_seq is None:
                return None
            self._unsent.append(again(packets[frame.packet_seq - 1]))
            return StationStimulus.NAK
        has_more = len(self._units) > 1
        return StationStimulus.GO_ON if has_more or frame.end_char == ACK else StationStimulus.CONFIRM

    # What is sent

    def _frame(self, function_code: int, body: Body, end_char: int) -> Frame:
        settings = self.settings
        return Frame(
            settings.center_addr,
            settings.station_addr,
            settings.password,
            function_code,
            body.encode(settings.is_ascii),
            end_char,
            is_ascii=settings.is_ascii,
        )

    def _next_serial(self, ahead: int = 0) -> int:
        return (self.last_serial + ahead) % _MAX_SERIAL + 1

    def _unit_of(self, function_code: int, body: Body, serial: int, end_char: int, now: float) -> _Unit:
        """The frame of a body, or its packets. Raises `LocalProtocolError`."""
        body.opening = Opening(serial, self._clock(now))
        frame = self._frame(function_code, body, end_char)
        is_long = len(frame.body) > self.settings.body_bytes
        frames = split(frame, self.settings.body_bytes) if is_long else [frame]
        for each in frames:
            encode_frame(each, crc16.modbus)
        return _Unit(serial, frames)

    def _take_answer(self, answer: Answer, now: float) -> None:
        if self._state is not StationState.ANSWER_DUE or self._query is None or not answer.bodies:
            raise LocalProtocolError("nothing to answer, or no answer")
        asked = self._query.body.opening.serial
        code = self._query.frame.function_code
        last = len(answer.bodies) - 1
        units = [
            self._unit_of(code, body, asked or self._next_serial(number), ETX if number == last else ETB, now)
            for number, body in enumerate(answer.bodies)
        ]
        if not asked:
            self.last_serial = units[-1].serial
        self._units = deque(units)
        self._step(StationStimulus.ANSWER, now)

    def _send_packets(self, now: float) -> None:
        """The packets that are due: all of them, or the next one where silence parts them."""
        while self._unsent:
            self._outgoing += encode_frame(self._unsent.popleft(), crc16.modbus)
            if self.settings.packet_gap_s > 0:
                break
        self._next_packet_at = now + self.settings.packet_gap_s
        self._keep_alive_at = now + self.settings.keep_alive_s
        if self._units:
            waits_from = now + self.settings.packet_gap_s * len(self._unsent)
            self._deadline = waits_from + self.settings.reply_timeout_s

    # Actions of the table

    def _step(self, stimulus: StationStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)
        if self._state is StationState.IDLE and self._held is not None:
            self._step(StationStimulus.QUERY, now)

    def _begin(self, now: float) -> None:
        self._tries = self._naks = 0
        self._serial = self._units[0].serial
        self._unsent += self._units[0].frames
        self._send_packets(now)

    def _send_once(self, now: float) -> None:
        unit = self._units.popleft()
        self._serial = unit.serial
        self._unsent = deque(unit.frames)
        self._send_packets(now)

    def _repeat(self, now: float) -> None:
        self._tries += 1
        self._unsent = deque(self._units[0].frames)
        self._send_packets(now)

    def _send_again(self, now: float) -> None:
        self._naks += 1
        self._send_packets(now)

    def _go_on(self, now: float) -> None:
        if len(self._units) > 1:
            self._units.popleft()
            self._begin(now)
        else:
            self._deadline = now + self.settings.reply_timeout_s

    def _confirmed(self, _now: float) -> None:
        assert self._command is not None
        self._clear()
        self._events.append(Confirmed(self._command, self._serial))

    def _finished(self, _now: float) -> None:
        assert self._query is not None
        self._clear()
        if self._query.frame.function_code in CHANGES:
            self._events.append(Apply(self._query.frame, self._query.body))
        self._query = None

    def _gave_up(self, _now: float) -> None:
        command = self._command if self._query is None else None
        self._clear()
        self._query = None
        self._events.append(Failed(command, "no confirm", self._serial))

    def _ask_caller(self, now: float) -> None:
        assert self._held is not None
        self._query, self._held = self._held, None
        self._deadline = now + self.settings.answer_timeout_s
        self._events.append(self._query)

    def _supersede(self, now: float) -> None:
        """Another question before the last confirm: what was to be applied is not."""
        self._clear()
        self._events.append(Failed(None, "asked something else", self._serial))
        self._ask_caller(now)

    def _hold(self, _now: float) -> None:
        """It is asked when the report is through."""

    def _ignore(self, _now: float) -> None:
        """The caller is at it."""

    def _not_answered(self, _now: float) -> None:
        self._clear()
        self._query = None
        self._events.append(Failed(None, "not answered in time", self._serial))

    def _clear(self) -> None:
        self._units.clear()
        self._unsent.clear()
        self._deadline = None

    TRANSITIONS: ClassVar[
        Mapping[tuple[StationState, StationStimulus], tuple[Callable[["Station", float], None], StationState]]
    ] = {
        (StationState.IDLE, StationStimulus.SEND_ONCE): (_send_once, StationState.IDLE),
        (StationState.IDLE, StationStimulus.SEND): (_begin, StationState.CONFIRM_DUE),
        (StationState.IDLE, StationStimulus.QUERY): (_ask_caller, StationState.ANSWER_DUE),
        (StationState.CONFIRM_DUE, StationStimulus.CONFIRM): (_confirmed, StationState.IDLE),
        (StationState.CONFIRM_DUE, StationStimulus.GO_ON): (_confirmed, StationState.IDLE),
        (StationState.CONFIRM_DUE, StationStimulus.NAK): (_send_again, StationState.CONFIRM_DUE),
        (StationState.CONFIRM_DUE, StationStimulus.SILENCE): (_repeat, StationState.CONFIRM_DUE),
        (StationState.CONFIRM_DUE, StationStimulus.SPENT): (_gave_up, StationState.IDLE),
        (StationState.CONFIRM_DUE, StationStimulus.QUERY): (_hold, StationState.CONFIRM_DUE),
        (StationState.ANSWER_DUE, StationStimulus.ANSWER): (_begin, StationState.FINAL_DUE),
        (StationState.ANSWER_DUE, StationStimulus.SAME_QUERY): (_ignore, StationState.ANSWER_DUE),
        (StationState.ANSWER_DUE, StationStimulus.QUERY): (_ask_caller, StationState.ANSWER_DUE),
        (StationState.ANSWER_DUE, StationStimulus.SPENT): (_not_answered, StationState.IDLE),
        (StationState.FINAL_DUE, StationStimulus.CONFIRM): (_finished, StationState.IDLE),
        (StationState.FINAL_DUE, StationStimulus.GO_ON): (_go_on, StationState.FINAL_DUE),
        (StationState.FINAL_DUE, StationStimulus.NAK): (_send_again, StationState.FINAL_DUE),
        (StationState.FINAL_DUE, StationStimulus.SAME_QUERY): (_repeat, StationState.FINAL_DUE),
        (StationState.FINAL_DUE, StationStimulus.QUERY): (_supersede, StationState.ANSWER_DUE),
        (StationState.FINAL_DUE, StationStimulus.SILENCE): (_repeat, StationState.FINAL_DUE),
        (StationState.FINAL_DUE, StationStimulus.SPENT): (_gave_up, StationState.IDLE),
    }
