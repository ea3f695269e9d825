"""Reports <-> readable keys. MicroPython-clean."""

from protocols.aton.drift import PHASES
from protocols.aton.telemetry import ALARMS, ITEMS, REASONS, Item, Report, item_of
from protocols.aton.words import (
    bytes_of,
    code_of,
    flag,
    readable_flag,
    scaled,
    seconds_of,
    text,
    time_text,
    whole,
    word,
)
from protocols.core.errors import LocalProtocolError

_FLAGS = ("lamp_on", "is_night", "leak", "door_open")
_TEXTS = ("character", "fw_version")
LAMP_FAULTS = ("none", "open", "short", "stuck_on", "partial", "day_or_night")
_NAMES = {"lamp_fault": LAMP_FAULTS, "drift_phase": PHASES}
_E7 = 10_000_000
_SCALED = {
    "lamp_current_ca": ("lamp_current_a", 100),
    "lamp_voltage_cv": ("lamp_voltage_v", 100),
    "battery_cv": ("battery_v", 100),
    "charge_ca": ("charge_a", 100),
    "discharge_ca": ("discharge_a", 100),
    "solar_cv": ("solar_v", 100),
    "solar_ca": ("solar_a", 100),
    "charge_day_cah": ("charge_ah_day", 100),
    "discharge_day_cah": ("discharge_ah_day", 100),
    "offset_dm": ("offset_m", 10),
    "bearing_tenth_deg": ("bearing_deg", 10),
    "hdop_tenth": ("hdop", 10),
    "tilt_tenth_deg": ("tilt_deg", 10),
    "roll_rms_tenth_deg": ("roll_rms_deg", 10),
    "shock_cg": ("shock_g", 100),
    "temp_tenth_c": ("temp_c", 10),
}
"""Item -> (readable key, how many of the wire's units are one of its units)."""
_OTHERS = "other_items"


def readable_report(report: Report) -> dict[str, object]:
    """A report by its readable keys; items without a name as number and hex."""
    message: dict[str, object] = {
        "reason": word(REASONS, report.reason),
        "time": None if report.time_s is None else time_text(report.time_s),
    }
    others: list[object] = []
    for item in report.items:
        name = item.name
        if name is None:
            others.append({"number": item.number, "hex": item.raw.hex()})
        elif name == "position_e7_deg":
            value = item.value
            message["lat"] = value[0] / _E7 if isinstance(value, tuple) else None
            message["lon"] = value[1] / _E7 if isinstance(value, tuple) else None
        else:
            message[_SCALED[name][0] if name in _SCALED else name] = _readable(name, item)
    if others:
        message[_OTHERS] = others
    return message


def _readable(name: str, item: Item) -> object:
    value = item.value
    readable: object = value
    if isinstance(value, tuple):
        readable = [word(ALARMS, code) for code in value]
    elif isinstance(value, int):
        if name in _SCALED:
            readable = value / _SCALED[name][1]
        elif name in _FLAGS:
            readable = readable_flag(value)
        elif name in _NAMES:
            readable = word(_NAMES[name], value)
    return readable


def report_of(values: dict[str, object]) -> Report:
    """The report of some readable keys, its items in the order of their numbers. Raises `LocalProtocolError`."""
    time = values.get("time")
    reason = code_of(REASONS, values.get("reason", 0), "reason")
    items = []
    used = ["reason", "time", _OTHERS]
    for _number, name, _form in ITEMS:
        if name == "position_e7_deg":
            used += ["lat", "lon"]
            if "lat" in values or "lon" in values:
                items.append(item_of(name, _position_of(values)))
            continue
        key, per = _SCALED.get(name, (name, 1))
        used.append(key)
        if key in values:
            items.append(item_of(name, None if values[key] is None else _wire(name, key, per, values[key])))
    for key in values:
        if key not in used:
            raise LocalProtocolError("a report has no such key", field=key)
    items += _other_items(values.get(_OTHERS, []))
    return Report(reason, None if time is None else seconds_of(time, "time"), items)


def _wire(name: str, key: str, per: int, value: object) -> int | str | tuple[int, ...]:
    wire: int | str | tuple[int, ...]
    if name in _TEXTS:
        wire = text(value, key)
    elif name == "alarms":
        if not isinstance(value, list):
            raise LocalProtocolError("not a list", field=key)
        wire = tuple([code_of(ALARMS, one, key) for one in value])
    elif name in _FLAGS:
        wire = flag(value, key)
    elif name in _NAMES:
        wire = code_of(_NAMES[name], value, key)
    elif name in _SCALED:
        wire = scaled(value, per, key)
    else:
        wire = whole(value, key)
    return wire


def _position_of(values: dict[str, object]) -> tuple[int, int] | None:
    lat = values.get("lat")
    lon = values.get("lon")
    if lat is None and lon is None:
        return None
    return (scaled(lat, _E7, "lat"), scaled(lon, _E7, "lon"))


def _other_items(given: object) -> list[Item]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise LocalProtocolError("not a list of objects with number and hex", field=_OTHERS)
    return [Item(whole(one.get("number"), _OTHERS), bytes_of(one.get("hex"), _OTHERS)) for one in given]
