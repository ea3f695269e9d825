"""Both ends of the line between a buoy and its shore side: commands that are repeated until they are answered.

MicroPython-clean; dialogues in the sense of `protocols/dialogue.py`. `now` is monotonic seconds.

    Shore   waiting --answer "received"--> taken --"executed"--> done --"verified"--> (over)
            waiting --30 s--> waiting (the command again), five times, then the event `Unanswered`
            any --"refused"--> (over)
    Buoy    a new command --> the event, and "received" or "refused"; the same again --> its latest answer again

A command is over on the shore side when it is refused or verified; a verb that nothing can be measured of ends with
"executed", after which a late "verified" is still an event.
"""

from protocols.aton.commands import (
    ANSWER,
    COMMAND,
    RECEIVED,
    REFUSED,
    Answer,
    Command,
    decode_answer,
    decode_command,
    encode_answer,
    encode_command,
)
from protocols.aton.frame import MAX_FRAME_BYTES, Frame, Framer, encode_frame
from protocols.aton.orders import EVERYONE, OrderBook, why_refused
from protocols.aton.telemetry import REPORT, Report, decode_report, encode_report
from protocols.core.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError

REPEAT_S = 30.0
"""How long an answer is waited for before a command is sent again: a modem takes its time."""
MOST_TRIES = 5
MOST_EVENTS = 64
MOST_PENDING = 16


class Unanswered:
    """The event that a command was sent five times and nothing came back."""

    __slots__ = ("command_id",)

    def __init__(self, command_id: int) -> None:
        self.command_id = command_id


class _End:
    """What both ends share."""

    __slots__ = ("_events", "_framer", "_out", "_serial", "broken", "foreign", "station")

    def __init__(self, station: int) -> None:
        self.station = station
        self._framer = Framer()
        self._events: list[object] = []
        self._out: list[bytes] = []
        self._serial = 0
        self.broken = 0
        """Frames with a body that is none."""
        self.foreign = 0
        """Frames of another station or kind."""

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes that arrived at `now`. Never raises for what they hold: it counts."""
        for at in range(0, len(data), MAX_FRAME_BYTES):
            self._framer.feed(data[at : at + MAX_FRAME_BYTES])
            while True:
                frame = self._framer.next_frame()
                if isinstance(frame, NeedData):
                    break
                try:
                    if not self._take(frame, now):
                        self.foreign += 1
                except RemoteProtocolError:
                    self.broken += 1

    def _take(self, frame: Frame, now: float) -> bool:
        raise NotImplementedError

    def next_event(self) -> object:
        """The next thing that happened, or `NEED_DATA`."""
        return self._events.pop(0) if self._events else NEED_DATA

    def bytes_to_send(self) -> bytes:
        """What is due on the wire now."""
        out = b"".join(self._out)
        self._out = []
        return out

    def _tell(self, event: object) -> None:
        self._events.append(event)
        del self._events[:-MOST_EVENTS]

    def _queue(self, kind: int, body: bytes) -> None:
        self._out.append(encode_frame(Frame(kind, self.station, self._serial, body)))
        self._serial = (self._serial + 1) & 0xFFFF
        del self._out[:-MOST_EVENTS]


class Buoy(_End):
    """The buoy's end. Events are commands to be carried out; reports and answers are sent."""

    __slots__ = ("_book", "mark", "utc_offset_s")

    def __init__(self, station: int, mark: str | None = None) -> None:
        _End.__init__(self, station)
        self._book = OrderBook()
        self.mark = mark
        """One of `marks.MARKS`: it shows no other character than these; None: any."""
        self.utc_offset_s: int | None = None
        """UTC seconds since 1970 minus `now`; None while it does not know the time."""

    def _take(self, frame: Frame, now: float) -> bool:
        if frame.kind != COMMAND or frame.station not in (self.station, EVERYONE):
            return False
        command = decode_command(frame.body)
        answer = self._book.answer_of(command.command_id)
        if answer is None:
            utc_s = None if self.utc_offset_s is None else self.utc_offset_s + int(now)
            reason = why_refused(command, utc_s, frame.station, self.mark)
            answer = Answer(command.command_id, REFUSED if reason else RECEIVED, reason)
            self._book.note(answer)
            if not reason:
                self._tell(command)
        self._queue(ANSWER, encode_answer(answer))
        return True

    def send(self, command: Report | Answer, now: float) -> None:  # noqa: ARG002  # the face of every dialogue
        """Send a report, or how far a command has come. Raises `LocalProtocolError`."""
        if isinstance(command, Report):
            self._queue(REPORT, encode_report(command))
            return
        if self._book.answer_of(command.command_id) is None:
            raise LocalProtocolError("no such command came", field="id")
        self._queue(ANSWER, encode_answer(command))
        self._book.note(command)

    def next_deadline(self) -> float | None:
        """Never: the shore side repeats."""
        return None

    def tick(self, now: float) -> None:
        """Nothing to do."""


class _Pending:
    __slots__ = ("body", "deadline", "tries")

    def __init__(self, body: bytes, deadline: float) -> None:
        self.body = body
        self.deadline = deadline
        self.tries = 1


class Shore(_End):
    """The shore side of one buoy. Events are reports, answers and `Unanswered`."""

    __slots__ = ("_pending", "_stages")

    def __init__(self, station: int) -> None:
        _End.__init__(self, station)
        self._pending: dict[int, _Pending] = {}
        self._stages: dict[int, int] = {}

    def _take(self, frame: Frame, now: float) -> bool:  # noqa: ARG002  # only a buoy's end asks when
        if frame.station != self.station:
            return False
        if frame.kind == REPORT:
            self._tell(decode_report(frame.body))
            return True
        if frame.kind != ANSWER:
            return False
        answer = decode_answer(frame.body)
        self._pending.pop(answer.command_id, None)
        if self._stages.get(answer.command_id, -1) < answer.stage:  # a repeat says nothing new
            if answer.command_id in self._stages:
                self._stages[answer.command_id] = answer.stage
            self._tell(answer)
        return True

    def send(self, command: Command, now: float) -> None:
        """Send a command and repeat it until it is answered. Raises `LocalProtocolError`."""
        if command.command_id in self._stages:
            raise LocalProtocolError("a command of this id was sent before", field="id")
        if len(self._pending) >= MOST_PENDING:
            raise LocalProtocolError("16 commands wait for their answer", field="id")
        body = encode_command(command)
        self._queue(COMMAND, body)
        self._pending[command.command_id] = _Pending(body, now + REPEAT_S)
        if len(self._stages) >= MOST_EVENTS:
            for command_id in list(self._stages):
                if command_id not in self._pending:
                    del self._stages[command_id]
                    break
        self._stages[command.command_id] = -1

    def next_deadline(self) -> float | None:
        """When a command is due again."""
        deadlines = [pending.deadline for pending in self._pending.values()]
        return min(deadlines) if deadlines else None

    def tick(self, now: float) -> None:
        """Repeat what was not answered."""
        for command_id, pending in list(self._pending.items()):
            if now < pending.deadline:
                continue
            if pending.tries >= MOST_TRIES:
                del self._pending[command_id]
                self._tell(Unanswered(command_id))
                continue
            pending.tries += 1
            pending.deadline = now + REPEAT_S
            self._queue(COMMAND, pending.body)
