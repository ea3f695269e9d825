"""What is signed and published, as the operator's side reads it: verified, read again when it has changed."""

import shutil
from pathlib import Path

import pytest

from ota.campaign.published import Published
from ota.errors import RefusedError, Rule, StorageError
from ota.repository.layout import PUBLIC
from ota.storage import Storage
from ota.tests.director_world import ONE, TWO, World

THREE = "rsu/gateway/3.tar"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_every_image_is_listed_with_what_is_signed_of_it(world: World) -> None:
    published = Published(world.folder)
    assert set(published.listed()) == {ONE, TWO}
    info = published.info_of(TWO)
    assert info is not None
    assert (info.counter, info.hardware) == (2, ["rsu-arm64"])
    assert published.info_of(THREE) is None


def test_what_is_published_later_is_seen_and_its_version_rises(world: World) -> None:
    published = Published(world.folder)
    first = published.newest()
    assert published.newest() is first, "it is not read again for nothing"
    world.double.add_image(THREE, b"three", counter=3)
    world.publish()
    second = published.newest()
    assert THREE in second.listed
    assert THREE not in first.listed
    assert second.version > first.version


def test_nothing_is_listed_before_anything_is_published(tmp_path: Path) -> None:
    assert Published(tmp_path).listed() == {}
    assert Published(tmp_path).director_root(1) is None


def test_what_nobody_has_signed_is_refused_and_what_was_signed_stays(world: World) -> None:
    published = Published(world.folder)
    version = published.newest().version
    folder = world.folder / PUBLIC / "metadata"
    for name in ("1.root.json", "1.targets.json", "3.rsu.json", f"{version}.snapshot.json", "timestamp.json"):
        file = folder / name
        kept = file.read_bytes()
        file.write_bytes(kept.replace(b'"sig":"', b'"sig":"00'))
        assert file.read_bytes() != kept
        with pytest.raises(RefusedError):
            Published(world.folder).listed()
        file.write_bytes(kept)
    assert set(Published(world.folder).listed()) == {ONE, TWO}


def test_a_file_system_that_is_away_takes_nothing_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    published = Published(world.folder)
    published.listed()

    def away(_name: str) -> int:
        raise StorageError("repository", "it is away")

    storage: Storage = published._workspace.storage
    monkeypatch.setattr(storage, "size", away)
    assert set(published.listed()) == {ONE, TWO}
    fresh = Published(world.folder)
    monkeypatch.setattr(fresh._workspace.storage, "size", away)
    with pytest.raises(StorageError):
        fresh.listed()


def test_a_repository_that_is_gone_is_said(world: World) -> None:
    published = Published(world.folder)
    published.listed()
    shutil.rmtree(world.folder / PUBLIC)
    with pytest.raises(RefusedError, match="nothing is published yet") as refused:
        published.listed()
    assert refused.value.rule is Rule.ROLE
