"""Keeps every device, bus and link running: a task each, restarted by what helps, none able to stop another.

A **ward** is whatever has a name and a `run()` that lives until it is cancelled or fails. A `DriverError` says itself
what helps (`drivers.errors.Recovery`); any other exception is our own defect: it is logged whole, once, and counted
from then on; the ward is started again rarely, while all the others go on, and that it runs again is said once.
"""

import asyncio
import logging
import random
import traceback
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from drivers.clock import Clock
from drivers.errors import DriverError, Recovery
from drivers.text import _
from edge.gateway.said import SaidOnce

log = logging.getLogger(__name__)

RETRY_FIRST_S = 0.5
RETRY_CAP_S = 5.0
"""A port that comes back under its stable name must be open again within 10 s: the wait stays below half of it."""
PERSON_RETRY_S = 60.0
DEFECT_RETRY_S = 30.0
DEFECT_OVER_S = 300.0
"""A ward that ran this long after a defect runs again: one that fails each minute must not say both each minute."""
MAX_DEFECTS = 8
"""Places in the code where one ward may fail and be logged whole."""
STEADY_S = 30.0
"""A ward that ran this long has recovered: its next failure starts again at the shortest wait."""


class Ward(Protocol):
    """Something that runs."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    async def run(self) -> None:
        """Live until cancelled, or raise."""


class WardState(Enum):
    """Where a ward's life stands."""

    RUNNING = "running"
    WAITING = "waiting"
    """It failed and will be started again."""
    GIVEN_UP = "given up"
    """It cannot work as configured, or with the keys that there are."""
    STOPPED = "stopped"


class _Kept:
    """One ward, its task and its history."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.state = WardState.STOPPED
        self.starts = 0
        self.error: str | None = None
        self.defects = SaidOnce(MAX_DEFECTS)
        self.task: asyncio.Task[None] | None = None


class Supervisor:
    """Starts, restarts and stops wards. Start counters tell a restarted device from one that went on (rows 2, 4)."""

    def __init__(
        self,
        clock: Clock,
        on_failure: Callable[[str, DriverError], None],
        *,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._on_failure = on_failure
        self._uniform = uniform
        self._kept: dict[str, _Kept] = {}

    def start(self, ward: Ward) -> None:
        """Run a ward until `stop()`. Its name must be free."""
        kept = _Kept(ward)
        previous = self._kept.get(ward.name)
        if previous is not None:
            assert previous.state is WardState.STOPPED, f"{ward.name} runs already"
            kept.starts = previous.starts
        self._kept[ward.name] = kept
        kept.state = WardState.RUNNING
        kept.task = asyncio.get_running_loop().create_task(self._keep(kept), name=f"ward {ward.name}")

    async def stop(self, name: str) -> None:
        """Cancel a ward and wait until it has let go of all that it holds. One that never started holds nothing."""
        kept = self._kept.get(name)
        if kept is None:
            return
        if kept.task is not None:
            kept.task.cancel()
            await asyncio.gather(kept.task, return_exceptions=True)
        kept.state = WardState.STOPPED

    async def forget(self, name: str) -> None:
        """Stop a ward for good: it is no longer configured."""
        await self.stop(name)
        self._kept.pop(name, None)

    async def stop_all(self) -> None:
        """Stop every ward, all at once."""
        await asyncio.gather(*(self.stop(name) for name in tuple(self._kept)))

    def status_of(self, name: str) -> dict[str, Any]:
        """Plain data about one ward, also before it has ever started."""
        kept = self._kept.get(name)
        if kept is None:
            return {"state": WardState.STOPPED.value, "starts": 0, "error": None}
        return {"state": kept.state.value, "starts": kept.starts, "error": kept.error}

    async def _keep(self, kept: _Kept) -> None:
        wait_s = RETRY_FIRST_S
        while True:
            kept.starts += 1
            kept.state = WardState.RUNNING
            began = self._clock.monotonic()
            error = await _life_of(kept)
            if error is not None and not isinstance(error, DriverError):
                _tell_defect(kept, error)
                kept.state = WardState.WAITING
                await asyncio.sleep(DEFECT_RETRY_S)
                continue
            if error is not None:
                kept.error = str(error)
                self._on_failure(kept.ward.name, error)
                if error.recovery is Recovery.GIVE_UP:
                    kept.state = WardState.GIVEN_UP
                    log.error(
                        _("%s: given up until its configuration is changed or reloaded: %s"), kept.ward.name, error
                    )
                    return
            if self._clock.monotonic() - began >= STEADY_S:
                wait_s = RETRY_FIRST_S
            kept.state = WardState.WAITING
            if error is not None and error.recovery is Recovery.PERSON:
                await asyncio.sleep(PERSON_RETRY_S)
            else:
                await asyncio.sleep(self._uniform(wait_s / 2, wait_s))
                wait_s = min(wait_s * 2, RETRY_CAP_S)


async def _life_of(kept: _Kept) -> Exception | None:
    """Run a ward once; return what ended it."""
    over = asyncio.get_running_loop().call_later(DEFECT_OVER_S, _tell_defect_over, kept)
    try:
        await kept.ward.run()
    except Exception as error:  # noqa: BLE001  # a defect in one ward must not stop the others
        return error
    finally:
        over.cancel()
    return None


def _tell_defect(kept: _Kept, error: Exception) -> None:
    """A defect of ours: whole the first time that it shows at its place in the code, then counted."""
    name, place = kept.ward.name, traceback.extract_tb(error.__traceback__)[-1]
    kept.error = f"{type(error).__name__}: {error}"
    if kept.defects.is_news(f"{type(error).__name__} {place.filename}:{place.lineno}"):
        text = _("%s: a defect stopped it; it starts again every %.0f s, and further ones like it are only counted")
        log.error(text, name, DEFECT_RETRY_S, exc_info=error)
    else:
        kept.error += _(" ({count} times)").format(count=kept.defects.times)


def _tell_defect_over(kept: _Kept) -> None:
    if kept.defects.times:
        log.info(_("%s: runs again after %d defects"), kept.ward.name, kept.defects.times)
        kept.defects.forget()
