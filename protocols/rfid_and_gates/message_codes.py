"""Readable form of container and article numbers, of seals, scanners and hostapd."""

from enum import Enum
from typing import TypeVar

import msgspec

from protocols.core.errors import NEED_DATA, FieldError, LocalProtocolError, NeedData, OptionError
from protocols.json_text import read_object, word
from protocols.message_case import one_of
from protocols.message_fields import Fields
from protocols.rfid_and_gates import hostapd
from protocols.rfid_and_gates.ean13 import decode_ean13
from protocols.rfid_and_gates.eseal import SealEvent, SealState, next_state
from protocols.rfid_and_gates.hostapd import Answer, Event, Lines
from protocols.rfid_and_gates.iso6346 import ContainerNumber, decode_container, encode_container
from protocols.rfid_and_gates.scanner import ScannerFramer, encode_codes

Message = dict[str, object]
EnumT = TypeVar("EnumT", bound=Enum)

_SEAL_KEYS = frozenset({"state", "event"})
_STATUS = {
    "state": "state",
    "freq_mhz": "freq",
    "channel": "channel",
    "ssid": "ssid[0]",
    "bssid": "bssid[0]",
    "station_count": "num_sta[0]",
}
_STATUS_NUMBERS = frozenset({"freq_mhz", "channel", "station_count"})
_STATION = {
    "aid": "aid",
    "rx_packets": "rx_packets",
    "tx_packets": "tx_packets",
    "rx_bytes": "rx_bytes",
    "tx_bytes": "tx_bytes",
    "inactive_ms": "inactive_msec",
    "signal_dbm": "signal",
    "connected_s": "connected_time",
}
EVENT = "event"


def decode_iso6346(text: str) -> Message:
    """Read the number of a container. Raises `RemoteProtocolError`."""
    number = decode_container(text)
    return {
        "owner_code": number.owner_code,
        "category": number.category,
        "serial": number.serial,
        "check_digit": number.check_digit,
        "valid": True,
        "low_trust": number.is_low_trust,
    }


def encode_iso6346(fields: Fields) -> str:
    """Write it. Raises `LocalProtocolError`."""
    owner, category, serial = (fields.text(name) for name in ("owner_code", "category", "serial"))
    return encode_container(ContainerNumber(owner, category, serial, fields.integer("check_digit", 9)))


def decode_article(text: str) -> Message:
    """Read an article number. Raises `RemoteProtocolError`."""
    return {"number": text, "valid": True, "check_digit": decode_ean13(text)}


def encode_article(fields: Fields) -> str:
    """Write it; whether it is one is found when it is read again. Raises `LocalProtocolError`."""
    return fields.text("number")


def decode_eseal(text: str) -> Message:
    """Read what happened to a seal. Raises `RemoteProtocolError`."""
    values = read_object(text, _SEAL_KEYS)
    before = _member(SealState, word(values, "state"), "state")
    event = _member(SealEvent, word(values, "event"), "event")
    state, alarm = next_state(before, event)
    return {"state_before": before.value, "event": event.value, "state": state.value, "alarm": alarm}


def encode_eseal(fields: Fields) -> str:
    """Write it. Raises `LocalProtocolError`."""
    before = one_of(fields.text("state_before"), [each.value for each in SealState], "state_before")
    event = one_of(fields.text("event"), [each.value for each in SealEvent], "event")
    return msgspec.json.encode({"state": before, "event": event}).decode()


def _member(kind: type[EnumT], value: str, name: str) -> EnumT:
    try:
        return kind(value)
    except ValueError:
        raise FieldError("must be one of " + ", ".join(each.value for each in kind), field=name) from None


def decode_scanner(wire: bytes) -> Message:
    """Read codes out of bytes. Raises nothing."""
    framer = ScannerFramer()
    codes = []
    for byte in wire:
        framer.feed(bytes((byte,)))
        while not isinstance(code := framer.next_frame(), NeedData):
            codes.append(code)
    assert framer.next_frame() is NEED_DATA
    return {"codes": codes, "pending": framer.pending}


def encode_scanner(fields: Fields) -> bytes:
    """Write codes, each ended by CR LF. Raises `LocalProtocolError`."""
    pending = fields.text("pending") if fields.has("pending") else ""
    return encode_codes(tuple(fields.names("codes")), pending)


def decode_hostapd(text: str, kind: object) -> Message:
    """Read an answer or an event. kind: the command it answers, or `event`. Raises `RemoteProtocolError`."""
    command = kind.partition(" ")[0] if isinstance(kind, str) else None
    if command == EVENT:
        return {"kind": EVENT, **_event_keys(hostapd.decode_event(text))}
    answer = hostapd.COMMANDS.get(command or "")
    match answer:
        case None:
            hostapd.refuse_unknown(text)
            raise OptionError("event, or one of " + ", ".join(hostapd.COMMANDS), field="kind")
        case Answer.PONG:
            return {"kind": kind, "result_ok": hostapd.decode_result(text, hostapd.PONG)}
        case Answer.OK:
            return {"kind": kind, "result_ok": hostapd.decode_result(text)}
        case Answer.LINES:
            lines = hostapd.decode_lines(text)
            return {"kind": kind, **_status_keys(lines), "lines": list(lines.lines)}
        case Answer.STATION:
            station = hostapd.decode_station(text)
            if station is None:
                return {"kind": kind, "end": True}
            return {"kind": kind, **_station_keys(station), "lines": list(station.lines)}


def _event_keys(event: Event) -> Message:
    keys: Message = {
        "interface": event.interface,
        "priority": event.priority,
        "event": event.word,
        "mac": event.mac,
        "rest": event.rest,
    }
    return {name: value for name, value in keys.items() if value is not None}


def _status_keys(lines: Lines) -> Message:
    keys: dict[str, object] = {
        name: lines.number(key) if name in _STATUS_NUMBERS else lines.get(key) for name, key in _STATUS.items()
    }
    return {name: value for name, value in keys.items() if value is not None}


def _station_keys(lines: Lines) -> Message:
    keys: dict[str, object] = {"mac": lines.head, "flags": lines.flags("flags")}
    keys |= {name: lines.number(key) for name, key in _STATION.items()}
    return {name: value for name, value in keys.items() if value is not None}


def encode_hostapd(fields: Fields) -> str:
    """Write an answer or an event. Raises `LocalProtocolError`."""
    kind = fields.text("kind").partition(" ")[0]
    if kind == EVENT:
        rest, interface = (fields.text(name) if fields.has(name) else None for name in ("rest", "interface"))
        return hostapd.encode_event(Event(fields.integer("priority", 999), fields.text("event"), rest, interface))
    answer = hostapd.COMMANDS.get(kind)
    if answer is None:
        raise LocalProtocolError("event, or one of " + ", ".join(hostapd.COMMANDS), field="kind")
    if answer in (Answer.PONG, Answer.OK):
        good = hostapd.PONG if answer is Answer.PONG else hostapd.OK
        return (good if fields.flag("result_ok") else hostapd.FAIL) + "\n"
    if answer is Answer.STATION and fields.has("end"):
        return ""
    head = fields.text("mac") if answer is Answer.STATION else None
    return hostapd.encode_lines(Lines(tuple(fields.names("lines")), head))
