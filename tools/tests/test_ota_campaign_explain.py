"""`wayside ota explain DEVICE --fleet FILE`: what a device runs, what it was told and why, from the operator's side."""

import json
import time
from pathlib import Path

import pytest

from ota.campaign.engine.heard import Account
from tools.tests.rollout_desk import NAME, NEW, OLD, RolloutDesk, Signed

NOW = int(time.time())


@pytest.fixture
def desk(tmp_path: Path, signed_repository: Signed) -> RolloutDesk:
    desk = RolloutDesk(tmp_path, signed_repository)
    desk.begun()
    return desk


def sentences(desk: RolloutDesk, device: str) -> list[str]:
    """The same for people and for programs."""
    plain = desk.told("explain", device, "--fleet", str(desk.config)).splitlines()
    answer = desk.done("explain", device, "--fleet", str(desk.config))
    assert answer == {"device": device, "told": answer["told"]}
    assert len(plain) == len(answer["told"])
    return plain


def first(desk: RolloutDesk) -> str:
    """Who was told."""
    entries = desk.done("campaign", "history", NAME)["entries"]
    return str(next(name for entry in entries if entry["what"] == "told" for name in entry["facts"]["plans"]))


def test_a_device_whose_turn_has_not_come(desk: RolloutDesk):
    desk.work(NOW)
    other = next(f"bus-{number:02}" for number in range(10) if f"bus-{number:02}" != first(desk))
    assert sentences(desk, other) == [
        f"{other} is a bus and runs {OLD}; it was heard last: never.",
        "There is no plan for it yet.",
        f"Campaign {NAME} is running; this device is in stage 2 of 2, and waits for its turn.",
    ]


def test_a_device_that_was_told_and_waits(desk: RolloutDesk):
    desk.work(NOW)
    one = first(desk)
    told = sentences(desk, one)
    assert told[1].startswith("Its newest plan is number 1, made 20")
    assert told[1].endswith(f" by {NAME}: main: {NEW}.")
    assert told[2].startswith(f"Campaign {NAME} is running; this device is in stage 1 of 2, and was told 20")
    assert told[2].endswith(" and has not answered.")
    desk.work(NOW, Account(device=one, at=NOW, account={"has_taken": 0, "waits_for": "the lane is open"}))
    assert sentences(desk, one)[-1] == "It says that it waits: the lane is open."


def test_a_device_that_failed_says_why_without_moving_the_terminal(desk: RolloutDesk):
    desk.work(NOW)
    one = first(desk)
    desk.work(NOW, desk.ended(one, NOW, "rolled-back", "health", "the uplink \x1b[2J is away"))
    said = "\n".join(sentences(desk, one))
    assert ": health: the uplink " in said
    assert "\x1b" not in said


def test_a_device_that_confirmed_runs_it(desk: RolloutDesk):
    desk.work(NOW)
    one = first(desk)
    desk.work(NOW, desk.ended(one, NOW, "confirmed"))
    told = sentences(desk, one)
    assert told[0].startswith(f"{one} is a bus and runs {NEW}; it was heard last: 20")
    assert told[2].endswith(" and is still watched.")


def test_a_device_that_is_sent_back(desk: RolloutDesk):
    desk.work(NOW)
    one = first(desk)
    desk.work(NOW, desk.ended(one, NOW, "confirmed"))
    desk.done("campaign", "halt", NAME, *desk.key("li"), "--revert", "--reason", "noise")
    desk.work(NOW)
    told = sentences(desk, one)
    assert f"this device is in stage 1 of 2, and is on its way back to {OLD}." in told[2]


@pytest.mark.parametrize("name", ["bus-99", "a\x1b[31m", "x" * 300, ""])
def test_a_device_that_is_not_there_is_one_line(desk: RolloutDesk, name: str):
    result = desk.run("explain", name, "--fleet", str(desk.config))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(": no device of this name is in the fleet\n")
    assert result.stderr.count("\n") == 1
    assert "\x1b" not in result.stderr
    assert json.loads(desk.run("explain", name, "--fleet", str(desk.config), "--json").stdout)["ok"] is False


def test_a_configuration_that_is_not_there_is_wrong_usage(desk: RolloutDesk):
    said = desk.refused("explain", "bus-00", "--fleet", desk.file("nothing.toml"), code=2)
    assert said == f"{desk.file('nothing.toml')}: No such file or directory"
