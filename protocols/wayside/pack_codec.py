"""The fast side of the pack on CPython: bytes out of columns, and a bounded way back from bytes that a peer chose.

The first byte of a payload decides: `{` is JSON, 0xA0 to 0xBF a CBOR map (RFC 8949, major type 5), 0x78 zlib (RFC 1950)
around either. One level of compression, 64 KB packed, 4 MB unpacked, 16 containers deep.
"""

import zlib
from typing import Any

import cbor2
import msgspec

from protocols.core.errors import FrameError, LocalProtocolError, UnsupportedError
from protocols.wayside.pack import MAX_PACK_BYTES, Pack, cbor_map, pack_map, pack_of

MAX_UNPACKED_BYTES = 4 << 20
_MAX_DEPTH = 16
_JSON = 0x7B
_CBOR_MAPS = range(0xA0, 0xC0)

_BUILT_IN_TAGS = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
"""What cbor2 decodes into objects of its own, compiled patterns and cyclic lists among them."""

_encode_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.Decoder().decode


def encode_pack(
    *,
    node: str,
    epoch: str,
    boot: int,
    lane: str = "telemetry",
    seq: int,
    device: str,
    time: int,
    time_quality: str,
    uptime: int,
    points: list[str] | None,
    offsets: list[float],
    values: list[list[Any]],
    bad: list[Any],
    block: str | None = None,
    compact: bool = False,
    zlib_above: int | None = None,
) -> bytes:
    """Encode a pack; parameters are named as on the wire (`time` and `uptime` in ms). `compact` is CBOR.

    With `block` the names stay out. What is longer than `zlib_above` bytes is compressed. Raises `LocalProtocolError`
    for what the wire cannot carry, more than 64 KB included.
    """
    fields = pack_map(
        node=node,
        epoch=epoch,
        boot=boot,
        lane=lane,
        seq=seq,
        device=device,
        time=time,
        time_quality=time_quality,
        uptime=uptime,
        points=points,
        block=block,
        offsets=offsets,
        values=values,
        bad=bad,
    )
    try:
        payload = cbor2.dumps(cbor_map(fields)) if compact else _encode_json(fields)
    except (TypeError, ValueError, OverflowError, cbor2.CBOREncodeError) as error:
        raise LocalProtocolError(f"holds what the wire cannot carry: {error}", field="values") from error
    if zlib_above is not None and len(payload) > zlib_above:
        payload = zlib.compress(payload, 6)
    if len(payload) > MAX_PACK_BYTES:
        raise LocalProtocolError(f"is {len(payload)} bytes long, {MAX_PACK_BYTES} are the most")
    return payload


def decode_pack(payload: bytes) -> Pack:
    """Read a pack in any of its forms. Raises `RemoteProtocolError` and nothing else."""
    return pack_of(decode_payload(payload))


def decode_payload(payload: bytes) -> dict[Any, Any]:
    """The map that a payload holds: JSON keys, or a pack's integer ones. Raises `RemoteProtocolError`, nothing else."""
    payload = inflate(payload)
    if payload[0] == _JSON:
        try:
            fields = _decode_json(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FrameError(f"is not JSON: {error}", raw=payload) from error
        except RecursionError as error:
            raise FrameError("is nested too deeply", raw=payload) from error
    else:
        fields = _decode_cbor(payload)
    if not isinstance(fields, dict):
        raise FrameError("is not a map", raw=payload)
    return fields


def inflate(payload: bytes) -> bytes:
    """Take the compression off where there is one, within bounds, and look at the first byte of what is inside."""
    if len(payload) > MAX_PACK_BYTES:
        raise FrameError(f"is longer than {MAX_PACK_BYTES} bytes", raw=payload)
    if payload[:1] == b"\x78":
        machine = zlib.decompressobj()
        try:
            inner = machine.decompress(payload, MAX_UNPACKED_BYTES)
        except zlib.error as error:
            raise FrameError(f"is not zlib: {error}", raw=payload) from error
        if not machine.eof:
            raise FrameError("breaks off or unpacks to more than 4 MB", raw=payload)
        if machine.unused_data:
            raise FrameError("has bytes after its end", raw=payload)
        payload = inner
    if payload[:1] != b"{" and (not payload or payload[0] not in _CBOR_MAPS):
        raise UnsupportedError("begins neither as JSON nor as a CBOR map", offset=0, raw=payload)
    return payload


class _Bytes:
    """Bytes as cbor2 likes to read them: it says afterwards where it stopped, `cbor2.loads` does not."""

    __slots__ = ("_data", "at")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, len(self._data))[whence]
        return self.at

    def read(self, size: int = -1) -> bytes:
        data = self._data[self.at :] if size < 0 else self._data[self.at : self.at + size]
        self.at += len(data)
        return data


def _refuse_tag(*_: object) -> Any:
    raise ValueError("a pack has no tags")


_TAGS = dict.fromkeys(_BUILT_IN_TAGS, _refuse_tag)


def _decode_cbor(payload: bytes) -> Any:
    source = _Bytes(payload)
    decoder = cbor2.CBORDecoder(
        source,  # type: ignore[arg-type]  # it asks for no more of IO[bytes] than this
        tag_hook=_refuse_tag,
        semantic_decoders=_TAGS,
        read_size=len(payload),
        max_depth=_MAX_DEPTH,
        allow_indefinite=False,
        allow_duplicate_keys=False,
    )
    try:
        fields = decoder.decode()
    except cbor2.CBORDecodeError as error:
        raise FrameError(f"is not CBOR: {error}", raw=payload) from error
    if source.at != len(payload):
        raise FrameError("has bytes after its end", offset=source.at, raw=payload[source.at :])
    return fields
