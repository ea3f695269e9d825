"""Which card is in front of the emulated reader when, and the world file that says so."""

import pytest

from emulators.contactless_cards import LiftPlan, TypeACard, TypeBCard
from emulators.pn532 import Pn532Emulator
from emulators.pn532_visits import Visit, read_world


def test_visits_come_and_go_and_the_truth_is_told():
    truth = []
    cards = [TypeACard(b"\x11\x22\x33\x44", name="anna"), TypeBCard(b"\x01\x02\x03\x04", name="bert")]
    visits = [Visit(at_s=1.0, for_s=0.5, every_s=2.0, card="anna"), Visit(at_s=1.2, for_s=0.2, card="bert")]
    chip = Pn532Emulator(cards, visits, on_truth=lambda now, what, name: truth.append((round(now, 3), what, name)))
    now = 100.0
    while now <= 104.0:
        assert chip.tick(now) == []
        now = chip.next_deadline()
    assert truth == [
        (101.0, "placed", "anna"),
        (101.2, "placed", "bert"),
        (101.4, "lifted", "bert"),
        (101.5, "lifted", "anna"),
        (103.0, "placed", "anna"),
        (103.5, "lifted", "anna"),
    ]


def test_visits_that_were_slept_through_are_caught_up_in_order():
    truth = []
    cards = [TypeACard(b"\x11\x22\x33\x44", name="anna")]
    visits = [Visit(at_s=0.0, for_s=1.0, every_s=2.0, card="anna")]
    chip = Pn532Emulator(cards, visits, on_truth=lambda _now, what, _name: truth.append(what))
    chip.tick(0.0)
    chip.tick(4.5)
    assert truth == ["placed", "lifted", "placed", "lifted", "placed"]


WORLD = {
    "card": [
        {
            "name": "anna",
            "uid": "04a1b2c3d4e5f6",
            "fwi": 4,
            "visit": [{"at_s": 0.5, "for_s": 1.0, "every_s": 3.0, "lift_after_frames": 500, "lift_is_answered": False}],
            "application": [
                {
                    "name": "a000000632010105",
                    "label": "PERMIT",
                    "id": 4097,
                    "file": [
                        {"id": 21, "short_id": 21, "text": "permit 4711"},
                        {"id": 22, "data": "0102"},
                        {"id": 24, "short_id": 24, "records": ["aa", "bb"]},
                    ],
                }
            ],
        },
        {"name": "tag", "kind": "uid_only", "uid": "11223344"},
        {"name": "b", "kind": "type_b", "uid": "random", "think_s": 0.01, "answers_with_61": True},
    ]
}


def test_a_world_is_read_from_a_table():
    cards, visits = read_world(WORLD)
    assert [(type(card), card.name) for card in cards] == [(TypeACard, "anna"), (TypeACard, "tag"), (TypeBCard, "b")]
    files = cards[0].files
    assert files.process(bytes.fromhex("00a4040008a00000063201010500")).hex().endswith("50065045524d49549000")
    assert files.process(bytes.fromhex("00b0950000")) == b"permit 4711\x90\x00"
    assert files.process(bytes.fromhex("00b201c400")) == b"\xaa\x90\x00"
    assert cards[1].files is None
    chip = Pn532Emulator(cards, visits)
    chip.tick(0.0)
    chip.tick(0.6)
    assert chip.field.cards == [cards[0]]
    assert cards[0].lift == LiftPlan(500, is_answered=False)


@pytest.mark.parametrize(
    "world",
    [
        {"cards": []},
        {"card": [{"name": "x", "uid": "04"}]},
        {"card": [{"name": "x", "uid": "zz"}]},
        {"card": [{"name": "x", "kind": "type_b", "uid": "0405"}]},
        {"card": [{"name": "x"}, {"name": "x"}]},
        {"card": [{"name": "x", "visit": [{"at_s": -1, "for_s": 1}]}]},
        {"card": [{"name": "x", "application": [{"name": "a0", "file": [{"id": 70_000}]}]}]},
        {"card": [{"name": "x", "application": [{"name": "a"}]}]},
    ],
)
def test_a_bad_world_is_refused(world):
    with pytest.raises(ValueError, match=r".+"):
        read_world(world)


def test_a_visit_of_nobody_is_refused():
    with pytest.raises(ValueError, match="nobody"):
        Pn532Emulator([], [Visit(at_s=0, for_s=1, card="nobody")])
