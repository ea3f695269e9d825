"""When a new release is good: the gate between TRIAL and CONFIRMED, as a pure function of looks at the gateway.

What was well before the switch must be well again, all of it, without a break, for a stated time; what was broken
before is not the release's fault. So a box whose network was away when it was switched is not rolled back for that: it
is reached locally, by the answer on its status socket. When the time is over and it is still not so, the gate says
what is missing; the reason goes into the report.
"""

from typing import Annotated, NamedTuple

import msgspec

from ota.text import _
from ota.vitals import Vitals


class Gates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long, in seconds."""

    steady_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 120.0
    """All must be well for so long in one piece."""
    within_s: Annotated[float, msgspec.Meta(ge=1, le=604_800)] = 1_800.0
    """After that it is given up. Begins anew where the box itself starts again; the launcher counts those."""
    most_starts: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 3
    """Starts of the gateway within one trial: one that restarts for ever is not well, however well between."""


class Verdict(NamedTuple):
    """`is_over`: it is decided. `is_well`: the release is good, or, not yet decided, all is well now."""

    is_over: bool
    is_well: bool
    missing: list[str]
    """In words, what is not well."""


class HealthGate:
    """One trial. `before`: how the gateway was when it was switched; `now` in seconds on any clock that only rises."""

    def __init__(self, gates: Gates, before: Vitals, now: float) -> None:
        self._gates = gates
        self._before = before
        self._began = now
        self._well_since: float | None = None
        self._first_boot: int | None = None

    def look(self, vitals: Vitals | None, now: float) -> Verdict:
        """Take one look; None: nobody answers."""
        is_late = now - self._began >= self._gates.within_s
        if vitals is None:
            self._well_since = None
            return Verdict(is_late, is_well=False, missing=[_("no gateway answers")])
        if self._first_boot is None:
            self._first_boot = vitals.boot
        starts = vitals.boot - self._first_boot + 1
        if starts > self._gates.most_starts:
            return Verdict(is_over=True, is_well=False, missing=[_("it has started {n} times").format(n=starts)])
        missing = self._missing_in(vitals)
        if missing:
            self._well_since = None
            return Verdict(is_late, is_well=False, missing=missing)
        if self._well_since is None or vitals.uptime_s < now - self._well_since:
            self._well_since = now  # a restart between two looks begins the time anew
        return Verdict(now - self._well_since >= self._gates.steady_s, is_well=True, missing=[])

    def _missing_in(self, vitals: Vitals) -> list[str]:
        before = self._before
        missing = []
        if before.has_uplink and not vitals.has_uplink:
            missing.append(_("the uplink is away (it was connected before)"))
        if before.has_disk and not vitals.has_disk:
            missing.append(_("the disk takes no records (it did before)"))
        if before.time != "none" and vitals.time == "none":
            missing.append(_("the clock is not set (it was before)"))
        missing += [_("bus {name} does not run").format(name=name) for name in sorted(before.buses - vitals.buses)]
        missing += [_("{name} does not answer").format(name=name) for name in sorted(before.devices - vitals.devices)]
        if vitals.lost > before.lost:
            missing.append(_("{n} records were lost").format(n=vitals.lost - before.lost))
        return missing
