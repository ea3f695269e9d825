"""An update agent that a hawkBit server steers: real slots, a living repository, and scripted exchanges over HTTP.

The exchanges are those of the published reference: see `ota.tests.hawkbit_exchanges` for resource and model of each.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ota.agent.agent import End
from ota.agent.audit import read_seen
from ota.errors import Cause, RefusedError, StorageError
from ota.hawkbit.run import modules_of, opened, run
from ota.hawkbit.steering import Steering
from ota.slots.machine import State
from ota.slots.record import Record
from ota.targets import Conditions, EcuPlan, Plan
from ota.testing.hawkbit_double import Exchange, HawkbitDouble
from ota.testing.web_double import Faults
from ota.tests.agent_device import DEVICE, WELL, Device, publish
from ota.tests.hawkbit_exchanges import BASE, Bench, asks, cancellation, deployment, poll, told

pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")


class Steered:
    """A device, its hawkBit server, and runs of both as processes would make them."""

    def __init__(self, device: Device, bench: Bench) -> None:
        device.config = msgspec.structs.replace(device.config, hawkbit=str(bench.folder / "hawkbit.toml"))
        self.device = device
        self.bench = bench
        self.server = bench.server

    def run(self, *exchanges: Exchange) -> End:
        """One process, in which just these exchanges happen."""
        self.server.expect(*exchanges)
        device = self.device
        end = run(device.config, running=device.slot, world=device.world, say=device.said.append)
        assert not self.server.unexpected, self.server.unexpected
        assert not self.server.script, f"not asked for: {list(self.server.script)}"
        if end is End.RESTART:
            device.slot = device.agent().driver.record().to_start
        return end

    def told(self) -> list[tuple[str, str, list[str]]]:
        """(execution, result, details) of each feedback."""
        status = [asked.json["status"] for asked in self.server.asked if asked.method == "POST"]
        return [(each["execution"], each["result"]["finished"], each.get("details", [])) for each in status]


@pytest.fixture
def steered(device: Device, tmp_path: Path) -> Iterator[Steered]:
    with HawkbitDouble().serving() as server:
        folder = tmp_path / "hawkbit"
        folder.mkdir()
        yield Steered(device, Bench(folder, server))


LONG = "12:00:00"
"""Until the next poll: longer than any trial here, so that none falls into one."""


def assigned(
    steered: Steered, version: str = "2", action: str = "7", sleep: str = LONG, **said: Any
) -> tuple[Exchange, Exchange]:
    """A poll and the action: the image as hawkBit has it, too."""
    path = f"rsu/gateway/{version}.tar"
    image = steered.device.repository.images.get(path)
    body = deployment(action, version=version, filename=f"{version}.tar", **said)
    artifact = body["deployment"]["chunks"][0]["artifacts"][0]
    if image is not None:
        artifact["hashes"]["sha256"], artifact["size"] = hashlib.sha256(image).hexdigest(), len(image)
    return poll(deployment=action, sleep=sleep), asks("deploymentBase", action, body)


def test_the_main_story(steered: Steered, images: dict[str, bytes]) -> None:
    """Assigned, fetched, switched, judged, confirmed, told; and with the next action that it ran already."""
    publish(steered.device, images, "2")
    assert steered.run(*assigned(steered), told()) is End.RESTART
    assert steered.run(*assigned(steered), told()) is End.RESTING
    assert (steered.device.runs(), steered.device.state()) == ("2", State.REPORTED)
    assert steered.told() == [("proceeding", "none", []), ("closed", "success", ["confirmed"])]
    assert steered.run(poll(sleep=LONG)) is End.RESTING
    assert steered.run(*assigned(steered, action="8"), told("8")) is End.RESTING
    assert steered.told()[2:] == [("closed", "success", ["confirmed"])]


def test_what_runs_already_is_told_to_run(steered: Steered, images: dict[str, bytes]) -> None:
    publish(steered.device, images, "1")
    assert steered.run(*assigned(steered, "1"), told()) is End.RESTING
    assert steered.told() == [("closed", "success", ["it ran already"])]
    assert steered.device.blobs_asked() == []


def test_without_an_action_a_plan_waits(steered: Steered, images: dict[str, bytes]) -> None:
    publish(steered.device, images, "2")
    assert steered.run(poll(sleep=LONG)) is End.RESTING
    assert read_seen(steered.device.storage).refusal == "condition: plan 1: hawkBit has assigned nothing"
    assert (steered.device.state(), steered.device.blobs_asked()) == (State.IDLE, [])
    assert steered.run(*assigned(steered), told()) is End.RESTART


def test_without_a_server_a_plan_waits_and_a_trial_is_judged_to_its_end(
    steered: Steered, images: dict[str, bytes]
) -> None:
    publish(steered.device, images, "2")
    away = Exchange("GET", BASE, 503)
    assert steered.run(away) is End.RESTING
    assert read_seen(steered.device.storage).refusal == "condition: plan 1: hawkBit does not answer"
    assert steered.run(*assigned(steered), told(is_lost=True)) is End.RESTART
    assert steered.run(told(is_lost=True), told(is_lost=True)) is End.RESTING
    assert (steered.device.runs(), steered.device.state()) == ("2", State.REPORTED)
    assert steered.run(told(), poll(sleep=LONG)) is End.RESTING
    assert steered.told()[-1] == ("closed", "success", ["confirmed"])


def test_a_release_that_is_rolled_back_is_a_failure_with_its_reason(steered: Steered, images: dict[str, bytes]) -> None:
    publish(steered.device, images, "2")
    assert steered.run(*assigned(steered), told()) is End.RESTART
    steered.device.world.vitals = msgspec.structs.replace(WELL, boot=2, has_uplink=False)
    assert steered.run(*assigned(steered)) is End.RESTART
    steered.device.world.vitals = msgspec.structs.replace(WELL, boot=3)
    steered.run(*assigned(steered), told())
    assert steered.device.runs() == "1"
    execution, result, details = steered.told()[-1]
    assert (execution, result, details[0]) == ("closed", "failure", "rolled back")
    assert details[1].startswith("health: ")
    assert steered.run(*assigned(steered, action="8"), told("8")) is End.RESTING
    execution, result, (reason,) = steered.told()[-1]
    assert (execution, result) == ("rejected", "none")
    assert reason.startswith("quarantine: rsu/gateway/2.tar: it has failed here")


CLOSED = "the maintenance window of action 7 of hawkBit is closed"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"update": "skip"}, "action 7 of hawkBit is not to be installed yet"),
        ({"update": "skip", "window": "unavailable"}, CLOSED),
        ({"window": "unavailable"}, CLOSED),
    ],
)
def test_outside_its_window_it_is_fetched_and_written_and_not_switched(
    steered: Steered, images: dict[str, bytes], said: dict[str, str], reason: str
) -> None:
    publish(steered.device, images, "2")
    assert steered.run(*assigned(steered, **said), told()) is End.WAITING
    assert steered.device.state() is State.SECONDARIES_STAGED
    assert read_seen(steered.device.storage).waits_for == reason
    assert steered.run(*assigned(steered, **said)) is End.WAITING
    assert steered.run(*assigned(steered, window="available")) is End.RESTART


def let_go(bench: Bench, number: int = 3) -> tuple[Steering, Plan]:
    """A plan that was let go by action 7, whose window is open."""
    steering = Steering(bench.client, modules_of(bench.config), wall_s=lambda: 0.0)
    bench.server.expect(poll(deployment="7"), asks("deploymentBase", "7", deployment(window="available")))
    steering.look()
    bench.client.follow(number)
    return steering, Plan(device=DEVICE, number=number, ecus={"main": EcuPlan(target="rsu/gateway/1.4.2.tar")})


def test_an_old_word_of_the_server_switches_no_slot(steered: Steered) -> None:
    """Its window was open when a long download began; a poll falls into that, and is not answered."""
    bench = steered.bench
    steering, plan = let_go(bench)
    assert steering.may_switch(plan) == ""
    bench.wait()
    bench.server.expect(Exchange("GET", BASE, 503))
    assert steering.may_switch(plan) == "hawkBit does not answer"
    assert steering.stops() == "", "a download goes on"
    bench.wait()
    bench.server.expect(poll(deployment="7"))
    assert steering.may_switch(plan) == ""


def test_another_action_is_no_leave_for_a_plan_that_is_under_way(steered: Steered) -> None:
    bench = steered.bench
    steering, plan = let_go(bench)
    bench.wait()
    bench.server.expect(poll(deployment="9"), asks("deploymentBase", "9", deployment("9", version="1.5")))
    assert steering.stops() == "hawkBit wants it no more"
    assert steering.may_switch(plan) == "plan 3 was not let go for action 9 of hawkBit"


def test_a_download_that_is_to_wait_waits_and_the_server_knows(steered: Steered, images: dict[str, bytes]) -> None:
    publish(steered.device, images, "2")
    assert steered.run(*assigned(steered, download="skip", update="skip"), told()) is End.RESTING
    assert steered.device.blobs_asked() == []
    assert [each[0] for each in steered.told()] == ["scheduled"]
    assert steered.run(*assigned(steered), told()) is End.RESTART


def test_forced_is_not_above_the_conditions_of_the_plan(steered: Steered, images: dict[str, bytes]) -> None:
    steered.device.world.unmet_names = "lane-closed"
    publish(steered.device, images, "2", conditions=Conditions(local=["lane-closed"]))
    assert steered.run(*assigned(steered, download="forced", update="forced"), told()) is End.WAITING
    assert "lane-closed" in read_seen(steered.device.storage).waits_for


def test_a_director_that_is_away_is_no_matter_for_hawkbit(steered: Steered, images: dict[str, bytes]) -> None:
    publish(steered.device, images, "2")
    steered.device.web.faults = Faults(status=503)
    assert steered.run(*assigned(steered)) is End.RESTING
    assert read_seen(steered.device.storage).rule == "network"
    steered.device.web.faults = Faults()
    assert steered.run(*assigned(steered), told()) is End.RESTART


def test_a_plan_that_was_let_go_and_not_begun_has_no_result_yet(steered: Steered) -> None:
    """As when a secondary did not answer: what the record has is the end of the plan before."""
    steered.server.expect(*assigned(steered))
    with opened(steered.bench.config) as client:
        steering = Steering(client, modules_of(steered.bench.config), wall_s=lambda: 0.0)
        steering.look()
        client.follow(2)
        record = Record(plan_number=1, attempt="1", outcome="confirmed")
        steering.tell(record, State.REPORTED)
        assert client.memory.action == "7"


# Trust ----------------------------------------------------------------------------------------------------------


def test_a_server_that_wants_another_image_than_the_plan_moves_nothing(
    steered: Steered, images: dict[str, bytes]
) -> None:
    publish(steered.device, images, "2")
    assert steered.run(*assigned(steered, "1"), told()) is End.RESTING
    assert steered.device.state() is State.IDLE
    (reason,) = steered.told()[0][2]
    assert (
        reason
        == "condition: plan 1: action 7 of hawkBit wants rsu/gateway/1.tar for main; plan 1 names rsu/gateway/2.tar"
    )


def test_a_server_with_another_file_of_that_name_moves_nothing(steered: Steered, images: dict[str, bytes]) -> None:
    publish(steered.device, images, "2")
    question, answer = assigned(steered)
    answer.body["deployment"]["chunks"][0]["artifacts"][0]["hashes"]["sha256"] = "e" * 64
    assert steered.run(question, answer, told()) is End.RESTING
    assert steered.device.blobs_asked() == []
    assert "another file rsu/gateway/2.tar than the one that is signed" in steered.told()[0][2][0]


def test_what_the_director_has_not_planned_is_not_run_whoever_assigns_it(
    steered: Steered, images: dict[str, bytes]
) -> None:
    publish(steered.device, images, "2")
    publish(steered.device, images, "1")  # both are signed; the plan names the first
    assert steered.run(*assigned(steered, "2"), told()) is End.RESTING
    assert (steered.device.state(), steered.told()[0][0]) == (State.IDLE, "rejected")


def test_nothing_of_an_artifact_is_fetched_from_hawkbit(steered: Steered, images: dict[str, bytes]) -> None:
    publish(steered.device, images, "2")
    steered.run(*assigned(steered), told())
    assert {asked.path.partition("/deploymentBase")[0] for asked in steered.server.asked} == {BASE}


# Cancellation ---------------------------------------------------------------------------------------------------


def cancelled(action: str = "7") -> tuple[Exchange, ...]:
    return (
        poll(cancel=action, sleep=LONG),
        asks("cancelAction", action, cancellation(action)),
        told(action, "cancelAction"),
    )


def limit_to(device: Device, kilobytes_per_s: float | None) -> None:
    limits = msgspec.structs.replace(device.config.limits, kilobytes_per_s=kilobytes_per_s)
    device.config = msgspec.structs.replace(device.config, limits=limits)


def test_a_cancellation_while_downloading_stops_it_and_what_has_come_stays(
    steered: Steered, images: dict[str, bytes]
) -> None:
    """The whole image, slowly, so that a poll falls between two of its blocks."""
    device = steered.device
    limit_to(device, 1.0)
    device.repository.add_image("rsu/gateway/2.tar", images["2"], counter=2)
    publish(device, images, "2")
    end = steered.run(*assigned(steered, sleep="00:01:00"), *cancelled())
    assert (end, device.state()) == (End.WAITING, State.FETCHING)
    assert steered.told() == [("closed", "success", ["nothing of it is under way any more"])]
    asked = len(device.blobs_asked())
    assert steered.run(poll(sleep=LONG)) is End.WAITING
    assert len(device.blobs_asked()) == asked, "nothing more is fetched without an action"
    device.config = msgspec.structs.replace(
        device.config, limits=msgspec.structs.replace(device.config.limits, kilobytes_per_s=None)
    )
    assert steered.run(*assigned(steered, action="8"), told("8")) is End.RESTART


def test_a_cancellation_before_the_switch_is_kept_to(steered: Steered, images: dict[str, bytes]) -> None:
    publish(steered.device, images, "2")
    assert steered.run(*assigned(steered, update="skip"), told()) is End.WAITING
    assert steered.run(*cancelled()) is End.WAITING
    assert steered.device.state() is State.SECONDARIES_STAGED
    assert steered.told()[-1] == ("closed", "success", ["nothing of it is under way any more"])
    assert steered.run(poll(sleep=LONG)) is End.WAITING
    assert steered.run(*assigned(steered, action="8"), told("8")) is End.RESTART


def test_a_cancellation_after_the_switch_is_rejected_and_the_result_told(
    steered: Steered, images: dict[str, bytes]
) -> None:
    publish(steered.device, images, "2")
    assert steered.run(*assigned(steered), told()) is End.RESTART
    assert steered.run(*cancelled(), told()) is End.RESTING
    assert steered.device.runs() == "2"
    assert steered.told()[-2:] == [
        ("rejected", "none", ["the release is started already"]),
        ("closed", "success", ["confirmed"]),
    ]


def test_an_action_that_is_closed_by_force_holds_what_is_under_way(steered: Steered, images: dict[str, bytes]) -> None:
    publish(steered.device, images, "2")
    assert steered.run(*assigned(steered, update="skip"), told()) is End.WAITING
    assert steered.run(poll(sleep=LONG)) is End.WAITING
    assert "action 7 of hawkBit is withdrawn: it is not open there" in steered.device.said


def test_a_plan_that_the_director_cancels_needs_no_word_of_hawkbit(steered: Steered, images: dict[str, bytes]) -> None:
    publish(steered.device, images, "2")
    assert steered.run(*assigned(steered, update="skip"), told()) is End.WAITING
    publish(steered.device, images, "2", is_cancelled=True)
    steered.run(*assigned(steered, update="skip"), told())
    assert steered.told()[-1][:2] == ("closed", "failure")


# Processes ------------------------------------------------------------------------------------------------------


def test_one_process_at_a_time_speaks_for_a_device(steered: Steered, images: dict[str, bytes]) -> None:
    publish(steered.device, images, "2")
    with opened(steered.bench.config):
        with pytest.raises(RefusedError, match="another process speaks to hawkBit"), opened(steered.bench.config):
            pass
        assert steered.run() is End.RESTING
    assert "another process speaks to hawkBit" in read_seen(steered.device.storage).refusal


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[ecu.main]", "[ecu.other]", "has no such ECU"),
        ("rsu/gateway", "rsu/other", "says rsu/gateway"),
        ('server = "', 'server = "ftp:', "hawkbit.toml: "),
        ('token_file = "token"', 'token_file = "none"', "none: No such file"),
    ],
)
def test_a_wrong_file_holds_a_plan_back_and_a_trial_is_judged_all_the_same(
    steered: Steered, images: dict[str, bytes], old: str, new: str, reason: str
) -> None:
    file = steered.bench.folder / "hawkbit.toml"
    right = file.read_text()
    publish(steered.device, images, "2")
    file.write_text(right.replace(old, new))
    assert steered.run() is End.RESTING
    assert reason in read_seen(steered.device.storage).refusal
    file.write_text(right)
    assert steered.run(*assigned(steered), told()) is End.RESTART
    file.write_text(right.replace(old, new))
    assert steered.run() is End.RESTING
    assert (steered.device.runs(), steered.device.state()) == ("2", State.REPORTED)
    file.write_text(right)
    assert steered.run(*assigned(steered), told()) is End.RESTING
    assert steered.told()[-1] == ("closed", "success", ["confirmed"])


def test_a_disk_that_keeps_nothing_of_hawkbit_lets_nothing_new_begin(
    steered: Steered, images: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(steered.device, images, "2")
    full = StorageError("memory.json", "No space left on device", Cause.FULL)

    def refuse(*_: object) -> None:
        raise full

    monkeypatch.setattr("ota.hawkbit.client.write_memory", refuse)
    steered.server.expect(*assigned(steered))
    assert run(steered.device.config, running="a", world=steered.device.world) is End.RESTING
    assert read_seen(steered.device.storage).refusal == f"condition: plan 1: {full}"
    assert steered.device.blobs_asked() == []
