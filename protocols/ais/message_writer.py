"""Readable keys -> messages: rounding to the wire's units, text in upper case, nulls to the codes for "not available".

What a message needs must be there; only `repeat` is 0 by itself, and what has a code for "not available" may be left
out.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from protocols.ais import aton, binary, inland, position
from protocols.ais.armour import writable
from protocols.ais.catalogue import (
    ADDRESSED_TYPE,
    APPLICATIONS,
    BROADCAST_TYPE,
    BY_TYPE,
    STATIC_PARTS_TYPE,
    table_of_part,
)
from protocols.ais.table import Bits, Message, Row, Table
from protocols.core.errors import FieldError, LocalProtocolError

_TURN_ROOT = 4.733
_SLOWEST_UNKNOWN_TURN = 127
_STATUS_KEYS = ("aton_page", "aton_racon", "aton_light", "aton_health")
_DATA_KEYS = ("app_data_bits", "app_data_hex")
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_MONITORING_KEY = "ana_int"
"""Whoever writes it means the monitoring of an aid, under whatever DAC and function."""

Values = Mapping[str, Any]


def message_of(values: Values) -> Message:
    """The message of some readable keys. Raises `LocalProtocolError`."""
    kind = whole(values.get("type"), "type")
    table = _table_of(kind, values)
    fields: dict[str, Any] = {}
    used: set[str] = set()
    for name, row in table.rows.items():
        special = _WRITTEN.get((table.made, name))
        if special is None:
            key = row.key or name
            used.add(key)
            fields[name] = _field(row, key, values)
        else:
            keys, write = special
            used.update(keys)
            fields.update(write(values))
    if table.made in (binary.AddressedData, binary.BroadcastData):
        used.update(_DATA_KEYS)
        fields["data"] = _data(values)
    elif table.made is binary.SafetyText:
        used.add("text")
        fields["text"] = writable(text(values.get("text"), "text"))
    for key in values:
        if key not in used:
            raise LocalProtocolError(f"a message of type {kind} has no such key", field=key)
    made: Message = table.made(**fields)
    return made


def _table_of(kind: int, values: Values) -> Table[Any]:
    if kind in BY_TYPE:
        return BY_TYPE[kind]
    if kind == STATIC_PARTS_TYPE:
        try:
            return table_of_part(whole(values.get("partno"), "partno"), whole(values.get("mmsi"), "mmsi"))
        except FieldError as error:
            raise LocalProtocolError(error.reason, field=error.field) from error
    if kind in (ADDRESSED_TYPE, BROADCAST_TYPE):
        if "app_data_hex" in values:
            return binary.ADDRESSED if kind == ADDRESSED_TYPE else binary.BROADCAST
        table = APPLICATIONS.get((kind, whole(values.get("dac"), "dac"), whole(values.get("fid"), "fid")))
        if table is None and kind == ADDRESSED_TYPE and _MONITORING_KEY in values:
            return aton.MONITORING
        if table is not None:
            return table
        raise LocalProtocolError("an unknown application is written as app_data_hex", field="dac")
    raise LocalProtocolError("no encoder for this type", field="type")


def _field(row: Row, key: str, values: Values) -> Any:
    if key not in values and key == "repeat":
        return 0
    value = values.get(key)
    if value is None:
        if row.missing is None and not row.is_optional:
            raise LocalProtocolError("is missing", field=key)
        return None
    if row.kind == "text":
        return writable(text(value, key))
    if row.kind == "flag":
        if not isinstance(value, bool):
            raise LocalProtocolError("neither true nor false", field=key)
        return value
    if row.per != 1:
        code = round(_number(value, key) * row.per)
        return None if code == row.missing else code
    return None if value == row.missing else whole(value, key)


def whole(value: object, key: str) -> int:
    """A whole number, or `LocalProtocolError`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise LocalProtocolError("not a whole number", field=key)
    return value


def text(value: object, key: str) -> str:
    """A text, or `LocalProtocolError`."""
    if not isinstance(value, str):
        raise LocalProtocolError("not text", field=key)
    return value


def _number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e12 < value < 1e12:
        raise LocalProtocolError("not a number", field=key)
    return float(value)


def _rate_of_turn(values: Values) -> dict[str, Any]:
    if values.get("turn_raw") is not None:
        raw = whole(values["turn_raw"], "turn_raw")
        return {"rate_of_turn": None if raw == -128 else raw}
    if values.get("turn") is None:
        return {"rate_of_turn": None}
    turn = _number(values["turn"], "turn")
    raw = round(_TURN_ROOT * math.sqrt(abs(turn)))
    if raw >= _SLOWEST_UNKNOWN_TURN:
        raise LocalProtocolError("faster than 708 degrees a minute", field="turn")
    return {"rate_of_turn": int(math.copysign(raw, turn))}


def _regional(values: Values) -> dict[str, Any]:
    regional = values.get("regional")
    page = whole(values.get("aton_page", 0 if regional is None else whole(regional, "regional") >> 5), "aton_page")
    racon, light = (whole(values.get(key, 0), key) for key in ("aton_racon", "aton_light"))
    is_alarm = values.get("aton_health", False)
    if not (0 <= page <= 7 and 0 <= racon <= 3 and 0 <= light <= 3 and isinstance(is_alarm, bool)):
        raise LocalProtocolError("page 0 to 7, racon and light 0 to 3, health true or false", field="regional")
    if regional is not None and not (page == aton.STATUS_PAGE and "aton_light" in values):
        return {"regional": whole(regional, "regional")}
    return {"regional": aton.status_byte(page, racon, light, is_alarm)}


def _name(values: Values) -> dict[str, Any]:
    name = writable(text(values.get("name"), "name"))
    if len(name) > aton.LONGEST_NAME:
        raise LocalProtocolError(f"longer than {aton.LONGEST_NAME} characters", field="name")
    return {"name": name[: aton.NAME_LENGTH], "name_extension": name[aton.NAME_LENGTH :]}


def _gauges(values: Values) -> dict[str, Any]:
    given = values.get("gauges")
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise LocalProtocolError("not a list of objects", field="gauges")
    gauges = []
    for one in [*given, *[{"id": 0}] * (inland.GAUGES - len(given))]:
        level = 0 if one.get("level_cm") is None else whole(one["level_cm"], "gauges")
        if level == 0 and one.get("level_cm") is not None:
            raise LocalProtocolError("0 cm cannot be sent: it means not available", field="gauges")
        gauges.append(inland.Gauge(whole(one.get("id"), "gauges"), level > 0, abs(level)))
    return {"gauges": tuple(gauges)}


def _data(values: Values) -> Bits:
    digits = text(values["app_data_hex"], "app_data_hex")
    count = whole(values.get("app_data_bits", 4 * len(digits)), "app_data_bits")
    loose = 4 * len(digits) - count
    value = int(digits or "0", 16) if set(digits) <= _HEX_DIGITS else -1
    if not 0 <= loose <= 3 or value < 0 or value & (1 << loose) - 1:
        raise LocalProtocolError("not the hex digits of that many bits", field="app_data_hex")
    return Bits(value >> loose, count)


_WRITTEN: Mapping[tuple[type[Message], str], tuple[tuple[str, ...], Callable[[Values], dict[str, Any]]]] = {
    (position.PositionReport, "rate_of_turn"): (("turn_raw", "turn"), _rate_of_turn),
    (aton.AidReport, "regional"): (("regional", *_STATUS_KEYS), _regional),
    (aton.AidReport, "name"): (("name",), _name),
    (inland.WaterLevels, "gauges"): (("gauges",), _gauges),
}
"""Fields that more or other than one readable key writes."""
