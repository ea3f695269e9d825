"""Values at equal intervals: the body of functions 31 and 38, in both codings.

SL 651-2014, clause 6.5. MicroPython-clean.

    groups (station, time of the first value, ...) | time step | identifier | values back to back, by time

>>> body = bytes.fromhex("F0F02611240000" "0418000005" "3812" "1230" "1228")
>>> series = Series.read(Opening(7, "261124000000"), body, 0, False)
>>> [[group.value for group in column] for column in series.columns(False)]
[[(1230, 2), (1228, 2)]]
"""

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.sl651.bodies import Body, Opening, write_groups
from protocols.sl651.groups import Group, is_readable, read_group, read_ident, read_token


class Series(Body):
    """Values at equal intervals (31, 38): groups before the values, identifiers, then the values by time.

    HEX has one identifier, ASCII one or more: all elements of the first time, then all of the next.
    """

    __slots__ = ("groups", "idents", "values")

    def __init__(self, opening: Opening, groups: list[Group], idents: list[bytes], values: list[bytes]) -> None:
        self.opening = opening
        self.groups = groups
        self.idents = idents
        self.values = values

    @property
    def groups_of_body(self) -> list[Group]:
        """What stands before the identifiers; hour groups stand there too."""
        return self.groups

    def columns(self, is_ascii: bool) -> list[list[Group]]:
        """For each identifier its values in order, each as a group."""
        count = len(self.idents)
        return [
            [Group(ident, value, is_ascii) for value in self.values[number::count]]
            for number, ident in enumerate(self.idents)
        ]

    def write(self, is_ascii: bool) -> bytes:
        """Raises `LocalProtocolError` for values that are no whole rows, or not of the identifier's length."""
        if self.values and (not self.idents or len(self.values) % len(self.idents)):
            raise LocalProtocolError("as many values as there are identifiers, for every time", field="values")
        head = write_groups(self.groups, is_ascii)
        if is_ascii:
            return head + b"".join([token + b" " for token in self.idents + self.values])
        if len(self.idents) > 1 or any(len(value) != self.idents[0][-1] >> 3 for value in self.values):
            raise LocalProtocolError("one identifier, and values of its length", field="values")
        return head + b"".join(self.idents + self.values)

    @classmethod
    def read(cls, opening: Opening, body: bytes, at: int, is_ascii: bool) -> "Series":
        """Raises `FieldError`, also for a partial value at the end."""
        groups: list[Group] = []
        is_step_known = False
        while at < len(body):
            if is_step_known and not _is_group_at(body, at, is_ascii):
                rest = (_read_ascii_values if is_ascii else _read_hex_values)(body, at)
                return cls(opening, groups, rest[0], rest[1])
            group, at = read_group(body, at, is_ascii, True)
            groups.append(group)
            is_step_known = is_step_known or group.is_step
        return cls(opening, groups, [], [])


_GROUPS_IN_SERIES = (0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD)
_ASCII_GROUPS_IN_SERIES = (b"TT", b"ST", b"DRP", b"RGZS", b"PIC", b"DATA")


def _is_group_at(body: bytes, at: int, is_ascii: bool) -> bool:
    """Whether an ordinary group stands here, and not the identifiers of the values."""
    if not is_ascii:
        return body[at] in _GROUPS_IN_SERIES
    token, _ = read_token(body, at)
    return token in _ASCII_GROUPS_IN_SERIES or token[:3] == b"DRZ"


def _read_hex_values(body: bytes, at: int) -> tuple[list[bytes], list[bytes]]:
    ident, data_at = read_ident(body, at)
    width = ident[-1] >> 3
    if width == 0:
        raise FieldError("the definition says that there are no data", at, "zero_len", ident)
    if (len(body) - data_at) % width:
        raise FieldError("a partial value at the end", len(body), "body_short")
    return [ident], [body[start : start + width] for start in range(data_at, len(body), width)]


def _read_ascii_values(body: bytes, at: int) -> tuple[list[bytes], list[bytes]]:
    tokens: list[bytes] = []
    start = at
    while at < len(body):
        token, at = read_token(body, at)
        tokens.append(token)
    count = 0
    while count < len(tokens) and not _is_value(tokens[count]):
        count += 1
    if count == 0 or (len(tokens) - count) % count:
        raise FieldError("identifiers, then a value for each at every time", start, "body_short")
    for number, token in enumerate(tokens[count:]):
        if not is_readable(Group(tokens[number % count], token, True)):
            raise FieldError("not the hex characters of this group", start, "element")
    return tokens[:count], tokens[count:]


def _is_value(token: bytes) -> bool:
    return token == b"M" or token[:1] in (b"-", b"+") or token[:1].isdigit()
