"""What a tap becomes: permits, numbers, pseudonyms; cards that are lifted, slow, or two at once."""

import json

import pytest

from drivers.card_reader import CardReaderConfig, CardReaderDriver
from drivers.contactless_card import CardApplicationConfig, CardFileConfig
from drivers.driver import Driver
from drivers.errors import DeviceRefusedError
from drivers.pn532_reader import CardLiftedError, Pn532Reader
from drivers.ports.memory_port import MemoryPort
from drivers.tests.bench_of_one import LoopClock, until
from drivers.tests.card_reader_rig import (
    APPLICATIONS,
    NUMBER,
    OWNER,
    PERMIT,
    PERMIT_FIELDS,
    Book,
    card_a,
    card_b,
    files,
    pseudonym,
    rig,
    uid_card,
)
from emulators.card_files import Application, BinaryFile, CardFiles
from emulators.contactless_cards import LiftPlan, TypeACard
from protocols.iso14443.activation import ats
from protocols.pn532.command import StatusAndData
from protocols.pn532.errors import Status
from protocols.pn532.initiator_commands import InDataExchange
from protocols.pn532.target_data import TypeATarget


def test_it_has_the_face_of_a_driver():
    driver: Driver = CardReaderDriver(CardReaderConfig(name="r"), MemoryPort(), Book(), LoopClock(), pseudonym)
    assert driver.name == "r"
    assert driver.points == ()
    assert driver.status()["state"] == "closed"


async def test_a_permit_is_selected_and_its_files_are_read():
    async with rig(card_a(), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        event = r.book.events[0]
        assert (event.device, event.kind, event.severity) == ("reader-1", "tap", "info")
        assert event.data == {
            "identity": pseudonym(NUMBER),
            "identity_from": "number",
            "card": "A",
            "sak": 0x20,
            "ats": "0578804002",
            "application": "permit",
            "fields": PERMIT_FIELDS,
            "result": "ok",
            "duration_ms": event.data["duration_ms"],
        }
        assert event.data["duration_ms"] < 500
        assert r.book.returns == 1
        status = r.driver.status()
        assert status["firmware"] == "1.6"
        assert status["taps"]["ok"] == 1


async def test_nobody_learns_who_tapped():
    async with rig(card_a(), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        told = json.dumps([event.data for event in r.book.events]) + json.dumps(r.driver.status())
        for secret in (NUMBER.decode(), NUMBER.hex(), OWNER.decode(), OWNER.hex(), "04a1b2c3d4e5f6", "a1b2c3"):
            assert secret not in told.lower()


async def test_a_serial_number_among_the_historical_bytes_stays_here():
    """As processor cards for transit and permits have it: the UID stands at the end of their ATS."""
    uid = "b58b6c5f"
    answer = ats(fwi=8, historical_bytes=bytes.fromhex("2090000000000000" + uid))
    async with rig(card_a(uid, answer=answer), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["result"] == "ok"
        assert r.book.taps[0]["ats"] == "0578808002"
        assert uid not in json.dumps([event.data for event in r.book.events])


@pytest.mark.parametrize("piece", [b"", b"x" * 200], ids=["empty", "full"])
async def test_a_card_that_never_ends_its_answer_is_given_up(monkeypatch, piece):
    """Also one that says "more" and then gives nothing, for ever."""
    reader = Pn532Reader(MemoryPort(), LoopClock(), "reader-1", answer_s=1)
    asked = 0

    async def ever_more(_command):
        nonlocal asked
        asked += 1
        assert asked < 1_000
        return StatusAndData(Status(more_information=True), piece)

    monkeypatch.setattr(reader, "_exchange_piece", ever_more)
    with pytest.raises(CardLiftedError, match="never ends its answer"):
        await reader.transceive(TypeATarget(1, b"\x00\x04", 0x20, b"1234"), b"\x00\xa4")


async def test_a_card_of_type_b_is_read():
    async with rig(card_b(), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        (tap,) = r.book.taps
        assert (tap["card"], tap["result"], tap["identity"]) == ("B", "ok", pseudonym(NUMBER))
        assert tap["protocol"] == "00000000008141"
        assert "01020304" not in json.dumps(tap)
        await r.presence_checks()
        assert len(r.book.taps) == 1


async def test_a_card_of_type_b_without_a_number_is_known_by_its_pupi():
    async with rig(card_b()) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["identity"] == pseudonym(b"\x01\x02\x03\x04")
        assert r.book.taps[0]["identity_from"] == "pupi"


async def test_without_applications_a_tap_is_the_uid():
    async with rig(uid_card()) as r:
        await r.book.until(lambda: r.book.taps)
        (tap,) = r.book.taps
        assert (tap["identity"], tap["identity_from"], tap["result"]) == (pseudonym(b"\x11\x22\x33\x44"), "uid", "ok")
        assert tap["sak"] == 8
        assert tap["fields"] == {}


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (uid_card(), "the card has no applications"),
        (card_a(held=CardFiles([])), "none of the applications is on the card"),
        (card_a(held=CardFiles([Application(PERMIT)])), "number cannot be read (6a82)"),
    ],
)
async def test_a_card_that_has_nothing_to_read_is_refused(card, reason):
    async with rig(card, application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        assert (r.book.taps[0]["result"], r.book.taps[0]["reason"]) == ("refused", reason)


@pytest.mark.parametrize("make", [card_a, card_b, uid_card, lambda: card_a(None), lambda: card_b(None)])
async def test_a_card_left_on_the_reader_is_one_tap(make):
    card = make()
    async with rig(card, application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        if isinstance(card, TypeACard) and card.files is None:
            await r.look_again(10)
        else:
            await r.presence_checks(10)
        assert len(r.book.taps) == 1


@pytest.mark.parametrize("make", [card_a, card_b, uid_card])
async def test_a_machine_that_stands_still_makes_no_second_tap_of_a_card_that_lies(make, monkeypatch):
    card = make()
    async with rig(card, application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        later_s = 0.0
        monotonic = LoopClock.monotonic
        monkeypatch.setattr(LoopClock, "monotonic", lambda clock: monotonic(clock) + later_s)
        for _stall in range(5):
            later_s += 10.0
            await (r.look_again(2) if make is uid_card else r.presence_checks(2))
        assert len(r.book.taps) == 1
        r.chip.lift(card)
        await r.look_again(4)
        later_s += 10.0
        r.chip.place(card)
        await r.book.until(lambda: len(r.book.taps) == 2)


@pytest.mark.parametrize("make", [card_a, lambda: card_a(None), card_b, lambda: card_b(None)])
async def test_a_card_that_comes_back_soon_is_the_same_tap_and_later_another(make):
    card = make()
    async with rig(card, application=APPLICATIONS, debounce_s=2.0) as r:
        await r.book.until(lambda: r.book.taps)
        for _ in range(3):
            r.chip.lift(card)
            await r.look_again()
            r.chip.place(card)
            await r.presence_checks()
        assert len(r.book.taps) == 1
        r.chip.lift(card)
        left = LoopClock().monotonic()
        await until(lambda: LoopClock().monotonic() > left + 2.1)
        r.chip.place(card)
        await r.book.until(lambda: len(r.book.taps) == 2)


async def test_two_people_with_random_uids_are_told_apart_by_their_numbers():
    first, second = card_a(None), card_a(None, held=files(b"3104890099999999"))
    async with rig(first, application=APPLICATIONS, debounce_s=30) as r:
        await r.book.until(lambda: r.book.taps)
        r.chip.lift(first)
        r.chip.place(second)
        await r.book.until(lambda: len(r.book.taps) == 2)
        assert r.book.taps[0]["identity"] != r.book.taps[1]["identity"]


async def test_a_random_uid_without_a_number_has_no_identity():
    async with rig(card_a(None)) as r:
        await r.book.until(lambda: r.book.taps)
        assert "identity" not in r.book.taps[0]
        await r.presence_checks(5)
        assert len(r.book.taps) == 1


@pytest.mark.parametrize(
    "pair",
    [
        lambda: (card_a("04000000000001"), card_a("04000000000002")),
        lambda: (uid_card("11223344"), uid_card("11223345")),
        lambda: (card_a(), card_b()),
        lambda: (card_b("01020304"), card_b("01020305")),
        lambda: (card_a(), uid_card()),
    ],
)
async def test_two_cards_are_not_read(pair):
    first, second = pair()
    async with rig(first, second, application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.events)
        await r.look_again(3)
        assert [(event.kind, event.data) for event in r.book.events] == [("one-card-only", {"cards": 2})]
        r.chip.lift(second)
        await r.book.until(lambda: r.book.taps)
        assert len(r.book.events) == 2


@pytest.mark.parametrize("is_answered", [True, False])
@pytest.mark.parametrize("make", [card_a, card_b])
async def test_a_card_lifted_at_any_frame_leaves_a_reader_that_reads_the_next(make, is_answered):
    """field_failures row 29, as far as reading goes: usable within a second, whatever the card was doing."""
    async with rig(application=APPLICATIONS, debounce_s=0.0) as r:
        await r.book.until(lambda: r.book.returns)
        for frame in range(1, 200):
            leaving, next_card = make(lift=LiftPlan(frame, is_answered)), card_a("11111100")
            before = len(r.book.taps)
            r.chip.place(leaving)
            await until(lambda card=leaving, at=before: card not in r.chip.field.cards or len(r.book.taps) > at)
            stayed = leaving in r.chip.field.cards
            r.chip.lift(leaving)
            left = LoopClock().monotonic()
            r.chip.place(next_card)
            await r.book.until(lambda: r.book.taps and r.book.taps[-1]["identity"] == pseudonym(NUMBER), 1.0)
            await r.presence_checks(1)
            assert LoopClock().monotonic() - left < 1.0
            assert all(tap["result"] in {"ok", "lifted"} for tap in r.book.taps[before:])
            r.chip.lift(next_card)
            await r.look_again()
            if stayed:
                break
        else:
            raise AssertionError("it never stayed to the end")
        results = [tap["result"] for tap in r.book.taps]
        assert "lifted" in results
        assert r.task.done() is False


async def test_a_lifted_card_tells_what_was_read_and_may_be_tapped_again_at_once():
    card = card_a(lift=LiftPlan(11))
    async with rig(card, application=APPLICATIONS, debounce_s=5) as r:
        await r.book.until(lambda: r.book.taps)
        (tap,) = r.book.taps
        assert tap["result"] == "lifted"
        assert tap["identity_from"] in {"uid", "number"}
        assert set(tap["fields"]) < set(PERMIT_FIELDS)
        r.chip.place(card)
        await r.book.until(lambda: len(r.book.taps) == 2)
        assert r.book.taps[1]["result"] == "ok"
        assert r.driver.status()["taps"] == {"ok": 1, "lifted": 1, "refused": 0, "one_card_only": 0}


async def test_a_card_that_flutters_is_lifted_once():
    async with rig(application=APPLICATIONS, debounce_s=5) as r:
        for _ in range(4):
            card = card_a(lift=LiftPlan(9))
            r.chip.place(card)
            await until(lambda: not r.chip.field.cards)
            await r.look_again()
        assert [tap["result"] for tap in r.book.taps] == ["lifted"]


async def test_a_slow_card_is_waited_for():
    async with rig(card_a(think_s=0.05), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["result"] == "ok"
        assert r.book.taps[0]["duration_ms"] > 250


async def test_a_card_that_takes_for_ever_is_given_up_within_its_time():
    async with rig(card_a(think_s=60, answer=ats(fwi=14)), application=APPLICATIONS, answer_s=0.2) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["result"] == "lifted"
        assert r.book.taps[0]["duration_ms"] < 400
        await r.look_again(1)  # the chip was told to stop and goes on


async def test_answers_in_many_pieces_are_put_together():
    held = files(answers_with_61=True)
    async with rig(card_a(held=held, answer=ats(fsc=16, fwi=4)), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["fields"] == PERMIT_FIELDS


async def test_it_takes_no_commands():
    driver = CardReaderDriver(CardReaderConfig(name="r"), MemoryPort(), Book(), LoopClock(), pseudonym)
    with pytest.raises(DeviceRefusedError):
        await driver.command("card.eject", {})


async def test_nothing_is_sent_twice_to_a_card():
    async with rig(card_a(), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        asked = [one.data for one in r.chip.commands if isinstance(one, InDataExchange)]
        assert len(asked) == len(set(asked))


async def test_text_from_a_card_is_cleaned():
    held = CardFiles([Application(PERMIT, [BinaryFile(1, b"A\x1b[2J\xe4\nB  \x00\xff", short_id=1)])])
    application = CardApplicationConfig(
        name="x", aid=PERMIT.hex(), file=(CardFileConfig(name="a", short_id=1, encoding="ascii"),)
    )
    async with rig(card_a(held=held), application=(application,)) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["fields"] == {"a": "A\ufffd[2J\ufffd\ufffdB"}
