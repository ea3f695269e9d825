"""ETC roadside unit: frames and files from outside, both ways, byte by byte, in noise, cut and damaged."""

import json

import pytest

from protocols.core.errors import ProtocolError, RemoteProtocolError
from protocols.etc_rsu.catalogue import Interface, decode_payload
from protocols.etc_rsu.frame import MAX_CLASSIC_BYTES, MAX_DATA_BYTES
from protocols.etc_rsu.framer import framer_of
from protocols.etc_rsu.message import FILES, decode_frame, decode_message, encode_frame, encode_message
from protocols.etc_rsu.payload import RawPayload
from protocols.length_framer import MAX_PIECE
from protocols.tests.kit import cases_of, check_vector, drip, each_vector, frames_of, input_of, noisy

CASES = cases_of("etc_rsu")
GOOD = [case for case in CASES if "error" not in case["expect"]]
REFUSED = [case for case in CASES if "error" in case["expect"]]
REFUSED_FRAMES = [case for case in REFUSED if case["kind"] not in FILES]
FRAMES = [case for case in GOOD if case["kind"] not in FILES]
CEILING = {
    Interface.CLASSIC: 2 * MAX_CLASSIC_BYTES + MAX_PIECE,
    Interface.GANTRY: MAX_DATA_BYTES + MAX_PIECE + 16,
    Interface.LANE_CRC: MAX_DATA_BYTES + MAX_PIECE + 16,
    Interface.URBAN: MAX_DATA_BYTES + MAX_PIECE + 16,
}


def each(cases):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in cases])


def read(case):
    return Interface(case["kind"]), bytes.fromhex(case["hex"])


@each_vector("etc_rsu")
def test_vector(vector):
    check_vector(vector, decode_message)


@each(FRAMES)
def test_wire_types_lose_nothing(case):
    interface, wire = read(case)
    frame = decode_frame(interface, wire)
    assert encode_frame(frame) == wire
    payload = decode_payload(interface, frame.data)
    assert payload.to_bytes() == frame.data
    assert isinstance(payload, RawPayload) == (frame.data == b"")


@each(GOOD)
def test_a_message_is_written_back_as_it_was(case):
    message = json.loads(json.dumps(decode_message(input_of(case))))
    assert encode_message(message) == {"hex": case["hex"]}
    del message["data"]
    assert encode_message(message) == {"hex": case["hex"]}  # from the fields alone


@each(FRAMES)
def test_byte_by_byte_and_in_noise(case):
    interface, wire = read(case)
    frame = decode_frame(interface, wire)
    assert drip(framer_of(interface), wire) == [frame]
    assert drip(framer_of(interface), wire + wire) == [frame, frame]
    framer = framer_of(interface)
    assert noisy(framer, wire, seed=len(wire), ceiling=CEILING[interface])[-2:] == [frame, frame]
    assert framer.discarded_bytes > 0


@each(FRAMES)
def test_a_false_start_swallows_no_frame(case):
    interface, wire = read(case)
    frame = decode_frame(interface, wire)
    for cut in range(1, len(wire)):
        framer = framer_of(interface)
        found = drip(framer, wire[:cut] + wire)
        framer.silence()  # a head that was cut may have announced more than there is
        found += frames_of(framer)
        assert found[-1] == frame
        # The next FF ends a classic frame, and one BCC in 256 holds. What its table does not fit is refused later.
        assert len(found) == 1 or interface is Interface.CLASSIC


@each([case for case in GOOD if len(case["hex"]) < 200])
def test_a_frame_that_is_cut_is_refused(case):
    wire = bytes.fromhex(case["hex"])
    ends = {26} if case["kind"] == "sysinfo" else {39} if case["kind"] == "file0019_legacy" else set()
    for end in set(range(len(wire))) - ends:
        with pytest.raises(RemoteProtocolError):
            decode_message({"kind": case["kind"], "hex": wire[:end].hex()})
    with pytest.raises(RemoteProtocolError):
        decode_message({"kind": case["kind"], "hex": (wire + b"\x00").hex()})


@each(FRAMES)
def test_a_frame_that_is_damaged_is_refused(case):
    interface, wire = read(case)
    for at in range(len(wire)):
        broken = wire[:at] + bytes((wire[at] ^ 0x10,)) + wire[at + 1 :]
        with pytest.raises(RemoteProtocolError):
            decode_frame(interface, broken)


@each(REFUSED_FRAMES)
def test_what_is_refused_never_leaves_the_framer(case):
    interface, wire = read(case)
    framer = framer_of(interface)
    assert drip(framer, wire) == []
    framer.silence()
    good = bytes.fromhex(next(each["hex"] for each in FRAMES if each["kind"] == case["kind"]))
    assert drip(framer, good) == [decode_frame(interface, good)]


@each(REFUSED)
def test_a_refusal_tells_no_bytes(case):
    with pytest.raises(ProtocolError) as caught:
        decode_message(input_of(case))
    assert caught.value.raw == b""
    assert caught.value.offset is not None
    assert caught.value.offset <= len(case["hex"]) // 2
