"""`wayside ota campaign show|history|report`: how rollouts stand and who did what, for people and programs."""

import sqlite3
import time
from pathlib import Path

import pytest

from tools.rollouts.tables import span_of
from tools.tests.rollout_desk import FLEET, NAME, NEW, RolloutDesk, Signed

WHY = "stage 1: 1 of 1 failed; so few are for a person to judge"
HOSTILE = "it says \x1b[2J\n[bold]<b>"
SHOWN = "it says \\x1b[2J\\n[bold]<b>"


@pytest.fixture
def desk(tmp_path: Path, signed_repository: Signed) -> RolloutDesk:
    """Nothing is in its database yet."""
    return RolloutDesk(tmp_path, signed_repository)


@pytest.fixture
def paused(desk: RolloutDesk) -> RolloutDesk:
    """Its first device was told and has failed, with words that are not to be trusted."""
    desk.begun()
    now = int(time.time())
    desk.work(now)
    (first,) = told(desk)
    desk.work(now + 1, desk.ended(first, now + 1, "rolled-back", "health", HOSTILE))
    return desk


def told(desk: RolloutDesk) -> list[str]:
    """Who was told, by the trail."""
    entries = desk.done("campaign", "history", NAME)["entries"]
    return [name for entry in entries if entry["what"] == "told" for name in entry["facts"]["plans"]]


def test_nothing_is_there_at_first(desk: RolloutDesk):
    desk.done("fleet", "import", desk.file("fleet.csv"))
    assert desk.told("campaign", "show") == "there is no campaign yet\n"
    assert desk.done("campaign", "show") == {"campaigns": []}
    assert desk.done("campaign", "history") == {"ok": True, "broken_at": None, "entries": []}


def test_all_campaigns_are_a_line_each(paused: RolloutDesk):
    (one,) = paused.done("campaign", "show")["campaigns"]
    assert set(one) == {
        "name", "target", "state", "stage", "stages_in_all", "reason", "sent_back", "author", "created_at", "begun_at",
        "digest",
    }  # fmt: skip
    assert (one["name"], one["target"], one["state"]) == (NAME, NEW, "paused")
    assert (one["stage"], one["stages_in_all"], one["author"], one["sent_back"]) == (1, 2, "li", [])
    head, line = paused.told("campaign", "show").splitlines()
    assert head.split() == ["campaign", "release", "state", "stage", "since", "why"]
    assert line.split()[:4] == [NAME, NEW, "paused", "1/2"]


def test_one_campaign_is_shown_to_programs(paused: RolloutDesk):
    one = paused.done("campaign", "show", NAME)
    assert one["campaign"]["where"] == ["region=north"]
    assert list(one["approved"]) == ["wang"]
    first, second = one["stages"]
    assert (first["stage"], first["percent"]) == (1, 10.0)
    assert first["models"] == {"bus": {"devices": 1, "failed": 1, "rules": {"health": 1}}}
    assert second["models"] == {"bus": {"devices": 9, "waiting": 9, "rules": {}}}
    (trouble,) = one["troubles"]
    assert trouble == {
        "device": told(paused)[0], "model": "bus", "state": "failed", "rule": "health", "reason": trouble["reason"],
    }  # fmt: skip


def test_one_campaign_is_shown_to_people(paused: RolloutDesk):
    lines = paused.told("campaign", "show", NAME).splitlines()
    assert lines[0] == f"{NAME}: {NEW}: paused: {WHY}"
    assert lines[1].startswith("made by li 20")
    assert "; approved by wang (20" in lines[1]
    assert lines[2:6] == [
        "for: region=north",
        "stages: 10 %, watched for 1 h; 100 %, watched for 1 h",
        "tolerated: 1 % failed; else halt-and-revert",
        "devices take it at any time",
    ]
    assert [line.split() for line in lines[6:9]] == [
        ["stage", "%", "model", "devices", "waiting", "failed"],
        [">1", "10", "bus", "1", "1"],
        ["2", "100", "bus", "9", "9"],
    ]
    assert lines[9] == "not as they should be: 1"
    assert lines[10].startswith(f"  {told(paused)[0]}  bus: failed: health: it says ")
    assert len(lines) == 11


def test_no_word_of_a_device_reaches_the_terminal_as_it_is(paused: RolloutDesk):
    for words in (["show", NAME], ["show"], ["history"]):
        assert "\x1b" not in paused.told("campaign", *words)
    assert "<b>" not in report_of(paused)


def test_whoever_approves_sees_first_what_it_is(desk: RolloutDesk):
    text = desk.folder / "campaign.toml"
    text.write_text(
        text.read_text() + 'local = ["lane-closed"]\nwindow = { from = "01:30", to = "04:00" }\n'
        "[gate]\ntolerated = 0.005\non_failure = 'pause'\n"
    )
    desk.done("fleet", "import", desk.file("fleet.csv"))
    desk.done("campaign", "new", str(text), *desk.key("li"))
    said = desk.told("campaign", "show", NAME)
    assert "approved by nobody yet" in said
    assert "for: region=north\n" in said
    assert "tolerated: 0.5 % failed; else pause\n" in said
    assert "devices take it from 01:30 to 04:00, lane-closed\n" in said


def test_a_table_is_as_narrow_as_what_is_in_it(paused: RolloutDesk):
    assert max(map(len, paused.told("campaign", "show", NAME).splitlines()[:9])) <= 100


def test_a_long_list_is_cut_and_says_so(desk: RolloutDesk):
    (desk.folder / "fleet.csv").write_text(FLEET + "".join(f"lane-{n},lane,rsu-arm64,,north\n" for n in range(30)))
    desk.done("fleet", "import", desk.file("fleet.csv"))
    lines = desk.told("fleet").splitlines()
    assert lines[-2:] == ["  and 20 more (--json has them all)", "stuck: 0"]
    assert len(desk.done("fleet")["silent"]) == 40


@pytest.mark.parametrize("verb", ["show", "history", "report"])
def test_a_name_that_is_none_is_refused(paused: RolloutDesk, verb: str):
    assert paused.refused("campaign", verb, "nowhere") == "name: nowhere: there is no campaign of this name"


# History --------------------------------------------------------------------------------------------------------------


def test_history_says_who_did_what(paused: RolloutDesk):
    answer = paused.done("campaign", "history", NAME)
    assert (answer["ok"], answer["broken_at"]) == (True, None)
    assert [entry["seq"] for entry in answer["entries"]] == [1, 2, 3, 4, 5]
    assert [(entry["who"], entry["what"]) for entry in answer["entries"]] == [
        ("li", "new"), ("wang", "approve"), ("engine", "begun"), ("engine", "told"),
        ("engine", "pause"),
    ]  # fmt: skip
    assert set(answer["entries"][0]) == {"seq", "at", "who", "what", "campaign", "facts", "hash"}
    lines = paused.told("campaign", "history", NAME).splitlines()
    assert len(lines) == 6
    assert lines[0].split()[2:6] == ["1", "li", "new", NAME]
    assert lines[5] == f"the trail holds; its last hash is {answer['entries'][-1]['hash']}"


def test_a_line_that_somebody_has_changed_is_told(paused: RolloutDesk):
    with sqlite3.connect(paused.folder / "rollouts.db") as connection:
        connection.execute("UPDATE trail SET line = replace(line, 'wang', 'zhao') WHERE seq = 2")
    connection.close()
    result = paused.run("campaign", "history")
    assert result.exit_code == 1
    assert result.stderr == "the trail is broken: line 2 is not what was written\n"
    result = paused.run("campaign", "history", "--json")
    assert result.exit_code == 1
    assert result.stdout.startswith('{"ok":false,"broken_at":2,')
    assert result.stdout.count("\n") == 1


# The report -----------------------------------------------------------------------------------------------------------


def report_of(desk: RolloutDesk) -> str:
    desk.done("campaign", "report", NAME, "--out", desk.file("page.html"))
    return (desk.folder / "page.html").read_text("utf-8")


def test_a_report_is_a_page(paused: RolloutDesk):
    out = paused.file("page.html")
    answer = paused.done("campaign", "report", NAME, "--out", out)
    size = Path(out).stat().st_size
    assert answer == {"ok": True, "file": out, "bytes": size, "state": "paused"}
    assert paused.told("campaign", "report", NAME, "--out", out) == f"{out}\n"
    assert Path(out).read_bytes().startswith(b"<!DOCTYPE html>")


def test_a_report_is_named_after_its_campaign(paused: RolloutDesk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(paused.folder)
    assert paused.told("campaign", "report", NAME) == f"{NAME}.html\n"
    assert (paused.folder / f"{NAME}.html").exists()


def test_a_report_that_cannot_be_written_is_one_line(paused: RolloutDesk):
    said = paused.refused("campaign", "report", NAME, "--out", paused.file("no/page.html"))
    assert said == f"{paused.file('no/page.html')}: No such file or directory"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (90, "90 s"), (120, "2 min"), (3600, "1 h"), (5400, "90 min"), (172_800, "2 d")]
)
def test_a_time_is_told_in_its_largest_whole_unit(seconds: int, said: str):
    assert span_of(seconds) == said
