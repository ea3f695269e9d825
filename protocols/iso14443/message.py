"""Readable form of ISO/IEC 14443 and 7816-4 frames: what `wayside decode iso14443` shows.

A case holds `kind` and `hex`. The message holds the kind again, so that it can be written back, and the keys below;
hex values are lower-case. A key with a star says no more than the others together, but keeps what was on the wire.
Where the other keys would be written otherwise (reserved bits and codes, padding, longer length fields than needed)
the message has `hex` as well: it is written back from that, and the other keys must fit it.

    crc_a, crc_b     data                              crc
    atqa             2 bytes, air order                uid_size bit_frame_anticollision proprietary
    anticoll_reply   5 bytes                           uid_part bcc cascade
    select           9 bytes with CRC_A                cascade_level uid_part bcc
    sak              1 byte, no CRC                    uid_complete iso14443_4 sak*
    atqb             12 or 13 bytes, no CRC            pupi afi crc_b_aid num_applications bit_rate fsc protocol_type
                                                       iso14443_4 min_tr2_code fwi adc nad_supported cid_supported
                                                       sfgi is_extended*
    attrib           9 bytes or more, no CRC           pupi param1 dsi dri fsd protocol_type cid inf
    rats             2 bytes, no CRC                   fsd cid
    ats              TL .., no CRC                     tl fsc same_divisor ds_supported dr_supported fwi sfgi
                                                       cid_supported nad_supported historical_bytes interface_bytes*
    pps              request, no CRC                   cid dsi dri has_pps1*
    block, frame_a   without EDC; with CRC_A           block_type cid and: block_number chaining nad inf (I),
                                                       block_number nak (R), s_type power_level wtxm (S)
    apdu_command     whole command                     cla ins p1 p2 case extended data ne
    apdu_response    whole response                    data sw sw_text* ok
    ber_tlv          a run of objects                  tlv: list of tag and value

>>> decode_message({"kind": "rats", "hex": "e080"})
{'kind': 'rats', 'fsd': 256, 'cid': 0}
"""

from collections.abc import Callable, Mapping

from protocols.core.errors import FrameError, LocalProtocolError, RemoteProtocolError
from protocols.iso14443 import message_activation, message_blocks
from protocols.iso14443.crc import crc_a, crc_b
from protocols.message_case import check_same, kind_and_octets, one_of
from protocols.message_fields import Fields

Decode = Callable[[bytes], dict[str, object]]
Encode = Callable[[Fields], bytes]


def _crc_has_no_inverse(_message: Fields) -> bytes:
    raise LocalProtocolError("a CRC alone does not tell its data", field="crc")


KINDS: Mapping[str, tuple[Decode, Encode]] = {
    "crc_a": (lambda data: {"crc": crc_a(data).hex()}, _crc_has_no_inverse),
    "crc_b": (lambda data: {"crc": crc_b(data).hex()}, _crc_has_no_inverse),
    **message_activation.KINDS,
    **message_blocks.KINDS,
}
_CRCS = frozenset({"crc_a", "crc_b"})
_MAY_BE_EMPTY = _CRCS | {"ber_tlv"}


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """Read one case. Raises `RemoteProtocolError` for bad bytes, `OptionError` for a bad case."""
    kind, data = kind_and_octets(case, KINDS)
    if not data and kind not in _MAY_BE_EMPTY:
        raise FrameError("an empty frame", offset=0)
    message = {"kind": kind, **KINDS[kind][0](data)}
    return message if kind in _CRCS or _written(message) == data else message | {"hex": data.hex()}


def _written(message: Mapping[str, object]) -> bytes:
    """From the fields alone. Raises `LocalProtocolError`."""
    return KINDS[one_of(message.get("kind"), KINDS, "kind")][1](Fields(message))


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """Write one message. Raises `LocalProtocolError` for what has no canonical frame."""
    fields = Fields(message)
    if not fields.has("hex"):
        return {"hex": _written(message).hex()}
    written: dict[str, object] = {"hex": fields.octets("hex").hex()}
    try:
        check_same({**message, **written}, {**decode_message({"kind": message.get("kind"), **written}), **written})
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.reason, field=error.field or "hex") from None
    return written
