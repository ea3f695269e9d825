"""A centre's end of the link with telemetry stations (SL 651-2014, clause 6.3.2) as a dialogue without I/O.

* Every good uplink but the keep-alive is confirmed, with EOT or, where stations are to stay on the line, with ESC; one
  that ends with ETB is confirmed with ACK when it is part of an answer, else with ESC. A frame that was sent again is
  confirmed again, and told only once.
* Packets of one message are put together. When the last one came, or none for a while, each missing one is asked for
  with NAK, and all again after each silence, twice; then the message is given up (`Incomplete`).
* `Ask` sends a query or command; the answer is confirmed, which is also the leave to apply a change. Without an answer
  the question goes again, twice at most, then `Unanswered`; an answer that comes later still is not confirmed.

What was confirmed cannot be had again: whoever pumps a centre stores what an event brings before it writes what
`bytes_to_send()` returns. What each stimulus of a question leads to stands in `Centre.TRANSITIONS`.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

from fastcrc import crc16

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.listener import Listener, earliest
from protocols.sl651.bodies import Opening, read_opening
from protocols.sl651.catalogue import CHANGES, GATES, KEEP_ALIVE, PUMPS, VALVES, read_body
from protocols.sl651.centre_events import (
    Answered,
    Ask,
    CentreEvent,
    CentreSettings,
    Incomplete,
    KeptAlive,
    Received,
    Unanswered,
)
from protocols.sl651.confirm import confirm_of
from protocols.sl651.frame import ACK, ENQ, EOT, ESC, ETB, ETX, NAK, Frame, encode_frame
from protocols.sl651.link import GAP_S, MAX_RESENDS, Clock, fast_framer
from protocols.sl651.packets import Assembly

MAX_NAK_ROUNDS = 2
MAX_OPEN_NAKS = 32
"""So many packets are asked for at a time: whoever claims 4095 of them with one is not answered with as many frames."""
MAX_ASSEMBLIES = 8
"""Messages that come in packets at the same time; of more, the oldest is given up."""
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""What the packets of a message may come to together; the pictures of stations have a few hundred kilobytes."""
MAX_ANSWER_FRAMES = 1024
"""An answer that goes on beyond it never ends."""
REMEMBERED = 64
"""Frames by which one that is sent again is known."""


_ONLY_ASKED = frozenset(CHANGES) - {PUMPS, VALVES, GATES}
"""Changes of which a station tells only when it is commanded."""


class CentreState(Enum):
    """Where a question stands."""

    IDLE = "idle"
    ANSWER_DUE = "answer due"


class CentreStimulus(Enum):
    """What may happen to it."""

    ASK = "Ask"
    PART = "answer ended by ETB"
    ANSWER = "answer ended by ETX"
    SILENCE = "silence, tries left"
    SPENT = "silence, tries spent"
    ENDLESS = "answer without end"


_Key = tuple[bytes, int, int, bytes]
"""Station, function, serial number, and the body without the time of sending, which another try may change."""


def _is_last(packet: Frame) -> bool:
    """Whether no other packet is to come unasked."""
    return packet.end_char == ETX or packet.packet_seq == packet.packet_total


class _Incoming:
    """A message that comes in packets."""

    def __init__(self, packet: Frame) -> None:
        self.assembly = Assembly(packet)
        self.deadline = 0.0
        self.rounds = 0
        self.asked: set[int] = set()
        """Packets that were asked for since the last silence."""

    @property
    def serial(self) -> int:
        """Of the first packet, 0 while that is missing."""
        first = self.assembly.chunk(1)
        try:
            return 0 if first is None else read_opening(first, self.assembly.first.is_ascii)[0].serial
        except RemoteProtocolError:
            return 0


class Centre(StreamEnd[CentreEvent]):
    """A centre's talk on one link. See the module's docstring."""

    def __init__(self, settings: CentreSettings, clock: Clock) -> None:
        super().__init__()
        self.settings = settings
        self.bad_bodies = 0
        """Good frames whose bodies could not be read."""
        self.stray_frames = 0
        """Frames of other centres."""
        self._clock = clock
        self._state = CentreState.IDLE
        self._framer = fast_framer()
        self._listener = Listener(self._framer, GAP_S)
        self._deadline: float | None = None
        self._tries = 0
        self._ask: Ask | None = None
        self._answers: list[Received] = []
        self._incoming: OrderedDict[tuple[bytes, int], _Incoming] = OrderedDict()
        self._finished: OrderedDict[tuple[bytes, int], tuple[Assembly, int]] = OrderedDict()
        self._seen: OrderedDict[_Key, str] = OrderedDict()  # what was told, and the time in it

    @property
    def state(self) -> CentreState:
        """Where its question stands."""
        return self._state

    @property
    def discarded_bytes(self) -> int:
        """Bytes from the line that belonged to no frame."""
        return self._framer.discarded_bytes

    def send(self, command: Ask, now: float) -> None:
        """Ask. Raises `LocalProtocolError` while a question is open, or for what no frame carries."""
        if self._state is not CentreState.IDLE:
            raise LocalProtocolError("a question is open")
        self._written(command, now)  # it raises before anything has changed
        self._ask = command
        self._step(CentreStimulus.ASK, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted."""
        for frame in self._listener.frames(data, now):
            self._take(frame, now)

    def next_deadline(self) -> float | None:
        """When `tick()` is due at the latest."""
        return earliest(
            self._deadline, self._listener.deadline, *(incoming.deadline for incoming in self._incoming.values())
        )

    def tick(self, now: float) -> None:
        """Time has passed."""
        for frame in self._listener.tick(now):
            self._take(frame, now)
        for key, incoming in list(self._incoming.items()):
            if now >= incoming.deadline:
                self._silent(key, incoming, now)
        if self._deadline is not None and now >= self._deadline:
            self._step(CentreStimulus.SILENCE if self._tries < MAX_RESENDS else CentreStimulus.SPENT, now)

    # From the line

    def _take(self, frame: Frame, now: float) -> None:
        if frame.is_down:
            self.stray_frames += 1
        elif frame.function_code == KEEP_ALIVE:
            self._events.append(KeptAlive(frame.station_addr))
        elif frame.packet_total is not None:
            self._take_packet(frame, now)
        else:
            self._take_message(frame, frame, now)

    def _take_message(self, frame: Frame, confirmed: Frame, now: float) -> int | None:
        """A whole message; `confirmed` is the frame that its confirm answers. Its serial number, or None."""
        try:
            opening, rest_at = read_opening(frame.body, frame.is_ascii)
        except RemoteProtocolError:
            self.bad_bodies += 1  # nothing in it can be confirmed: silence, as for a broken frame
            return None
        is_answer = self._is_answer(frame)
        key = (frame.station_addr, frame.function_code, opening.serial, frame.body[rest_at:])
        is_very_same = self._seen.get(key) == opening.send_time
        if frame.function_code in _ONLY_ASKED and not is_answer and not is_very_same:
            self.stray_frames += 1  # the question was given up: a confirm would apply the change after all
            return None
        is_new = not is_very_same if is_answer else key not in self._seen
        self._remember(key, opening.send_time)
        if self.settings.is_confirming or is_answer:
            goes_on = is_answer and frame.end_char == ETB and confirmed.packet_total is None
            end_char = ACK if goes_on else self._last_char(frame)
            confirm = confirm_of(confirmed, opening.serial, self._clock(now), end_char)
            self._outgoing += encode_frame(confirm, crc16.modbus)
        if is_new and is_answer:
            self._take_answer(self._read(frame), now)
        elif is_new:
            self._events.append(self._read(frame))
        return opening.serial

    def _is_answer(self, frame: Frame) -> bool:
        """Whether it comes from whom the open question went to, and is of its function."""
        ask = self._ask
        return ask is not None and (frame.station_addr, frame.function_code) == (ask.station_addr, ask.function_code)

    def _take_answer(self, answer: Received, now: float) -> None:
        self._answers.append(answer)
        if answer.frame.end_char == ETX:
            self._step(CentreStimulus.ANSWER, now)
        else:
            is_endless = len(self._answers) > MAX_ANSWER_FRAMES
            self._step(CentreStimulus.ENDLESS if is_endless else CentreStimulus.PART, now)

    def _last_char(self, frame: Frame) -> int:
        return ESC if self.settings.keeps_on_line or frame.end_char == ETB else EOT

    def _remember(self, key: _Key, send_time: str) -> None:
        self._seen[key] = send_time
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _read(self, frame: Frame) -> Received:
        try:
            return Received(frame, read_body(frame.body, frame.function_code, frame.is_down, frame.is_ascii))
        except RemoteProtocolError:
            self.bad_bodies += 1
            return Received(frame, None)

    # Packets

    def _take_packet(self, packet: Frame, now: float) -> None:
        if self._is_of_finished(packet, now):
            return
        key = (packet.station_addr, packet.function_code)
        self._finished.pop(key, None)
        incoming = self._incoming_of(key, packet)
        incoming.assembly.add(packet)
        incoming.deadline = now + self.settings.packet_timeout_s
        if self._is_answer(packet):  # it is on its way, so the question is not asked again meanwhile
            self._deadline = now + self.settings.reply_timeout_s
        if incoming.assembly.size > MAX_MESSAGE_BYTES:
            self._give_up(key)
        elif incoming.assembly.is_whole:
            del self._incoming[key]
            serial = self._take_message(incoming.assembly.joined(), packet, now)
            if serial is not None:
                self._finished[key] = (incoming.assembly, serial)
                if len(self._finished) > MAX_ASSEMBLIES:
                    self._finished.popitem(last=False)
        elif _is_last(packet):
            self._ask_for(incoming, now)

    def _incoming_of(self, key: tuple[bytes, int], packet: Frame) -> _Incoming:
        """The message that a packet belongs to, a new one where it contradicts the old."""
        incoming = self._incoming.get(key)
        if incoming is not None and not incoming.assembly.may_hold(packet):
            self._give_up(key)
            incoming = None
        if incoming is None:
            if len(self._incoming) >= MAX_ASSEMBLIES:
                self._give_up(next(iter(self._incoming)))
            incoming = self._incoming[key] = _Incoming(packet)
        return incoming

    def _is_of_finished(self, packet: Frame, now: float) -> bool:
        """Whether a packet is one of a message that is whole already, whose confirm was lost then."""
        finished = self._finished.get((packet.station_addr, packet.function_code))
        if finished is None or not finished[0].holds(packet):
            return False
        if _is_last(packet) and self.settings.is_confirming:
            confirm = confirm_of(packet, finished[1], self._clock(now), self._last_char(packet))
            self._outgoing += encode_frame(confirm, crc16.modbus)
        return True

    def _ask_for(self, incoming: _Incoming, now: float) -> None:
        """Ask for packets that are missing, for each once in a round, and for the next ones as these come."""
        if not self.settings.is_confirming:
            return
        first = incoming.assembly.first
        missing = incoming.assembly.missing()
        still_open = sum(seq in incoming.asked for seq in missing)
        for seq in [seq for seq in missing if seq not in incoming.asked][: MAX_OPEN_NAKS - still_open]:
            incoming.asked.add(seq)
            nak = confirm_of(first, incoming.serial, self._clock(now), NAK, seq)
            self._outgoing += encode_frame(nak, crc16.modbus)

    def _silent(self, key: tuple[bytes, int], incoming: _Incoming, now: float) -> None:
        incoming.rounds += 1
        if incoming.rounds > MAX_NAK_ROUNDS:
            self._give_up(key)
            return
        incoming.asked.clear()
        incoming.deadline = now + self.settings.packet_timeout_s
        self._ask_for(incoming, now)

    def _give_up(self, key: tuple[bytes, int]) -> None:
        incoming = self._incoming.pop(key)
        self._events.append(Incomplete(incoming.assembly.first, incoming.assembly.missing()))

    # Actions of the table

    def _step(self, stimulus: CentreStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _begin(self, now: float) -> None:
        self._tries = 0
        self._answers = []
        self._put_question(now)

    def _repeat(self, now: float) -> None:
        self._tries += 1
        self._put_question(now)

    def _put_question(self, now: float) -> None:
        assert self._ask is not None
        self._outgoing += self._written(self._ask, now)
        self._deadline = now + self.settings.reply_timeout_s

    def _written(self, ask: Ask, now: float) -> bytes:
        """A question with the time of now, which is the very command where it sets a clock."""
        ask.body.opening = Opening(0, self._clock(now))
        frame = Frame(
            ask.center_addr,
            ask.station_addr,
            ask.password,
            ask.function_code,
            ask.body.encode(ask.is_ascii),
            ENQ,
            is_down=True,
            is_ascii=ask.is_ascii,
        )
        return encode_frame(frame, crc16.modbus)

    def _wait_for_more(self, now: float) -> None:
        self._deadline = now + self.settings.reply_timeout_s

    def _answered(self, _now: float) -> None:
        assert self._ask is not None
        self._events.append(Answered(self._ask, self._answers))
        self._close()

    def _gave_up(self, _now: float) -> None:
        assert self._ask is not None
        self._events.append(Unanswered(self._ask))
        self._close()

    def _close(self) -> None:
        self._ask = self._deadline = None
        self._answers = []

    TRANSITIONS: ClassVar[
        Mapping[tuple[CentreState, CentreStimulus], tuple[Callable[["Centre", float], None], CentreState]]
    ] = {
        (CentreState.IDLE, CentreStimulus.ASK): (_begin, CentreState.ANSWER_DUE),
        (CentreState.ANSWER_DUE, CentreStimulus.PART): (_wait_for_more, CentreState.ANSWER_DUE),
        (CentreState.ANSWER_DUE, CentreStimulus.ANSWER): (_answered, CentreState.IDLE),
        (CentreState.ANSWER_DUE, CentreStimulus.SILENCE): (_repeat, CentreState.ANSWER_DUE),
        (CentreState.ANSWER_DUE, CentreStimulus.SPENT): (_gave_up, CentreState.IDLE),
        (CentreState.ANSWER_DUE, CentreStimulus.ENDLESS): (_gave_up, CentreState.IDLE),
    }
