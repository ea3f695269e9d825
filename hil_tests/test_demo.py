"""The demonstration itself: broker taken away, gateway killed, and the ledger exact at the end."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.hil


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.cli", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def test_everything_that_is_made_arrives_exactly_once():
    done = run("--seconds", "20", "--json", "--seed", "7")
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout.splitlines()[-1])
    assert account["ok"] is True
    assert set(account["lanes"]) == {"transaction", "event", "telemetry"}
    for lane in account["lanes"].values():
        assert lane["made"] == lane["acked"]
        assert lane["queued"] == lane["lost"] == 0
    assert account["lanes"]["telemetry"]["made"] > 50
    assert account["lanes"]["event"]["made"] >= 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--outage", "x"), "is not A:B"),
        (("--outage", "30:20"), "must lie within"),
        (("--seconds", "3"), "--seconds"),
        (("--keep", "/"), "exists"),
    ],
)
def test_wrong_usage_is_refused_before_anything_starts(arguments, said):
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
