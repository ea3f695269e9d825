"""The search that framers of formats with a length share, with a format of its own."""

import pytest

from protocols.core.errors import NEED_DATA, ChecksumError, FrameError, NeedData
from protocols.core.frame_search import VAIN_BYTES_A_BYTE, VAIN_FRAMES, FrameSearch
from protocols.tests.kit import drip, frames_of

LONGEST = 12


class Framer(FrameSearch):
    """`abc` or `#`, length of the whole, anything, and `.` as a check. Length `!` is none, others are refused."""

    def __init__(self, max_piece: int = 0) -> None:
        super().__init__((b"abc", b"#"), LONGEST, max_piece)

    def next_frame(self) -> bytes | NeedData:
        return self._search(self._size, self._decode)

    def _size(self) -> int:
        at = 1 if self._buffer[0] == ord("#") else 3
        if len(self._buffer) <= at:
            return at + 1
        digit = chr(self._buffer[at])
        if not digit.isalnum() and digit != "!":
            raise FrameError("no length")
        return 0 if digit == "!" else int(digit, 36)

    def _decode(self, wire: bytes) -> bytes:
        if wire[-1:] != b".":
            raise ChecksumError("no dot")
        return wire


def found(data: bytes) -> tuple[list[bytes], int, int, int]:
    framer = Framer(64)
    framer.feed(data)
    return frames_of(framer), framer.discarded_bytes, framer.bad_checks, framer.waiting


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"abc6x.#4x.", ([b"abc6x.", b"#4x."], 0, 0, 0)),
        (b"noise#4x.", ([b"#4x."], 5, 0, 0)),
        (b"#4x.noise", ([b"#4x."], 5, 0, 0)),
        (b"abc#4x.", ([b"#4x."], 3, 0, 0)),
        (b"aab", ([], 1, 0, 2)),
        (b"xabca", ([], 1, 0, 4)),
        (b"#!#?#4x.", ([b"#4x."], 4, 0, 0)),
        (b"#9#4x.#4y-z.", ([b"#4x."], 8, 2, 0)),
        (b"#d#4x.", ([b"#4x."], 2, 0, 0)),
        (b"#c#4x.", ([], 0, 0, 6)),
    ],
    ids=["both starts", "before", "behind", "false start", "begun", "half a head", "none", "checks", "long", "waits"],
)
def test_what_is_found_thrown_away_and_kept(data: bytes, expected: object) -> None:
    assert found(data) == expected


def test_byte_by_byte_it_finds_the_same() -> None:
    assert drip(Framer(), b"ab-abc6x.ab#4x.") == [b"abc6x.", b"#4x."]


@pytest.mark.parametrize("half", [b"#", b"#9", b"a", b"ab", b"abc", b"abc9xx"])
def test_what_half_a_frame_held_up_comes_once_it_is_silent(half: bytes) -> None:
    framer = Framer()
    framer.feed(half)
    assert (framer.next_frame(), framer.waiting) == (NEED_DATA, len(half))
    framer.silence()
    assert (framer.next_frame(), framer.waiting, framer.discarded_bytes) == (NEED_DATA, 0, len(half))
    framer.feed(b"#4")
    assert framer.next_frame() is NEED_DATA
    framer.feed(b"x.")
    assert framer.next_frame() == b"#4x."


def test_more_than_fits_pushes_out_the_oldest() -> None:
    framer = Framer()
    framer.feed(b"#4x." * 4)
    assert (len(frames_of(framer)), framer.discarded_bytes) == (3, 4)


class LongFramer(Framer):
    """The same with frames of up to 36 times 100 bytes, and it counts what it is given to decode."""

    def __init__(self) -> None:
        FrameSearch.__init__(self, (b"#",), 3600, 400)
        self.decoded_bytes = 0

    def _size(self) -> int:
        return 100 * super()._size() if len(self._buffer) > 1 else 2

    def _decode(self, wire: bytes) -> bytes:
        self.decoded_bytes += len(wire)
        return super()._decode(wire)


def test_bytes_that_are_a_false_start_again_and_again_take_time_in_proportion() -> None:
    framer = LongFramer()
    fed = 0
    for _ in range(1000):
        framer.feed(b"#z" * 200)
        fed += 400
        assert framer.next_frame() is NEED_DATA
    assert framer.discarded_bytes > fed - 4000
    assert framer.decoded_bytes <= fed * VAIN_BYTES_A_BYTE + VAIN_FRAMES * 3600
    found = []
    frame = b"#1" + b"x" * 97 + b"."
    for _ in range(100):
        framer.feed(frame)
        found += frames_of(framer)
    assert found[-60:] == [frame] * 60


def test_some_false_starts_never_swallow_a_true_frame() -> None:
    framer = LongFramer()
    frame = b"#1" + b"x" * 97 + b"."
    for _ in range(50):
        framer.feed(b"#z" * (VAIN_FRAMES - 1) + frame + b"-" * 3600)
        assert frames_of(framer) == [frame]
