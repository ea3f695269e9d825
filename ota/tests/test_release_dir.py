"""Images in slots: unpacked as they are, refused where they hold what no release may."""

import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ota.errors import RefusedError, Rule, StorageError
from ota.installers.release_dir import ReleaseDir
from ota.installers.tree import MAX_DEPTH, entries, image_of, manifest_of, tree_fault, unpack
from ota.payload.space import Room
from ota.slots.record import KEYS
from ota.slots.trailer import Trailer
from ota.storage import PosixStorage, remove_all
from ota.testing.disk_double import DiskDouble
from ota.testing.slot_world import KEY, Release, set_up_with, tar_of

GOOD = Release(1)


def trailer_of(image: bytes) -> Trailer:
    return replace(GOOD.trailer, sha256=sha256(image).hexdigest(), length=len(image))


def tar_with(*members: tuple[tarfile.TarInfo, bytes], files: Mapping[str, bytes] = GOOD.files) -> bytes:
    """The good image, or another, and something more."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b""
) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link, len(data)
    return entry, data


BAD: dict[str, Callable[[], bytes]] = {
    "a symbolic link": lambda: tar_with(member("x", tarfile.SYMTYPE, "/etc/passwd")),
    "a hard link": lambda: tar_with(member("x", tarfile.LNKTYPE, "manifest.json")),
    "a character device": lambda: tar_with(member("x", tarfile.CHRTYPE)),
    "a block device": lambda: tar_with(member("x", tarfile.BLKTYPE)),
    "a pipe": lambda: tar_with(member("x", tarfile.FIFOTYPE)),
    "a contiguous file": lambda: tar_with(member("x", tarfile.CONTTYPE)),
    "an absolute name": lambda: tar_with(member("/etc/x")),
    "a way out": lambda: tar_with(member("a/../../x")),
    "a way out at the end": lambda: tar_with(member("a/..", tarfile.DIRTYPE)),
    "the folder itself": lambda: tar_with(member(".", tarfile.DIRTYPE)),
    "a doubled slash": lambda: tar_with(member("a//x")),
    "a backslash": lambda: tar_with(member("a\\x")),
    "a control character": lambda: tar_with(member("a\nx")),
    "a name twice": lambda: tar_with(member("x"), member("x")),
    "a file and a folder": lambda: tar_with(member("x"), member("x/y")),
    "a file and a folder, turned round": lambda: tar_with(member("x/y"), member("x")),
    "too deep": lambda: tar_with(member("a/" * MAX_DEPTH + "x")),
    "a long name": lambda: tar_with(member("x" * 201)),
    "something behind the end": lambda: tar_with() + b"x" + bytes(511),
    "no manifest": lambda: tar_of({"agent/__main__.py": b""}),
    "a manifest that comes later": lambda: tar_of({"a": b"", "manifest.json": GOOD.files["manifest.json"]}),
    "a manifest of rubbish": lambda: tar_of({"manifest.json": b"{"}),
    "a manifest without an entry": lambda: tar_of(
        {"manifest.json": b'{"name":"x","version":"1","counter":1,"entry":[]}'}
    ),
    "a manifest that starts what is elsewhere": lambda: tar_of(
        {"manifest.json": b'{"name":"x","version":"1","counter":1,"entry":["/bin/sh"]}'}
    ),
    "a manifest without an end": lambda: tar_of({"manifest.json": b"[" * 60_000}),
    "a manifest that starts a folder": lambda: tar_with(
        member("bin", tarfile.DIRTYPE), files=Release(1, entry=["bin"]).files
    ),
    "a manifest with a word that no program can be given": lambda: Release(1, entry=["python", "a\0"]).image,
    "a manifest with a word that is no Unicode": lambda: Release(1, entry=["python", "\udc80"]).image,
    "another release than the metadata says": lambda: Release(2).image,
    "no tar": lambda: b"x" * 20_480,
    "a tar cut short": lambda: GOOD.image[:700],
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("what", BAD)
def test_an_image_is_refused_that_holds(what: str):
    image = BAD[what]()
    disk = DiskDouble()
    set_up_with(disk, GOOD)
    installer = ReleaseDir(disk, KEY)
    installer.erase("b")
    with pytest.raises(RefusedError) as caught:
        installer.write("b", trailer_of(image), [image])
    assert caught.value.rule is Rule.FORMAT
    assert "\n" not in str(caught.value)
    assert not [name for name in disk.contents() if name.startswith("slots/b/tree")], "nothing was unpacked"
    assert installer.trailer("b") is None
    assert installer.fault("a") == ""


def test_bytes_that_are_not_the_image_are_refused():
    disk = DiskDouble()
    set_up_with(disk, GOOD)
    installer = ReleaseDir(disk, KEY)
    installer.erase("b")
    for pieces in ([GOOD.image[:-1]], [GOOD.image, b"x"], [GOOD.image[:600] + b"x" + GOOD.image[601:]]):
        with pytest.raises(RefusedError) as caught:
            installer.write("b", GOOD.trailer, pieces)
        assert caught.value.rule is Rule.HASH


def test_what_is_unpacked_is_what_the_image_holds(tmp_path):
    """On a real disk, over what lay there before."""
    storage = PosixStorage(tmp_path)
    set_up_with(storage, GOOD)
    files = {
        "manifest.json": GOOD.files["manifest.json"],
        "bin/run": b"#!/bin/sh\n",
        "a/b/c.txt": b"",
        "d.bin": bytes(99_999),
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o4755 if name == "bin/run" else 0o666
            tar.addfile(entry, io.BytesIO(data))
        folder = tarfile.TarInfo("empty/inside")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    image = made.getvalue()
    installer = ReleaseDir(storage, KEY)
    for size in (1000, len(image)):
        installer.erase("b")
        installer.write("b", trailer_of(image), [image[at : at + size] for at in range(0, len(image), size)])
        installer.seal("b", trailer_of(image))
        assert installer.fault("b") == ""
    tree = tmp_path / "slots/b/tree"
    assert {str(f.relative_to(tree)): f.read_bytes() for f in tree.rglob("*") if f.is_file()} == files
    assert (tree / "empty/inside").is_dir()
    modes = {name: (tree / name).stat().st_mode & 0o7777 for name in files}
    assert modes == dict.fromkeys(files, 0o644) | {"bin/run": 0o755}
    held = installer.held("b")
    assert held is not None
    assert held.read(512, 100) == image[512:612]
    (tree / "a/b/c.txt").write_bytes(b"x")
    assert installer.fault("b") == "slots/b/tree/a/b/c.txt is not as in the image"
    unpack(storage, "b")
    (tree / "more").mkdir()
    assert tree_fault(storage, "b") == "slots/b/tree/more/ is not of the image"


def test_a_slot_that_may_be_started_is_never_written_to():
    disk = DiskDouble()
    set_up_with(disk, GOOD)
    with pytest.raises(AssertionError):
        ReleaseDir(disk, KEY).write("a", GOOD.trailer, [GOOD.image])


def test_a_device_is_set_up_once():
    disk = DiskDouble()
    set_up_with(disk, GOOD)
    remove_all(disk, "fetch")  # as a device of an older release may have it: a refusal makes nothing
    before = disk.state()
    with pytest.raises(RefusedError):
        set_up_with(disk, Release(2))
    assert disk.state() == before


def test_a_device_is_not_set_up_under_a_name_that_no_metadata_may_give():
    disk, release = DiskDouble(), Release(1)
    release.target = msgspec.structs.replace(release.target, path="../../x")
    with pytest.raises(RefusedError, match=r"^format: \.\./\.\./x: "):
        set_up_with(disk, release)
    assert disk.contents() == {}


def test_a_set_up_that_is_cut_anywhere_is_done_again():
    disk = DiskDouble()
    found: list[DiskDouble] = []
    disk.begun = lambda _step, _name: found.extend(disk.after_cut(most=2))
    set_up_with(disk, GOOD)
    assert len(found) > 100
    for each in found:
        try:
            set_up_with(each, GOOD)
        except RefusedError as error:
            assert error.what == "state-a"  # noqa: PT017  # it was complete
        assert ReleaseDir(each, KEY).fault("a") == ""
        for name in KEYS:
            assert each.read(name) == disk.read(name), "the key and its copy"


@given(st.binary(max_size=2_000), st.integers(0, 20_479), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(junk: bytes, at: int, is_alone: bool):
    image = junk if is_alone else GOOD.image[:at] + junk + GOOD.image[at + len(junk) :]
    disk = DiskDouble()
    for folder in ("slots", "slots/b"):
        disk.make_folder(folder)
    disk.write(image_of("b"), 0, image)
    try:
        manifest_of(disk, image_of("b"), entries(disk, image_of("b")))
        unpack(disk, "b")
    except RefusedError as error:
        assert error.rule is Rule.FORMAT  # noqa: PT017  # and nothing else is raised
    except StorageError as error:
        assert "ends at" in str(error) or disk.size(image_of("b")) < 0  # noqa: PT017  # a file shorter than it says


def test_a_slot_takes_an_image_and_its_tree_and_gives_up_both():
    disk = DiskDouble()
    set_up_with(disk, GOOD)
    installer, length = ReleaseDir(disk, KEY), len(GOOD.image)
    free = disk.free_bytes()
    assert installer.room("b", length) == Room(2 * length, 0)
    room = installer.room("a", length)
    assert room == Room(2 * length, length + sum(map(len, GOOD.files.values())))
    installer.erase("b")
    installer.write("b", GOOD.trailer, [GOOD.image])
    assert 0 < free - disk.free_bytes() <= room.needed, "no more is taken than was said"
