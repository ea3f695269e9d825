"""What the tests of both ends of hj212 share."""

from protocols.core.errors import NEED_DATA
from protocols.hj212.cp import chained, factor_items
from protocols.hj212.data import HourData, MinuteData, RealtimeData
from protocols.hj212.link import Identity
from protocols.hj212.message import decode_message
from protocols.hj212.packet import Framer, Packet, encode_packet
from protocols.hj212.parameters import SetRealtimeInterval
from protocols.hj212.platform import PlatformDialogue
from protocols.hj212.segment import Segment, encode_segment, header_of
from protocols.hj212.site import SiteDialogue
from protocols.tests.kit import frames_of

IDENTITY = Identity(mn="SHIP44010000000000000001", st="31", pw="123456")
CODES = frozenset({"1000", "1062", "1072", "2011", "2012", "2061"})
QN = "20250301120000001"
DATA = MinuteData(data_time="20250301115000", others=factor_items("a21026", {"Avg": "1.5", "Flag": "N"}))
REALTIME = RealtimeData(data_time="20250301120000")
INTERVAL = SetRealtimeInterval(interval_s=30)


def a_site(identity=IDENTITY, **options):
    return SiteDialogue(identity, CODES, **options)


def a_platform(identity=IDENTITY, **options):
    return PlatformDialogue(identity, **options)


def said(dialogue):
    """What it has to say, readable."""
    crc_mode = "modbus" if dialogue.identity.is_modbus_crc else "standard"
    framer = Framer(accepts_modbus_crc=dialogue.identity.is_modbus_crc)
    framer.feed(dialogue.bytes_to_send())
    wires = [encode_packet(packet).hex() for packet in frames_of(framer)]
    assert framer.discarded_bytes == 0
    return [decode_message({"hex": wire, "crc_mode": crc_mode}) for wire in wires]


def events_of(dialogue):
    events = []
    while (event := dialogue.next_event()) is not NEED_DATA:
        events.append(event)
    return events


def wire(cn, *items, qn=QN, st="31", pw="123456", mn=IDENTITY.mn, flag=5, **parts):
    header = header_of(qn=qn, st=st, cn=cn, pw=pw, mn=mn, flag=flag, **parts)
    return encode_packet(Packet(encode_segment(Segment(header, chained(items)))))


def codes_of(messages):
    return [message["cn"] for message in messages]


def long_data(count=40):
    items = [item for number in range(count) for item in factor_items(f"a{number:05d}", {"Avg": "1.5", "Flag": "N"})]
    return HourData(data_time="20250301110000", others=chained(items))


def crc_by_the_book(data):
    register = 0xFFFF
    for byte in data:
        register = (register >> 8) ^ byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register
