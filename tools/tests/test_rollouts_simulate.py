"""`wayside ota campaign simulate`: what it prints, what it draws, what it refuses."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from tools.cli import app

FEW = ("--devices", "2000")
OWN = """\
name = "own"
target = "rsu/gateway/2.tar"
[[stage]]
percent = 50
[[stage]]
percent = 100
[gate]
on_failure = "halt"
"""


def simulate(*words: object) -> Result:
    return CliRunner().invoke(app, ["ota", "campaign", "simulate", *map(str, words)])


def lines(*words: object) -> list[dict[str, Any]]:
    result = simulate(*words, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_last_line_says_how_many_were_harmed_and_when_it_was_halted() -> None:
    (told,) = lines(*FEW, "--failure-rate", 0.5)
    assert {"devices", "harmed", "harmed_share", "halted_after_s"} <= set(told)
    assert told["devices"] == 2_000
    assert 0 < told["harmed"] < 100
    assert told["harmed_share"] == told["harmed"] / 2_000
    assert 0 < told["halted_after_s"] < 7_200
    assert told["stopped_by"] == "halt-and-revert"


def test_a_good_release_is_not_halted_and_says_null() -> None:
    (told,) = lines(*FEW, "--failure-rate", 0)
    assert (told["halted_after_s"], told["harmed"], told["state"]) == (None, 0, "finished")


def test_many_seeds_are_a_line_each_and_one_that_sums_up() -> None:
    *each, last = lines(*FEW, "--failure-rate", 0.5, "--seed", 7, "--seeds", 3)
    assert [one["seed"] for one in each] == [7, 8, 9]
    assert last["harmed"] == max(one["harmed"] for one in each)
    assert last["halted_after_s"] == max(one["halted_after_s"] for one in each)
    assert (last["seeds"], last["halted"], last["not_halted"]) == ([7, 9], 3, [])


def test_seeds_that_were_not_halted_are_named_and_the_sum_says_null() -> None:
    last = lines(*FEW, "--failure-rate", 0, "--seeds", 2)[-1]
    assert (last["halted_after_s"], last["not_halted"]) == (None, [1, 2])


def test_people_read_the_stages_and_the_reason() -> None:
    result = simulate(*FEW, "--failure-rate", 0.5, "--model", "cabinet")
    assert result.exit_code == 0, result.output
    assert "sent back" in result.stdout.splitlines()[0]
    assert "cabinet: " in result.stdout
    assert "harmed by the release: " in result.stdout


def test_own_stages_and_gate_are_taken_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(OWN)
    (told,) = lines(*FEW, "--failure-rate", 0.5, "--campaign", file)
    assert (told["stopped_by"], told["models"] != [], told["stage"]) == ("halt", True, 1)
    assert told["harmed"] > 100, "half of the fleet was told at once"


def test_the_picture_is_of_the_worst_run_and_names_the_halt(tmp_path: Path) -> None:
    picture = tmp_path / "rollout.svg"
    last = lines(*FEW, "--failure-rate", 0.5, "--seeds", 3, "--picture", picture)[-1]
    said = [one.text or "" for one in ET.parse(picture).getroot().iter("{http://www.w3.org/2000/svg}text")]
    assert "halted, sent back" in said
    assert any("are tolerated" in text for text in said)
    assert any(f"seed {last['worst_seed']}" in text for text in said)
    assert any(text.startswith("Stage 1: 0 to 5 %") for text in said)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--picture", "rollout.png"), 2, "rollout.png: pictures are SVG; name it .svg"),
        (("--model", "tram"), 2, "model: no device is a tram; there are bus-a, bus-b, cabinet, lane, station, buoy"),
        (("--silent", "0.6", "--regressed", "0.6"), 2, "silent and regressed are shares of the failures: together at"),
        (("--campaign", "none.toml"), 2, "none.toml cannot be read: No such file or directory"),
        ((*FEW, "--picture", "none/x.svg"), 1, "none/x.svg cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_is_one_line(words: tuple[str, ...], code: int, said: str) -> None:
    result = simulate(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"wayside: {said}")
    assert len(result.stderr.splitlines()) == 1


def test_a_file_that_is_no_campaign_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(OWN.replace("percent = 100", "percent = 90"))
    result = simulate("--campaign", file)
    assert result.exit_code == 2
    assert "the last stage is at 90 percent" in result.stderr
