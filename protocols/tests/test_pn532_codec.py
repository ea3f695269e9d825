"""PN532 frames, commands and target data: vectors, both ways, byte by byte, in noise, properties."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, ChecksumError, FieldError, LocalProtocolError, OptionError
from protocols.core.errors import RemoteProtocolError as RemoteError
from protocols.pn532 import chip_commands, initiator_commands, target_commands, target_data
from protocols.pn532.command import StatusAndData, StatusResponse
from protocols.pn532.commands import (
    COMMANDS,
    decode_command,
    decode_response,
    encode_command,
    encode_response,
)
from protocols.pn532.errors import ERROR_TEXTS, ErrorCode, Status, decode_status, encode_status
from protocols.pn532.frame import (
    ACK,
    ERROR,
    MAX_FRAME_BYTES,
    NACK,
    WAKE_UP,
    AckFrame,
    DataFrame,
    ErrorFrame,
    Framer,
    NackFrame,
    data_frame,
    decode_frame,
    encode_frame,
)
from protocols.pn532.message import KINDS, decode_message, encode_message
from protocols.tests.kit import cases_of, check_vector, drip, each_vector, frames_of, input_of, noisy

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
GOOD = [case for case in cases_of("pn532") if "error" not in case["expect"]]
FRAMES = [case for case in GOOD if case["kind"] == "host_frame"]


@each_vector("pn532")
def test_vector(vector):
    check_vector(vector, decode_message)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["name"])
def test_a_message_is_written_back_as_it_was(case):
    for message in (decode_message(input_of(case)), {"kind": case["kind"], **case["expect"]}):
        wire = encode_message(message)["hex"]
        assert case["hex"].endswith(wire.removeprefix("00"))  # but for the filler that woke the chip up
        assert wire == case["hex"] or case["name"] == "libnfc wakeup + sam"


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
def test_frames_byte_by_byte_and_in_noise(case):
    wire = bytes.fromhex(case["hex"])
    frame = decode_frame(wire)
    assert encode_frame(frame) == wire[wire.index(b"\x00\x00\xff") :]
    assert drip(Framer(), wire) == [frame]
    assert drip(Framer(), wire[:-1] * 3) == [frame] * 3  # the postamble may be missing
    assert noisy(Framer(), wire, seed=len(wire), ceiling=MAX_FRAME_BYTES)[-1] == frame


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
def test_a_frame_cut_short_is_refused(case):
    wire = bytes.fromhex(case["hex"])
    for end in range(len(wire) - 1):
        with pytest.raises(RemoteError):
            decode_frame(wire[:end])


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
def test_any_flipped_bit_behind_the_start_code_is_seen(case):
    wire = bytes.fromhex(case["hex"])
    frame = decode_frame(wire)
    if len(wire) > 100:
        wire_range = range(wire.index(b"\x00\xff") + 2, 40)
    else:
        wire_range = range(wire.index(b"\x00\xff") + 2, len(wire) - 1)
    for at in wire_range:
        for bit in range(8):
            broken = wire[:at] + bytes((wire[at] ^ 1 << bit,)) + wire[at + 1 :]
            with pytest.raises(RemoteError):
                decode_frame(broken)
            framer = Framer()
            framer.feed(broken + wire)
            assert frames_of(framer)[-1] == frame


@pytest.mark.parametrize(
    "wire",
    [
        "0000ff0000",  # LEN 0
        "0000ff01ffd42c00",  # no command
        "0000ff01ff7e8200",  # one byte that is not 7f
        "0000ff02fe7f008100",  # 7f is alone in an error frame
        "0000ffffff010bf4" + "d4" * 267,  # longer than the chip can
        "0000ff00ff0001",  # something follows
        "0000ff02fed4022a00" * 2,
        "",
    ],
)
def test_there_is_no_such_frame(wire):
    with pytest.raises(RemoteError):
        decode_frame(bytes.fromhex(wire))


def test_the_shorter_form_that_fits_is_chosen():
    assert not data_frame(0xD4, 0x40, bytes(253)).is_extended
    assert data_frame(0xD4, 0x40, bytes(254)).is_extended
    with pytest.raises(LocalProtocolError):
        encode_frame(data_frame(0xD4, 0x40, bytes(264)))
    with pytest.raises(LocalProtocolError):
        encode_frame(DataFrame(0xD4, 0x40, bytes(254)))
    with pytest.raises(LocalProtocolError):
        encode_frame(DataFrame(0xD6, 0x40))


FRAME = st.one_of(
    st.sampled_from([AckFrame(), NackFrame(), ErrorFrame()]),
    st.builds(data_frame, st.sampled_from([0xD4, 0xD5]), st.integers(0, 255), st.binary(max_size=263)),
)


@EXAMPLES
@given(frames=st.lists(FRAME, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_any_split_equals_the_whole(frames, seed):
    rng = random.Random(seed)
    wire = b"".join(WAKE_UP * rng.randrange(2) + encode_frame(frame) for frame in frames)
    whole = Framer()
    whole.feed(wire)
    assert frames_of(whole) == frames
    split = Framer()
    found = []
    at = 0
    while at < len(wire):
        size = rng.randint(1, 30)
        split.feed(wire[at : at + size])
        found += frames_of(split)
        at += size
    assert found == frames
    assert split.discarded_bytes == whole.discarded_bytes == 0


@EXAMPLES
@given(noise=st.binary(max_size=400), payload=st.binary(max_size=60))
def test_after_noise_every_later_frame_is_found(noise, payload):
    frame = data_frame(0xD5, 0x41, payload)
    framer = Framer()
    framer.feed(noise + bytes(MAX_FRAME_BYTES))  # whatever the noise began is over by then
    frames_of(framer)
    for _ in range(3):
        framer.feed(encode_frame(frame))
    assert frames_of(framer)[-3:] == [frame] * 3


def test_a_false_header_does_not_swallow_a_true_frame():
    true = encode_frame(data_frame(0xD5, 0x03, b"\x32\x01\x06\x07"))
    framer = Framer()
    framer.feed(bytes.fromhex("00ff20e0") + true + bytes(40))
    assert frames_of(framer) == [decode_frame(true)]
    assert framer.bad_checks == 1


def test_memory_stays_bounded_under_an_endless_frame():
    framer = Framer(max_bytes=1000)
    for _ in range(1000):
        framer.feed(b"\x00\xff\xff\xff\x01\x09\xf6" + bytes(range(1, 255)))
        framer.next_frame()
        assert len(framer._buffer) <= 1000
    assert framer.discarded_bytes > 100_000


def test_a_framer_that_is_reset_forgets_half_a_frame():
    framer = Framer()
    framer.feed(bytes.fromhex("0000ff20e0d5"))
    assert framer.next_frame() is NEED_DATA
    framer.reset()
    framer.feed(ACK)
    assert framer.next_frame() == AckFrame()


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


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("list_passive_a", "01"),
        ("list_passive_a", "0101000420"),
        ("list_passive_a", "01010004200411"),
        ("list_passive_a", "0101000408041122334400"),
        ("list_passive_a", "0101000420041122334400"),
        ("list_passive_a", "010100042004112233440578"),
        ("list_passive_a", "00aa"),
        ("list_passive_a", ""),
        ("list_passive_b", "010151e8253eec000000110081850100"),
        ("list_passive_b", "010150e8253eec0000001100818501"),
        ("list_passive_b", "010150e8253eec00000011008185"),
        ("list_passive_b", "010150e8253eec00000011008185010000"),
        ("list_passive_b", "00aa"),
        ("firmware_version", "320106"),
        ("firmware_version", "3201060700"),
        ("status_byte", "0000"),
        ("host_frame", ""),
        ("host_frame", "0"),
    ],
)
def test_malformed_messages_are_refused(kind, data):
    with pytest.raises(RemoteError):
        decode_message({"kind": kind, "hex": data})


@pytest.mark.parametrize("case", [{}, {"kind": "x", "hex": ""}, {"kind": "status_byte", "hex": 1}])
def test_a_bad_case_is_an_option_error(case):
    with pytest.raises(OptionError):
        decode_message(case)
    with pytest.raises(OptionError):
        decode_message({"kind": "status_byte", "hex": "00", "more": 1})


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "none"},
        {"kind": "host_frame", "frame_type": "other"},
        {"kind": "host_frame", "frame_type": "normal", "tfi": 0, "command": 0},
        {"kind": "list_passive_a", "nb_targets": 1, "targets": []},
        {"kind": "list_passive_a", "targets": [1]},
        {"kind": "list_passive_b", "targets": [{"tg": 1, "atqb": "00" * 12}]},
    ],
)
def test_a_message_without_a_frame_is_a_local_error(message):
    with pytest.raises(LocalProtocolError):
        encode_message(message)


def test_hostile_bytes_raise_nothing_but_remote_errors():
    rng = random.Random(532)
    for _ in range(4000):
        data = rng.randbytes(rng.choice((0, 1, 4, 9, 16, 30, 300)))
        if rng.random() < 0.5:
            data = b"\x00\x00\xff" + data
        try:
            message = decode_message({"kind": rng.choice(sorted(KINDS)), "hex": data.hex()})
        except RemoteError:
            continue
        assert bytes.fromhex(str(encode_message(message)["hex"])) in data


def test_constants_are_frames():
    assert decode_frame(ACK) == AckFrame()
    assert decode_frame(NACK) == NackFrame()
    assert decode_frame(ERROR) == ErrorFrame()


def fuzz(data):
    """A target for any fuzzer: whatever the bytes, nothing but a remote error, and a framer that stays bounded."""
    for kind in KINDS:
        try:
            encode_message(decode_message({"kind": kind, "hex": data.hex()}))
        except (RemoteError, LocalProtocolError):
            continue
    framer = Framer(max_bytes=600)
    framer.feed(data)
    for frame in frames_of(framer):
        if isinstance(frame, DataFrame):
            try:
                decode_command(frame)
            except RemoteError:
                continue


def hostile(rng):
    start = rng.choice([b"", b"\x00\x00\xff", b"\x00\x00\xff\xff\xff"])
    return start + bytes(
        rng.choice((0, 1, 2, 0xD4, 0xD5, 0x7F, 0xFF, rng.randrange(256))) for _ in range(rng.randrange(40))
    )


def test_fuzz_for_a_moment():
    rng = random.Random(1)
    for _ in range(1500):
        fuzz(hostile(rng))


@pytest.mark.long
def test_fuzz_for_a_minute():
    rng = random.Random(2)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        fuzz(hostile(rng))
