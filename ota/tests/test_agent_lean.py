"""The agent as a process of its own: it loads what it uses."""

import json
import os
import subprocess
import sys

import pytest

from ota.agent.audit import read_seen
from ota.agent.lean import SIGNERS
from ota.tests.agent_device import Device, publish

LOADED = "import sys, json; from ota.agent.agent import UpdateAgent; print(json.dumps(sorted(sys.modules)))"


def loaded(code: str) -> set[str]:
    """What a process has loaded that runs this, packages by their first name."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_it_loads_no_second_web_client_and_nothing_that_signs():
    """The second half would fail, were it not python-tuf that brings them."""
    assert not loaded(f"from ota.agent.lean import leave_out; leave_out(); {LOADED}") & {"urllib3", *SIGNERS}
    assert "urllib3" in loaded(LOADED)


def test_python_tuf_takes_a_signer_that_is_left_out_as_not_installed():
    code = "from ota.agent.lean import leave_out; leave_out(); import securesystemslib.signer._hsm_signer as signer;"
    said = subprocess.run(
        [sys.executable, "-c", f"{code} print(signer.PKCS11_IMPORT_ERROR)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert said.stdout.strip() != "None"


@pytest.mark.parametrize("version", ["1", "2"])
def test_so_it_still_reads_its_plan_and_follows_it(device: Device, images: dict[str, bytes], version: str):
    publish(device, images, version)
    command = [sys.executable, "-m", "ota.agent", str(device.folder / "update.toml"), "--now"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, read_seen(device.storage).refusal) == ({"1": 0, "2": 11}[version], "")


def test_nobody_who_listens_is_no_reason_to_stop(device: Device, images: dict[str, bytes]):
    """The gateway has died meanwhile; what the agent is at goes on, as far as it goes."""
    publish(device, images, "2")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "ota.agent", str(device.folder / "update.toml"), "--now"]
    done = subprocess.run(command, stderr=writing, check=False, timeout=60)
    os.close(writing)
    assert done.returncode == 11
