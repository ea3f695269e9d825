"""Structures <-> readable keys, by the tables that read and write them.

Scaled values are floats rounded to 6 decimals; what is invalid or abnormal is null, and null is written as invalid.

>>> from protocols.gbt32960.items_2016 import Engine
>>> readable_of(Engine(1, 2000, None))
{'engine_status': 1, 'crank_speed_rpm': 2000, 'fuel_rate_l_100km': None}
>>> structure_of(Engine, {"engine_status": 1, "crank_speed_rpm": 2000, "fuel_rate_l_100km": 5.5}).write().hex()
'0107d00226'
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

from protocols.core.errors import LocalProtocolError
from protocols.gbt32960.heavy_items import Obd
from protocols.gbt32960.items_2016 import SOUTH, WEST
from protocols.gbt32960.layout import Abnormal, Array, Blob, Bytes, Items, Number, Numbers, Reading, Rest, Structure
from protocols.gbt32960.login import PACK_CODE_BYTES, VehicleLogin, VehicleLogin2025
from protocols.gbt32960.times import time_of, time_text
from protocols.message_fields import refuse_others

Message = Mapping[str, object]
StructureT = TypeVar("StructureT", bound=Structure)

_SIGN_BITS = {"longitude": WEST, "latitude": SOUTH}
"""Of the status of a position."""
_NO_TIME = bytes(6)
"""Written for a time that is null."""


def text_of(data: bytes) -> str:
    """Text as it is shown: zeros cut off at both ends, then blanks at the end; what is not ASCII as U+FFFD."""
    return data.strip(b"\0").rstrip(b" ").decode("ascii", "replace")


def bytes_of_text(text: object, size: int | None, key: str) -> bytes:
    """The inverse, filled up with zeros. Raises `LocalProtocolError`."""
    if not isinstance(text, str):
        raise LocalProtocolError("text is wanted", field=key)
    try:
        data = text.encode("ascii")
    except UnicodeEncodeError:
        raise LocalProtocolError("ASCII is wanted", field=key) from None
    if size is not None and len(data) > size:
        raise LocalProtocolError(f"more than {size} characters", field=key)
    return data if size is None else data.ljust(size, b"\0")


def hex_bytes(text: object, key: str) -> bytes:
    """Bytes as hex characters. Raises `LocalProtocolError`."""
    try:
        return bytes.fromhex(text)  # type: ignore[arg-type]  # what is no text raises TypeError
    except (ValueError, TypeError):
        raise LocalProtocolError("pairs of hex digits are wanted", field=key) from None


def integer(value: object, key: str, most: int = 0xFF) -> int:
    """A whole number from 0 to `most`. Raises `LocalProtocolError`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise LocalProtocolError(f"a whole number up to {most} is wanted", field=key)
    return value


def items_of(value: object, key: str) -> Sequence[Any]:
    """A list. Raises `LocalProtocolError`."""
    if not isinstance(value, list):
        raise LocalProtocolError("a list is wanted", field=key)
    return value


def time_bytes(value: object, key: str) -> bytes:
    """A time or null. Raises `LocalProtocolError`."""
    if value is None:
        return _NO_TIME
    if not isinstance(value, str):
        raise LocalProtocolError("a time or null is wanted", field=key)
    return time_of(value)


def readable_of(item: Structure) -> dict[str, object]:
    """The keys of a structure."""
    message: dict[str, object] = {}
    for part in item.PARTS:
        match part:
            case Numbers():
                for row in part.rows:
                    value = getattr(item, row.name)
                    shown = _shown(value, row) if isinstance(row, Number) else _shown_bytes(value, row)
                    message[row.readable_key] = shown
            case Array():
                values = getattr(item, part.row.name)
                some = [_shown(value, part.row) for value in values] if isinstance(values, tuple) else []
                message[part.row.readable_key] = some
            case Items():
                values = getattr(item, part.name)
                message[part.name] = [readable_of(value) for value in values] if isinstance(values, tuple) else []
            case Blob() | Rest():
                message[part.name] = getattr(item, part.name).hex()
    _sign_position(item, message)
    _add_own(item, message)
    return message


def _shown(value: Reading, row: Number) -> object:
    if value is None or isinstance(value, Abnormal):
        return None
    if row.form == "hex":
        return f"{value:0{2 * row.size}x}"
    return value if row.scale == 1 else round(value * row.scale, 6)


def _shown_bytes(data: bytes, row: Bytes) -> object:
    if row.form == "time":
        return time_text(data)
    return text_of(data) if row.form == "text" else data.hex()


def _sign_position(item: Structure, message: dict[str, object]) -> None:
    status = getattr(item, "position_status", 0)
    for key, bit in _SIGN_BITS.items():
        value = message.get(key)
        if status & bit and isinstance(value, float):
            message[key] = -value or 0.0


def _add_own(item: Structure, message: dict[str, object]) -> None:
    """What parts of one structure alone hold."""
    match item:
        case VehicleLogin():
            message["subsystem_count"] = item.subsystem_count
            message["subsystem_code_length"] = item.subsystem_code_length
            message["subsystem_codes"] = [text_of(code) for code in item.subsystem_codes]
        case VehicleLogin2025():
            message["bms_count"] = len(item.packs)
            message["packs"] = [[text_of(code) for code in system] for system in item.packs]
        case Obd():
            message["dtcs"] = [f"{code:08x}" for code in item.dtcs]
        case _:
            pass


def structure_of(kind: type[StructureT], message: Message) -> StructureT:
    """The inverse of `readable_of`. Raises `LocalProtocolError`."""
    values: dict[str, object] = {}
    known: set[str] = set()
    for part in kind.PARTS:
        match part:
            case Numbers():
                for row in part.rows:
                    known.add(row.readable_key)
                    values[row.name] = _value_of(row, message, row.readable_key)
            case Array():
                key = part.row.readable_key
                known.add(key)
                values[part.row.name] = tuple(_number(value, part.row) for value in items_of(message.get(key), key))
            case Items():
                known.add(part.name)
                parts = items_of(message.get(part.name), part.name)
                values[part.name] = tuple(structure_of(part.kind, _object(value, part.name)) for value in parts)
            case Blob() | Rest():
                known.add(part.name)
                values[part.name] = hex_bytes(message.get(part.name), part.name)
            case _:
                known |= {*part.names, "bms_count"}
                values |= _own_values(kind, message)
    refuse_others(message, known)
    return kind(**values)


def _value_of(row: Number | Bytes, message: Message, key: str) -> object:
    value = message.get(key)
    if isinstance(row, Number):
        return _number(_magnitude(value, message, key) if key in _SIGN_BITS else value, row)
    if row.form == "time":
        return time_bytes(value, key)
    if row.form == "text":
        return bytes_of_text(value, row.size, key)
    return hex_bytes(value, key)


def _number(value: object, row: Number) -> Reading:
    if value is None and row.nulls:
        return None
    if row.form == "hex":
        return _code(value, row.size, row.readable_key)
    if not _is_number(value):
        raise LocalProtocolError("a number is wanted", field=row.readable_key)
    units = round(value / row.scale)
    if row.scale == 1 and units != value:
        raise LocalProtocolError("a whole number is wanted", field=row.readable_key)
    return units


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e12 < value < 1e12


def _code(value: object, size: int, key: str) -> int:
    """A code as all its hex digits."""
    data = hex_bytes(value, key)
    if len(data) != size:
        raise LocalProtocolError(f"{2 * size} hex digits are wanted", field=key)
    return int.from_bytes(data, "big")


def _magnitude(value: object, message: Message, key: str) -> object:
    """Degrees without the sign, which must be that of the status."""
    status = integer(message.get("position_status"), "position_status")
    if _is_number(value) and value and (value < 0) != bool(status & _SIGN_BITS[key]):
        raise LocalProtocolError("the sign is not that of position_status", field=key)
    return abs(value) if _is_number(value) else value


def _object(value: object, key: str) -> Message:
    if not isinstance(value, dict):
        raise LocalProtocolError("an object is wanted", field=key)
    return value


def _own_values(kind: type[Structure], message: Message) -> dict[str, object]:
    if kind is VehicleLogin:
        size = integer(message.get("subsystem_code_length"), "subsystem_code_length")
        codes = items_of(message.get("subsystem_codes"), "subsystem_codes")
        return {
            "subsystem_count": integer(message.get("subsystem_count"), "subsystem_count"),
            "subsystem_code_length": size,
            "subsystem_codes": tuple(bytes_of_text(code, size, "subsystem_codes") for code in codes),
        }
    if kind is VehicleLogin2025:
        systems = items_of(message.get("packs"), "packs")
        packs = [[bytes_of_text(code, PACK_CODE_BYTES, "packs") for code in items_of(one, "packs")] for one in systems]
        return {"packs": tuple(map(tuple, packs))}
    dtcs = tuple(_code(code, 4, "dtcs") for code in items_of(message.get("dtcs"), "dtcs"))
    return {"dtc_count": len(dtcs), "dtcs": dtcs}
