"""What carries application data: messages 6 (to one station) and 8 (to all). And 14, text about safety.

ITU-R M.1371-5, Annex 8; Annex 5 for the application identifier: a designated area code (DAC) and
a function. Data of an application that is not in the catalogue is kept bit for bit.
"""

from typing import Annotated

from protocols.ais.table import LONGEST, Bits, Message, Rest, Row, Table


class Addressed(Message, frozen=True):
    """How every message 6 begins."""

    seqno: Annotated[int, Row(38, 39)]
    dest_mmsi: Annotated[int, Row(40, 69)]
    retransmit: Annotated[bool, Row(70, 70, "flag")]
    dac: Annotated[int, Row(72, 81)]
    fid: Annotated[int, Row(82, 87)]


class Broadcast(Message, frozen=True):
    """How every message 8 begins."""

    dac: Annotated[int, Row(40, 49)]
    fid: Annotated[int, Row(50, 55)]


class AddressedData(Addressed, frozen=True):
    """Message 6 of any application."""

    data: Annotated[Bits, Rest("bits")]


class BroadcastData(Broadcast, frozen=True):
    """Message 8 of any application."""

    data: Annotated[Bits, Rest("bits")]


class SafetyText(Message, frozen=True):
    """Message 14."""

    text: Annotated[str, Rest("text")]


ADDRESSED = Table(AddressedData, 88, longest=LONGEST)
BROADCAST = Table(BroadcastData, 56, longest=LONGEST)
SAFETY_TEXT = Table(SafetyText, 40, longest=LONGEST)
