"""Both ends of the line between a buoy and its shore side: commands that are repeated until they are answered.

MicroPython-clean; dialogues in the sense of `protocols/dialogue.py`. `now` is monotonic seconds.

    Shore   waiting --answer "received"--> taken --"executed"--> done --"verified"--> (over)
            waiting --30 s--> waiting (the command again), five times, then the event `Unanswered`
            taken --2 min--> taken (the command again, for its latest answer), five times, then `Unanswered`
            any --"refused"--> (over)
    Buoy    a new command --> the event, and "received" or "refused"; the same again --> its latest answer again

A command is over on the shore side when it is refused or verified; a verb that nothing can be measured of ends with
"executed", after which a late "verified" is still an event. Half a frame whose rest does not come is forgotten.
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
from protocols.aton.orders import BUSY, EVERYONE, OrderBook, why_refused
from protocols.aton.telemetry import REPORT, Report, decode_report, encode_report
from protocols.aton.verbs import SyncTime
from protocols.core.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError

REPEAT_S = 30.0
"""How long an answer is waited for before a command is sent again: a modem takes its time."""
FINISH_S = 120.0
"""How long "executed" or "refused" is waited for after "received", before the command is sent again to ask for it."""
GAP_S = 2.0
"""Half a frame whose rest does not come for this long never was one."""
MOST_TRIES = 5
MOST_EVENTS = 64
MOST_PENDING = 16


class Unanswered:
    """The event that a command was sent five times and nothing came back, or no more than "received"."""

    __slots__ = ("command_id", "stage")

    def __init__(self, command_id: int, stage: int | None = None) -> None:
        self.command_id = command_id
        self.stage = stage
        """`RECEIVED`, or None."""


class _End:
    """What both ends share."""

    __slots__ = ("_events", "_framer", "_gap_at", "_out", "_serial", "broken", "foreign", "station")

    def __init__(self, station: int) -> None:
        self.station = station
        self._framer = Framer()
        self._gap_at: float | None = None
        self._events: list[object] = []
        self._out: list[bytes] = []
        self._serial = 0
        self.broken = 0
        """Frames with a body that is none."""
        self.foreign = 0
        """Frames of another station or kind."""

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes that arrived at `now`. Never raises for what they hold: it counts."""
        self._forget_half(now)
        for at in range(0, len(data), MAX_FRAME_BYTES):
            self._framer.feed(data[at : at + MAX_FRAME_BYTES])
            self._take_all(now)
        if data:
            self._gap_at = now + GAP_S if self._framer.waiting else None

    def _forget_half(self, now: float) -> None:
        """At its deadline, and take what stood behind it."""
        if self._gap_at is not None and now >= self._gap_at:
            self._gap_at = None
            self._framer.silence()
            self._take_all(now)

    def _take_all(self, now: float) -> None:
        while True:
            frame = self._framer.next_frame()
            if isinstance(frame, NeedData):
                return
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
    """The buoy's end. Events are commands to be carried out; reports and answers are sent.

    book: of the time before a reboot; the caller keeps its `saved()` before "executed" is answered.
    """

    __slots__ = ("book", "mark", "utc_offset_s")

    def __init__(self, station: int, mark: str | None = None, book: OrderBook | None = None) -> None:
        _End.__init__(self, station)
        self.book = OrderBook() if book is None else book
        self.mark = mark
        """One of `marks.MARKS`: it shows no other character than these; None: any."""
        self.utc_offset_s: int | None = None
        """UTC seconds since 1970 minus `now`; None while it does not know the time."""

    def _take(self, frame: Frame, now: float) -> bool:
        if frame.kind != COMMAND or frame.station not in (self.station, EVERYONE):
            return False
        command = decode_command(frame.body)
        answer = self.book.answer_of(command.command_id)
        if answer is None and len(self._events) >= MOST_EVENTS:
            answer = Answer(command.command_id, REFUSED, BUSY)  # not noted: it may come again
        elif answer is None:
            utc_s = None if self.utc_offset_s is None else self.utc_offset_s + int(now)
            reason = why_refused(command, utc_s, frame.station, self.mark)
            answer = Answer(command.command_id, REFUSED if reason else RECEIVED, reason)
            self.book.note(answer)
            if not reason:
                self._tell(command)
        self._queue(ANSWER, encode_answer(answer))
        return True

    def send(self, command: Report | Answer, now: float) -> None:  # noqa: ARG002  # the face of every dialogue
        """Send a report, or how far a command has come. Raises `LocalProtocolError`."""
        if isinstance(command, Report):
            self._queue(REPORT, encode_report(command))
            return
        if self.book.answer_of(command.command_id) is None:
            raise LocalProtocolError("no such command came", field="id")
        self._queue(ANSWER, encode_answer(command))
        self.book.note(command)

    def next_deadline(self) -> float | None:
        """When half a frame is forgotten; the shore side repeats."""
        return self._gap_at

    def tick(self, now: float) -> None:
        """Forget half a frame."""
        self._forget_half(now)


class _Pending:
    __slots__ = ("command", "deadline", "sent_at", "stage", "tries")

    def __init__(self, command: Command, now: float) -> None:
        self.command = command
        self.sent_at = now
        self.deadline = now + REPEAT_S
        self.stage: int | None = None
        self.tries = 1

    def take(self, stage: int, now: float) -> None:
        """The buoy has it, and is to finish it."""
        if self.stage is None:
            self.stage = stage
            self.tries = 1
            self.deadline = now + FINISH_S

    def repeat(self, now: float) -> bytes:
        """The command once more. A time is that of its sending."""
        self.tries += 1
        self.deadline = now + (REPEAT_S if self.stage is None else FINISH_S)
        command = self.command
        arguments = command.arguments
        if isinstance(arguments, SyncTime):
            arguments = SyncTime(arguments.time_s + int(now - self.sent_at))
        return encode_command(Command(command.command_id, command.expires_s, arguments))


class Shore(_End):
    """The shore side of one buoy. Events are reports, answers and `Unanswered`."""

    __slots__ = ("_pending", "_stages")

    def __init__(self, station: int) -> None:
        _End.__init__(self, station)
        self._pending: dict[int, _Pending] = {}
        self._stages: dict[int, int] = {}

    def _take(self, frame: Frame, now: float) -> bool:
        if frame.station != self.station:
            return False
        if frame.kind == REPORT:
            self._tell(decode_report(frame.body))
            return True
        if frame.kind != ANSWER:
            return False
        answer = decode_answer(frame.body)
        pending = self._pending.get(answer.command_id)
        if pending is not None and answer.stage == RECEIVED:
            pending.take(answer.stage, now)
        elif pending is not None:
            del self._pending[answer.command_id]
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
        self._queue(COMMAND, encode_command(command))
        self._pending[command.command_id] = _Pending(command, now)
        if len(self._stages) >= MOST_EVENTS:
            for command_id in list(self._stages):
                if command_id not in self._pending:
                    del self._stages[command_id]
                    break
        self._stages[command.command_id] = -1

    def next_deadline(self) -> float | None:
        """When a command is due again, or half a frame is forgotten."""
        deadlines = [pending.deadline for pending in self._pending.values()]
        if self._gap_at is not None:
            deadlines.append(self._gap_at)
        return min(deadlines) if deadlines else None

    def tick(self, now: float) -> None:
        """Repeat what was not answered, and forget half a frame."""
        self._forget_half(now)
        for command_id, pending in list(self._pending.items()):
            if now < pending.deadline:
                continue
            if pending.tries >= MOST_TRIES:
                del self._pending[command_id]
                self._tell(Unanswered(command_id, pending.stage))
                continue
            self._queue(COMMAND, pending.repeat(now))
