"""What the operating system says of its clock."""

from typing import Any

import pytest

from edge.gateway.system_time import SystemClock


def test_the_real_system_is_read_and_believed_within_reason() -> None:
    first = SystemClock().read()
    second = SystemClock().read()
    assert 0 <= second.wall_ms - first.wall_ms < 5000
    assert isinstance(first.is_kept, bool)


@pytest.mark.parametrize(
    ("state", "status", "maxerror", "is_kept"),
    [(0, 0x2001, 16_000, True), (1, 0x2001, 0, True), (0, 0x2041, 16_000, False), (5, 0x2001, 0, False),
     (-1, 0, 0, False), (0, 0x2001, 16_000_000, False)],
)  # fmt: skip
def test_what_the_kernel_means(state: int, status: int, maxerror: int, is_kept: bool) -> None:
    def adjtimex(pointer: Any) -> int:
        timex = pointer._obj
        assert timex.modes == 0, "asked to set, not to tell"
        timex.status, timex.maxerror = status, maxerror
        return state

    system = SystemClock()
    system._adjtimex = adjtimex
    assert system.read().is_kept == is_kept


def test_a_system_without_adjtimex_has_nobody_who_keeps_its_clock() -> None:
    system = SystemClock()
    system._adjtimex = None
    assert not system.read().is_kept
