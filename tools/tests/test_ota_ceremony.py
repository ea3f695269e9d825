"""The ceremony through the command line: three holders in three folders, two signatures, what is served."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from tuf.ngclient import Updater

from ota.testing.web_double import WebDouble
from tools import ota_repo
from tools.tests.ota_repositories import HOLDERS, PASSPHRASE, Desk, done, hurry, refused, repo, tree


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        yield Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "repository"


def test_two_of_three_holders_bring_a_repository_to_life(desk: Desk, repository: Path, tmp_path: Path) -> None:
    begun = done(*desk.init_words(repository))
    assert begun["files"] == [
        "staged/director/1.root.json",
        "staged/image/1.buoy.json",
        "staged/image/1.root.json",
        "staged/image/1.rsu.json",
        "staged/image/1.targets.json",
    ]
    desk.sign(repository, "alice", "carol")
    desk.publish(repository)
    assert not list((repository / "staged").rglob("*.*"))
    served = {str(path.relative_to(repository / "public")) for path in (repository / "public").rglob("*.json")}
    assert served == {
        "director/1.root.json",
        *(f"metadata/{name}.json" for name in ("1.root", "1.targets", "1.rsu", "1.buoy", "1.snapshot", "timestamp")),
    }
    assert (repository / "public/metadata/timestamp.json").stat().st_mode & 0o777 == 0o644
    root = (repository / "public/metadata/1.root.json").read_bytes()
    web = WebDouble()
    web.files = {name: (repository / "public" / name).read_bytes() for name in served}
    with web.serving():
        updater = Updater(str(tmp_path / "client"), f"{web.url}/metadata/", bootstrap=root)
        assert updater.get_targetinfo("rsu/gateway/1.tar") is None
    assert [asked.removeprefix("metadata/") for asked, _range in web.asked] == [
        "2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json", "1.rsu.json"
    ]  # fmt: skip


def test_one_signature_is_not_enough_and_the_refusal_says_who_could_sign(desk: Desk, repository: Path) -> None:
    done(*desk.init_words(repository))
    desk.sign(repository, "alice")
    before = tree(repository)
    said = refused(*desk.publish_words(repository))
    assert said.startswith("threshold: staged/image/1.root.json: 1 of 2 signatures; one of these must sign too: bob (")
    assert tree(repository) == before


def test_a_holder_who_signs_twice_is_one(desk: Desk, repository: Path) -> None:
    done(*desk.init_words(repository))
    desk.sign(repository, "alice")
    for file in (repository / "staged").rglob("*.sig"):
        file.with_name(file.name.replace("alice", "alias")).write_bytes(file.read_bytes())
    assert refused(*desk.publish_words(repository)).startswith("threshold: staged/image/1.root.json: 1 of 2")


def test_a_signature_over_another_file_is_told_and_not_only_not_counted(desk: Desk, repository: Path) -> None:
    done(*desk.init_words(repository))
    desk.sign(repository, "alice", "bob")
    file = repository / "staged/image/1.rsu.json"
    file.write_text(file.read_text().replace('"version": 1', '"version": 1, "x": 2'))
    said = refused(*desk.publish_words(repository))
    assert said.startswith("signature: staged/image/1.rsu.json.alice-")
    assert "another version was signed, or it was changed on the way" in said


def test_a_stranger_who_signs_is_told(desk: Desk, repository: Path) -> None:
    done(*desk.init_words(repository))
    desk.sign(repository, "alice", "bob")
    desk.new_key("mallory", "targets")
    file = repository / "staged/image/1.rsu.json"
    done(*desk.sign_words(file, "mallory"))
    said = refused(*desk.publish_words(repository))
    assert said.startswith("key: staged/image/1.rsu.json.mallory-")
    assert said.endswith("has no say in 1.rsu.json")


def test_a_key_signs_only_what_its_role_does(desk: Desk, repository: Path) -> None:
    done(*desk.init_words(repository))
    file = repository / "staged/image/1.root.json"
    secret = ["--passphrase-file", desk.secret]
    before = tree(repository)
    said = refused("sign", file, "--key", desk.key("alice", "targets"), *secret)
    assert said == f"key: {file}: root keys sign this, and this one is for targets"
    said = refused("sign", file, "--key", desk.key("server", "online"), *secret)
    assert said == f"key: {file}: root keys sign this, and this one is for online"
    assert tree(repository) == before


def test_the_two_roots_are_told_apart(desk: Desk, repository: Path) -> None:
    begun = done(*desk.init_words(repository))
    sides = [f"staged/{side}/1.root.json" for side in ("image", "director")]
    assert {change["file"] for change in begun["changes"]} >= set(sides)
    file = repository / sides[1]
    shown = repo(*desk.sign_words(file, "alice"), "--dry-run")
    assert f"{file}: a new version: 1, holds until" in shown.stdout


def test_what_is_signed_is_read_first(desk: Desk, repository: Path) -> None:
    done(*desk.init_words(repository))
    result = repo(*desk.sign_words(repository / "staged/image/1.targets.json", "alice"), "--dry-run")
    assert "1.targets.json: a new version: 1, holds until" in result.stdout
    assert "1.targets.json: a product family: rsu (rsu/*/*), 2 of alice (" in result.stdout
    assert result.stderr == "a dry run: nothing has changed\n"


@pytest.mark.parametrize("words", ["init", "sign", "publish"])
def test_a_dry_run_changes_nothing(desk: Desk, repository: Path, tmp_path: Path, words: str) -> None:
    if words != "init":
        done(*desk.init_words(repository))
        desk.sign(repository, "alice", "bob")
    command = {
        "init": desk.init_words(repository),
        "sign": desk.sign_words(repository / "staged/image/1.root.json", "carol"),
        "publish": desk.publish_words(repository),
    }[words]
    before = tree(tmp_path)
    assert done(*command, "--dry-run")["changes"]
    assert tree(tmp_path) == before


def test_a_dry_run_of_publishing_needs_no_key(desk: Desk, repository: Path) -> None:
    done(*desk.init_words(repository))
    desk.sign(repository, "alice", "bob")
    assert done("publish", repository, "--dry-run")["dry_run"] is True
    assert repo("publish", repository).exit_code == 2


def test_fewer_than_three_holders_or_one_person_twice_do_not_begin(desk: Desk, repository: Path) -> None:
    said = refused(*desk.init_words(repository, HOLDERS[:2]))
    assert said == "threshold: root: it has 2 different keys; 2 of at least 3 must sign, so that one may get lost"
    said = refused(*desk.init_words(repository, ("alice", "bob", "alice")))
    assert said.startswith("threshold: root: alice holds 2 of its keys")
    assert not repository.exists()


@pytest.mark.parametrize("family", ["root", "snapshot", "Rsu", "a/b", "*", ""])
def test_a_family_has_a_name_of_its_own(desk: Desk, repository: Path, family: str) -> None:
    assert refused(*desk.init_words(repository), "--family", family).startswith(
        f"role: {family}: a product family's name is"
    )


def test_a_repository_is_not_begun_twice(desk: Desk, repository: Path) -> None:
    done(*desk.init_words(repository))
    before = tree(repository)
    assert refused(*desk.init_words(repository)) == (
        "storage: staged: there is a repository already, and it is not replaced"
    )
    assert tree(repository) == before


def test_the_daily_publication_renews_the_timestamp_only(desk: Desk, repository: Path) -> None:
    desk.begun(repository)
    before = tree(repository / "public")
    desk.publish(repository)
    after = tree(repository / "public")
    assert {name for name in after if before.get(name) != after[name]} == {"metadata/timestamp.json"}
    assert json.loads(after["metadata/timestamp.json"][0])["signed"]["version"] == 2


def test_a_wrong_passphrase_and_a_broken_key_file_change_nothing(desk: Desk, repository: Path, tmp_path: Path) -> None:
    done(*desk.init_words(repository))
    file = repository / "staged/image/1.root.json"
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong horse battery")
    wrong.chmod(0o600)
    before = tree(repository)
    key = desk.key("alice", "root")
    assert refused("sign", file, "--key", key, "--passphrase-file", wrong) == (
        f"key: {key}: this passphrase does not open it"
    )
    broken = tmp_path / "broken.key"
    broken.write_bytes(key.read_bytes()[:200])
    assert refused("sign", file, "--key", broken, "--passphrase-file", desk.secret).startswith(
        f"key: {broken}: it is no"
    )
    assert refused("sign", file, "--key", tmp_path / "none", "--passphrase-file", desk.secret).startswith("storage: ")
    nobody = repo("sign", file, "--key", key)
    assert (nobody.exit_code, nobody.stderr) == (
        2,
        "wayside: there is no terminal to ask at; name a --passphrase-file\n",
    )
    assert tree(repository) == before


def test_a_passphrase_that_others_can_read_is_refused(desk: Desk, repository: Path, tmp_path: Path) -> None:
    done(*desk.init_words(repository))
    desk_secret = tmp_path / "open"
    desk_secret.write_text("correct horse battery")
    desk_secret.chmod(0o644)
    file = repository / "staged/image/1.root.json"
    said = refused("sign", file, "--key", desk.key("alice", "root"), "--passphrase-file", desk_secret)
    assert said == f"key: {desk_secret}: others may read this passphrase; chmod 600 it"


def test_who_gives_a_passphrase_at_the_terminal_has_read_what_is_signed(
    desk: Desk, repository: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done(*desk.init_words(repository))
    file = repository / "staged/image/1.rsu.json"
    shown = []

    def ask(prompt: str) -> str:
        shown.append((prompt, capfd.readouterr().out))
        return PASSPHRASE

    monkeypatch.setattr("getpass.getpass", ask)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    ota_repo.sign([file], desk.key("alice", "targets"), None, None, dry_run=False, as_json=False)
    assert shown == [("passphrase of alice-targets.key: ", shown[0][1])]
    assert "1.rsu.json: a new version: 1, holds until" in shown[0][1]
    assert len(list(file.parent.glob("1.rsu.json.alice-*.sig"))) == 1


def test_a_new_passphrase_is_asked_for_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    answers = [PASSPHRASE, PASSPHRASE + "!", PASSPHRASE, PASSPHRASE]
    monkeypatch.setattr("getpass.getpass", lambda _prompt: answers.pop(0))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(typer.Exit):
        ota_repo.key("alice", "root", tmp_path, None, dry_run=False, as_json=False)
    assert capfd.readouterr().err == "wayside: the two passphrases differ\n"
    assert list(tmp_path.iterdir()) == []
    ota_repo.key("alice", "root", tmp_path, None, dry_run=False, as_json=False)
    assert {path.name for path in tmp_path.iterdir()} == {"alice-root.key", "alice-root.pub"}
