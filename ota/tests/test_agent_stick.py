"""An update that comes on a stick, and the receipt that goes home on it."""

from pathlib import Path

import pytest

from ota.agent.agent import End
from ota.reports import read_report
from ota.tests.agent_device import DEVICE, Device, publish, stick_of

pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")


def test_a_stick_brings_it_without_any_network(device: Device, images: dict[str, bytes], tmp_path: Path):
    publish(device, images, "2")
    stick = stick_of(device, tmp_path / "stick")
    asked = len(device.web.asked)
    assert device.run(stick=stick) is End.RESTART
    assert device.run(stick=stick) is End.RESTING
    assert device.runs() == "2"
    assert len(device.web.asked) == asked
    (receipt,) = (stick / "receipts").iterdir()
    assert receipt.name == f"{DEVICE}-1.json"

    def verify(signature: bytes, data: bytes) -> bool:
        device.key.public_key().verify(signature, data)
        return True

    assert read_report(receipt.read_bytes(), verify).outcome == "confirmed"
    assert device.reports(), "and it still waits here, to be told over the network"


def test_a_stick_that_takes_no_receipt_is_said_and_changes_nothing(
    device: Device, images: dict[str, bytes], tmp_path: Path
):
    publish(device, images, "1")
    stick = stick_of(device, tmp_path / "stick")
    (stick / "receipts").write_bytes(b"a file in its place")
    assert device.run(stick=stick) is End.RESTING
    assert any("the receipt cannot be written" in line for line in device.said)
