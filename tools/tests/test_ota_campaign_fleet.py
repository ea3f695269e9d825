"""`wayside ota fleet`: which devices there are, where they come from, and each mistake in their file with its line."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.campaign.config import ConfigError
from ota.campaign.engine.heard import Account
from tools.rollouts.fleet_file import MAX_LINE_CHARS, read_fleet
from tools.tests.rollout_desk import FLEET, HARDWARE, NAME, OLD, RolloutDesk, Signed

HEAD = "id,model,ecu.main,target.main,region\n"
KEY = "0123456789abcdef" * 4


@pytest.fixture
def desk(tmp_path: Path, signed_repository: Signed) -> RolloutDesk:
    return RolloutDesk(tmp_path, signed_repository)


def written(folder: Path, content: str | bytes, name: str = "fleet.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def mistake(file: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        read_fleet(file)
    said = str(refused.value)
    assert said.startswith(str(file))
    assert "\n" not in said
    return said.removeprefix(str(file))


# The file -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        HEAD + f"a-1,bus,{HARDWARE},{OLD},north\n",
        "\ufeff" + HEAD + f"a-1,bus,{HARDWARE},{OLD},north\n",
        (HEAD + f"a-1,bus,{HARDWARE},{OLD},north\n\n\n").replace("\n", "\r\n"),
        HEAD + f"a-1,bus,{HARDWARE},{OLD},north",
        HEAD.replace(",", " , ") + f" a-1, bus,{HARDWARE} ,{OLD},north \n",
        HEAD + f'"a-1","bus","{HARDWARE}","{OLD}","north"\n',
        "region,ecu.main,model,id,target.main,empty\n" + f"north,{HARDWARE},bus,a-1,{OLD},\n",
    ],
)
def test_a_table_is_read_as_spreadsheets_write_it(tmp_path: Path, content: str):
    (one,) = read_fleet(written(tmp_path, content)).devices
    assert (one.id, one.model, one.ecus, one.targets) == ("a-1", "bus", {"main": HARDWARE}, {"main": OLD})
    assert one.labels == {"region": "north"}


def test_json_lines_say_the_same(tmp_path: Path):
    line = f'{{"id": "a-1", "model": "bus", "ecu.main": "{HARDWARE}", "region": "north", "report_key": "{KEY}"}}\n'
    found = read_fleet(written(tmp_path, "\n" + line + "\n", "fleet.jsonl"))
    assert [one.id for one in found.devices] == ["a-1"]
    assert found.keys == {"a-1": KEY}


def test_the_suffix_may_be_in_capital_letters(tmp_path: Path):
    assert len(read_fleet(written(tmp_path, FLEET, "FLEET.CSV")).devices) == 10


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ":1: there is no column id; there are none"),
        (HEAD, ": there is no device in it"),
        ("id,model\na,b\n", ":1: there is no column of an ECU, such as ecu.main; there are id, model"),
        ("id;model;ecu.main\n", ":1: there is no column id; there are id;model;ecu.main"),
        ("id,ecu.main\n", ":1: there is no column model; there are id, ecu.main"),
        ("id,model,ecu.main,id\n", ":1: each column has a name of its own"),
        ("id,model,ecu.main,\n", ":1: each column has a name of its own"),
        ("id,model,ecu.main,ID\na,b,c,d\n", ":2: ID: write it id"),
        (HEAD + "a-1,bus\n", ":2: 2 fields, and 5 columns in the head"),
        (HEAD + "a-1,bus,x,,north,more\n", ":2: 6 fields, and 5 columns in the head"),
        (HEAD + "a-1,bus,x,,n\na-2,bus,x,,n\na-1,bus,y,,n\n", ":4: a-1 is here for the second time; it was in line 2"),
        (HEAD + ",bus,x,,north\n", ":2: id: is missing"),
        (HEAD + "a-1,,x,,north\n", ":2: model: is missing"),
        (HEAD + "a-1,bus,,,north\n", ":2: an ECU, such as ecu.main, is missing"),
        (HEAD + "A 1,bus,x,,north\n", ":2: must be 1 to 64 of a-z 0-9 _ -, a letter or digit first - at `$.id`"),
        (HEAD + "a-1,bus,x,no path,n\n", ":2: must be the path of a release, such as rsu/gateway/1.4.2.tar - at"),
        (HEAD + "a-1,a bus,x,,n\n", ":2: must be 1 to 64 of A-Z a-z 0-9 . _ + -, a letter or digit first - at `$.mod"),
        (HEAD.encode() + b"a-1,bus,x,,n\xf6rd\n", ":2: is not in UTF-8 (byte 0xf6): save the file as UTF-8"),
        (HEAD + 'a-1,bus,"x,,north\n', ":2: unexpected end of data"),
        (HEAD + "a" * MAX_LINE_CHARS + "\n", f":2: a line has at most {MAX_LINE_CHARS} bytes"),
        ("id,model,ecu.main,report_key\na-1,bus,x,ABC\n", ":2: report_key: 64 hexadecimal digits in small letters"),
    ],
)
def test_a_mistake_in_a_table_is_told_with_its_line(tmp_path: Path, content: str | bytes, said: str):
    assert mistake(written(tmp_path, content)).startswith(said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]\n", ":1: is no JSON object: Expected `object`, got `array`"),
        ("\n{", ":2: is no JSON object: Input data was truncated"),
        (HEAD, ":1: is no JSON object: JSON is malformed"),
        ('{"id":"a","model":"b","ecu.main":"c","n":3}', ":1: n: must be text"),
        ('{"id":"a","model":"b","ecu.main":"c","report_key":3}', ":1: report_key: must be text"),
        ("[" * 20_000, ":1: is no JSON object: "),
    ],
)
def test_a_mistake_in_json_lines_is_told_with_its_line(tmp_path: Path, content: str, said: str):
    assert mistake(written(tmp_path, content, "fleet.jsonl")).startswith(said)


@given(data=st.one_of(st.binary(max_size=300), st.binary(max_size=200).map(lambda rest: HEAD.encode() + rest)))
@pytest.mark.parametrize("name", ["any.csv", "any.jsonl"])
def test_any_bytes_are_devices_or_one_line(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes):
    file = written(tmp_path_factory.getbasetemp(), data, name)
    said = f"{file}:"
    try:
        devices = read_fleet(file).devices
    except ConfigError as error:
        devices, said = [], str(error)
    assert devices or len(said) > len(f"{file}:")
    assert said.startswith(f"{file}:")
    assert said.isprintable()


# Commands -------------------------------------------------------------------------------------------------------------


def test_an_import_says_what_it_changes(desk: RolloutDesk):
    words = ["fleet", "import", desk.file("fleet.csv")]
    nothing = {"ok": True, "dry_run": True, "added": 10, "changed": 0}
    assert desk.done(*words, "--dry-run") == nothing
    assert not (desk.folder / "rollouts.db").exists(), "a dry run begins no database"
    assert desk.done(*words) == {**nothing, "dry_run": False}
    assert desk.done(*words, "--dry-run") == {**nothing, "added": 0}
    (desk.folder / "fleet.csv").write_text(FLEET.replace("bus-00,bus", "bus-00,tram") + f"new,bus,{HARDWARE},,\n")
    assert desk.told(*words, "--dry-run") == "1 added, 1 changed\na dry run: nothing has changed\n"
    assert desk.done("fleet")["versions"] == {"bus": {OLD: 10}}
    assert desk.told(*words) == "1 added, 1 changed\n"
    assert desk.done("fleet")["versions"] == {"bus": {OLD: 9, "-": 1}, "tram": {OLD: 1}}
    assert desk.done(*words) == {**nothing, "dry_run": False, "added": 0}


def test_a_report_key_is_a_change_too(desk: RolloutDesk):
    desk.done("fleet", "import", desk.file("fleet.csv"))
    (desk.folder / "fleet.csv").write_text(f"id,model,ecu.main,target.main,region,report_key\nbus-00,bus,{HARDWARE},"
                                           f"{OLD},north,{KEY}\n")  # fmt: skip
    for more in (("--dry-run",), ()):
        assert desk.done("fleet", "import", desk.file("fleet.csv"), *more)["changed"] == 1
    assert desk.done("fleet", "import", desk.file("fleet.csv"))["changed"] == 0


def test_a_file_with_a_mistake_changes_nothing(desk: RolloutDesk):
    (desk.folder / "fleet.csv").write_text(FLEET + "A 1,bus,x,,north\n")
    said = desk.refused("fleet", "import", desk.file("fleet.csv"), code=2)
    assert said.startswith(f"{desk.file('fleet.csv')}:12: must be ")
    assert not (desk.folder / "rollouts.db").exists()
    assert desk.refused("fleet", "import", desk.file("nothing.csv"), code=2).endswith("No such file or directory")
    assert desk.refused("fleet", "import", str(desk.folder), code=2).endswith("Is a directory")


def test_the_fleet_is_shown(desk: RolloutDesk):
    desk.done("fleet", "import", desk.file("fleet.csv"))
    answer = desk.done("fleet")
    assert set(answer) == {"devices", "versions", "silent", "stuck"}
    assert answer["silent"][0] == {"device": "bus-00", "heard_at": None}
    lines = desk.told("fleet").splitlines()
    assert [line.split() for line in lines[:2]] == [["model", "version", "devices"], ["bus", OLD, "10"]]
    assert lines[2:4] == ["silent for 24 hours and more: 10 of 10", "  bus-00  never heard"]
    assert lines[-1] == "stuck: 0"


def test_no_fleet_is_told(desk: RolloutDesk):
    with desk.opened():
        pass
    assert desk.told("fleet") == "there is no device yet: wayside ota fleet import\n"
    assert desk.done("fleet") == {"devices": 0, "versions": {}, "silent": [], "stuck": []}


def test_who_was_heard_is_not_silent(desk: RolloutDesk):
    desk.done("fleet", "import", desk.file("fleet.csv"))
    now = int(time.time())
    desk.work(now - 7200, Account(device="bus-03", at=now - 7200, account={"state": "idle"}))
    assert len(desk.done("fleet")["silent"]) == 9
    assert {"device": "bus-03", "heard_at": now - 7200} in desk.done("fleet", "--silent", "1")["silent"]
    assert desk.run("fleet", "--silent", "0").exit_code == 2


def test_who_is_stuck_is_told_with_what_it_says(desk: RolloutDesk):
    desk.begun()
    before = int(time.time()) - 2 * 86_400
    desk.work(before)
    (one,) = desk.done("fleet")["stuck"]
    assert one == {
        "device": one["device"], "campaign": NAME, "state": "told", "told_at": before,
        "reason": "nothing was heard of it",
    }  # fmt: skip
    desk.work(before, Account(device=one["device"], at=before, account={"waits_for": "the lane \x1b[2J is open"}))
    assert desk.done("fleet")["stuck"][0]["reason"] == "the lane \x1b[2J is open"
    assert f"  {one['device']}  {NAME}: told: the lane \\x1b[2J is open\n" in desk.told("fleet")


def test_devices_that_are_no_more_are_forgotten(desk: RolloutDesk):
    desk.done("fleet", "import", desk.file("fleet.csv"))
    said = desk.refused("fleet", "remove", "bus-00", "bus-99")
    assert said == "device: bus-99: no device of this name is in the fleet"
    assert desk.done("fleet", "remove", "bus-00", "--dry-run") == {"ok": True, "dry_run": True, "removed": ["bus-00"]}
    assert desk.done("fleet")["devices"] == 10
    assert desk.done("fleet", "remove", "bus-00", "bus-01")["removed"] == ["bus-00", "bus-01"]
    assert desk.done("fleet")["devices"] == 8
    assert [entry["what"] for entry in desk.done("campaign", "history")["entries"]] == ["removed"]
