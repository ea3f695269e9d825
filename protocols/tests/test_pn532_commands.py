"""PN532 commands, responses and the data of targets: examples of the manual both ways, and bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from protocols.core.errors import NEED_DATA, ChecksumError, FieldError, LocalProtocolError
from protocols.core.errors import RemoteProtocolError as RemoteError
from protocols.pn532 import chip_commands, initiator_commands, target_commands, target_data
from protocols.pn532.command import StatusAndData, StatusResponse
from protocols.pn532.commands import COMMANDS, decode_command, decode_response, encode_command, encode_response
from protocols.pn532.errors import ERROR_TEXTS, ErrorCode, Status, decode_status, encode_status
from protocols.pn532.frame import AckFrame, DataFrame, Framer, decode_frame

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)


@pytest.mark.parametrize(
    ("wire", "field", "offset"),
    [
        ("550000ff04fbd5013435368b00", "lcs", 5),
        ("00000000ff03fdd54101e800", "dcs", 10),
        ("00ff02fed6022800", "tfi", 4),
    ],
)
def test_an_error_tells_where_it_is(wire, field, offset):
    with pytest.raises(RemoteError) as caught:
        decode_frame(bytes.fromhex(wire))
    assert (caught.value.field, caught.value.offset) == (field, offset)


def test_a_broken_response_is_remembered_by_its_head():
    framer = Framer()
    framer.feed(bytes.fromhex("0000ff03fdd54101e800"))
    assert framer.next_frame() is NEED_DATA
    assert framer.broken_body == b"\xd5\x41"
    with pytest.raises(ChecksumError):
        decode_frame(bytes.fromhex("0000ff03fdd54101e800"))


COMMAND_EXAMPLES = [
    ("d40000010203", chip_commands.Diagnose(0, b"\x01\x02\x03")),
    ("d402", chip_commands.GetFirmwareVersion()),
    ("d404", chip_commands.GetGeneralStatus()),
    ("d40663026303630d6338633d", chip_commands.ReadRegister((0x6302, 0x6303, 0x630D, 0x6338, 0x633D))),
    ("d408630280630380", chip_commands.WriteRegister(((0x6302, 0x80), (0x6303, 0x80)))),
    ("d40c", chip_commands.ReadGpio()),
    ("d40e8180", chip_commands.WriteGpio(0x81, 0x80)),
    ("d41007", chip_commands.SetSerialBaudRate(7)),
    ("d41214", chip_commands.SetParameters(0x14)),
    ("d41401", chip_commands.SamConfiguration(1)),
    ("d414010000", chip_commands.SamConfiguration(1, 0, 0)),
    ("d416f0", chip_commands.PowerDown(0xF0)),
    ("d416b000", chip_commands.PowerDown(0xB0, 0)),
    ("d43205000102", chip_commands.RfConfiguration(5, b"\x00\x01\x02")),
    ("d44a0100", initiator_commands.InListPassiveTarget(1, 0)),
    ("d44a010300", initiator_commands.InListPassiveTarget(1, 3, b"\x00")),
    ("d44001805c000204", initiator_commands.InDataExchange(1, bytes.fromhex("805c000204"))),
    ("d44041805c", initiator_commands.InDataExchange(1, b"\x80\x5c", more=True)),
    ("d442e080", initiator_commands.InCommunicateThru(b"\xe0\x80")),
    ("d44400", initiator_commands.InDeselect(0)),
    ("d45201", initiator_commands.InRelease(1)),
    ("d45401", initiator_commands.InSelect(1)),
    ("d460ff0300102023", initiator_commands.InAutoPoll(0xFF, 3, (0, 0x10, 0x20, 0x23))),
    ("d44601000100ffff0100", initiator_commands.InJumpForPsl(bytes.fromhex("01000100ffff0100"))),
    ("d4560100", initiator_commands.InJumpForDep(b"\x01\x00")),
    ("d4500100", initiator_commands.InAtr(b"\x01\x00")),
    ("d44e010000", initiator_commands.InPsl(b"\x01\x00\x00")),
    (
        "d48c04" + "01" * 6 + "02" * 18 + "03" * 10 + "02aabb" + "01cc",
        target_commands.TgInitAsTarget(4, b"\x01" * 6, b"\x02" * 18, b"\x03" * 10, b"\xaa\xbb", b"\xcc"),
    ),
    ("d486", target_commands.TgGetData()),
    ("d48e01", target_commands.TgSetData(b"\x01")),
    ("d488", target_commands.TgGetInitiatorCommand()),
    ("d4900578807000", target_commands.TgResponseToInitiator(bytes.fromhex("0578807000"))),
    ("d48a", target_commands.TgGetTargetStatus()),
    ("d49201", target_commands.TgSetGeneralBytes(b"\x01")),
    ("d49401", target_commands.TgSetMetaData(b"\x01")),
]


@pytest.mark.parametrize(("wire", "command"), COMMAND_EXAMPLES, ids=lambda value: type(value).__name__)
def test_commands_go_there_and_back(wire, command):
    frame = decode_frame(encode_command(command))
    assert bytes((frame.tfi, frame.command)) + frame.payload == bytes.fromhex(wire)
    assert decode_command(frame) == command


def test_every_command_of_the_manual_has_an_example():
    assert {type(command) for _wire, command in COMMAND_EXAMPLES} == set(COMMANDS.values())


RESPONSE_EXAMPLES = [
    (chip_commands.Diagnose(0), "006c69626e6663", chip_commands.DiagnoseResponse(b"\x00libnfc")),
    (chip_commands.GetFirmwareVersion(), "32010607", chip_commands.FirmwareVersion()),
    (
        chip_commands.GetGeneralStatus(),
        "000101010000" + "0000",
        chip_commands.GeneralStatus(0, 1, (chip_commands.TargetState(1),), 0),
    ),
    (chip_commands.ReadRegister((0x6302,)), "80", chip_commands.RegisterValues(b"\x80")),
    (chip_commands.ReadGpio(), "3f0600", chip_commands.GpioState(0x3F, 6, 0)),
    (chip_commands.PowerDown(), "00", StatusResponse()),
    (initiator_commands.InDataExchange(1), "419000", StatusAndData(Status(1, more_information=True), b"\x90\x00")),
    (initiator_commands.InListPassiveTarget(1, 0), "00", initiator_commands.ListedTargets()),
    (
        initiator_commands.InAutoPoll(1, 1, (0x20,)),
        "0120020102",
        initiator_commands.PolledTargets((initiator_commands.PolledTarget(0x20, b"\x01\x02"),)),
    ),
    (target_commands.TgGetTargetStatus(), "0111", target_commands.TargetStatus(1, 0x11)),
    (
        target_commands.TgInitAsTarget(0, bytes(6), bytes(18), bytes(10)),
        "08e080",
        target_commands.TargetActivated(8, b"\xe0\x80"),
    ),
]


@pytest.mark.parametrize(("command", "payload", "response"), RESPONSE_EXAMPLES, ids=lambda value: type(value).__name__)
def test_responses_go_there_and_back(command, payload, response):
    frame = decode_frame(encode_response(command, response))
    assert (frame.tfi, frame.command, frame.payload.hex()) == (0xD5, command.CODE + 1, payload)
    assert decode_response(command, frame) == response


@pytest.mark.parametrize(
    "wire",
    [
        "d400",
        "d40200",
        "d40663",
        "d406630263",
        "d40606",
        "d4086302",
        "d40863028063",
        "d40e01",
        "d41009",
        "d412",
        "d41400",
        "d41401000000",
        "d416",
        "d43299",
        "d4320500",
        "d44a0300",
        "d44a0105",
        "d44a01",
        "d440",
        "d44081",
        "d444",
        "d4600001",
        "d460000100",
        "d460011000",
        "d48c00",
        "d48c" + "00" * 35 + "05",
        "d48c" + "00" * 36 + "05",
        "d458",
        "d57b",
        "d4ff",
    ],
)
def test_a_bad_command_is_refused(wire):
    data = bytes.fromhex(wire)
    with pytest.raises(RemoteError):
        decode_command(DataFrame(data[0], data[1], data[2:]))


@EXAMPLES
@given(code=st.sampled_from(sorted(COMMANDS)), payload=st.binary(max_size=60), is_response=st.booleans())
def test_any_bytes_are_read_and_written_back_or_refused(code, payload, is_response):
    kind = COMMANDS[code]
    try:
        if is_response:
            value = kind.RESPONSE.from_payload(payload)
            assert value.payload() == payload
        else:
            assert kind.from_parameters(payload).parameters() == payload
    except RemoteError:
        return


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        (initiator_commands.InAutoPoll(1, 1, (0,)), "01"),
        (initiator_commands.InAutoPoll(1, 1, (0,)), "01200201"),
        (initiator_commands.InAutoPoll(1, 1, (0,)), "012001" + "0102"),
        (chip_commands.GetGeneralStatus(), "00000100"),
        (chip_commands.GetFirmwareVersion(), "320106"),
        (chip_commands.SetParameters(0), "00"),
        (initiator_commands.InListPassiveTarget(1, 0), ""),
        (initiator_commands.InDataExchange(1), ""),
    ],
)
def test_a_response_with_bad_contents_is_refused(command, payload):
    with pytest.raises(RemoteError):
        decode_response(command, DataFrame(0xD5, command.CODE + 1, bytes.fromhex(payload)))


def test_a_response_to_something_else_is_refused():
    with pytest.raises(FieldError):
        decode_response(chip_commands.GetFirmwareVersion(), DataFrame(0xD5, 0x15))
    with pytest.raises(FieldError):
        decode_command(AckFrame())


@pytest.mark.parametrize(
    "command",
    [
        chip_commands.Diagnose(256),
        chip_commands.SetSerialBaudRate(9),
        chip_commands.SamConfiguration(1, None, 1),
        chip_commands.ReadRegister((0x10000,)),
        chip_commands.WriteRegister(((0, 256),)),
        initiator_commands.InDataExchange(0x40),
        target_commands.TgInitAsTarget(0, b"", b"", b""),
    ],
)
def test_parameters_out_of_bounds_are_refused(command):
    with pytest.raises(LocalProtocolError):
        encode_command(command)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (chip_commands.GeneralStatus(error=256), "error"),
        (chip_commands.GeneralStatus(sam_status=-1), "sam_status"),
        (chip_commands.GeneralStatus(targets=(chip_commands.TargetState(1, 300),)), "rate_rx"),
        (chip_commands.GeneralStatus(targets=(chip_commands.TargetState(1),) * 256), "targets"),
        (chip_commands.FirmwareVersion(revision=256), "revision"),
        (target_commands.TargetStatus(rates=256), "rates"),
        (initiator_commands.PolledTargets((initiator_commands.PolledTarget(0, b""),) * 256), "targets"),
    ],
)
def test_a_response_that_no_chip_gives_is_refused(value, field):
    with pytest.raises(LocalProtocolError) as caught:
        value.payload()
    assert caught.value.field == field


CARD = target_data.TypeATarget(1, b"\x00\x04", 0x20, b"\x11\x22\x33\x44")


@pytest.mark.parametrize(
    ("targets", "field"),
    [
        ([replace(CARD, tg=256)], "tg"),
        ([replace(CARD, sel_res=256)], "sel_res"),
        ([replace(CARD, sens_res=b"\x04")], "sens_res"),
        ([replace(CARD, nfcid1=bytes(256))], "nfcid1"),
        ([replace(CARD, ats=b"\x03\x00")], "ats"),
        ([replace(CARD, sel_res=0x08, ats=b"\x01")], "ats"),  # nothing announces it
        ([CARD, CARD], "ats"),  # the first announces one that is not there
    ],
)
def test_cards_of_type_a_that_could_not_be_read_back_are_refused(targets, field):
    with pytest.raises(LocalProtocolError) as caught:
        target_data.encode_type_a_targets(targets)
    assert caught.value.field == field
    assert target_data.decode_type_a_targets(1, target_data.encode_type_a_targets([CARD])) == [CARD]


@pytest.mark.parametrize(
    ("target", "field"),
    [
        (target_data.TypeBTarget(256, b"\x50" + bytes(11), b""), "tg"),
        (target_data.TypeBTarget(1, b"\x51" + bytes(11), b""), "atqb"),
        (target_data.TypeBTarget(1, b"\x50" + bytes(11), bytes(256)), "attrib_res"),
    ],
)
def test_cards_of_type_b_that_could_not_be_read_back_are_refused(target, field):
    with pytest.raises(LocalProtocolError) as caught:
        target_data.encode_type_b_targets([target])
    assert caught.value.field == field


def test_timeout_codes():
    assert chip_commands.timeout_s(0) is None
    assert chip_commands.timeout_s(1) == pytest.approx(100e-6)
    assert chip_commands.timeout_s(10) == pytest.approx(51.2e-3)
    assert chip_commands.timeout_s(255) == chip_commands.timeout_s(16)


def test_statuses():
    assert decode_status(b"\xc1") == Status(1, more_information=True, nad_present=True)
    assert encode_status(Status(0x27)) == b"\x27"
    assert Status(0x27).text == ERROR_TEXTS[ErrorCode.CONTEXT]
    assert "3e" in Status(0x3E).text
    assert not Status(1).ok
    assert set(ERROR_TEXTS) == set(ErrorCode)
    with pytest.raises(LocalProtocolError):
        encode_status(Status(0x40))


TYPE_A = st.builds(
    target_data.TypeATarget,
    st.integers(1, 2),
    st.binary(min_size=2, max_size=2),
    st.sampled_from([0x20, 0x28]),
    st.sampled_from([b"\x01" * 4, b"\x04" * 7, b"\x04" * 10]),
    st.binary(max_size=20).map(lambda rest: bytes((len(rest) + 1,)) + rest),
)
TYPE_B = st.builds(
    target_data.TypeBTarget,
    st.integers(1, 2),
    st.binary(min_size=11, max_size=11).map(lambda rest: b"\x50" + rest),
    st.binary(max_size=10),
)


@EXAMPLES
@given(a=st.lists(TYPE_A, max_size=2), b=st.lists(TYPE_B, max_size=2))
def test_target_data_goes_there_and_back(a, b):
    assert target_data.decode_type_a_targets(len(a), target_data.encode_type_a_targets(a)) == a
    assert target_data.decode_type_b_targets(len(b), target_data.encode_type_b_targets(b)) == b


def test_an_ats_before_a_further_target_is_announced_by_sel_res():
    data = bytes.fromhex("01" + "0004" + "20" + "0411223344" + "0578807000" + "02" + "0004" + "08" + "0455667788")
    first, second = target_data.decode_type_a_targets(2, data)
    assert first.ats.hex() == "0578807000"
    assert first.is_iso14443_4
    assert (second.ats, second.is_iso14443_4) == (b"", False)
