"""The devices of a simulation: links, offline spells, and what becomes of each when it takes the release.

Chance is here and nowhere else, from one seed. A device is a number; what is known of it stands in columns, since
100 000 objects would be slow and large. Times are seconds since 1970, of the virtual clock, and for each device the
questions come in the order of time.
"""

import random
from array import array
from collections.abc import Sequence
from math import exp, log

from ota.campaign.course import DAY_S, Vitals
from ota.campaign.simulation.fleet import Model, Trouble
from ota.targets import Conditions

WELL, ROLLS_BACK, GOES_DARK, DIES, RESTARTS, STARVES, CANNOT_WRITE = range(7)
"""What becomes of a device that takes the release: it is rolled back by its trial; never heard of after the switch; not
heard of soon after it has confirmed; restarts every hour; makes few records; its medium fails before the switch."""
OF_RELEASE = 8
"""Added where it is the release's doing."""

AWAY_S = 3 * 86_400.0
CONFIRM_S = (600.0, 900.0)
"""The trial of a release that is well: it is watched for a while before it confirms."""
CRASH_S = (90.0, 300.0)
"""A trial that ends at once: a few starts, and back."""
UNWELL_S = (1200.0, 1800.0)
"""A trial that ends because the device did not become well in time."""
DIES_WITHIN_S = 1800.0
AGAIN_S = 300
"""What was lost is sent again after this time."""
BAD_RESTARTS_A_DAY = 24.0
BAD_RATE = 0.4
_NEVER = 1 << 60


class World:
    """models: by number, one for each device in `model_of`."""

    def __init__(
        self, models: Sequence[Model], model_of: Sequence[int], trouble: Trouble, seed: int, begin: int
    ) -> None:
        self._rng = random.Random(seed)  # noqa: S311  # repeatable on purpose
        self._random = self._rng.random
        self._models = models
        self._model_of = model_of
        self._begin = begin
        self._spell_from = array("q", [-1]) * len(model_of)
        self._spell_to = array("q", [-1]) * len(model_of)
        self._dead_at = array("q", [_NEVER]) * len(model_of)
        self._vitals: dict[int, Vitals] = {}
        self.fate = self._fates(trouble)

    def _fates(self, trouble: Trouble) -> bytearray:
        weight = sum(model.share * model.background for model in self._models) / sum(m.share for m in self._models)
        background = [trouble.background * model.background / weight for model in self._models]
        by_release = [trouble.failure_rate if trouble.model in ("", model.name) else 0.0 for model in self._models]
        fates = bytearray(len(self._model_of))
        draw = self._random
        for device, model in enumerate(self._model_of):
            if draw() < by_release[model]:
                fates[device] = OF_RELEASE + self._kind(trouble.silent, trouble.regressed)
            elif draw() < background[model]:
                fates[device] = CANNOT_WRITE if draw() < 0.2 else self._kind(0.2, 0.0)
        return fates

    def _kind(self, silent: float, regressed: float) -> int:
        kind = self._random()
        if kind < silent:
            return GOES_DARK if self._random() < 0.5 else DIES
        if kind < silent + regressed:
            return RESTARTS if self._random() < 0.5 else STARVES
        return ROLLS_BACK

    # Links ------------------------------------------------------------------------------------------------------

    def online_at(self, device: int, now: int) -> int:
        """Now, where it is online, else when it is again; 0: never."""
        if now >= self._dead_at[device]:
            return 0
        while now >= self._spell_to[device]:
            self._next_spell(device, now)
        return now if now < self._spell_from[device] else self._spell_to[device]

    def _next_spell(self, device: int, now: int) -> None:
        model = self._models[self._model_of[device]]
        start = self._spell_to[device]
        if start < 0:
            start = now
            away_until = self._begin + self._wait(AWAY_S) if self._random() < model.away else 0.0
            if away_until > now or self._random() * (model.offline_s + model.online_s) < model.offline_s:
                self._spell_from[device] = now
                self._spell_to[device] = 1 + int(max(away_until, now + self._wait(model.offline_s)))
                return
        start += 1 + int(self._wait(model.online_s))
        self._spell_from[device] = start
        self._spell_to[device] = start + 1 + int(self._wait(model.offline_s))

    def _wait(self, mean_s: float) -> float:
        return -mean_s * log(1.0 - self._random())

    def last_heard(self, device: int, now: int) -> int:
        """It says every minute that it is there, as long as it can."""
        last = min(now, self._dead_at[device])
        while last >= self._spell_to[device]:
            self._next_spell(device, last)
        return min(last, self._spell_from[device])

    def is_lost(self, device: int) -> bool:
        """Whether a message must be sent again."""
        return self._random() < self._models[self._model_of[device]].loss

    # What it does -----------------------------------------------------------------------------------------------

    def is_given_up(self, device: int) -> bool:
        """Whether the agent gives a download up."""
        return self._random() < self._models[self._model_of[device]].fetch_fails

    def fetched_at(self, device: int, conditions: Conditions, now: int) -> int:
        """When it would switch, if all goes well: not before its conditions allow that."""
        ready = max(now, conditions.not_before) + int(self._wait(self._models[self._model_of[device]].fetch_s))
        if conditions.local:  # a bus stops, a lane closes, the tide comes
            ready += int(self._wait(1200.0))
        return window_opens(conditions, ready)

    def trial_s(self, device: int) -> int:
        """How long it tries what it has switched to."""
        low, high = CONFIRM_S
        if self.fate[device] & 7 == ROLLS_BACK:
            low, high = CRASH_S if self._random() < 0.5 else UNWELL_S
        return int(low + (high - low) * self._random())

    def dies(self, device: int, at: int) -> None:
        """Nothing is heard of it any more."""
        self._dead_at[device] = min(at, self._dead_at[device])

    def dies_after(self, device: int, confirmed_at: int) -> None:
        """Soon after it has confirmed."""
        self.dies(device, confirmed_at + int(DIES_WITHIN_S * self._random()))

    def usual(self, device: int) -> tuple[float, float]:
        """Starts and records a day, before."""
        model = self._models[self._model_of[device]]
        return model.starts_a_day, model.records_a_day

    def look(self, device: int, now: int) -> Vitals:
        """Its counters; how they have grown since the last look."""
        last = self._vitals.get(device)
        if last is None:
            new = Vitals(at=now)
        else:
            fate = self.fate[device] & 7
            starts, records = self.usual(device)
            days = (now - last.at) / DAY_S
            restarts = self._poisson((BAD_RESTARTS_A_DAY if fate == RESTARTS else starts) * days)
            rate = records * (0.9 + 0.2 * self._random()) * (BAD_RATE if fate == STARVES else 1.0)
            new = Vitals(at=now, starts=last.starts + restarts, records=last.records + int(rate * days))
        self._vitals[device] = new
        return new

    def forget(self, device: int) -> None:
        """It is watched no more."""
        self._vitals.pop(device, None)

    def _poisson(self, mean: float) -> int:
        count, product, floor = 0, self._random(), exp(-mean)
        while product > floor:
            count += 1
            product *= self._random()
        return count


def window_opens(conditions: Conditions, ready: int) -> int:
    """When a device that is ready may switch, by the window of its plan; its local time is UTC."""
    start, end = conditions.window_from_minute, conditions.window_to_minute
    if start is None or end is None or (conditions.deadline and ready >= conditions.deadline):
        return ready
    minute = ready // 60 % 1440
    is_inside = start <= minute < end if start <= end else minute >= start or minute < end
    if is_inside:
        return ready
    opens = (ready // 60 + (start - minute) % 1440) * 60
    return min(opens, conditions.deadline) if conditions.deadline else opens
