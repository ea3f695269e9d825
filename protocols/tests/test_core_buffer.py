"""The framers' buffer, held against a plain `bytes` that does the same the slow way."""

import doctest
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core import buffer
from protocols.core.buffer import ByteBuffer

step = st.one_of(st.binary(max_size=20), st.integers(0, 12))


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 16), st.lists(step, max_size=40))
def test_it_holds_the_newest_bytes_up_to_the_ceiling(ceiling, steps):
    ours = ByteBuffer(ceiling)
    model = b""
    for what in steps:
        if isinstance(what, bytes):
            model += what
            lost = max(0, len(model) - ceiling)
            model = model[lost:]
            assert ours.append(what) == lost
        else:
            ours.drop(what)
            model = model[what:]
        assert len(ours) == len(model) <= ceiling
        assert ours.peek(0, ceiling + 5) == model
        assert [ours[i] for i in range(len(model))] == list(model)


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=30), st.binary(min_size=1, max_size=2), st.integers(0, 30), st.integers(0, 9))
def test_find_sees_only_what_is_kept(data, wanted, start, dropped):
    ours = ByteBuffer(40)
    ours.append(b"xx" + data)
    ours.drop(dropped + 2)
    at = data[dropped:].find(wanted, start)
    assert ours.find(wanted, start) == (None if at < 0 else at)


def test_clear_tells_how_much_is_gone():
    ours = ByteBuffer(8)
    ours.append(b"abc")
    assert ours.clear() == 3
    assert ours.clear() == 0
    assert ours.peek(0, 8) == b""


def test_single_bytes_in_and_out_of_a_full_buffer_move_each_byte_once_at_most():
    """100 000 bytes through a full buffer of 64 KiB: quadratic copying would move 6.5 GB."""
    ours = ByteBuffer(65_536)
    ours.append(bytes(65_535))
    started = time.process_time()
    for _ in range(100_000):
        ours.append(b"x")
        ours.drop(1)
    assert time.process_time() - started < 2
    assert len(ours) == 65_535


def test_examples_in_the_docstring():
    assert doctest.testmod(buffer).failed == 0
