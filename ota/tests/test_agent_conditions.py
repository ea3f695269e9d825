"""What an update waits for, what it may cost, when it is asked for, and how it is called off."""

from datetime import UTC, datetime

import msgspec
import pytest

from ota.agent.agent import End
from ota.agent.audit import read_seen
from ota.agent.world import why_not_now
from ota.slots.machine import State
from ota.targets import Conditions, EcuPlan, Plan
from ota.tests.agent_device import DEVICE, Device, publish

pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        (
            Conditions(not_before=int(datetime(2026, 6, 1, 9, tzinfo=UTC).timestamp())),
            "not before 2026-06-01 09:00 UTC",
        ),
        (Conditions(local=["lane-closed"]), "conditions that do not hold: lane-closed"),
    ],
)
def test_a_condition_holds_up_the_switch_and_nothing_before_it(
    device: Device, images: dict[str, bytes], conditions: Conditions, reason: str
):
    device.world.unmet_names = "lane-closed"
    publish(device, images, "2", conditions=conditions)
    assert device.run() is End.WAITING
    assert device.state() is State.SECONDARIES_STAGED
    assert read_seen(device.storage).waits_for == reason
    device.world.unmet_names = ""
    device.world.now += 9 * 3_600
    assert device.run() is End.RESTART
    assert device.runs() == "2"


def at(hour: int) -> float:
    """Of a day in June, in this machine's own time."""
    return datetime(2026, 6, 1, hour).astimezone().timestamp()


NIGHT = Conditions(window_from_minute=60, window_to_minute=180, deadline=int(at(12)), local=["lane-closed"])


@pytest.mark.parametrize(
    ("hour", "unmet", "reason"),
    [
        (2, "", ""),
        (11, "", "the window is from 01:00 to 03:00"),
        (13, "", ""),
        (2, "lane-closed", "conditions that do not hold: lane-closed"),
        (13, "lane-closed", "conditions that do not hold: lane-closed"),
    ],
)
def test_a_deadline_ends_the_waiting_for_the_window_and_for_nothing_else(hour: int, unmet: str, reason: str):
    plan = Plan(device=DEVICE, number=1, ecus={"main": EcuPlan(target="rsu/gateway/2.tar")}, conditions=NIGHT)
    assert why_not_now(plan, at(hour), lambda _names: unmet) == reason


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_metered_link_is_used_where_the_plan_allows_it(device: Device, images: dict[str, bytes], is_allowed: bool):
    limits = msgspec.structs.replace(device.config.limits, is_metered=True)
    device.config = msgspec.structs.replace(device.config, limits=limits)
    publish(device, images, "2", conditions=Conditions(is_metered_allowed=is_allowed))
    assert device.run() is (End.RESTART if is_allowed else End.WAITING)
    assert bool(device.blobs_asked()) is is_allowed
    assert ("metered" in read_seen(device.storage).waits_for) is not is_allowed


def test_a_newer_plan_that_wants_the_same_vouches_for_it_under_its_own_conditions(
    device: Device, images: dict[str, bytes]
):
    limits = msgspec.structs.replace(device.config.limits, is_metered=True)
    device.config = msgspec.structs.replace(device.config, limits=limits)
    publish(device, images, "2")
    assert device.run() is End.WAITING
    publish(device, images, "2", conditions=Conditions(is_metered_allowed=True))
    assert device.run() is End.RESTART
    assert device.runs() == "2"
    while device.run() is not End.RESTING:
        pass
    assert [report.outcome for report in device.reports()] == ["confirmed"]


def test_a_plan_that_is_cancelled_stops_a_download_between_two_blocks(device: Device, images: dict[str, bytes]):
    limits = msgspec.structs.replace(device.config.limits, kilobytes_per_s=10)
    device.config = msgspec.structs.replace(device.config, limits=limits, poll_s=10)
    device.repository.add_image("rsu/gateway/2.tar", images["2"], counter=2)
    publish(device, images, "2")
    slept = device.world.sleep

    def sleep(seconds: float) -> None:
        slept(seconds)
        if device.world.now > 8 and device.repository.plans[DEVICE].number == 1:
            publish(device, images, "2", is_cancelled=True)

    device.world.sleep = sleep  # type: ignore[method-assign]
    assert device.run() is End.WAITING
    (blob,) = set(device.blobs_asked())
    while device.run() is not End.RESTING:
        pass
    assert device.runs() == "1"
    assert device.blobs_asked() == [blob], "nothing more of it is asked for"
    (report,) = device.reports()
    assert (report.outcome, report.rule) == ("cancelled", "cancelled")


def test_it_asks_no_more_often_than_it_should(device: Device, images: dict[str, bytes]):
    publish(device, images, "1")
    device.run()
    asked = len(device.web.asked)
    assert device.agent().run() is End.RESTING
    assert len(device.web.asked) == asked
    device.world.now += 3_601
    assert device.agent().run() is End.RESTING
    assert len(device.web.asked) > asked
