"""The emulated PN532 and its cards, driven by the host's dialogue in time that stands still until somebody waits."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.card_files import Application, BinaryFile, CardFiles, RecordFile
from emulators.contactless_cards import CardState, LiftPlan, TypeACard, TypeBCard
from emulators.pn532 import ChipFault, Pn532Emulator
from emulators.pn532_radio import BIT_FRAMING, CONTROL, FIFO_DATA, RX_MODE, TX_MODE, without_cascade_tags
from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.iso14443.activation import ats
from protocols.iso14443.apdu import decode_response, encode_command, read_binary, read_record, select_by_id
from protocols.iso14443.apdu import select_by_name as by_name
from protocols.iso14443.ber_tlv import tlv
from protocols.iso14443.crc import crc_a
from protocols.iso14443.type_b import Atqb
from protocols.pn532 import chip_commands as chip
from protocols.pn532.command import Done, StatusAndData, StatusResponse
from protocols.pn532.commands import encode_command as frame_of
from protocols.pn532.errors import ErrorCode, Status
from protocols.pn532.frame import ACK, NACK, WAKE_UP
from protocols.pn532.host import Abort, Aborted, Failed, HostDialogue, Refused, Request, Responded
from protocols.pn532.initiator_commands import (
    InAutoPoll,
    InCommunicateThru,
    InDataExchange,
    InDeselect,
    InJumpForDep,
    InListPassiveTarget,
    InRelease,
    InSelect,
    ListedTargets,
    PolledTargets,
)
from protocols.pn532.target_commands import TargetStatus, TgGetTargetStatus, TgInitAsTarget
from protocols.pn532.target_data import decode_type_a_targets, decode_type_b_targets

EXAMPLES = settings(max_examples=50, derandomize=True, deadline=None)
PERMIT = bytes.fromhex("a000000632010105")
OTHER = bytes.fromhex("a000000632010106")
AUTO_RATS = chip.SetParameters(chip.PARAMETER_AUTO_RATS | chip.PARAMETER_AUTO_ATR_RES)
FEW_RETRIES = chip.RfConfiguration(chip.RF_RETRIES, b"\x00\x01\x01")
LONG = bytes(number % 251 for number in range(2000))


def files(**options):
    return CardFiles(
        [
            Application(
                PERMIT,
                [
                    BinaryFile(0x0015, b"permit 4711, valid to 2027-01-31", short_id=0x15),
                    RecordFile(0x0018, (b"first trip", b"second trip"), short_id=0x18),
                    BinaryFile(0x0016, b"owner", short_id=0x16, is_secret=True),
                    BinaryFile(0x0017, LONG),
                ],
                [tlv("50", b"PERMIT")],
                file_id=0x1001,
            ),
            Application(OTHER, [BinaryFile(0x0015, b"other", short_id=0x15)]),
        ],
        [BinaryFile(0x0005, b"in the master file")],
        **options,
    )


def card_a(uid="04a1b2c3d4e5f6", **options):
    answer = options.pop("answer", None) or ats(fwi=4)
    return TypeACard(
        None if uid is None else bytes.fromhex(uid),
        name=uid or "random",
        ats=answer,
        files=options.pop("held", None) or files(),
        **options,
    )


def card_b(pupi="01020304", **options):
    return TypeBCard(bytes.fromhex(pupi), name=pupi, files=files(), **options)


class Bench:
    """A host and an emulated chip on one line; time passes only while somebody waits."""

    def __init__(self, *cards, truth=None):
        on_truth = None if truth is None else lambda now, what, name: truth.append((round(now, 3), what, name))
        self.chip = Pn532Emulator(on_truth=on_truth)
        self.host = HostDialogue()
        self.now = 0.0
        self.writes = []
        for card in cards:
            self.chip.place(card)

    def move(self, writes):
        self.writes += writes
        for wire in writes:
            self.host.receive(wire, self.now)

    def run(self, command, timeout_s=None):
        self.host.send(Request(command, timeout_s), self.now)
        return self.wait()

    def wait(self):
        for _ in range(20_000):
            while wire := self.host.bytes_to_send():
                self.move(self.chip.receive(wire, self.now))
            event = self.host.next_event()
            if event is not NEED_DATA:
                if wire := self.host.bytes_to_send():
                    self.move(self.chip.receive(wire, self.now))
                return event
            due = [at for at in (self.chip.next_deadline(), self.host.next_deadline()) if at is not None]
            self.now = max(self.now, min(due))
            self.move(self.chip.tick(self.now))
            self.host.tick(self.now)
        raise AssertionError("no end")

    def pass_time(self, seconds):
        until = self.now + seconds
        while (due := self.chip.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.move(self.chip.tick(self.now))
        self.now = until

    def ask(self, command, timeout_s=None):
        event = self.run(command, timeout_s)
        assert isinstance(event, Responded), event
        return event.response

    def open(self, parameters=AUTO_RATS):
        for command in (chip.SamConfiguration(), parameters, FEW_RETRIES):
            self.ask(command)
        return self

    def list_a(self, count=1, data=b""):
        listed = self.ask(InListPassiveTarget(count, 0, data))
        return decode_type_a_targets(listed.count, listed.data)

    def list_b(self, count=1, data=b"\x00"):
        listed = self.ask(InListPassiveTarget(count, 3, data))
        return decode_type_b_targets(listed.count, listed.data)

    def apdu(self, command, tg=1):
        answer = self.ask(InDataExchange(tg, encode_command(command)))
        assert answer.status.ok, answer.status.text
        return decode_response(answer.data)


def test_it_says_what_it_is():
    bench = Bench().open()
    assert bench.ask(chip.GetFirmwareVersion()) == chip.FirmwareVersion()
    assert bench.ask(chip.Diagnose(0, b"libnfc")) == chip.DiagnoseResponse(b"\x00libnfc")
    assert bench.ask(chip.Diagnose(1)) == chip.DiagnoseResponse(b"\x00")
    assert bench.ask(chip.Diagnose(5, b"x")) == chip.DiagnoseResponse(b"x")
    assert isinstance(bench.run(chip.Diagnose(0x42)), Refused)
    assert bench.ask(chip.GetGeneralStatus()) == chip.GeneralStatus()
    assert bench.ask(TgGetTargetStatus()) == TargetStatus()
    assert bench.ask(InJumpForDep(b"\x00\x00\x00")) == StatusAndData(Status(ErrorCode.CONTEXT))


def test_acknowledgement_and_response_are_written_apart():
    bench = Bench().open()
    bench.writes.clear()
    bench.ask(chip.GetFirmwareVersion())
    assert bench.writes == [ACK, bytes.fromhex("0000ff06fad50332010607e800")]


def test_registers_are_kept():
    bench = Bench().open()
    assert bench.ask(chip.ReadRegister((0x6302, 0x630D))) == chip.RegisterValues(b"\x00\x00")
    assert bench.ask(chip.WriteRegister(((0x6302, 0x80), (0x630D, 3)))) == Done()
    assert bench.ask(chip.ReadRegister((0x6302, 0x630D))) == chip.RegisterValues(b"\x80\x03")


def test_pins_are_written_where_bit_7_says_so():
    bench = Bench().open()
    bench.ask(chip.WriteGpio(0x81, 0x06))
    assert bench.ask(chip.ReadGpio()) == chip.GpioState(1, 0, 0)


def test_the_baud_rate_changes_with_the_hosts_ack():
    bench = Bench().open()
    bench.ask(chip.SetSerialBaudRate(7))
    assert bench.chip.baud_rate == 115_200
    bench.chip.receive(ACK, bench.now)
    assert bench.chip.baud_rate == 921_600


def test_it_sleeps_until_woken_and_the_field_goes_with_power_down():
    bench = Bench(card_a())
    assert bench.chip.receive(frame_of(chip.GetFirmwareVersion()), 0.0) == []
    bench.open()
    assert bench.list_a()
    assert bench.chip.field.is_on
    bench.ask(chip.PowerDown())
    assert not bench.chip.field.is_on
    assert bench.chip.receive(frame_of(chip.GetFirmwareVersion()), bench.now) == []
    assert bench.ask(chip.GetFirmwareVersion())


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


def test_it_waits_for_an_initiator_until_stopped():
    bench = Bench().open()
    event = bench.run(TgInitAsTarget(0, bytes(6), bytes(18), bytes(10)), 12.0)
    assert isinstance(event, Failed)
    assert bench.ask(chip.GetFirmwareVersion())


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


def test_forced_faults():
    bench = Bench(card_a()).open()
    bench.list_a()
    bench.chip.forced.extend([ChipFault.DROP_ACK, ChipFault.BAD_DCS, ChipFault.ERROR_FRAME, 0x2B, ChipFault.SILENT])
    assert bench.ask(InDataExchange(1, encode_command(by_name(PERMIT)))).status.ok  # the response is enough
    bench.writes.clear()
    assert bench.ask(InDataExchange(1, encode_command(by_name(PERMIT)))).status.ok  # asked for again with NACK
    assert len(bench.writes) == 3
    assert isinstance(bench.run(chip.GetFirmwareVersion()), Refused)
    assert bench.ask(InDataExchange(1, b"")) == StatusAndData(Status(0x2B))
    assert isinstance(bench.run(InDataExchange(1, b""), 0.5), Failed)
    assert bench.apdu(by_name(PERMIT)).ok


def test_nack_brings_the_last_response_back():
    bench = Bench().open()
    bench.ask(chip.GetFirmwareVersion())
    assert bench.chip.receive(NACK, bench.now) == [bytes.fromhex("0000ff06fad50332010607e800")]


@EXAMPLES
@given(pieces=st.lists(st.binary(max_size=60), max_size=20), seed=st.integers(0, 2**32 - 1))
def test_no_bytes_break_the_chip(pieces, seed):
    rng = random.Random(seed)
    emulator = Pn532Emulator()
    for card in (card_a(), card_b(), TypeACard(b"\x11\x22\x33\x44", sak=8)):
        emulator.place(card)
    now = 0.0
    emulator.receive(WAKE_UP + frame_of(chip.SamConfiguration()), now)
    for piece in pieces:
        command = rng.choice(
            [InCommunicateThru(piece), InDataExchange(1, piece), InListPassiveTarget(2, rng.choice((0, 3)))]
        )
        emulator.receive(rng.choice([piece, frame_of(command), b"\x00\x00\xff" + piece]), now)
        now = emulator.next_deadline() or now
        emulator.tick(now)
    assert len(emulator.commands) <= 1000


@pytest.mark.parametrize("after", [ACK, frame_of(chip.GetFirmwareVersion()), ACK + frame_of(chip.GetFirmwareVersion())])
def test_a_command_that_the_same_bytes_stop_or_replace_is_never_answered(after):
    """A host that is killed and started again sends everything at once."""
    bench = Bench()
    bench.run(chip.SamConfiguration())
    written = b"".join(bench.chip.receive(frame_of(chip.GetFirmwareVersion()) + after, bench.now))
    answers = written.count(bytes.fromhex("d503"))
    assert answers == (0 if after == ACK else 1)
    assert isinstance(bench.run(chip.GetFirmwareVersion()), Responded)
