r"""One sentence as it stands on the wire: start, address, fields, checksum, and the tag block before it.

NMEA 0183 / IEC 61162-1, general sentence format. MicroPython-clean.

    \tag block\ $ talker formatter , field , field ... * hh CR LF
                2      3                             XOR of all between $ and *

`$` starts a sentence of parametric fields, `!` one of encapsulated data (AIS). Printable ASCII only; `$ ! * \` never
stand inside. A **line** here is all of that without CR LF. `decode_sentence` takes any formatter and loses nothing:
`encode_sentence` gives the same line. What the fields of a formatter mean is told by its class, see `catalogue`.

>>> sentence = decode_sentence(b"$GPHDT,274.07,T*03")
>>> sentence.talker, sentence.formatter, sentence.fields
('GP', 'HDT', ['$GPHDT', '274.07', 'T'])
>>> encode_sentence(sentence)
b'$GPHDT,274.07,T*03'
"""

from protocols.core.errors import ChecksumError, FieldError, FrameError, LocalProtocolError, UnsupportedError
from protocols.nmea0183.characters import BLANKS, RESERVED, blanked, consists_of, is_plain
from protocols.nmea0183.checksum import CHECK_ENDS, check_of, digits_of
from protocols.nmea0183.fields import offset_of
from protocols.nmea0183.tag_block import TagBlock, decode_tag, encode_tag

LINE_END = b"\r\n"
LONGEST_LINE = 1024
"""Characters of a line that we accept; the standard says 80 (82 with CR LF), real receivers exceed it."""
LONGEST_SENT = 80
"""Characters of a sentence that we send, without CR LF."""
_SHORTEST_LINE = 6
"""`$PX*hh`"""
_ADDRESS_LENGTH = 5
_HEAD_LENGTH = 7
"""`$GNRMC,`"""
_STARTS = (b"$", b"!")
_LONGEST_SHORT_WAY = 300
"""A number must have more than 308 digits to be too large for a float: only a longer line can hold one."""
_MOST_MET = 64
"""How many addresses a decoder remembers."""
_CHARACTERS_OF_ADDRESS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Sentence:
    """Any sentence, kept as the text of its line. `fields[n]` is field n of the standard's table.

    A sentence with a class of its own has its quantities as attributes. They are read from the text, all at once, at
    the first look at one of them, which may raise `FieldError`: most sentences are only counted or passed on.
    """

    __slots__ = ("body", "check", "tag")

    FORMATTER = ""
    FEWEST_FIELDS = 0
    """After the address; fewer are an error."""

    def __init__(self, body: str, tag: TagBlock | None = None, check: str | None = None) -> None:
        self.body = body
        """Start, address and fields: all before the star."""
        self.tag = tag
        self.check = check
        """The two digits of the checksum where they were not upper case, else None."""

    @property
    def fields(self) -> list[str]:
        """The body parted at its commas; the first one is the start and the address."""
        return self.body.split(",")

    @property
    def address(self) -> str:
        """Talker and formatter, or a maker's own."""
        return self.body.split(",", 1)[0][1:]

    @property
    def talker(self) -> str:
        """Two characters that say who talks: `GP`, `BD`, `SD`. A sentence means the same whoever talks."""
        return self.address[:-3]

    @property
    def formatter(self) -> str:
        """Three characters that say what the fields are: `GGA`."""
        return self.address[-3:]

    def read(self) -> None:
        """Read the fields into attributes; a plain sentence has none. Raises `FieldError`."""

    def __getattr__(self, name: str) -> object:
        if name in self.__slots__ and name not in Sentence.__slots__:
            self.read()
            return getattr(self, name)
        raise AttributeError(name)


class Decoder:
    """Turns lines into sentences of the classes in `kinds`, keyed by formatter.

    What is plainly right takes a short way: an address met before, an upper-case checksum, no tag block. All else takes
    the long one, which knows what may be wrong with a line.
    """

    __slots__ = ("_kinds", "_met", "_others")

    def __init__(self, kinds: dict[str, type[Sentence]], others: type[Sentence] | None = None) -> None:
        self._kinds = kinds
        self._others = others
        """The class of any other formatter; None: it is unsupported."""
        self._met: dict[bytes, type[Sentence]] = {}
        """The class for each start and address, such as `$GNRMC,`."""

    def decode(self, line: bytes) -> Sentence:
        """Decode a line. Raises `FrameError`, `ChecksumError`, `FieldError` for its shape, and `UnsupportedError`."""
        kind = self._met.get(line[:_HEAD_LENGTH])
        inside = line[1:-3]
        if (
            kind is None
            or line[-3:] != CHECK_ENDS[check_of(inside)]
            or blanked(inside, BLANKS) != inside
            or inside.count(b",") < kind.FEWEST_FIELDS
            or len(line) > _LONGEST_SHORT_WAY
        ):
            return self._decode_with_care(line)
        return kind(line[:-3].decode())

    def _decode_with_care(self, line: bytes) -> Sentence:
        tag, begin = _tag_of(line) if line[:1] == b"\\" else (None, 0)
        _check_characters(line, begin)
        text = line[begin:].decode()
        expected = digits_of(check_of(line[begin + 1 : -3]))
        check = None
        if text[-2:] != expected:
            check = text[-2:]
            if check.upper() != expected:
                raise ChecksumError("the checksum does not hold", offset=len(line) - 2, field="checksum", raw=line)
        fields = text[:-3].split(",")
        if len(text) > _LONGEST_SHORT_WAY:
            _check_numbers(fields, line, begin)
        kind = self._kind_of(fields[0][1:], line, begin)
        if len(fields) <= kind.FEWEST_FIELDS:
            raise FieldError("too few fields", offset=len(line) - 3, field="fields", raw=line)
        if text[_HEAD_LENGTH - 1 : _HEAD_LENGTH] == "," and len(self._met) < _MOST_MET:
            self._met[text[:_HEAD_LENGTH].encode()] = kind
        return kind(text[:-3], tag, check)

    def _kind_of(self, address: str, line: bytes, begin: int) -> type[Sentence]:
        """The class for an address."""
        is_standard = len(address) == _ADDRESS_LENGTH
        is_proprietary = address[:1] == "P" and len(address) > 1
        if not (is_standard or is_proprietary) or not _is_address(address):
            raise FieldError(
                "neither talker and formatter nor a maker's own", offset=begin + 1, field="address", raw=line
            )
        kind = self._kinds.get(address[-3:], self._others) if is_standard else self._others
        if kind is None:
            raise UnsupportedError("no decoder for " + address, offset=begin + 1, field="address", raw=line)
        return kind


decode_sentence = Decoder({}, Sentence).decode
"""Decode any line into a plain `Sentence`."""


def _tag_of(line: bytes) -> tuple[TagBlock, int]:
    """The tag block of a line, and where the sentence behind it begins."""
    end = line.find(b"\\", 1)
    block = line[1:end]
    if end < 0 or len(line) > LONGEST_LINE or b"$" in block or b"!" in block:
        raise FrameError("an unterminated or malformed tag block", offset=0, field="tag", raw=line)
    return decode_tag(block), end + 1


def _check_characters(line: bytes, begin: int) -> None:
    """Raise what is wrong with the characters of a line whose sentence begins at `begin`."""
    if line[begin : begin + 1] not in _STARTS:
        raise FrameError("does not start with $ or !", offset=begin, field="start", raw=line)
    if not _SHORTEST_LINE <= len(line) - begin <= LONGEST_LINE:
        raise FrameError("not the length of a sentence", offset=begin, field="length", raw=line)
    if not is_plain(line):
        offset = min([at for at, byte in enumerate(line) if not 0x20 <= byte <= 0x7E])
        raise FrameError("a character that is not printable ASCII", offset=offset, raw=line)
    reserved = [at for at, byte in enumerate(line[:-3]) if at > begin and chr(byte) in RESERVED]
    if reserved:
        raise FrameError("a reserved character, as when two lines run into each other", offset=reserved[0], raw=line)
    if line[-3:-2] != b"*":
        raise ChecksumError("no checksum at the end", offset=len(line), field="checksum", raw=line)


def _check_numbers(fields: list[str], line: bytes, begin: int) -> None:
    """Raise where a field is a number too large for a float."""
    for number, text in enumerate(fields):
        if len(text) > _LONGEST_SHORT_WAY and text.replace(".", "", 1).lstrip("+-").isdigit():
            offset = begin + offset_of(fields, number)
            raise FieldError("longer than any number", offset=offset, field="number", raw=line)


def _is_address(text: str) -> bool:
    return consists_of(text, _CHARACTERS_OF_ADDRESS)


def encode_sentence(sentence: Sentence) -> bytes:
    """The line, without CR LF."""
    body = sentence.body.encode()
    line = body + (CHECK_ENDS[check_of(body[1:])] if sentence.check is None else b"*" + sentence.check.encode())
    return line if sentence.tag is None else encode_tag(sentence.tag) + line


def tag_length(sentence: Sentence) -> int:
    """Where the sentence begins in its line: what stands before it is its tag block."""
    return 0 if sentence.tag is None else len(encode_tag(sentence.tag))


def encode_for_sending(sentence: Sentence) -> bytes:
    """The line with CR LF. Raises `LocalProtocolError` when it is longer than the standard lets us send."""
    line = encode_sentence(sentence)
    if len(line) - tag_length(sentence) > LONGEST_SENT:
        raise LocalProtocolError("longer than the 82 characters of a sentence", field="length")
    return line + LINE_END


def address_of(talker: str, formatter: str) -> str:
    """Start and address of a sentence of our own."""
    if len(talker) != 2 or not _is_address(talker):
        raise LocalProtocolError("a talker is two upper-case letters or digits", field="talker")
    return "$" + talker + formatter
