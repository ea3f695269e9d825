"""The whole way on one device: a living repository over HTTP, real slots on a real disk, a gateway that is told of."""

import hashlib

import msgspec
import pytest

from ota.agent.agent import End
from ota.agent.audit import read_seen
from ota.payload.patch import HEADER_BYTES, make_patch
from ota.slots.machine import State
from ota.targets import Delta
from ota.testing.web_double import Faults
from ota.tests.agent_device import DEVICE, WELL, Device, publish

pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")


def test_nothing_to_do_is_said_and_costs_no_blob(device: Device, images: dict[str, bytes]):
    publish(device, images, "1")
    assert device.run() is End.RESTING
    assert device.blobs_asked() == []
    assert read_seen(device.storage).answered_at


def test_the_main_story(device: Device, images: dict[str, bytes]):
    """By delta, over a bad line, into the other slot, on trial, confirmed, told once."""
    publish(device, images, "2")
    device.web.faults_at = {len(device.web.asked) + n: Faults(drop_after=300) for n in (9, 10)}
    ends = [device.run()]
    while ends[-1] is not End.RESTING:
        assert len(ends) < 10
        ends.append(device.run())
    assert End.RESTART in ends
    assert device.runs() == "2"
    assert device.state() is State.REPORTED
    assert read_seen(device.storage).way == "delta"
    assert device.world.now >= 60, "it was judged for as long as is stated"
    (report,) = device.reports()
    assert (report.outcome, report.plan) == ("confirmed", 1)
    assert device.run() is End.RESTING
    assert len(device.reports()) == 1


def test_a_release_that_loses_its_uplink_is_rolled_back_quarantined_and_told_with_its_reason(
    device: Device, images: dict[str, bytes]
):
    publish(device, images, "2")
    assert device.run() is End.RESTART
    assert device.runs() == "2"
    device.world.vitals = msgspec.structs.replace(WELL, boot=2, has_uplink=False)
    (device.folder / "log").write_bytes(b"cannot reach the broker\n")
    assert device.run() is End.RESTART
    assert device.runs() == "1"
    device.world.vitals = msgspec.structs.replace(WELL, boot=3)
    device.run()
    (report,) = device.reports()
    assert report.outcome == "rolled-back"
    assert "the uplink is away" in report.reason
    assert report.log_sha256
    asked = len(device.blobs_asked())
    publish_again = device.repository.sign_plan
    publish_again(DEVICE)
    assert device.run() is End.RESTING
    assert (device.runs(), len(device.blobs_asked())) == ("1", asked)


def test_an_older_release_is_refused_after_a_newer_one_has_raised_the_floor(device: Device, images: dict[str, bytes]):
    device.repository.add_image("rsu/gateway/2.tar", images["2"], counter=2, min_counter=2)
    publish(device, images, "2")
    while device.run() is not End.RESTING:
        pass
    publish(device, images, "1")
    before = {name: device.storage.read(name) for name in ("state-a", "state-b")}
    assert device.run() is End.RESTING
    assert device.runs() == "2"
    assert read_seen(device.storage).rule == "floor"
    assert any(line.get("rule") == "floor" for line in device.audit())
    assert {name: device.storage.read(name) for name in before} == before


def test_a_trial_whose_gateway_never_answers_is_rolled_back(device: Device, images: dict[str, bytes]):
    publish(device, images, "2")
    device.run()
    device.world.vitals = None
    assert device.run() is End.RESTART
    assert device.runs() == "1"


def test_a_delta_that_makes_another_image_is_replaced_by_the_whole_once(device: Device, images: dict[str, bytes]):
    """Signed by mistake: base and result are named right, the body makes something else."""
    right, other = make_patch(images["1"], images["2"]), make_patch(images["1"], images["3"])
    blob = device.repository._blob("delta", right[:HEADER_BYTES] + other[HEADER_BYTES:])
    base = hashlib.sha256(images["1"]).hexdigest()
    wrong = Delta(codec="delta", length=blob.length, sha256=blob.sha256, blocks=blob.blocks, from_sha256=base)
    device.repository.add_image("rsu/gateway/2.tar", images["2"], counter=2, deltas=[wrong])
    publish(device, images, "2")
    while device.run() is not End.RESTING:
        pass
    assert device.runs() == "2"
    assert read_seen(device.storage).way == "full"
    assert device.blobs_asked()[0] == f"blobs/{wrong.sha256}"
    assert device.blobs_asked().count(f"blobs/{wrong.sha256}") == 1


def test_an_image_that_has_rotted_is_no_base_and_costs_no_delta(device: Device, images: dict[str, bytes]):
    device.storage.write("slots/a/image.tar", 5_000, b"rot")
    publish(device, images, "2")
    while device.run() is not End.RESTING:
        pass
    assert device.runs() == "2"
    assert read_seen(device.storage).way == "full"
    assert len(set(device.blobs_asked())) == 1
    publish(device, images, "3")
    while device.run() is not End.RESTING:
        pass
    assert device.runs() == "3"
    assert read_seen(device.storage).way == "delta", "the image that was written is whole again"


@pytest.mark.parametrize("time", ["kept", "none"])
def test_without_a_clock_it_is_taken_all_the_same_and_said(device: Device, images: dict[str, bytes], time: str):
    """It wakes in 1970: nothing has expired as far as it can tell, and it says that it cannot."""
    device.world.vitals = msgspec.structs.replace(WELL, time=time)
    device.world.start = 0.0
    publish(device, images, "2")
    assert device.run() is End.RESTART
    assert read_seen(device.storage).remark == "time: unsynchronised"
    while device.run() is not End.RESTING:
        pass
    assert device.runs() == "2"
    assert device.reports()[0].time_quality == "none"


def test_a_refusal_is_one_line_in_the_trail_and_changes_no_slot(device: Device, images: dict[str, bytes]):
    publish(device, images, "2")
    device.web.files = {}
    assert device.run() is End.RESTING
    (line,) = [line for line in device.audit() if line["what"] == "refused"]
    assert line["rule"] == "network"
    assert device.state() is State.IDLE
    assert read_seen(device.storage).refusal.startswith("network: ")
