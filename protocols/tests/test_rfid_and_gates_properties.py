"""RFID and gates: what holds for any values and any bytes."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.checksum import crc16_mcrf4xx
from protocols.core.errors import FieldError, FrameError, LocalProtocolError, OptionError, RemoteProtocolError
from protocols.length_framer import FrameForm
from protocols.rfid_and_gates import idcard_sam, llrp_message, uhf_m100, uhf_r2000, uhf_reader18
from protocols.rfid_and_gates import llrp_reports as reports
from protocols.rfid_and_gates.llrp_message import FIELD_BYTES, LlrpMessage, MessageType
from protocols.rfid_and_gates.llrp_parameter import TV_BYTES, Parameter, decode_parameters, encode_parameters
from protocols.rfid_and_gates.message import PROTOCOLS, decode_message, encode_message
from protocols.tests.kit import cases_of, damaged_message, input_of, refusal_of
from protocols.tests.length_forms import check_any_bytes, check_any_split, check_flood

modest = settings(derandomize=True, deadline=None, max_examples=60)
BYTE, TWO, FOUR = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32))

PARAMETERS = st.lists(
    st.one_of(
        st.sampled_from(sorted(TV_BYTES)).flatmap(
            lambda kind: st.builds(
                Parameter, st.just(kind), st.binary(min_size=TV_BYTES[kind], max_size=TV_BYTES[kind])
            )
        ),
        st.builds(Parameter, st.integers(128, 1023).filter(lambda kind: kind != 287), st.binary(max_size=20)),
    ),
    max_size=4,
).map(tuple)
PLAIN_TYPES = sorted(set(FIELD_BYTES) - {MessageType.RO_ACCESS_REPORT, MessageType.READER_EVENT_NOTIFICATION})
MESSAGES = st.one_of(
    st.sampled_from(PLAIN_TYPES).flatmap(
        lambda kind: st.builds(
            LlrpMessage,
            st.just(int(kind)),
            FOUR,
            st.binary(min_size=FIELD_BYTES[kind], max_size=FIELD_BYTES[kind]),
            PARAMETERS,
            st.sampled_from((1, 2)),
        )
    ),
    st.builds(LlrpMessage, st.just(1023), FOUR, st.binary(max_size=40)),
)
FORMS: dict[str, tuple[FrameForm[Any], Any, st.SearchStrategy[Any]]] = {
    "uhf_m100": (
        uhf_m100.FORM,
        uhf_m100.encode_frame,
        st.builds(uhf_m100.Frame, BYTE, BYTE, st.binary(max_size=100)),
    ),
    "uhf_r2000": (
        uhf_r2000.FORM,
        uhf_r2000.encode_frame,
        st.builds(uhf_r2000.Frame, BYTE, BYTE, st.binary(max_size=252)),
    ),
    "uhf_reader18": (
        uhf_reader18.FORM,
        uhf_reader18.encode_frame,
        st.builds(uhf_reader18.Frame, BYTE, BYTE, st.binary(max_size=251)),
    ),
    "llrp": (llrp_message.FORM, llrp_message.encode_message_frame, MESSAGES),
    "idcard_sam": (
        idcard_sam.FORM,
        idcard_sam.encode_frame,
        st.builds(idcard_sam.Frame, st.binary(min_size=2, max_size=300)),
    ),
}
each_form = pytest.mark.parametrize("name", FORMS)


@each_form
def test_any_frame_comes_back_however_it_is_split(name: str) -> None:
    check_any_split(*FORMS[name])


@each_form
def test_any_bytes_are_a_frame_or_refused(name: str) -> None:
    form, encode, _frames = FORMS[name]
    heads = {"llrp": b"\x04\x3d\x00\x00\x00\x12\x00\x00\x00\x07", "uhf_reader18": b"\x06\x00\x01"}
    check_any_bytes(form, encode, heads.get(name, form.start))


@each_form
def test_memory_is_bounded_and_noise_is_counted(name: str) -> None:
    form, encode, _frames = FORMS[name]
    frame, longest = {
        "uhf_m100": (uhf_m100.Frame(0, 3, b"\x00"), b"\xbb\x00\x22\x04\x00"),
        "uhf_r2000": (uhf_r2000.Frame(1, 0x72), b"\xa0\xff\x01"),
        "uhf_reader18": (uhf_reader18.Frame(0, 1), b"\xff\x00\x01"),
        "llrp": (LlrpMessage(62, 7), b"\x04\x3d\x00\x04\x00\x00\x00\x00\x00\x01"),
        "idcard_sam": (idcard_sam.Frame(b"\x20\x01"), idcard_sam.START + b"\x10\x00"),
    }[name]
    check_flood(form, encode, frame, longest, b"\x02" if name == "uhf_reader18" else b"\x01")


@modest
@given(st.sampled_from([name for name in FORMS if name != "uhf_reader18"]), st.data())
def test_a_message_of_any_frame_is_written_back(name: str, data: Any) -> None:
    _form, encode, frames = FORMS[name]
    wire = encode(data.draw(frames))
    case = {"protocol": name, "hex": wire.hex()}
    if name == "idcard_sam":
        case["direction"] = "request"
    if refusal_of(decode_message, case) is not None:
        return
    message = json.loads(json.dumps(decode_message(case)))
    assert encode_message(message) == {"hex": wire.hex()}


@modest
@given(PARAMETERS)
def test_parameters_come_back(parameters: tuple[Parameter, ...]) -> None:
    assert decode_parameters(encode_parameters(parameters)) == parameters


@modest
@given(st.integers(-128, 127), TWO, st.data())
def test_tags_of_serial_readers_come_back(rssi: int, low: int, data: Any) -> None:
    words = data.draw(st.integers(0, 31))
    pc = words << 11 | (low & 0x7FF)
    epc = data.draw(st.binary(min_size=2 * words, max_size=2 * words))
    tag = uhf_m100.Tag(rssi, pc, epc, low)
    assert uhf_m100.decode_tag(uhf_m100.encode_tag(tag)) == tag
    other = uhf_r2000.Tag(low & 63, low & 3, pc, epc, low & 0xFF)
    frame = uhf_r2000.Frame(1, 0x89, uhf_r2000.encode_tag(other))
    assert uhf_r2000.decode_inventory(frame) == other
    for changed in (uhf_m100.Tag(rssi, pc ^ 0x800, epc, low), uhf_m100.Tag(128, pc, epc, low)):
        with pytest.raises(LocalProtocolError):
            uhf_m100.encode_tag(changed)
    with pytest.raises(LocalProtocolError):
        uhf_r2000.encode_tag(uhf_r2000.Tag(low & 63, 4, pc, epc, 0))


@modest
@given(
    st.one_of(st.none(), st.binary(max_size=20)),
    st.one_of(st.none(), TWO),
    st.one_of(st.none(), st.integers(-128, 127)),
    st.one_of(st.none(), TWO),
)
def test_tags_of_llrp_come_back(epc: bytes | None, antenna: int | None, rssi: int | None, count: int | None) -> None:
    tag = reports.TagReport(epc, antenna, rssi, count)
    assert reports.decode_tag(reports.encode_tag(tag)) == tag
    message = LlrpMessage(MessageType.RO_ACCESS_REPORT, 1, b"", (reports.encode_tag(tag),) * 2)
    wire = llrp_message.encode_message_frame(message).hex()
    shown: Any = decode_message({"protocol": "llrp", "hex": wire})
    assert len(shown["tags"]) == 2
    assert shown["tags"][0].get("peak_rssi_dbm") == rssi
    assert encode_message(json.loads(json.dumps(shown))) == {"hex": wire}


def test_an_epc_that_is_no_whole_bytes() -> None:
    tag = reports.TagReport(epc=b"\x12\x30", epc_bits=12)
    assert reports.decode_tag(reports.encode_tag(tag)) == tag
    for bad in (reports.TagReport(epc=b"\x12", epc_bits=12), reports.TagReport(antenna=1 << 16)):
        with pytest.raises(LocalProtocolError):
            reports.encode_tag(bad)
    for value in (b"", b"\x00", b"\x00\x60\x01", b"\x00\x08"):
        with pytest.raises(FieldError):
            reports.decode_tag(Parameter(240, encode_parameters((Parameter(241, value),))))


def test_a_status_of_llrp() -> None:
    status = reports.Status(101, "no such thing \u00e9")
    message = reports.response(MessageType.ADD_ROSPEC_RESPONSE, 4, status)
    assert reports.status_of(message) == status
    shown = decode_message({"protocol": "llrp", "hex": llrp_message.encode_message_frame(message).hex()})
    assert (shown["status_code"], shown["status_text"]) == (101, status.description)
    for value in (b"\x00\x65", b"\x00\x65\x00\x09no"):
        with pytest.raises(FieldError):
            reports.status_of(LlrpMessage(30, 1, b"", (Parameter(287, value),)))


def test_an_event_whose_parts_have_another_size_is_refused() -> None:
    for inner in (Parameter(128, bytes(7)), Parameter(256, bytes(3))):
        data = Parameter(246, encode_parameters((inner,)))
        wire = llrp_message.encode_message_frame(LlrpMessage(63, 1, b"", (data,)))
        with pytest.raises(FieldError):
            decode_message({"protocol": "llrp", "hex": wire.hex()})


@pytest.mark.parametrize(
    "data", ["8f", "9100", "80", "01", "00f0", "00f00003", "00f00005", "007f0004", "08f00004", "8100", "c0000000"]
)
def test_parameters_that_are_none(data: str) -> None:
    with pytest.raises(FrameError) as caught:
        decode_parameters(bytes.fromhex(data))
    assert caught.value.offset is not None


def test_tags_of_reader18() -> None:
    assert uhf_reader18.decode_tags(bytes.fromhex("010203aabbcc02ddee")) == (b"\xaa\xbb\xcc", b"\xdd\xee")
    for bad in ("", "01", "0200", "010102aa", "010202aabb", "01000100"):
        with pytest.raises(FieldError):
            uhf_reader18.decode_tags(bytes.fromhex(bad))
    wire = uhf_reader18.encode_frame(uhf_reader18.Frame(0, 1, b"\x55"))
    assert int.from_bytes(wire[-2:], "little") == crc16_mcrf4xx(wire[:-2])


def test_what_a_serial_reader_says_beside_tags() -> None:
    count = uhf_m100.encode_frame(uhf_m100.poll_many(300)).hex()
    assert decode_message({"protocol": "uhf_m100", "hex": count})["repeat_count"] == 300
    error = uhf_m100.encode_frame(uhf_m100.Frame(1, 0xFF, b"\x15")).hex()
    assert decode_message({"protocol": "uhf_m100", "hex": error})["error_code"] == uhf_m100.ErrorCode.NO_TAG
    for frame in (uhf_m100.Frame(1, 0xFF), uhf_m100.Frame(2, 0x22, b"\x00" * 4), uhf_m100.Frame(2, 0x22, bytes(6))):
        with pytest.raises(FieldError):
            decode_message({"protocol": "uhf_m100", "hex": uhf_m100.encode_frame(frame).hex()})
    end = uhf_r2000.RoundEnd(3, 17, 70_000)
    frame = uhf_r2000.Frame(1, 0x8B, uhf_r2000.encode_round_end(end))
    assert uhf_r2000.decode_inventory(frame) == end
    assert uhf_r2000.decode_inventory(uhf_r2000.Frame(1, 0x8B, b"\x00\x00\x01")) is None  # a request
    for inventory in (0x89, 0x8B):
        with pytest.raises(FieldError):
            uhf_r2000.decode_inventory(uhf_r2000.Frame(1, inventory, bytes(6)))


@pytest.mark.parametrize(
    ("encode", "value"),
    [
        (uhf_m100.encode_frame, uhf_m100.Frame(256, 0)),
        (uhf_m100.encode_frame, uhf_m100.Frame(0, 0, bytes(1025))),
        (uhf_m100.poll_many, 1 << 16),
        (uhf_r2000.encode_frame, uhf_r2000.Frame(0, 256)),
        (uhf_r2000.encode_frame, uhf_r2000.Frame(0, 0, bytes(253))),
        (uhf_r2000.encode_round_end, uhf_r2000.RoundEnd(0, 1 << 16, 0)),
        (uhf_reader18.encode_frame, uhf_reader18.Frame(0, 0, bytes(252))),
        (uhf_reader18.encode_frame, uhf_reader18.Frame(-1, 0)),
        (llrp_message.encode_message_frame, LlrpMessage(62, 1, b"x")),
        (llrp_message.encode_message_frame, LlrpMessage(62, 1 << 32)),
        (llrp_message.encode_message_frame, LlrpMessage(1023, 1, b"", (Parameter(240, b""),))),
        (llrp_message.encode_message_frame, LlrpMessage(62, 1, version=3)),
        (llrp_message.encode_message_frame, LlrpMessage(1023, 1, bytes(llrp_message.MAX_MESSAGE_BYTES))),
        (encode_parameters, (Parameter(1, b"x"),)),
        (encode_parameters, (Parameter(1024, b""),)),
        (idcard_sam.encode_frame, idcard_sam.Frame(b"x")),
        (idcard_sam.encode_frame, idcard_sam.Frame(bytes(4096))),
        (idcard_sam.request_frame, idcard_sam.Request(256, 0)),
    ],
)
def test_what_no_frame_carries_is_refused(encode: Any, value: Any) -> None:
    with pytest.raises(LocalProtocolError):
        encode(value)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_message_is_refused_or_written(seed: int) -> None:
    rng = random.Random(seed)
    good = [case for case in cases_of("rfid_and_gates") if "error" not in case["expect"]]
    messages = [decode_message(input_of(case)) for case in good]
    for _ in range(600):
        message = damaged_message(rng, rng.choice(messages))
        if isinstance(message, dict):
            try:
                assert set(encode_message(message)) <= {"hex", "text"}
            except LocalProtocolError:
                continue


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"protocol": "rfid", "hex": ""},
        {"protocol": ["llrp"], "hex": ""},
        {"protocol": "llrp", "text": ""},
        {"protocol": "llrp"},
        {"protocol": "llrp", "hex": "", "kind": "x"},
        {"protocol": "idcard_sam", "hex": "aaaaaa96690003200122", "direction": "both"},
        {"protocol": "hostapd", "text": "OK"},
        {"protocol": "hostapd", "text": "OK", "kind": "NOTHING"},
        {"protocol": "jws", "text": "", "key": "AAAA", "key_type": "Ed25519"},
        {"protocol": "jws", "text": "", "key": "A", "key_type": "oct"},
        {"protocol": "jws", "text": "", "key": "AAAA", "key_type": "oct"},
        {"protocol": "jws", "text": "", "key": 1, "key_type": "oct"},
        {"protocol": "jws", "text": "", "key_type": "RSA"},
        {"protocol": "ticket", "text": "", "now": True, "gate_id": "G"},
        {"protocol": "ticket", "text": "", "now": 1},
        {"protocol": "ticket", "text": "", "now": 1, "gate_id": "G", "used": "x"},
    ],
)
def test_a_bad_case_is_an_option_error(case: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        decode_message(case)


@pytest.mark.parametrize("text", ["zz", "0", "00" * 1_100_000])
@pytest.mark.parametrize("protocol", [name for name in PROTOCOLS if name in FORMS or name == "scanner"])
def test_no_hex_is_no_frame(protocol: str, text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_message({"protocol": protocol, "hex": text})
