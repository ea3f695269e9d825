"""Who is asked next on a bus: commands first, then the device whose round has been due longest.

A command or a device that stragglers hold up lets others pass. No I/O, no clock.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from drivers.errors import DeviceRefusedError, DeviceTimeoutError, DriverError, PortError
from drivers.text import _
from protocols.modbus_devices.master import Call, Failure
from protocols.modbus_devices.pdu import EXCEPTION_NAMES, Pdu, Request

MAX_WAITING = 64
"""Commands that may wait for their turn."""

HeldUntil = Callable[[Call, float], float]
"""Until when a call may not be sent, seen from now."""


class BusDevice(Protocol):
    """What polls over a bus: `drivers.modbus.poller.Poller`. It is also the owner of its calls."""

    period_s: float
    next_due: float | None

    @property
    def is_dead(self) -> bool:
        """Whether it is only probed."""

    def port_opened(self, now: float) -> None:
        """The port is open."""

    def port_down(self, error: DriverError, now: float) -> None:
        """The port is lost or cannot be opened."""

    def stop(self) -> None:
        """It was taken off the bus."""

    def miss(self, now: float) -> None:
        """`next_due` has come while the port is not open."""

    def poll(self, now: float, held_until: HeldUntil) -> Call | None:
        """`next_due` has come: the next call, or None and another `next_due`."""


class Command:
    """A call that somebody awaits."""

    def __init__(self, unit_id: int, request: Request, timeout_s: float) -> None:
        self.call = Call(unit_id, request, timeout_s, self)
        self.answer: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()

    def replied(self, _call: Call, response: Pdu, _at: float) -> None:
        """Wake who awaits it with the answer."""
        if not self.answer.done():
            self.answer.set_result(response)

    def failed(self, call: Call, reason: Failure, _at: float, code: int | None) -> None:
        """Wake who awaits it with the error."""
        if self.answer.done():
            return
        error: DriverError
        if reason is Failure.EXCEPTION:
            name = EXCEPTION_NAMES.get(code or 0, "exception")
            error = DeviceRefusedError(_("unit %d refuses: %s (%s)") % (call.unit_id, name, code), code)
        elif reason is Failure.PORT:
            error = PortError(_("the port was lost before unit %d answered") % call.unit_id)
        else:
            error = DeviceTimeoutError(_("unit %d: %s") % (call.unit_id, reason.value))
        self.answer.set_exception(error)


class Schedule:
    """The devices and the waiting commands of a bus."""

    def __init__(self) -> None:
        self.devices: list[BusDevice] = []
        self.commands: deque[Command] = deque()

    def next_call(self, now: float, held_until: HeldUntil) -> Call | None:
        """The call whose turn it is; None when there is none now, and `next_due()` says when to ask again."""
        for command in self.commands:
            if held_until(command.call, now) <= now:
                self.commands.remove(command)
                return command.call
        while True:
            first: BusDevice | None = None
            due = now
            for device in self.devices:
                if device.next_due is not None and (
                    device.next_due < due or (first is None and device.next_due <= due)
                ):
                    first, due = device, device.next_due
            if first is None:
                return None
            call = first.poll(now, held_until)
            if call is not None:
                return call

    def next_due(self, now: float, held_until: HeldUntil) -> float | None:
        """When the next device is due, or a command is no longer held up."""
        dues = [device.next_due for device in self.devices if device.next_due is not None]
        dues += [held_until(command.call, now) for command in self.commands]
        return min(dues, default=None)
