"""What leaves a driver: samples, events, transactions, offers of time; and the face of whoever takes them.

A driver stamps everything with monotonic seconds (`at`, from its `Clock`): wall time is a claim that `edge` adds.
"""

from enum import IntEnum
from typing import Any, Protocol

import msgspec

from drivers.errors import DriverError

Value = float | int | bool | str | None


class Quality(IntEnum):
    """Why a value may not be taken at its word; the codes of the telemetry pack."""

    GOOD = 0
    UNCERTAIN = 1
    """Stale or uncertain."""
    COMMUNICATION_FAILED = 2
    OUT_OF_RANGE = 3
    DEVICE_FAULT = 4
    SUBSTITUTED = 5
    CLOCK_DOUBTFUL = 6


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One measured quantity of a device, as the catalogue tells it."""

    name: str
    type: str
    """uint16, int16, uint32, int32, uint64, int64, float32, float64, bool, bits or string."""
    unit: str = "1"
    min: float | None = None
    max: float | None = None
    deadband: float = 0.0
    """With `report = "change"`: a change of at most this much is no change."""
    title: dict[str, str] | None = None


class Sample(msgspec.Struct, frozen=True):
    """One poll round of one device: one row of a telemetry pack.

    A failed read is None in `values` and its code in `bad`: never a missing value, never the old one again.
    """

    device: str
    at: float
    """Monotonic seconds at which the values were true."""
    values: list[Value]
    """In the order of the driver's `points`."""
    bad: list[tuple[int, int]] = []
    """(index of the point, Quality) for whatever is not good, in rising order."""


class DeviceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened: an alarm, a change of state, a tap. Never filtered, committed at once."""

    device: str
    kind: str
    """`[a-z0-9-]+`: the last level of its topic and the last part of its type."""
    at: float
    data: dict[str, Any]
    severity: str = "info"
    """info, warning or alarm."""


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """Money or evidence. Never filtered, never evicted, committed before the device shows green."""

    device: str
    kind: str
    at: float
    data: dict[str, Any]


class TimeOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A device says what time it is. The clock decides whether to believe it."""

    device: str
    source: str
    """`gnss`."""
    at: float
    """Monotonic seconds at which `utc_ms` was true, as well as the driver knows."""
    utc_ms: int
    accuracy_ms: float


class Readings(Protocol):
    """Whoever takes what a driver makes. All calls return at once; none raises into the driver."""

    def sample(self, sample: Sample) -> None:
        """Take one poll round."""

    def event(self, event: DeviceEvent) -> None:
        """Take an event."""

    async def transaction(self, transaction: Transaction) -> bool:
        """Return True once the record is durable, False when the disk does not have it now: the device shows red.

        After False the record may still be written, when the disk works again. So it says what has happened, never what
        is about to: a step that moves money or opens a gate has an intent before it and its record after it.
        """

    def time_offer(self, offer: TimeOffer) -> None:
        """Take an offer of time."""

    def device_lost(self, device: str, error: DriverError) -> None:
        """Say once that a device stopped answering. Repeated calls are one loss."""

    def device_back(self, device: str) -> None:
        """Say that a device answers. Harmless when it never was lost."""
