"""What stands between body start and end: one class for each shape of body, in both codings.

SL 651-2014, clause 6.5. MicroPython-clean. Values at equal
intervals stand in `series`. Every body opens with a serial number and the sender's time:

    HEX    serial 2 | YYMMDDHHmmSS in 6 BCD bytes | ...          ASCII  serial 4 hex characters | 12 digits | ...

Which shape belongs to which function code and direction is told by `catalogue`. A body is written as it was read.
In ASCII, where the standard's text gives no form for a binary field, each byte is two hex characters, as in the head.
"""

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.sl651.frame import is_hex
from protocols.sl651.groups import (
    Group,
    is_ascii_step,
    is_digits,
    is_upper_hex,
    read_group,
    read_groups,
    read_ident,
    read_token,
)
from protocols.sl651.wire import Wire

OPENING_BYTES = 8
ASCII_OPENING_CHARS = 16
EVENT_COUNTERS = 32


class Opening(Wire):
    """Serial number and send time. spelling: the serial of an ASCII body where it is not upper case, else None."""

    __slots__ = ("send_time", "serial", "spelling")

    def __init__(self, serial: int, send_time: str, spelling: bytes | None = None) -> None:
        self.serial = serial
        """1 to 65535, then 1 again; 0 in what the centre begins. An answer has the number of what it answers."""
        self.send_time = send_time
        """YYMMDDHHmmSS on the sender's clock."""
        self.spelling = spelling

    def encode(self, is_ascii: bool) -> bytes:
        """As it stands in a body. Raises `LocalProtocolError`."""
        if not (0 <= self.serial <= 0xFFFF and len(self.send_time) == 12):
            raise LocalProtocolError("a serial of two bytes and twelve digits of time", field="serial")
        if is_ascii:
            if not is_digits(self.send_time):
                raise LocalProtocolError("a time of digits", field="send_time")
            serial = b"%04X" % self.serial
            if self.spelling is not None and self.spelling.upper() == serial:
                serial = self.spelling
            return serial + self.send_time.encode()
        if not is_hex(self.send_time.encode()):
            raise LocalProtocolError("a time of digits", field="send_time")
        return self.serial.to_bytes(2, "big") + bytes.fromhex(self.send_time)


def read_opening(body: bytes, is_ascii: bool) -> tuple[Opening, int]:
    """The opening, and where the rest begins. Raises `FieldError`."""
    size = ASCII_OPENING_CHARS if is_ascii else OPENING_BYTES
    if len(body) < size:
        raise FieldError("a body opens with serial and time", len(body), "body_short")
    if not is_ascii:
        return Opening(body[0] << 8 | body[1], body[2:OPENING_BYTES].hex().upper()), size
    if not (is_hex(body[:4]) and body[4:size].isdigit()):
        raise FieldError("a serial of four hex characters and twelve digits of time", 0, "serial")
    spelling = body[:4] if body[:4] != body[:4].upper() else None
    return Opening(int(body[:4], 16), body[4:size].decode(), spelling), size


class Body(Wire):
    """Any body. `read` and `write` deal with what follows the opening."""

    __slots__: tuple[str, ...] = ("opening",)

    opening: Opening

    @property
    def field_names(self) -> tuple[str, ...]:
        """The opening, and the slots of its class."""
        return Body.__slots__ + self.__slots__

    @property
    def groups_of_body(self) -> list[Group]:
        """The information groups that it has, in order."""
        return []

    def write(self, is_ascii: bool) -> bytes:
        """What follows the opening. Raises `LocalProtocolError`."""
        raise NotImplementedError

    def encode(self, is_ascii: bool) -> bytes:
        """The whole body. Raises `LocalProtocolError`."""
        return self.opening.encode(is_ascii) + self.write(is_ascii)


class Bare(Body):
    """Nothing follows: link keep-alive (2F), every confirm, and queries that need no more to be said."""

    __slots__ = ()

    def __init__(self, opening: Opening) -> None:
        self.opening = opening

    def write(self, is_ascii: bool) -> bytes:  # noqa: ARG002  # nothing is the same in both codings
        """Nothing."""
        return b""

    @classmethod
    def read(cls, opening: Opening, body: bytes, at: int, is_ascii: bool) -> "Bare":  # noqa: ARG003
        """Raises `FieldError` when something follows."""
        if at < len(body):
            raise FieldError("nothing follows in such a body", at, "body_len")
        return cls(opening)


class Report(Body):
    """Information groups and nothing else: most reports, parameters, manual entries, pictures, states.

    has_station_type: whether its group of the station carries a type.
    """

    __slots__ = ("groups", "has_station_type")

    def __init__(self, opening: Opening, groups: list[Group], has_station_type: bool = True) -> None:
        self.opening = opening
        self.groups = groups
        self.has_station_type = has_station_type

    @property
    def groups_of_body(self) -> list[Group]:
        """All of it."""
        return self.groups

    def write(self, is_ascii: bool) -> bytes:
        """The groups, back to back."""
        return write_groups(self.groups, is_ascii)

    @classmethod
    def read(cls, opening: Opening, body: bytes, at: int, is_ascii: bool) -> "Report":
        """As a station reports. Raises `FieldError`."""
        return cls(opening, read_groups(body, is_ascii, True, at))

    @classmethod
    def read_untyped(cls, opening: Opening, body: bytes, at: int, is_ascii: bool) -> "Report":
        """As a station answers to commands. Raises `FieldError`."""
        return cls(opening, read_groups(body, is_ascii, False, at), False)

    @classmethod
    def read_basic(cls, opening: Opening, body: bytes, at: int, is_ascii: bool) -> "Report":
        """Basic parameters: the second byte of the relay list (0E) is nothing but its length. Raises `FieldError`."""
        groups: list[Group] = []
        while at < len(body):
            if body[at] == _RELAY_LIST and not is_ascii and at + 1 < len(body):
                end = at + 2 + body[at + 1]
                if end > len(body):
                    raise FieldError("data run past the body", at, "body_short")
                groups.append(Group(body[at : at + 2], body[at + 2 : end]))
                at = end
            else:
                group, at = read_group(body, at, is_ascii, False)
                groups.append(group)
        return cls(opening, groups, False)


_RELAY_LIST = 0x0E


class IdentifierList(Body):
    """What the centre asks for: identifiers without data (3A, 41, 43), or the guard of 47 and 48."""

    __slots__ = ("idents",)

    def __init__(self, opening: Opening, idents: list[bytes]) -> None:
        self.opening = opening
        self.idents = idents

    def write(self, is_ascii: bool) -> bytes:
        """The identifiers."""
        return b"".join([ident + b" " for ident in self.idents] if is_ascii else self.idents)

    @classmethod
    def read(cls, opening: Opening, body: bytes, at: int, is_ascii: bool) -> "IdentifierList":
        """Raises `FieldError`."""
        idents: list[bytes] = []
        while at < len(body):
            ident, at = (read_token if is_ascii else read_ident)(body, at)
            idents.append(ident)
        return cls(opening, idents)


class PeriodQuery(Body):
    """The centre asks for a period (38): from and to (YYMMDDHH), the time step, the elements."""

    __slots__ = ("idents", "range_end", "range_start", "step")

    def __init__(self, opening: Opening, range_start: str, range_end: str, step: Group, idents: list[bytes]) -> None:
        self.opening = opening
        self.range_start = range_start
        self.range_end = range_end
        self.step = step
        self.idents = idents

    def write(self, is_ascii: bool) -> bytes:
        """Raises `LocalProtocolError`."""
        for text in (self.range_start, self.range_end):
            if len(text) != 8 or not (is_digits(text) if is_ascii else is_hex(text.encode())):
                raise LocalProtocolError("eight digits", field="range_start")
        if is_ascii:
            span = (self.range_start + " " + self.range_end + " ").encode()
            return span + self.step.encode() + b"".join([ident + b" " for ident in self.idents])
        return bytes.fromhex(self.range_start + self.range_end) + self.step.encode() + b"".join(self.idents)

    @classmethod
    def read(cls, opening: Opening, body: bytes, at: int, is_ascii: bool) -> "PeriodQuery":
        """Raises `FieldError`."""
        if is_ascii:
            start, at = read_token(body, at)
            end, at = read_token(body, at) if at < len(body) else (b"", at)
            if not (len(start) == len(end) == 8 and (start + end).isdigit()):
                raise FieldError("two times of eight digits", at, "range_start")
            span = start.decode(), end.decode()
        else:
            if len(body) < at + 8:
                raise FieldError("a period has eight bytes", len(body), "body_short")
            span = body[at : at + 4].hex().upper(), body[at + 4 : at + 8].hex().upper()
            at += 8
        if at >= len(body):
            raise FieldError("a time step follows the period", at, "body_short")
        step, at = read_group(body, at, is_ascii, False)
        if not step.is_step:
            raise FieldError("a time step follows the period", at, "time_step", step.ident)
        return cls(opening, span[0], span[1], step, IdentifierList.read(opening, body, at, is_ascii).idents)


class Payload(Body):
    """A group of the station, in what it answers, and then bytes of a form of their own: see `payloads`.

    payload: the bytes; in ASCII each is two hex characters on the wire.
    """

    __slots__ = ("payload", "station")

    def __init__(self, opening: Opening, station: Group | None, payload: bytes = b"") -> None:
        self.opening = opening
        self.station = station
        self.payload = payload

    @property
    def groups_of_body(self) -> list[Group]:
        """The group of the station."""
        return [] if self.station is None else [self.station]

    def write(self, is_ascii: bool) -> bytes:
        """The group, then the payload."""
        head = b"" if self.station is None else self.station.encode()
        if not is_ascii:
            return head + self.payload
        return head + (self.payload.hex().upper().encode() + b" " if self.payload else b"")

    @classmethod
    def read(cls, opening: Opening, body: bytes, at: int, is_ascii: bool) -> "Payload":
        """Of the centre: no station stands before it. Raises `FieldError`."""
        return cls(opening, None, _read_payload(body, at, is_ascii))

    @classmethod
    def read_answer(cls, opening: Opening, body: bytes, at: int, is_ascii: bool) -> "Payload":
        """Of the station. Raises `FieldError`."""
        if at >= len(body):
            raise FieldError("the group of the station is missing", at, "body_short")
        station, at = read_group(body, at, is_ascii, False)
        if station.ident not in (b"\xf1\xf1", b"ST"):
            raise FieldError("the group of the station stands first", at, "elem_station_addr", station.ident)
        return cls(opening, station, _read_payload(body, at, is_ascii))

    @classmethod
    def read_station(cls, opening: Opening, body: bytes, at: int, is_ascii: bool) -> "Payload":
        """Of the station, which says no more than who it is. Raises `FieldError`."""
        answer = cls.read_answer(opening, body, at, is_ascii)
        if answer.payload:
            raise FieldError("nothing follows the station", len(body), "body_len")
        return answer


def _read_payload(body: bytes, at: int, is_ascii: bool) -> bytes:
    if not is_ascii or at >= len(body):
        return body[at:]
    token, after = read_token(body, at)
    if after < len(body):
        raise FieldError("nothing follows", after, "body_len")
    if len(token) % 2 or not is_upper_hex(token):
        raise FieldError("each byte is two hex characters", at, "payload", token)
    return bytes.fromhex(token.decode())


class Unread(Body):
    """A body whose function code is not in the standard, or a maker's own (E0 to FF)."""

    __slots__ = ("rest",)

    def __init__(self, opening: Opening, rest: bytes = b"") -> None:
        self.opening = opening
        self.rest = rest

    def write(self, is_ascii: bool) -> bytes:  # noqa: ARG002  # it is kept as it stood
        """As it was."""
        return self.rest

    @classmethod
    def read(cls, opening: Opening, body: bytes, at: int, is_ascii: bool) -> "Unread":  # noqa: ARG003
        """Takes anything."""
        return cls(opening, body[at:])


def write_groups(groups: list[Group], is_ascii: bool) -> bytes:
    """Groups back to back. Raises `LocalProtocolError` for one of the other coding."""
    for group in groups:
        if group.is_ascii != is_ascii:
            raise LocalProtocolError("a group of the other coding", field=group.leader)
        if is_ascii and is_ascii_step(group.ident) and group.data:
            raise LocalProtocolError("a time step has no data", field=group.leader)
    return b"".join([group.encode() for group in groups])
