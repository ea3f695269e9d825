"""The selector in flash: after a cut inside any operation it says what it said before, or what it was to say."""

import itertools

import pytest

from ota.mcu.errors import SecondaryError
from ota.mcu.selector import ATTEMPTS, RECORD_BYTES, SECTOR_BYTES, Selector
from ota.testing.flash_double import FlashDouble, PowerCutError

A, B = b"a" * 32, b"b" * 32


def says(flash: FlashDouble) -> tuple[int, bool, int] | None:
    """(slot that runs, confirmed, attempts left)"""
    choice = Selector(flash).choice()
    return None if choice is None else (choice.running_slot(), choice.is_confirmed, choice.attempts_left)


def on_trial(*, records_before: int = 0) -> FlashDouble:
    flash = FlashDouble()
    selector = Selector(flash)
    selector.choose(0, A, 0)
    for _ in range(records_before):
        selector.choose(0, A, 0)
    selector.choose(1, B, ATTEMPTS)
    return flash


def test_a_box_that_was_never_updated_says_nothing():
    assert says(FlashDouble()) is None


def test_a_trial_ends_in_the_old_slot_when_its_attempts_are_used_up():
    flash = on_trial()
    for left in (3, 2, 1):
        assert says(flash) == (1, False, left)
        selector = Selector(flash)
        selector.count_attempt(selector.choice())
    assert says(flash) == (0, False, 0)


def test_a_confirmed_set_runs_for_ever_however_often_it_starts():
    flash = on_trial()
    selector = Selector(flash)
    selector.count_attempt(selector.choice())
    selector.confirm(selector.choice())
    for _ in range(20):
        selector.count_attempt(selector.choice())
    assert says(flash)[:2] == (1, True)


def test_a_set_that_is_given_up_runs_no_more():
    flash = on_trial()
    selector = Selector(flash)
    selector.revert(selector.choice())
    assert says(flash)[0] == 0


def test_thousands_of_updates_go_round_the_two_sectors():
    flash = FlashDouble()
    for number in range(1_000):
        Selector(flash).choose(number % 2, B, 0)
        assert says(flash) == (number % 2, True, 0)


def orders(flash: FlashDouble, order: str) -> None:
    selector = Selector(flash)
    if order == "choose":
        selector.choose(0, A, ATTEMPTS)
        return
    {"count": selector.count_attempt, "confirm": selector.confirm, "revert": selector.revert}[order](selector.choice())


@pytest.mark.parametrize("order", ["choose", "count", "confirm", "revert"])
@pytest.mark.parametrize("records_before", [0, 126, 127, 128, 255])
def test_a_cut_inside_any_operation_leaves_before_or_after(order: str, records_before: int):
    """Also where the next record needs a sector erased; and what was cut may be done again."""
    explored = 0
    before = on_trial(records_before=records_before)
    after = FlashDouble()
    after.cells[:] = before.cells
    orders(after, order)
    allowed = {says(before), says(after)}
    for cut, tear, seed in itertools.product(range(after.operations), (0.0, 0.1, 0.5, 0.9, 1.0), range(12)):
        flash = FlashDouble(seed=seed)
        flash.cells[:] = before.cells
        flash.cut_at, flash.tear = cut, tear
        with pytest.raises(PowerCutError):
            orders(flash, order)
        flash.cut_at = -1
        assert says(flash) in allowed, f"cut {cut}, tear {tear}, seed {seed}"
        if says(flash) == says(before):
            orders(flash, order)
        assert says(flash) == says(after), f"again after cut {cut}, tear {tear}, seed {seed}"
        explored += 1
    print(f"{explored} cuts")  # noqa: T201  # a figure that people ask for
    assert explored >= 60


def test_a_bad_cell_costs_a_record_and_a_bad_sector_is_said():
    flash = on_trial()
    flash.stuck = {2 * RECORD_BYTES + 3: 0xFF}
    Selector(flash).choose(0, A, 0)
    assert says(flash) == (0, True, 0)
    flash.stuck = dict.fromkeys(range(2 * SECTOR_BYTES), 0xFF)
    with pytest.raises(SecondaryError, match="no cell of the selector"):
        Selector(flash).choose(1, B, 0)
    assert says(flash) == (0, True, 0), "what was there still counts"


@pytest.mark.parametrize("order", ["count", "confirm", "revert"])
def test_a_cell_that_takes_no_bit_is_said(order: str):
    flash = on_trial()
    at = Selector(flash).choice().at
    flash.stuck = dict.fromkeys(range(at + 24, at + 27), 0xFF)
    with pytest.raises(SecondaryError, match="does not take a bit"):
        orders(flash, order)


def test_rubbish_in_flash_is_no_record():
    flash = FlashDouble(seed=3)
    flash.cells[:] = bytes((index * 7) & 0xFF for index in range(2 * SECTOR_BYTES))
    assert says(flash) is None
    Selector(flash).choose(1, B, 0)
    assert says(flash) == (1, True, 0)
