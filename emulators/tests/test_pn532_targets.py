"""Cards in the emulated PN532's field: listed, picked, selected, woken up, released."""

import pytest

from emulators.contactless_cards import CardState, TypeACard
from emulators.pn532_radio import FIFO_DATA, without_cascade_tags
from emulators.tests.pn532_bench import AUTO_RATS, OTHER, PERMIT, Bench, card_a, card_b
from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.iso14443.apdu import read_binary
from protocols.iso14443.apdu import select_by_name as by_name
from protocols.iso14443.type_b import Atqb
from protocols.pn532 import chip_commands as chip
from protocols.pn532.command import StatusAndData, StatusResponse
from protocols.pn532.errors import ErrorCode, Status
from protocols.pn532.host import Abort, Aborted, Refused, Request
from protocols.pn532.initiator_commands import (
    InAutoPoll,
    InDataExchange,
    InDeselect,
    InListPassiveTarget,
    InRelease,
    InSelect,
    ListedTargets,
    PolledTargets,
)


def test_a_card_is_listed_with_its_ats_when_auto_rats_is_on():
    bench = Bench(card_a()).open()
    (target,) = bench.list_a()
    assert target.nfcid1.hex() == "04a1b2c3d4e5f6"
    assert (target.sens_res.hex(), target.sel_res, target.ats.hex()) == ("0044", 0x20, "0578804002")
    assert bench.ask(chip.GetGeneralStatus()).targets == (chip.TargetState(1),)
    bench = Bench(card_a()).open(chip.SetParameters(0))
    (target,) = bench.list_a()
    assert target.ats == b""
    answer = bench.ask(InDataExchange(1, b"\x00\xa4\x04\x00"))
    assert answer.status.error_code == ErrorCode.CONTEXT


def test_type_b_is_activated_by_the_chip():
    bench = Bench(card_b()).open()
    (target,) = bench.list_b()
    assert target.atqb.hex() == "50" + "01020304" + "00000000" + "00" + "8181"
    assert target.attrib_res == b"\x01"
    assert bench.apdu(by_name(PERMIT)).ok
    assert bench.apdu(read_binary(0, 6, short_id=0x15)).data == b"permit"
    assert bench.ask(InDeselect(0)) == StatusResponse()
    assert bench.list_b() == []


def test_a_type_b_card_of_another_family_is_silent():
    bench = Bench(card_b(atqb=Atqb(b"", afi=0x10, timing=0x41))).open()
    assert bench.list_b(data=b"\x20") == []
    assert bench.list_b(data=b"\x10")


def test_a_card_without_iso_dep_shows_its_uid_only():
    bench = Bench(TypeACard(b"\x11\x22\x33\x44", sak=0x08)).open()
    (target,) = bench.list_a()
    assert (target.nfcid1.hex(), target.sel_res, target.ats) == ("11223344", 8, b"")
    assert bench.ask(InDataExchange(1, b"\x30\x00")).status.error_code == ErrorCode.TIMEOUT


@pytest.mark.parametrize("count", [1, 2])
def test_nobody_there(count):
    bench = Bench().open()
    before = bench.now
    assert bench.list_a(count) == []
    assert bench.list_b(count) == []
    assert bench.chip.settings.registers[FIFO_DATA] == 0x26  # REQA is still in the FIFO: no card answered
    assert bench.now - before < 0.2
    for modulation in (1, 2, 4):
        assert bench.ask(InListPassiveTarget(1, modulation, b"\x00\xff\xff\x01\x00")) == ListedTargets()


def test_endless_retries_stay_pending_until_the_host_stops_them():
    card = card_a()
    bench = Bench()
    bench.ask(chip.SamConfiguration())
    bench.ask(AUTO_RATS)
    bench.host.send(Request(InListPassiveTarget(1, 0), 100.0), bench.now)
    bench.move(bench.chip.receive(bench.host.bytes_to_send(), bench.now))
    bench.pass_time(3.0)
    assert bench.host.next_event() is NEED_DATA
    bench.host.send(Abort(), bench.now)
    assert isinstance(bench.wait(), Aborted)
    bench.host.send(Request(InListPassiveTarget(1, 0), 100.0), bench.now)
    bench.move(bench.chip.receive(bench.host.bytes_to_send(), bench.now))
    bench.pass_time(1.0)
    bench.chip.place(card)
    assert bench.wait().response.count == 1


def test_two_cards_are_listed_and_spoken_to_in_turn():
    first, second = card_a("04000000000001"), card_a("04000000000002")
    bench = Bench(first, second).open()
    targets = bench.list_a(2)
    assert sorted(target.nfcid1.hex() for target in targets) == ["04000000000001", "04000000000002"]
    for target in targets:
        assert bench.apdu(by_name(PERMIT), target.tg).ok
    assert len(first.commands) == len(second.commands) == 1
    assert bench.list_a() == []  # both are active and hear no request
    assert bench.ask(InDeselect(0)) == StatusResponse()


def test_two_cards_without_iso_dep_are_woken_up_in_turn():
    bench = Bench(TypeACard(b"\x11\x22\x33\x44", sak=8), TypeACard(b"\x11\x22\x33\x45", sak=8, name="2")).open()
    assert len(bench.list_a(2)) == 2
    assert {card.state for card in bench.chip.field.cards} == {CardState.HALT, CardState.ACTIVE}
    assert bench.ask(InDeselect(0)) == StatusResponse()
    assert {card.state for card in bench.chip.field.cards} == {CardState.HALT}
    assert bench.ask(InSelect(1)) == StatusResponse()


def test_one_card_is_left_selected_when_two_were_asked_for():
    bench = Bench(TypeACard(b"\x11\x22\x33\x44", sak=8)).open()
    assert len(bench.list_a(2)) == 1
    assert bench.chip.field.cards[0].state is CardState.ACTIVE


def test_a_card_is_picked_by_its_uid():
    bench = Bench(card_a("04000000000001"), card_a("04000000000002"), card_a("11223344")).open()
    (target,) = bench.list_a(1, bytes.fromhex("8804000000000002"))
    assert target.nfcid1.hex() == "04000000000002"
    bench.ask(InRelease(0))
    (target,) = bench.list_a(1, bytes.fromhex("11223344"))
    assert target.nfcid1.hex() == "11223344"


def test_cascade_tags_are_taken_out():
    assert without_cascade_tags(b"") == b""
    assert without_cascade_tags(bytes.fromhex("88040000" + "00000002")).hex() == "04000000000002"
    assert without_cascade_tags(bytes.fromhex("88010203" + "88040506" + "0708090a")).hex() == "0102030405060708090a"
    with pytest.raises(LocalProtocolError):
        without_cascade_tags(b"\x01\x02")
    bench = Bench().open()
    assert isinstance(bench.run(InListPassiveTarget(1, 0, b"\x01")), Refused)


def test_selecting_deselecting_releasing():
    bench = Bench(card_a()).open()
    bench.list_a()
    assert bench.ask(InDeselect(1)) == StatusResponse()
    assert bench.list_a() == []  # a halted card hears no REQA
    bench.ask(chip.RfConfiguration(chip.RF_FIELD, b"\x00"))
    bench.list_a()
    bench.ask(InDeselect(1))
    assert bench.ask(InSelect(1)) == StatusResponse()
    assert bench.apdu(by_name(PERMIT)).ok
    bench.ask(InDeselect(1))
    assert bench.apdu(by_name(OTHER)).ok  # the chip wakes it up by itself
    assert bench.ask(InRelease(1)) == StatusResponse()
    assert bench.ask(InRelease(1)) == StatusResponse(Status(ErrorCode.CONTEXT))
    assert bench.ask(InRelease(0)) == StatusResponse()
    assert bench.ask(InDataExchange(1, b"")) == StatusAndData(Status(ErrorCode.CONTEXT))


def test_a_card_that_is_gone_cannot_be_selected():
    for card, listing in ((card_a(), Bench.list_a), (card_b(), Bench.list_b)):
        bench = Bench(card).open()
        listing(bench)
        bench.ask(InDeselect(1))
        bench.chip.lift(card)
        assert bench.ask(InSelect(1)) == StatusResponse(Status(ErrorCode.TIMEOUT))


def test_type_b_is_woken_up_too():
    bench = Bench(card_b()).open()
    bench.list_b()
    bench.ask(InDeselect(1))
    assert bench.ask(InSelect(1)) == StatusResponse()
    assert bench.apdu(by_name(PERMIT)).ok


def test_attention_says_whether_a_card_is_still_there():
    card = card_a()
    bench = Bench(card).open()
    assert bench.ask(chip.Diagnose(6)).data[0] == ErrorCode.CONTEXT
    bench.list_a()
    assert bench.ask(chip.Diagnose(6)).data == b"\x00"
    assert bench.apdu(by_name(PERMIT)).ok  # and does not disturb it
    bench.chip.lift(card)
    assert bench.ask(chip.Diagnose(6)).data[0] == ErrorCode.TIMEOUT
    assert bench.ask(chip.Diagnose(6)).data[0] == ErrorCode.TIMEOUT


def test_polling_for_several_types():
    bench = Bench(card_b()).open()
    polled = bench.ask(InAutoPoll(1, 1, (0x20, 0x23)))
    assert [target.type for target in polled.targets] == [0x23]
    assert bench.apdu(by_name(PERMIT)).ok
    bench = Bench(TypeACard(b"\x11\x22\x33\x44", sak=8)).open()
    assert bench.ask(InAutoPoll(1, 1, (0x20, 0x11))) == PolledTargets()
    assert bench.ask(InAutoPoll(2, 1, (0x10,))).targets[0].type == 0x10
    bench = Bench().open()
    before = bench.now
    assert bench.ask(InAutoPoll(2, 2, (0x00, 0x03))) == PolledTargets()
    assert bench.now - before == pytest.approx(4 * 0.3, abs=0.1)
