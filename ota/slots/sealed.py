"""A small file that says for itself whether it is whole and ours: the form of records, trailers and marks.

    0   4    what it is: WSR1 a record, WST1 a trailer, WSM1 the mark of a confirmed slot
    4   4    length of the body, big-endian
    8   n    the body: a JSON object, UTF-8, keys sorted
    ..  4    CRC-32 of all before: a cut or a bad sector
    ..  32   HMAC-SHA256 of all before, with the device's key: another device's file, or a stranger's

What follows is what an older, longer one has left. Standard library only: the launcher reads it.
"""

import hashlib
import hmac
import json
import struct
import zlib
from typing import Any

KEY_BYTES = 32
MAX_BYTES = 1 << 18
_HEAD = struct.Struct(">4sI")
_CRC = struct.Struct(">I")
_MAC_BYTES = 32

Body = dict[str, Any]
"""A JSON object."""


class UnsealedError(Exception):
    """It is not whole, or not ours. Its text says which."""


def seal(kind: bytes, key: bytes, body: Body) -> bytes:
    """A file of this kind."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    data = _HEAD.pack(kind, len(text)) + text
    data += _CRC.pack(zlib.crc32(data))
    return data + hmac.digest(key, data, hashlib.sha256)


def unseal(kind: bytes, key: bytes, data: bytes) -> Body:
    """The body. Raises `UnsealedError`."""
    if len(data) < _HEAD.size or data[:4] != kind:
        raise UnsealedError("it has no header")
    end = _HEAD.size + _HEAD.unpack_from(data)[1]
    sealed = end + _CRC.size
    if end > MAX_BYTES or len(data) < sealed + _MAC_BYTES:
        raise UnsealedError("it is cut short")
    if _CRC.unpack_from(data, end)[0] != zlib.crc32(data[:end]):
        raise UnsealedError("its checksum does not hold")
    expected = hmac.digest(key, data[:sealed], hashlib.sha256)
    if not hmac.compare_digest(expected, data[sealed : sealed + _MAC_BYTES]):
        raise UnsealedError("it was not made by this device")
    try:
        body = json.loads(data[_HEAD.size : end])
    except ValueError as error:
        raise UnsealedError("it is no JSON") from error
    if not isinstance(body, dict):
        raise UnsealedError("it is no JSON object")
    return body


def checked(body: Body, fields: dict[str, type]) -> Body:
    """The body, if each field is there and of its type. Raises `UnsealedError`: it was made by a program gone wrong."""
    for name, kind in fields.items():
        value = body.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UnsealedError(f"its field {name} is no {kind.__name__}")
    return body
