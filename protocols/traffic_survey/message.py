"""Readable form of traffic surveys and weighing: what `wayside decode traffic_survey` shows.

A case holds `protocol`, which is jtt1008 when it is absent, and one of `hex` and `text`. The message holds the protocol
again, so that it can be written back.

    jtt1008      hex: one frame; device_class: 1 (also when absent) or 2       packet_type and what the packet says
    ss125        hex: head and body                                            head and what the body says
    ss125_body   hex: a body with its CRC                                      message_id .. and what the body says
    rtms_g4      hex: one frame                                                qualifier sensor_id payload_hex ..
    pcu          text: {"counts": {class: number}}                             counts pcu_total natural_total
    overload     text: {"axle_count", "vehicle_kind", "gross_weight_kg" ..}    limit_kg over_kg over_percent is_over

>>> decode_message({"protocol": "pcu", "text": '{"counts": {"container": 2}}'})["pcu_total"]
8.0
>>> decode_message({"protocol": "ss125_body", "hex": "04000034"})
{'protocol': 'ss125_body', 'message_id': 4, 'message_sub_id': 0, 'message_type': 0}
"""

from collections.abc import Callable, Mapping

import msgspec

from protocols.core.errors import LocalProtocolError, OptionError, RemoteProtocolError
from protocols.message_case import check_options, check_same, one_of, text_in
from protocols.message_fields import Fields, octets_of
from protocols.traffic_survey.message_detectors import (
    ROUNDED_KEYS,
    decode_rtms,
    decode_ss125,
    decode_ss125_body,
    encode_rtms,
    encode_ss125,
    encode_ss125_body,
)
from protocols.traffic_survey.message_survey import class_of_device, decode_survey, encode_survey
from protocols.traffic_survey.message_weighing import OVERLOAD_KEYS, PCU_KEYS, decode_overload, decode_pcu
from protocols.traffic_survey.survey_frame import MAX_FRAME_BYTES

_FRAMES: Mapping[str, tuple[Callable[[bytes], dict[str, object]], Callable[[Fields], bytes]]] = {
    "ss125": (decode_ss125, encode_ss125),
    "ss125_body": (decode_ss125_body, encode_ss125_body),
    "rtms_g4": (decode_rtms, encode_rtms),
}
_TEXTS: Mapping[str, tuple[Callable[[str], dict[str, object]], frozenset[str]]] = {
    "pcu": (decode_pcu, PCU_KEYS),
    "overload": (decode_overload, OVERLOAD_KEYS),
}
SURVEY = "jtt1008"
PROTOCOLS = (SURVEY, *_FRAMES, *_TEXTS)
_MAX_HEX_CHARS = 4 * MAX_FRAME_BYTES


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """Read one case. Raises `RemoteProtocolError` for bad bytes, `OptionError` for a bad case."""
    protocol = one_of(case.get("protocol", SURVEY), PROTOCOLS, "protocol", OptionError)
    given = "text" if protocol in _TEXTS else "hex"
    check_options(case, ("protocol", given, "device_class") if protocol == SURVEY else ("protocol", given), protocol)
    value = text_in(case, given, "a JSON object" if given == "text" else "a frame as hex digits")
    if protocol in _TEXTS:
        return {"protocol": protocol, **_TEXTS[protocol][0](value)}
    wire = octets_of(value, max_chars=_MAX_HEX_CHARS)
    if protocol in _FRAMES:
        return {"protocol": protocol, **_FRAMES[protocol][0](wire)}
    device_class = case.get("device_class", 1)
    if not isinstance(device_class, int) or isinstance(device_class, bool):
        raise OptionError("1 or 2", field="device_class")
    return {"protocol": protocol, **decode_survey(wire, device_class)}


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """Write one message as `hex` or `text`. Raises `LocalProtocolError` for what cannot be written."""
    protocol = one_of(message.get("protocol", SURVEY), PROTOCOLS, "protocol")
    if protocol in _TEXTS:
        text = _text_of(message, _TEXTS[protocol][1])
        _check_fits(message, {"protocol": protocol, "text": text})
        return {"text": text}
    encode = _FRAMES[protocol][1] if protocol in _FRAMES else encode_survey
    wire = encode(Fields(message)).hex()
    device_class: dict[str, object] = {"device_class": class_of_device(message)} if protocol == SURVEY else {}
    _check_fits(message, {"protocol": protocol, "hex": wire, **device_class})
    return {"hex": wire}


def _text_of(message: Mapping[str, object], names: frozenset[str]) -> str:
    try:
        return msgspec.json.encode({name: message[name] for name in message if name in names}, order="sorted").decode()
    except (TypeError, ValueError, RecursionError):
        raise LocalProtocolError("no JSON", field="text") from None


_BESIDE = ("password", "device_class", *ROUNDED_KEYS)
"""What is not read again, or not to the last digit."""


def _check_fits(message: Mapping[str, object], case: Mapping[str, object]) -> None:
    """Everything that is given must be what is read."""
    try:
        check_same(message, decode_message(case), *_BESIDE)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.reason, field=error.field) from None
