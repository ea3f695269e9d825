"""What both ends of a telemetry link share: the timers of the standard.

SL 651-2014, clause 6.3.2.
"""

from collections.abc import Callable

from fastcrc import crc16

from protocols.sl651.framer import Framer

REPLY_TIMEOUT_S = 30.0
"""How long an opener waits: 20 to 30 s on GPRS, 60 s over a satellite."""
MAX_RESENDS = 2
"""After three silent tries the opener gives up until its next contact."""
GAP_S = 2.0
"""Half a frame whose rest does not come for this long never was one."""
Clock = Callable[[float], str]
"""The wall clock of this end, YYMMDDHHmmSS, for a monotonic moment."""


def fast_framer() -> Framer:
    """A framer with the fast CRC."""
    return Framer(crc16.modbus)
