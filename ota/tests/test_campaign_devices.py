"""The list of devices: imported again and again, and shortened."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from ota.campaign.course import Course, State
from ota.campaign.rules import Campaign, CampaignError, Stage
from ota.campaign.selection import FleetDevice
from ota.campaign.store import campaigns, courses, devices, plans
from ota.campaign.store.database import open_database
from ota.targets import EcuPlan, Plan

OLD, NEW = "rsu/gateway/1.tar", "rsu/gateway/2.tar"
DEVICE = FleetDevice(id="rsu-1", model="rsu", ecus={"main": "rsu-a"}, targets={"main": OLD}, labels={"region": "north"})
CAMPAIGN = Campaign(name="gateway-2", target=NEW, stage=[Stage(percent=100)])


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    database = open_database(f"sqlite:///{tmp_path / 'r.db'}")
    with database.transaction() as connection:
        devices.put(connection, [DEVICE], {"rsu-1": "ab" * 32}, at=1)
        yield connection
    database.close()


def known(connection: Connection) -> devices.Known:
    return devices.get(connection, ["rsu-1"])["rsu-1"]


def test_what_a_device_has_said_of_itself_is_newer_than_a_table(connection: Connection):
    heard = FleetDevice(id="rsu-1", model="rsu", ecus={"main": "rsu-a"}, targets={"main": NEW}, version="2")
    devices.save(connection, [known(connection)._replace(device=heard, heard_at=5)])
    moved = FleetDevice(
        id="rsu-1", model="rsu", ecus={"main": "rsu-a"}, targets={"main": OLD}, labels={"region": "south"}
    )
    assert devices.put(connection, [moved], {}, at=9) == (0, 1)
    now = known(connection)
    assert (now.device.targets, now.device.version, now.device.labels) == ({"main": NEW}, "2", {"region": "south"})
    assert now.report_key == "ab" * 32, "a table without keys takes none away"
    assert devices.put(connection, [moved], {}, at=9) == (0, 0)


def test_a_device_that_was_never_heard_is_what_its_table_says(connection: Connection):
    other = FleetDevice(id="rsu-1", model="rsu", ecus={"main": "rsu-a"}, targets={"main": NEW})
    assert devices.put(connection, [other], {}, at=9) == (0, 1)
    assert known(connection).device.targets == {"main": NEW}


def in_a_campaign(connection: Connection, state: State) -> None:
    campaigns.add(connection, CAMPAIGN, author="li", at=1)
    courses.add(connection, "gateway-2", [Course(device="rsu-1", model="rsu", stage=0, state=state)])
    plan = Plan(device="rsu-1", number=1, ecus={"main": EcuPlan(target=NEW)})
    plans.put(connection, [plan], campaign="gateway-2", stage=0, at=1)


@pytest.mark.parametrize("state", ["waiting", "good", "failed", "reverted"])
def test_a_device_that_is_no_more_is_forgotten_with_its_plans(connection: Connection, state: State):
    in_a_campaign(connection, state)
    assert devices.remove(connection, ["rsu-1", "rsu-2"]) == ["rsu-1"]
    assert devices.get(connection, ["rsu-1"]) == {}
    assert plans.latest(connection, ["rsu-1"]) == {}
    assert list(courses.of_campaign(connection, "gateway-2")) == []
    assert devices.remove(connection, ["rsu-1"]) == []


@pytest.mark.parametrize("state", ["told", "reached", "confirmed", "reverting", "retrying"])
def test_a_device_on_its_way_is_not_forgotten(connection: Connection, state: State):
    in_a_campaign(connection, state)
    with pytest.raises(CampaignError, match="rsu-1: it is on its way in gateway-2"):
        devices.remove(connection, ["rsu-1"])
    assert known(connection)
