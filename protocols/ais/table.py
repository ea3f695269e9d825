"""Messages as tables: one declaration a field says its bits, its type and what its values mean, for both directions.

ITU-R M.1371-5, Annex 8: bits count from 0, the most significant first. A class of a message reads like the
recommendation's table:

    class PositionReport(Message, frozen=True):
        status: Annotated[int, Row(38, 41)]
        speed_tenth_kn: Annotated[int | None, Row(50, 59, key="speed", per=10, missing=1023)]

`Table` makes a decoder and an encoder of it. Nothing is lost: bits that no row names are kept in `spare`, where they
are not zero, and a length that is not the table's own in `odd_length`. A code for "not available" is None.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Annotated, Any, Generic, Literal, TypeVar, get_type_hints

import msgspec

from protocols.ais.armour import groups_of_text, text_of
from protocols.core.errors import FieldError, LocalProtocolError

LONGEST = 9 * 1024 * 6
"""Bits that nine of the longest lines can carry. On the air a message has 1008 at most; nothing depends on that."""
COMMON_BITS = 38
"""What every message begins with: type, repeat and MMSI."""
_WIDEST_LOOKUP = 13
"""Up to this width the values of a row are looked up."""


class Row(msgspec.Struct, frozen=True):
    """Bits `first` to `last`, both included."""

    first: int
    last: int
    kind: Literal["number", "signed", "flag", "text", "list"] = "number"
    missing: int | None = None
    """The code for "not available"."""
    limit: int | None = None
    """From this code on there is no readable value either; the codes above `missing` are kept as they came."""
    key: str | None = None
    """The readable name where it is not the field's own."""
    per: int = 1
    """How many of the wire's units are one readable unit."""
    is_optional: bool = False
    """A message may end before it: then it is None."""

    @property
    def width(self) -> int:
        """How many bits it has."""
        return self.last - self.first + 1


class Rest(msgspec.Struct, frozen=True):
    """Whatever follows the rows: six-bit text, or bits that an application means."""

    kind: Literal["text", "bits"]
    key: str | None = None
    fills_bytes: bool = False
    """Zero bits fill it up to a multiple of eight."""


class Bits(msgspec.Struct, frozen=True):
    """A string of bits: `count` of them, the last one lowest in `value`."""

    value: int
    count: int

    @property
    def hex(self) -> str:
        """From the left in hex digits, the last one filled up with zero bits."""
        digits = -(-self.count // 4)
        return f"{self.value << 4 * digits - self.count:0{digits}X}" if digits else ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a message keeps beside its fields so that it encodes to the same bits."""

    odd_length: int | None = None
    """Its bits where they are not as many as the message needs."""
    spare: int = 0
    """All bits that no row names, in place."""


class Message(Kept, frozen=True):
    """Any message: how each one begins."""

    type: Annotated[int, Row(0, 5)]
    repeat: Annotated[int, Row(6, 7)]
    mmsi: Annotated[int, Row(8, 37)]


class Plain(Message, frozen=True):
    """A message of a type without a table here: kept bit for bit."""

    data: Annotated[Bits, Rest("bits")]


MessageT = TypeVar("MessageT", bound=Message)
Codec = tuple[Callable[[int], Any], Callable[[Any], int]]


@cache
def _lookup(width: int, missing: int | None, is_signed: bool) -> tuple[int | None, ...]:
    codes: list[int | None] = list(range(1 << width))
    if is_signed:
        half = 1 << width - 1
        codes[half:] = range(-half, 0)
    if missing is not None:
        codes[missing] = None  # a negative one counts from the end, as it does on the wire
    return tuple(codes)


class Table(Generic[MessageT]):
    """Decodes and encodes one class of message."""

    def __init__(
        self,
        made: type[MessageT],
        width: int,
        *,
        shortest: int | None = None,
        longest: int | None = None,
        lists: Codec | None = None,
    ) -> None:
        """`width` is the message's own length without its rest, `lists` reads and writes its row of kind list."""
        self.made = made
        self.width = width
        self.shortest = width if shortest is None else shortest
        self.longest = width + 5 if longest is None else longest
        self.rows: dict[str, Row] = {}
        self.rest: tuple[str, Rest] | None = None
        self._lists = lists
        hints = get_type_hints(made, include_extras=True)
        for field in msgspec.structs.fields(made):
            for note in getattr(hints[field.name], "__metadata__", ()):
                if isinstance(note, Row):
                    self.rows[field.name] = note
                elif isinstance(note, Rest):
                    self.rest = (field.name, note)
        named = sum((1 << row.width) - 1 << width - 1 - row.last for row in self.rows.values())
        self.spare_mask = (1 << width) - 1 & ~named
        """The bits that no row names."""
        self.plain_length = 0 if self.rest else width
        """The length of a message that `make` takes; 0 for a table with a rest."""
        self.make: Callable[[int], MessageT] = self._reader("made")
        """Makes a message of `plain_length` bits."""
        self._read: Callable[[int], tuple[Any, ...]] = self._reader("")
        self._written: list[tuple[str, int, int, Callable[[Any], Any] | None]] = []
        """Name, bits, bits with the spare ones before it, and what makes its code, of each row."""
        end = 0
        for name, row in self.rows.items():
            self._written.append((name, row.width, row.last + 1 - end, self._code_of(name, row)))
            end = row.last + 1
        self._spare_at_end = width - end

    def _reader(self, name: str) -> Callable[[int], Any]:
        """What takes the rows out of the bits of a message of the table's width, for a class or a tuple.

        It is written as one expression, as the standard library writes the `__init__` of a data class: a loop over the
        rows takes twice as long, and this is what a receiver spends its time on. What the rows need beside numbers are
        its defaults, since those are found faster than globals.
        """
        given: dict[str, Any] = {"made": self.made}
        parts = [self._expression(field, row, given) for field, row in self.rows.items()]
        if name:
            parts.append(f"spare=b & {self.spare_mask}")
        defaults = "".join(f", {name}={name}" for name in given)
        source = f"lambda b{defaults}: {name}({', '.join(parts)},)"
        read: Callable[[int], Any] = eval(source, given)  # noqa: S307  # made of our own tables alone
        return read

    def _expression(self, name: str, row: Row, given: dict[str, Any]) -> str:
        shift = self.width - 1 - row.last
        mask = (1 << row.width) - 1
        code = f"b >> {shift} & {mask}" if shift else f"b & {mask}"
        if row.first == 0:
            code = f"b >> {shift}"  # nothing is above it
        match row.kind:
            case "flag":
                return f"{code} == 1"
            case "text":
                given[name] = partial(text_of, count=row.width // 6)
                return f"{name}({code})"
            case "list":
                given[name] = self._codec_of_lists()[0]
                return f"{name}({code})"
            case "number" if row.missing is None:
                return code
        if row.width > _WIDEST_LOOKUP:
            assert row.kind == "signed", "a wide row with a code for not available is a coordinate"
            sign = 1 << row.width - 1
            return f"None if (x := {code}) == {row.missing} else (x ^ {sign}) - {sign}"
        given[name] = _lookup(row.width, row.missing, row.kind == "signed")
        return f"{name}[{code}]"

    def _codec_of_lists(self) -> Codec:
        assert self._lists is not None, "a row of kind list comes with its codec"
        return self._lists

    def decode(self, bits: int, bit_length: int) -> MessageT:
        """Decode a message of the table's class. Raises `FieldError` for its length."""
        if bit_length == self.plain_length:
            return self.make(bits)
        self.check_length(bit_length)
        return self._decode_of_length(bits, bit_length)

    def check_length(self, bit_length: int) -> None:
        """Raise `FieldError` where no message of the class has this length."""
        if not self.shortest <= bit_length <= self.longest:
            raise FieldError(f"{bit_length} bits, and not {self.shortest} to {self.longest}", field="length")

    def _decode_of_length(self, bits: int, bit_length: int) -> MessageT:
        more = bit_length - self.width
        head = bits >> more if more > 0 else bits << -more
        tail_bits = max(more, 0)
        tail = bits & (1 << tail_bits) - 1
        spare = head & self.spare_mask
        values: list[Any] = [
            None if row.is_optional and row.last >= bit_length else value
            for row, value in zip(self.rows.values(), self._read(head), strict=True)
        ]
        if self.rest is None:
            spare = spare << more | tail if more > 0 else spare >> -more
        elif self.rest[1].kind == "bits":
            values.append(Bits(tail, tail_bits))
            spare <<= tail_bits
        else:
            count, loose = divmod(tail_bits, 6)
            text = text_of(tail >> loose, count)
            values.append(text)
            spare = (spare << tail_bits | tail & (1 << loose) - 1) if more > 0 else spare >> -more
        odd_length = None if bit_length == self._own_length(values[-1]) else bit_length
        return self.made(*values, odd_length=odd_length, spare=spare)

    def _own_length(self, rest: Any) -> int:
        if self.rest is None:
            return self.width
        if self.rest[1].kind == "bits":
            return self.width + int(rest.count)
        length = self.width + 6 * len(rest)
        return length + (-length % 8 if rest and self.rest[1].fills_bytes else 0)

    def encode(self, message: MessageT) -> tuple[int, int]:
        """(bits, how many). Raises `LocalProtocolError` for a value that its bits cannot hold."""
        head = 0
        for name, width, step, code_of in self._written:
            code = getattr(message, name)
            if code_of is not None:
                code = code_of(code)
            if code is None or code >> width:  # what is negative stays so
                raise self._unwritable(name, code)
            head = head << step | code
        head <<= self._spare_at_end
        rest = None if self.rest is None else getattr(message, self.rest[0])
        bit_length = message.odd_length or self._own_length(rest)
        if not self.shortest <= bit_length <= self.longest:
            raise LocalProtocolError(f"{bit_length} bits, and not {self.shortest} to {self.longest}", field="length")
        more = bit_length - self.width
        if more < 0 and head & (1 << -more) - 1:
            raise LocalProtocolError(f"what it says does not fit into {bit_length} bits", field="length")
        bits = (head << more | self._tail(rest, more)) if more > 0 else head >> -more
        if message.spare and message.spare & ~self._spare_bits(more):
            raise LocalProtocolError("bits that are not spare", field="spare")
        return bits | message.spare, bit_length

    def _spare_bits(self, more: int) -> int:
        """The bits that neither a row nor the rest names in a message that is `more` bits longer than the rows."""
        if more <= 0:
            return self.spare_mask >> -more
        loose = more if self.rest is None else more % 6 if self.rest[1].kind == "text" else 0
        return self.spare_mask << more | (1 << loose) - 1

    def _unwritable(self, name: str, code: int | None) -> LocalProtocolError:
        row = self.rows[name]
        reason = 'there is no code for "not available"' if code is None else f"does not fit into {row.width} bits"
        return LocalProtocolError(reason, field=row.key or name)

    def _code_of(self, name: str, row: Row) -> Callable[[Any], Any] | None:
        """What makes the code of a row of its value; None where they are the same."""
        if row.kind == "text":
            return partial(groups_of_text, count=row.width // 6, name=row.key or name)
        if row.kind == "list":
            return self._codec_of_lists()[1]
        missing = 0 if row.missing is None and row.is_optional else row.missing
        span = 1 << row.width
        absent = None if missing is None else missing % span
        if row.kind == "signed":
            half = span >> 1

            def code_of_signed(value: int | None) -> int | None:
                if value is None:
                    return absent
                return value % span if -half <= value < half else span  # which is too wide as well

            return code_of_signed
        return None if absent is None else lambda value: absent if value is None else value

    def _tail(self, rest: Any, bit_count: int) -> int:
        if self.rest is None:
            return 0
        name, kind = self.rest
        if kind.kind == "bits":
            if bit_count != rest.count or rest.value < 0 or rest.value >> rest.count:
                raise LocalProtocolError("not as many bits as it says", field=kind.key or name)
            return int(rest.value)
        count, loose = divmod(bit_count, 6)
        return groups_of_text(rest, count, kind.key or name) << loose
