"""The benchmark measures what it says and reports it; how fast this machine is proves nothing here."""

import json
import subprocess
import sys

import pytest

from tools.bench.app import line_of, page, summary
from tools.bench.rows import ROWS, Figure


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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_can_be_met_and_missed_and_stands_in_the_page(row):
    other = 16.0 if row.other else None
    verdicts = {summary(row, [Figure(ours, other)])["met"] for ours in (0.0, 0.98, 2.0, 1e9)}
    assert verdicts == {True, False}
    result = summary(row, [Figure(1.0, other), Figure(3.0, other), Figure(2.0, other)])
    assert (result["ours"], result["least"], result["most"]) == (2.0, 1.0, 3.0)
    assert row.goal in line_of(result)
    text = page([result], repeat=3, is_quick=True)
    assert row.what in text
    assert "--quick" in text
