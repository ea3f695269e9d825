"""The frame with which a centre confirms an uplink, or asks for a packet again.

SL 651-2014, clause 6.3.2. MicroPython-clean.

>>> from protocols.sl651.frame import ESC, decode_frame, encode_frame
>>> uplink = decode_frame(bytes.fromhex("7E7E010012345678123430000802000359101115494703" "535F"))
>>> encode_frame(confirm_of(uplink, 3, "591011154947", ESC)).hex()
'7e7e00123456780112343080080200035910111549471b75d4'
"""

from protocols.sl651.bodies import Bare, Opening
from protocols.sl651.frame import Frame


def confirm_of(uplink: Frame, serial: int, send_time: str, end_char: int, packet_seq: int | None = None) -> Frame:
    """Same coding, password and function code, and the serial number of the uplink.

    packet_seq: of a message of several packets, the packet that is wanted again; else the total stands there.
    """
    total = uplink.packet_total
    return Frame(
        uplink.center_addr,
        uplink.station_addr,
        uplink.password,
        uplink.function_code,
        Bare(Opening(serial, send_time)).encode(uplink.is_ascii),
        end_char,
        True,
        uplink.is_ascii,
        total,
        None if total is None else total if packet_seq is None else packet_seq,
    )
