"""Frames of Modbus and its neighbours <-> readable keys: what `wayside decode modbus_devices` shows.

The option `protocol` says what a case holds:

    rtu (or absent)   hex: one frame with its CRC        unit_id and the keys of `pdu_message.py`
    tcp               hex: MBAP header and PDU           transaction_id as well
    umb               hex: one frame of Lufft UMB        to_address from_address command command_version, and of online
                                                         data channel status data_type channel_value, else data;
                                                         version where it is not 10H
    timing, planner   text: a JSON object                see `line_message.py`

Further options of rtu and tcp: `direction` (request or response; absent: an answer if it makes sense as one),
`quantity` (bits that were asked for), and for read answers `profile` (the register map by whose points the answer gets
`values`) with `start_address`, `word_scale` and `scale_factors`.

>>> decode_message({"hex": "1a030200011d86"})
{'unit_id': 26, 'function': 3, 'byte_count': 2, 'registers': [1]}
>>> encode_message({"unit_id": 26, "function": 3, "start_address": 0, "quantity": 1})
{'hex': '1a030000000187e1'}
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, OptionError, RemoteProtocolError
from protocols.modbus_devices.line_message import plan_message, timing_message
from protocols.modbus_devices.pdu import READ_HOLDING, READ_INPUT, BitsResponse, RegistersResponse
from protocols.modbus_devices.pdu_message import Byte, PduFields, Word, decode_pdu, message_of, pdu_of
from protocols.modbus_devices.register_map import RegisterMap, RegisterPoint, with_options
from protocols.modbus_devices.rtu import decode_rtu, encode_rtu
from protocols.modbus_devices.tcp import HEADER_BYTES, decode_tcp, encode_tcp
from protocols.modbus_devices.umb import (
    ONLINE_DATA,
    VERSION,
    OnlineData,
    UmbFrame,
    decode_online_data,
    decode_umb,
    encode_online_data,
    encode_umb,
)
from protocols.modbus_devices.values import compile_block, decode_scale_factor

MAX_HEX_CHARS = 4096
"""No frame is longer; blanks between the digits included."""

_HALF_STEP_OF_FLOAT32 = 2.0**-25
"""Half the distance between neighbours, relative to the larger; a scale's rounding stays far below."""

T = TypeVar("T")
Exponent = Annotated[int, msgspec.Meta(ge=-10, le=10)]


class FrameCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A case with the protocol `rtu` or `tcp`."""

    hex: str
    protocol: Literal["rtu", "tcp"] = "rtu"
    direction: Literal["request", "response"] | None = None
    profile: str | None = None
    start_address: Word = 0
    quantity: Annotated[int, msgspec.Meta(ge=1, le=2000)] | None = None
    word_scale: float | None = None
    scale_factors: dict[str, Exponent] = {}


class UmbCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A case with the protocol `umb`."""

    hex: str
    protocol: str


class TextCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A case with the protocol `timing` or `planner`."""

    text: str
    protocol: str


class UmbFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a UMB message, as it is written."""

    to_address: Word
    from_address: Word
    command: Byte
    command_version: Byte = 0x10
    version: Byte = VERSION
    channel: Word | None = None
    status: Byte | None = None
    data_type: Byte | None = None
    channel_value: int | float | None = None
    data: str = ""


def decode_message(case: Mapping[str, object], *, maps: Mapping[str, RegisterMap] | None = None) -> dict[str, object]:
    """What one frame, or one line's figures, say. `maps`: register maps by name, for the option `profile`.

    Raises `OptionError` for the case itself, `RemoteProtocolError` for what it holds.
    """
    match case.get("protocol", "rtu"):
        case "rtu" | "tcp":
            return _decode_frame(_options(case, FrameCase), maps or {})
        case "umb":
            return _decode_umb(_bytes_of(_options(case, UmbCase).hex))
        case "timing":
            return timing_message(_options(case, TextCase).text)
        case "planner":
            return plan_message(_options(case, TextCase).text)
        case other:
            raise OptionError(f"is rtu, tcp, umb, timing or planner, not {other!r:.40}", field="protocol")


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """The canonical frame of a message: `{"hex": ...}`. Raises `LocalProtocolError` where there is none.

    Modbus TCP where there is a `transaction_id`, UMB where there is a `to_address`, else RTU. `values` are not written:
    they follow from the registers.
    """
    fields = dict(message)
    if "to_address" in fields:
        return {"hex": encode_umb(_umb_of(_fields(fields, UmbFields))).hex()}
    if "function" not in fields:
        raise LocalProtocolError("neither a Modbus nor a UMB frame, so nothing to write", field="function")
    fields.pop("values", None)
    unit_id: int = _fields(fields.pop("unit_id", None), Byte, "unit_id")
    transaction_id = fields.pop("transaction_id", None)
    pdu = pdu_of(_fields(fields, PduFields)).encode()
    if transaction_id is None:
        return {"hex": encode_rtu(unit_id, pdu).hex()}
    return {"hex": encode_tcp(_fields(transaction_id, Word, "transaction_id"), unit_id, pdu).hex()}


def _decode_frame(options: FrameCase, maps: Mapping[str, RegisterMap]) -> dict[str, object]:
    register_map = _map_of(options, maps)
    adu = _bytes_of(options.hex)
    message: dict[str, object] = {}
    if options.protocol == "tcp":
        tcp = decode_tcp(adu)
        message["transaction_id"] = tcp.transaction_id
        unit_id, raw, head_bytes = tcp.unit_id, tcp.pdu, HEADER_BYTES
    else:
        rtu = decode_rtu(adu)
        unit_id, raw, head_bytes = rtu.unit_id, rtu.pdu, 1
    message["unit_id"] = unit_id
    try:
        pdu = decode_pdu(raw, options.direction)
        if isinstance(pdu, BitsResponse) and options.quantity is not None:
            want = (options.quantity + 7) // 8
            if len(pdu.data) != want:
                reason = f"{len(pdu.data)} bytes of bits where {want} hold the {options.quantity} that were asked for"
                raise FieldError(reason, 1, "byte_count", raw)
    except RemoteProtocolError as error:
        error.offset = head_bytes + (error.offset or 0)
        raise
    message |= message_of(pdu, options.quantity)
    if register_map and isinstance(pdu, RegistersResponse) and pdu.function in (READ_HOLDING, READ_INPUT):
        message["values"] = _values(register_map, options, pdu)
    return message


def _map_of(options: FrameCase, maps: Mapping[str, RegisterMap]) -> RegisterMap | None:
    if options.profile is None:
        return None
    if options.profile not in maps:
        known = ", ".join(maps) or "none"
        raise OptionError(f"there is no register map {options.profile!r:.70}; there are: {known}", field="profile")
    register_map = maps[options.profile]
    for name in options.scale_factors:
        if name not in register_map.scale_factors:
            known = ", ".join(register_map.scale_factors) or "none"
            raise OptionError(f"{register_map.name} has no {name!r:.70}; it has: {known}", field="scale_factors")
    try:
        return with_options(register_map, {} if options.word_scale is None else {"word_scale": options.word_scale})
    except ValueError as error:
        raise OptionError(str(error), field="word_scale") from error


def _values(register_map: RegisterMap, options: FrameCase, answer: RegistersResponse) -> dict[str, object]:
    """Every value of the map whose registers all lie in the answer."""
    start, registers = options.start_address, answer.registers
    end = start + len(registers)
    points: list[RegisterPoint] = [
        point
        for point in register_map.points
        if not point.is_bit and not point.write_only and start <= point.address and point.end <= end
    ]
    exponents = {
        name: decode_scale_factor(registers[factor.address - start])
        for name, factor in register_map.scale_factors.items()
        if start <= factor.address < end
    } | options.scale_factors
    values = compile_block(points, start, len(registers), exponents)(answer.data) if points else []
    return {
        point.name: _short(value) if point.type == "float32" and isinstance(value, float) else value
        for point, value in zip(points, values, strict=True)
    }


def _short(value: float) -> float:
    """The number with the fewest digits that a 32-bit float cannot tell from `value`: 230.2, not 230.2000122."""
    for digits in (7, 8):
        short = float(f"{value:.{digits}g}")
        if abs(short - value) <= _HALF_STEP_OF_FLOAT32 * abs(value):
            return short
    return value


def _decode_umb(wire: bytes) -> dict[str, object]:
    frame = decode_umb(wire)
    message: dict[str, object] = {
        "to_address": frame.to_address,
        "from_address": frame.from_address,
        "command": frame.command,
        "command_version": frame.command_version,
    }
    if frame.version != VERSION:
        message["version"] = frame.version
    if frame.command != ONLINE_DATA:
        return {**message, "data": frame.data.hex()}
    online = decode_online_data(frame)
    message["channel"] = online.channel
    if online.status is not None:
        message["status"] = online.status
    if online.data_type is not None:
        message |= {"data_type": online.data_type, "channel_value": online.value}
    return message


def _umb_of(fields: UmbFields) -> UmbFrame:
    if fields.channel is None:
        try:
            data = bytes.fromhex(fields.data)
        except ValueError:
            raise LocalProtocolError("hex digits", field="data") from None
    elif fields.data:
        raise LocalProtocolError("follow from the channel", field="data")
    else:
        online = OnlineData(
            channel=fields.channel, status=fields.status, data_type=fields.data_type, value=fields.channel_value
        )
        data = encode_online_data(online)
    frame = UmbFrame(
        to_address=fields.to_address,
        from_address=fields.from_address,
        command=fields.command,
        command_version=fields.command_version,
        version=fields.version,
        data=data,
    )
    if frame.command == ONLINE_DATA:
        try:
            read = decode_online_data(frame)
        except FieldError as error:
            raise LocalProtocolError(error.reason, field=error.field) from error
        if (read.channel, read.status, read.data_type) != (fields.channel, fields.status, fields.data_type):
            raise LocalProtocolError("who sends it tells whether it asks or answers", field="from_address")
    return frame


def _bytes_of(text: str) -> bytes:
    if len(text) > MAX_HEX_CHARS:
        raise FrameError(f"{len(text)} characters are no frame", 0, "hex")
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise FrameError("not hex digits: " + str(error), 0, "hex") from error


def _options(case: Mapping[str, object], kind: type[T]) -> T:
    try:
        return msgspec.convert(dict(case), kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # half a surrogate pair is no text
        raise OptionError(str(error)) from error


def _fields(value: object, kind: Any, field: str | None = None) -> Any:
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise LocalProtocolError(str(error), field=field) from error
