"""The cheapest way to an image, and the image by each of them."""

import hashlib
import random
from pathlib import Path

import pytest
import zstandard

from ota.errors import Cause, RefusedError, Rule, StorageError
from ota.payload.choice import Held, Way, ways_to
from ota.payload.image import image_pieces
from ota.storage import PosixStorage
from ota.targets import Blob, Delta, ImageInfo, Target

OLD = random.Random(1).randbytes(150_000)
NEW = OLD[:70_000] + b"changed" + OLD[70_000:]
OTHER = b"other" * 100


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def held(data: bytes) -> Held:
    return Held(sha(data), len(data), lambda at, size: data[at : at + size])


def blob(data: bytes, codec: str = "none") -> Blob:
    return Blob(codec=codec, length=len(data), sha256=sha(data), blocks="0" * 64)


def delta(data: bytes, base: bytes) -> Delta:
    return Delta(codec="delta", length=len(data), sha256=sha(data), blocks="0" * 64, from_sha256=sha(base))


def target(*, full: list[Blob] | None = None, deltas: list[Delta] | None = None, image: bytes = NEW) -> Target:
    info = ImageInfo(
        kind="release-dir",
        hardware=["rsu-a"],
        family="rsu/gateway",
        version="2.0.0",
        counter=2,
        full=full or [blob(b"z", "zstd"), blob(image)],
        deltas=deltas or [],
    )
    return Target(path="rsu/gateway/2.0.0.tar", length=len(image), sha256=sha(image), info=info)


def test_what_lies_here_costs_nothing_then_deltas_from_the_running_image_first_then_the_whole():
    from_old, from_other = delta(b"a", OLD), delta(b"b", OTHER)
    goal = target(deltas=[from_other, from_old])
    ways = ways_to(goal, [held(OLD), held(OTHER)])
    assert [way.blob for way in ways] == [from_old, from_other, *goal.info.full]
    assert [way.is_delta for way in ways] == [True, True, False, False]
    assert [way.blob for way in ways_to(goal, [held(b"unknown")])] == goal.info.full
    (way,) = ways_to(goal, [held(OLD), held(NEW)])
    assert way.blob is None
    assert way.base is not None
    assert way.base.sha256 == sha(NEW)


def test_an_image_of_another_length_is_not_the_same_whatever_its_hash_says():
    wrong = held(NEW)._replace(length=3)
    assert all(way.blob is not None for way in ways_to(target(), [wrong]))


def made(tmp_path: Path, goal: Target, way: Way, data: bytes) -> bytes:
    storage = PosixStorage(tmp_path)
    storage.write("part", 0, data)
    return b"".join(image_pieces(storage, goal, way, "part"))


def packed(data: bytes, **parameters: int) -> bytes:
    settings = zstandard.ZstdCompressionParameters.from_level(19, **parameters)
    return zstandard.ZstdCompressor(compression_params=settings).compress(data)


def streamed(data: bytes, **parameters: int) -> bytes:
    """As a compressor does that does not know the length: the frame names the window."""
    settings = zstandard.ZstdCompressionParameters.from_level(3, write_content_size=0, **parameters)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    return packer.compress(data) + packer.flush()


def test_each_way_makes_the_image(tmp_path: Path):
    data = packed(NEW)
    goal = target(full=[blob(data, "zstd"), blob(NEW)])
    assert made(tmp_path, goal, Way(goal.info.full[0], None), data) == NEW
    assert made(tmp_path, goal, Way(goal.info.full[1], None), NEW) == NEW
    assert made(tmp_path, goal, Way(None, held(NEW)), b"") == NEW


def test_a_delta_makes_the_image(tmp_path: Path):
    pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")
    from ota.payload.patch import make_patch

    data = make_patch(OLD, NEW)
    goal = target(deltas=[delta(data, OLD)])
    (way, *_rest) = ways_to(goal, [held(OLD)])
    assert made(tmp_path, goal, way, data) == NEW


def test_a_base_that_cannot_be_read_is_refused_so_that_the_whole_image_is_taken(tmp_path: Path):
    """A bad sector below what runs would else hold up every update there is, and only an update mends it."""
    pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")
    from ota.payload.patch import make_patch

    def read(_offset: int, _size: int) -> bytes:
        raise StorageError("slots/a/image.tar", "Input/output error", Cause.BROKEN)

    data = make_patch(OLD, NEW)
    (way, *_rest) = ways_to(target(deltas=[delta(data, OLD)]), [held(OLD)._replace(read=read)])
    with pytest.raises(RefusedError, match=r"slots/a/image\.tar: Input/output error") as caught:
        made(tmp_path, target(), way, data)
    assert caught.value.rule is Rule.STORAGE


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (NEW[:-1], Rule.LENGTH),
        (NEW[:-1] + b"\0", Rule.HASH),
    ],
)
def test_a_whole_image_that_is_not_the_right_one_is_refused(tmp_path: Path, data: bytes, rule: Rule):
    for codec, stored in (("none", data), ("zstd", packed(data))):
        goal = target(full=[blob(stored, codec)])
        with pytest.raises(RefusedError) as caught:
            made(tmp_path, goal, Way(goal.info.full[0], None), stored)
        assert caught.value.rule is rule


@pytest.mark.parametrize("harm", ["cut", "longer", "rubbish", "tail", "window"])
def test_a_frame_that_is_not_sound_is_refused(tmp_path: Path, harm: str):
    data = {
        "cut": packed(NEW)[:-50],
        "longer": packed(NEW + b"more"),
        "rubbish": b"no frame at all",
        "tail": packed(NEW) + b"tail",
        "window": streamed(NEW, window_log=27),
    }[harm]  # fmt: skip
    goal = target(full=[blob(data, "zstd")])
    with pytest.raises(RefusedError) as caught:
        made(tmp_path, goal, Way(goal.info.full[0], None), data)
    assert caught.value.rule in (Rule.LENGTH, Rule.FORMAT)


def test_an_image_in_a_slot_that_has_rotted_is_refused(tmp_path: Path):
    rotten = held(NEW)._replace(read=lambda at, size: OTHER[:1] * size if at == 0 else NEW[at : at + size])
    with pytest.raises(RefusedError) as caught:
        made(tmp_path, target(), Way(None, rotten), b"")
    assert caught.value.rule is Rule.HASH
