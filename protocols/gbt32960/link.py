"""What both ends of a connection share: timers, and what waits for its answer.

GB/T 32960.3-2016 and -2025, clause 5 and annex B. An answer bears the command and the time of what it answers.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from protocols.gbt32960.frame import Frame
from protocols.gbt32960.times import TIME_BYTES

ANSWER_TIMEOUT_S = 30.0
GAP_S = 5.0
"""Half a frame whose rest does not come for this long never was one."""
Clock = Callable[[float], bytes]
"""The wall clock of this end as the six bytes of a time, for a monotonic moment; see `times.time_of_instant`."""

TokenT = TypeVar("TokenT")


class Waiting(msgspec.Struct, Generic[TokenT], frozen=True):
    """Something that was sent. time: the first six bytes of its data unit, empty where it has none."""

    token: TokenT
    vin: bytes
    command: int
    time: bytes
    deadline: float

    def is_answered_by(self, frame: Frame) -> bool:
        """Whether an answer is its own. A heartbeat and a time sync have no time that could come back."""
        is_of_it = (frame.vin, frame.command) == (self.vin, self.command)
        return is_of_it and (not self.time or frame.data[:TIME_BYTES] in {self.time, b""})


class Outstanding(Generic[TokenT]):
    """What waits for an answer, oldest first."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting[TokenT]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, token: TokenT, frame: Frame, deadline: float) -> None:
        """Wait for the answer to a frame."""
        time = frame.data[:TIME_BYTES] if len(frame.data) >= TIME_BYTES else b""
        self._waiting.append(Waiting(token, frame.vin, frame.command, time, deadline))

    def settle(self, answer: Frame) -> Waiting[TokenT] | None:
        """What a frame answers, which waits no longer; None for nothing."""
        for waiting in self._waiting:
            if waiting.is_answered_by(answer):
                self._waiting.remove(waiting)
                return waiting
        return None

    def expired(self, now: float) -> list[Waiting[TokenT]]:
        """What has waited too long, and waits no longer."""
        late = [waiting for waiting in self._waiting if waiting.deadline <= now]
        for waiting in late:
            self._waiting.remove(waiting)
        return late

    def clear(self) -> list[TokenT]:
        """Wait for nothing any more; what it was."""
        tokens = [waiting.token for waiting in self._waiting]
        self._waiting.clear()
        return tokens

    def next_deadline(self) -> float | None:
        """When the first of them has waited too long."""
        return min((waiting.deadline for waiting in self._waiting), default=None)
