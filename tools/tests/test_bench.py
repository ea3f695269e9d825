"""The benchmark measures what it says and reports it; how fast this machine is proves nothing here."""

import json
import subprocess
import sys

import pytest

from tools.bench.app import part, summary
from tools.bench.harness import Harness, bare_loop
from tools.bench.peers import PEER
from tools.bench.report import line_of
from tools.bench.rows import ROWS, Figure
from tools.demo.parts import SceneError


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.cli", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_a_row_end_to_end():
    done = run("--quick", "--repeat", "1", "--only", "kill", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["name"] == "kill"
    assert row["other"] == 16
    assert row["ours"] >= 0


def test_an_unknown_row_is_refused_with_those_that_there_are():
    done = run("--only", "nonsense")
    assert done.returncode == 2
    assert "line-9600" in done.stderr


def test_a_page_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path):
    done = run("--write", str(tmp_path / "no" / "bench.md"))
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_can_be_met_and_missed_and_stands_in_the_page(row):
    other = 16.0 if row.other else None
    verdicts = {summary(row, [Figure(ours, other)])["met"] for ours in (0.0, 0.98, 2.0, 1e9)}
    assert verdicts == {True, False}
    result = summary(row, [Figure(1.0, other), Figure(3.0, other), Figure(2.0, other)])
    assert (result["ours"], result["least"], result["most"]) == (3.0 if row.is_worst else 2.0, 1.0, 3.0)
    assert row.goal in line_of(result)
    text = "\n".join(part([result], repeat=3, is_quick=True))
    assert row.what in text
    assert "--quick" in text
    assert PEER not in text


def test_the_page_shows_the_peer_or_says_why_it_is_not_there():
    row = ROWS[0]
    result = summary(row, [Figure(1.0, 2.0, {"seen beside": 3.0})])
    reason = f"{PEER} cannot be installed: no network"
    assert any(reason in line for line in part([result], repeat=1, is_quick=False, without=reason))
    text = part([result | {"peer": 116.4}], repeat=1, is_quick=False)
    table = [line for line in text if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert "116" in table[-1]
    assert f"- {row.what}: seen beside: 3" in text


@pytest.mark.parametrize("form", ["plain", "burst"])
async def test_the_bare_loop_reads_and_publishes_in_both_forms(form):
    async with Harness() as harness, harness.listener() as client:
        told = await bare_loop(harness, 300, 0.0, 0.2, form)
        message = await anext(client.messages)
    assert told["polls"] > 0
    assert told["points"] == 300 * told["polls"]
    assert isinstance(message.payload, bytes)
    values = json.loads(message.payload)
    assert values[1:] == [(7 * number) & 0x3FFF for number in range(1, 300)]


async def test_a_gateway_that_ends_is_told_at_once_with_its_last_words():
    async with Harness() as harness:
        harness.configure('[[device]]\nname = "plc-1"\ndriver = "nonsense"\n')
        with pytest.raises(SceneError, match="nonsense"):
            await harness.start()
