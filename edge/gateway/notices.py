"""Notices to a group: told to whoever reads the log, a line a minute at most, and counted. They never do anything.

Nobody signs them, so whoever reaches the broker may send as many as the line carries.
"""

import logging

from drivers.clock import Clock
from drivers.text import _
from edge.gateway.said import SaidOnce
from protocols.core.errors import RemoteProtocolError
from protocols.wayside import state

log = logging.getLogger(__name__)

LINE_PERIOD_S = 60.0


class Notices:
    """Takes what arrives on `group/{group}/notice`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._quiet_until = float("-inf")
        self._refused = SaidOnce()
        self.heard = 0
        """Good ones, told or not."""

    @property
    def refused(self) -> int:
        """What came on their topic and is none."""
        return self._refused.times

    def receive(self, data: bytes) -> None:
        """Take one as it came. Never raises for what a peer sent."""
        try:
            notice = state.decode(data, state.Notice)
        except RemoteProtocolError as error:
            if self._refused.is_news(str(error)):
                log.warning(_("a notice cannot be read: %s; further ones like it are only counted"), error)
            return
        self.heard += 1
        now = self._clock.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + LINE_PERIOD_S
            log.info(_("notice %s, %s: %s"), notice.id, notice.severity, " / ".join(notice.text.values()))
