"""Every ward lives by itself: its failure is its own, and what helps is what its error says."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from drivers.errors import DeviceConfigError, DeviceTimeoutError, DriverError, PortRefusedError
from edge.gateway import supervisor as module
from edge.gateway.supervisor import Supervisor


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Ward:
    def __init__(self, name: str, life: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self._life = life
        self.runs = 0

    async def run(self) -> None:
        self.runs += 1
        await self._life()


async def until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)


async def forever() -> None:
    await asyncio.Event().wait()


def failing(error: Exception) -> Callable[[], Awaitable[None]]:
    async def life() -> None:
        raise error

    return life


@pytest.fixture
def failures() -> list[tuple[str, DriverError]]:
    return []


@pytest.fixture
async def supervisor(failures, monkeypatch):
    monkeypatch.setattr(module, "RETRY_FIRST_S", 0.002)
    monkeypatch.setattr(module, "RETRY_CAP_S", 0.004)
    monkeypatch.setattr(module, "DEFECT_RETRY_S", 0.01)
    s = Supervisor(LoopClock(), lambda name, error: failures.append((name, error)))
    yield s
    await s.stop_all()


async def test_a_failure_that_may_pass_is_tried_again_and_told_each_time(supervisor, failures):
    ward = Ward("meter", failing(DeviceTimeoutError("silent")))
    supervisor.start(ward)
    await until(lambda: ward.runs >= 3)
    assert failures[0][0] == "meter"
    assert supervisor.status_of("meter")["error"] == "silent"


async def test_what_cannot_work_is_given_up_and_leaves_the_others_alone(supervisor):
    bad = Ward("bad", failing(DeviceConfigError("no such register")))
    good = Ward("good", forever)
    supervisor.start(good)
    supervisor.start(bad)
    await until(lambda: supervisor.status_of("bad")["state"] == "given up")
    assert bad.runs == 1
    assert supervisor.status_of("good") == {"state": "running", "starts": 1, "error": None}


async def test_what_needs_a_person_is_looked_at_again_rarely(supervisor):
    ward = Ward("reader", failing(PortRefusedError("permission denied")))
    supervisor.start(ward)
    await until(lambda: supervisor.status_of("reader")["state"] == "waiting")
    await asyncio.sleep(0.05)
    assert ward.runs == 1


async def test_a_defect_in_one_ward_is_logged_whole_and_the_ward_starts_again(supervisor, caplog):
    ward = Ward("gnss", failing(ZeroDivisionError("defect")))
    other = Ward("other", forever)
    supervisor.start(other)
    supervisor.start(ward)
    await until(lambda: ward.runs >= 2)
    assert "Traceback" in caplog.text
    assert supervisor.status_of("other")["starts"] == 1


async def test_a_defect_that_comes_again_is_counted_and_one_at_another_place_is_logged_whole(supervisor, caplog):
    errors = iter([*[ZeroDivisionError("one")] * 6, KeyError("two")])

    async def life() -> None:
        raise next(errors, None) or await forever()

    supervisor.start(ward := Ward("gnss", life))
    await until(lambda: supervisor.status_of("gnss")["error"] == "ZeroDivisionError: one (6 times)")
    await until(lambda: ward.runs == 8)
    assert supervisor.status_of("gnss") == {"state": "running", "starts": 8, "error": "KeyError: 'two'"}
    assert [(record.levelname, record.exc_info is not None) for record in caplog.records] == [("ERROR", True)] * 2


async def test_that_it_runs_again_after_defects_is_said_once_and_a_later_one_is_whole_again(
    supervisor, caplog, monkeypatch
):
    caplog.set_level("INFO")
    monkeypatch.setattr(module, "DEFECT_OVER_S", 0.05)
    fails = asyncio.Event()
    runs = 0

    async def life() -> None:
        nonlocal runs
        runs += 1
        if runs > 3:
            await fails.wait()
        raise ZeroDivisionError

    supervisor.start(Ward("gnss", life))
    await until(lambda: "runs again" in caplog.text)
    await asyncio.sleep(0.12)
    fails.set()
    await until(lambda: runs == 6)
    said = [(record.levelname, record.getMessage().partition(";")[0]) for record in caplog.records]
    assert said == [
        ("ERROR", "gnss: a defect stopped it"),
        ("INFO", "gnss: runs again after 3 defects"),
        ("ERROR", "gnss: a defect stopped it"),
    ]


async def test_one_that_fails_again_before_it_has_lasted_has_not_come_back(supervisor, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr(module, "DEFECT_OVER_S", 0.02)
    monkeypatch.setattr(module, "DEFECT_RETRY_S", 0.04)
    ward = Ward("gnss", failing(ZeroDivisionError("defect")))
    supervisor.start(ward)
    await until(lambda: ward.runs >= 4)
    assert len(caplog.records) == 1


async def test_a_ward_that_is_stopped_and_started_keeps_its_count_of_starts(supervisor):
    supervisor.start(Ward("meter", forever))
    await asyncio.sleep(0)
    await supervisor.stop("meter")
    supervisor.start(Ward("meter", forever))
    await until(lambda: supervisor.status_of("meter")["starts"] == 2)
    await supervisor.forget("meter")
    await supervisor.forget("meter")
    assert supervisor.status_of("meter") == {"state": "stopped", "starts": 0, "error": None}
