"""Plans and bundles through the command line: what a device is told, online and on a stick; `verify` over all of it."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ota.errors import RefusedError
from ota.repository.verify import read_images, read_plan
from tools.tests.ota_repositories import Desk, done, hurry, refused, release_words, repo, source, tree

ONE, TWO = "rsu/gateway/1.1.tar", "rsu/gateway/1.2.tar"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        yield Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def repository(desk: Desk, tmp_path: Path) -> Path:
    """Two releases of a gateway, the second with a delta from the first."""
    pytest.importorskip("detools", reason="deltas are made by detools")
    repository = desk.begun(tmp_path / "repository")
    for number in (1, 2):
        done(*release_words(repository, source(tmp_path / str(number), f"{number}"), number))
        desk.sign(repository, "alice", "bob")
        desk.publish(repository)
    return repository


def reader(folder: Path):
    return lambda name: (folder / name).read_bytes() if (folder / name).exists() else None


def told(public: Path, device: str, now: datetime | None = None):
    now = now or datetime.now(UTC)
    return read_plan(reader(public), device, read_images(reader(public), now), now)


def test_a_device_is_told_what_each_of_its_ecus_is_to_run(desk: Desk, repository: Path) -> None:
    answer = done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={ONE}", "--ecu", f"lamp={ONE}"))
    assert answer["plans"] == [{"device": "rsu-7", "number": 1, "version": 1}]
    plan = told(repository / "public", "rsu-7").plan
    assert {ecu: one.target for ecu, one in plan.ecus.items()} == {"gateway": ONE, "lamp": ONE}
    answer = done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"))
    assert answer["plans"] == [{"device": "rsu-7", "number": 2, "version": 2}]
    plan = told(repository / "public", "rsu-7").plan
    assert {ecu: one.target for ecu, one in plan.ecus.items()} == {"gateway": TWO, "lamp": ONE}


def test_a_plan_is_signed_again_each_day_and_keeps_its_number(desk: Desk, repository: Path) -> None:
    for device in ("rsu-7", "rsu-8"):
        done(*desk.plan_words(repository, device, "--ecu", f"gateway={ONE}"))
    answer = done(*desk.plan_words(repository, "--all"))
    assert answer["plans"] == [{"device": device, "number": 1, "version": 2} for device in ("rsu-7", "rsu-8")]
    for _day in range(3):
        done(*desk.plan_words(repository, "rsu-7"))
    names = sorted(path.name for path in (repository / "public/director/rsu-7").iterdir())
    assert names == [
        "1.root.json",
        "4.snapshot.json",
        "4.targets.json",
        "5.snapshot.json",
        "5.targets.json",
        "timestamp.json",
    ]


def test_the_number_of_a_plan_rises(desk: Desk, repository: Path) -> None:
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={ONE}", "--number", 5))
    before = tree(repository)
    said = refused(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}", "--number", 5))
    assert said == "plan: plan 5 for rsu-7: the last plan of this device has the number 5; a new one has a higher"
    assert tree(repository) == before
    assert done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"))["plans"][0]["number"] == 6
    assert done(*desk.plan_words(repository, "rsu-7", "--cancel"))["plans"][0]["number"] == 7
    assert told(repository / "public", "rsu-7").plan.is_cancelled


def test_what_does_not_fit_is_refused_and_the_plan_before_stays(desk: Desk, repository: Path) -> None:
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={ONE}"))
    before = tree(repository)
    words = desk.plan_words(repository, "rsu-7", "--ecu", "gateway=rsu/gateway/9.tar")
    assert refused(*words) == ("agreement: plan 2 for rsu-7: gateway: the image repository has no rsu/gateway/9.tar")
    words = desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}", "--hardware", "gateway=buoy-esp32")
    assert refused(*words) == f"hardware: plan 2 for rsu-7: gateway is buoy-esp32; {TWO} is for rsu-arm64"
    words = desk.plan_words(
        repository, "rsu-7", "--ecu", f"gateway={TWO}", "--hardware", "gateway=rsu-arm64", "--hardware", "lamp=x"
    )
    assert refused(*words) == "ecu: plan 2 for rsu-7: it lists gateway; the device has gateway, lamp"
    words = ["plan", repository, "rsu-7", "--director-key", desk.key("server", "online")]
    assert refused(*words, "--passphrase-file", desk.secret).endswith("is not the Director's")
    assert refused(*desk.plan_words(repository, "rsu-9")).startswith("ecu: rsu-9: there is no plan yet")
    assert refused(*desk.plan_words(repository, "../x", "--ecu", f"gateway={ONE}")).startswith("format: ../x:")
    assert repo(*desk.plan_words(repository)).exit_code == 2
    assert repo(*desk.plan_words(repository, "rsu-7", "--ecu", "gateway")).exit_code == 2
    assert tree(repository) == before


def test_conditions_come_from_a_file(desk: Desk, repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "when.json"
    file.write_text('{"window_from_minute": 60, "window_to_minute": 300, "local": ["lane-closed"]}')
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={ONE}", "--conditions", file))
    conditions = told(repository / "public", "rsu-7").plan.conditions
    assert (conditions.window_from_minute, conditions.local) == (60, ["lane-closed"])
    file.write_text('{"window_from_minute": 1440}')
    assert repo(*desk.plan_words(repository, "rsu-7", "--conditions", file)).exit_code == 2


def bundle_words(desk: Desk, repository: Path, out: Path, *more: object) -> list[object]:
    keys = ["--director-key", desk.key("server", "director"), "--online-key", desk.key("server", "online")]
    return ["bundle", repository, out, "--device", "rsu-7", *keys, "--passphrase-file", desk.secret, *more]


def test_a_bundle_is_verified_like_a_server_and_holds_longer(desk: Desk, repository: Path, tmp_path: Path) -> None:
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"))
    out = tmp_path / "stick"
    done(*bundle_words(desk, repository, out, "--days", 60))
    later = datetime.now(UTC) + timedelta(days=59)
    assert told(out, "rsu-7", later).plan == told(repository / "public", "rsu-7").plan
    with pytest.raises(RefusedError, match=r"^expiry: metadata/timestamp\.json"):
        told(out, "rsu-7", later + timedelta(days=2))
    index = json.loads((out / "index.json").read_bytes())
    assert (index["format"], index["devices"]) == ("wayside-bundle-1", ["rsu-7"])
    there = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} - {"index.json"}
    assert set(index["files"]) == there
    for name, known in index["files"].items():
        data = (out / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (known["length"], known["sha256"])
    assert len([name for name in there if name.startswith("blobs/")]) == 4  # packed, a delta, their lists


def test_after_a_stick_the_server_still_has_the_newer_word(desk: Desk, repository: Path, tmp_path: Path) -> None:
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"))
    done(*bundle_words(desk, repository, tmp_path / "stick"))
    now = datetime.now(UTC)
    for file in ("metadata/timestamp.json", "director/rsu-7/timestamp.json"):
        versions = [
            json.loads((folder / file).read_bytes())["signed"]["version"]
            for folder in (tmp_path / "stick", repository / "public")
        ]
        assert versions[1] == versions[0] + 1
    assert read_images(reader(repository / "public"), now).timestamp.signed.expires < now + timedelta(days=2)
    done("verify", repository)
    desk.publish(repository)
    done(*desk.plan_words(repository, "--all"))
    done("verify", repository)


def test_a_bundle_that_cannot_be_is_refused(desk: Desk, repository: Path, tmp_path: Path) -> None:
    before = tree(repository)
    assert refused(*bundle_words(desk, repository, tmp_path / "stick")) == (
        "plan: rsu-7: there is no plan for this device"
    )
    assert tree(repository) == before
    assert not (tmp_path / "stick").exists()
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("")
    assert refused(*bundle_words(desk, repository, tmp_path / "full")).endswith("a bundle is never mixed with another")


def test_what_has_rotted_goes_onto_no_stick(desk: Desk, repository: Path, tmp_path: Path) -> None:
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"))
    for file in (repository / "public/blobs").iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    before = tree(repository)
    said = refused(*bundle_words(desk, repository, tmp_path / "stick"))
    assert said.startswith("hash: blobs/")
    assert said.endswith(f": it is not what the metadata of {TWO} names")
    assert tree(repository) == before
    assert not (tmp_path / "stick").exists()


@pytest.mark.parametrize("command", ["plan", "bundle"])
def test_a_dry_run_changes_nothing(desk: Desk, repository: Path, tmp_path: Path, command: str) -> None:
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={ONE}"))
    words = {
        "plan": desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"),
        "bundle": bundle_words(desk, repository, tmp_path / "stick"),
    }[command]
    before = tree(tmp_path)
    assert done(*words, "--dry-run")["changes"]
    assert tree(tmp_path) == before


def test_verify_finds_whatever_was_changed(desk: Desk, repository: Path) -> None:
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"))
    answer = done("verify", repository)
    assert (answer["images"], answer["blobs"], answer["plans"]) == (2, 5, ["rsu-7"])
    root = repository / "public/metadata/1.root.json"
    done("verify", repository, "--root", root)
    known = {path for path in (repository / "public").rglob("*") if path.is_file()}
    listed = {path for path in known if not path.name.startswith(("1.snapshot", "2.snapshot", "1.rsu", "2.rsu"))}
    for file in sorted(listed):
        whole = file.read_bytes()
        for data in (whole[:-2], whole[: len(whole) // 2] + b"\x00" + whole[len(whole) // 2 + 1 :]):
            file.write_bytes(data)
            refused("verify", repository)
        file.write_bytes(whole)
    done("verify", repository)


def test_an_image_that_a_plan_names_stays_listed(desk: Desk, repository: Path, tmp_path: Path) -> None:
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={ONE}"))
    before = tree(repository)
    words = release_words(repository, source(tmp_path / "3", "3"), 3, keep=1)
    assert refused(*words) == f"agreement: {ONE}: the plan of rsu-7 still names it; plan another for it first"
    assert tree(repository) == before
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"))
    done(*release_words(repository, source(tmp_path / "3", "3"), 3, keep=2))
    desk.sign(repository, "alice", "bob")
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={ONE}"))
    assert refused(*desk.publish_words(repository)).startswith(f"agreement: {ONE}: the plan of rsu-7 still names it")
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={TWO}"))
    desk.publish(repository)
    assert done("verify", repository)["images"] == 2
