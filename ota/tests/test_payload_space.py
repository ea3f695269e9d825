"""Whether an update fits is known before it is paid for, and a disk that was full is not believed again at once."""

from pathlib import Path

import pytest

from ota.errors import RefusedError, Rule
from ota.payload.choice import Way
from ota.payload.space import MARGIN_BYTES, NO_SPACE, Room, Space
from ota.storage import PosixStorage
from ota.targets import Target
from ota.testing.slot_world import Release

TARGET = Release(2).target
WAY = Way(TARGET.info.full[0], None)
BLOB = TARGET.length
SLOT = 2 * TARGET.length


class Disk(PosixStorage):
    """One that says of itself what it likes."""

    free = 0

    def free_bytes(self) -> int:
        return self.free


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def fits(disk: Disk, *, free: int, room: Room, missing: int = BLOB, target: Target = TARGET) -> bool:
    """Asked as a process does that has just started."""
    disk.free = free
    try:
        Space(disk, lambda _target: room).check(target, WAY, missing_bytes=missing)
    except RefusedError as error:
        if error.rule is not Rule.SPACE:
            raise
        return False
    return True


@pytest.mark.parametrize(
    ("room", "missing", "needed"),
    [
        (Room(SLOT, 0), BLOB, BLOB + SLOT),
        (Room(SLOT, 0), 100, 100 + SLOT),
        (Room(SLOT, SLOT - 700), BLOB, BLOB + 700),
        (Room(SLOT, SLOT + 700), BLOB, BLOB),
        (Room(0, 0), 100, 100),
    ],
    ids=["an empty slot", "the rest of a blob", "a slot with an older one", "with a larger one", "no slot at all"],
)
def test_the_blob_the_image_and_its_tree_must_fit_beside_what_the_slot_gives_up(
    disk: Disk, room: Room, missing: int, needed: int
):
    assert fits(disk, free=needed + MARGIN_BYTES, room=room, missing=missing)
    assert not fits(disk, free=needed + MARGIN_BYTES - 1, room=room, missing=missing)


def test_what_is_missing_is_said_in_words(disk: Disk):
    with pytest.raises(
        RefusedError, match=r"^space: rsu/gateway/1\.2\.0\.tar: [0-9,]+ bytes are needed .*, 0 are free"
    ):
        Space(disk, lambda _target: Room(SLOT, 0)).check(TARGET, WAY, missing_bytes=BLOB)


def test_a_disk_that_was_full_is_asked_again_when_more_is_free(disk: Disk):
    """It was full with all of the blob here: once that is tidied away it is no freer than it was."""
    room, free = Room(SLOT, 0), 40 * MARGIN_BYTES
    disk.free = free - BLOB
    Space(disk, lambda _target: room).was_full(TARGET, WAY, missing_bytes=0)
    assert not fits(disk, free=free, room=room)
    assert not fits(disk, free=free - 5_000, room=Room(SLOT, 5_000)), "what the slot gives up is no growth"
    assert not fits(disk, free=free + MARGIN_BYTES - 1, room=room)
    smaller, larger = Release(3, size=2_000).target, Release(4, size=50_000).target
    assert not fits(disk, free=free, room=room, target=larger)
    assert disk.size(NO_SPACE) > 0
    assert fits(disk, free=free + MARGIN_BYTES, room=room)
    assert fits(disk, free=free, room=room), "a disk that has grown is believed again"
    disk.free = free
    Space(disk, lambda _target: room).was_full(TARGET, WAY, missing_bytes=BLOB)
    assert fits(disk, free=free, room=room, target=smaller)


def test_a_damaged_note_holds_nothing_up(disk: Disk):
    disk.make_folder("fetch")
    disk.write(NO_SPACE, 0, b"[1, 99999999999]\n00000000\n")
    assert fits(disk, free=BLOB + SLOT + MARGIN_BYTES, room=Room(SLOT, 0))
