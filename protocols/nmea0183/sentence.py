r"""One sentence as it stands on the wire: start, address, fields, checksum, and the tag block before it.

NMEA 0183 / IEC 61162-1, general sentence format. MicroPython-clean.

    \tag block\ $ talker formatter , field , field ... * hh CR LF
                2      3                             XOR of all between $ and *

`$` starts a sentence of parametric fields, `!` one of encapsulated data (AIS). Printable ASCII only; `$ ! * \` never
stand inside. A **line** here is all of that without CR LF. `decode_sentence` takes any formatter and loses nothing:
`encode_sentence` gives the same line. What the fields of a formatter mean is told by its class, see `catalogue`.

>>> sentence = decode_sentence(b"$GPHDT,274.07,T*03")
>>> sentence.talker, sentence.formatter, sentence.fields
('GP', 'HDT', ['GPHDT', '274.07', 'T'])
>>> encode_sentence(sentence)
b'$GPHDT,274.07,T*03'
"""

from protocols.core.errors import ChecksumError, FieldError, FrameError, LocalProtocolError
from protocols.nmea0183.characters import RESERVED, is_plain
from protocols.nmea0183.checksum import HEX_PAIRS, check_of
from protocols.nmea0183.tag_block import TagBlock, decode_tag, encode_tag

LINE_END = b"\r\n"
LONGEST_LINE = 1024
"""Characters of a line that we accept; the standard says 80 (82 with CR LF), real receivers exceed it."""
LONGEST_SENT = 80
"""Characters of a sentence that we send, without CR LF."""
_SHORTEST_LINE = 6
"""`$PX*hh`"""
_ADDRESS_LENGTH = 5
_STARTS = ("$", "!")
_CHARACTERS_OF_ADDRESS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Sentence:
    """Any sentence. `fields[0]` is the address, so that `fields[n]` is field n of the standard's table.

    A sentence with a class of its own has its quantities as attributes. They are read from the text, all at once, at
    the first look at one of them, which may raise `FieldError`: most sentences are only counted or passed on.
    """

    __slots__ = ("check", "fields", "start", "tag")

    FORMATTER = ""
    FEWEST_FIELDS = 0
    """After the address; fewer are an error."""

    def __init__(
        self, fields: list[str], start: str = "$", tag: TagBlock | None = None, check: str | None = None
    ) -> None:
        self.fields = fields
        self.start = start
        self.tag = tag
        self.check = check
        """The two digits of the checksum where they were not upper case, else None."""

    @property
    def talker(self) -> str:
        """Two characters that say who talks: `GP`, `BD`, `SD`. A sentence means the same whoever talks."""
        return self.fields[0][:-3]

    @property
    def formatter(self) -> str:
        """Three characters that say what the fields are: `GGA`."""
        return self.fields[0][-3:]

    def read(self) -> None:
        """Read the fields into attributes; a plain sentence has none. Raises `FieldError`."""

    def __getattr__(self, name: str) -> object:
        if name in self.__slots__ and name not in Sentence.__slots__:
            self.read()
            return getattr(self, name)
        raise AttributeError(name)

    def field(self, number: int) -> str:
        """Field `number` of the standard's table; empty when the sentence ends before it (older editions do)."""
        return self.fields[number] if number < len(self.fields) else ""


_NO_KINDS: dict[str, type[Sentence]] = {}


def decode_sentence(line: bytes, kinds: dict[str, type[Sentence]] = _NO_KINDS) -> Sentence:
    """Decode a line. `kinds` names the class of a formatter; any other becomes a plain `Sentence`.

    Raises `ChecksumError`, `FrameError`, and `FieldError` for an address that is none or too few fields.
    """
    tag = None
    if line[:1] == b"\\":
        tag, line = _split_tag(line)
    if not _SHORTEST_LINE <= len(line) <= LONGEST_LINE or not is_plain(line):
        raise _why_no_text(line)
    text = line.decode()
    start = text[0]
    body = text[1:-3]
    if "$" in body or "!" in body or "*" in body or "\\" in body or start not in _STARTS:
        raise _why_misplaced(text, line)
    at = 2 * check_of(line[1:-3])
    check = None
    if text[-2:] != HEX_PAIRS[at : at + 2] or text[-3] != "*":
        check = _lower_case_check(text, HEX_PAIRS[at : at + 2], line)
    fields = body.split(",")
    address = fields[0]
    if len(address) != _ADDRESS_LENGTH or not (address.isalpha() and address.isupper()):
        _check_address(address)
    kind = kinds.get(address[-3:], Sentence)
    if len(fields) <= kind.FEWEST_FIELDS:
        raise FieldError("too few fields", field="fields", raw=line)
    return kind(fields, start, tag, check)


def _split_tag(line: bytes) -> tuple[TagBlock, bytes]:
    end = line.find(b"\\", 1)
    block = line[1:end]
    if end < 0 or len(line) > LONGEST_LINE or b"$" in block or b"!" in block:
        raise FrameError("an unterminated or malformed tag block", offset=0, field="tag", raw=line)
    return decode_tag(block), line[end + 1 :]


def _why_no_text(line: bytes) -> FrameError:
    if line[:1] not in (b"$", b"!"):
        return FrameError("does not start with $ or !", offset=0, field="start", raw=line)
    if not _SHORTEST_LINE <= len(line) <= LONGEST_LINE:
        return FrameError("not the length of a sentence", field="length", raw=line)
    offset = min([at for at, byte in enumerate(line) if not 0x20 <= byte <= 0x7E])
    return FrameError("a character that is not printable ASCII", offset=offset, raw=line)


def _why_misplaced(text: str, line: bytes) -> FrameError:
    if text[0] not in _STARTS:
        return FrameError("does not start with $ or !", offset=0, field="start", raw=line)
    offset = min([at for at, character in enumerate(text) if at and character in RESERVED])
    return FrameError("a reserved character inside, as when two lines run into each other", offset=offset, raw=line)


def _lower_case_check(text: str, expected: str, line: bytes) -> str:
    """The checksum's digits where they are lower case and hold; raises otherwise."""
    if text[-3] != "*":
        raise ChecksumError("no checksum at the end", offset=len(line), field="checksum", raw=line)
    if text[-2:].upper() != expected:
        raise ChecksumError("the checksum does not hold", offset=len(line) - 2, field="checksum", raw=line)
    return text[-2:]


def _check_address(address: str) -> None:
    """Accept digits in a talker (`U0`) and a maker's own address, which begins with P and may have any length."""
    is_proprietary = address[:1] == "P" and len(address) > 1
    if not (len(address) == _ADDRESS_LENGTH or is_proprietary) or not all(
        character in _CHARACTERS_OF_ADDRESS for character in address
    ):
        raise FieldError("neither talker and formatter nor a maker's own", field="address")


def encode_sentence(sentence: Sentence) -> bytes:
    """The line, without CR LF."""
    body = ",".join(sentence.fields)
    check = sentence.check
    if check is None:
        at = 2 * check_of(body.encode())
        check = HEX_PAIRS[at : at + 2]
    line = (sentence.start + body + "*" + check).encode()
    return line if sentence.tag is None else encode_tag(sentence.tag) + line


def encode_for_sending(sentence: Sentence) -> bytes:
    """The line with CR LF. Raises `LocalProtocolError` when it is longer than the standard lets us send."""
    line = encode_sentence(sentence)
    length = len(line) if sentence.tag is None else len(line) - len(encode_tag(sentence.tag))
    if length > LONGEST_SENT:
        raise LocalProtocolError("longer than the 82 characters of a sentence", field="length")
    return line + LINE_END


def address_of(talker: str, formatter: str) -> str:
    """The address of a sentence of our own."""
    if len(talker) != 2 or not all(character in _CHARACTERS_OF_ADDRESS for character in talker):
        raise LocalProtocolError("a talker is two upper-case letters or digits", field="talker")
    return talker + formatter
