"""What can go wrong with a device or its line, and what helps.

Every error carries its `Recovery`: the supervisor tries again by itself, waits for a person, or gives up.
Foreign exceptions (`OSError`, pyserial's) are wrapped at the fence with `from`.
"""

from enum import Enum
from typing import ClassVar


class Recovery(Enum):
    """What helps after an error."""

    RETRY = "retry"
    """It may pass by itself: try again, backing off."""
    PERSON = "person"
    """A person must act (a wrong key, a missing right); looked at again rarely."""
    GIVE_UP = "give up"
    """It cannot work as configured; wait for another configuration."""


class DriverError(Exception):
    """Anything that goes wrong between a driver and its device. Its text is one line for a technician."""

    recovery: ClassVar[Recovery] = Recovery.RETRY


class PortError(DriverError):
    """The byte pipe is not there: no such port, no permission, connection refused or lost."""


class PortRefusedError(PortError):
    """The port exists but may not be opened (permission, held by another program): a person must act."""

    recovery = Recovery.PERSON


class DeviceTimeoutError(DriverError):
    """The device did not answer before its deadline."""


class DeviceRefusedError(DriverError):
    """The device answered that it will not. `code` is its own code, or None."""

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.code = code


class DeviceConfigError(DriverError):
    """The configuration asks for what this device or driver cannot do."""

    recovery = Recovery.GIVE_UP
