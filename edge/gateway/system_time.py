"""What the operating system says about the time: its clock, and whether NTP keeps it.

adjtimex(2) is asked in read-only mode, which needs no right. Whatever disciplines the clock (chrony, ntpd,
systemd-timesyncd) tells the kernel, so no daemon has to be known here. The kernel adds 0.5 ms of possible error for
each second in which nobody corrects it: a daemon that died is noticed by that.
"""

import ctypes
import time

import msgspec

STA_UNSYNC = 0x0040
TIME_ERROR = 5
MAX_ERROR_US = 4_000_000
"""More possible error than this: uncorrected for two hours, while daemons correct at least every 34 minutes."""
_MORE_BYTES = 256
"""Whatever follows the status in this C library's `struct timex` (168 bytes at most are known)."""


class SystemTime(msgspec.Struct, frozen=True):
    """One look at the system's clock."""

    wall_ms: int
    """UTC in ms since 1970, right or wrong."""
    is_kept: bool
    """Whether NTP keeps it."""


class _Timex(ctypes.Structure):
    """The head of `struct timex` (sys/timex.h), the same on all Linux architectures but for the size of a long."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("more", ctypes.c_char * _MORE_BYTES),
    )


class SystemClock:
    """Reads the system's time; its `read` is what `GatewayClock` is given."""

    def __init__(self) -> None:
        self._adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)
        """None where the C library has none (not Linux): then nobody is known to keep the clock."""

    def read(self) -> SystemTime:
        """Look at the system's clock."""
        return SystemTime(wall_ms=time.time_ns() // 1_000_000, is_kept=self._is_kept())

    def _is_kept(self) -> bool:
        if self._adjtimex is None:
            return False
        timex = _Timex(modes=0)
        state = self._adjtimex(ctypes.byref(timex))
        if state < 0 or state == TIME_ERROR:  # refused by a sandbox, or not synchronised
            return False
        return not timex.status & STA_UNSYNC and timex.maxerror <= MAX_ERROR_US
