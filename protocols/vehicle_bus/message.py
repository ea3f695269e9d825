r"""Readable form of the vehicle bus: what `wayside decode vehicle_bus` shows.

A case holds `kind` and one of `hex`, `text` or `frames`; hex may hold blanks. The message holds the kind again, so that
it can be written back. `null` says not available, error, or an indicator.

    can_id        hex: identifier of 3 or 8 digits      bits id | bits priority pgn destination source group
    j1939         hex: data of a group; id: identifier  the same, and the group's names (`catalogue.py`) or raw
    j1939_tp      frames: list of ID#DATA               messages aborted dropped open
    obd           hex, or on the K-line frames: one     bus service and: negative_code negative | PIDs by name |
                  ECU's answer; bus: can, kline         dtc_count dtcs | info and what it says
    isotp         frames: data fields of one sender;    messages errors incomplete
                  addressing: normal, extended; fd
    isotp_frame   hex: one data field; as isotp         type and length sequence status block_size st_min_ms data_hex
    elm           text: a reply up to its prompt;       status and: text_lines voltage_v adapter automatic protocol |
                  request; headers; bus: can11,         bus answers foreign garbled incomplete
                  can29, kline

>>> decode_message({"kind": "can_id", "hex": "7E8"})
{'kind': 'can_id', 'bits': 11, 'id': 2024}
>>> decode_message({"kind": "elm", "text": "12.6V\r\r>", "request": "ATRV"})["voltage_v"]
12.6
"""

from collections.abc import Callable, Mapping

from protocols.core.errors import FrameError, LocalProtocolError, OptionError
from protocols.message_case import check_options, one_of
from protocols.message_fields import Fields
from protocols.vehicle_bus import message_elm, message_iso_tp, message_j1939, message_obd
from protocols.vehicle_bus.message_fields import Case, Message

Decode = Callable[[Case], Message]
Encode = Callable[[Fields], Message]

KINDS: Mapping[str, tuple[Decode, Encode, frozenset[str]]] = {
    "can_id": (message_j1939.decode_can_id, message_j1939.encode_can_id, frozenset({"hex"})),
    "j1939": (message_j1939.decode_j1939, message_j1939.encode_j1939, frozenset({"hex", "id"})),
    "j1939_tp": (message_j1939.decode_transport, message_j1939.encode_transport, frozenset({"frames"})),
    "obd": (message_obd.decode_obd, message_obd.encode_obd, frozenset({"hex", "frames", "bus"})),
    "isotp": (
        message_iso_tp.decode_isotp,
        message_iso_tp.encode_isotp,
        frozenset({"frames", "addressing", "fd"}),
    ),
    "isotp_frame": (
        message_iso_tp.decode_isotp_frame,
        message_iso_tp.encode_isotp_frame,
        frozenset({"hex", "addressing", "fd"}),
    ),
    "elm": (
        message_elm.decode_elm,
        message_elm.encode_elm,
        frozenset({"text", "request", "headers", "bus"}),
    ),
}
"""Kind -> how it is read, how it is written, and what a case of it may hold."""


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """Read one case. Raises `RemoteProtocolError` for bad bytes, `OptionError` for a bad case."""
    kind = one_of(case.get("kind"), KINDS, "kind", OptionError)
    decode, _encode, options = KINDS[kind]
    check_options(case, ("kind", *options), kind)
    return {"kind": kind, **decode(case)}


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """Write one message as hex, text or frames. Raises `LocalProtocolError` for what cannot be written."""
    kind = one_of(message.get("kind"), KINDS, "kind")
    try:
        return KINDS[kind][1](Fields(message))
    except FrameError as error:
        raise LocalProtocolError(error.reason, field=error.field) from error
