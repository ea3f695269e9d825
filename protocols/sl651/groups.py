"""Information groups: an identifier and its data, the bricks of most bodies, in both codings.

SL 651-2014, clause 6.4. MicroPython-clean.

    HEX    leader 1 (FF: one more) | definition: 5 bits data bytes, 3 bits decimals | data
    ASCII  identifier SP data SP

A group keeps identifier and data as they stand on the wire, so a group that nobody knows is written as it was read.
What goes to the end of the body (manual text, pictures, bulk data), and hour groups, whose length the definition does
not tell, are known by their leaders.

>>> groups = read_groups(bytes.fromhex("F0F02603150800" "3923FF000345"), False, True)
>>> [(group.leader, group.value) for group in groups]
[('F0', (2603150800, 0)), ('39', (-345, 3))]
>>> groups = read_groups(b"TT 2603150800 Z -0.345 ", True, True)
>>> [(group.leader, group.value) for group in groups]
[('TT', (2603150800, 0)), ('Z', (-345, 3))]
"""

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.sl651.elements import HOUR_LEVELS, HOUR_RAIN, STATUS, Element, element_of
from protocols.sl651.values import (
    definition_of,
    read_bcd,
    read_counts,
    read_decimal,
    write_bcd,
    write_counts,
    write_decimal,
)
from protocols.sl651.wire import Wire

OBSERVED = b"\xf0\xf0"
STATION = b"\xf1\xf1"
MANUAL = b"\xf2\xf2"
PICTURE = b"\xf3\xf3"
BULK = b"\xfd\xf6"
STEP = b"\x04\x18"
ASCII_OBSERVED = b"TT"
ASCII_STATION = b"ST"
ASCII_MANUAL = b"RGZS"
ASCII_PICTURE = b"PIC"
ASCII_BULK = b"DATA"
ASCII_STATUS = b"ZT"
ASCII_HOUR_RAIN = b"DRP"
ASCII_HOUR_LEVEL = b"DRZ"
COUNTS_PER_HOUR = 12
_ASCII_STEPS = (b"DRD", b"DRH", b"DRN")
_STEP_BYTES = 5
_EXTENSION = 0xFF
_TO_THE_END = (MANUAL, PICTURE, BULK)
_ASCII_TO_THE_END = (ASCII_MANUAL, ASCII_PICTURE, ASCII_BULK)
_STATION_BYTES = 5
_TIME_BYTES = 5
_UPPER_HEX_DIGITS = b"0123456789ABCDEF"


class Group(Wire):
    """One information group. In HEX the identifier has two bytes or three, in ASCII it is text."""

    __slots__ = ("data", "ident", "is_ascii")

    def __init__(self, ident: bytes, data: bytes = b"", is_ascii: bool = False) -> None:
        self.ident = ident
        self.data = data
        self.is_ascii = is_ascii

    @property
    def leader(self) -> str:
        """What names the group: `39`, `FF22`, or the identifier of ASCII."""
        return self.ident.decode() if self.is_ascii else self.ident[:-1].hex().upper()

    @property
    def decimals(self) -> int:
        """As the definition of HEX says."""
        return self.ident[-1] & 7

    @property
    def is_hour(self) -> bool:
        """Whether it holds twelve values of five minutes each."""
        if self.is_ascii:
            return self.ident == ASCII_HOUR_RAIN or self.ident[:3] == ASCII_HOUR_LEVEL
        return len(self.ident) == 2 and HOUR_RAIN <= self.ident[0] <= HOUR_LEVELS[-1]

    @property
    def is_status(self) -> bool:
        """Whether it is the status word."""
        return self.ident == ASCII_STATUS if self.is_ascii else len(self.ident) == 2 and self.ident[0] == STATUS

    @property
    def is_step(self) -> bool:
        """Whether it is the time step of a series."""
        return is_ascii_step(self.ident) if self.is_ascii else self.ident == STEP

    @property
    def value(self) -> tuple[int | None, int]:
        """(mantissa or None, decimals) of a number."""
        if self.is_ascii:
            return read_decimal(self.data)
        mantissa = read_bcd(self.data)
        return (None, 0) if mantissa is None else (mantissa, self.decimals)

    @property
    def status(self) -> int:
        """The status word."""
        return int(self.data, 16) if self.is_ascii else int.from_bytes(self.data, "big")

    @property
    def counts(self) -> list[int | None]:
        """The values of an hour group, in 0.1 mm (rain) or 0.01 m (level)."""
        data = bytes.fromhex(self.data.decode()) if self.is_ascii else self.data
        return read_counts(data, len(data) // COUNTS_PER_HOUR)

    @property
    def step(self) -> str:
        """A time step as the six digits of days, hours and minutes."""
        if not self.is_ascii:
            return self.data.hex().upper()
        at = _ASCII_STEPS.index(self.ident[:3])
        parts = ["00", "00", "00"]
        parts[at] = self.ident[3:].decode()
        return "".join(parts)

    def encode(self) -> bytes:
        """As it stands in a body."""
        if not self.is_ascii:
            return self.ident + self.data
        if self.ident in _ASCII_TO_THE_END and self.ident != ASCII_PICTURE:
            return self.ident + b" " + self.data
        return self.ident + b" " + (self.data + b" " if self.data else b"")


def is_ascii_step(ident: bytes) -> bool:
    """Whether an identifier is `DRDnn`, `DRHnn` or `DRNnn`."""
    return len(ident) == _STEP_BYTES and ident[:3] in _ASCII_STEPS and ident[3:].isdigit()


def read_groups(body: bytes, is_ascii: bool, has_station_type: bool, at: int = 0) -> list[Group]:
    """All groups from `at` to the end. Raises `FieldError`.

    has_station_type: F1F1 carries one, as in reports; the parameters and commands of a station have none.
    """
    groups: list[Group] = []
    while at < len(body):
        group, at = read_group(body, at, is_ascii, has_station_type)
        groups.append(group)
    return groups


def read_group(body: bytes, at: int, is_ascii: bool, has_station_type: bool) -> tuple[Group, int]:
    """The group that begins at `at`, and where the next one begins. Raises `FieldError`."""
    if is_ascii:
        return _read_ascii_group(body, at, has_station_type)
    ident, data_at = read_ident(body, at)
    size = _data_bytes(ident, len(body) - data_at, has_station_type)
    if size == 0 and ident not in _TO_THE_END:
        raise FieldError("the definition says that there are no data", at, "zero_len", ident)
    if data_at + size > len(body):
        raise FieldError("data run past the body", at, "body_short")
    return Group(ident, body[data_at : data_at + size]), data_at + size


def read_ident(body: bytes, at: int) -> tuple[bytes, int]:
    """The HEX identifier that begins at `at`, and where its data begin. Raises `FieldError`."""
    end = at + (3 if body[at] == _EXTENSION else 2)
    if end > len(body):
        raise FieldError("the body ends within an identifier", at, "body_short")
    return body[at:end], end


def _data_bytes(ident: bytes, left: int, has_station_type: bool) -> int:
    if ident in _TO_THE_END:
        return left
    if ident == STATION:
        return _STATION_BYTES + (1 if has_station_type else 0)
    if ident == OBSERVED:
        return _TIME_BYTES
    if len(ident) == 2 and ident[0] == HOUR_RAIN:
        return COUNTS_PER_HOUR
    if len(ident) == 2 and ident[0] in HOUR_LEVELS:
        return 2 * COUNTS_PER_HOUR
    return ident[-1] >> 3


def read_token(body: bytes, at: int) -> tuple[bytes, int]:
    """The ASCII token that begins at `at`, and where the next one begins. Raises `FieldError`."""
    end = body.find(b" ", at)
    if end < 0:
        raise FieldError("no space ends the last group", len(body), "body_trailer")
    if end == at:
        raise FieldError("two spaces, or one at the start", at, "body_trailer")
    token = body[at:end]
    if not is_plain(token):
        raise FieldError("not printable ASCII", at, "element")  # it may be a password
    return token, end + 1


def _read_ascii_group(body: bytes, at: int, has_station_type: bool) -> tuple[Group, int]:
    start = at
    ident, at = read_token(body, at)
    if ident in (ASCII_MANUAL, ASCII_BULK):
        return Group(ident, body[at:], True), len(body)
    if is_ascii_step(ident):
        return Group(ident, b"", True), at
    if at >= len(body):
        raise FieldError("an identifier without data", start, "body_short", ident)
    data, at = read_token(body, at)
    if ident == ASCII_STATION and has_station_type:
        letter, at = read_token(body, at)
        data += b" " + letter
    group = Group(ident, data, True)
    if not is_readable(group):
        raise FieldError("not the hex characters of this group", start, "element")
    return group, at


def is_readable(group: Group) -> bool:
    """Whether an ASCII group that holds bytes holds as many as it should, as hex characters; any other is readable."""
    data = group.data
    if not (group.is_hour or group.is_status or group.ident == ASCII_PICTURE):
        return True
    if len(data) % 2 or not is_upper_hex(data):
        return False
    if group.is_hour:
        return len(data) == 2 * COUNTS_PER_HOUR * (1 if group.ident == ASCII_HOUR_RAIN else 2)
    return len(data) == 8 or not group.is_status


def is_plain(text: bytes) -> bool:
    """Whether all is printable ASCII."""
    return not text or (min(text) >= 0x20 and max(text) <= 0x7E)


def is_digits(text: str) -> bool:
    """Whether all are decimal digits of ASCII; `str.isdigit` takes those of every script."""
    return all(character in "0123456789" for character in text)


def is_upper_hex(text: bytes) -> bool:
    """Whether all are hex characters as the standard writes them."""
    return all(character in _UPPER_HEX_DIGITS for character in text)


# What a station writes itself.


def station_group(station_addr: bytes, station_type: str | None, is_ascii: bool = False) -> Group:
    """Who measured: an address, and in reports the letter of the station's type. Raises `LocalProtocolError`."""
    if len(station_addr) != _STATION_BYTES or (station_type is not None and len(station_type) != 1):
        raise LocalProtocolError("five bytes and a letter", field="station_type")
    letter = b"" if station_type is None else station_type.encode()
    if not is_ascii:
        return Group(STATION, station_addr + letter)
    return Group(ASCII_STATION, station_addr.hex().upper().encode() + (b" " + letter if letter else b""), True)


def observed_group(obs_time: str, is_ascii: bool = False) -> Group:
    """When it was measured, YYMMDDHHmm. Raises `LocalProtocolError`."""
    if len(obs_time) != 2 * _TIME_BYTES or not is_digits(obs_time):
        raise LocalProtocolError("ten digits", field="obs_time")
    return Group(ASCII_OBSERVED, obs_time.encode(), True) if is_ascii else Group(OBSERVED, bytes.fromhex(obs_time))


def number_group(element: Element, mantissa: int | None, is_ascii: bool = False) -> Group:
    """A measured value in the standard's form. Raises `LocalProtocolError` for one of too many digits."""
    data = write_bcd(mantissa, element.digits)
    if is_ascii:
        return Group(element.ascii_id.encode(), write_decimal(mantissa, element.decimals), True)
    return Group(bytes((element.code, definition_of(len(data), element.decimals))), data)


def status_group(status: int, is_ascii: bool = False) -> Group:
    """The status word. Raises `LocalProtocolError`."""
    if not 0 <= status <= 0xFFFFFFFF:
        raise LocalProtocolError("four bytes", field="status")
    if is_ascii:
        return Group(ASCII_STATUS, b"%08X" % status, True)
    return Group(bytes((STATUS, definition_of(4, 0))), status.to_bytes(4, "big"))


def hour_group(code: int, counts: list[int | None], is_ascii: bool = False) -> Group:
    """Twelve values of five minutes each, in 0.1 mm (F4) or 0.01 m (F5 to FC). Raises `LocalProtocolError`."""
    if code != HOUR_RAIN and code not in HOUR_LEVELS:
        raise LocalProtocolError("hour groups are F4 to FC", field="code")
    if len(counts) != COUNTS_PER_HOUR:
        raise LocalProtocolError("an hour has twelve values", field="values")
    data = write_counts(counts, 1 if code == HOUR_RAIN else 2)
    if not is_ascii:
        return Group(bytes((code, 0x60 if code == HOUR_RAIN else 0xC0)), data)
    ident = ASCII_HOUR_RAIN if code == HOUR_RAIN else ASCII_HOUR_LEVEL + str(code - HOUR_RAIN).encode()
    return Group(ident, data.hex().upper().encode(), True)


def step_group(step: str, is_ascii: bool = False) -> Group:
    """A time step, six digits of days, hours and minutes, at most one of them not 0. Raises `LocalProtocolError`."""
    parts = [step[0:2], step[2:4], step[4:]]
    if len(step) != 6 or not is_digits(step) or parts.count("00") < 2:
        raise LocalProtocolError("six digits, of which one pair at most is not 00", field="time_step")
    if not is_ascii:
        return Group(STEP, bytes.fromhex(step))
    at = 1
    for number, part in enumerate(parts):
        at = number if part != "00" else at
    return Group(_ASCII_STEPS[at] + parts[at].encode(), b"", True)


def ident_of(identifier: int | str, is_ascii: bool = False) -> bytes:
    """The identifier of an element as a list of identifiers names it. Raises `LocalProtocolError`."""
    if identifier in (STATUS, ASCII_STATUS.decode()):
        return ASCII_STATUS if is_ascii else bytes((STATUS, definition_of(4, 0)))
    element = element_of(identifier)
    return element.ascii_id.encode() if is_ascii else bytes((element.code, element.definition))
