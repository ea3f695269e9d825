"""Whether a changed configuration may stay: the pure decision.

A change that was made while the uplink worked must reach the uplink again within `TRIAL_S`, or it is taken back: a node
whose uplink a bad push has cut could never be told to undo it. A change made while the uplink was away proves nothing
by being offline: it stays, and becomes a good one when the uplink is next reached.
"""

from enum import Enum

TRIAL_S = 90.0
"""Together with the way back this stays below the 120 s that a node may be lost for."""
SETTLE_S = 5.0
"""A connection must last this long to count: a broker may take us and throw us out again."""


class Verdict(Enum):
    """What to do now."""

    WAIT = "wait"
    CONFIRM = "confirm"
    ROLL_BACK = "roll back"


class Trial:
    """One changed configuration on trial since `now`."""

    def __init__(self, now: float, *, was_connected: bool) -> None:
        self._began = now
        self.was_connected = was_connected
        self._connected_since: float | None = None

    def look(self, now: float, *, is_connected: bool) -> Verdict:
        """Judge by what is seen at `now`; call it about once a second."""
        if not is_connected:
            self._connected_since = None
            is_over = self.was_connected and now - self._began >= TRIAL_S
            return Verdict.ROLL_BACK if is_over else Verdict.WAIT
        if self._connected_since is None:
            self._connected_since = now
        return Verdict.CONFIRM if now - self._connected_since >= SETTLE_S else Verdict.WAIT
