"""What a buoy reports: items of a number, a length and a value.

MicroPython-clean. The body of a frame of kind 1, see `frame`:

    reason (1) | UTC seconds since 1970 (4, 0: no time) | number (1) length (1) value | number length value ...

An item without a value says that it is not available. Items that are not in `ITEMS` are kept as they came, and so is
the order of all. Values are the wire's integers, their unit is in the name: `battery_cv` is 0.01 V. Positions are 1e-7
degree.

>>> report = Report(ROUTINE, 1764000000, [item_of("battery_cv", 1265), item_of("solar_cv", None)])
>>> decode_report(encode_report(report)).get("battery_cv")
1265
"""

import struct

from protocols.core.errors import FieldError, LocalProtocolError

REPORT = 1
"""The kind of its frame."""
ROUTINE = 0
ALARM = 1
CLEARED = 2
ANSWER = 3
STORED = 4
"""Made earlier, while the link was away."""
REASONS = ("routine", "alarm", "cleared", "answer", "stored")

TEXT = "text"
CODES = "codes"
POSITION = ">ii"
ITEMS = (
    (1, "lamp_on", ">B"),
    (2, "lamp_current_ca", ">H"),
    (3, "lamp_voltage_cv", ">H"),
    (4, "character", TEXT),
    (5, "lamp_fault", ">B"),
    (6, "daylight_lux", ">I"),
    (7, "is_night", ">B"),
    (8, "battery_cv", ">H"),
    (9, "battery_soc_pct", ">B"),
    (10, "charge_ca", ">H"),
    (11, "discharge_ca", ">H"),
    (12, "solar_cv", ">H"),
    (13, "solar_ca", ">H"),
    (14, "charge_day_cah", ">H"),
    (15, "discharge_day_cah", ">H"),
    (16, "position_e7_deg", POSITION),
    (17, "offset_dm", ">I"),
    (18, "bearing_tenth_deg", ">H"),
    (19, "hdop_tenth", ">H"),
    (20, "num_sats", ">B"),
    (21, "fix_age_s", ">I"),
    (22, "drift_phase", ">B"),
    (23, "tilt_tenth_deg", ">H"),
    (24, "roll_rms_tenth_deg", ">H"),
    (25, "shock_cg", ">H"),
    (26, "leak", ">B"),
    (27, "door_open", ">B"),
    (28, "humidity_pct", ">B"),
    (29, "temp_tenth_c", ">h"),
    (30, "comm_rssi_dbm", ">h"),
    (31, "reset_count", ">I"),
    (32, "fw_version", TEXT),
    (33, "alarms", CODES),
)
"""(number, name, form). Flags are 0 and 1. `lamp_fault` is 0 none, 1 open, 2 short, 3 stuck on, 4 partial LED, 5 wrong
by day or night. `alarms` are the positions in `ALARMS`."""
ALARMS = (
    "lamp_fault",
    "character_mismatch",
    "sensor_fault",
    "battery_low",
    "battery_critical",
    "solar_fault",
    "energy_deficit",
    "off_position",
    "gnss_fault",
    "tilt",
    "capsized",
    "collision",
    "leak",
    "door_open",
    "humidity",
    "temp_high",
    "mooring_shifted",
)
THRESHOLD_LIMITS = {
    "battery_low": (0, 3000),
    "battery_critical": (0, 3000),
    "tilt": (0, 9000),
    "capsized": (0, 9000),
    "humidity": (0, 10_000),
    "temp_high": (-4000, 8500),
}
"""What an alarm's threshold may be, in hundredths: what can be measured. Of all others: 0 or more."""
MAX_VALUE_BYTES = 255
_HEADER = ">BI"
_HEADER_BYTES = 5


class Item:
    """One item as it stands on the wire."""

    __slots__ = ("number", "raw")

    def __init__(self, number: int, raw: bytes) -> None:
        self.number = number
        self.raw = raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and (self.number, self.raw) == (other.number, other.raw)

    def __hash__(self) -> int:
        return hash((self.number, self.raw))

    def __repr__(self) -> str:
        return f"Item({self.number}, {self.raw!r})"

    @property
    def name(self) -> str | None:
        """Its name, or None for one that is not in `ITEMS`."""
        return ITEMS[self.number - 1][1] if 0 < self.number <= len(ITEMS) else None

    @property
    def value(self) -> int | str | tuple[int, ...] | None:
        """What it says; None for "not available" and for one that is not in `ITEMS`. Raises `FieldError`."""
        name = self.name
        raw = self.raw
        if name is None or not raw:
            return None
        form = ITEMS[self.number - 1][2]
        if form == CODES:
            return tuple(raw)
        if form == TEXT:
            if not all(0x20 <= byte <= 0x7E for byte in raw):
                raise FieldError("a character that is not printable ASCII", field=name, raw=raw)
            return raw.decode()
        if len(raw) != struct.calcsize(form):
            raise FieldError(f"{len(raw)} bytes, and not {struct.calcsize(form)}", field=name, raw=raw)
        values: tuple[int, ...] = struct.unpack(form, raw)
        return values if form == POSITION else values[0]


class Report:
    """A report. `time_s` is UTC seconds since 1970, None where the buoy does not know it."""

    __slots__ = ("items", "reason", "time_s")

    def __init__(self, reason: int, time_s: int | None, items: list[Item]) -> None:
        self.reason = reason
        self.time_s = time_s
        self.items = items

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Report) and _values(self) == _values(other)

    __hash__ = None  # type: ignore[assignment]  # it holds a list

    def __repr__(self) -> str:
        return "Report" + repr(_values(self))

    def get(self, name: str) -> int | str | tuple[int, ...] | None:
        """The value of an item, the last one where it stands twice; None without one. Raises `FieldError`."""
        for item in reversed(self.items):
            if item.name == name:
                return item.value
        return None


def _values(report: Report) -> tuple[int, int | None, list[Item]]:
    return (report.reason, report.time_s, report.items)


def item_of(name: str, value: int | str | tuple[int, ...] | None) -> Item:
    """An item of our own. Raises `LocalProtocolError`."""
    for number, item_name, form in ITEMS:
        if item_name == name:
            return Item(number, b"" if value is None else _raw(name, form, value))
    raise LocalProtocolError("there is no such item", field=name)


def _raw(name: str, form: str, value: int | str | tuple[int, ...]) -> bytes:
    values = value if isinstance(value, tuple) else (value,)
    if form == TEXT:
        if isinstance(value, str) and 0 < len(value) <= MAX_VALUE_BYTES and all(" " <= one <= "~" for one in value):
            return value.encode()
        raise LocalProtocolError("not 1 to 255 printable characters", field=name)
    sign = 1 if form in (POSITION, ">h") else 0
    size = 8 if form == CODES else 8 * struct.calcsize(form) // (2 if form == POSITION else 1)
    numbers = [one for one in values if isinstance(one, int)]
    fits = [one for one in numbers if -(sign << size - 1) <= one < 1 << size - sign]
    if len(fits) != len(values) or (form != CODES and len(values) != (2 if form == POSITION else 1)) or not values:
        raise LocalProtocolError("does not fit into the item", field=name)
    return bytes(fits) if form == CODES else struct.pack(form, *fits)


def encode_report(report: Report) -> bytes:
    """The body of a report. Raises `LocalProtocolError`."""
    if not (0 <= report.reason <= 255 and (report.time_s is None or 0 < report.time_s < 1 << 32)):
        raise LocalProtocolError("a reason of 8 bits, and a time of 32 that is not 0", field="time")
    parts = [struct.pack(_HEADER, report.reason, report.time_s or 0)]
    for item in report.items:
        if not (0 <= item.number <= 255 and len(item.raw) <= MAX_VALUE_BYTES):
            raise LocalProtocolError("a number of 8 bits, and 255 bytes at most", field="item")
        parts.append(bytes((item.number, len(item.raw))) + item.raw)
    return b"".join(parts)


def decode_report(body: bytes) -> Report:
    """Decode the body of a report. Raises `FieldError` where it ends within an item."""
    if len(body) < _HEADER_BYTES:
        raise FieldError("ends before its items", offset=len(body), field="length", raw=body)
    reason, time_s = struct.unpack(_HEADER, body[:_HEADER_BYTES])
    items = []
    at = _HEADER_BYTES
    while at < len(body):
        end = at + 2 + body[at + 1] if at + 1 < len(body) else len(body) + 1
        if end > len(body):
            raise FieldError("ends within an item", offset=at, field="item", raw=body)
        items.append(Item(body[at], bytes(body[at + 2 : end])))
        at = end
    return Report(reason, time_s or None, items)
