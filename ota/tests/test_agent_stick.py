"""An update that comes on a stick, and the receipt that goes home on it."""

import errno
import os
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


RECEIPT = f"{DEVICE}-1.json"


@pytest.fixture
def told(device: Device, images: dict[str, bytes], tmp_path: Path) -> Path:
    """The stick of an update that is over and told of: `receipts` is gone from it again."""
    publish(device, images, "2")
    stick = stick_of(device, tmp_path / "stick")
    while device.run(stick=stick) is not End.RESTING:
        pass
    for file in (stick / "receipts").iterdir():
        file.unlink()
    (stick / "receipts").rmdir()
    return stick


def test_a_report_that_cannot_be_read_is_said_and_keeps_back_no_other(device: Device, told: Path):
    (device.folder / "update" / "reports" / "0.json").symlink_to("not there")
    assert device.run(stick=told) is End.RESTING
    assert any(line.startswith("storage: ") and "0.json" in line for line in device.said)
    assert [file.name for file in (told / "receipts").iterdir()] == [RECEIPT]


def test_no_link_of_a_stick_leads_a_receipt_elsewhere(device: Device, told: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (told / "receipts").symlink_to(elsewhere)
    assert device.run(stick=told) is End.RESTING
    assert list(elsewhere.iterdir()) == []
    assert any("the receipt cannot be written" in line for line in device.said)


@pytest.mark.parametrize("name", [RECEIPT, f"{RECEIPT}.new"])
def test_no_link_in_the_place_of_a_receipt_is_written_through(device: Device, told: Path, tmp_path: Path, name: str):
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (told / "receipts").mkdir()
    (told / "receipts" / name).symlink_to(precious)
    assert device.run(stick=told) is End.RESTING
    assert precious.read_bytes() == b"mine"
    assert not (told / "receipts" / RECEIPT).is_symlink()
    assert (told / "receipts" / RECEIPT).read_bytes().startswith(b'{"report"')
    assert [file.name for file in (told / "receipts").iterdir()] == [RECEIPT]


@pytest.mark.parametrize("name", [RECEIPT, f"{RECEIPT}.new"])
def test_a_pipe_in_the_place_of_a_receipt_holds_nobody_up(device: Device, told: Path, name: str):
    (told / "receipts").mkdir()
    os.mkfifo(told / "receipts" / name)
    assert device.run(stick=told) is End.RESTING
    assert (told / "receipts" / RECEIPT).is_file()


def test_a_receipt_stands_whole_or_not_at_all(device: Device, told: Path, monkeypatch: pytest.MonkeyPatch):
    """Pulled out while it is written: no half of one is carried home as if it were one."""
    write = os.write

    def pulled(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:10])
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("ota.agent.receipts.os.write", pulled)
    assert device.run(stick=told) is End.RESTING
    assert not (told / "receipts" / RECEIPT).exists()
    assert any("the receipt cannot be written: Input/output error" in line for line in device.said)
    monkeypatch.undo()
    assert device.run(stick=told) is End.RESTING
    assert [file.name for file in (told / "receipts").iterdir()] == [RECEIPT]
