"""The demonstration itself: broker taken away, gateway killed, and the ledger exact at the end."""

import json
import os
import signal
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_it_leaves_no_process_and_no_folder_behind(number, tmp_path):
    """The terminal was closed, Ctrl-C was pressed: a demonstration must not go on in the dark."""
    program = (  # a shell that runs the tests in the background may have SIGINT ignored
        "import signal, tools.cli; signal.signal(signal.SIGINT, signal.default_int_handler); tools.cli.main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, "demo", "--seconds", "60", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    ) as process:
        for line in process.stderr:
            if "made" in line:
                break
        process.send_signal(number)
        out, talk = process.communicate(timeout=60)
    assert process.returncode == 1, talk
    assert json.loads(out)["ok"] is False
    assert "Traceback" not in talk
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
