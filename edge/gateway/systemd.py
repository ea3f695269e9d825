"""What systemd wants to hear: READY, STATUS, WATCHDOG and STOPPING on its notification socket (sd_notify(3)).

Without `NOTIFY_SOCKET` in the environment every call does nothing.
"""

import os
import socket


def watchdog_period_s() -> float | None:
    """Seconds between two signs of life: half of what systemd allows; None when it does not watch this process."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not usec.isdigit() or pid != str(os.getpid()) or int(usec) == 0:
        return None
    return int(usec) / 2_000_000


def notify(text: str) -> bool:
    """Send one state such as `READY=1`; True when somebody listens."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
        try:
            s.connect(address)
            s.send(text.encode())
        except OSError:
            return False
    return True
