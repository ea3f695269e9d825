"""The readable form of ETC frames and files: what is refused, where, and that nothing secret is shown."""

from typing import Any

import pytest

from protocols.core.errors import FrameError, LocalProtocolError, OptionError, RemoteProtocolError
from protocols.etc_rsu.catalogue import Interface, decode_payload
from protocols.etc_rsu.frame import ClassicFrame, SequencedFrame, UrbanFrame
from protocols.etc_rsu.message import decode_message, encode_frame, encode_message


@pytest.mark.parametrize(
    ("interface", "frame", "offset"),
    [
        (Interface.CLASSIC, ClassicFrame(0x18, b"\xb3\xff\xfe\x00"), 3 + 4 + 2),
        (Interface.GANTRY, SequencedFrame(1, b"\xb3\xcb"), None),
        (Interface.GANTRY, SequencedFrame(1, b"\xcb\x01\x00"), 8 + 2),
        (Interface.GANTRY, SequencedFrame(1, b"\xcb\x01" + bytes(30)), 8 + 1),
        (Interface.GANTRY, SequencedFrame(1, b"\xc8" + bytes(6) + b"\x01"), 8 + 7),
        (Interface.LANE_CRC, SequencedFrame(1, b"\xb5\x00"), 8 + 2),
        (Interface.URBAN, UrbanFrame(b"\xb2\x00"), 4 + 2),
    ],
)
def test_a_refused_payload_is_shown_where_it_is_on_the_wire(interface: Any, frame: Any, offset: int | None) -> None:
    case = {"kind": interface.value, "hex": encode_frame(frame).hex()}
    if offset is None:
        assert decode_message(case)["frame"] is None
        return
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(case)
    assert caught.value.offset == offset
    message = {**case, "rsctl": 1, "seq": 1, "data": frame.data.hex()}
    del message["hex"], message["rsctl" if interface is not Interface.CLASSIC else "seq"]
    if interface is Interface.URBAN:
        del message["seq"]
    with pytest.raises(LocalProtocolError):
        encode_message(message)


def test_a_status_byte_loses_no_bit() -> None:
    for byte in range(256):
        message = decode_message({"kind": "obu_status", "hex": f"{byte:02x}"})
        assert encode_message({key: message[key] for key in message if key != "data"}) == {"hex": f"{byte:02x}"}


def test_no_repr_tells_an_authorisation() -> None:
    cb = bytes.fromhex("cb010100" + "cafebabe" * 3 + "00")
    shown = repr(decode_payload(Interface.GANTRY, cb)) + repr(decode_payload(Interface.URBAN, b"\xcb" + b"secret!!"))
    assert "cafe" not in shown
    assert "\\xca" not in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"kind": "frame", "hex": ""},
        {"kind": "classic_frame"},
        {"kind": "classic_frame", "hex": 7},
        {"kind": ["classic_frame"], "hex": "00"},
        {"kind": "classic_frame", "hex": "00", "profile": 1},
    ],
)
def test_a_bad_case_is_an_option_error(case: Any) -> None:
    with pytest.raises(OptionError):
        decode_message(case)


@pytest.mark.parametrize("text", ["zz", "0", "00" * 20_000])
def test_no_hex_is_no_frame(text: str) -> None:
    with pytest.raises(FrameError):
        decode_message({"kind": "urban_frame", "hex": text})


ANTENNA = {"table": "classic_4C", "antenna": 1}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"kind": "nothing"}, "kind"),
        ({"kind": "classic_frame"}, "rsctl"),
        ({"kind": "classic_frame", "rsctl": 256}, "rsctl"),
        ({"kind": "classic_frame", "rsctl": 1, "frame": 1}, "frame"),
        ({"kind": "classic_frame", "rsctl": 1, "frame": {"table": "gantry_C4"}}, "table"),
        ({"kind": "classic_frame", "rsctl": 1, "frame": {**ANTENNA, "cmd_type": 1}}, "cmd_type"),
        ({"kind": "classic_frame", "rsctl": 1, "frame": {**ANTENNA, "more": 1}}, "more"),
        ({"kind": "classic_frame", "rsctl": 1, "frame": {**ANTENNA, "antenna": 256}}, "antenna"),
        ({"kind": "classic_frame", "rsctl": 1, "frame": {"table": "classic_4C"}}, "antenna"),
        ({"kind": "classic_frame", "rsctl": 1, "data": "4c00", "frame": ANTENNA}, "antenna"),
        ({"kind": "classic_frame", "rsctl": 1, "data": "4c0", "frame": ANTENNA}, "data"),
        ({"kind": "classic_frame", "rsctl": 1, "data": "4c"}, "classic_4C"),
        ({"kind": "classic_frame", "rsctl": 1, "data": "00" * 511}, "data"),
        ({"kind": "gantry_frame", "seq": 1, "data": "00" * 4097}, "data"),
        ({"kind": "gantry_frame", "seq": 1, "length": 3, "data": "0000"}, "length"),
        ({"kind": "gantry_frame", "seq": 1, "more": 3, "data": "0000"}, "more"),
        ({"kind": "urban_frame", "seq": 1, "data": "0000"}, "seq"),
        ({"kind": "vendor_frame", "rsctl": 1, "type": 256, "data": ""}, "type"),
        ({"kind": "obu_status", "data": "0000"}, "obu_status"),
        ({"kind": "obu_status", "data": "00", "card_absent": True}, "card_absent"),
        ({"kind": "file0015", "plate": "x" * 13}, "issuer_id"),
        ({"kind": "sysinfo", "more": 1}, "more"),
        ({"kind": "ef04_provinces", "provinces": []}, "provinces"),
        ({"kind": "ef04_provinces", "provinces": [1]}, "provinces"),
        ({"kind": "ef04_provinces", "provinces": 1}, "provinces"),
    ],
)
def test_what_no_frame_carries_is_refused(message: Any, field: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_message(message)
    assert caught.value.field == field


def test_an_error_code_is_said_in_words_where_its_meaning_is_public() -> None:
    wire = encode_frame(UrbanFrame(bytes.fromhex("b5" + "02fe00fe" + "01" + "02") + bytes(64))).hex()
    message = decode_message({"kind": "urban_frame", "hex": wire})
    assert message["error_text"] == "no card"
    assert encode_message(message) == {"hex": wire}
    with pytest.raises(LocalProtocolError):
        encode_message({**message, "error_text": "no answer in time"})
    classic = encode_frame(ClassicFrame(0x18, b"\xb5" + bytes(4) + b"\x08" + bytes(32))).hex()
    assert "error_text" not in decode_message({"kind": "classic_frame", "hex": classic})
