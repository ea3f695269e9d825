"""The face of every driver: one device, one task, one verb per device action."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from drivers.readings import Point


class Driver(Protocol):
    """One device.

    The constructor does no I/O. `run()` lives until it is cancelled or raises a `DriverError`, whose `recovery` tells
    the supervisor what to do; it may be called again afterwards. Cancelling releases all that it holds.
    """

    @property
    def name(self) -> str:
        """The device's name in the configuration; names its stream and stands on each of its log lines."""

    @property
    def points(self) -> Sequence[Point]:
        """What its samples hold, in order; empty for a device that makes events only. Fixed for its life."""

    async def run(self) -> None:
        """Own the device: open, poll, report, until cancelled."""

    async def command(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an operation such as `modbus.write` and return its plain-data result.

        Raises `DeviceRefusedError`, `DeviceTimeoutError` or `PortError`.
        """

    def status(self) -> dict[str, Any]:
        """Plain data for `wayside status`: state, counters, last error. Cheap, and fresh at each call."""
