"""Bundles into slots by the real RAUC, its service on a private bus, under the driver that every device has."""

import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ota.errors import Cause, RefusedError, Rule, StorageError
from ota.installers.rauc import FlashedSlots, RaucSlots
from ota.installers.rauc_command import Rauc, RaucError
from ota.slots.record import make_key
from ota.slots.trailer import Mark, Trailer
from ota.storage import PosixStorage
from ota.testing.rauc_bench import RaucBench, Signer, missing
from ota.testing.slot_world import KEY

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[RaucBench]:
    with RaucBench(tmp_path / "box").running() as bench:
        yield bench


@pytest.fixture
def storage(tmp_path: Path) -> PosixStorage:
    storage = PosixStorage(tmp_path / "data")
    storage.open()
    return storage


@pytest.fixture
def slots(bench: RaucBench, storage: PosixStorage) -> RaucSlots:
    return RaucSlots(storage, KEY, bench.rauc())


def trailer_of(bundle: bytes, version: str) -> Trailer:
    sha256 = hashlib.sha256(bundle).hexdigest()
    return Trailer(target=f"rsu/os/{version}.raucb", sha256=sha256, length=len(bundle), version=version, counter=1)


def install(slots: RaucSlots, bundle: bytes, version: str = "1.2", slot: str = "b") -> Trailer:
    trailer = trailer_of(bundle, version)
    slots.erase(slot)
    slots.write(slot, trailer, in_pieces(bundle))
    slots.seal(slot, trailer)
    return trailer


def in_pieces(data: bytes) -> Iterable[bytes]:
    return (data[at : at + 1000] for at in range(0, len(data), 1000))


def refused(rule: Rule, said: str, slots: RaucSlots, bundle: bytes, version: str = "1.2") -> None:
    """It is refused, in one line, and no slot is other than it was to whoever starts one."""
    with pytest.raises(RefusedError, match=said) as error:
        install(slots, bundle, version)
    assert error.value.rule is rule
    assert "\n" not in str(error.value)
    assert slots.trailer("b") is None
    assert slots.fault("b")


def test_a_bundle_lies_in_its_slot_and_nobody_starts_it_yet(
    bench: RaucBench, slots: RaucSlots, storage: PosixStorage
) -> None:
    seen: list[int] = []
    slots = RaucSlots(storage, KEY, bench.rauc(), progress=lambda percent, _what: seen.append(percent))
    trailer = install(slots, bench.bundle("1.2"))
    assert bench.slot_bytes(1, 65_536) == bench.image("1.2")
    assert bench.slot_bytes(0, 65_536) == bytes(65_536)
    assert slots.trailer("b") == trailer
    assert slots.fault("b") == ""
    assert seen[-1] == 100
    assert len(seen) > 5
    assert (bench.primary, bench.starts_left("B")) == ("A", 0)
    assert storage.list("slots/b") == ["installed", "trailer"]
    assert bench.boot() == "A"


def test_rauc_sees_no_byte_of_a_bundle_that_is_not_the_one(bench: RaucBench, slots: RaucSlots) -> None:
    bundle = bench.bundle("1.2")
    trailer = trailer_of(bundle, "1.2")
    slots.erase("b")
    for wrong in (bundle[:-1], bundle + b"x", bundle[:-1] + b"\0" * 1, b""):
        with pytest.raises(RefusedError, match=r"^hash: rsu/os/1\.2\.raucb: [0-9,]+ bytes came that are not this"):
            slots.write("b", trailer, in_pieces(wrong))
    assert "installing" not in (bench.folder / "service.log").read_text()
    assert bench.slot_bytes(1, 65_536) == bytes(65_536)


def test_a_bundle_for_another_box(bench: RaucBench, slots: RaucSlots) -> None:
    said = "^hardware: rauc install: .*Compatible mismatch: Expected 'wayside-test' but bundle manifest has 'other'$"
    refused(Rule.HARDWARE, said, slots, bench.bundle("1.2", compatible="other"))
    assert bench.slot_bytes(1, 65_536) == bytes(65_536)


def test_a_bundle_that_a_stranger_has_signed(bench: RaucBench, slots: RaucSlots) -> None:
    said = "^signature: rauc install: signature verification failed: "
    refused(Rule.SIGNATURE, said, slots, bench.bundle("1.2", signer=Signer("mallory")))


def test_a_bundle_that_was_changed_after_it_was_signed_though_our_metadata_names_it(
    bench: RaucBench, slots: RaucSlots
) -> None:
    bundle = bytearray(bench.bundle("1.2"))
    bundle[4000] ^= 1
    refused(Rule.SIGNATURE, "^signature: rauc install: signature verification failed: ", slots, bytes(bundle))
    refused(Rule.FORMAT, "^format: rauc install: Invalid bundle format: ", slots, b"hello")


def test_a_bundle_that_says_another_version_than_the_metadata(bench: RaucBench, slots: RaucSlots) -> None:
    said = r"^format: rsu/os/1\.3\.raucb: it says that it is 1\.2, the metadata 1\.3$"
    refused(Rule.FORMAT, said, slots, bench.bundle("1.2"), "1.3")
    assert bench.boot() == "A"


def test_a_rauc_that_switches_by_itself_is_put_back_and_refused(tmp_path: Path, storage: PosixStorage) -> None:
    with RaucBench(tmp_path / "box", is_activating=True).running() as bench:
        slots = RaucSlots(storage, KEY, bench.rauc())
        refused(Rule.STORAGE, "activate-installed=false", slots, bench.bundle("1.2"))
        assert bench.primary == "A"
        assert bench.starts_left("B") == 0
        assert bench.boot() == "A"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_slot_that_is_too_small(tmp_path: Path, storage: PosixStorage, small_disk: Path) -> None:
    with RaucBench(tmp_path / "box", slots=small_disk).running() as bench:
        slots = RaucSlots(storage, KEY, bench.rauc())
        bundle = bench.bundle("1.2", size=3 << 20)
        with pytest.raises(StorageError, match=r"^storage: rauc install: .*No space left on device$") as full:
            install(slots, bundle)
        assert full.value.cause is Cause.FULL
        assert slots.fault("b")
        assert storage.list("slots/b") == []
        (small_disk / "rootfs.1").write_bytes(b"")
        install(slots, bench.bundle("1.2"))
        assert slots.fault("b") == ""


def test_a_disk_without_room_for_the_bundle(bench: RaucBench, small_disk: Path) -> None:
    storage = PosixStorage(small_disk)
    slots = RaucSlots(storage, KEY, bench.rauc())
    bundle = b"x" * (3 << 20)
    with pytest.raises(StorageError, match="No space left on device") as full:
        install(slots, bundle)
    assert full.value.cause is Cause.FULL
    assert storage.list("slots/b") == []
    install(slots, bench.bundle("1.2"))


def test_what_runs_is_neither_erased_nor_written(bench: RaucBench, slots: RaucSlots) -> None:
    with pytest.raises(RefusedError, match=r"^storage: rootfs\.0: it runs, and what runs is not erased$"):
        slots.erase("a")
    with pytest.raises(RefusedError, match=r"^storage: rootfs\.0: it runs, and RAUC writes to the one that does not$"):
        slots.write("a", trailer_of(b"x", "1.2"), [b"x"])
    assert bench.starts_left("A") == 3


def test_a_slot_whose_bytes_have_changed_is_found(bench: RaucBench, slots: RaucSlots) -> None:
    install(slots, bench.bundle("1.2"))
    with (bench.slots / "rootfs.1").open("r+b") as device:
        device.seek(5000)
        device.write(b"!")
    assert slots.fault("b") == "rootfs.1: its bytes are not those of its image"
    with (bench.slots / "rootfs.1").open("r+b") as device:
        device.truncate(60_000)
    assert slots.fault("b") == "rootfs.1: its bytes are not those of its image"
    (bench.slots / "rootfs.1").unlink()
    assert "No such file or directory" in slots.fault("b")


def test_a_slot_that_rauc_was_made_to_write_behind_our_back_is_found(bench: RaucBench, slots: RaucSlots) -> None:
    install(slots, bench.bundle("1.2"))
    other = bench.folder / "other.raucb"
    other.write_bytes(bench.bundle("1.3"))
    bench.rauc().install(other)
    assert slots.fault("b") == "rootfs.1: RAUC has written something else since"


class IdleRauc(Rauc):
    """Says that it has installed, and has not."""

    def install(self, *_: object) -> None:
        pass


def test_an_installation_that_was_none_is_not_believed(
    bench: RaucBench, slots: RaucSlots, storage: PosixStorage
) -> None:
    bundle = bench.bundle("1.2")
    install(slots, bundle)  # so that RAUC's own status of the slot is as good as it can be
    idle = RaucSlots(storage, KEY, IdleRauc(environment=bench.environment))
    said = r"^storage: rootfs\.1: RAUC has not written to it, but says that it has installed$"
    refused(Rule.STORAGE, said, idle, bundle)


def test_a_trailer_of_one_bundle_does_not_vouch_for_another(
    bench: RaucBench, slots: RaucSlots, storage: PosixStorage
) -> None:
    trailer = install(slots, bench.bundle("1.2"))
    slots.seal("b", replace(trailer, sha256="00" * 32))
    assert slots.fault("b") == "slots/b/installed: it is of another bundle"
    storage.remove("slots/b/installed")
    assert slots.fault("b").startswith("rootfs.1: ")


def test_a_mark_is_told_to_the_bootloader(bench: RaucBench, slots: RaucSlots) -> None:
    install(slots, bench.bundle("1.2"))
    slots.mark("b", Mark(sha256="00" * 32, sequence=1))
    assert bench.starts_left("B") == 3
    slots.erase("b")
    assert (slots.trailer("b"), bench.starts_left("B")) == (None, 0)


def test_a_service_that_hangs_is_not_waited_for_and_may_go_on_later(
    bench: RaucBench, slots: RaucSlots, storage: PosixStorage
) -> None:
    bundle = bench.bundle("1.2")
    install(slots, bundle)
    bench.freeze_service()
    hasty = RaucSlots(storage, KEY, bench.rauc(short_s=0.5))
    for call in (
        lambda: hasty.erase("b"),
        lambda: hasty.fault("b"),
        lambda: hasty.mark("b", Mark(sha256="00" * 32, sequence=1)),
    ):
        with pytest.raises(RaucError, match="rauc status: it does not come to an end, and is ended"):
            call()
    bench.end_service()
    bench.start_service()
    assert slots.fault("b") == ""


def test_an_installation_that_takes_too_long_is_given_up_and_done_again(
    bench: RaucBench, slots: RaucSlots, storage: PosixStorage
) -> None:
    bundle = bench.bundle("1.2")
    trailer = trailer_of(bundle, "1.2")
    slots.erase("b")

    def freezing() -> Iterable[bytes]:
        yield bundle
        bench.freeze_service()  # it has answered that the slot may be written

    hasty = RaucSlots(storage, KEY, bench.rauc(install_s=0.5))
    with pytest.raises(RaucError, match="rauc install: it does not come to an end, and is ended"):
        hasty.write("b", trailer, freezing())
    assert storage.list("slots/b") == []
    bench.end_service()
    bench.start_service()
    install(slots, bundle)
    assert slots.fault("b") == ""


def test_a_service_that_dies_in_the_middle_is_no_refusal_and_the_next_one_does_it_again(
    bench: RaucBench, slots: RaucSlots, storage: PosixStorage
) -> None:
    bundle = bench.bundle("1.2")
    slots.erase("b")
    script = bench.folder / "bootloader.sh"
    fast = script.read_text()
    script.write_text(
        fast.replace("set-state)", "set-state) until [ -e go ]; do sleep 0.1; done;")
    )  # RAUC waits for it
    busy: list[str] = []

    def progress(percent: int, _what: str) -> None:
        if percent == 80 and not busy:
            with pytest.raises(RaucError) as refused:
                bench.rauc().status()
            busy.append(str(refused.value))
            bench.end_service()

    with pytest.raises(RaucError, match=r"^storage: rauc install: D-Bus error while installing"):
        RaucSlots(storage, KEY, bench.rauc(), progress=progress).write("b", trailer_of(bundle, "1.2"), [bundle])
    assert "already processing a different method" in busy[0]
    assert bench.mounted.is_mount()
    assert slots.trailer("b") is None
    script.write_text(fast)
    (bench.folder / "bootloader/go").touch()
    bench.start_service()
    install(slots, bundle)
    assert slots.fault("b") == ""


def test_without_its_service_rauc_says_so_in_one_line(bench: RaucBench, slots: RaucSlots) -> None:
    bench.end_service()
    with pytest.raises(RaucError, match=r"^storage: rauc status: .*de\.pengutronix\.rauc was not provided") as away:
        slots.erase("b")
    assert "\n" not in str(away.value)
    bench.start_service()
    install(slots, bench.bundle("1.2"))


def test_a_new_box_is_taken_as_it_was_flashed(bench: RaucBench, storage: PosixStorage) -> None:
    make_key(storage, KEY)
    flashed = FlashedSlots(storage, KEY, bench.rauc())
    trailer = trailer_of(b"", "1.1")
    flashed.erase("a")
    flashed.write("a", trailer, [])
    flashed.seal("a", trailer)
    assert flashed.trailer("a") == trailer
    assert RaucSlots(storage, KEY, bench.rauc()).fault("a") == ""
    with pytest.raises(RefusedError, match=r"^storage: rootfs\.1: it does not run; set the box up from the one that"):
        flashed.write("b", trailer, [])
    assert flashed.held("a") is None


def test_what_rauc_makes_is_a_bundle_to_the_release_builder(bench: RaucBench, tmp_path: Path) -> None:
    builder = pytest.importorskip("ota.repository.build", reason="what the signing side needs is not installed")
    file = tmp_path / "os.raucb"
    file.write_bytes(bench.bundle("1.2"))
    facts = builder.Facts(kind="rauc", family="rsu/os", version="1.2", counter=2, hardware=["rsu-os"], entry=[])
    made = builder.build(file, facts)
    assert made.target.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
