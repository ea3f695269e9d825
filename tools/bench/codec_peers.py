"""Other libraries that do what a row of the codecs does, each on the same frames, and the goal against them.

All of them are loaded only when they are measured: pyais and pynmea2 are in the test environment, not on a box.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from protocols.jt808.location import Location

Work = tuple[Callable[[Any], object], Sequence[Any]]
"""A function, and all that it is called with."""


class Peer(msgspec.Struct, frozen=True):
    """Another library, and what it is to be measured at."""

    name: str
    module: str
    load: Callable[[Any, Sequence[Any], Sequence[Any]], Work]
    """What it does, of its module, the frames and our messages."""
    goal: str = ""
    least_ratio: float | None = None
    """How many times its rate ours should be at least."""


def _location_layout(construct: Any) -> Any:
    c = construct
    return c.Struct(
        "alarm_flags" / c.Int32ub,
        "status_flags" / c.Int32ub,
        "latitude" / c.Int32ub,
        "longitude" / c.Int32ub,
        "altitude" / c.Int16ub,
        "speed" / c.Int16ub,
        "direction" / c.Int16ub,
        "time" / c.Bytes(6),
    )


def _bare_bodies(messages: Sequence[Any]) -> list[bytes]:
    """The 28 bytes of each location, without frame, escapes, check, header and extras."""
    bodies = []
    for packet in messages:
        location: Location = packet.body
        bodies.append(msgspec.structs.replace(location, extras=()).to_bytes(packet.dialect))
    return bodies


def _parse_location(construct: Any, _frames: Sequence[Any], messages: Sequence[Any]) -> Work:
    return _location_layout(construct).parse, _bare_bodies(messages)


def _build_location(construct: Any, _frames: Sequence[Any], messages: Sequence[Any]) -> Work:
    layout = _location_layout(construct)
    return layout.build, [layout.parse(body) for body in _bare_bodies(messages)]


def _decode_ais(pyais: Any, frames: Sequence[bytes], _messages: Sequence[Any]) -> Work:
    decode = pyais.decode
    return lambda line: decode(line, error_if_checksum_invalid=True), frames


def _encode_ais(pyais: Any, frames: Sequence[bytes], _messages: Sequence[Any]) -> Work:
    encode = pyais.encode.encode_msg
    return lambda message: encode(message, "AI", "VDM", "A"), [pyais.decode(line) for line in frames]


def _parse_nmea(pynmea2: Any, frames: Sequence[bytes], _messages: Sequence[Any]) -> Work:
    parse = pynmea2.parse
    return lambda line: parse(line, check=True), [line.decode() for line in frames]


def _parse_nmea_fields(pynmea2: Any, frames: Sequence[bytes], _messages: Sequence[Any]) -> Work:
    parse = pynmea2.parse

    def parse_and_read(line: str) -> None:
        sentence = parse(line, check=True)
        for field in sentence.fields:
            getattr(sentence, field[1])
        if hasattr(type(sentence), "latitude"):
            _position = sentence.latitude, sentence.longitude

    return parse_and_read, [line.decode() for line in frames]


def _render_nmea(pynmea2: Any, frames: Sequence[bytes], _messages: Sequence[Any]) -> Work:
    return lambda sentence: sentence.render(), [pynmea2.parse(line.decode()) for line in frames]


PEERS: Mapping[str, Peer] = {
    "jt808-location-decode": Peer(
        "construct, bare body", "construct", _parse_location, "at most 0.6x its time: 1.67x its rate", 1 / 0.6
    ),
    "jt808-location-encode": Peer("construct, bare body", "construct", _build_location),
    "ais-position-decode": Peer("pyais", "pyais", _decode_ais, "at least 4x", 4.0),
    "ais-position-encode": Peer("pyais", "pyais", _encode_ais),
    "nmea0183-decode": Peer("pynmea2", "pynmea2", _parse_nmea, "at least 6x", 6.0),
    "nmea0183-encode": Peer("pynmea2", "pynmea2", _render_nmea),
    "nmea0183-fields-decode": Peer("pynmea2", "pynmea2", _parse_nmea_fields),
}
"""By the name of the row."""


def load(peer: Peer, frames: Sequence[Any], messages: Sequence[Any]) -> Work | None:
    """What it does, or None where it is not installed."""
    try:
        module = importlib.import_module(peer.module)
    except ImportError:
        return None
    return peer.load(module, frames, messages)
