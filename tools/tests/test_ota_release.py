"""Releases through the command line: staged, signed by two, published; floors of the listing; a full disk."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ota.errors import Cause, StorageError
from ota.repository import release, roles
from ota.repository.publish import prepare
from ota.repository.verify import read_images
from ota.repository.workspace import HostStorage, Workspace
from ota.storage import PosixStorage
from ota.targets import decode_image_info
from tools.tests.ota_repositories import Desk, done, hurry, refused, release_words, repo, source, tree


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        yield Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def repository(desk: Desk, tmp_path: Path) -> Path:
    return desk.begun(tmp_path / "repository")


def listed(repository: Path) -> dict[str, Any]:
    """What is served, verified as a device does."""
    images = read_images(Workspace(PosixStorage(repository)).read_public, datetime.now(UTC))
    return {path: decode_image_info(file.custom, path) for path, file in images.listed.items()}


def test_a_release_is_served_once_two_have_signed_it(desk: Desk, repository: Path, tmp_path: Path) -> None:
    done(*release_words(repository, source(tmp_path / "one", "one"), 1, deltas=0))
    assert listed(repository) == {}
    desk.sign(repository, "alice")
    before = tree(repository)
    assert refused(*desk.publish_words(repository)).startswith("threshold: staged/image/2.rsu.json: 1 of 2 signatures")
    assert tree(repository) == before
    desk.sign(repository, "bob")
    answer = desk.publish(repository)
    assert "add image" in {change["action"] for change in answer["changes"]}
    info = listed(repository)["rsu/gateway/1.1.tar"]
    for blob in info.full:
        assert (repository / "public/blobs" / blob.sha256).stat().st_size == blob.length
        assert (repository / "public/blobs" / f"{blob.sha256}.blocks").exists()
    assert len(list((repository / "public/bom").glob("*.cdx.json"))) == 1
    assert [path for path in (repository / "staged").rglob("*") if path.is_file()] == []
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in (repository / "public").rglob("*"))


def test_deltas_come_from_the_newest_releases_and_old_ones_leave_the_listing(
    desk: Desk, repository: Path, tmp_path: Path
) -> None:
    pytest.importorskip("detools", reason="deltas are made by detools")
    for number in (1, 2, 3, 4):
        done(*release_words(repository, source(tmp_path / str(number), f"{number}"), number, deltas=2, keep=3))
        desk.sign(repository, "alice", "carol")
        desk.publish(repository)
    found = listed(repository)
    assert list(found) == [f"rsu/gateway/1.{number}.tar" for number in (2, 3, 4)]
    assert [len(info.deltas) for info in found.values()] == [1, 2, 2]
    assert [delta.from_sha256 for delta in found["rsu/gateway/1.4.tar"].deltas] == [
        found[f"rsu/gateway/1.{number}.tar"].full[1].sha256 for number in (3, 2)
    ]
    assert found["rsu/gateway/1.4.tar"].deltas[0].length < 1000


def test_two_releases_may_wait_together_until_one_is_signed(desk: Desk, repository: Path, tmp_path: Path) -> None:
    done(*release_words(repository, source(tmp_path / "1", "1"), 1, deltas=0))
    done(*release_words(repository, source(tmp_path / "2", "2"), 2, deltas=0))
    desk.sign(repository, "alice")
    before = tree(repository)
    said = refused(*release_words(repository, source(tmp_path / "3", "3"), 3, deltas=0))
    assert said == (
        "signature: staged/image/2.rsu.json: somebody has signed it as it is: publish it, or remove it and its "
        "signatures, first"
    )
    assert tree(repository) == before
    desk.sign(repository, "bob")
    desk.publish(repository)
    assert len(listed(repository)) == 2


def test_a_release_has_a_new_name_and_a_higher_counter(desk: Desk, repository: Path, tmp_path: Path) -> None:
    folder = source(tmp_path / "1", "1")
    done(*release_words(repository, folder, 5, deltas=0))
    before = tree(repository)
    assert refused(*release_words(repository, folder, 5, counter=6)).startswith(
        "version: rsu/gateway/1.5.tar: it is listed"
    )
    said = refused(*release_words(repository, folder, 4, deltas=0))
    assert said == (
        "version: rsu/gateway/1.4.tar: counter 4; that of rsu/gateway/1.5.tar is 5, and each release has a higher"
    )
    assert refused(*release_words(repository, folder, 9, family="tram/gateway")) == (
        "role: tram: there is no such product family; there are buoy, rsu"
    )
    assert tree(repository) == before


def test_a_dry_run_builds_and_changes_nothing(repository: Path, tmp_path: Path) -> None:
    folder = source(tmp_path / "1", "1")
    before = tree(tmp_path)
    answer = done(*release_words(repository, folder, 1, deltas=0), "--dry-run")
    assert [change["action"] for change in answer["changes"]] == ["new version", "add image", "add blob", "add blob"]
    assert tree(tmp_path) == before


def test_a_role_that_is_full_says_so(
    desk: Desk, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "MAX_TARGETS", 2)
    folder = source(tmp_path / "1", "1")
    for number in (1, 2):
        done(*release_words(repository, folder, number, deltas=0))
    before = tree(repository)
    said = refused(*release_words(repository, folder, 3, deltas=0))
    assert said == "length: 2.rsu.json: 3 images; one role has at most 2: remove old ones"
    assert tree(repository) == before
    done(*release_words(repository, folder, 3, deltas=0, keep=2))


def test_a_blob_that_was_lost_or_changed_is_not_published(desk: Desk, repository: Path, tmp_path: Path) -> None:
    done(*release_words(repository, source(tmp_path / "1", "1"), 1, deltas=0))
    desk.sign(repository, "alice", "bob")
    blob = max((repository / "staged/blobs").iterdir(), key=lambda path: path.stat().st_size)
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-1])
    before = tree(repository)
    said = refused(*desk.publish_words(repository))
    assert said == f"hash: staged/blobs/{blob.name}: it is not what the metadata of rsu/gateway/1.1.tar names"
    assert tree(repository) == before
    blob.unlink()
    assert "it is not there, and rsu/gateway/1.1.tar needs it" in refused(*desk.publish_words(repository))
    blob.write_bytes(whole)
    desk.publish(repository)


class FullDisk(HostStorage):
    """Takes so many more writes, and half of the next."""

    def __init__(self, folder: Path, writes: int) -> None:
        super().__init__(folder)
        self.left = writes

    def write(self, name: str, offset: int, data: bytes) -> None:
        self.left -= 1
        if self.left < 0:
            super().write(name, offset, data[: len(data) // 2])
            raise StorageError(name, "No space left on device", Cause.FULL)
        super().write(name, offset, data)


def test_a_disk_that_is_full_at_any_write_leaves_everything_as_it_was(
    desk: Desk, repository: Path, tmp_path: Path
) -> None:
    folder = source(tmp_path / "1", "1")
    facts = release.Facts("release-dir", "rsu/gateway", "1.1", 1, ["rsu-arm64"], ["python", "-m", "edge"])
    for step in ("add-release", "publish"):
        cuts = 0
        while True:
            storage = FullDisk(repository, cuts)
            workspace = Workspace(storage)
            if step == "add-release":
                made = release.add_release(workspace, folder, facts, datetime.now(UTC), deltas=0)
            else:
                key = desk.signing_key("server", "online")
                made = prepare(workspace, datetime.now(UTC)).sign(key)
            before = tree(repository)
            try:
                made.apply(storage)
            except StorageError:
                assert tree(repository) == before
                cuts += 1
            else:
                break
        assert cuts == len(made.files)
        if step == "add-release":
            desk.sign(repository, "alice", "bob")
    assert list(listed(repository)) == ["rsu/gateway/1.1.tar"]


def test_what_is_served_is_whole_after_each_step_of_a_publication(desk: Desk, repository: Path, tmp_path: Path) -> None:
    """A reader that looks after each rename finds the old listing or the new one, and can go on from each of them."""
    done(*release_words(repository, source(tmp_path / "1", "1"), 1, deltas=0))
    desk.sign(repository, "alice", "bob")
    seen = []

    class Watched(HostStorage):
        def rename(self, name: str, other: str) -> None:
            super().rename(name, other)
            seen.append(list(listed(repository)))

    storage = Watched(repository)
    prepare(Workspace(storage), datetime.now(UTC)).sign(desk.signing_key("server", "online")).apply(storage)
    assert seen[:-1] == [[]] * (len(seen) - 1)
    assert seen[-1] == ["rsu/gateway/1.1.tar"]
    assert json.loads((repository / "public/metadata/2.snapshot.json").read_bytes())["signed"]["version"] == 2


def test_a_bundle_for_rauc_is_released_as_any_image(desk: Desk, repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "os.raucb"
    for number in (1, 2):
        file.write_bytes(b"hsqs" + bytes([number]) * 300_000 + b"CMS" + (3).to_bytes(8))
        words = release_words(repository, file, number, family="rsu/os", kind="rauc")
        done(*words)
        desk.sign(repository, "alice", "bob")
        desk.publish(repository)
    infos = listed(repository)
    assert [infos[f"rsu/os/1.{number}.raucb"].kind for number in (1, 2)] == ["rauc", "rauc"]
    assert infos["rsu/os/1.2.raucb"].deltas == []
    assert done("verify", repository)["blobs"] == 2


def test_a_kind_that_there_is_not(repository: Path, tmp_path: Path) -> None:
    words = release_words(repository, tmp_path, 1, kind="deb")
    result = repo(*words)
    assert (result.exit_code, result.stderr) == (2, "wayside: there is no kind deb: release-dir, mcu, rauc\n")
