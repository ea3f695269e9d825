"""The reader's end of ISO-DEP: what it asks for again, and when it gives a card up."""

import msgspec
import pytest

from protocols.core.errors import LocalProtocolError
from protocols.iso14443.activation import Ats
from protocols.iso14443.block import InformationBlock, WaitBlock, encode_block
from protocols.iso14443.crc import Edc
from protocols.iso14443.parameters import DELTA_FWT_S, MAX_FWT_S, frame_waiting_time_s
from protocols.iso14443.pcd import MAX_ANSWER_BYTES, PcdDialogue
from protocols.iso14443.pcd_events import (
    Activate,
    Activated,
    Answer,
    CardLost,
    CheckPresence,
    Deselect,
    Deselected,
    PcdState,
    SetRates,
    Transceive,
)
from protocols.iso14443.type_b import Atqb, AttribAnswer

ATQB_CARD = Atqb(b"\x01\x02\x03\x04")


def activated(**options):
    """A reader that waits for the answer to its first block, without EDC."""
    pcd = PcdDialogue(Edc.NONE, **options)
    pcd.send(Activate(), 0.0)
    pcd.bytes_to_send()
    pcd.receive(bytes.fromhex("0572804002"), 0.0)  # FSC 32, FWI 4
    assert isinstance(pcd.next_event(), Activated)
    pcd.send(Transceive(b"\x00\xa4\x04\x00"), 0.0)
    assert pcd.bytes_to_send().hex() == "0200a40400"
    return pcd


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"", "the front end saw a broken frame"),
        (b"\x03\x90\x00", "wrong number"),
        (b"\x0a\x00\x90\x00", "CID nobody asked for"),
        (b"\x06\x00\x90\x00", "NAD nobody asked for"),
        (b"\xa2", "R(ACK) of the last block of a chain"),
        (b"\xb2", "R(NAK)"),
        (b"\xc2", "S(DESELECT) unasked"),
        (b"\xf2\x00", "WTXM 0"),
        (b"\x42", "no PCB"),
        (bytes(300), "too long"),
    ],
)
def test_what_is_out_of_place_is_asked_for_again(frame, why):
    pcd = activated()
    pcd.receive(frame, 0.001)
    assert pcd.bytes_to_send() == b"\xb2", why
    pcd.receive(b"\x02\x90\x00", 0.002)
    assert pcd.next_event() == Answer(b"\x90\x00")


def test_a_card_that_never_takes_a_block_is_given_up():
    pcd = activated()
    for _ in range(3):
        pcd.receive(b"\xa3", 0.001)  # rule 6
        assert pcd.bytes_to_send().hex() == "0200a40400"
    pcd.receive(b"\xa3", 0.001)
    assert pcd.bytes_to_send() == b"\xc2"
    pcd.receive(b"rubbish", 0.001)
    assert pcd.next_event() == CardLost("the card does not take a block")


def test_an_i_block_in_the_middle_of_our_chain_is_refused():
    pcd = PcdDialogue(Edc.NONE)
    pcd.send(Activate(), 0.0)
    pcd.bytes_to_send()
    pcd.receive(b"\x01", 0.0)
    pcd.next_event()
    pcd.send(Transceive(bytes(60)), 0.0)
    assert pcd.bytes_to_send()[0] == 0x12
    pcd.receive(b"\x02\x90\x00", 0.0)
    assert pcd.bytes_to_send() == b"\xb2"


def test_a_chain_without_end_is_cut():
    pcd = activated()
    number = 0
    fed = 0
    while pcd.state in {PcdState.XFER_TX, PcdState.XFER_RX}:
        pcd.receive(encode_block(InformationBlock(number, bytes(250), chaining=True)), 0.0)
        pcd.bytes_to_send()
        number ^= 1
        fed += 250
        assert fed < MAX_ANSWER_BYTES + 5000
    pcd.tick(1.0)
    assert isinstance(pcd.next_event(), CardLost)


def test_a_chain_of_empty_blocks_is_cut_by_time():
    pcd = activated(exchange_limit_s=1.0)
    for step in range(1000):
        if pcd.state not in {PcdState.XFER_TX, PcdState.XFER_RX}:
            break
        pcd.receive(encode_block(InformationBlock(step & 1, b"", chaining=True)), step * 0.01)
        pcd.bytes_to_send()
    assert pcd.state is PcdState.GIVING_UP


def test_a_long_waiting_time_is_capped():
    pcd = activated()
    pcd.receive(encode_block(WaitBlock(59, 3)), 0.0)
    assert pcd.bytes_to_send() == encode_block(WaitBlock(59))  # power level bits are 0 in the answer
    assert pcd.next_deadline() == pytest.approx(59 * frame_waiting_time_s(4) + DELTA_FWT_S)
    slow = PcdDialogue(Edc.NONE)
    slow.send(Activate(), 0.0)
    slow.bytes_to_send()
    slow.receive(bytes.fromhex("057280e002"), 0.0)  # FWI 14
    slow.next_event()
    slow.send(Transceive(b"x"), 0.0)
    slow.receive(encode_block(WaitBlock(59)), 0.0)
    assert slow.next_deadline() == pytest.approx(MAX_FWT_S + DELTA_FWT_S)


def test_a_missing_answer_to_deselect_is_told():
    pcd = activated()
    pcd.receive(b"\x02\x90\x00", 0.0)
    pcd.next_event()
    pcd.send(Deselect(), 0.0)
    assert pcd.bytes_to_send() == b"\xc2"
    pcd.tick(1.0)
    assert pcd.bytes_to_send() == b"\xc2"
    pcd.tick(2.0)
    assert pcd.next_event() == Deselected(is_confirmed=False)


def test_an_absent_card_is_not_present():
    pcd = activated()
    pcd.receive(b"\x02\x90\x00", 0.0)
    pcd.next_event()
    pcd.send(CheckPresence(), 0.0)
    for at in (1.0, 2.0, 3.0):
        assert pcd.bytes_to_send() == b"\xb3"
        pcd.tick(at)
    assert pcd.bytes_to_send() == b"\xc2"
    pcd.tick(4.0)
    assert pcd.next_event() == CardLost("no answer")


@pytest.mark.parametrize(
    "command", [Activate(), Activate(ATQB_CARD), Deselect(), CheckPresence(), Transceive(b""), SetRates(0, 0)]
)
def test_one_thing_at_a_time(command):
    """What is refused changes nothing."""
    pcd = activated()
    with pytest.raises(LocalProtocolError):
        pcd.send(command, 0.0)
    pcd.receive(b"\x02\x90\x00", 0.001)
    assert pcd.next_event() == Answer(b"\x90\x00")


def test_a_refused_activation_does_not_change_what_is_waited_for():
    pcd = PcdDialogue(Edc.NONE)
    pcd.send(Activate(), 0.0)
    pcd.bytes_to_send()
    with pytest.raises(LocalProtocolError):
        pcd.send(Activate(ATQB_CARD), 0.0)
    pcd.receive(b"\x01", 0.001)
    assert pcd.next_event() == Activated(Ats(), b"\x01")


def test_what_cannot_be_sent_leaves_the_reader_as_it_was():
    pcd = PcdDialogue(Edc.CRC_B)
    with pytest.raises(LocalProtocolError):
        pcd.send(Activate(Atqb(b"\x01\x02\x03")), 0.0)
    assert pcd.state is PcdState.IDLE
    pcd.send(Activate(ATQB_CARD), 0.0)
    assert pcd.bytes_to_send().hex().startswith("1d01020304")


@pytest.mark.parametrize("cid", [-1, 15])
def test_a_card_cannot_have_this_number(cid):
    with pytest.raises(LocalProtocolError):
        PcdDialogue(Edc.CRC_A, cid=cid)


def test_an_answer_to_another_attrib_is_not_taken():
    """The card tells the CID that it was given; one that takes none tells 0."""
    pcd = PcdDialogue(Edc.NONE, cid=3)
    pcd.send(Activate(msgspec.structs.replace(ATQB_CARD, timing=0x41)), 0.0)
    request = pcd.bytes_to_send()
    pcd.receive(b"\x02", 0.001)
    assert pcd.bytes_to_send() == request
    pcd.receive(b"\x03", 0.002)
    assert pcd.next_event() == Activated(AttribAnswer(cid=3), b"\x03")
