"""One line of VDM or VDO: which part of which message it is, and its six-bit groups.

IEC 61162-1, sentences VDM (received from others) and VDO (our own transmission), on the sentence layer of NMEA 0183:

    !AIVDM,2,1,3,B,55P5TL01VIaAL@7WKO@mBplU@<PDhh000000001S;AJ::4A80?4i@E53,0*3E
     talker | | | |  payload, 6 bits a character                    fill | checksum
    formatter | | channel A, B or none
          total | sequence number, the same in all parts; empty in a single one
             number

`fill` bits at the end of a part are not part of the message. What some networks append behind the checksum (`,s:...`,
`,d-109,...`) is cut off. All else is kept: decoding and encoding give the same line.

>>> part = decode_part(b"!AIVDM,1,1,,B,H3`u5VA=VliDp@D000000000000,2*35")
>>> part.head.channel, part.count, part.fill
('B', 27, 2)
>>> encode_part(part)
b'!AIVDM,1,1,,B,H3`u5VA=VliDp@D000000000000,2*35'
"""

from collections.abc import Iterable

import msgspec

from protocols.ais.armour import armour, unarmour
from protocols.core.errors import MAX_RAW_BYTES, FieldError, FrameError, LocalProtocolError, UnsupportedError
from protocols.nmea0183.characters import is_field
from protocols.nmea0183.fields import offset_of, wrong
from protocols.nmea0183.sentence import Sentence, address_of, decode_sentence, encode_sentence, tag_length
from protocols.nmea0183.tag_block import TagBlock

RECEIVED = "VDM"
OWN = "VDO"
MOST_PARTS = 9
LONGEST_PAYLOAD = 60
"""Characters that we send in one line."""
_FIELDS = 7
MOST_FILL = 5


class Head(msgspec.Struct, frozen=True):
    """What stands before the payload."""

    talker: str
    """AI mobile, AB base station, AD dependent base station, AN aid, AR receiver, AS limited base station,
    AT transmitter, AX repeater; BS and SA are old."""
    formatter: str
    total: int
    number: int
    seq: int | None
    channel: str | None


class Part(msgspec.Struct, frozen=True):
    """One line."""

    head: Head
    groups: int
    """Its six-bit groups, fill bits included, the first uppermost."""
    count: int
    """How many groups."""
    fill: int
    tag: TagBlock | None = None
    check: str | None = None
    """The two digits of the checksum where they were not upper case."""

    @property
    def bits(self) -> int:
        """Without the fill bits."""
        return self.groups >> self.fill

    @property
    def bit_length(self) -> int:
        """Without the fill bits."""
        return 6 * self.count - self.fill


def decode_part(line: bytes) -> Part:
    """Decode a line without CR LF. Raises `RemoteProtocolError`."""
    sentence = decode_sentence(_without_remarks(line))
    begin = tag_length(sentence)
    if sentence.formatter not in (RECEIVED, OWN) or len(sentence.address) != 5:
        raise UnsupportedError("neither VDM nor VDO", offset=begin + 1, field="formatter", raw=line)
    if sentence.body[0] != "!":
        raise FrameError("does not start with !", offset=begin, field="start", raw=line)
    try:
        return _part_of(sentence)
    except FieldError as error:  # it counts from the start character
        error.offset = (error.offset or 0) + begin
        error.raw = line[:MAX_RAW_BYTES]
        raise


def _without_remarks(line: bytes) -> bytes:
    star = line.find(b"*", line.find(b"!") + 1)
    return line[: star + 3] if line[star + 3 : star + 4] == b"," else line


def _part_of(sentence: Sentence) -> Part:
    fields = sentence.fields
    if len(fields) != _FIELDS:
        raise FieldError(f"{len(fields)} fields, and not {_FIELDS}", offset=len(sentence.body), field="fields")
    head = Head(
        talker=sentence.talker,
        formatter=sentence.formatter,
        total=_digit(fields, 1, "total"),
        number=_digit(fields, 2, "number"),
        seq=_digit(fields, 3, "seq") if fields[3] else None,
        channel=fields[4] or None,
    )
    if not 1 <= head.number <= head.total:
        raise wrong("no part of that many", fields, 2, "fragment")
    payload = fields[5].encode()
    if not payload:
        raise wrong("no payload", fields, 5, "empty")
    fill = _digit(fields, 6, "fill")
    if fill > MOST_FILL:
        raise wrong("0 to 5 bits", fields, 6, "fill")
    groups = unarmour(payload, offset_of(fields, 5))
    return Part(head, groups, len(payload), fill, sentence.tag, sentence.check)


def _digit(fields: list[str], number: int, name: str) -> int:
    text = fields[number]
    if len(text) != 1 or not "0" <= text <= "9":
        raise wrong("not one digit", fields, number, name)
    return int(text)


def encode_part(part: Part) -> bytes:
    """The line, without CR LF."""
    head = part.head
    fields = [
        f"!{head.talker}{head.formatter}",
        str(head.total),
        str(head.number),
        "" if head.seq is None else str(head.seq),
        head.channel or "",
        armour(part.groups, part.count).decode(),
        str(part.fill),
    ]
    return encode_sentence(Sentence(",".join(fields), part.tag, part.check))


def parts_of(
    bits: int, bit_length: int, talker: str, formatter: str = OWN, channel: str | None = None, seq: int = 0
) -> list[Part]:
    """A message of our own as parts, in order; `seq` counts for more than one. Raises `LocalProtocolError`."""
    address_of(talker, formatter)
    if formatter not in (RECEIVED, OWN):
        raise LocalProtocolError("neither VDM nor VDO", field="formatter")
    if not is_field(channel or ""):
        raise LocalProtocolError("a reserved character", field="channel")
    fill = -bit_length % 6
    groups = bits << fill
    count = (bit_length + fill) // 6
    total = -(-count // LONGEST_PAYLOAD)
    if not 1 <= total <= MOST_PARTS or not 0 <= seq <= 9:
        raise LocalProtocolError("does not fit into 9 lines with a sequence number of one digit", field="length")
    parts = []
    for number in range(1, total + 1):
        after = max(0, count - number * LONGEST_PAYLOAD)
        size = min(LONGEST_PAYLOAD, count - (number - 1) * LONGEST_PAYLOAD)
        head = Head(talker, formatter, total, number, None if total == 1 else seq, channel)
        own = groups >> 6 * after & (1 << 6 * size) - 1
        parts.append(Part(head, own, size, fill if number == total else 0))
    return parts


def join(parts: Iterable[Part]) -> tuple[int, int]:
    """(bits, how many) of the parts of one message, in order."""
    bits = length = 0
    for part in parts:
        bits = bits << part.bit_length | part.bits
        length += part.bit_length
    return bits, length
