"""`wayside ota hawkbit ...` against a server over HTTP, as an operator tries it on a bench and a timer runs it."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from ota.hawkbit.config import HawkbitConfig
from ota.hawkbit.mapping import TARGET_KEY
from ota.hawkbit.run import opened
from ota.testing.hawkbit_double import Exchange, HawkbitDouble
from ota.testing.repository_double import RepositoryDouble
from ota.tests.agent_device import Device, publish, release
from ota.tests.hawkbit_exchanges import (
    BASE,
    TOKEN,
    Bench,
    asks,
    cancellation,
    confirmation,
    deployment,
    poll,
    told,
)
from tools.cli import app
from tools.ota_hawkbit import app as hawkbit_app

ASSIGNED = (poll(deployment="7?c=1"), asks("deploymentBase", "7?c=1", deployment(window="unavailable")))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with HawkbitDouble().serving() as server:
        yield Bench(tmp_path, server)


def hawkbit(bench: Bench, verb: str, *words: str, script: tuple[Exchange, ...] = ()) -> Any:
    bench.server.expect(*script)
    result = CliRunner().invoke(app, ["ota", "hawkbit", verb, str(bench.folder / "hawkbit.toml"), *words])
    assert TOKEN not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_poll_shows_what_is_wanted_and_what_it_means_here(bench: Bench) -> None:
    result = hawkbit(bench, "poll", script=ASSIGNED)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1:] == [
        "action 7: an update is assigned",
        "action 7: download attempt, update attempt, maintenance window unavailable",
        "  bApp  gateway  1.4.2",
        f"    1.4.2.tar  20,480 bytes  sha256 {'5d' * 32}",
        "  main is to run rsu/gateway/1.4.2.tar",
    ]
    assert lines[0].startswith("hawkBit was asked; again in 2") or lines[0].endswith("300 s")


def test_a_poll_for_programs_is_one_object(bench: Bench) -> None:
    said = json.loads(hawkbit(bench, "poll", "--json", script=ASSIGNED).stdout)
    wanted = said["assignment"]
    assert (wanted["action"], wanted["window"], wanted["may_download"], wanted["may_update"]) == (
        "7", "unavailable", True, False,
    )  # fmt: skip
    assert wanted["images"] == {"main": {"target": "rsu/gateway/1.4.2.tar", "version": "1.4.2"}}
    assert wanted["chunks"][0]["artifacts"][0]["sha256"] == "5d" * 32
    assert [event["event"] for event in said["events"]] == ["Polled", "Assigned"]
    assert 200 < said["next_s"] <= 300
    nothing = json.loads(hawkbit(bench, "poll", "--json", script=(poll(),)).stdout)
    assert nothing["assignment"] is None
    assert nothing["events"][-1] == {"event": "Withdrawn", "action": "7", "reason": "it is not open there"}


def test_what_is_no_image_of_this_device_is_shown_with_the_reason(bench: Bench) -> None:
    strange = deployment(name="radio\n\x1b[2J")
    result = hawkbit(bench, "poll", script=(poll(deployment="7"), asks("deploymentBase", "7", strange)))
    assert result.exit_code == 0
    assert "it names no image of this device: ecu: action 7: radio??[2J: no ECU here" in result.stdout
    assert "\x1b" not in result.output


def test_each_step_is_told_and_the_result_once(bench: Bench) -> None:
    assert hawkbit(bench, "report", "download").exit_code == 1
    hawkbit(bench, "poll", script=ASSIGNED)
    words = ("--progress", "3", "4", "--details", "on the way", "--code", "12")
    result = hawkbit(bench, "report", "downloaded", *words, script=(told(), *ASSIGNED))
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "action 7: downloaded is told"
    status = bench.server.asked[2].json["status"]
    assert status == {
        "execution": "downloaded",
        "result": {"finished": "none", "progress": {"cnt": 3, "of": 4}},
        "code": 12,
        "details": ["on the way"],
    }
    result = hawkbit(bench, "report", "success", "--json", script=(told(), poll()))
    assert json.loads(result.stdout)["events"][0] == {"event": "Told", "action": "7", "execution": "closed"}
    assert bench.server.asked[-2].json["status"]["result"]["finished"] == "success"
    result = hawkbit(bench, "report", "failure")
    assert (result.exit_code, "no action is open here" in result.stderr) == (1, True)


def test_what_cannot_be_told_now_is_kept_and_said_to_be(bench: Bench) -> None:
    hawkbit(bench, "poll", script=ASSIGNED)
    result = hawkbit(bench, "report", "failure", script=(told(is_lost=True),))
    assert (result.exit_code, "it is kept here" in result.stderr) == (3, True)
    result = hawkbit(bench, "poll", script=(told(), poll()))
    assert "action 7: closed is told" in result.stdout


@pytest.mark.parametrize(("words", "word"), [((), "confirmed"), (("--deny", "--details", "in traffic"), "denied")])
def test_an_action_is_confirmed_or_denied(bench: Bench, words: tuple[str, ...], word: str) -> None:
    asked = (poll(confirmation="7"), asks("confirmationBase", "7", confirmation()))
    assert "waits to be confirmed" in hawkbit(bench, "poll", script=asked).stdout
    result = hawkbit(bench, "confirm", *words, script=(*asked, told(channel="confirmationBase")))
    assert result.exit_code == 0, result.output
    assert bench.server.asked[-1].json["confirmation"] == word


def test_without_a_question_nothing_is_confirmed_or_cancelled(bench: Bench) -> None:
    for verb, words in (("confirm", ()), ("cancel", ("cancelled",))):
        result = hawkbit(bench, verb, *words, script=(poll(),))
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1


def test_a_cancellation_is_shown_and_answered(bench: Bench) -> None:
    asked = (poll(cancel="7"), asks("cancelAction", "7", cancellation()))
    assert "action 7 is to be cancelled" in hawkbit(bench, "poll", script=asked).stdout
    result = hawkbit(bench, "cancel", "rejected", "--reason", "too late", script=(*asked, told(channel="cancelAction")))
    assert result.exit_code == 0, result.output
    assert bench.server.asked[-1].json["status"]["execution"] == "rejected"


@pytest.mark.parametrize(
    ("exchange", "code"), [(Exchange("GET", BASE, is_lost=True), 3), (Exchange("GET", BASE, 401), 1)]
)
def test_the_exit_code_says_whether_the_server_is_away_or_refuses(bench: Bench, exchange: Exchange, code: int) -> None:
    result = hawkbit(bench, "poll", "--json", script=(exchange,))
    assert result.exit_code == code
    assert result.stderr.count("\n") == 1


def test_a_wrong_file_is_wrong_usage(bench: Bench) -> None:
    (bench.folder / "hawkbit.toml").write_text("server = 1")
    assert hawkbit(bench, "poll").exit_code == 2


def test_polls_follow_one_another_until_somebody_ends_them(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("ota.hawkbit.run.opened", partial(opened, monotonic=lambda: sum(waits)))
    monkeypatch.setattr("tools.ota_hawkbit.time.sleep", sleep)
    once, again = poll(deployment="7?c=1"), poll(sleep="00:10:00")
    result = hawkbit(bench, "poll", "--follow", "--json", script=(once, ASSIGNED[1], again, again))
    assert result.exit_code == 0, result.output
    said = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["assignment"] is not None for each in said] == [True, False, False]
    assert 240 <= waits[0] <= 300
    assert 480 <= waits[1] <= 600


def test_the_page_shows_right_files_and_commands() -> None:
    page = (Path(__file__).parents[2] / "docs/ota_hawkbit.md").read_text("utf-8")
    whole = max(re.findall(r"```toml\n(.*?)```", page, re.DOTALL), key=len)
    assert msgspec.toml.decode(whole, type=HawkbitConfig).ecu["main"].module == "gateway"
    shown = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    group: Any = typer.main.get_command(hawkbit_app)
    verbs = [shlex.split(line)[3:] for line in shown if " hawkbit " in line]
    assert sorted({verb for verb, *_ in verbs}) == ["cancel", "confirm", "poll", "report"]
    for verb, *words in verbs:
        with group.commands[verb].make_context(verb, words) as parsed:
            assert not parsed.args


@pytest.mark.parametrize("starts", [["-m", "tools.cli", "ota", "run"], ["-m", "ota.agent"]])
def test_a_run_takes_the_update_that_is_assigned_and_says_what_comes_next(
    bench: Bench, tmp_path: Path, starts: list[str]
) -> None:
    """By hand and as the gateway starts it: a process, a living repository, real slots; the image named by metadata."""
    pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")
    (tmp_path / "sources").mkdir()
    images = {str(number): release(str(number), number, tmp_path / "sources") for number in (1, 2)}
    repository = RepositoryDouble(now=datetime.now(UTC))
    with repository.serving() as web:
        device = Device(tmp_path / "box", repository, web, images["1"])
        publish(device, images, "2")
        update = device.folder / "update.toml"
        update.write_text(f'hawkbit = "{bench.folder / "hawkbit.toml"}"\n{update.read_text()}')
        named = deployment(version="2", filename="letter.txt", metadata={TARGET_KEY: "rsu/gateway/2.tar"})
        bench.server.expect(poll(), poll(deployment="7"), asks("deploymentBase", "7", named), told())
        ends = [subprocess.run([sys.executable, *starts, str(update)], check=False).returncode for _ in range(2)]
    assert ends == [0, 11], "first there is a plan and no action"
    assert bench.server.asked[-1].json["status"]["execution"] == "proceeding"
