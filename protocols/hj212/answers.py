"""Answers: commands 9011 to 9014, sent under the system code 91 (HJ 212-2017 table 9, 交互命令).

The edition of 2005 leaves the request number out of an answer's header and puts it into CP.
"""

from enum import IntEnum
from typing import ClassVar

from protocols.hj212.command import Command, Kind, Plain

ST_EXCHANGE = "91"
"""System code of all answers."""
_QN = Plain("qn", "QN", is_needed=False)


class QnRtn(IntEnum):
    """What becomes of a request, HJ 212-2017 table 6 (请求命令返回)."""

    WILL_RUN = 1
    REFUSED = 2
    PW = 3
    MN = 4
    ST = 5
    FLAG = 6
    QN = 7
    CN = 8
    CRC = 9
    UNKNOWN = 100


class ExeRtn(IntEnum):
    """What became of it, HJ 212-2017 table 5 (执行结果)."""

    OK = 1
    FAILED = 2
    CONDITION = 3
    TIMEOUT = 4
    BUSY = 5
    SYSTEM_FAULT = 6
    NO_DATA = 100


class RequestAnswer(Command, frozen=True, kw_only=True):
    """9011, up. qn_rtn: a `QnRtn`, or a number that has no name there. qn: of the request, edition of 2005."""

    CN: ClassVar[str] = "9011"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_QN, Plain("qn_rtn", "QnRtn", Kind.WHOLE))
    qn_rtn: int
    qn: str | None = None


class ExecutionResult(Command, frozen=True, kw_only=True):
    """9012, up. exe_rtn: an `ExeRtn`, or a number that has no name there."""

    CN: ClassVar[str] = "9012"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_QN, Plain("exe_rtn", "ExeRtn", Kind.WHOLE))
    exe_rtn: int
    qn: str | None = None


class NoticeAnswer(Command, frozen=True, kw_only=True):
    """9013, both ways: a notice arrived."""

    CN: ClassVar[str] = "9013"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_QN,)
    qn: str | None = None


class DataAnswer(Command, frozen=True, kw_only=True):
    """9014, both ways: data arrived."""

    CN: ClassVar[str] = "9014"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_QN,)
    qn: str | None = None


DOWN: tuple[type[Command], ...] = (NoticeAnswer, DataAnswer)
UP: tuple[type[Command], ...] = (RequestAnswer, ExecutionResult, NoticeAnswer, DataAnswer)
ANSWERS = frozenset(kind.CN for kind in UP)
