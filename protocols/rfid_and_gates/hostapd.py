r"""Answers and events of hostapd's control interface (facts of its ctrl_iface), one datagram each.

    STATUS                   key=value lines
    STA-FIRST, STA-NEXT, STA the station's address, then key=value lines; nothing or FAIL: there are no more
    PING                     PONG
    ENABLE, SET and others   OK or FAIL
    event                    (IFNAME=x )<priority>WORD rest

Which keys there are depends on the version, so all lines are kept. Addresses of passengers are personal data:
`hashed_mac` is what may be stored.

>>> decode_event("<3>AP-STA-CONNECTED 02:00:00:00:01:00").mac
'02:00:00:00:01:00'
>>> decode_lines("state=ENABLED\nfreq=2437\n").number("freq")
2437
"""

import hmac
import re
from enum import Enum

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, UnsupportedError

MAX_DATAGRAM_CHARS = 65_536
PONG = "PONG"
OK = "OK"
FAIL = "FAIL"
UNKNOWN_COMMAND = "UNKNOWN COMMAND"
MIN_SALT_BYTES = 16

_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
_EVENT = re.compile(r"(?:IFNAME=([^ ]+) )?<([0-9]{1,3})>([^ \n]+)(?: (.*))?", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]{1,19}")
_FLAGS = re.compile(r"(?:\[[^\[\]]*\])*")


class Answer(Enum):
    """How a command is answered."""

    PONG = "PONG"
    LINES = "key=value lines"
    STATION = "a station"
    OK = "OK or FAIL"


COMMANDS: dict[str, Answer] = {
    "PING": Answer.PONG,
    "STATUS": Answer.LINES,
    "STA": Answer.STATION,
    "STA-FIRST": Answer.STATION,
    "STA-NEXT": Answer.STATION,
    **dict.fromkeys(
        ("ENABLE", "DISABLE", "RELOAD", "DEAUTHENTICATE", "DISASSOCIATE", "SET", "CHAN_SWITCH", "ATTACH", "DETACH"),
        Answer.OK,
    ),
}
"""Command, its first word -> how it is answered."""


class Lines(msgspec.Struct, frozen=True):
    """The lines of an answer, as they came. head: the first one of a station, its address."""

    lines: tuple[str, ...]
    head: str | None = None

    def get(self, key: str) -> str | None:
        """The value of a key, or None."""
        return next((line[len(key) + 1 :] for line in self.lines if line.startswith(f"{key}=")), None)

    def number(self, key: str) -> int | None:
        """The value of a key that is a number, or None. Raises `FieldError`."""
        text = self.get(key)
        if text is None:
            return None
        if _NUMBER.fullmatch(text) is None:
            raise FieldError("not a whole number", field=key)
        return int(text)

    def flags(self, key: str) -> list[str] | None:
        """The value of a key as the list that it is, or None. Raises `FieldError`."""
        text = self.get(key)
        if text is None:
            return None
        if _FLAGS.fullmatch(text) is None:
            raise FieldError("flags stand in brackets", field=key)
        return re.findall(r"\[([^\[\]]*)\]", text)


class Event(msgspec.Struct, frozen=True):
    """What hostapd tells unasked. rest: behind the word; None where nothing is."""

    priority: int
    word: str
    rest: str | None = None
    interface: str | None = None

    @property
    def mac(self) -> str | None:
        """The address of a station, where one follows the word."""
        first = (self.rest or "").partition(" ")[0]
        return first if _MAC.fullmatch(first) else None


def refuse_unknown(text: str) -> None:
    """Raises `UnsupportedError` for the answer to a command that hostapd does not know, `FrameError` if too long."""
    if len(text) > MAX_DATAGRAM_CHARS:
        raise FrameError(f"at most {MAX_DATAGRAM_CHARS} characters", MAX_DATAGRAM_CHARS, "text")
    if text.rstrip("\n") == UNKNOWN_COMMAND:
        raise UnsupportedError("hostapd does not know the command", 0, "text")


def decode_lines(text: str) -> Lines:
    """Read key=value lines. Raises `FrameError`, `UnsupportedError`."""
    refuse_unknown(text)
    if not text or text.rstrip("\n") == FAIL:
        raise FrameError("no lines: the command failed", 0, "text")
    return Lines(tuple(text.split("\n")))


def decode_station(text: str) -> Lines | None:
    """Read a station; None where there are no more. Raises `FrameError`, `UnsupportedError`."""
    refuse_unknown(text)
    if text.rstrip("\n") in ("", FAIL):
        return None
    head, *lines = text.split("\n")
    if _MAC.fullmatch(head) is None:
        raise FrameError("a station begins with its address", 0, "mac")
    return Lines(tuple(lines), head)


def encode_lines(lines: Lines) -> str:
    """The text of an answer."""
    return "\n".join((*(() if lines.head is None else (lines.head,)), *lines.lines))


def decode_result(text: str, good: str = OK) -> bool:
    """Whether a command went well. Raises `FrameError`, `UnsupportedError`."""
    refuse_unknown(text)
    word = text.rstrip("\n")
    if word not in (good, FAIL):
        raise FrameError(f"{good} or {FAIL}", 0, "text")
    return word == good


def is_event(text: str) -> bool:
    """Whether a datagram is an event, not an answer."""
    return _EVENT.fullmatch(text) is not None


def decode_event(text: str) -> Event:
    """Read an event. Raises `FrameError`."""
    match = _EVENT.fullmatch(text) if len(text) <= MAX_DATAGRAM_CHARS else None
    if match is None:
        raise FrameError("an event begins with its priority in <>", 0, "text")
    interface, priority, word, rest = match.groups()
    return Event(int(priority), word, rest, interface)


def encode_event(event: Event) -> str:
    """The text of an event. Raises `LocalProtocolError`."""
    interface = "" if event.interface is None else f"IFNAME={event.interface} "
    rest = "" if event.rest is None else f" {event.rest}"
    text = f"{interface}<{event.priority}>{event.word}{rest}"
    if not is_event(text) or decode_event(text) != event:
        raise LocalProtocolError("no such event", field="event")
    return text


def hashed_mac(mac: str, salt: bytes) -> str:
    """What may be stored of a passenger's address: HMAC-SHA256 under the day's salt. Raises `LocalProtocolError`."""
    if len(salt) < MIN_SALT_BYTES:
        raise LocalProtocolError(f"{MIN_SALT_BYTES} bytes at least", field="salt")
    return hmac.digest(salt, mac.lower().encode(), "sha256").hex()
