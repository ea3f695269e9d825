"""What the tests of both ends of a line of meters say and hear."""

from protocols.dlt645 import frame, master, meter
from protocols.dlt645.catalogue import decode_answer, decode_request, frame_of_answer, frame_of_request
from protocols.dlt645.edition import Edition
from protocols.dlt645.frame import Framer, decode_frame, encode_frame
from protocols.dlt645.master import MasterDialogue
from protocols.dlt645.requests import (
    Clock,
    ReadData,
    SetClock,
)
from protocols.tests.kit import frames_of

E07, E97 = Edition.E2007, Edition.E1997
METER = "123456789012"
ENERGY = ReadData(0x00010000)
VALUE = bytes.fromhex("56341200")
CLOCK = SetClock(Clock(2025, 3, 1, 12, 30, 59))
ANSWER_S = master.ANSWER_S + master.LATENESS_S
GAP_S = frame.GAP_S + master.LATENESS_S


def a_master(edition=E07, **options):
    return MasterDialogue(edition, baud=None, **options)


def asked(dialogue, edition=E07):
    """What it asks for, as (address, request)."""
    framer = Framer()
    framer.feed(dialogue.bytes_to_send())
    frames = frames_of(framer)
    assert all(frame.preamble_count == 4 for frame in frames)
    return [(frame.address, decode_request(frame, edition)) for frame in frames]


def answer(what, address=METER, edition=E07):
    return encode_frame(frame_of_answer(address, what, edition))


def request(what, address=METER, edition=E07):
    return encode_frame(frame_of_request(address, what, edition, preamble_count=4))


def answered(dialogue, now, edition=E07):
    """What a meter answers once it may."""
    assert dialogue.bytes_to_send() == b""
    dialogue.tick(now + meter.DELAY_S)
    wire = dialogue.bytes_to_send()
    return decode_answer(decode_frame(wire), edition) if wire else None
