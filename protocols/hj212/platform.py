"""The platform (上位机): the centre's end of a connection to one site, as a dialogue without I/O.

HJ 212-2017 clause 6.2. It asks for things: a request is repeated until it is answered (9011) and then waited for until
its result is there (9012). It takes data: each upload is told once, and answered (9014) when the application says that
it keeps them; a repetition is answered again and not told again. Notices are answered at once (9013).

A long upload arrives in parts, each a good record of its own; `parts.Reassembler` puts them together for whoever wants
the whole.
"""

import msgspec

from protocols.core.errors import FieldError
from protocols.hj212.answers import DataAnswer, ExecutionResult, NoticeAnswer, QnRtn, RequestAnswer
from protocols.hj212.command import Command, read_command
from protocols.hj212.commands import NOTICES, Way, decode_command
from protocols.hj212.exchange import OVER_TIME_S, RE_COUNT, Exchange, Outcome
from protocols.hj212.link import Configure, Identity, Link, can_be_answered
from protocols.hj212.segment import Segment

RESULT_S = 60.0
"""A site that works on a request has a word for us at least so often."""
MAX_REMEMBERED = 1024
"""Uploads whose repetition is known as one."""

RecordKey = tuple[str | None, str | None, str | None, str | None, int | None]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for something. result_s: for its result, from the answer or the last data on."""

    command: Command
    qn: str
    result_s: float = RESULT_S


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """Send a notice, such as 2012."""

    command: Command
    qn: str


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """Data came. request: what they answer; None for what the site sends of itself."""

    segment: Segment
    request: Request | None = None

    @property
    def key(self) -> RecordKey:
        """Two uploads with the same key are one: (MN, CN, QN, DataTime, PNO)."""
        segment = self.segment
        return (segment.mn, segment.cn, segment.qn, segment.plain("DataTime"), segment.pno)


class Accept(msgspec.Struct, frozen=True):
    """The data are kept: answer them, if the site wants an answer."""

    uploaded: Uploaded


class Noticed(msgspec.Struct, frozen=True, kw_only=True):
    """The site gave a notice; it has been answered."""

    command: Command
    qn: str | None


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A request has its result. exe_rtn: an `ExeRtn`, or a number that has no name there."""

    request: Request
    exe_rtn: int


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The site does not do it. qn_rtn: a `QnRtn`, or a number that has no name there."""

    request: Request
    qn_rtn: int


class Answered(msgspec.Struct, frozen=True):
    """The site has the notice."""

    notice: Notify


class Unanswered(msgspec.Struct, frozen=True):
    """Nobody answered."""

    what: Request | Notify


class NoResult(msgspec.Struct, frozen=True):
    """The site took the request and was not heard of again; whether it had an effect is not known."""

    request: Request


PlatformCommand = Request | Notify | Accept | Configure
PlatformEvent = Uploaded | Noticed | Finished | Refused | Answered | Unanswered | NoResult


class PlatformDialogue(Link[PlatformEvent]):
    """A centre's talk with one site. See the module's docstring."""

    def __init__(self, identity: Identity, *, over_time_s: float = OVER_TIME_S, re_count: int = RE_COUNT) -> None:
        super().__init__(identity, over_time_s=over_time_s, re_count=re_count)
        self._is_kept: dict[RecordKey, bool] = {}
        """Uploads and notices that came lately; the value says whether they were answered."""

    def send(self, command: PlatformCommand, now: float) -> None:
        """Ask, answer or set something. Raises `LocalProtocolError`."""
        match command:
            case Request() | Notify():
                packets = self._packets(command.command, command.qn, wants_answer=True)
                result_s = command.result_s if isinstance(command, Request) else None
                self._begin(command.qn, command, packets, result_s, now)
            case Accept():
                self._accept(command.uploaded)
            case Configure():
                self._configure(command)

    def _take(self, segment: Segment, now: float) -> None:
        if self._is_stranger(segment):
            return
        match segment.cn:
            case RequestAnswer.CN:
                self._take_answer(read_command(RequestAnswer, segment).qn_rtn, segment.exchange, now)
            case ExecutionResult.CN:
                self._take_result(read_command(ExecutionResult, segment).exe_rtn, segment.exchange, now)
            case NoticeAnswer.CN | DataAnswer.CN:
                self._take_receipt(segment, {NoticeAnswer.CN: Notify}, now)
            case None:
                raise FieldError("is missing", field="CN")
            case code if code in NOTICES[Way.UP]:
                self._take_notice(segment)
            case _:
                self._take_upload(segment, now)

    def _exchange_of(self, qn: str | None) -> Exchange | None:
        """The request that is open under this number, or None, which is counted."""
        exchange = None if qn is None else self._exchanges.get(qn)
        if exchange is None or not isinstance(exchange.owner, Request):
            self.counters.strays += 1
            return None
        return exchange

    def _take_answer(self, code: int, qn: str | None, now: float) -> None:
        exchange = self._exchange_of(qn)
        if qn is None or exchange is None:
            return
        if code == QnRtn.WILL_RUN:
            exchange.accepted(now)
        elif code == QnRtn.CRC:
            exchange.garbled(now)
        else:
            exchange.refused(code, now)
        self._settle(qn, exchange)

    def _take_result(self, code: int, qn: str | None, now: float) -> None:
        exchange = self._exchange_of(qn)
        if qn is not None and exchange is not None:
            exchange.result(code, now)
            self._settle(qn, exchange)

    def _take_notice(self, segment: Segment) -> None:
        notice = Noticed(command=decode_command(segment, Way.UP), qn=segment.qn)
        key = Uploaded(segment=segment).key
        if segment.qn is not None and _wants_answer(segment):
            self._answer(NoticeAnswer(), segment.qn)
        if segment.qn is not None and key in self._is_kept:
            self.counters.repeats += 1
            return
        self._remember(key, is_kept=True)
        self._events.append(notice)

    def _take_upload(self, segment: Segment, now: float) -> None:
        exchange = None if segment.qn is None else self._exchanges.get(segment.qn)
        request = None
        if segment.qn is not None and exchange is not None and isinstance(exchange.owner, Request):
            request = exchange.owner
            exchange.data_came(now)
            self._settle(segment.qn, exchange)
        uploaded = Uploaded(segment=segment, request=request)
        if _wants_answer(segment):
            is_kept = self._is_kept.get(uploaded.key)
            if is_kept is not None:
                self.counters.repeats += 1
                if is_kept:
                    self._answer_upload(segment)
                return
            self._remember(uploaded.key, is_kept=False)
        self._events.append(uploaded)

    def _accept(self, uploaded: Uploaded) -> None:
        if _wants_answer(uploaded.segment):
            self._remember(uploaded.key, is_kept=True)
            self._answer_upload(uploaded.segment)

    def _remember(self, key: RecordKey, *, is_kept: bool) -> None:
        self._is_kept.pop(key, None)
        if len(self._is_kept) >= MAX_REMEMBERED:
            del self._is_kept[next(iter(self._is_kept))]
        self._is_kept[key] = is_kept

    def _answer_upload(self, segment: Segment) -> None:
        assert segment.qn is not None, "only uploads with a number are answered"
        self._answer(DataAnswer(), segment.qn, segment)

    def _ended(self, exchange: Exchange) -> None:
        owner = exchange.owner
        assert isinstance(owner, (Request, Notify))
        if isinstance(owner, Notify):
            self._events.append(Answered(owner) if exchange.outcome is Outcome.ANSWERED else Unanswered(owner))
        elif exchange.outcome is Outcome.FINISHED:
            self._events.append(Finished(request=owner, exe_rtn=exchange.code))
        elif exchange.outcome is Outcome.REFUSED:
            self._events.append(Refused(request=owner, qn_rtn=exchange.code))
        elif exchange.outcome is Outcome.NO_RESULT:
            self._events.append(NoResult(owner))
        else:
            self._events.append(Unanswered(owner))


def _wants_answer(segment: Segment) -> bool:
    """Whether it asks for an answer, and has a number under which it can be given."""
    return segment.is_ack_required and can_be_answered(segment.qn)
