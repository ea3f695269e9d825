"""The update agent as a process beside the gateway: started again and again, believed in nothing but its exit code."""

import asyncio
import logging
import sys
from pathlib import Path

import pytest

from edge.gateway.updates import FIRST_S, SOON_S, Updates


class Bench:
    """An agent that is a script of the test; sleeps are counted, and the run ends when enough were."""

    def __init__(self, folder: Path, script: str) -> None:
        self.slept: list[float] = []
        self.restarts = 0
        self.marks = folder / "marks"
        agent = folder / "agent.py"
        agent.write_text(
            f"import os, sys, time\nopen({str(self.marks)!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n{script}\n"
        )
        self.updates = Updates(
            Path("/etc/update.toml"),
            600.0,
            self.on_restart,
            on_ended=self.on_ended,
            command=(sys.executable, str(agent)),
            sleep=self.sleep,
        )
        self.ended: list[int] = []
        """How many sleeps there had been when a run ended."""

    def on_restart(self) -> None:
        self.restarts += 1

    def on_ended(self) -> None:
        assert not self.restarts, "whoever listens is told before the gateway ends"
        self.ended.append(len(self.slept))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == 4:
            raise asyncio.CancelledError

    async def run(self) -> None:
        try:
            await self.updates.run()
        except asyncio.CancelledError:
            return


@pytest.mark.parametrize(("code", "pause"), [(0, 600.0), (10, SOON_S), (1, SOON_S), (2, SOON_S)])
async def test_it_is_started_again_sooner_or_later_by_what_it_says(tmp_path: Path, code: int, pause: float):
    bench = Bench(tmp_path, f"sys.exit({code})")
    await bench.run()
    assert bench.slept == [FIRST_S, pause, pause, pause]
    assert bench.ended == [1, 2, 3]
    assert bench.marks.read_text() == "/etc/update.toml\n" * 3
    assert not bench.restarts


async def test_another_slot_ends_the_gateway_once(tmp_path: Path):
    bench = Bench(tmp_path, "sys.exit(11)")
    await bench.run()
    assert bench.restarts == 1
    assert bench.slept == [FIRST_S]
    assert bench.ended == [1]


async def test_what_it_says_is_in_the_log_and_a_line_without_an_end_fills_no_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    bench = Bench(tmp_path, "sys.stderr.write('update: ' + 'x' * 200_000 + '\\nrefused: the floor\\n'); sys.exit(1)")
    await bench.run()
    assert "the agent ended with code 1: refused: the floor" in caplog.text
    assert max(len(record.getMessage()) for record in caplog.records) < 700


async def test_one_that_cannot_be_started_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    bench = Bench(tmp_path, "")
    bench.updates._command = (str(tmp_path / "none"),)
    await bench.run()
    assert "No such file" in caplog.text


@pytest.mark.parametrize(
    "script", ["time.sleep(60)", "import signal\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(60)"]
)
async def test_a_gateway_that_stops_leaves_no_agent_behind(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("edge.gateway.updates.LEAVE_WITHIN_S", 0.3)
    bench = Bench(tmp_path, f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n{script}")
    task = asyncio.create_task(bench.updates.run())
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.01)
    pid = int((tmp_path / "pid").read_text())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not Path(f"/proc/{pid}").exists()


class Endless(Bench):
    """Sleeps until it is ended."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(60)

    async def started(self, times: int) -> list[str]:
        """What the agent was started with, when it was that often."""
        async with asyncio.timeout(10):
            while not self.marks.exists() or len(self.marks.read_text().splitlines()) < times:
                await asyncio.sleep(0.01)
        return self.marks.read_text().splitlines()


async def test_a_look_starts_it_at_once_and_asks_it_to_look(tmp_path: Path):
    bench = Endless(tmp_path, "")
    task = asyncio.create_task(bench.updates.run())
    await asyncio.sleep(0.05)
    assert not bench.marks.exists(), "it would wait"
    bench.updates.look()
    assert await bench.started(1) == ["/etc/update.toml --now"]
    while len(bench.slept) < 2:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert bench.slept == [FIRST_S, 600.0], "and then it waits again"
    bench.updates.look()
    assert len(await bench.started(2)) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_looks_while_it_runs_are_one_more_run_after_it(tmp_path: Path):
    gate = tmp_path / "gate"
    bench = Endless(tmp_path, f"while not os.path.exists({str(gate)!r}):\n    time.sleep(0.01)")
    task = asyncio.create_task(bench.updates.run())
    bench.updates.look()
    await bench.started(1)
    for _ in range(5):
        bench.updates.look()
    await asyncio.sleep(0.1)
    assert bench.marks.read_text().count("\n") == 1, "one at a time"
    gate.touch()
    assert await bench.started(2) == ["/etc/update.toml --now"] * 2
    while len(bench.slept) < 2:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert len(bench.marks.read_text().splitlines()) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
