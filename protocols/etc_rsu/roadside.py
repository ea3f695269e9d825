"""A roadside unit's end of the link, as a dialogue without I/O: it reports, repeats what is not answered, and obeys.

What it reports, and what it does with what it is told, is its owner's: the radio, or an emulator. `send` takes reports;
those about vehicles and a gantry's heartbeat are repeated until they are answered, three times at most, the same frame
each time. An answer to what was answered before came twice, and is told once. C0 makes it forget what is under way.

What each stimulus leads to stands in `Roadside.TRANSITIONS`.

>>> from protocols.etc_rsu.classic_reports import LoopState
>>> unit = Roadside()
>>> unit.send(LoopState(1, 7), now=0.0)
>>> unit.bytes_to_send().hex()
'ffff98b101072fff'
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import ClassVar

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import EventQueue
from protocols.etc_rsu.catalogue import Interface, decode_payload
from protocols.etc_rsu.classic_commands import RESEND
from protocols.etc_rsu.frame import ClassicFrame, CrcFunction, SequencedFrame, crc_x25
from protocols.etc_rsu.link import Line, Numbers, number_of, swapped
from protocols.etc_rsu.passage import is_heartbeat, obu_of, type_of
from protocols.etc_rsu.payload import AnyPayload
from protocols.etc_rsu.roadside_events import (
    Acknowledged,
    Commanded,
    ReportState,
    ReportStimulus,
    RoadsideEvent,
    RoadsideSettings,
    Unanswered,
)
from protocols.listener import earliest

MAX_QUEUED = 64
"""Reports that wait for room."""
MAX_WINDOW = 7
"""There are eight or nine numbers, and one that waits must not come around."""
MAX_KNOWN_ANSWERS = 5
_INITIALISE = 0xC0
_STOP = 0xC2
_UNASKED = frozenset({_INITIALISE, 0x4C, 0xC4, 0xCA, 0xCB})
"""Commands that answer no report, whatever their number."""
_ANSWERED = frozenset({0xB1, 0xB2, 0xB3, 0xB4, 0xB5, 0xB7, 0xB8})
"""Reports that the computer answers; a classic one answers all but the heartbeat."""


class _Sent:
    """A report on its way."""

    __slots__ = ("deadline", "number", "repeats", "report", "state", "wire")

    def __init__(self, report: AnyPayload) -> None:
        self.report = report
        self.state = ReportState.QUEUED
        self.number = 0
        self.wire = b""
        self.repeats = 0
        self.deadline: float | None = None


class Roadside(EventQueue[RoadsideEvent]):
    """A roadside unit. See the module's docstring. Settings that cannot be raise `LocalProtocolError`."""

    def __init__(self, settings: RoadsideSettings | None = None, crc: CrcFunction = crc_x25) -> None:
        super().__init__()
        self.settings = settings or RoadsideSettings()
        self.bad_payloads = 0
        """Good frames whose payload does not fit its table."""
        self.repeated_answers = 0
        self._line = Line(self.settings.interface, self.settings.variants, crc)
        self._numbers = Numbers(self.settings.interface, is_roadside=True)
        self._queue: deque[_Sent] = deque()
        self._sent: OrderedDict[int, _Sent] = OrderedDict()
        """By number."""
        self._answers: OrderedDict[int, bytes] = OrderedDict()
        """The last answers that were told, by their numbers."""
        self._answer: AnyPayload | None = None
        self._asked_number: int | None = None
        self._heartbeat_at: float | None = None
        if not 1 <= self.settings.window <= MAX_WINDOW:
            raise LocalProtocolError(f"1 to {MAX_WINDOW}", field="window")
        if self.settings.heartbeat is not None:
            self._line.encode(0, self.settings.heartbeat.to_bytes())

    @property
    def reports_due(self) -> list[AnyPayload]:
        """Reports that wait for an answer."""
        return [sent.report for sent in self._sent.values()]

    # Face of a dialogue

    def send(self, command: AnyPayload, now: float) -> None:
        """Report something. Raises `LocalProtocolError` for what cannot be sent, or when too many wait."""
        self._line.encode(0, command.to_bytes())
        if len(self._queue) >= MAX_QUEUED:
            raise LocalProtocolError("too many reports wait")
        self._queue.append(_Sent(command))
        self._fill(now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken is passed over."""
        for frame in self._line.frames(data, now):
            self._take(frame, now)

    def bytes_to_send(self) -> bytes:
        """The next frame that is due."""
        return self._line.bytes_to_send()

    def next_deadline(self) -> float | None:
        """When a repeat or a heartbeat is due."""
        return earliest(self._heartbeat_at, self._line.deadline, *(sent.deadline for sent in self._sent.values()))

    def tick(self, now: float) -> None:
        """Time has passed."""
        for frame in self._line.tick(now):
            self._take(frame, now)
        for sent in list(self._sent.values()):
            if sent.deadline is not None and now >= sent.deadline:
                is_spent = sent.repeats >= self.settings.max_repeats
                self._step(sent, ReportStimulus.SPENT if is_spent else ReportStimulus.SILENCE, now)
        if self._heartbeat_at is not None and now >= self._heartbeat_at:
            self._heartbeat_at = now + self.settings.heartbeat_s
            heartbeat = self.settings.heartbeat
            if heartbeat is not None and not self._queue and not self._sent:
                self.send(heartbeat, now)

    # Frames of the computer

    def _take(self, frame: ClassicFrame | SequencedFrame, now: float) -> None:
        number = number_of(frame)
        sent = self._sent.get(swapped(number))
        try:
            payload = decode_payload(self._line.interface, frame.data, self._line.variants)
        except RemoteProtocolError:
            self.bad_payloads += 1
            return
        kind = type_of(payload)
        if kind is None:
            if sent is not None:
                self._step(sent, ReportStimulus.ACKNOWLEDGEMENT, now)
        elif kind == _STOP and getattr(payload, "stop_type", None) == RESEND:
            self._send_again(obu_of(payload), now)
        elif kind not in _UNASKED and sent is not None:
            self._answers[number] = frame.data
            if len(self._answers) > MAX_KNOWN_ANSWERS:
                self._answers.popitem(last=False)
            self._answer = payload
            self._step(sent, ReportStimulus.ANSWER, now)
        elif kind not in _UNASKED and self._answers.get(number) == frame.data:
            self.repeated_answers += 1
        else:
            self._obey(kind, number, payload, now)
        self._fill(now)

    def _obey(self, kind: int, number: int, payload: AnyPayload, now: float) -> None:
        """The computer speaks unasked."""
        if kind == _INITIALISE:
            for waiting in [*self._sent.values(), *self._queue]:
                self._step(waiting, ReportStimulus.RESET, now)
            self._queue.clear()
            self._answers.clear()
            self._asked_number = number
            self._heartbeat_at = None if self.settings.heartbeat is None else now + self.settings.heartbeat_s
        self._events.append(Commanded(payload))

    def _send_again(self, obu_id: bytes | None, now: float) -> None:
        for sent in list(self._sent.values()):
            if obu_of(sent.report) == obu_id:
                self._step(sent, ReportStimulus.AGAIN, now)

    # Reports

    def _fill(self, now: float) -> None:
        """Send what there is room for."""
        while self._queue and len(self._sent) < self.settings.window:
            sent = self._queue.popleft()
            self._step(sent, ReportStimulus.ROOM if self._is_answered(sent.report) else ReportStimulus.UNASKED, now)

    def _is_answered(self, report: AnyPayload) -> bool:
        if is_heartbeat(report):
            return False
        return self._line.interface is Interface.CLASSIC or type_of(report) in _ANSWERED

    def _step(self, sent: _Sent, stimulus: ReportStimulus, now: float) -> None:
        action, sent.state = self.TRANSITIONS[sent.state, stimulus]
        if action is not None:
            action(self, sent, now)

    def _transmit(self, sent: _Sent, now: float) -> None:
        sent.number = self._numbers.next()
        while sent.number in self._sent:
            sent.number = self._numbers.next()
        self._sent[sent.number] = sent
        self._answers.pop(swapped(sent.number), None)
        sent.wire = self._line.encode(sent.number, sent.report.to_bytes())
        self._put(sent, now)

    def _transmit_once(self, sent: _Sent, now: float) -> None:
        """What is not answered is itself an answer, to C0 or another command, or a heartbeat."""
        number = self._numbers.next()
        if self._asked_number is not None and type_of(sent.report) == 0xB0:
            number, self._asked_number = swapped(self._asked_number), None
        sent.wire = self._line.encode(number, sent.report.to_bytes())
        self._line.put(sent.wire)
        self._put_off_heartbeat(now)

    def _put(self, sent: _Sent, now: float) -> None:
        self._line.put(sent.wire)
        sent.deadline = now + self.settings.retry_s
        self._put_off_heartbeat(now)

    def _put_off_heartbeat(self, now: float) -> None:
        if self._heartbeat_at is not None:
            self._heartbeat_at = now + self.settings.heartbeat_s

    def _repeat(self, sent: _Sent, now: float) -> None:
        sent.repeats += 1
        self._put(sent, now)

    def _finish(self, sent: _Sent, _now: float) -> None:
        assert self._answer is not None
        self._forget(sent, _now)
        self._events.append(Commanded(self._answer, sent.report))

    def _acknowledge(self, sent: _Sent, now: float) -> None:
        self._forget(sent, now)
        self._events.append(Acknowledged(sent.report))

    def _fail(self, sent: _Sent, now: float) -> None:
        self._forget(sent, now)
        self._events.append(Unanswered(sent.report))
        self._fill(now)

    def _forget(self, sent: _Sent, _now: float) -> None:
        del self._sent[sent.number]

    TRANSITIONS: ClassVar[
        Mapping[
            tuple[ReportState, ReportStimulus],
            tuple[Callable[["Roadside", _Sent, float], None] | None, ReportState],
        ]
    ] = {
        (ReportState.QUEUED, ReportStimulus.ROOM): (_transmit, ReportState.DUE),
        (ReportState.QUEUED, ReportStimulus.UNASKED): (_transmit_once, ReportState.DONE),
        (ReportState.QUEUED, ReportStimulus.RESET): (None, ReportState.DONE),
        (ReportState.DUE, ReportStimulus.ANSWER): (_finish, ReportState.DONE),
        (ReportState.DUE, ReportStimulus.ACKNOWLEDGEMENT): (_acknowledge, ReportState.DONE),
        (ReportState.DUE, ReportStimulus.AGAIN): (_put, ReportState.DUE),
        (ReportState.DUE, ReportStimulus.SILENCE): (_repeat, ReportState.DUE),
        (ReportState.DUE, ReportStimulus.SPENT): (_fail, ReportState.DONE),
        (ReportState.DUE, ReportStimulus.RESET): (_forget, ReportState.DONE),
    }
