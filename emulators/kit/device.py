"""The face of every emulated device: bytes and time in, bytes out; no socket, no sleep, no clock of its own.

`now` is monotonic seconds of the host's event loop. What the device is and did is plain attributes that a test reads.
Hosts (`emulators.kit.hosts`) give it a place on a wire; `emulators.kit.faults.FaultyDevice` makes it misbehave.
"""

from typing import Protocol


class EmulatedDevice(Protocol):
    """One device in software."""

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """Take bytes that arrived; return what the device says to that, each item one write."""

    def tick(self, now: float) -> list[bytes]:
        """Time has passed; return what the device says by itself."""

    def next_deadline(self) -> float | None:
        """When `tick()` is due at the latest, or None."""
