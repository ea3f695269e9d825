"""Readable form of JT/T 808 frames: what `wayside decode jt808` shows.

A case holds `hex`, one frame with its flags, or `frames`, the packages of one message in any order. It may hold
`version`, "2013" or "2019", which says nothing that the frame does not say.

    msg_id version body_length encryption subpackaged protocol_version* phone serial package_total* package_index* body
    of frames: complete, and body when it is, else missing; no package_index

The keys of `body` are the fields of the types in `catalogue.py`; `fragment` holds a part of a message, `raw` a body
that is encrypted or of an id without a layout. A frame of 2011 says "2013" too: its `body_length` tells them apart when
it is written back.

>>> decode_message({"hex": "7e000200000139123456780001337e"})["phone"]
'013912345678'
"""

from collections.abc import Mapping

from protocols.core.errors import LocalProtocolError, OptionError, RemoteProtocolError
from protocols.jt808.catalogue import Packet, body_type, decode_body, read_packet
from protocols.jt808.dialect import JT2011, JT2013, JT2019, JT2019_WIDE_MAKER, Dialect
from protocols.jt808.frame import Frame, Package, decode_frame, encode_frame
from protocols.jt808.general import RawBody
from protocols.jt808.layout import Readable
from protocols.jt808.subpackage import gather
from protocols.message_case import check_options
from protocols.message_fields import octets_of, refuse_others

MAX_FRAMES = 65_535
_OPTIONS = frozenset({"hex", "frames", "version"})
_KEYS = frozenset(
    {"msg_id", "version", "body_length", "encryption", "subpackaged", "protocol_version", "phone", "serial"}
    | {"package_total", "package_index", "body"}
)
_DIALECTS = {"2013": (JT2013, JT2011), "2019": (JT2019, JT2019_WIDE_MAKER)}


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """Read one case. Raises `RemoteProtocolError` for bad bytes, `OptionError` for a bad case."""
    check_options(case, _OPTIONS, "jt808")
    if case.get("version", "2013") not in ("2013", "2019"):
        raise OptionError("2013 or 2019", field="version")
    if ("hex" in case) == ("frames" in case):
        raise OptionError("either hex or frames", field="hex")
    if "hex" in case:
        return _show_one(_bytes_of(case["hex"], "hex"))
    frames = case["frames"]
    if not isinstance(frames, (list, tuple)) or len(frames) > MAX_FRAMES:
        raise OptionError("a list of frames", field="frames")
    return _show_gathered([decode_frame(_bytes_of(frame, "frames")) for frame in frames])


def _bytes_of(text: object, field: str) -> bytes:
    if not isinstance(text, str):
        raise OptionError("a frame as hex digits", field=field)
    return octets_of(text, field)


def _show_one(wire: bytes) -> dict[str, object]:
    frame = decode_frame(wire)
    try:
        packet = read_packet(frame)
    except RemoteProtocolError as error:
        error.offset = _wire_offset(wire, frame.header_bytes + (error.offset or 0))
        raise
    shown = _header_of(frame)
    if frame.package is not None:
        shown |= {"package_total": frame.package.total, "package_index": frame.package.index}
    return shown | {"body": show_body(packet)}


def _wire_offset(wire: bytes, offset: int) -> int:
    """Where a byte between the flags stands on the wire, the escapes before it counted in."""
    at = 1
    for _ in range(offset):
        at += 2 if wire[at : at + 1] == b"\x7d" else 1
    return at


def show_body(packet: Packet) -> dict[str, object]:
    """A packet's body in the readable form."""
    body = packet.body
    if not isinstance(body, RawBody):
        return body.readable(packet.dialect)
    if packet.frame.package is not None:
        return {"fragment": body.raw.hex()}
    return {"raw": body.raw.hex()} if body.raw or packet.frame.encryption else {}


def _header_of(frame: Frame) -> dict[str, object]:
    return {
        "msg_id": frame.msg_id,
        "version": "2013" if frame.protocol_version is None else "2019",
        "body_length": len(frame.body),
        "encryption": frame.encryption,
        "subpackaged": frame.package is not None,
        **({} if frame.protocol_version is None else {"protocol_version": frame.protocol_version}),
        "phone": frame.phone,
        "serial": frame.serial,
    }


def _show_gathered(frames: list[Frame]) -> dict[str, object]:
    gathered = gather(frames)
    shown = _header_of(gathered.frame) | {"subpackaged": True, "package_total": gathered.total}
    if gathered.missing:
        return shown | {"complete": False, "missing": list(gathered.missing)}
    return shown | {"complete": True, "body": show_body(read_packet(gathered.frame))}


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """Write one frame. Raises `LocalProtocolError` for what has no canonical frame."""
    refuse_others(message, _KEYS)
    fields = Readable(message)
    version = fields.text("version")
    if version not in _DIALECTS:
        raise LocalProtocolError("2013 or 2019", field="version")
    package = None
    if fields.flag("subpackaged", default=False):
        package = Package(fields.integer("package_total", 0xFFFF), fields.integer("package_index", 0xFFFF))
    msg_id = fields.integer("msg_id", 0xFFFF)
    encryption = fields.integer("encryption", 7, 0)
    frame = Frame(
        msg_id,
        fields.text("phone"),
        fields.integer("serial", 0xFFFF),
        _body_of(fields, version, is_opaque=package is not None or encryption != 0),
        fields.integer("protocol_version", 0xFF, 1) if version == "2019" else None,
        encryption,
        package,
    )
    return {"hex": encode_frame(frame).hex()}


def _body_of(fields: Readable, version: str, *, is_opaque: bool) -> bytes:
    """The body's bytes in the first dialect that can write it with the length that the message has."""
    readable = fields.mapping("body")
    length = fields.optional("body_length", 0xFFFF)
    first_error = None
    for dialect in _DIALECTS[version]:
        try:
            body = _written(fields.integer("msg_id", 0xFFFF), readable, dialect, is_opaque=is_opaque)
        except LocalProtocolError as error:
            first_error = first_error or error
            continue
        if length in {None, len(body)}:
            return body
        first_error = first_error or LocalProtocolError(f"the body has {len(body)} bytes", field="body_length")
    assert first_error is not None
    raise first_error


def _written(msg_id: int, readable: Mapping[str, object], dialect: Dialect, *, is_opaque: bool) -> bytes:
    kind = None if is_opaque else body_type(msg_id, dialect)
    if kind is None:
        keys = set(readable)
        if not keys <= {"raw"} and not (is_opaque and keys == {"fragment"}):
            raise LocalProtocolError("a body that is kept as it is has the key raw or fragment", field="body")
        return Readable(readable).octets(keys.pop()) if keys else b""
    body = kind.from_readable(readable, dialect).to_bytes(dialect)
    try:
        is_read_back = decode_body(msg_id, body, has_version=dialect.has_version)[1] is dialect
    except RemoteProtocolError:
        is_read_back = False
    if not is_read_back:
        raise LocalProtocolError("would be read as one of another edition", field="body")
    return body
