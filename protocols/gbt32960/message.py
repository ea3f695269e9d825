"""Frames <-> readable keys, of both editions and of the heavy-duty variant. See the specification page for every key.

A case holds `hex`, one frame, and perhaps `version`: "gb17691" selects the heavy-duty variant; with "2016", "2025" or
none the start bytes tell the edition.

>>> decode_message({"hex": "232307fe4838323230363530303030303030303030010000bb"})["command"]
7
"""

from collections.abc import Mapping

import msgspec

from protocols.core.errors import LocalProtocolError, OptionError, RemoteProtocolError
from protocols.gbt32960.catalogue import Answer, Body, Empty, Opaque, decode_body, encode_body, structure_kind
from protocols.gbt32960.frame import COMMAND, VIN_BYTES, Command, Encryption, Frame, decode_frame, encode_frame
from protocols.gbt32960.heavy import (
    SM2,
    HeavyBody,
    HeavyFrame,
    HeavyLogin,
    HeavyReport,
    decode_heavy,
    encode_heavy,
    read_heavy,
    write_heavy,
)
from protocols.gbt32960.heavy_items import TYPES as HEAVY_TYPES
from protocols.gbt32960.heavy_items import OtherItem
from protocols.gbt32960.layout import Structure
from protocols.gbt32960.login import Logout
from protocols.gbt32960.parameters import TEXTS, Parameter, ParameterIds, Parameters, size_of
from protocols.gbt32960.readable import (
    Message,
    bytes_of_text,
    hex_bytes,
    integer,
    items_of,
    readable_of,
    structure_of,
    text_of,
    time_bytes,
)
from protocols.gbt32960.report import Item, Report, class_of, name_of
from protocols.gbt32960.times import time_text
from protocols.message_case import check_options, text_in
from protocols.message_fields import octets_of, refuse_others

HEAVY = "gb17691"
_REPORTS = (Command.REAL_TIME, Command.REISSUE)


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """Decode the frame in `hex`. Raises `RemoteProtocolError` and `OptionError`."""
    check_options(case, ("hex", "version"), "gbt32960")
    version = case.get("version")
    if version not in (None, "2016", "2025", HEAVY):
        raise OptionError("2016, 2025 or gb17691", field="version")
    data = octets_of(text_in(case, "hex", "the hex of one frame is wanted"))
    return _decode_heavy(data) if version == HEAVY else _decode(data)


def _decode(data: bytes) -> dict[str, object]:
    frame = decode_frame(data)
    return {
        "version": str(frame.edition),
        "command": frame.command,
        "response": frame.response,
        "vin": text_of(frame.vin),
        "encryption": frame.encryption,
        "data_length": len(frame.data),
        "body": _readable_body(decode_body(frame), frame.edition),
    }


def _readable_body(body: Body, edition: int) -> dict[str, object]:
    if isinstance(body, Opaque):
        return {"raw": body.data.hex()}
    if isinstance(body, Structure):
        return readable_of(body)
    return {} if isinstance(body, Empty) else _readable_own(body, edition)


def _readable_own(body: Answer | Report | ParameterIds | Parameters, edition: int) -> dict[str, object]:
    match body:
        case Answer():
            raw: dict[str, object] = {"raw": body.rest.hex()}
            return raw if body.time is None else {"time": time_text(body.time), **raw}
        case Report():
            infos = [
                {"type": item.type, "name": name_of(item.type, edition), **readable_of(item.body)}
                for item in body.items
            ]
            return {"time": time_text(body.time), "infos": infos}
        case ParameterIds():
            ids = list(body.ids)
            return {"time": time_text(body.time), "param_count": len(ids), "param_ids": ids}
        case Parameters():
            params = [{"id": param.id, "value": _shown_parameter(param)} for param in body.params]
            return {"time": time_text(body.time), "param_count": len(params), "params": params}


def _shown_parameter(param: Parameter) -> str | int:
    return text_of(param.value) if param.id in TEXTS else int.from_bytes(param.value, "big")


def _decode_heavy(data: bytes) -> dict[str, object]:
    frame = decode_heavy(data)
    message: dict[str, object] = {"version": HEAVY, "command": frame.command, "vin": text_of(frame.vin)}
    if frame.software_version is not None:
        message["software_version"] = frame.software_version
    message["encryption"] = frame.encryption
    message["data_length"] = len(frame.data)
    message["body"] = _readable_heavy(read_heavy(frame))
    return message


def _readable_heavy(body: HeavyBody) -> dict[str, object]:
    if isinstance(body, Opaque):
        return {"raw": body.data.hex()}
    if not isinstance(body, HeavyReport):
        return readable_of(body)
    infos = [
        {"type": item.type, "name": HEAVY_TYPES.get(item.type, ("custom",))[0], **readable_of(item.body)}
        for item in body.items
    ]
    return {"time": time_text(body.time), "info_serial": body.info_serial, "infos": infos}


def encode_message(message: dict[str, object]) -> dict[str, object]:
    """Encode a message into its canonical frame: `{"hex": ...}`. Raises `LocalProtocolError`.

    Null is written as "invalid", a time that is null as zeros, an empty list with a count of 0. What follows from the
    rest (data_length, param_count, bms_count) is not read.
    """
    version = message.get("version")
    if version not in ("2016", "2025", HEAVY):
        raise LocalProtocolError("2016, 2025 or gb17691", field="version")
    body = message.get("body")
    if not isinstance(body, dict):
        raise LocalProtocolError("an object is wanted", field="body")
    try:
        data = _encode_heavy(message, body) if version == HEAVY else _encode(message, body, int(str(version)))
    except RemoteProtocolError as error:  # what was written cannot be read
        raise LocalProtocolError(error.reason, field=error.field) from error
    return {"hex": data.hex()}


def _encode(message: Message, body: Message, edition: int) -> bytes:
    refuse_others(message, {"version", "command", "response", "vin", "encryption", "data_length", "body"})
    frame = Frame(
        edition,
        integer(message.get("command"), "command"),
        integer(message.get("response"), "response"),
        bytes_of_text(message.get("vin"), VIN_BYTES, "vin"),
        integer(message.get("encryption"), "encryption"),
    )
    wanted = _body_of(frame, body)
    frame = msgspec.structs.replace(frame, data=encode_body(wanted, edition))
    _check_reading(wanted, decode_body(frame))
    return encode_frame(frame)


def _check_reading(wanted: object, read: object) -> None:
    """Some bodies may be read as something else, such as a list of parameters as one of ids."""
    if read != wanted:
        raise LocalProtocolError("would be read as something else", field="body")


def _body_of(frame: Frame, body: Message) -> Body:
    if frame.encryption != Encryption.NONE:
        return _opaque_of(body)
    if "params" in body:
        return _parameters_of(body, frame.edition)
    return _command_of(frame, body) if frame.response == COMMAND else _answer_of(body)


def _answer_of(body: Message) -> Answer:
    refuse_others(body, {"time", "raw"})
    time = time_bytes(body["time"], "time") if "time" in body else None
    return Answer(time, hex_bytes(body.get("raw"), "raw"))


def _command_of(frame: Frame, body: Message) -> Body:
    if frame.command in _REPORTS:
        return _report_of(body, frame.edition)
    if frame.command == Command.QUERY_PARAMETERS:
        refuse_others(body, {"time", "param_count", "param_ids"})
        ids = bytes(integer(item, "param_ids") for item in items_of(body.get("param_ids"), "param_ids"))
        return ParameterIds(time_bytes(body.get("time"), "time"), ids)
    kind = structure_kind(frame.command, frame.edition)
    if kind is not None:
        return structure_of(kind, body)
    if frame.command in {Command.HEARTBEAT, Command.TIME_SYNC}:
        refuse_others(body, set())
        return Empty()
    return _opaque_of(body)


def _opaque_of(body: Message) -> Opaque:
    refuse_others(body, {"raw"})
    return Opaque(hex_bytes(body.get("raw"), "raw"))


def _parameters_of(body: Message, edition: int) -> Parameters:
    refuse_others(body, {"time", "param_count", "params"})
    params: list[Parameter] = []
    lengths: dict[int, int] = {}
    for item in items_of(body["params"], "params"):
        if not isinstance(item, dict) or set(item) != {"id", "value"}:
            raise LocalProtocolError("objects of id and value are wanted", field="params")
        param_id = integer(item["id"], "id")
        size = size_of(param_id, edition, lengths)
        if size is None:
            raise LocalProtocolError(f"the length of parameter {param_id:02x} is not known", field="id")
        if param_id in TEXTS:
            value = bytes_of_text(item["value"], size, "value")
        else:
            value = integer(item["value"], "value", (1 << 8 * size) - 1).to_bytes(size, "big")
            lengths[param_id] = value[0]
        params.append(Parameter(param_id, value))
    return Parameters(time_bytes(body.get("time"), "time"), tuple(params))


def _report_of(body: Message, edition: int) -> Report:
    refuse_others(body, {"time", "infos"})
    items = []
    for info in items_of(body.get("infos"), "infos"):
        kind = class_of(_type_of(info), edition)
        if kind is None:
            raise LocalProtocolError("no layout is known for this type", field="type")
        items.append(_item_of(info, kind))
    return Report(time_bytes(body.get("time"), "time"), tuple(items))


def _type_of(info: object) -> int:
    if not isinstance(info, dict):
        raise LocalProtocolError("a list of objects is wanted", field="infos")
    return integer(info.get("type"), "type")


def _item_of(info: Message, kind: type[Structure]) -> Item:
    fields = {key: value for key, value in info.items() if key not in ("type", "name")}
    return Item(_type_of(info), structure_of(kind, fields))


def _encode_heavy(message: Message, body: Message) -> bytes:
    refuse_others(message, {"version", "command", "vin", "software_version", "encryption", "data_length", "body"})
    software = message.get("software_version")
    frame = HeavyFrame(
        integer(message.get("command"), "command"),
        bytes_of_text(message.get("vin"), VIN_BYTES, "vin"),
        None if software is None else integer(software, "software_version"),
        integer(message.get("encryption"), "encryption"),
    )
    wanted = _heavy_body_of(frame, body)
    frame = msgspec.structs.replace(frame, data=write_heavy(wanted))
    _check_reading(wanted, read_heavy(frame))
    return encode_heavy(frame)


def _heavy_body_of(frame: HeavyFrame, body: Message) -> HeavyBody:
    if frame.encryption in {Encryption.NONE, SM2}:
        if frame.command == Command.VEHICLE_LOGIN:
            return structure_of(HeavyLogin, body)
        if frame.command == Command.VEHICLE_LOGOUT:
            return structure_of(Logout, body)
        if frame.command in _REPORTS:
            refuse_others(body, {"time", "info_serial", "infos"})
            items = [
                _item_of(info, HEAVY_TYPES.get(_type_of(info), ("custom", OtherItem))[1])
                for info in items_of(body.get("infos"), "infos")
            ]
            serial = integer(body.get("info_serial"), "info_serial", 0xFFFF)
            return HeavyReport(time_bytes(body.get("time"), "time"), serial, tuple(items))
    return _opaque_of(body)
