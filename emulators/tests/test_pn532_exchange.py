"""What the emulated PN532 carries to a card and back: through its ISO-DEP, or raw, as the card comes and goes."""

import msgspec
import pytest

from emulators.contactless_cards import CardState, LiftPlan, TypeBCard
from emulators.pn532_radio import BIT_FRAMING, CONTROL, RX_MODE, TX_MODE
from emulators.tests.pn532_bench import LONG, OTHER, PERMIT, Bench, card_a, card_b
from protocols.iso14443.activation import ats
from protocols.iso14443.apdu import encode_command, read_binary, read_record, select_by_id
from protocols.iso14443.apdu import select_by_name as by_name
from protocols.iso14443.crc import crc_a
from protocols.pn532 import chip_commands as chip
from protocols.pn532.command import StatusAndData
from protocols.pn532.errors import ErrorCode, Status
from protocols.pn532.initiator_commands import InCommunicateThru, InDataExchange, InDeselect, InRelease


def test_a_file_is_read_through_the_chips_iso_dep():
    bench = Bench(card_a()).open()
    bench.list_a()
    assert bench.apdu(by_name(PERMIT)).data.hex() == "6f148408a000000632010105a50850065045524d4954"
    assert bench.apdu(read_binary(0, 6, short_id=0x15)).data == b"permit"
    assert bench.apdu(read_record(2, 256, short_id=0x18)).data == b"second trip"
    assert bench.apdu(read_binary(0, 5, short_id=0x16)).sw == 0x6982
    assert bench.apdu(read_binary(0, 5, short_id=0x1E)).sw == 0x6A82


@pytest.mark.parametrize("fsc", [16, 32, 256])
def test_long_answers_come_in_pieces(fsc):
    """Over 262 bytes the chip sets MI and the host asks again with Tg alone."""
    bench = Bench(card_a(answer=ats(fsc=fsc, fwi=4))).open()
    bench.list_a()
    bench.apdu(by_name(PERMIT))
    bench.apdu(select_by_id(0x17))
    command = encode_command(msgspec.structs.replace(read_binary(0, 1), ne=65_536, extended=True))
    answer = bench.ask(InDataExchange(1, command))
    data = answer.data
    while answer.status.more_information:
        assert len(answer.data) == 262
        answer = bench.ask(InDataExchange(1))
        data += answer.data
    assert data == LONG + b"\x90\x00"


def test_long_commands_go_in_pieces():
    card = card_a()
    bench = Bench(card).open()
    bench.list_a()
    assert bench.ask(InDataExchange(1, bytes(262), more=True)) == StatusAndData()
    assert bench.ask(InDataExchange(1, bytes(100), more=True)) == StatusAndData()
    bench.ask(InDataExchange(1, b"end"))
    assert card.commands == [bytes(362) + b"end"]


def test_a_chain_without_end_overflows():
    bench = Bench(card_a()).open()
    bench.list_a()
    codes = {bench.ask(InDataExchange(1, bytes(262), more=True)).status.error_code for _ in range(300)}
    assert codes == {ErrorCode.OK, ErrorCode.BUFFER_OVERFLOW}


def test_a_slow_card_gets_its_time():
    bench = Bench(card_a(think_s=0.4)).open()
    bench.list_a()
    assert bench.apdu(read_binary(0, 4, short_id=0x15)).sw == 0x6A82
    assert bench.now > 0.4


def test_raw_frames_pass_through():
    bench = Bench(card_a()).open(chip.SetParameters(0))
    bench.list_a()
    assert bench.chip.settings.registers[TX_MODE] == 0x80
    assert bench.ask(InCommunicateThru(b"\xe0\x80")) == StatusAndData(Status(), bytes.fromhex("0578804002"))
    assert bench.ask(InCommunicateThru(b"\x02" + encode_command(by_name(OTHER)))).data.hex().startswith("026f")
    bench.ask(chip.WriteRegister(((TX_MODE, 0), (RX_MODE, 0))))
    body = b"\x03" + encode_command(read_binary(0, 5, short_id=0x15))
    answer = bench.ask(InCommunicateThru(body + crc_a(body)))
    assert answer.data == b"\x03other\x90\x00" + crc_a(b"\x03other\x90\x00")
    assert bench.ask(InCommunicateThru(body)).status.error_code == ErrorCode.TIMEOUT
    bench.ask(chip.WriteRegister(((RX_MODE, 0x80),)))


def test_short_frames_pass_through():
    bench = Bench(card_a()).open()
    bench.ask(chip.RfConfiguration(chip.RF_FIELD, b"\x01"))
    bench.ask(chip.WriteRegister(((BIT_FRAMING, 7),)))
    assert bench.ask(InCommunicateThru(b"\x26")) == StatusAndData(Status(), b"\x44\x00")
    bench.ask(chip.WriteRegister(((BIT_FRAMING, 0),)))
    answer = bench.ask(InCommunicateThru(b"\x93\x20"))
    assert answer.data.hex() == "8804a1b29f"
    assert bench.chip.settings.registers[CONTROL] & 7 == 0


def test_a_collision_and_a_broken_crc_are_told():
    bench = Bench(card_a("04000000000001"), card_a("05000000000001")).open()
    bench.ask(chip.RfConfiguration(chip.RF_FIELD, b"\x01"))
    bench.ask(chip.WriteRegister(((BIT_FRAMING, 7),)))
    bench.ask(InCommunicateThru(b"\x26"))
    bench.ask(chip.WriteRegister(((BIT_FRAMING, 0),)))
    assert bench.ask(InCommunicateThru(b"\x93\x20")).status.error_code == ErrorCode.BIT_COLLISION
    bench = Bench(card_a()).open()
    bench.ask(chip.RfConfiguration(chip.RF_FIELD, b"\x01"))
    bench.ask(chip.WriteRegister(((BIT_FRAMING, 7), (RX_MODE, 0x80))))
    assert bench.ask(InCommunicateThru(b"\x26")).status.error_code == ErrorCode.CRC


@pytest.mark.parametrize("data", [b"", b"\x01\x0b\x3f\x80", b"\x0a", b"\x0c", b"\x10"])
@pytest.mark.parametrize("mode", [0x80, 0x83, 0x82])
def test_probes_for_other_standards_find_nobody(data, mode):
    bench = Bench(card_a(), card_b()).open()
    bench.ask(chip.RfConfiguration(chip.RF_FIELD, b"\x01"))
    bench.ask(chip.WriteRegister(((TX_MODE, mode), (RX_MODE, mode))))
    before = bench.now
    assert bench.ask(InCommunicateThru(data)).status.error_code == ErrorCode.TIMEOUT
    assert bench.now - before == pytest.approx(0.0512, abs=0.001)
    bench.ask(chip.RfConfiguration(chip.RF_TIMINGS, b"\x00\x0b\x0c"))
    before = bench.now
    bench.ask(InCommunicateThru(data))
    assert bench.now - before == pytest.approx(0.2048, abs=0.001)


def test_nothing_is_heard_without_a_field():
    bench = Bench(card_a()).open()
    bench.ask(chip.WriteRegister(((BIT_FRAMING, 7),)))
    assert bench.ask(InCommunicateThru(b"\x26")).status.error_code == ErrorCode.TIMEOUT


def test_the_field_resets_cards_and_random_uids_change():
    card = card_a(None)
    bench = Bench(card).open()
    (first,) = bench.list_a()
    assert first.nfcid1[0] == 0x08
    bench.ask(InDeselect(0))
    bench.ask(chip.RfConfiguration(chip.RF_FIELD, b"\x00"))
    assert card.state is CardState.POWER_OFF
    (second,) = bench.list_a()
    assert second.nfcid1 != first.nfcid1
    other = TypeBCard(None, name="b")
    bench.chip.place(other)
    pupi = other.pupi
    bench.ask(chip.RfConfiguration(chip.RF_FIELD, b"\x00"))
    bench.ask(chip.RfConfiguration(chip.RF_FIELD, b"\x01"))
    assert other.pupi != pupi


@pytest.mark.parametrize("is_answered", [True, False])
@pytest.mark.parametrize("make", [card_a, card_b])
def test_a_card_may_leave_at_any_frame_and_the_chip_goes_on(make, is_answered):
    """field_failures row 29: whatever the card was doing, the chip says so in time and finds the next card."""
    for frame in range(1, 40):
        truth = []
        card = make(lift=LiftPlan(frame, is_answered))
        bench = Bench(card, truth=truth).open()
        started = bench.now
        listed = bench.list_a() if make is card_a else bench.list_b()
        results = [bench.ask(InDataExchange(1, encode_command(by_name(PERMIT)))) for _ in range(3) if listed]
        results = [result.status.error_code for result in results]
        if not any(what == "lifted" for _now, what, _name in truth):
            assert results == [0, 0, 0]
            return
        first_failure = next((at for at, code in enumerate(results) if code), len(results))
        assert not any(code == 0 for code in results[first_failure:])
        assert bench.now - started < 1.0
        other = make("08111111" if make is card_a else "0a0b0c0d")
        bench.chip.place(other)
        bench.ask(InRelease(0))
        assert bench.list_a() if make is card_a else bench.list_b()
        assert bench.apdu(by_name(PERMIT)).ok
    raise AssertionError("it never stayed to the end")


def test_a_card_that_is_placed_twice_is_one_card():
    card = card_a()
    bench = Bench(card).open()
    bench.chip.place(card)
    assert len(bench.list_a(2)) == 1
    bench.chip.lift(card)
    bench.chip.lift(card)
