"""Sets of modules as images and packages: each file by the shortest way, and nothing unsound is taken."""

import hashlib
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ota.errors import RefusedError, Rule
from ota.mcu.delta import WINDOW_BITS
from ota.mcu.manifest import MAX_FILE_BYTES
from ota.mcu.sets import DELTA, FULL, KEEP
from ota.payload.file_set import entries_of, make_image, make_package, read_image, read_package

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}(/[a-z0-9_]{1,8}){0,2}\.mpy", fullmatch=True)
SETS = st.dictionaries(NAMES, st.binary(max_size=400), max_size=6)


def image(files: dict[str, bytes], counter: int = 1) -> bytes:
    return make_image(files, counter=counter, floor=0, version="1.0.0")


@given(SETS)
def test_an_image_gives_back_its_files_and_is_one_whatever_their_order(files: dict[str, bytes]):
    made = image(files)
    assert made == image(dict(reversed(files.items())))
    manifest, read = read_image(made, "x")
    assert read == files
    assert [entry.name for entry in entries_of(manifest, "x")] == sorted(files)


@given(SETS)
@settings(max_examples=30)
def test_a_package_of_whole_files_holds_them(files: dict[str, bytes]):
    package = read_package(make_package(image(files)), "x")
    manifest = zlib.decompress(package.manifest.stream, -WINDOW_BITS)
    assert (hashlib.sha256(manifest).digest(), len(manifest)) == (package.name, package.manifest_length)
    for entry, part in zip(entries_of(manifest, "x"), package.files, strict=True):
        assert part.kind == FULL
        assert zlib.decompress(part.stream, -WINDOW_BITS) == files[entry.name]


def test_each_file_takes_the_shorter_way():
    pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")
    rng = random.Random(1)
    old = {"a.mpy": rng.randbytes(2_000), "b.mpy": rng.randbytes(2_000), "c.mpy": rng.randbytes(2_000)}
    new = {**old, "a.mpy": old["a.mpy"] + b"!", "c.mpy": rng.randbytes(2_000), "d.mpy": b"new"}
    package = make_package(image(new, 2), image(old))
    assert [part.kind for part in read_package(package, "x").files] == [DELTA, KEEP, FULL, FULL]
    assert len(package) < 2_600


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a b", "ä", "a\n", "x" * 65])
def test_a_name_that_leaves_the_folder_is_refused(name: str):
    with pytest.raises(RefusedError) as caught:
        image({name: b""})
    assert caught.value.rule is Rule.FORMAT


def whole_parts(data: bytes) -> set[int]:
    """Where a package may end as far as its own form goes; its own hash, in the metadata, says that it may not."""
    ends, at = set(), 40
    while at < len(data):
        at += 5 + int.from_bytes(data[at + 1 : at + 5])  # all of them whole files
        ends.add(at)
    return ends


@pytest.mark.parametrize("what", ["image", "package"])
def test_cut_or_lengthened_anywhere_it_is_refused(what: str):
    files = {"a.mpy": b"one" * 20, "b.mpy": b"two"}
    data = image(files) if what == "image" else make_package(image(files))

    def read(data: bytes) -> None:
        if what == "image":
            read_image(data, "x")
        else:
            read_package(data, "x")

    read(data)
    ends = range(len(data)) if what == "image" else set(range(len(data))) - whole_parts(data)
    for end in ends:
        with pytest.raises(RefusedError):
            read(data[:end])
    with pytest.raises(RefusedError):
        read(data + b"x")


@given(st.binary(max_size=300), st.sampled_from([b"", b"WSI1", b"WSU1", b"WSU1" + bytes(35) + b"\x20"]))
def test_any_bytes_are_refused_and_nothing_else(data: bytes, head: bytes):
    for read in (read_image, read_package):
        try:
            read(head + data, "x")
        except RefusedError as error:
            assert error.rule in (Rule.FORMAT, Rule.HASH, Rule.LENGTH)  # noqa: PT017  # it may also be sound


@pytest.mark.parametrize(
    ("files", "version"), [({"a": b""}, "1 2"), ({"a": b""}, "1\n2"), ({"a": bytes(MAX_FILE_BYTES + 1)}, "1")]
)
def test_what_no_box_would_take_is_not_made(files: dict[str, bytes], version: str):
    with pytest.raises(RefusedError) as caught:
        make_image(files, counter=1, floor=0, version=version)
    assert caught.value.rule is Rule.FORMAT


def test_a_file_that_is_not_what_the_manifest_says_is_named():
    data = bytearray(image({"a.mpy": b"one", "b.mpy": b"two"}))
    data[-1] ^= 1
    with pytest.raises(RefusedError, match=r"^hash: x: b\.mpy is not what the manifest says$"):
        read_image(bytes(data), "x")


def test_the_manifest_reads_as_the_documentation_says():
    manifest, _files = read_image(make_image({"main.mpy": b"x"}, counter=12, floor=9, version="1.4.2"), "x")
    assert manifest == b"WSM1 12 9 1.4.2\n" + hashlib.sha256(b"x").hexdigest().encode() + b" 1 main.mpy\n"
