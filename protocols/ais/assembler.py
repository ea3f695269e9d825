"""Parts to messages: what belongs together, what has waited too long.

IEC 61162-1, VDM. Parts belong together by where they came from, how many they are, sequence number and channel. They
may come in any order. A part of another message under the same key (the same number, another content) begins anew: its
sequence number has come round. Parts that wait longer than two seconds are dropped; otherwise the first half of one
ship would be joined to the second half of another.

>>> assembler = Assembler()
>>> assembler.take_line(b"!AIVDM,2,1,4,B,56:R?`p000009IQWL00`T4pN0P4V3SP00000001@7PN976tHt;@k`3RQh000,0*50", now=10.0)
NEED_DATA
>>> assembler.take_line(b"!AIVDM,2,2,4,B,00000000000,2*23", now=10.1).message.shipname
'JIANG HAI 88'
"""

from typing import Any

import msgspec

from protocols.ais.armour import unarmour
from protocols.ais.catalogue import APPLICATIONS, Applications, table_of
from protocols.ais.sentence import MOST_FILL, Head, Part, decode_part, encode_part, join
from protocols.ais.table import COMMON_BITS, Table
from protocols.core.errors import NEED_DATA, FieldError, NeedData
from protocols.nmea0183.checksum import check_of, digits_of
from protocols.nmea0183.tag_block import TagBlock

PATIENCE_S = 2.0
"""How long the parts of one message may take."""
MOST_WAITING = 64
"""Messages that wait for parts at most; the oldest gives way."""
_MOST_HEADS = 256
_HEAD_LENGTH = 14
"""`!AIVDM,1,1,,A,`: how nearly every line begins."""
_TAIL_LENGTH = 5
"""`,0*4E`"""
_LONGEST_SHORT_WAY = 82
_TAILS = {
    b",%d*%s" % (fill, digits_of(check).encode()): (fill, check ^ check_of(b",%d" % fill))
    for fill in range(MOST_FILL + 1)
    for check in range(256)
}
"""End of a line -> its fill bits, and what beginning and payload must amount to by exclusive or."""
_Key = tuple[str, int, int | None, str | None]

_set_once = msgspec.structs.force_setattr


class Received(msgspec.Struct, frozen=True, eq=False):
    """A message and how it came. It is known to be whole and of a right length; its fields are read at the first look.

    Most messages are only counted, passed on, or dropped because another receiver heard them too.
    """

    head: Head
    """Of part 1."""
    table: Table[Any]
    """What reads it."""
    bits: int
    bit_length: int
    tag: TagBlock | None = None
    """Of part 1."""
    _message: Any = None

    @property
    def message(self) -> Any:
        """The message, read once."""
        message = self._message
        if message is None:
            message = self.table.decode(self.bits, self.bit_length)
            _set_once(self, "_message", message)
        return message

    @property
    def type(self) -> int:
        """The type of the message."""
        return self.bits >> self.bit_length - 6

    @property
    def mmsi(self) -> int:
        """Who sent it."""
        return self.bits >> self.bit_length - COMMON_BITS & 0x3FFFFFFF

    def __eq__(self, other: object) -> bool:
        """The same head, bits and tag."""
        return isinstance(other, Received) and _values(self) == _values(other)

    def __hash__(self) -> int:
        """Of what is compared."""
        return hash((self.head, self.bits, self.bit_length))


def _values(received: Received) -> tuple[Any, ...]:
    tag = None if received.tag is None else received.tag.text
    return (received.head, received.table, received.bits, received.bit_length, tag)


class _Waiting:
    __slots__ = ("parts", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.parts: dict[int, Part] = {}


def received_of(parts: list[Part], applications: Applications = APPLICATIONS) -> Received:
    """One message of all its parts, in any order. Raises `FieldError`, also when they are not all and nothing else."""
    if len(parts) == 1 and parts[0].head.total == 1:
        part = parts[0]
        bits = part.groups >> part.fill
        bit_length = 6 * part.count - part.fill
        return Received(part.head, table_of(bits, bit_length, applications), bits, bit_length, part.tag)
    ordered = sorted(parts, key=lambda part: part.head.number)
    first = ordered[0].head
    common = (first.total, first.seq, first.channel)
    numbers = [part.head.number for part in ordered]
    are_alike = all((part.head.total, part.head.seq, part.head.channel) == common for part in ordered)
    if len(parts) == 1:
        reason = f"part {first.number} of {first.total} and no other: all parts of one message belong together"
        raise FieldError(reason, field="fragment")
    if not are_alike or numbers != list(range(1, first.total + 1)):
        raise FieldError("not each part of one message once", field="fragment")
    bits, bit_length = join(ordered)
    return Received(first, table_of(bits, bit_length, applications), bits, bit_length, ordered[0].tag)


class Assembler:
    """Holds parts until their message is whole. Time is monotonic seconds.

    A beginning that was met before and a plain end take a short way, which looks at nothing twice; all else goes
    through the sentence layer, which knows what may be wrong with a line.
    """

    __slots__ = ("_applications", "_met", "_waiting", "dropped")

    def __init__(self, applications: Applications = APPLICATIONS) -> None:
        self._applications = applications
        self._met: dict[bytes, tuple[Head, int]] = {}
        """Beginning of a line -> what it says, and the exclusive or of its characters."""
        self._waiting: dict[_Key, _Waiting] = {}
        """The one that has waited longest comes first."""
        self.dropped = 0
        """Parts that never became a message."""

    def take_line(self, line: bytes, now: float, source: str = "") -> Received | NeedData:
        """Take a line without CR LF; answer its message when that is whole now. Raises `RemoteProtocolError`."""
        begin = _HEAD_LENGTH
        met = self._met.get(line[:begin])
        if met is None:
            begin += 1  # the digit of a sequence number
            met = self._met.get(line[:begin])
        tail = _TAILS.get(line[-_TAIL_LENGTH:])
        if met is not None and tail is not None and len(line) <= _LONGEST_SHORT_WAY:
            head, begun = met
            fill, ended = tail
            payload = line[begin:-_TAIL_LENGTH]
            if payload and check_of(payload) == begun ^ ended:
                groups = unarmour(payload, begin)
                if head.total > 1:
                    return self.take(Part(head, groups, len(payload), fill), now, source)
                bits = groups >> fill
                bit_length = 6 * len(payload) - fill
                return Received(head, table_of(bits, bit_length, self._applications), bits, bit_length)
        part = decode_part(line)
        if part.tag is None and len(self._met) < _MOST_HEADS:
            self._meet(part)
        return self.take(part, now, source)

    def _meet(self, part: Part) -> None:
        beginning = encode_part(part).rpartition(b",")[0].rpartition(b",")[0] + b","
        if len(beginning) in (_HEAD_LENGTH, _HEAD_LENGTH + 1):
            self._met[beginning] = (part.head, check_of(beginning[1:]))

    def take(self, part: Part, now: float, source: str = "") -> Received | NeedData:
        """Take a part; answer its message when that is whole now. Raises `FieldError` for what a message says."""
        head = part.head
        if head.total == 1:
            bits = part.groups >> part.fill
            bit_length = 6 * part.count - part.fill
            return Received(head, table_of(bits, bit_length, self._applications), bits, bit_length, part.tag)
        self.tick(now)
        key = (source, head.total, head.seq, head.channel)
        waiting = self._waiting.get(key)
        before = None if waiting is None else waiting.parts.get(head.number)
        if waiting is None or (before is not None and not _is_same(before, part)):
            self._forget(key)
            if len(self._waiting) >= MOST_WAITING:
                self._forget(next(iter(self._waiting)))
            waiting = self._waiting[key] = _Waiting(now)
        waiting.parts[head.number] = part
        if len(waiting.parts) < head.total:
            return NEED_DATA
        del self._waiting[key]
        return received_of(list(waiting.parts.values()), self._applications)

    def next_deadline(self) -> float | None:
        """When the parts that have waited longest are too old."""
        for waiting in self._waiting.values():
            return waiting.since + PATIENCE_S
        return None

    def tick(self, now: float) -> None:
        """Drop the parts that are too old."""
        while (deadline := self.next_deadline()) is not None and now >= deadline:
            self._forget(next(iter(self._waiting)))

    def _forget(self, key: _Key) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self.dropped += len(waiting.parts)


def _is_same(one: Part, other: Part) -> bool:
    return (one.groups, one.count, one.fill) == (other.groups, other.count, other.fill)
