"""The maintainers' audit trail: what was done and what was refused, a line each, and none for a dry run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ota.errors import RefusedError, Rule, StorageError
from ota.repository.trail import AUDIT, Trail
from tools.tests.ota_repositories import Desk, done, hurry, refused, release_words, repo, source, tree


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        yield Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def repository(desk: Desk, tmp_path: Path) -> Path:
    repository = tmp_path / "repository"
    done(*desk.init_words(repository))
    return repository


def lines(repository: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (repository / AUDIT).read_bytes().splitlines()]


def test_each_step_and_each_refusal_is_a_line(desk: Desk, repository: Path, tmp_path: Path) -> None:
    desk.sign(repository, "alice")
    said = refused(*desk.publish_words(repository))
    desk.sign(repository, "bob")
    desk.publish(repository)
    refused(*desk.plan_words(repository, "rsu-7"))
    refused("revoke", repository, "ffff")
    refused("renew", repository, "nobody")
    refused(*release_words(repository, source(tmp_path / "1", "1"), 1, version="a b", deltas=0))
    (repository / "public/metadata/1.rsu.json").write_bytes(b"")
    refused("verify", repository)
    refused(*desk.init_words(repository))
    first, short, published, *others = lines(repository)
    assert first["what"] == "done"
    assert {(change["action"], change["file"]) for change in first["changes"]} >= {
        ("new version", "staged/image/1.root.json")
    }
    assert f"{short['rule']}: {short['of']}: {short['reason']}" == said
    assert published["files"][-1] == "public/metadata/timestamp.json"
    assert [(line["what"], Rule(line["rule"])) for line in others] == [
        ("refused", Rule.ECU),
        ("refused", Rule.KEY),
        ("refused", Rule.ROLE),
        ("refused", Rule.FORMAT),
        ("refused", Rule.HASH),
        ("refused", Rule.STORAGE),
    ]
    assert (repository / AUDIT).stat().st_mode & 0o777 == 0o600
    assert all(1_700_000_000 < line["time"] < 1 << 40 for line in lines(repository))


def test_a_dry_run_leaves_no_line(desk: Desk, repository: Path) -> None:
    before = (repository / AUDIT).read_bytes()
    for words in (desk.publish_words(repository), ["verify", repository], ["renew", repository, "rsu"]):
        assert repo(*words, "--dry-run").exit_code == 1
    assert (repository / AUDIT).read_bytes() == before


def test_a_folder_that_is_no_repository_gets_no_trail(desk: Desk, tmp_path: Path) -> None:
    refused("verify", tmp_path)
    assert tree(tmp_path) == {}
    assert not (tmp_path / AUDIT).exists()


def test_a_line_that_the_power_cut_stays_alone(repository: Path) -> None:
    whole = lines(repository)
    with (repository / AUDIT).open("ab") as file:
        file.write(b'{"time": 17')
    refused("verify", repository)
    *before, torn, last = (repository / AUDIT).read_bytes().splitlines()
    assert [json.loads(line) for line in before] == whole
    assert (torn, json.loads(last)["what"]) == (b'{"time": 17', "refused")


def test_a_trail_that_cannot_be_written_is_told_and_the_refusal_too(repository: Path, tmp_path: Path) -> None:
    (repository / AUDIT).unlink()
    (repository / AUDIT).symlink_to(tmp_path / "elsewhere")
    result = repo("verify", repository)
    assert result.exit_code == 1
    trouble, said = result.stderr.splitlines()
    assert trouble.startswith(f"the audit trail does not have it: storage: {repository / AUDIT}: ")
    assert said.startswith("wayside: role: metadata/1.root.json: it is not there")
    assert not (tmp_path / "elsewhere").exists()


def test_a_reason_that_is_no_text_is_kept(repository: Path) -> None:
    Trail(repository, lambda: 1.0).refused(StorageError("\udcff", "gone"))
    assert lines(repository)[-1] == {"time": 1, "what": "trouble", "reason": "storage: \\udcff: gone"}
    Trail(repository, lambda: 1.0).refused(RefusedError(Rule.KEY, "\udcff", "gone"))
    assert lines(repository)[-1] == {"time": 1, "what": "refused", "rule": "key", "of": "\\udcff", "reason": "gone"}
