"""Readable form of frames and files: what `wayside decode etc_rsu` shows.

A case holds `kind` and `hex`, one whole frame or file. The message holds the kind again, and `data`, the bytes of the
payload or file as hex digits: it is written back from these, and the fields beside it must fit them. Without `data` it
is written from the fields.

    classic_frame                   rsctl bcc_ok data frame
    gantry_frame, lanecrc_frame     version seq length data frame
    urban_frame                     length data frame
    vendor_frame                    rsctl type length data frame
    file0015, file0019, file0019_legacy, vehicle_info, sysinfo, ef04_summary, ef04_provinces, obu_status
                                    data and the fields

`frame` is an object with the `table` and its fields; null for an acknowledgement, and for what has no table or whose
fields have no public names. Beside it `error_text` says what its error code means, where that is public. Text that is
not GBK reads with U+FFFD; BCD is its digits, whatever they are.

>>> decode_message({"kind": "classic_frame", "hex": "ffff804c01cdff"})["frame"]
{'table': 'classic_4C', 'cmd_type': 76, 'antenna': 1}
>>> encode_message({"kind": "classic_frame", "rsctl": 128, "frame": {"table": "classic_4C", "antenna": 1}})
{'hex': 'ffff804c01cdff'}
"""

from collections.abc import Mapping

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.etc_rsu import card_files, obu_files
from protocols.etc_rsu.catalogue import UNNAMED, Interface, decode_payload, payload_types
from protocols.etc_rsu.codes import error_meaning
from protocols.etc_rsu.frame import (
    MAX_DATA_BYTES,
    SEQUENCED_HEAD,
    URBAN_HEAD,
    VENDOR_HEAD,
    ClassicFrame,
    Frame,
    SequencedFrame,
    UrbanFrame,
    VendorFrame,
    decode_classic,
    decode_sequenced,
    decode_urban,
    decode_vendor,
    encode_classic,
    encode_sequenced,
    encode_urban,
    encode_vendor,
    wire_offset,
)
from protocols.etc_rsu.payload import AnyPayload, RawPayload
from protocols.message_case import check_same, kind_and_octets, one_of
from protocols.message_fields import Fields
from protocols.table import Table

FileType = type[Table] | type[obu_files.ObuStatus]
FILES: Mapping[str, FileType] = {
    each.TABLE: each
    for each in (
        card_files.IssueData,
        card_files.PassRecord,
        card_files.LegacyPassRecord,
        obu_files.SystemInfo,
        obu_files.VehicleInfo,
        obu_files.Ef04Summary,
        obu_files.Ef04Provinces,
    )
} | {"obu_status": obu_files.ObuStatus}
_INTERFACES = {interface.value: interface for interface in Interface}
_KINDS = (*_INTERFACES, *FILES)
_MAX_HEX_CHARS = 4 * (MAX_DATA_BYTES + 16)
"""No frame is longer; blanks between the digits included."""
_FRAME_KEYS = frozenset({"kind", "data", "frame", "rsctl", "bcc_ok", "version", "seq", "length", "type", "error_text"})


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """Read one case. Raises `RemoteProtocolError` for bad bytes, `OptionError` for a bad case."""
    kind, wire = kind_and_octets(case, _KINDS, max_chars=_MAX_HEX_CHARS)
    if kind in FILES:
        return {"kind": kind, **_file_keys(FILES[kind], wire)}
    interface = _INTERFACES[kind]
    return {"kind": kind, **_frame_keys(interface, decode_frame(interface, wire))}


def decode_frame(interface: Interface, wire: bytes) -> Frame:
    """Read one frame of an interface. Raises `FrameError`, `ChecksumError`."""
    match interface:
        case Interface.CLASSIC:
            return decode_classic(wire)
        case Interface.URBAN:
            return decode_urban(wire)
        case Interface.VENDOR:
            return decode_vendor(wire)
        case _:
            return decode_sequenced(wire)


def encode_frame(frame: Frame) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    match frame:
        case ClassicFrame():
            return encode_classic(frame)
        case UrbanFrame():
            return encode_urban(frame)
        case VendorFrame():
            return encode_vendor(frame)
        case SequencedFrame():
            return encode_sequenced(frame)


def _file_keys(file_type: FileType, data: bytes) -> dict[str, object]:
    return {"data": data.hex(), **file_type.from_bytes(data).readable()}


def _frame_keys(interface: Interface, frame: Frame) -> dict[str, object]:
    try:
        payload = decode_payload(interface, frame.data)
    except RemoteProtocolError as error:
        error.offset = _offset_on_wire(frame, error.offset or 0)
        raise
    keys: dict[str, object]
    match frame:
        case ClassicFrame():
            keys = {"rsctl": frame.rsctl, "bcc_ok": True}
        case SequencedFrame():
            keys = {"version": frame.version, "seq": frame.seq, "length": len(frame.data)}
        case UrbanFrame():
            keys = {"length": len(frame.data)}
        case VendorFrame():
            keys = {"rsctl": frame.rsctl, "type": frame.type, "length": len(frame.data)}
    return keys | {"data": frame.data.hex(), "frame": readable_of(payload)} | _error_keys(payload)


def _error_keys(payload: AnyPayload) -> dict[str, object]:
    """What an error code means, where there is one and that is known."""
    code = getattr(payload, "error_code", None)
    text = None if code is None or isinstance(payload, RawPayload) else error_meaning(payload.TABLE, code)
    return {} if text is None else {"error_text": text}


def readable_of(payload: AnyPayload) -> dict[str, object] | None:
    """A payload's table and fields, or None where they have no names."""
    return None if isinstance(payload, (RawPayload, *UNNAMED)) else payload.readable()


def _offset_on_wire(frame: Frame, offset: int) -> int:
    match frame:
        case ClassicFrame():
            return wire_offset(frame.data, offset)
        case UrbanFrame():
            return URBAN_HEAD.size + offset
        case VendorFrame():
            return VENDOR_HEAD.size + offset
        case SequencedFrame():
            return SEQUENCED_HEAD.size + offset


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """Write one frame or file: `{"hex": ...}`. Raises `LocalProtocolError`."""
    kind = one_of(message.get("kind"), _KINDS, "kind")
    rest = {key: value for key, value in message.items() if key != "kind"}
    if kind in FILES:
        wire = _file_bytes(FILES[kind], rest)
        return {"hex": wire.hex()}
    interface = _INTERFACES[kind]
    for key in rest:
        if key not in _FRAME_KEYS:
            raise LocalProtocolError("there is no such key here", field=str(key))
    frame = _frame_of(interface, Fields(rest), _payload_bytes(interface, rest))
    wire = encode_frame(frame)
    try:
        check_same(rest, _frame_keys(interface, frame))
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.reason, field=error.field or "data") from None
    return {"hex": wire.hex()}


def _frame_of(interface: Interface, fields: Fields, data: bytes) -> Frame:
    match interface:
        case Interface.CLASSIC:
            return ClassicFrame(fields.integer("rsctl", 0xFF), data)
        case Interface.URBAN:
            return UrbanFrame(data)
        case Interface.VENDOR:
            return VendorFrame(fields.integer("rsctl", 0xFF), fields.integer("type", 0xFF), data)
        case _:
            return SequencedFrame(fields.integer("seq", 0xFF), data, fields.integer("version", 0xFF, 0))


def _payload_bytes(interface: Interface, message: Mapping[str, object]) -> bytes:
    fields = Fields(message)
    if fields.has("data"):
        return fields.octets("data")
    if not fields.has("frame"):
        return b""
    frame = message["frame"]
    if not isinstance(frame, Mapping):
        raise LocalProtocolError("an object", field="frame")
    types = [each for each in payload_types(interface) if frame.get("table") == each.TABLE and each not in UNNAMED]
    if not types:
        raise LocalProtocolError("a table of this interface", field="table")
    return types[0].from_readable(frame).to_bytes()


def _file_bytes(file_type: FileType, message: Mapping[str, object]) -> bytes:
    fields = Fields(message)
    if not fields.has("data"):
        return file_type.from_readable({key: value for key, value in message.items() if key != "data"}).to_bytes()
    data = fields.octets("data")
    try:
        check_same(message, _file_keys(file_type, data))
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.reason, field=error.field or "data") from None
    return data
