"""The living repository: python-tuf itself takes what honest people sign in it, and refuses what it forges."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.exceptions import ExpiredMetadataError, RepositoryError, UnsignedMetadataError
from tuf.ngclient import Updater

from ota.payload.blocks import BlockList
from ota.repository.layout import BLOBS, DIRECTOR, METADATA
from ota.targets import PLAN_KEY, decode_image_info, decode_plan
from ota.testing.repository_double import RepositoryDouble

IMAGE = "rsu/gateway/1.tar"


@pytest.fixture
def double() -> RepositoryDouble:
    double = RepositoryDouble()
    double.add_image(IMAGE, b"image one" * 100, counter=1)
    double.set_plan("rsu-7", {"gateway": IMAGE})
    return double


def client(double: RepositoryDouble, folder: Path, side: str = METADATA) -> Updater:
    """A client that knows the first root only; it judges expiry by the double's clock."""
    root = double.first_root if side == METADATA else double.first_director_root
    updater = Updater(str(folder), f"{double.URL}{side}/", fetcher=double, bootstrap=root)
    updater._trusted_set.reference_time = double.now
    return updater


def test_what_is_published_is_found_and_its_blobs_are_served(double: RepositoryDouble, tmp_path: Path) -> None:
    found = client(double, tmp_path).get_targetinfo(IMAGE)
    assert found is not None
    info = decode_image_info(found.custom, IMAGE)
    assert [blob.codec for blob in info.full] == ["zstd", "none"]
    for blob in info.full:
        data = double.files[f"{BLOBS}/{blob.sha256}"]
        assert hashlib.sha256(data).hexdigest() == blob.sha256
        BlockList(blob, double.files[f"{BLOBS}/{blob.sha256}.blocks"])


def test_a_plan_lists_its_ecus_and_says_of_an_image_what_the_repository_says(
    double: RepositoryDouble, tmp_path: Path
) -> None:
    updater = client(double, tmp_path, f"{DIRECTOR}/rsu-7")
    found = updater.get_targetinfo(IMAGE)
    assert found is not None
    assert found.custom == double.listed()[IMAGE].custom
    plan = decode_plan(updater._trusted_set.targets.unrecognized_fields[PLAN_KEY], "plan")
    assert plan == double.plans["rsu-7"]


def test_one_image_key_is_not_enough(double: RepositoryDouble, tmp_path: Path) -> None:
    double.forge("rsu", lambda family: family.targets.clear(), by=double.keys["rsu"][:1])
    double.relist()
    with pytest.raises(UnsignedMetadataError):
        client(double, tmp_path).get_targetinfo(IMAGE)


def test_the_online_key_cannot_bring_back_an_older_listing(double: RepositoryDouble, tmp_path: Path) -> None:
    old = double._listed["rsu"]
    double.add_image("rsu/gateway/2.tar", b"two", counter=2)
    client(double, tmp_path).refresh()
    double._listed["rsu"] = old
    double.relist()
    with pytest.raises(RepositoryError):
        client(double, tmp_path).refresh()


def test_the_clock_is_the_doubles(double: RepositoryDouble, tmp_path: Path) -> None:
    double.now += timedelta(days=2)
    with pytest.raises(ExpiredMetadataError):
        client(double, tmp_path).refresh()
    double.relist()
    client(double, tmp_path).refresh()


def test_a_new_root_takes_a_key_away(double: RepositoryDouble, tmp_path: Path) -> None:
    gone = double.keys["targets"].pop(0)
    double.new_root(lambda root: root.revoke_key(gone.public.keyid, "targets"), by=double.keys["root"][:2])
    double.forge("targets", lambda _targets: None, by=[gone, double.keys["targets"][0]])
    double.relist()
    with pytest.raises(UnsignedMetadataError):
        client(double, tmp_path).refresh()
    double.reissue("targets")
    double.relist()
    client(double, tmp_path / "new").refresh()


def test_a_forged_plan_needs_the_directors_key(double: RepositoryDouble, tmp_path: Path) -> None:
    double.forge_plan("rsu-7", lambda targets: targets.targets.clear(), by=double.keys["online"])
    with pytest.raises(UnsignedMetadataError):
        client(double, tmp_path, f"{DIRECTOR}/rsu-7").refresh()
    double.forge_plan("rsu-7", lambda targets: targets.targets.clear(), by=double.keys["director"])
    assert client(double, tmp_path, f"{DIRECTOR}/rsu-7").get_targetinfo(IMAGE) is None


def test_it_is_a_web_server_too(double: RepositoryDouble, tmp_path: Path) -> None:
    with double.serving() as web:
        updater = Updater(str(tmp_path), f"{web.url}/{METADATA}/", bootstrap=double.first_root)
        updater._trusted_set.reference_time = double.now
        assert updater.get_targetinfo(IMAGE) is not None
