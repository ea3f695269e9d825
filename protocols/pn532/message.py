"""Readable form of PN532 frames and target data: what `wayside decode pn532` shows.

A case holds `kind` and `hex`. The message holds the kind again, so that it can be written back.

    host_frame         one frame, perhaps after filler     frame_type (normal, extended, ack, nack, error) and for the
                                                           first two: tfi command payload
    status_byte        1 byte                              error_code error_text more_information nad_present
    firmware_version   the 4 bytes after 03                ic version revision support
    list_passive_a     the bytes after 4B                  nb_targets, targets: tg sens_res sel_res nfcid1 ats
    list_passive_b     the bytes after 4B                  nb_targets, targets: tg pupi atqb attrib_res

>>> decode_message({"kind": "host_frame", "hex": "0000ff00ff00"})
{'kind': 'host_frame', 'frame_type': 'ack'}
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.message_case import kind_and_octets, one_of
from protocols.message_fields import Fields
from protocols.pn532.chip_commands import FirmwareVersion
from protocols.pn532.errors import Status, decode_status, encode_status
from protocols.pn532.frame import (
    AckFrame,
    DataFrame,
    ErrorFrame,
    Frame,
    NackFrame,
    decode_frame,
    encode_frame,
)
from protocols.pn532.initiator_commands import ListedTargets
from protocols.pn532.target_data import (
    TypeATarget,
    TypeBTarget,
    decode_type_a_targets,
    decode_type_b_targets,
    encode_type_a_targets,
    encode_type_b_targets,
)

TargetT = TypeVar("TargetT")

_PLAIN_FRAMES: Mapping[str, Frame] = {"ack": AckFrame(), "nack": NackFrame(), "error": ErrorFrame()}


def _read_frame(data: bytes) -> dict[str, object]:
    frame = decode_frame(data)
    match frame:
        case DataFrame():
            return {
                "frame_type": "extended" if frame.is_extended else "normal",
                "tfi": frame.tfi,
                "command": frame.command,
                "payload": frame.payload.hex(),
            }
        case _:
            return {"frame_type": next(name for name, plain in _PLAIN_FRAMES.items() if plain == frame)}


def _write_frame(fields: Fields) -> bytes:
    name = fields.text("frame_type")
    if name in _PLAIN_FRAMES:
        return encode_frame(_PLAIN_FRAMES[name])
    if name not in {"normal", "extended"}:
        raise LocalProtocolError("normal, extended, ack, nack or error", field="frame_type")
    return encode_frame(
        DataFrame(
            fields.integer("tfi", 0xFF),
            fields.integer("command", 0xFF),
            fields.octets("payload", default=""),
            is_extended=name == "extended",
        )
    )


def _read_status(data: bytes) -> dict[str, object]:
    status = decode_status(data)
    return {
        "error_code": status.error_code,
        "error_text": status.text,
        "more_information": status.more_information,
        "nad_present": status.nad_present,
    }


def _write_status(fields: Fields) -> bytes:
    return encode_status(
        Status(
            fields.integer("error_code", 0x3F),
            fields.flag("more_information"),
            fields.flag("nad_present", default=False),
        )
    )


def _read_firmware(data: bytes) -> dict[str, object]:
    version = FirmwareVersion.from_payload(data)
    return {
        "ic": version.ic,
        "version": version.version,
        "revision": version.revision,
        "support": version.support,
    }


def _write_firmware(fields: Fields) -> bytes:
    return FirmwareVersion(*(fields.integer(name, 0xFF) for name in ("ic", "version", "revision", "support"))).payload()


def _read_targets(decode: Callable[[int, bytes], list[TargetT]], listed: ListedTargets) -> list[TargetT]:
    """Decode the targets; an error counts from the byte that says how many there are."""
    try:
        return decode(listed.count, listed.data)
    except RemoteProtocolError as error:
        error.offset = 1 + (error.offset or 0)
        raise


def _read_type_a(data: bytes) -> dict[str, object]:
    listed = ListedTargets.from_payload(data)
    targets = [
        {
            "tg": one.tg,
            "sens_res": one.sens_res.hex(),
            "sel_res": one.sel_res,
            "nfcid1": one.nfcid1.hex(),
            "ats": one.ats.hex(),
        }
        for one in _read_targets(decode_type_a_targets, listed)
    ]
    return {"nb_targets": listed.count, "targets": targets}


def _write_type_a(fields: Fields) -> bytes:
    targets = [
        TypeATarget(
            one.integer("tg", 0xFF),
            one.octets("sens_res", 2),
            one.integer("sel_res", 0xFF),
            one.octets("nfcid1"),
            one.octets("ats", default=""),
        )
        for one in _targets(fields)
    ]
    return ListedTargets(len(targets), encode_type_a_targets(targets)).payload()


def _read_type_b(data: bytes) -> dict[str, object]:
    listed = ListedTargets.from_payload(data)
    targets = [
        {"tg": one.tg, "pupi": one.pupi.hex(), "atqb": one.atqb.hex(), "attrib_res": one.attrib_res.hex()}
        for one in _read_targets(decode_type_b_targets, listed)
    ]
    return {"nb_targets": listed.count, "targets": targets}


def _write_type_b(fields: Fields) -> bytes:
    targets = [
        TypeBTarget(one.integer("tg", 0xFF), one.octets("atqb", 12), one.octets("attrib_res", default=""))
        for one in _targets(fields)
    ]
    return ListedTargets(len(targets), encode_type_b_targets(targets)).payload()


def _targets(fields: Fields) -> list[Fields]:
    targets = fields.records("targets")
    if fields.integer("nb_targets", 0xFF, len(targets)) != len(targets):
        raise LocalProtocolError("as many objects as nb_targets says", field="targets")
    return targets


KINDS: Mapping[str, tuple[Callable[[bytes], dict[str, object]], Callable[[Fields], bytes]]] = {
    "host_frame": (_read_frame, _write_frame),
    "status_byte": (_read_status, _write_status),
    "firmware_version": (_read_firmware, _write_firmware),
    "list_passive_a": (_read_type_a, _write_type_a),
    "list_passive_b": (_read_type_b, _write_type_b),
}


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """Read one case. Raises `RemoteProtocolError` for bad bytes, `OptionError` for a bad case."""
    kind, data = kind_and_octets(case, KINDS)
    return {"kind": kind, **KINDS[kind][0](data)}


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """Write one message. Raises `LocalProtocolError` for what has no canonical frame."""
    kind = one_of(message.get("kind"), KINDS, "kind")
    return {"hex": KINDS[kind][1](Fields(message)).hex()}
