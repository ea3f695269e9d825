"""The card's end of ISO-DEP: what it repeats, and what it is silent on."""

import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.iso14443.activation import Ats, ats
from protocols.iso14443.block import InformationBlock, ReceiveBlock, decode_block, encode_block
from protocols.iso14443.crc import Edc
from protocols.iso14443.picc import CommandReceived, PiccDeselected, PiccDialogue, Respond


def ready(answer=None):
    """A card after RATS with FSD 32."""
    picc = PiccDialogue(Edc.NONE, answer or ats(fsc=16))
    picc.receive(b"\xe0\x20", 0.0)
    picc.bytes_to_send()
    return picc


@pytest.mark.parametrize("options", [{"answer": Ats(0x70)}, {"answer": ats(), "wtxm": 60}])
def test_there_is_no_such_card(options):
    with pytest.raises(LocalProtocolError):
        PiccDialogue(Edc.CRC_A, **options)


def test_a_card_sends_its_last_block_again():
    picc = ready()
    picc.receive(b"\x02ab", 0.0)
    assert picc.next_event() == CommandReceived(b"ab")
    picc.send(Respond(b"\x90\x00"), 0.0)
    assert picc.bytes_to_send() == b"\x02\x90\x00"
    picc.receive(b"\xb2", 0.0)  # rule 11
    assert picc.bytes_to_send() == b"\x02\x90\x00"
    picc.receive(b"\xb3", 0.0)  # rule 12
    assert picc.bytes_to_send() == b"\xa2"
    picc.receive(b"\xb2", 0.0)
    assert picc.bytes_to_send() == b"\x02\x90\x00"
    picc.receive(b"\xa3", 0.0)  # R(ACK) outside of a chain
    assert picc.bytes_to_send() == b""


@pytest.mark.parametrize(
    "frame", [b"", b"\x42", b"\x0a\x01x", b"\x06\x00x", b"\x02" + bytes(14), b"\xe0\x20", b"\xd0\x11\xf0", b"\xf2\x02"]
)
def test_a_card_is_silent_on_what_is_not_for_it(frame):
    picc = ready()
    picc.receive(frame, 0.0)
    assert picc.bytes_to_send() == b""
    assert picc.next_event() is NEED_DATA


def test_a_card_without_cid_ignores_blocks_with_one():
    picc = ready(ats(cid_supported=False))
    picc.receive(b"\x0a\x00x", 0.0)
    assert picc.bytes_to_send() == b""
    assert picc.next_event() is NEED_DATA


def test_a_card_that_computes_answers_an_impatient_reader_with_s_wtx():
    picc = ready()
    picc.receive(b"\x02ab", 0.0)
    picc.receive(b"\xb2", 0.0)
    assert picc.bytes_to_send() == b"\xf2\x02"
    picc.send(Respond(b"\x90\x00"), 0.0)
    assert picc.bytes_to_send() == b""
    picc.receive(b"\xf2\x03", 0.0)  # not what it asked for
    assert picc.bytes_to_send() == b""
    picc.receive(b"\xb2", 0.0)
    assert picc.bytes_to_send() == b"\xf2\x02"
    picc.receive(b"\xf2\x02", 0.0)
    assert picc.bytes_to_send() == b"\x02\x90\x00"


def test_a_card_answers_only_when_it_was_asked():
    picc = ready()
    with pytest.raises(LocalProtocolError):
        picc.send(Respond(b""), 0.0)
    picc.receive(b"\x02ab", 0.0)
    picc.receive(b"\xb2", 0.0)
    picc.send(Respond(b""), 0.0)
    with pytest.raises(LocalProtocolError):
        picc.send(Respond(b""), 0.0)


def test_a_command_without_end_is_met_with_silence():
    picc = ready(ats(fsc=256))
    number = 0
    for _ in range(300):
        picc.receive(encode_block(InformationBlock(number, bytes(253), chaining=True)), 0.0)
        if not picc.bytes_to_send():
            break
        number ^= 1
    else:
        raise AssertionError("it took everything")
    assert len(picc._command) <= 65_544


def test_a_deselected_card_says_so_and_falls_silent():
    picc = ready()
    picc.receive(b"\xc2", 0.0)
    assert picc.bytes_to_send() == b"\xc2"
    assert picc.next_event() == PiccDeselected()
    picc.receive(b"\x02ab", 0.0)
    assert picc.bytes_to_send() == b""


def test_an_ats_of_one_byte_allows_32_bytes():
    picc = ready(Ats())
    picc.receive(encode_block(InformationBlock(0, bytes(29))), 0.0)
    assert picc.next_event() == CommandReceived(bytes(29))
    picc.send(Respond(bytes(40)), 0.0)
    assert decode_block(picc.bytes_to_send()) == InformationBlock(0, bytes(29), chaining=True)
    picc.receive(encode_block(ReceiveBlock(1)), 0.0)
    assert decode_block(picc.bytes_to_send()) == InformationBlock(1, bytes(11))
