r"""BER-TLV data objects as cards use them (ISO/IEC 7816-4:2013, 5.2.2).

    tag (low 5 bits 11111: goes on while bit 7 is set)   length (00..7F, 81 x, 82 x x, 83 x x x)   value

A tag with bit 5 (20) set is constructed: its value is a run of objects. 00 and FF between objects are padding. Nothing
is lost: padding and longer length fields than needed are kept. The indefinite length (80) is refused.

>>> decode_tlv(bytes.fromhex("a5049f080102"))
(Tlv(tag=b'\xa5', value=(Tlv(tag=b'\x9f\x08', value=b'\x02', length_bytes=1),), length_bytes=1),)
"""

from collections.abc import Sequence

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError

MAX_DEPTH = 16
"""Constructed objects in one another; cards use four. A ceiling, so that a hostile card cannot exhaust the stack."""
MAX_LENGTH_BYTES = 4


class Tlv(msgspec.Struct, frozen=True):
    """One object. value: bytes, or the objects of a constructed one. length_bytes: how many its length field took."""

    tag: bytes
    value: "bytes | tuple[Tlv | Padding, ...]"
    length_bytes: int = 1

    @property
    def is_constructed(self) -> bool:
        """Whether the tag says that the value is a run of objects."""
        return bool(self.tag[0] & 0x20)


class Padding(msgspec.Struct, frozen=True):
    """Bytes 00 and FF between objects."""

    data: bytes


Objects = tuple[Tlv | Padding, ...]


def tlv(tag: str, value: bytes | Sequence[Tlv]) -> Tlv:
    """An object with the shortest length field, its tag as hex digits."""
    content = bytes(value) if isinstance(value, bytes) else tuple(value)
    return Tlv(bytes.fromhex(tag), content, _shortest(_size_of(content)))


def decode_tlv(data: bytes) -> Objects:
    """Read a run of objects; empty bytes are an empty run. Raises `FrameError`, `FieldError`."""
    return _decode_run(bytes(data), 0, len(data), 0)


def _decode_run(data: bytes, at: int, end: int, depth: int) -> Objects:
    if depth > MAX_DEPTH:
        raise FieldError(f"more than {MAX_DEPTH} constructed objects in one another", offset=at, field="tag", raw=data)
    objects: list[Tlv | Padding] = []
    while at < end:
        start = at
        while at < end and data[at] in (0x00, 0xFF):
            at += 1
        if at > start:
            objects.append(Padding(data[start:at]))
            continue
        value_at = _tag_end(data, at, end)
        tag = data[at:value_at]
        length, length_bytes = _length(data, value_at, end)
        value_at += length_bytes
        at = value_at + length
        if at > end:
            raise FrameError(
                f"a length of {length} goes past the end", offset=value_at - length_bytes, field="length", raw=data
            )
        value = _decode_run(data, value_at, at, depth + 1) if tag[0] & 0x20 else data[value_at:at]
        objects.append(Tlv(tag, value, length_bytes))
    return tuple(objects)


def _tag_end(data: bytes, at: int, end: int) -> int:
    start = at
    at += 1
    if data[start] & 0x1F == 0x1F:
        while at < end and data[at] & 0x80:
            at += 1
        at += 1
    if at > end:
        raise FrameError("the tag is cut short", offset=start, field="tag", raw=data)
    return at


def _length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The length and how many bytes it took."""
    if at == end:
        raise FrameError("the length is missing", offset=at, field="length", raw=data)
    first = data[at]
    if first < 0x80:
        return first, 1
    if not 0x81 <= first <= 0x83:
        raise FieldError(f"a length may not start with {first:02x}", offset=at, field="length", raw=data)
    size = 1 + (first & 0x7F)
    if at + size > end:
        raise FrameError("the length is cut short", offset=at, field="length", raw=data)
    return int.from_bytes(data[at + 1 : at + size], "big"), size


def encode_tlv(objects: Sequence[Tlv | Padding]) -> bytes:
    """Write a run of objects. Raises `LocalProtocolError` for a tag or length that cannot be written."""
    wire = b""
    for item in objects:
        if isinstance(item, Padding):
            wire += item.data
            continue
        if not _is_tag(item.tag):
            raise LocalProtocolError(f"{item.tag.hex()} is no tag", field="tag")
        if item.is_constructed is isinstance(item.value, bytes):
            raise LocalProtocolError(f"the value of {item.tag.hex()} does not suit its tag", field="value")
        value = item.value if isinstance(item.value, bytes) else encode_tlv(item.value)
        wire += item.tag + _encoded_length(len(value), item.length_bytes) + value
    return wire


def _is_tag(tag: bytes) -> bool:
    if not tag or tag[0] in (0x00, 0xFF):
        return False
    if tag[0] & 0x1F != 0x1F:
        return len(tag) == 1
    return len(tag) > 1 and not tag[-1] & 0x80 and all(byte & 0x80 for byte in tag[1:-1])


def _encoded_length(length: int, length_bytes: int) -> bytes:
    if not _shortest(length) <= length_bytes <= MAX_LENGTH_BYTES:
        raise LocalProtocolError(f"a length of {length} does not fit {length_bytes} bytes", field="length")
    if length_bytes == 1:
        return bytes((length,))
    return bytes((0x7F + length_bytes,)) + length.to_bytes(length_bytes - 1, "big")


def _shortest(length: int) -> int:
    if length < 0x80:
        return 1
    return 1 + (length.bit_length() + 7) // 8


def _size_of(value: bytes | Sequence[Tlv | Padding]) -> int:
    return len(value) if isinstance(value, bytes) else len(encode_tlv(value))


def find_tlv(objects: Sequence[Tlv | Padding], *path: str) -> Tlv | None:
    """The first object at a path of tags, such as `find_tlv(fci, "6f", "a5", "9f0c")`, or None."""
    for item in objects:
        if isinstance(item, Tlv) and item.tag.hex() == path[0]:
            if len(path) == 1:
                return item
            found = None if isinstance(item.value, bytes) else find_tlv(item.value, *path[1:])
            if found is not None:
                return found
    return None
