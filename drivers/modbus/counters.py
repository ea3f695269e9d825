"""What became of a device's rounds and requests, in numbers and, for people, in words."""

import msgspec

from drivers.text import _
from protocols.modbus_devices.master import Call, Failure
from protocols.modbus_devices.pdu import EXCEPTION_NAMES, ReadRequest


class PollCounters(msgspec.Struct):
    """What became of a device's rounds and requests."""

    rounds: int = 0
    failed_rounds: int = 0
    """Rounds without a single value."""
    late_rounds: int = 0
    """Rounds that began late because those before them took too long."""
    requests: int = 0
    retries: int = 0
    timeouts: int = 0
    noise: int = 0
    exceptions: int = 0

    def count(self, call: Call, reason: Failure, code: int | None) -> str:
        """Count a call of a round that has no answer. Returns what happened, for people."""
        if reason is Failure.EXCEPTION:
            self.exceptions += 1
            text = f"{EXCEPTION_NAMES.get(code or 0, 'exception')} ({code})"
        else:
            self.timeouts += reason is Failure.TIMEOUT
            self.noise += reason is not Failure.TIMEOUT
            text = reason.value
        asked = call.request
        assert isinstance(asked, ReadRequest), "rounds only read"
        last = asked.start_address + asked.quantity - 1
        return _("function %d, addresses %d to %d: %s") % (asked.function, asked.start_address, last, text)
