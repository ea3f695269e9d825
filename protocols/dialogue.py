"""The face of every dialogue: bytes and `now` in, events, bytes and deadlines out.

A dialogue holds a protocol's life (states, serial numbers, retries, windows) and does no I/O. `now` is monotonic
seconds; nothing inside asks what time it is. Whoever pumps it writes what `bytes_to_send()` returns, hands it what
arrives, and calls `tick()` no later than `next_deadline()`.
"""

from typing import Protocol, TypeVar

from protocols.core.errors import NeedData

CommandT_contra = TypeVar("CommandT_contra", contravariant=True)
EventT_co = TypeVar("EventT_co", covariant=True)


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
