"""The site (现场机): a data logger's end of the connection, as a dialogue without I/O.

HJ 212-2017 clause 6.2. It sends data (answered with 9014) and notices (9013), each repeated until it is answered, and
carries out requests. A request is checked here (MN, PW, ST, QN, CN, and a CRC that does not hold) and answered with
9011; the application hears of it once and ends it with `Finish`. What took too long is reported as timed out.

Data that were not answered are handed back as `Undelivered`. They belong into a store and go out again, oldest first,
when there is a connection again: under the same QN, by which the centre knows them.
"""

import msgspec

from protocols.core.errors import LocalProtocolError, NeedData, RemoteProtocolError
from protocols.hj212.answers import ANSWERS, DataAnswer, ExecutionResult, NoticeAnswer, QnRtn, RequestAnswer
from protocols.hj212.command import Command, write_items
from protocols.hj212.commands import NOTICES, Way, decode_command
from protocols.hj212.exchange import OVER_TIME_S, RE_COUNT, Exchange, Outcome
from protocols.hj212.link import RECEIPTS, Configure, Identity, Link, can_be_answered
from protocols.hj212.parts import Reassembler
from protocols.hj212.segment import Segment, decode_segment
from protocols.hj212.tasks import Task, TaskState
from protocols.hj212.times import QN_DIGITS, local_ms_of

EXECUTION_S = 60.0
MAX_RUNNING = 16
MAX_REMEMBERED = 256
"""Requests whose repetition is known as one."""


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """Send data. is_confirmed: the centre must say that it has them; usual for all but realtime data."""

    command: Command
    qn: str
    is_confirmed: bool = True


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """Send a notice, such as 1013."""

    command: Command
    qn: str


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Send data that were asked for; as often as there are some, before `Finish`."""

    command: Command
    qn: str


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """A request is carried out, or failed. exe_rtn: an `ExeRtn`."""

    qn: str
    exe_rtn: int


class Requested(msgspec.Struct, frozen=True, kw_only=True):
    """The centre asks for something; it has been told that it will run."""

    command: Command
    qn: str


class Noticed(msgspec.Struct, frozen=True, kw_only=True):
    """The centre gave a notice; it has been answered."""

    command: Command
    qn: str


class Delivered(msgspec.Struct, frozen=True):
    """The centre has it."""

    what: Upload | Notify


class Undelivered(msgspec.Struct, frozen=True):
    """Nobody answered; the connection is of no use."""

    what: Upload | Notify


class TimedOut(msgspec.Struct, frozen=True, kw_only=True):
    """A request was not finished in time, and the centre was told so."""

    command: Command
    qn: str


SiteCommand = Upload | Notify | Data | Finish | Configure
SiteEvent = Requested | Noticed | Delivered | Undelivered | TimedOut


class SiteDialogue(Link[SiteEvent]):
    """A site's talk with its centre. See the module's docstring.

    codes: the requests and notices that the site carries out.
    """

    def __init__(
        self,
        identity: Identity,
        codes: frozenset[str],
        *,
        over_time_s: float = OVER_TIME_S,
        re_count: int = RE_COUNT,
        execution_s: float = EXECUTION_S,
    ) -> None:
        super().__init__(identity, over_time_s=over_time_s, re_count=re_count)
        self._codes = codes
        self._execution_s = execution_s
        self._tasks: dict[str, Task] = {}
        self._reassembler = Reassembler()

    def send(self, command: SiteCommand, now: float) -> None:
        """Send or set something. Raises `LocalProtocolError`."""
        match command:
            case Upload():
                packets = self._packets(command.command, command.qn, wants_answer=command.is_confirmed)
                if command.is_confirmed:
                    self._begin(command.qn, command, packets, None, now)
                else:
                    self._outgoing += b"".join(packets)
            case Notify():
                packets = self._packets(command.command, command.qn, wants_answer=True)
                self._begin(command.qn, command, packets, None, now)
            case Data():
                self._running(command.qn)
                packets = self._packets(command.command, command.qn, wants_answer=False)
                self._outgoing += b"".join(packets)
            case Finish():
                task = self._running(command.qn)
                write_items(ExecutionResult(exe_rtn=command.exe_rtn))  # what cannot be said leaves it running
                task.finish(command.exe_rtn)
                self._tell(command.qn, task)
            case Configure():
                self._configure(command)

    def next_deadline(self) -> float | None:
        """When the next answer must have come, or the next request be finished."""
        running = [task.deadline for task in self._tasks.values() if task.state is TaskState.RUNNING]
        known = [super().next_deadline(), self._reassembler.next_deadline(), *running]
        return min((deadline for deadline in known if deadline is not None), default=None)

    def tick(self, now: float) -> None:
        """Time has passed."""
        super().tick(now)
        self._reassembler.tick(now)
        for qn, task in self._tasks.items():
            if task.tick(now):
                self._tell(qn, task)
                self._events.append(TimedOut(command=task.command, qn=qn))

    def _running(self, qn: str) -> Task:
        task = self._tasks.get(qn)
        if task is None or task.state is not TaskState.RUNNING:
            raise LocalProtocolError("no request of this number is running", field="QN")
        return task

    def _tell(self, qn: str, task: Task) -> None:
        for answer in task.answers:
            self._answer(answer, qn)
        task.answers.clear()

    def _take(self, segment: Segment, now: float) -> None:
        if segment.cn in RECEIPTS:
            if not self._is_stranger(segment):
                self._take_receipt(segment, {DataAnswer.CN: Upload, NoticeAnswer.CN: Notify}, now)
        elif segment.cn in ANSWERS:
            self.counters.strays += 1
        else:
            self._take_request(segment, now)

    def _take_request(self, segment: Segment, now: float) -> None:
        qn = segment.qn
        refusal = self._refusal(segment)
        task = None if qn is None else self._tasks.get(qn)
        if qn is None or not can_be_answered(qn):
            self.counters.bad_segments += 1  # whoever asks without a number cannot be answered
        elif refusal is not None:
            self._refuse(segment, qn, refusal)
        elif task is not None:
            if task.command.cn != segment.cn:
                self._refuse(segment, qn, QnRtn.QN)
            elif segment.pno in (None, segment.pnum):  # of a whole in parts the last one counts
                self.counters.repeats += 1
                task.again()
                self._tell(qn, task)
        elif not isinstance(whole := self._reassembler.add(segment, now), NeedData):
            self._take_new(whole, qn, now)

    def _refusal(self, segment: Segment) -> QnRtn | None:
        """Why a request is not carried out, or None."""
        identity = self.identity
        if segment.mn != identity.mn:
            return QnRtn.MN
        if segment.pw != identity.pw:
            return QnRtn.PW
        if segment.st != identity.st:
            return QnRtn.ST
        if segment.cn not in self._codes:
            return QnRtn.CN
        return None if segment.qn is not None and _is_request_number(segment.qn) else QnRtn.QN

    def _refuse(self, segment: Segment, qn: str, code: QnRtn) -> None:
        if segment.is_ack_required:
            self._answer(RequestAnswer(qn_rtn=code), qn)

    def _take_new(self, segment: Segment, qn: str, now: float) -> None:
        is_notice = segment.cn in NOTICES[Way.DOWN]
        running = sum(task.state is TaskState.RUNNING for task in self._tasks.values())
        try:
            command = decode_command(segment, Way.DOWN)
        except RemoteProtocolError:
            self.counters.bad_segments += 1
            self._refuse(segment, qn, QnRtn.REFUSED)
            return
        if running >= MAX_RUNNING and not is_notice:
            self._refuse(segment, qn, QnRtn.REFUSED)
            return
        deadline = now + self._execution_s
        wants_answer = segment.is_ack_required
        task = Task(command, is_notice=is_notice, wants_answer=wants_answer, deadline=deadline)
        self._forget_oldest()
        self._tasks[qn] = task
        self._tell(qn, task)
        self._events.append((Noticed if is_notice else Requested)(command=command, qn=qn))

    def _forget_oldest(self) -> None:
        if len(self._tasks) >= MAX_REMEMBERED:
            oldest = next(qn for qn, task in self._tasks.items() if task.state is TaskState.REPORTED)
            del self._tasks[oldest]

    def _take_broken(self, data: bytes) -> None:
        """Tell the centre that its request came with a wrong CRC, as far as it can be told who asked and when."""
        try:
            segment = decode_segment(data)
        except RemoteProtocolError:
            return
        is_ours = segment.mn == self.identity.mn and segment.pw == self.identity.pw
        if is_ours and segment.qn is not None and _is_request_number(segment.qn) and segment.cn not in ANSWERS:
            self._refuse(segment, segment.qn, QnRtn.CRC)

    def _ended(self, exchange: Exchange) -> None:
        assert isinstance(exchange.owner, (Upload, Notify))
        event = Delivered if exchange.outcome is Outcome.ANSWERED else Undelivered
        self._events.append(event(exchange.owner))


def _is_request_number(text: str) -> bool:
    """Whether a QN is a moment of a calendar, with milliseconds."""
    try:
        local_ms_of(text, "QN")
    except RemoteProtocolError:
        return False
    return len(text) == QN_DIGITS
