"""The main story of updates: a real gateway out of real slots, under load, its power cut on the way."""

import asyncio
import json
import sys

import pytest

pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")


@pytest.mark.timeout(600)
async def test_a_release_is_taken_a_bad_one_sent_back_and_an_old_one_refused():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tools.cli", "ota", "demo", "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    result = json.loads(out.splitlines()[-1])
    assert result["ok"]
    assert result["runs"] == "2.0.0"
    assert result["way"] == "delta"
    assert result["power_cuts"] == 2
    assert "the uplink is away" in result["rolled_back_for"]
    assert sorted(result["reports"].values()) == ["confirmed", "rolled-back"], "each attempt has told once"
    assert result["refused"].startswith("floor: ")
    assert (result["records_lost"], result["ledger_problems"]) == (0, [])
