"""What a run of the agent is given of the outside: time, chance, the gateway, local conditions."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from ota.targets import Plan
from ota.vitals import Vitals, read_vitals


class World:
    """What a run is given of the outside; tests give something else."""

    monotonic: Callable[[], float] = staticmethod(time.monotonic)
    wall_s: Callable[[], float] = staticmethod(time.time)
    sleep: Callable[[float], None] = staticmethod(time.sleep)
    uniform: Callable[[float, float], float] = staticmethod(random.uniform)
    look: Callable[[Path], Vitals] = staticmethod(read_vitals)
    is_synchronised: Callable[[], bool] = staticmethod(lambda: True)
    unmet: Callable[[list[str]], str] = staticmethod(lambda names: ", ".join(names))
    """Of local conditions by name, those that do not hold now: by default none is known, so none holds."""


def why_not_now(plan: Plan, wall_s: float, unmet: Callable[[list[str]], str]) -> str:
    """Which condition of a plan does not hold, in words; nothing where all do.

    After its deadline a plan waits for no window any more; a lane that is open or a bus that moves it does wait for.
    """
    conditions = plan.conditions
    if wall_s < conditions.not_before:
        return f"not before {time.strftime('%Y-%m-%d %H:%M', time.gmtime(conditions.not_before))} UTC"
    start, end = conditions.window_from_minute, conditions.window_to_minute
    is_late = bool(conditions.deadline) and wall_s >= conditions.deadline
    if start is not None and end is not None and not is_late:
        local = time.localtime(wall_s)
        minute = local.tm_hour * 60 + local.tm_min
        is_inside = start <= minute < end if start <= end else minute >= start or minute < end
        if not is_inside:
            return f"the window is from {start // 60:02}:{start % 60:02} to {end // 60:02}:{end % 60:02}"
    missing = unmet(list(conditions.local)) if conditions.local else ""
    return f"conditions that do not hold: {missing}" if missing else ""
