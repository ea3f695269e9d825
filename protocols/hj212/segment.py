"""The data segment (数据段): header fields and CP.

HJ 212-2017 clause 6.3.3.

    QN=...;ST=...;CN=...;PW=...;MN=...;Flag=...[;PNUM=...;PNO=...];CP=&&...&&

    Flag, one byte in decimal:   bits 7..2 version | bit 1 D: PNUM and PNO follow | bit 0 A: an answer is wanted

ASCII, Chinese text in GBK. Fields may be missing, stand in another order or be unknown: all are kept as they stand and
written byte for byte. Bytes that are not GBK become characters U+DC80 to U+DCFF and are written as they came.

>>> segment = decode_segment(b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=X;Flag=5;CP=&&RtdInterval=30&&")
>>> segment.cn, segment.flag, segment.is_ack_required, segment.version, segment.plain("RtdInterval")
('1062', 5, True, 1, '30')
"""

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.hj212.cp import Item, format_items, parse_items, plain_value

VERSION_2005 = 0
VERSION_2017 = 1
FLAG_ACK = 0x01
FLAG_SPLIT = 0x02
MAX_FLAG = 0xFF
MAX_PARTS = 9999
"""PNUM and PNO have up to four digits, HJ 212-2017 table 3."""

HIDDEN = "***"
"""Stands for a password where something is shown."""

_CP = "CP=&&"
_CP_END = "&&"
_ENCODING = "gbk"
_FIELDS = ("QN", "ST", "CN", "PW", "MN", "Flag", "PNUM", "PNO")

HeaderField = tuple[str, str | None]
"""Name and value; the value is None when there is no `=`."""


class Segment(msgspec.Struct, frozen=True):
    """A data segment as it stands on the wire.

    header: the fields before CP. items: what stands in CP. tail: separators and blanks behind the last item.
    """

    header: tuple[HeaderField, ...]
    items: tuple[Item, ...] = ()
    tail: str = ""

    def __repr__(self) -> str:
        header = tuple((name, HIDDEN if name == "PW" else value) for name, value in self.header)
        items = tuple(
            msgspec.structs.replace(item, value=HIDDEN) if item.name == "NewPW" else item for item in self.items
        )
        return f"Segment({header}, {items}, {self.tail!r})"

    def field(self, name: str) -> str | None:
        """A header field's text, or None."""
        for known, value in self.header:
            if known == name:
                return value
        return None

    def plain(self, name: str) -> str | None:
        """The value of a plain item of CP, or None."""
        return plain_value(self.items, name)

    @property
    def qn(self) -> str | None:
        """The request number in the header."""
        return self.field("QN")

    @property
    def st(self) -> str | None:
        """The system code."""
        return self.field("ST")

    @property
    def cn(self) -> str | None:
        """The command code."""
        return self.field("CN")

    @property
    def pw(self) -> str | None:
        """The device's password. A secret: it belongs into no log."""
        return self.field("PW")

    @property
    def mn(self) -> str | None:
        """The device's identity."""
        return self.field("MN")

    @property
    def flag(self) -> int | None:
        """Version and two bits. None where the edition of 2005 leaves it out."""
        return _number(self.field("Flag"))

    @property
    def pnum(self) -> int | None:
        """How many packets the whole has."""
        return _number(self.field("PNUM"))

    @property
    def pno(self) -> int | None:
        """Which of them this is, from 1."""
        return _number(self.field("PNO"))

    @property
    def version(self) -> int:
        """0: edition of 2005, also when there is no Flag. 1: edition of 2017."""
        return (self.flag or 0) >> 2

    @property
    def is_ack_required(self) -> bool:
        """Bit A."""
        return bool((self.flag or 0) & FLAG_ACK)

    @property
    def is_split(self) -> bool:
        """One of several packets that belong together. Bit D alone does not say so in the edition of 2005."""
        return self.pnum is not None and self.pno is not None and self.pnum > 1

    @property
    def exchange(self) -> str | None:
        """The request number that an answer belongs to: answers of the edition of 2005 have it in CP."""
        return self.qn or self.plain("QN")


def header_of(
    *,
    qn: str | None,
    st: str | None,
    cn: str,
    pw: str | None,
    mn: str | None,
    flag: int | None,
    pnum: int | None = None,
    pno: int | None = None,
) -> tuple[HeaderField, ...]:
    """A header in the standard's order; what is None is left out."""
    values = (qn, st, cn, pw, mn, flag, pnum, pno)
    return tuple((name, str(value)) for name, value in zip(_FIELDS, values, strict=True) if value is not None)


def decode_segment(data: bytes) -> Segment:
    """Read a data segment. Raises `FrameError` for a CP without its marks, `FieldError` for a wrong header field."""
    text = data.decode(_ENCODING, "surrogateescape")
    at = 0 if text.startswith(_CP) else text.find(";" + _CP) + 1
    if at == 0 and not text.startswith(_CP):
        raise FrameError("there is no CP=&&", len(data), "cp")
    content = text[at + len(_CP) :]
    if not content.endswith(_CP_END):
        raise FrameError("CP does not end with &&", len(data), "cp")
    items, tail = parse_items(content[: -len(_CP_END)])
    segment = Segment(_header_fields(text[: at - 1]) if at else (), items, tail)
    problem = _problem_of(segment)
    if problem is not None:
        place = (b";" + data).find(b";" + problem[0].encode())
        raise FieldError(problem[1], place, problem[0])
    return segment


def encode_segment(segment: Segment) -> bytes:
    """Write a data segment. Raises `LocalProtocolError` for what would not read back as the same."""
    problem = _problem_of(segment)
    if problem is not None:
        raise LocalProtocolError(problem[1], field=problem[0])
    head = "".join((name if value is None else f"{name}={value}") + ";" for name, value in segment.header)
    content = format_items(segment.items, segment.tail)
    if parse_items(content) != (segment.items, segment.tail):
        raise LocalProtocolError("an item holds a separator, or blanks at its ends", field="cp")
    if f";{_CP}" in ";" + head or (segment.header and _header_fields(head[:-1]) != segment.header):
        raise LocalProtocolError("a header field holds a separator")
    try:
        return f"{head}{_CP}{content}{_CP_END}".encode(_ENCODING, "surrogateescape")
    except UnicodeEncodeError as error:
        raise LocalProtocolError("a character that GBK does not have", field="cp") from error


def _header_fields(text: str) -> tuple[HeaderField, ...]:
    fields = []
    for piece in text.split(";"):
        name, equals, value = piece.partition("=")
        fields.append((name, value if equals else None))
    return tuple(fields)


def _number(text: str | None) -> int | None:
    """Up to four decimal digits; everything else is no number."""
    return int(text) if text is not None and len(text) <= 4 and text.isascii() and text.isdigit() else None


def _problem_of(segment: Segment) -> tuple[str, str] | None:
    """(field, reason) of what the standard does not allow in a header."""
    known = dict(segment.header)
    if len(known) < len(segment.header):
        for name in _FIELDS:
            if [field for field, _value in segment.header].count(name) > 1:
                return name, "stands twice"
    numbers = []
    for name in ("Flag", "PNUM", "PNO"):
        number = _number(known.get(name))
        if number is None and name in known:
            return name, "is not a number"
        numbers.append(number)
    flag, pnum, pno = numbers
    if flag is not None and flag > MAX_FLAG:
        return "Flag", f"{flag} is more than a byte"
    if pnum is not None and pno is not None and pno > pnum:
        return "PNO", f"packet {pno} of {pnum}"
    is_whole = pnum is None or pno is None
    if flag is not None and flag & FLAG_SPLIT and is_whole and flag >> 2 > VERSION_2005:
        return "Flag", "bit D is set, but PNUM or PNO is missing"
    return None
