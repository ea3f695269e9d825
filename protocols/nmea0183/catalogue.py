"""Formatter -> class, written out by hand, and the decoder that knows them all.

MicroPython-clean.

>>> gga = decode(b"$BDGGA,063000.00,3204.12345,N,11846.54321,E,1,09,0.8,9.7,M,3.1,M,,*4A")
>>> gga.talker, gga.num_sats
('BD', 9)
"""

from protocols.nmea0183.environment import Dbt, Dpt, Mtw, Mwv, Xdr
from protocols.nmea0183.motion import Hdt, Rot, Vtg, Zda
from protocols.nmea0183.position import Gga, Gll, Gns, Rmc
from protocols.nmea0183.satellites import Gsa, Gsv
from protocols.nmea0183.sentence import Decoder, Sentence
from protocols.nmea0183.text import Txt

KINDS: dict[str, type[Sentence]] = {
    "GGA": Gga,
    "RMC": Rmc,
    "GLL": Gll,
    "GNS": Gns,
    "GSA": Gsa,
    "GSV": Gsv,
    "VTG": Vtg,
    "ZDA": Zda,
    "HDT": Hdt,
    "ROT": Rot,
    "DBT": Dbt,
    "DPT": Dpt,
    "MTW": Mtw,
    "MWV": Mwv,
    "XDR": Xdr,
    "TXT": Txt,
}


decode = Decoder(KINDS).decode
"""Decode a line into the class of its formatter.

Raises `FrameError`, `ChecksumError`, `FieldError`, and `UnsupportedError` for a good line of another formatter or of a
maker's own. Fields are checked when they are read, see `Sentence`.
"""
