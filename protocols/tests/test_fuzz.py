"""Hostile bytes for every decoder and framer: damaged vectors, and bytes that never were a frame.

`make soak` runs the long form; `make fuzz` lets coverage choose the bytes (`guided_fuzz.py`).

One invariant and nothing else: only `RemoteProtocolError` comes out, whatever goes in.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from drivers.modbus.map_file import ShippedMaps
from protocols.ais import message as ais
from protocols.aton import message as aton
from protocols.aton.frame import Frame, encode_frame
from protocols.core.errors import RemoteProtocolError
from protocols.dlt645 import message as dlt645
from protocols.epurse import message as epurse
from protocols.etc_rsu import message as etc_rsu
from protocols.gbt32960 import message as gbt32960
from protocols.hj212 import message as hj212
from protocols.iso14443 import message as iso14443
from protocols.jt808 import message as jt808
from protocols.modbus_devices import message as modbus_devices
from protocols.nmea0183 import message as nmea0183
from protocols.pn532 import message as pn532
from protocols.rfid_and_gates import message as rfid_and_gates
from protocols.rfid_and_gates import uhf_reader18
from protocols.sl651 import message as sl651
from protocols.tests.fuzz_framers import FRAMERS, feed_framer
from protocols.tests.kit import cases_of, input_of
from protocols.traffic_survey import message as traffic_survey
from protocols.vehicle_bus import message as vehicle_bus
from protocols.vms import message as vms
from protocols.wayside.envelope import Envelope, command_of, desired_of, parse_envelope
from protocols.wayside.events import decode_event
from protocols.wayside.pack_codec import decode_pack
from protocols.wayside.state import Ack, Health, Ingest, Notice, Reported, State, decode, decode_catalogue

PROTOCOLS: dict[str, Callable[[Mapping[str, object]], object]] = {
    "dlt645": dlt645.decode_message,
    "ais": ais.decode_message,
    "aton": aton.decode_message,
    "epurse": epurse.decode_message,
    "etc_rsu": etc_rsu.decode_message,
    "gbt32960": gbt32960.decode_message,
    "hj212": hj212.decode_message,
    "iso14443": iso14443.decode_message,
    "jt808": jt808.decode_message,
    "modbus_devices": partial(modbus_devices.decode_message, maps=ShippedMaps()),
    "nmea0183": nmea0183.decode_message,
    "pn532": pn532.decode_message,
    "rfid_and_gates": rfid_and_gates.decode_message,
    "sl651": sl651.decode_message,
    "traffic_survey": traffic_survey.decode_message,
    "vehicle_bus": vehicle_bus.decode_message,
    "vms": vms.decode_message,
}
PAYLOADS: dict[str, Callable[[bytes], object]] = {
    "pack": decode_pack,
    "event": decode_event,
    "catalogue": decode_catalogue,
    "envelope": parse_envelope,
    "command": lambda data: command_of(Envelope(key_id="ops-1", payload=data, form="sig", signature=b"")),
    "desired": lambda data: desired_of(Envelope(key_id="ops-1", payload=data, form="sig", signature=b"")),
    **{kind.__name__.lower(): partial(decode, kind=kind) for kind in (Ack, Health, Ingest, Notice, Reported, State)},
}
STARTS = (b"", b"{", b'{"v": 1, ', b"[" * 5_000, b"\xa0", b"\xbf", b"\x78\x9c", b'{"a":' * 5_000, b"\xff\xfe")


def damaged(rng: random.Random, data: bytes) -> bytes:
    """A frame after something has happened to it on the way."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(5):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at:]
            case 2:
                out[at:at] = rng.randbytes(rng.choice((1, 2, 300)))
            case 3:
                out[at : at + 4] = out[: rng.randrange(1, 8)]
            case _:
                out[at : at + 1] = bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))])
    return bytes(out) if rng.random() < 0.95 else rng.randbytes(rng.randrange(300))


def damaged_text(rng: random.Random, text: str) -> str:
    """The same for a line of text."""
    return damaged(rng, text.encode("latin-1", "replace")).decode("latin-1")


def damaged_digits(rng: random.Random, digits: str) -> str:
    """Hex digits after something has happened to their bytes; to the characters where they are no whole bytes."""
    try:
        return damaged(rng, bytes.fromhex(digits)).hex()
    except ValueError:
        return damaged(rng, digits.encode("ascii")).decode("latin-1")


def damaged_case(rng: random.Random, case: Mapping[str, Any]) -> dict[str, Any]:
    """A vector with its frames damaged and its options as they were."""
    out = input_of(case)
    if isinstance(out.get("hex"), list):
        packets = list(out["hex"])
        at = rng.randrange(len(packets))
        packets[at] = damaged(rng, bytes.fromhex(packets[at])).hex()
        out["hex"] = packets
    elif "hex" in out:
        out["hex"] = damaged_digits(rng, out["hex"])
    elif isinstance(out.get("text"), list):
        lines = list(out["text"])
        at = rng.randrange(len(lines))
        lines[at] = damaged_text(rng, lines[at])
        out["text"] = lines
    elif "text" in out:
        out["text"] = damaged_text(rng, out["text"])
    else:
        frames = [dict(frame) if isinstance(frame, dict) else frame for frame in out["frames"]]
        at = rng.randrange(len(frames))
        frame = frames[at]
        if isinstance(frame, dict):
            frame["hex"] = damaged_digits(rng, frame["hex"])
        else:
            frames[at] = damaged_digits(rng, frame)
        out["frames"] = frames
    return out


def for_seconds(seconds: float, most: int) -> Iterator[int]:
    """Rounds, until either is reached."""
    until = time.monotonic() + seconds
    number = 0
    while number < most and time.monotonic() < until:
        yield number
        number += 1


OWN_FRAMES = {
    "aton": encode_frame(Frame(1, 7, 1, b"\x00" * 20)),
    "rfid_and_gates_uhf_reader18": uhf_reader18.encode_frame(uhf_reader18.Frame(0, 1, b"\x01\x01\x02\xe2\x00")),
}
"""Frames of formats that have no vector."""
FORMS = [pytest.param(300, 10.0, id="short"), pytest.param(10**9, 15.0, id="long", marks=pytest.mark.long)]


@pytest.mark.parametrize(("rounds", "seconds"), FORMS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_fuzz_a_protocol(protocol: str, rounds: int, seconds: float) -> None:
    rng = random.Random(f"{protocol} 1")
    cases = cases_of(protocol)
    refused = 0
    for _number in for_seconds(seconds, rounds):
        case = damaged_case(rng, rng.choice(cases))
        try:
            PROTOCOLS[protocol](case)
        except RemoteProtocolError:
            refused += 1
        except Exception as error:
            raise AssertionError(case) from error
    assert refused > 0, "no damage was noticed: the cases were not read"


@pytest.mark.parametrize(("rounds", "seconds"), FORMS)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_fuzz_a_payload(payload: str, rounds: int, seconds: float) -> None:
    rng = random.Random(f"{payload} 1")
    refused = 0
    for _number in for_seconds(seconds, rounds):
        data = rng.choice(STARTS) + damaged(rng, b'{"v":1,"node":"a","epoch":"0123456789abcdef","lane":"event"}')
        try:
            PAYLOADS[payload](data)
        except RemoteProtocolError:
            refused += 1
        except Exception as error:
            raise AssertionError(data) from error
    assert refused > 0


@pytest.mark.parametrize(("rounds", "seconds"), FORMS)
@pytest.mark.parametrize("name", FRAMERS)
def test_fuzz_a_framer(name: str, rounds: int, seconds: float) -> None:
    """Bytes that begin like frames, in pieces: frames and refusals come out, and never more than bytes went in."""
    rng = random.Random(f"{name} framer 1")
    protocol = name.partition("_")[0] if name.startswith("modbus") else name
    wires = frames_like(protocol)
    framer = FRAMERS[name]()
    came = 0
    for _number in for_seconds(seconds, rounds):
        stream = b"".join(damaged(rng, rng.choice(wires)) for _ in range(rng.randrange(1, 6)))
        try:
            came += feed_framer(framer, stream)
        except Exception as error:
            raise AssertionError(stream) from error
    assert came > 0, "nothing came out: what went in was like no frame"


def frames_like(protocol: str) -> list[bytes]:
    """The bytes of a protocol's vectors, as they are on the wire; of what has none, a frame of our own.

    Where a family has several framings, what follows its name begins with the vectors' own `protocol` or `profile`, if
    they have one.
    """
    families = ("etc_rsu", "rfid_and_gates", "traffic_survey", "vms")
    family = next((name for name in families if protocol.startswith(name)), protocol)
    name = {"modbus": "modbus_devices", "vehicle_bus_elm": "vehicle_bus"}.get(family, family)
    wires = []
    framing = protocol.removeprefix(f"{family}_")
    for case in cases_of(name) if name in PROTOCOLS else []:
        if family != protocol and not framing.startswith(case.get("protocol", case.get("profile", framing))):
            continue
        for key in ("hex", "text"):
            value = case.get(key)
            texts = value if isinstance(value, list) else [value] if value else []
            for text in texts:
                with suppress(ValueError):
                    wires.append(bytes.fromhex(text) if key == "hex" else text.encode("latin-1") + b"\r\n>")
    return wires or [OWN_FRAMES[protocol]]
