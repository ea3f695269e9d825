r"""Tag blocks: `\key:value,key:value*hh\` directly before a sentence.

NMEA 0183 version 4, IEC 62320-1 for the keys. MicroPython-clean. The checksum covers the text between the first
backslash and the star. Keys that are not listed here are kept as text; nothing is lost: the block keeps its text.

    c  UNIX time of reception, s or ms        g  sentence-total-groupid: lines of one group belong together
    s  source id, 15 characters at most       n  line count
    d  destination id                         r  relative time          t, i  text

>>> tag = decode_tag(b"s:GN01,c:1700000000*32")
>>> tag.get("s"), tag.received_ms
('GN01', 1700000000000)
"""

from protocols.core.errors import ChecksumError, FrameError, LocalProtocolError
from protocols.nmea0183.characters import is_field, is_plain
from protocols.nmea0183.checksum import check_of, digits_of

_LONGEST_SECONDS = 10
"""A time of reception with more digits than this counts ms."""


class TagBlock:
    """What stands before a sentence. `text` is what stands between the first backslash and the star."""

    __slots__ = ("check", "pairs", "text")

    def __init__(self, text: str, check: str | None = None) -> None:
        self.text = text
        self.check = check
        """The two digits of the checksum where they were not upper case, else None."""
        self.pairs = _pairs_of(text)

    def get(self, key: str) -> str | None:
        """The value of a key; the last one counts where it stands twice."""
        for name, value in reversed(self.pairs):
            if name == key:
                return value
        return None

    @property
    def received_ms(self) -> int | None:
        """Key `c` as UTC ms since 1970, or None when it is missing or no number."""
        text = self.get("c")
        if text is None or not text.isdigit() or len(text) > 15:
            return None
        return int(text) if len(text) > _LONGEST_SECONDS else int(text) * 1000

    @property
    def group(self) -> tuple[int, int, str] | None:
        """Key `g` as (sentence, of how many, group id), or None when it is missing or not of that form."""
        parts = (self.get("g") or "").split("-")
        if len(parts) != 3 or not parts[0].isdigit() or not parts[1].isdigit() or len(parts[0] + parts[1]) > 9:
            return None
        return (int(parts[0]), int(parts[1]), parts[2])


def _pairs_of(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in text.split(","):
        key, colon, value = part.partition(":")
        if not key or not colon:
            raise FrameError("a tag is `key:value`", offset=text.find(part) + 1, field="tag", raw=text.encode())
        pairs.append((key, value))
    return pairs


def decode_tag(block: bytes) -> TagBlock:
    """Decode what stands between the two backslashes. Raises `FrameError` and `ChecksumError`.

    Their offset counts from the first backslash.
    """
    if not is_plain(block):
        raise FrameError("a character that is not printable ASCII", offset=1, field="tag", raw=block)
    text = block.decode()
    body = text[:-3]
    if text[-3:-2] != "*" or "*" in body:
        raise FrameError("a tag block without its checksum", offset=len(block) + 1, field="tag", raw=block)
    expected = digits_of(check_of(block[:-3]))
    if text[-2:] == expected:
        return TagBlock(body)
    if text[-2:].upper() == expected:
        return TagBlock(body, text[-2:])
    raise ChecksumError("the checksum of the tag block does not hold", offset=len(block) - 1, field="tag", raw=block)


def encode_tag(tag: TagBlock) -> bytes:
    """The block with both backslashes."""
    check = tag.check or digits_of(check_of(tag.text.encode()))
    return ("\\" + tag.text + "*" + check + "\\").encode()


def tag_of(pairs: list[tuple[str, str]]) -> TagBlock:
    """A block of our own with these keys, in order."""
    for key, value in pairs:
        if not key or ":" in key or not is_field(key + value):
            raise LocalProtocolError("a tag's key or value holds a reserved character", field="tag")
    return TagBlock(",".join([key + ":" + value for key, value in pairs]))
