"""The health gates for the driver: what was well when the slot was switched stands on the disk meanwhile."""

from collections.abc import Callable

import msgspec

from ota.agent.kept import read_kept
from ota.health import Gates, HealthGate
from ota.slots.neighbours import Verdict, Wellbeing
from ota.storage import Storage, replace
from ota.vitals import GatewayAwayError, Vitals

BEFORE = "before-switch"
_MAX_BYTES = 64 * 1024
_MAX_LOG_BYTES = 16 * 1024


class GatewayHealth:
    """See `ota.slots.neighbours.Health`. look: asks the gateway; log: its last words."""

    def __init__(
        self,
        storage: Storage,
        gates: Gates,
        *,
        look: Callable[[], Vitals],
        log: Callable[[], bytes],
        monotonic: Callable[[], float],
    ) -> None:
        self._storage = storage
        self._gates = gates
        self._look = look
        self._log = log
        self._monotonic = monotonic
        self._gate: HealthGate | None = None

    def remember(self) -> None:
        """Before a switch: how it is now. One that does not answer now has nothing to lose. Raises `StorageError`."""
        vitals = self._vitals() or Vitals()
        document = msgspec.to_builtins(vitals)
        replace(self._storage, BEFORE, msgspec.json.encode(document))

    def check(self) -> Verdict:
        """See `Health`."""
        now = self._monotonic()
        if self._gate is None:
            self._gate = HealthGate(self._gates, self._before(), now)
        is_over, is_well, missing = self._gate.look(self._vitals(), now)
        if is_over:
            return Verdict(Wellbeing.WELL if is_well else Wellbeing.ILL, "; ".join(missing))
        return Verdict(Wellbeing.WAITING, "; ".join(missing))

    def log_tail(self) -> bytes:
        """See `Health`."""
        return self._log()[-_MAX_LOG_BYTES:]

    def _vitals(self) -> Vitals | None:
        try:
            return self._look()
        except GatewayAwayError:
            return None

    def _before(self) -> Vitals:
        """Where the file is lost, a connected gateway with a disk is asked for, and nothing that only this one has."""
        kept = read_kept(self._storage, BEFORE, Vitals, _MAX_BYTES)
        return Vitals(has_uplink=True, has_disk=True, lost=1 << 53) if kept is None else kept
