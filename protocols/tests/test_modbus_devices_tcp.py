"""Modbus TCP frames: byte by byte, in noise, out of step."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU

from protocols.core.errors import FrameError, LocalProtocolError
from protocols.modbus_devices import tcp
from protocols.modbus_devices.pdu import ReadRequest
from protocols.modbus_devices.tcp import TcpFrame, TcpFramer, decode_tcp, encode_tcp
from protocols.tests.kit import drip, frames_of, noisy, pieces

READ = ReadRequest(3, 0x10, 4)
TCP_WIRE = encode_tcp(7, 1, READ.encode())
TCP_FRAME = TcpFrame(7, 1, READ.encode())


def test_tcp_frame_both_ways_and_byte_by_byte():
    assert TCP_WIRE.hex() == "000700000006010300100004"
    assert decode_tcp(TCP_WIRE) == TCP_FRAME
    assert drip(TcpFramer(), TCP_WIRE * 3) == [TCP_FRAME] * 3


def test_pymodbus_frames_tcp_alike():
    theirs = FramerSocket(DecodePDU(is_server=True))
    assert theirs.encode(READ.encode(), 1, 7) == TCP_WIRE
    assert theirs.decode(TCP_WIRE) == (len(TCP_WIRE), 1, 7, READ.encode())


@pytest.mark.parametrize(
    "wire",
    [
        "",
        "00070000000601",
        "000700010006010300100004",
        "000700000007010300100004",
        "00070000000101",
        "0007000000ff01" + 254 * "00",
    ],
)
def test_a_broken_tcp_frame_is_refused(wire):
    with pytest.raises(FrameError):
        decode_tcp(bytes.fromhex(wire))


@pytest.mark.parametrize(
    ("transaction_id", "unit_id", "pdu"),
    [(-1, 1, b"x"), (65_536, 1, b"x"), (1, 256, b"x"), (1, 1, b""), (1, 1, bytes(254))],
)
def test_no_tcp_frame_for_nonsense(transaction_id, unit_id, pdu):
    with pytest.raises(LocalProtocolError):
        encode_tcp(transaction_id, unit_id, pdu)


def test_out_of_step_is_said_once_and_the_next_good_frame_found():
    framer = TcpFramer()
    framer.feed(b"\xff\xff\xff" + TCP_WIRE)
    with pytest.raises(FrameError):
        framer.next_frame()
    assert framer.next_frame() == TCP_FRAME
    assert framer.discarded_bytes == 3
    framer.feed(b"half")
    framer.reset()
    assert drip(framer, TCP_WIRE) == [TCP_FRAME]


def test_more_than_the_ceiling_on_tcp_puts_the_stream_out_of_step():
    framer = TcpFramer(max_bytes=300)
    framer.feed(TCP_WIRE * 40)
    found = frames_of(framer)
    assert found
    assert found == [TCP_FRAME] * len(found)
    assert framer.discarded_bytes + len(TCP_WIRE) * len(found) == len(TCP_WIRE) * 40


def test_tcp_is_found_again_after_noise():
    for seed in range(20):
        assert noisy(TcpFramer(), TCP_WIRE, seed=seed, ceiling=tcp.MAX_TCP_BYTES)[-1] == TCP_FRAME


@settings(derandomize=True, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=253), max_size=6), st.integers(0, 2**32))
def test_any_split_of_tcp_equals_the_whole(pdus, seed):
    frames = [TcpFrame(number, 255 - number, pdu) for number, pdu in enumerate(pdus)]
    framer = TcpFramer()
    found = []
    for piece in pieces(b"".join(encode_tcp(f.transaction_id, f.unit_id, f.pdu) for f in frames), seed):
        framer.feed(piece)
        found += frames_of(framer)
    assert found == frames


@settings(derandomize=True, deadline=None)
@given(st.lists(st.binary(max_size=600), max_size=12))
def test_any_bytes_on_tcp_raise_only_frame_errors_and_stay_bounded(chunks):
    framer = TcpFramer(max_bytes=512)
    fed = framed = 0
    for chunk in chunks:
        framer.feed(chunk)
        fed += len(chunk)
        framed += sum(len(frame.pdu) + 7 for frame in frames_of(framer))
    framer.reset()
    assert framed + framer.discarded_bytes == fed
