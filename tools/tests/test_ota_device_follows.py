"""A device's own trust over what the ceremony makes: new releases, new keys, a stick, and the server after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ota.errors import RefusedError, Rule
from ota.repository.keys import SigningKey
from tools.tests.ota_repositories import PASSPHRASE, Desk, FieldDevice, done, hurry, release_words, source

ONE, TWO = "rsu/gateway/1.1.tar", "rsu/gateway/1.2.tar"


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
    repository = desk.begun(tmp_path / "repository")
    release(desk, repository, 1)
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={ONE}"))
    return repository


def release(desk: Desk, repository: Path, number: int, holders: tuple[str, str] = ("alice", "bob")) -> None:
    done(*release_words(repository, source(repository.parent / f"{number}", f"{number}"), number, deltas=0))
    desk.sign(repository, *holders)
    desk.publish(repository)


def keyid(desk: Desk, holder: str, role: str) -> str:
    return SigningKey.read(desk.key(holder, role), PASSPHRASE.encode()).public.keyid


def test_a_device_takes_what_is_published_and_planned(desk: Desk, repository: Path) -> None:
    device = FieldDevice(repository / "public")
    assert device.refresh(repository / "public").targets["gateway"].path == ONE
    release(desk, repository, 2)
    assert device.refresh(repository / "public").targets["gateway"].path == ONE
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"))
    taken = device.refresh(repository / "public")
    assert (taken.plan.number, taken.targets["gateway"].path) == (2, TWO)


def test_a_device_follows_when_every_kind_of_key_has_changed(desk: Desk, repository: Path) -> None:
    device = FieldDevice(repository / "public")
    device.refresh(repository / "public")
    for role in ("root", "targets"):
        done("rotate-key", repository, keyid(desk, "alice", role), "--new", desk.pub("dave", role))
        desk.sign(repository, "bob", "carol")
        desk.publish(repository)
        device.refresh(repository / "public")
    for role in ("online", "director"):
        done("rotate-key", repository, keyid(desk, "server", role), "--new", desk.pub("server2", role))
    desk.sign(repository, "bob", "dave")
    secret = ["--passphrase-file", desk.secret]
    done("publish", repository, "--online-key", desk.key("server2", "online"), *secret)
    with pytest.raises(RefusedError) as refused:
        device.refresh(repository / "public")
    assert refused.value.rule is Rule.THRESHOLD
    done("plan", repository, "--all", "--director-key", desk.key("server2", "director"), *secret)
    assert device.refresh(repository / "public").targets["gateway"].path == ONE
    assert FieldDevice(repository / "public").refresh(repository / "public").plan.number == 1


def test_a_stick_and_then_the_server_and_never_the_old_stick_again(
    desk: Desk, repository: Path, tmp_path: Path
) -> None:
    device = FieldDevice(repository / "public")
    keys = ["--director-key", desk.key("server", "director"), "--online-key", desk.key("server", "online")]
    stick = tmp_path / "stick"
    done("bundle", repository, stick, "--device", "rsu-7", *keys, "--passphrase-file", desk.secret)
    assert device.refresh(stick).targets["gateway"].path == ONE
    assert device.refresh(stick).plan.number == 1
    assert device.refresh(repository / "public").plan.number == 1
    release(desk, repository, 2)
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"))
    assert device.refresh(repository / "public").plan.number == 2
    with pytest.raises(RefusedError) as refused:
        device.refresh(stick)
    assert refused.value.rule is Rule.VERSION
