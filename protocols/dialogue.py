"""The face of every dialogue: bytes and `now` in, events, bytes and deadlines out.

A dialogue holds a protocol's life (states, serial numbers, retries, windows) and does no I/O. `now` is monotonic
seconds; nothing inside asks what time it is. Whoever pumps it writes what `bytes_to_send()` returns, hands it what
arrives, and calls `tick()` no later than `next_deadline()`. What most dialogues keep until they are asked for it stands
below the face: `EventQueue`, `StreamEnd`, `FrameEnd`.
"""

from collections import deque
from typing import Generic, Protocol, TypeVar

from protocols.core.errors import NEED_DATA, NeedData

CommandT_contra = TypeVar("CommandT_contra", contravariant=True)
EventT_co = TypeVar("EventT_co", covariant=True)
EventT = TypeVar("EventT")


class Dialogue(Protocol[CommandT_contra, EventT_co]):
    """A protocol's machine. See the module's docstring."""

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes that arrived at `now`. May raise `RemoteProtocolError`, nothing else."""

    def next_event(self) -> EventT_co | NeedData:
        """The next thing that happened, or `NEED_DATA`."""

    def send(self, command: CommandT_contra, now: float) -> None:
        """Ask for something. May raise `LocalProtocolError`, nothing else."""

    def bytes_to_send(self) -> bytes:
        """What is due on the wire now; empty when nothing is."""

    def next_deadline(self) -> float | None:
        """When `tick()` is due at the latest, or None."""

    def tick(self, now: float) -> None:
        """Time has passed: retries, ageing fragments, keep-alive."""


class EventQueue(Generic[EventT]):
    """Events, kept in order until somebody asks."""

    def __init__(self) -> None:
        self._events: deque[EventT] = deque()

    def next_event(self) -> EventT | NeedData:
        """The next thing that happened, or `NEED_DATA`."""
        return self._events.popleft() if self._events else NEED_DATA


class StreamEnd(EventQueue[EventT]):
    """One end of a stream: all that is due goes out at once."""

    def __init__(self) -> None:
        super().__init__()
        self._outgoing = bytearray()

    def bytes_to_send(self) -> bytes:
        """What is due on the line now; empty when nothing is."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data


class FrameEnd(EventQueue[EventT]):
    """One end of a link that carries frames: they go out one by one."""

    def __init__(self) -> None:
        super().__init__()
        self._outgoing: deque[bytes] = deque()

    def bytes_to_send(self) -> bytes:
        """The next frame that is due; empty when none is."""
        return self._outgoing.popleft() if self._outgoing else b""
