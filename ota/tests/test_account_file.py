"""`account.json`: true at each step of an update, small whatever happened, written anew where it is lost."""

import json
from typing import Any

import msgspec
import pytest

from ota.agent.account import Account, SlotAccount
from ota.agent.account_file import ACCOUNT, MAX_BYTES, encoded
from ota.agent.agent import End
from ota.agent.audit import Seen
from ota.errors import StorageError
from ota.storage import replace
from ota.tests.agent_device import DEVICE, WELL, Device, publish

pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")


def told(device: Device) -> dict[str, Any]:
    return json.loads(device.storage.read(ACCOUNT))


def brief(device: Device) -> tuple[str, str, int, str, int]:
    account = told(device)
    return account["state"], account["attempt"], account["plan"], account["outcome"], account["has_taken"]


def slots(device: Device) -> list[tuple[str, str, bool, bool]]:
    return [
        (each["slot"], each["version"], each["is_confirmed"], each["is_on_trial"]) for each in told(device)["slots"]
    ]


def watched(device: Device) -> list[str]:
    """The states that somebody sees who looks whenever the agent says or waits for something."""
    seen: list[str] = []
    sleep = device.world.sleep

    def look(_line: object = None) -> None:
        state = told(device)["state"]
        if not seen or seen[-1] != state:
            seen.append(state)

    def slept(seconds: float) -> None:
        look()
        sleep(seconds)

    device.said.append = look
    device.world.sleep = slept
    return seen


class Said(list[str]):
    """A list whose `append` a test may replace."""


def test_it_says_each_step_of_an_update_while_it_is_taken(device: Device, images: dict[str, bytes]):
    device.said = Said()
    publish(device, images, "1")
    device.run()
    assert brief(device) == ("idle", "", 0, "", 1), "what runs already is no attempt"
    seen = watched(device)
    publish(device, images, "2")
    assert device.run() is End.RESTART
    assert brief(device) == ("armed", "2", 2, "", 2)
    assert slots(device) == [("a", "1", True, False), ("b", "2", False, True)]
    assert device.run() is End.RESTING
    assert brief(device) == ("reported", "2", 2, "confirmed", 2)
    assert slots(device) == [("a", "1", False, False), ("b", "2", True, False)]
    assert seen == ["fetching", "trial"]


def test_one_that_was_sent_back_says_why_and_keeps_it_until_the_next(device: Device, images: dict[str, bytes]):
    publish(device, images, "2")
    device.run()
    device.world.vitals = msgspec.structs.replace(WELL, boot=2, has_uplink=False)
    assert device.run() is End.RESTART
    device.world.vitals = msgspec.structs.replace(WELL, boot=3)
    device.run()
    account = told(device)
    assert (account["outcome"], account["rule"]) == ("rolled-back", "health"), "in the words of the signed report"
    assert "the uplink is away" in account["reason"]
    assert list(account["quarantine"].values()) == [1]
    device.repository.set_plan(DEVICE, {"main": "rsu/gateway/1.tar"})
    device.run()
    assert brief(device) == ("idle", "1", 1, "rolled-back", 2), "plan 2 wanted what runs"


def test_a_plan_that_is_refused_is_said_with_its_rule(device: Device, images: dict[str, bytes]):
    device.repository.add_image("rsu/gateway/2.tar", images["2"], counter=2, min_counter=2)
    publish(device, images, "2")
    while device.run() is not End.RESTING:
        pass
    publish(device, images, "1")
    device.run()
    account = told(device)
    assert account["refusal_rule"] == "floor"
    assert account["refusal"].startswith("floor: ")
    assert account["floors"] == {"rsu-arm64 rsu/gateway": 2}
    assert brief(device) == ("reported", "1", 1, "confirmed", 1)


def test_it_is_written_only_where_it_says_something_else(device: Device, images: dict[str, bytes]):
    publish(device, images, "1")
    device.run()
    path = device.storage.folder / ACCOUNT
    before = path.stat()
    device.run()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    replace(device.storage, ACCOUNT, b"{")
    device.run()
    assert brief(device)[0] == "idle", "one that was damaged is made anew"


def test_a_disk_that_does_not_take_it_is_said_and_holds_up_nothing(
    device: Device, images: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_any: object) -> None:
        raise StorageError("account.json", "No space left on device")

    monkeypatch.setattr("ota.agent.account_file.replace", refuse)
    publish(device, images, "2")
    while device.run() is not End.RESTING:
        pass
    assert device.runs() == "2"
    assert "account.json: No space left on device" in "\n".join(device.said)


def test_it_is_small_whatever_happened():
    words = "語" * 5_000
    slot = SlotAccount(slot="a", target="t" * 300, version="1", counter=1, sha256="f" * 64, is_confirmed=True)
    floors = {f"{'h' * 64}-{number} {'f' * 80}": number for number in range(64)}
    quarantine = {f"{number:064x}": number for number in range(64)}
    account = Account(
        device="d" * 64, is_set_up=True, state="failed", slots=[slot, slot], plan=1 << 40, attempt="12",
        outcome="failed", reason=words, floors=floors, quarantine=quarantine, seen=Seen(refusal=words, waits_for=words),
    )  # fmt: skip
    data = encoded(account)
    assert len(data) <= MAX_BYTES
    left = json.loads(data)
    assert (left["reason"], left["attempt"], "quarantine" in left) == ("語" * 500, "12", False)
    assert left["floors"] == floors, "no more is left out than must be"
    larger = {f"{name} {number}": number for name in floors for number in range(3)}
    data = encoded(msgspec.structs.replace(account, floors=larger))
    assert len(data) <= MAX_BYTES
    assert "floors" not in json.loads(data)
