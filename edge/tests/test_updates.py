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
        agent.write_text(f"import os, sys, time\nopen({str(self.marks)!r}, 'a').write(sys.argv[1] + '\\n')\n{script}\n")
        self.updates = Updates(
            Path("/etc/update.toml"), 600.0, self.on_restart, command=(sys.executable, str(agent)), sleep=self.sleep
        )

    def on_restart(self) -> None:
        self.restarts += 1

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
    assert bench.marks.read_text() == "/etc/update.toml\n" * 3
    assert not bench.restarts


async def test_another_slot_ends_the_gateway_once(tmp_path: Path):
    bench = Bench(tmp_path, "sys.exit(11)")
    await bench.run()
    assert bench.restarts == 1
    assert bench.slept == [FIRST_S]


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
