"""What a site was asked to do, each request once, however often it comes.

HJ 212-2017 clause 6.2.1: a request is answered at once (9011) and its result told when it is there (9012). The same
request again, with the same QN, means that an answer got lost: it is answered again and not carried out again.

What each stimulus leads to stands in `Task.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

from protocols.hj212.answers import ExecutionResult, ExeRtn, NoticeAnswer, QnRtn, RequestAnswer
from protocols.hj212.command import Command


class TaskState(Enum):
    """Where a task stands."""

    RUNNING = "running"
    REPORTED = "reported"


class TaskStimulus(Enum):
    """What may happen to it."""

    AGAIN = "the same request"
    FINISH = "Finish"
    LATE = "no Finish in time"


class Task:
    """A request that was taken, or a notice: that has no result, and is over with its answer."""

    def __init__(self, command: Command, *, is_notice: bool, wants_answer: bool, deadline: float) -> None:
        self.command = command
        self.deadline = deadline
        self.answers: list[Command] = []
        """What is to be told; whoever sends it clears it."""
        self._wants_answer = wants_answer
        self._is_notice = is_notice
        self._code = 0
        self.state = TaskState.REPORTED if is_notice else TaskState.RUNNING
        self._answer()

    def again(self) -> None:
        """The same request came."""
        self._step(TaskStimulus.AGAIN)

    def finish(self, code: int) -> None:
        """It is carried out, or failed. code: an `ExeRtn`."""
        self._code = code
        self._step(TaskStimulus.FINISH)

    def tick(self, now: float) -> bool:
        """Time has passed; says whether it was too long."""
        if self.state is not TaskState.RUNNING or now < self.deadline:
            return False
        self._code = ExeRtn.TIMEOUT
        self._step(TaskStimulus.LATE)
        return True

    def _step(self, stimulus: TaskStimulus) -> None:
        action, self.state = self.TRANSITIONS[self.state, stimulus]
        action(self)

    def _answer(self) -> None:
        if self._wants_answer:
            self.answers.append(NoticeAnswer() if self._is_notice else RequestAnswer(qn_rtn=QnRtn.WILL_RUN))

    def _report(self) -> None:
        if self._wants_answer:
            self.answers.append(ExecutionResult(exe_rtn=self._code))

    def _answer_and_report(self) -> None:
        self._answer()
        if not self._is_notice:
            self._report()

    TRANSITIONS: ClassVar[Mapping[tuple[TaskState, TaskStimulus], tuple[Callable[["Task"], None], TaskState]]] = {
        (TaskState.RUNNING, TaskStimulus.AGAIN): (_answer, TaskState.RUNNING),
        (TaskState.RUNNING, TaskStimulus.FINISH): (_report, TaskState.REPORTED),
        (TaskState.RUNNING, TaskStimulus.LATE): (_report, TaskState.REPORTED),
        (TaskState.REPORTED, TaskStimulus.AGAIN): (_answer_and_report, TaskState.REPORTED),
    }
