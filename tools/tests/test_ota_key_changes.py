"""Keys that come and go, through the command line: who must sign for it, and that a device follows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ota.errors import RefusedError
from ota.repository import ceremony
from ota.repository.keys import SigningKey
from ota.repository.verify import read_images
from ota.repository.workspace import Workspace
from ota.storage import PosixStorage
from tools.tests.ota_repositories import PASSPHRASE, Desk, done, hurry, refused, release_words, repo, source, tree


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        desk = Desk(tmp_path_factory.mktemp("desk"))
        for holder, role in (("dave", "root"), ("dave", "targets"), ("server2", "online"), ("server2", "director")):
            desk.new_key(holder, role)
        yield desk


@pytest.fixture
def repository(desk: Desk, tmp_path: Path) -> Path:
    return desk.begun(tmp_path / "repository")


def keyid(desk: Desk, holder: str, role: str) -> str:
    return SigningKey.read(desk.key(holder, role), PASSPHRASE.encode()).public.keyid


def staged(repository: Path) -> list[str]:
    return sorted(str(path.relative_to(repository / "staged")) for path in (repository / "staged").rglob("*.json"))


def walk(repository: Path, trusted: bytes) -> None:
    """As a device does that knows only the very first root."""
    read_images(Workspace(PosixStorage(repository)).read_public, datetime.now(UTC), trusted)


def test_a_root_key_is_replaced_in_both_repositories_by_two_old_and_two_new_voices(
    desk: Desk, repository: Path
) -> None:
    first = (repository / "public/metadata/1.root.json").read_bytes()
    answer = done("rotate-key", repository, keyid(desk, "alice", "root"), "--new", desk.pub("dave", "root"))
    assert {(change["action"], change["subject"].split()[0]) for change in answer["changes"]} >= {
        ("add key", "dave"),
        ("remove key", "alice"),
    }
    assert staged(repository) == ["director/2.root.json", "image/2.root.json"]
    desk.sign(repository, "dave", "alice")
    assert refused(*desk.publish_words(repository)).startswith(
        "threshold: staged/image/2.root.json: 1 of 2 signatures; one of these must sign too: "
    )
    desk.sign(repository, "bob")
    desk.publish(repository)
    walk(repository, first)
    assert done("verify", repository)["roles"][0]["version"] == 2


def test_a_targets_key_that_goes_has_what_it_signed_signed_again(desk: Desk, repository: Path) -> None:
    first = (repository / "public/metadata/1.root.json").read_bytes()
    done("rotate-key", repository, keyid(desk, "bob", "targets")[:10], "--new", desk.pub("dave", "targets"))
    assert staged(repository) == [f"image/2.{role}.json" for role in ("buoy", "root", "rsu", "targets")]
    before = tree(repository)
    assert refused(*desk.publish_words(repository)).startswith("threshold: staged/image/2.root.json: 0 of 2")
    assert tree(repository) == before
    for file in (repository / "staged/image").glob("*.json"):
        for holder in ("alice", "carol"):
            done(*desk.sign_words(file, holder))
    desk.publish(repository)
    walk(repository, first)
    assert done("verify", repository)["roles"][2]["signed_by"] == ["alice", "carol"]


def test_a_key_that_signed_nothing_leaves_without_new_listings(desk: Desk, repository: Path) -> None:
    done("revoke", repository, keyid(desk, "carol", "targets"))
    assert staged(repository) == ["image/2.root.json", "image/2.targets.json"]
    desk.sign(repository, "alice", "bob")
    desk.publish(repository)
    done("verify", repository)


def test_what_a_revoked_key_signs_counts_no_more(desk: Desk, repository: Path, tmp_path: Path) -> None:
    done("revoke", repository, keyid(desk, "carol", "targets"))
    desk.sign(repository, "alice", "bob")
    desk.publish(repository)
    done(*release_words(repository, source(tmp_path / "1", "1"), 1, deltas=0))
    desk.sign(repository, "alice", "carol")
    said = refused(*desk.publish_words(repository))
    assert said.startswith("key: staged/image/2.rsu.json.carol-")
    assert said.endswith("has no say in 2.rsu.json")


def test_the_last_two_keys_stay(desk: Desk, repository: Path) -> None:
    done("revoke", repository, keyid(desk, "carol", "root"))
    desk.sign(repository, "alice", "bob")
    desk.publish(repository)
    before = tree(repository)
    said = refused("revoke", repository, keyid(desk, "bob", "root"))
    assert said == ("threshold: root: 1 keys would be left and 2 must sign; put a new key in its place instead")
    assert refused("revoke", repository, keyid(desk, "server", "online")).startswith("threshold: snapshot: 0 keys")
    assert tree(repository) == before


def test_the_online_key_is_replaced_after_a_break_in(desk: Desk, repository: Path) -> None:
    first = (repository / "public/metadata/1.root.json").read_bytes()
    done("rotate-key", repository, keyid(desk, "server", "online"), "--new", desk.pub("server2", "online"))
    desk.sign(repository, "alice", "bob")
    said = refused(*desk.publish_words(repository))
    assert said.endswith("is not the online key that it names")
    done("publish", repository, "--online-key", desk.key("server2", "online"), "--passphrase-file", desk.secret)
    walk(repository, first)
    done("verify", repository)


def test_a_publication_that_was_cut_after_its_root_is_done_again(desk: Desk, repository: Path) -> None:
    """The new root is served, the old timestamp too: the worst moment of a publication."""
    done("rotate-key", repository, keyid(desk, "server", "online"), "--new", desk.pub("server2", "online"))
    desk.sign(repository, "alice", "bob")
    waiting = tree(repository)
    new = ["publish", repository, "--online-key", desk.key("server2", "online"), "--passphrase-file", desk.secret]
    done(*new)
    for name in ("staged/image/2.root.json", "public/metadata/timestamp.json"):
        (repository / name).write_bytes(waiting[name][0])
    for name, (data, _mode) in waiting.items():
        if name.endswith(".sig"):
            (repository / name).write_bytes(data)
    (repository / "public/metadata/2.snapshot.json").unlink()
    done(*new)
    done("verify", repository)
    assert staged(repository) == []


def test_the_directors_key_is_replaced_and_its_plans_are_signed_again(
    desk: Desk, repository: Path, tmp_path: Path
) -> None:
    done(*release_words(repository, source(tmp_path / "1", "1"), 1, deltas=0))
    desk.sign(repository, "alice", "bob")
    desk.publish(repository)
    done(*desk.plan_words(repository, "rsu-7", "--ecu", "gateway=rsu/gateway/1.1.tar"))
    done("rotate-key", repository, keyid(desk, "server", "director"), "--new", desk.pub("server2", "director"))
    assert staged(repository) == ["director/2.root.json"]
    desk.sign(repository, "bob", "carol")
    desk.publish(repository)
    copied = (repository / "public/director/rsu-7/2.root.json").read_bytes()
    assert copied == (repository / "public/director/2.root.json").read_bytes()
    assert "director/rsu-7/timestamp.json" in refused("verify", repository)
    assert refused(*desk.plan_words(repository, "--all")).endswith("is not the Director's")
    key = desk.key("server2", "director")
    again = done("plan", repository, "--all", "--director-key", key, "--passphrase-file", desk.secret)
    assert again["plans"] == [{"device": "rsu-7", "number": 1, "version": 2}]
    assert done("verify", repository)["plans"] == ["rsu-7"]


def test_a_new_family_joins_and_a_name_is_once_in_the_tree(desk: Desk, repository: Path, tmp_path: Path) -> None:
    keys = [word for holder in ("alice", "bob", "dave") for word in ("--key", desk.pub(holder, "targets"))]
    before = tree(repository)
    assert refused("add-family", repository, "rsu", *keys) == (
        "role: rsu: there is such a product family already; a name is once in the tree"
    )
    assert refused("add-family", repository, "obu", *keys[:4]).startswith("threshold: obu: it has 2 different keys")
    assert tree(repository) == before
    done("add-family", repository, "obu", *keys)
    desk.sign(repository, "alice", "bob")
    desk.publish(repository)
    done(*release_words(repository, source(tmp_path / "1", "1"), 1, family="obu/unit", deltas=0))
    desk.sign(repository, "dave", "alice")
    desk.publish(repository)
    assert done("verify", repository)["images"] == 1


@pytest.mark.parametrize("role", ["root", "targets", "rsu"])
def test_a_role_is_renewed_before_it_ends(desk: Desk, repository: Path, role: str) -> None:
    done("renew", repository, role)
    assert staged(repository) == [
        *(["director/2.root.json"] if role == "root" else []),
        f"image/2.{role}.json",
    ]
    desk.sign(repository, "bob", "carol")
    desk.publish(repository)
    versions = {one["role"]: one["version"] for one in done("verify", repository)["roles"]}
    assert versions[role] == 2


def test_an_expired_role_is_told_and_can_still_be_renewed(desk: Desk, repository: Path) -> None:
    workspace = Workspace(PosixStorage(repository))
    later = datetime.now(UTC) + timedelta(days=400)
    ceremony.renew(workspace, "rsu", later).apply(workspace.storage)
    assert staged(repository) == ["image/2.rsu.json"]
    with pytest.raises(RefusedError, match=r"^expiry: metadata/1\.root\.json: it expired at "):
        read_images(workspace.read_public, later)


@pytest.mark.parametrize("command", ["rotate-key", "revoke", "renew", "add-family"])
def test_a_dry_run_changes_nothing(desk: Desk, repository: Path, command: str) -> None:
    words: dict[str, list[object]] = {
        "rotate-key": [keyid(desk, "alice", "root"), "--new", desk.pub("dave", "root")],
        "revoke": [keyid(desk, "alice", "targets")],
        "renew": ["root"],
        "add-family": ["obu", *(w for h in ("alice", "bob", "carol") for w in ("--key", desk.pub(h, "targets")))],
    }
    before = tree(repository)
    assert done(command, repository, *words[command], "--dry-run")["changes"]
    assert tree(repository) == before


def test_a_key_that_nobody_knows_or_that_does_not_fit_is_refused(desk: Desk, repository: Path) -> None:
    before = tree(repository)
    assert refused("revoke", repository, "ffffffffffff").startswith(
        "key: ffffffffffff: 0 keys begin so; there are alice ("
    )
    alice = keyid(desk, "alice", "root")
    assert "is a key for root; the new one is for targets" in refused(
        "rotate-key", repository, alice, "--new", desk.pub("dave", "targets")
    )
    assert "bob has another key for root already" in refused(
        "rotate-key", repository, alice, "--new", desk.pub("bob", "root")
    )
    assert repo("rotate-key", repository, alice).exit_code == 2
    assert tree(repository) == before
