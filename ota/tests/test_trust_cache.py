"""The cache and the floors: whatever a power cut or a rotten disk leaves, a client starts, and never goes back."""

from collections.abc import Iterator
from itertools import product

import pytest

from ota.errors import Cause, RefusedError, Rule, StorageError
from ota.repository.layout import DIRECTOR, METADATA
from ota.storage import replace
from ota.testing.disk_double import DiskDouble, PowerCut
from ota.testing.repository_double import RepositoryDouble
from ota.testing.trusting_device import TrustingDevice

V1, V2 = "rsu/gateway/1.tar", "rsu/gateway/2.tar"
FILES = ("root.json", "root_history/2.root.json", "timestamp.json", "snapshot.json", "targets.json", "rsu.json")
SPOILED = ("whole", "missing", "empty", "torn")


@pytest.fixture(scope="module")
def double() -> RepositoryDouble:
    """A repository with a second root, which lists an image that a plan wants."""
    double = RepositoryDouble()
    double.add_image(V1, b"one", counter=1)
    double.set_plan("rsu-7", {"gateway": V1})
    double.new_root(lambda _root: None, by=double.keys["root"][:2])
    return double


@pytest.fixture(scope="module")
def old(double: RepositoryDouble) -> dict[str, bytes]:
    """What the image repository said before its second image."""
    return dict(double.files)


@pytest.fixture(scope="module")
def disk(double: RepositoryDouble, old: dict[str, bytes]) -> DiskDouble:
    """A device that has seen the second image."""
    del old
    device = TrustingDevice(double)
    device.refresh()
    double.add_image(V2, b"two", counter=2)
    device.refresh()
    assert isinstance(device.disk, DiskDouble)
    return device.disk.settled()


def spoil(disk: DiskDouble, ways: dict[str, str]) -> None:
    for name, way in ways.items():
        path = f"trust/image/{name}"
        size = disk.size(path)
        assert size > 0
        if way == "missing":
            disk.remove(path)
        elif way != "whole":
            disk.truncate(path, 0 if way == "empty" else size // 2)
    for folder in ("trust/image", "trust/image/root_history"):
        disk.sync_folder(folder)


def subsets() -> Iterator[dict[str, str]]:
    """Every way to spoil the four files of the roles, and the roots with them in each way."""
    for ways in product(SPOILED, repeat=4):
        yield {"root.json": "whole", "root_history/2.root.json": "whole", **dict(zip(FILES[2:], ways, strict=True))}
    for roots in product(SPOILED, repeat=2):
        for way in SPOILED:
            yield {**dict(zip(FILES[:2], roots, strict=True)), **dict.fromkeys(FILES[2:], way)}


def test_no_loss_of_cached_files_lets_older_metadata_in(
    double: RepositoryDouble, old: dict[str, bytes], disk: DiskDouble
) -> None:
    now = dict(double.files)
    device = TrustingDevice(double)
    count = 0
    for ways in subsets():
        found = disk.settled()
        spoil(found, ways)
        double.files.update({name: data for name, data in old.items() if name.startswith(f"{METADATA}/")})
        with pytest.raises(RefusedError) as caught:
            device.refresh(disk=found)
        assert caught.value.rule is Rule.VERSION, (ways, caught.value)
        double.files.update(now)
        verified = device.refresh(disk=found)
        assert verified.plan.number == 1, ways
        spoiled = {f"trust/image/{name}" for name, way in ways.items() if way in ("empty", "torn")}
        assert set(verified.damaged) <= spoiled
        count += 1
    assert count == 4**4 + 4**3


def test_a_spoiled_file_is_noticed_and_replaced(double: RepositoryDouble, disk: DiskDouble) -> None:
    device = TrustingDevice(double)
    for name in FILES[1:]:
        for way in ("empty", "torn"):
            found = disk.settled()
            before = found.contents()[f"trust/image/{name}"]
            spoil(found, {name: way})
            assert device.refresh(disk=found).damaged == [f"trust/image/{name}"]
            assert found.contents()[f"trust/image/{name}"] == before
            assert device.refresh(disk=found).damaged == []


def test_a_flipped_bit_costs_a_fetch_and_nothing_else(double: RepositoryDouble, disk: DiskDouble) -> None:
    device = TrustingDevice(double)
    for name in FILES[1:]:
        found = disk.settled()
        data = bytearray(found.contents()[f"trust/image/{name}"])
        data[data.index(b'"sig":"') + 9] ^= 1
        replace(found, f"trust/image/{name}", bytes(data))
        device.refresh(disk=found)
        assert found.contents() == disk.contents() | {
            key: value for key, value in found.contents().items() if key.startswith("trust/floors")
        }


def test_the_floors_alone_refuse_a_replay_when_the_whole_cache_is_lost(
    double: RepositoryDouble, old: dict[str, bytes], disk: DiskDouble
) -> None:
    found = DiskDouble()
    found.make_folder("trust")
    for name in ("trust/floors-a", "trust/floors-b"):
        if name in disk.contents():
            replace(found, name, disk.contents()[name])
    now = dict(double.files)
    double.files.update(old)
    with pytest.raises(RefusedError, match=r"^version: image repository: timestamp.json: version 2 is older than 3"):
        TrustingDevice(double).refresh(disk=found)
    double.files.update(now)


def test_a_hidden_newer_root_is_missed_when_the_cache_is_lost(double: RepositoryDouble, disk: DiskDouble) -> None:
    found = disk.settled()
    spoil(found, dict.fromkeys(FILES, "missing"))
    hidden = double.files.pop(f"{METADATA}/2.root.json")
    with pytest.raises(RefusedError, match=r"^version: image repository: root.json: version 1 is older than 2"):
        TrustingDevice(double).refresh(disk=found)
    double.files[f"{METADATA}/2.root.json"] = hidden


def test_one_torn_copy_of_the_floors_is_no_loss(
    double: RepositoryDouble, old: dict[str, bytes], disk: DiskDouble
) -> None:
    newest = TrustingDevice(double).client(disk.settled()).floors.record
    for name in ("trust/floors-a", "trust/floors-b"):
        found = disk.settled()
        found.truncate(name, found.size(name) // 2)
        client = TrustingDevice(double).client(found)
        assert client.floors.damaged == [name]
        assert client.floors.record.plan_number == newest.plan_number
    del old


@pytest.mark.parametrize("every", [16, pytest.param(1, marks=pytest.mark.long)])
def test_a_power_cut_anywhere_in_a_refresh_leaves_a_disk_from_which_a_client_starts(every: int) -> None:
    """Two refreshes, cut at each step that changes the disk. Each disk that may be found is started from; of every so
    many of them, the start is cut as well.
    """
    double = RepositoryDouble()
    double.add_image(V1, b"one", counter=1)
    double.set_plan("rsu-7", {"gateway": V1})
    disk = DiskDouble()
    found: dict[object, tuple[DiskDouble, int]] = {}
    seen = 0

    def look(_step: str, _name: str) -> None:
        for left in disk.after_cut():
            found.setdefault(left.state(), (left, seen))

    disk.begun = look
    device = TrustingDevice(double, disk=disk)
    device.refresh()
    first = dict(double.files)
    seen = 1
    double.new_root(lambda _root: None, by=double.keys["root"][:2])
    double.add_image(V2, b"two", counter=2)
    double.set_plan("rsu-7", {"gateway": V2})
    device.refresh()
    disk.begun = lambda _step, _name: None
    new = dict(double.files)
    states = again = refusals = 0
    for left, known in found.values():
        states += 1
        floor = TrustingDevice(double).client(left.settled()).floors.record
        if known:  # what the first refresh saw is never lost again
            assert floor.plan_number >= 1
            assert floor.roles["image/timestamp"].version >= 2
        if floor.plan_number == 2:
            double.files.clear()
            double.files.update(first)
            with pytest.raises(RefusedError):
                device.refresh(disk=left.settled())
            refusals += 1
            double.files.update(new)
        if states % every == 0:
            again += recovers_under_a_second_cut(device, left)
        assert device.refresh(disk=left).targets["gateway"].path == V2
    print(f"{states} disks after a first cut, {again} after a second, {refusals} replays refused")  # noqa: T201  # figures
    assert states > 100
    assert again > states // every
    assert refusals > 0


def recovers_under_a_second_cut(device: TrustingDevice, left: DiskDouble) -> int:
    """Cut the next refresh at its steps, spread over them; each disk that is left starts. How many there were."""
    steps = 0
    whole = left.settled()

    def count(_step: str, _name: str) -> None:
        nonlocal steps
        steps += 1

    whole.begun = count
    device.refresh(disk=whole)
    disks = 0
    for at in range(1, steps + 1, max(1, steps // 4)):
        disk = left.settled()
        remaining = at

        def cut(_step: str, _name: str) -> None:
            nonlocal remaining
            remaining -= 1
            if remaining == 0:
                raise PowerCut

        disk.begun = cut
        with pytest.raises(PowerCut):
            device.refresh(disk=disk)
        for after in list(disk.after_cut(most=2))[-2:]:
            assert device.refresh(disk=after).plan.number == 2
            disks += 1
    return disks


@pytest.mark.parametrize("side", ["director", "image"])
def test_a_bad_sector_under_a_cached_file_is_fetched_anew(double: RepositoryDouble, side: str) -> None:
    """No file of the cache is needed: one that the disk does not give any more must not end all updates."""
    device = TrustingDevice(double)
    assert isinstance(device.disk, DiskDouble)
    double.new_root(lambda _root: None, by=double.keys["root"])
    double.new_root(lambda _root: None, by=double.keys["root"], side=DIRECTOR)
    device.refresh()
    cached = {name for name in device.disk.contents() if name.startswith(f"trust/{side}/") and name.endswith(".json")}
    assert len(cached) >= 5
    for name in sorted(cached):
        device.disk.unreadable = {name}
        verified = device.refresh()
        assert verified.plan.number == 1
        assert verified.damaged == [name], name


@pytest.mark.parametrize(("number", "cause"), [(28, Cause.FULL), (5, Cause.BROKEN), (30, Cause.READ_ONLY)])
@pytest.mark.parametrize("step", ["write", "sync", "rename", "sync_folder"])
def test_a_disk_that_refuses_is_said_and_the_next_start_goes_on(
    double: RepositoryDouble, step: str, number: int, cause: Cause
) -> None:
    device = TrustingDevice(double)
    assert isinstance(device.disk, DiskDouble)
    device.disk.failing = {step: number}
    with pytest.raises(StorageError) as caught:
        device.refresh()
    assert caught.value.cause is cause
    device.disk.failing = {}
    assert device.refresh().plan.number == 1
