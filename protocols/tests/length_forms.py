"""What holds for any format whose frames say how long they are (`protocols/length_framer.py`), one body for all.

`frame_bytes`: a whole frame as it is on the wire.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, RemoteProtocolError
from protocols.length_framer import MAX_PIECE, FrameForm, LengthFramer
from protocols.tests.kit import drip, frames_of, noisy, pieces, refusal_of

Form = FrameForm[Any]
Encode = Callable[[Any], bytes]

_MODEST = settings(derandomize=True, deadline=None, max_examples=60)


def check_any_split(form: Form, encode: Encode, frames: st.SearchStrategy[Any]) -> None:
    """Any frames come back, however the stream is cut."""

    @_MODEST
    @given(st.lists(frames, min_size=1, max_size=3), st.integers(0, 99))
    def check(sent: list[Any], seed: int) -> None:
        wire = b"".join(map(encode, sent))
        framer: LengthFramer[Any] = LengthFramer(form)
        found = []
        for piece in pieces(wire, seed):
            framer.feed(piece)
            found += frames_of(framer)
        assert found == sent
        assert drip(LengthFramer(form), wire) == sent
        assert framer.discarded_bytes == framer.waiting == 0

    check()


def check_any_bytes(form: Form, encode: Encode, head: bytes) -> None:
    """Any bytes, with a head before them or without, are a frame that is written back, or refused with a place."""

    @_MODEST
    @given(st.booleans(), st.binary(max_size=100))
    def check(has_head: bool, data: bytes) -> None:
        wire = head * has_head + data
        if (refusal := refusal_of(form.decode, wire)) is None:
            assert encode(form.decode(wire)) == wire
        else:
            assert refusal.offset is not None
            assert 0 <= refusal.offset <= len(wire)
            assert refusal.raw == b""

    check()


def check_flood(form: Form, encode: Encode, frame: Any, longest: bytes, filler: bytes) -> None:
    """The head of a longest frame, then anything: memory is bounded, all is counted, and a frame is found again."""
    framer: LengthFramer[Any] = LengthFramer(form)
    fed = 0
    for piece in (longest, *(filler * MAX_PIECE for _ in range(80))):
        framer.feed(piece)
        fed += len(piece)
        frames_of(framer)
        assert framer.waiting <= form.max_frame_bytes + MAX_PIECE
    framer.silence()
    assert framer.next_frame() is NEED_DATA
    assert (framer.discarded_bytes, framer.waiting) == (fed, 0)
    framer.feed(encode(frame))
    assert framer.next_frame() == frame


def check_byte_by_byte(form: Form, frame_bytes: bytes) -> None:
    """Two frames, a byte at a time."""
    framer: LengthFramer[Any] = LengthFramer(form)
    assert drip(framer, frame_bytes * 2) == [form.decode(frame_bytes)] * 2
    assert framer.discarded_bytes == framer.waiting == 0


def check_in_noise(form: Form, frame_bytes: bytes) -> None:
    """After noise frames are found again within one ceiling."""
    framer: LengthFramer[Any] = LengthFramer(form)
    ceiling = form.max_frame_bytes + MAX_PIECE
    found = noisy(framer, frame_bytes, seed=len(frame_bytes), ceiling=ceiling)
    assert found[-1] == form.decode(frame_bytes)
    assert framer.discarded_bytes > 0


def check_false_starts(form: Form, frame_bytes: bytes) -> None:
    """Half a frame, cut anywhere, swallows nothing of the frame behind it."""
    for cut in range(1, len(frame_bytes)):
        framer: LengthFramer[Any] = LengthFramer(form)
        found = drip(framer, frame_bytes[:cut] + frame_bytes)
        framer.silence()  # a head that was cut may have announced more than there is
        found += frames_of(framer)
        assert found == [form.decode(frame_bytes)]
        assert framer.discarded_bytes == cut


def check_cut_or_longer(form: Form, frame_bytes: bytes) -> None:
    """A frame that is cut short or goes on is refused, with the place within what there is."""
    for end in range(len(frame_bytes)):
        with pytest.raises(RemoteProtocolError) as caught:
            form.decode(frame_bytes[:end])
        assert caught.value.offset is not None
        assert 0 <= caught.value.offset <= end
    with pytest.raises(RemoteProtocolError):
        form.decode(frame_bytes + b"\x00")
