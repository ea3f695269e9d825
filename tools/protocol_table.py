"""The protocols that the command line decodes and encodes: a written-out table of where each one's readable layer is.

Every module in it has `decode_message(case)` and `encode_message(message)`; none is loaded before it is asked for.
"""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from drivers.text import _
from tools.output import Exit, fail, nearest

Case = Mapping[str, Any]
Message = dict[str, Any]


class Codec(msgspec.Struct, frozen=True, kw_only=True):
    """One protocol's readable layer."""

    module: str
    takes_text: bool = False
    """Its frames are lines of text, not bytes."""
    charset: str = "latin-1"
    """What its lines on stdin are written in; Latin-1 has a character for every byte."""
    line_end: str = ""
    """What ends each of its frames, where that is the end of the line too: whoever copies a line has lost it."""
    text_kinds: frozenset[str] = frozenset()
    """Values of the option `protocol` or `kind` with which its input is text nevertheless."""
    several: str = ""
    """What a case calls the frames of one message that comes in several; empty: there is no such message."""
    needs_maps: bool = False
    """It decodes by register maps, which are the drivers' data."""

    def input_key(self, options: Case) -> str:
        """`text` or `hex`: what one frame of it is called in a case."""
        is_text = options.get("protocol") in self.text_kinds or options.get("kind") in self.text_kinds
        return "text" if self.takes_text or is_text else "hex"

    def decoder(self) -> Callable[[Case], Message]:
        """Load and return its `decode_message`."""
        decode: Callable[..., Message] = importlib.import_module(self.module).decode_message
        if not self.needs_maps:
            return decode
        return partial(decode, maps=importlib.import_module("drivers.modbus.map_file").ShippedMaps())

    def encoder(self) -> Callable[[Message], Message]:
        """Load and return its `encode_message`."""
        encode: Callable[[Message], Message] = importlib.import_module(self.module).encode_message
        return encode


PROTOCOLS: dict[str, Codec] = {
    "ais": Codec(module="protocols.ais.message", takes_text=True, several="text"),
    "aton": Codec(module="protocols.aton.message", text_kinds=frozenset({"character"})),
    "dlt645": Codec(module="protocols.dlt645.message"),
    "epurse": Codec(module="protocols.epurse.message"),
    "etc_rsu": Codec(module="protocols.etc_rsu.message"),
    "gbt32960": Codec(module="protocols.gbt32960.message"),
    "hj212": Codec(module="protocols.hj212.message", takes_text=True, charset="gbk", line_end="\r\n"),
    "iso14443": Codec(module="protocols.iso14443.message"),
    "jt808": Codec(module="protocols.jt808.message", several="frames"),
    "modbus_devices": Codec(
        module="protocols.modbus_devices.message", text_kinds=frozenset({"timing", "planner"}), needs_maps=True
    ),
    "nmea0183": Codec(module="protocols.nmea0183.message", takes_text=True),
    "pn532": Codec(module="protocols.pn532.message"),
    "rfid_and_gates": Codec(
        module="protocols.rfid_and_gates.message",
        text_kinds=frozenset({"iso6346", "ean13", "eseal", "hostapd", "jws", "ticket"}),
    ),
    "sl651": Codec(module="protocols.sl651.message", several="hex"),
    "traffic_survey": Codec(module="protocols.traffic_survey.message", text_kinds=frozenset({"pcu", "overload"})),
    "vehicle_bus": Codec(module="protocols.vehicle_bus.message", text_kinds=frozenset({"elm"}), several="frames"),
    "vms": Codec(module="protocols.vms.message"),
}


def codec_of(protocol: str) -> Codec:
    """The codec of a protocol; ends the command with the known ones when there is none."""
    codec = PROTOCOLS.get(protocol)
    if codec is None:
        text = _('there is no protocol "{name}"; the nearest is "{nearest}" (there are: {known})')
        known = ", ".join(PROTOCOLS)
        fail(text.format(name=protocol, nearest=nearest(protocol, PROTOCOLS), known=known), Exit.USAGE)
    return codec
