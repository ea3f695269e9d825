"""What the signing side says to files and words that are wrong: one line, exit 1 or 2, and nothing has changed."""

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ota.repository.keys import PublicKey
from tools.tests.ota_repositories import Desk, done, hurry, refused, release_words, repo, source, tree

IMAGE = "rsu/gateway/1.1.tar"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        desk = Desk(tmp_path_factory.mktemp("desk"))
        for holder in ("dave", "erin"):
            desk.new_key(holder, "targets")
        yield desk


@pytest.fixture
def repository(desk: Desk, tmp_path: Path) -> Path:
    """One release."""
    repository = desk.begun(tmp_path / "repository")
    done(*release_words(repository, source(tmp_path / "1", "1"), 1, deltas=0))
    desk.sign(repository, "alice", "bob")
    desk.publish(repository)
    return repository


def keyid(desk: Desk, holder: str, role: str) -> str:
    return PublicKey.read(desk.pub(holder, role)).keyid


def test_a_signature_file_under_another_name_counts_and_its_refusal_names_it(desk: Desk, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    done(*desk.init_words(repository))
    desk.sign(repository, "alice", "bob")
    (file,) = (repository / "staged/image").glob("1.rsu.json.alice-*.sig")
    renamed = file.rename(file.with_name("1.rsu.json.from-alice.sig"))
    done(*desk.publish_words(repository), "--dry-run")
    (other,) = (repository / "staged/image").glob("1.rsu.json.bob-*.sig")
    words = json.loads(other.read_bytes())
    renamed.write_text(json.dumps({**words, "keyid": keyid(desk, "dave", "targets")}))
    assert refused(*desk.publish_words(repository)).startswith("key: staged/image/1.rsu.json.from-alice.sig: the key ")
    renamed.write_text(json.dumps({**words, "keyid": ""}))
    assert refused(*desk.publish_words(repository)).startswith("key: staged/image/1.rsu.json.from-alice.sig: the key ")
    renamed.write_bytes(b'{"file": "\xff"}')
    assert refused(*desk.publish_words(repository)).startswith("format: staged/image/1.rsu.json.from-alice.sig: ")


def test_a_key_that_waits_to_go_does_not_go_twice(desk: Desk, repository: Path) -> None:
    old = keyid(desk, "alice", "root")
    done("revoke", repository, old)
    before = tree(repository)
    assert refused("revoke", repository, old).startswith("key: staged/image/2.root.json: alice (")
    assert tree(repository) == before
    old = keyid(desk, "carol", "targets")
    done("rotate-key", repository, old, "--new", desk.pub("dave", "targets"))
    before = tree(repository)
    said = refused("rotate-key", repository, old, "--new", desk.pub("erin", "targets"))
    assert said.endswith("has gone from what waits there already: publish it, or remove it, first")
    assert tree(repository) == before


def test_a_key_goes_from_a_family_that_only_waits_too(desk: Desk, repository: Path) -> None:
    keys = [word for holder in ("alice", "bob", "carol") for word in ("--key", desk.pub(holder, "targets"))]
    done("add-family", repository, "obu", *keys)
    done("rotate-key", repository, keyid(desk, "carol", "targets"), "--new", desk.pub("dave", "targets"))
    waits = json.loads((repository / "staged/image/2.targets.json").read_bytes())["signed"]["delegations"]
    obu = next(role for role in waits["roles"] if role["name"] == "obu")
    assert keyid(desk, "dave", "targets") in obu["keyids"]
    assert {keyid for role in waits["roles"] for keyid in role["keyids"]} == set(waits["keys"])
    desk.sign(repository, "alice", "bob")
    desk.publish(repository)
    done("verify", repository)


def test_what_was_published_and_not_cleared_away_is_no_draft(desk: Desk, repository: Path) -> None:
    """The power failed at the very end of a publication; the next command is not `publish`."""
    done("renew", repository, "rsu")
    desk.sign(repository, "alice", "bob")
    waiting = {name: data for name, (data, _mode) in tree(repository / "staged/image").items()}
    desk.publish(repository)
    for name, data in waiting.items():
        (repository / "staged/image" / name).write_bytes(data)
    before = tree(repository)
    said = "version: staged/image/3.rsu.json: it is published already: run publish, which clears it away"
    assert refused("renew", repository, "rsu") == said
    assert tree(repository) == before
    desk.publish(repository)
    done("renew", repository, "rsu")


@pytest.mark.parametrize("number", [0, -5, (1 << 53) + 1])
def test_a_plan_has_a_number_that_a_device_can_read(desk: Desk, repository: Path, number: int) -> None:
    before = tree(repository)
    words = desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={IMAGE}", "--number", number)
    assert refused(*words).startswith("format: rsu-7: Expected `int` ")
    assert tree(repository) == before
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={IMAGE}"))
    before = tree(repository)
    assert refused(*words).startswith("format: rsu-7: Expected `int` ")
    assert tree(repository) == before


@pytest.mark.parametrize("device", ["2.root.json", "timestamp.json"])
def test_a_device_is_not_called_like_a_file_that_comes_to_lie_beside_it(
    desk: Desk, repository: Path, device: str
) -> None:
    """Its folder would stand in the place of the next root."""
    before = tree(repository)
    said = refused(*desk.plan_words(repository, device, "--ecu", f"gateway={IMAGE}"))
    assert said == f"plan: {device}: a device is not called like a file of metadata"
    assert tree(repository) == before


def test_files_that_are_no_text_are_told(desk: Desk, repository: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b'{"local": ["\xff"], "holder": "\xff", "format": "\xff"}')
    before = tree(repository)
    words = desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={IMAGE}", "--conditions", broken)
    assert repo(*words).exit_code == 2
    assert refused("rotate-key", repository, keyid(desk, "bob", "root"), "--new", broken).startswith(f"key: {broken}: ")
    file = repository / "public/metadata/2.rsu.json"
    assert refused("sign", file, "--key", broken).startswith(f"key: {broken}: it is no key")
    assert tree(repository) == before


def test_a_bundle_goes_into_a_folder(desk: Desk, repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "stick"
    out.write_text("")
    keys = ["--director-key", desk.key("server", "director"), "--online-key", desk.key("server", "online")]
    before = tree(repository)
    said = refused("bundle", repository, out, "--device", "rsu-7", *keys, "--passphrase-file", desk.secret)
    assert said == f"storage: {out}: Not a directory"
    assert tree(repository) == before


def test_a_disk_without_locks_is_told(desk: Desk, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_descriptor: int, _how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert refused("verify", repository) == f"storage: {repository}: No locks available"


def test_a_start_that_cannot_be_read_is_wrong_usage(desk: Desk, repository: Path, tmp_path: Path) -> None:
    words = release_words(repository, source(tmp_path / "2", "2"), 2, deltas=0, entry="python 'edge")
    result = repo(*words)
    assert (result.exit_code, result.stderr) == (2, "wayside: --entry: No closing quotation\n")


@pytest.mark.parametrize("token", [[], ["--token", "pkcs11:token=a;object=b?module-path=/x.so"]])
def test_a_dry_run_of_a_key_refuses_what_the_run_would(desk: Desk, tmp_path: Path, token: list[str]) -> None:
    words = ["--out", tmp_path, "--dry-run", *token]
    assert refused("key", "../x", "--role", "root", *words).startswith("key: ../x: a holder's name is")
    assert refused("key", "x\n", "--role", "root", *words).startswith("key: x")
    if token:
        assert refused("key", "alice", "--role", "online", *words).endswith("is no offline key, and lies in a file")
    (tmp_path / "alice-root.pub").write_text("")
    assert refused("key", "alice", "--role", "root", *words).startswith(
        f"key: {tmp_path / 'alice-root.pub'}: it exists"
    )
