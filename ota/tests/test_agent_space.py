"""A device that is nearly full: nothing is fetched that cannot be written, and nothing twice that could not."""

import pytest

from ota.agent.agent import End
from ota.agent.audit import read_seen
from ota.errors import Cause, StorageError
from ota.payload.space import MARGIN_BYTES
from ota.slots.machine import State
from ota.storage import PosixStorage
from ota.tests.agent_device import Device, publish


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the disk says is free."""
    said = [0]
    monkeypatch.setattr(PosixStorage, "free_bytes", lambda _self: said[0])
    return said


def plan(device: Device, images: dict[str, bytes], version: str) -> int:
    """Without a delta. The length of what is to come."""
    target = device.repository.add_image(f"rsu/gateway/{version}.tar", images[version], counter=int(version))
    publish(device, images, version)
    blob = target.info.full[0]
    return blob.length


def test_a_first_update_needs_room_for_the_blob_the_image_and_the_tree(
    device: Device, images: dict[str, bytes], free: list[int]
):
    needed = plan(device, images, "2") + 2 * len(images["2"]) + MARGIN_BYTES
    free[0] = needed - 1
    assert device.run() is End.WAITING
    assert device.blobs_asked() == []
    assert read_seen(device.storage).waits_for.startswith("space: rsu/gateway/2.tar: ")
    free[0] = needed
    assert device.run() is End.RESTART


def test_a_second_update_goes_where_the_first_image_was(device: Device, images: dict[str, bytes], free: list[int]):
    free[0] = 1 << 30
    plan(device, images, "2")
    while device.run() is not End.RESTING:
        pass
    free[0] = plan(device, images, "3") + 2 * len(images["3"]) - len(images["1"]) + MARGIN_BYTES
    while device.run() is not End.RESTING:
        pass
    assert device.runs() == "3"


def test_a_disk_that_was_full_after_all_is_not_fetched_for_again_until_more_is_free(
    device: Device, images: dict[str, bytes], free: list[int], monkeypatch: pytest.MonkeyPatch
):
    write = PosixStorage.write

    def full(self: PosixStorage, name: str, offset: int, data: bytes) -> None:
        if name.startswith("slots/b/tree"):
            raise StorageError(name, "No space left on device", Cause.FULL)
        write(self, name, offset, data)

    free[0] = 1 << 30
    blob = plan(device, images, "2")
    with monkeypatch.context() as patched:
        patched.setattr(PosixStorage, "write", full)
        free[0] -= blob
        assert device.run() is End.RESTING
    free[0] += blob
    assert [report.rule for report in device.reports()] == ["space"]
    asked = len(device.blobs_asked())
    assert asked
    plan(device, images, "2")
    assert device.run() is End.WAITING
    assert device.state() is State.FETCHING
    assert len(device.blobs_asked()) == asked
    free[0] += MARGIN_BYTES
    while device.run() is not End.RESTING:
        pass
    assert device.runs() == "2"
