"""`wayside ota campaign new|approve|pause|resume|next|halt`: who may do what, and each refusal in one line."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.identity.operator_keys import OperatorKey
from tools.tests.rollout_desk import CAMPAIGN, FLEET, NAME, RolloutDesk, Signed

NOBODY = f"name: {NAME}: there is no campaign of this name"


@pytest.fixture
def desk(tmp_path: Path, signed_repository: Signed) -> RolloutDesk:
    """With a fleet, and no campaign."""
    desk = RolloutDesk(tmp_path, signed_repository)
    desk.done("fleet", "import", desk.file("fleet.csv"))
    return desk


def new(desk: RolloutDesk, who: str = "li") -> list[str]:
    return ["campaign", "new", desk.file("campaign.toml"), *desk.key(who)]


def verb(desk: RolloutDesk, name: str, who: str, *more: str) -> list[str]:
    return ["campaign", name, NAME, *desk.key(who), *more]


def state(desk: RolloutDesk) -> str:
    return str(desk.done("campaign", "show", NAME)["state"])


def test_what_each_command_says_to_programs(desk: RolloutDesk):
    outline = {"name": NAME, "devices": 10, "stages": {"1": 1, "2": 9}}
    assert desk.done(*new(desk), "--dry-run") == {"ok": True, "dry_run": True, **outline}
    assert desk.done("campaign", "show") == {"campaigns": []}, "a dry run changes nothing"
    assert desk.done(*new(desk)) == {"ok": True, "dry_run": False, **outline}
    assert state(desk) == "waiting"
    assert desk.done(*verb(desk, "approve", "wang")) == {"ok": True, "name": NAME, "wanted": 0}
    for name, then in (("pause", "paused"), ("resume", "running"), ("halt", "reverting")):
        assert desk.done(*verb(desk, name, "li")) == {"ok": True, "name": NAME}
        assert state(desk) == then


def test_what_they_say_to_people(desk: RolloutDesk):
    assert desk.told(*new(desk), "--dry-run") == (
        "stage 1: up to 10 %, devices: 1\nstage 2: up to 100 %, devices: 9\na dry run: nothing has changed\n"
    )
    assert desk.told(*new(desk)).endswith(
        f"{NAME} waits for 1 approval(s) by somebody else: wayside ota campaign approve {NAME}\n"
    )
    assert desk.told(*verb(desk, "approve", "wang")) == f"{NAME} begins\n"
    assert desk.told(*verb(desk, "next", "li", "--reason", "looked at")) == f"{NAME}: the next stage begins\n"
    assert desk.told(*verb(desk, "pause", "li")) == f"{NAME} is paused\n"
    assert desk.told(*verb(desk, "resume", "li")) == f"{NAME} goes on\n"
    assert desk.told(*verb(desk, "halt", "li", "--revert")) == f"{NAME} is halted\n"


def test_as_many_people_approve_as_are_wanted(desk: RolloutDesk):
    (desk.folder / "campaign.toml").write_text("approvals = 2\n" + CAMPAIGN)
    desk.done(*new(desk))
    assert desk.told(*verb(desk, "approve", "wang")) == f"{NAME}: 1 more approval(s) are wanted\n"
    said = desk.refused(*verb(desk, "approve", "wang"))
    assert said == f"approval: {NAME}: wang has approved it already"
    assert desk.done(*verb(desk, "approve", "zhao"))["wanted"] == 0


def test_the_author_does_not_approve_his_own(desk: RolloutDesk):
    desk.done(*new(desk))
    said = desk.refused(*verb(desk, "approve", "li"))
    assert said == f"approval: {NAME}: li has made it; a second person approves it"
    assert state(desk) == "waiting"


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("approve", (), "it is running; there is nothing to approve"),
        ("resume", (), "it is running; resume is for one that is paused"),
    ],
)
def test_a_verb_at_the_wrong_time_is_refused(desk: RolloutDesk, name: str, more: tuple[str, ...], said: str):
    desk.done(*new(desk))
    desk.done(*verb(desk, "approve", "wang"))
    assert desk.refused(*verb(desk, name, "zhao", *more)) == f"{NAME}: {said}"


def test_the_last_stage_has_none_after_it(desk: RolloutDesk):
    desk.done(*new(desk))
    desk.done(*verb(desk, "approve", "wang"))
    desk.done(*verb(desk, "next", "li", "--reason", "a"))
    assert desk.refused(*verb(desk, "next", "li", "--reason", "b")) == f"{NAME}: this is its last stage"


@pytest.mark.parametrize("name", ["approve", "pause", "resume", "halt"])
def test_what_is_not_there_is_told(desk: RolloutDesk, name: str):
    assert desk.refused(*verb(desk, name, "li")) == NOBODY


def test_a_name_is_had_once(desk: RolloutDesk):
    desk.done(*new(desk))
    said = f"name: {NAME}: there is a campaign of this name already"
    assert desk.refused(*new(desk)) == said
    assert desk.refused(*new(desk), "--dry-run") == said


def test_an_overlap_names_the_other_campaign(desk: RolloutDesk):
    desk.done(*new(desk))
    (desk.folder / "campaign.toml").write_text(CAMPAIGN.replace(NAME, "other"))
    said = desk.refused(*new(desk))
    assert said.startswith(f"overlap: other: {NAME}, which is waiting, has 10 of its devices, such as bus-00, ")


# Keys and people ------------------------------------------------------------------------------------------------------


def test_a_person_signs_with_his_own_key(desk: RolloutDesk):
    said = desk.refused(*new(desk), "--as", "wang")
    assert said == f"signature: {NAME}: new is not signed with the key of wang"
    assert desk.refused(*new(desk), "--as", "wang", "--dry-run") == said
    assert desk.done("campaign", "show") == {"campaigns": []}


def test_nobody_else_decides(desk: RolloutDesk):
    OperatorKey.new().write(desk.folder / "otto.pem", desk.folder / "otto.pub")
    said = desk.refused(*new(desk, "otto"))
    assert said == "signature: otto: nobody of that name may decide here; there are li, wang, zhao"


def test_a_key_file_may_have_another_name(desk: RolloutDesk):
    (desk.folder / "li.pem").rename(desk.folder / "my own.key")
    words = ["campaign", "new", desk.file("campaign.toml"), "--key", desk.file("my own.key")]
    assert desk.refused(*words).startswith("signature: my own: nobody of that name")
    assert desk.done(*words, "--as", "li")["ok"]


def test_a_name_with_a_dot_is_a_persons_too(desk: RolloutDesk):
    OperatorKey.new().write(desk.folder / "li.wei.pem", desk.folder / "li.wei.pub")
    desk.configure('[person."li.wei"]\nkey = "li.wei.pub"')
    assert desk.done(*new(desk, "li.wei"))["ok"]


def test_an_encrypted_key_wants_its_passphrase(desk: RolloutDesk):
    for suffix in ("pem", "pub"):
        (desk.folder / f"li.{suffix}").unlink()
    OperatorKey.new().write(desk.folder / "li.pem", desk.folder / "li.pub", b"open sesame")
    said = desk.refused(*new(desk), code=2)
    assert said == f"{desk.file('li.pem')}: is encrypted: its passphrase is wanted in WAYSIDE_KEY_PASSPHRASE"
    said = desk.refused(*new(desk), code=2, env={"WAYSIDE_KEY_PASSPHRASE": "wrong"})
    assert said == f"{desk.file('li.pem')}: cannot be opened with this passphrase"
    assert desk.run(*new(desk), env={"WAYSIDE_KEY_PASSPHRASE": "open sesame"}).exit_code == 0


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file or directory"), (b"\xff" * 9, "is not a private key in PEM")]
)
def test_a_key_that_cannot_be_read_is_named(desk: RolloutDesk, content: bytes | None, said: str):
    file = desk.folder / "li.pem"
    file.unlink() if content is None else file.write_bytes(content)
    assert desk.refused(*new(desk), code=2) == f"{file}: {said}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, ": No such file or directory"),
        (b"x", " is not an Ed25519 public key: PEM, or 32 bytes in base64, as `wayside keys new` writes it"),
    ],
)
def test_a_public_key_that_cannot_be_read_is_named(desk: RolloutDesk, content: bytes | None, said: str):
    file = desk.folder / "wang.pub"
    file.unlink() if content is None else file.write_bytes(content)
    assert desk.refused(*new(desk), code=2) == f"{desk.config}: person.wang: {file}{said}"


# What is asked for ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("target", "rsu/gateway/9.tar"), "role: rsu/gateway/9.tar: no release of this path is signed in the image"),
        (("where", "colour=red"), "where: no device has a property colour; there are id, model, hardware, version,"),
        (("where", "region=south"), f"where: {NAME}: its terms mean no device of the fleet"),
        (("where", "region"), 'where: "region" is not property=value, property=value,value or property!=value'),
    ],
)
def test_a_campaign_that_cannot_be_carried_out_is_refused(desk: RolloutDesk, change: tuple[str, str], said: str):
    key, value = change
    before = {"target": "rsu/gateway/1.2.tar", "where": "region=north"}[key]
    (desk.folder / "campaign.toml").write_text(CAMPAIGN.replace(before, value))
    assert desk.refused(*new(desk)).startswith(said)
    assert desk.refused(*new(desk), "--dry-run").startswith(said)


def test_a_device_that_it_is_not_for_is_named(desk: RolloutDesk):
    (desk.folder / "fleet.csv").write_text(FLEET + "buoy-1,buoy,buoy-esp32,,north\n")
    desk.done("fleet", "import", desk.file("fleet.csv"))
    said = desk.refused(*new(desk))
    assert said == f"hardware: {NAME}: buoy-1: its main is buoy-esp32; rsu/gateway/1.2.tar is for rsu-arm64"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "not TOML: "),
        (CAMPAIGN + "\ncolour = 1", "Object contains unknown field `colour` - at `$.when`"),
        (
            CAMPAIGN.replace(NAME, "Gateway 1"),
            "must be 1 to 64 of a-z 0-9 . _ -, a letter or digit first - at `$.name`",
        ),
        (CAMPAIGN.replace("percent = 100", "percent = 90"), "the last stage is at 90 percent: the last one has 100"),
        ("#" * 70_000, "a campaign has at most 16384 bytes"),
    ],
)
def test_a_file_with_a_mistake_is_wrong_usage(desk: RolloutDesk, text: str, said: str):
    (desk.folder / "campaign.toml").write_text(text)
    assert desk.refused(*new(desk), code=2).startswith(f"{desk.file('campaign.toml')}: {said}")


def test_a_file_without_end_is_not_read_to_its_end(desk: RolloutDesk):
    said = desk.refused("campaign", "new", "/dev/zero", *desk.key("li"), code=2)
    assert said == "/dev/zero: a campaign has at most 16384 bytes"


def test_a_file_that_is_not_there_is_wrong_usage(desk: RolloutDesk):
    said = desk.refused("campaign", "new", desk.file("nothing"), *desk.key("li"), code=2)
    assert said == f"{desk.file('nothing')}: No such file or directory"


# Reasons --------------------------------------------------------------------------------------------------------------


def test_a_reason_is_one_line_whatever_is_in_it(desk: RolloutDesk):
    desk.done(*new(desk))
    desk.done(*verb(desk, "approve", "wang"))
    desk.done(*verb(desk, "pause", "li", "--reason", " evil\x1b[31m [bold]\n two\tlines \udcff"))
    assert desk.done("campaign", "show", NAME)["reason"] == "evil\\x1b[31m [bold] two lines \\udcff"
    entry = desk.done("campaign", "history", NAME)["entries"][-1]
    assert (entry["what"], entry["facts"]["reason"]) == ("pause", "evil\\x1b[31m [bold] two lines \\udcff")


def test_a_reason_is_not_cut_in_silence(desk: RolloutDesk):
    desk.done(*new(desk))
    said = desk.refused(*verb(desk, "halt", "li", "--reason", "x" * 501), code=2)
    assert said == "--reason: at most 500 characters"
    assert state(desk) == "waiting"


def test_passing_a_gate_by_wants_a_reason(desk: RolloutDesk):
    desk.done(*new(desk))
    desk.done(*verb(desk, "approve", "wang"))
    assert desk.run(*verb(desk, "next", "li")).exit_code == 2
    assert desk.refused(*verb(desk, "next", "li", "--reason", " \n"), code=2) == "--reason: say why"
    assert desk.done("campaign", "show", NAME)["stage"] == 1


# The configuration ----------------------------------------------------------------------------------------------------


def test_a_configuration_that_is_not_there_is_told(desk: RolloutDesk):
    desk.config.unlink()
    for words in (new(desk), ["campaign", "show"], ["fleet"], ["fleet", "import", desk.file("fleet.csv")]):
        assert desk.refused(*words, code=2) == f"{desk.config}: No such file or directory"


def test_a_database_that_is_not_there_is_a_wrong_name(desk: RolloutDesk):
    desk.configure(database="sqlite:///nowhere.db")
    said = desk.refused("campaign", "show", code=2)
    assert said.startswith(f"{desk.config}: database: sqlite:///{desk.folder}/nowhere.db is not there yet; ")
    assert not (desk.folder / "nowhere.db").exists()


@pytest.mark.parametrize("database", ["mysql://db/x", "rollouts.db", "sqlite://"])
def test_a_database_of_another_kind_is_a_wrong_configuration(desk: RolloutDesk, database: str):
    desk.configure(database=database)
    said = desk.refused("campaign", "show", code=2)
    assert said == f"{desk.config}: database: begins with sqlite:/// or postgresql://, such as sqlite:///rollouts.db"


def test_a_database_that_is_away_cannot_be_reached(desk: RolloutDesk):
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    desk.configure(database="postgresql://somebody@127.0.0.1:1/rollouts")
    assert desk.refused("campaign", "show", code=3).startswith("database: postgresql://somebody@127.0.0.1:1/rollouts: ")


def test_a_repository_that_is_none_is_named(desk: RolloutDesk):
    desk.configure(repository="nowhere")
    said = desk.refused(*new(desk), code=2)
    assert said == (f"{desk.config}: repository: {desk.folder / 'nowhere'} is none; `wayside ota repo init` makes one")
    assert desk.done("campaign", "show") == {"campaigns": []}, "who only looks needs none"


@pytest.mark.parametrize(
    "words", [["campaign", "show"], ["fleet"], ["campaign", "serve"], ["explain", "a", "--fleet", "rollouts.toml"]]
)
def test_what_is_not_installed_is_one_line(desk: RolloutDesk, words: list[str]):
    desk.configure(desk.director())
    code = "import sys; sys.modules['sqlalchemy'] = None; from tools.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "ota", *words, "--json"], cwd=desk.folder, capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    said = 'sqlalchemy is not installed here: pip install "wayside[ota,fleet,tools]"'
    assert (done.returncode, done.stderr) == (2, f"wayside: {said}\n")
    assert done.stdout.count("\n") == 1
    assert said.replace('"', '\\"') in done.stdout


def test_what_was_decided_is_dated_and_signed(desk: RolloutDesk):
    desk.done(*new(desk))
    (entry,) = desk.done("campaign", "history")["entries"]
    assert abs(entry["at"] - time.time()) < 60
    assert (entry["who"], entry["what"], len(entry["facts"]["signature"])) == ("li", "new", 128)
