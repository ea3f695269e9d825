"""Sentences <-> readable keys: degrees, seconds, ISO dates, nulls.

MicroPython-clean (on a port with 32-bit floats degrees lose digits there: use the wire types). A case holds `text`: one
line, with or without tag block and CR LF; the result is one flat object. `talker` and `formatter` are always there,
`tag` only with a tag block, and every name of the sentence's table: null when the field is empty or missing.

>>> decode_message({"text": "$HEHDT,0.0,T*2F"})
{'talker': 'HE', 'formatter': 'HDT', 'heading_true_deg': 0.0}
>>> encode_message({"talker": "HE", "formatter": "HDT", "heading_true_deg": 4.1})
{'text': '$HEHDT,4.1,T*2A'}
"""

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, OptionError, RemoteProtocolError
from protocols.core.instant import date_text, days_of, is_civil
from protocols.nmea0183.catalogue import KINDS, decode
from protocols.nmea0183.environment import Transducer
from protocols.nmea0183.satellites import Satellite
from protocols.nmea0183.sentence import LINE_END, Sentence, encode_for_sending, tag_length
from protocols.nmea0183.tag_block import TagBlock, tag_of

_KEYS = {
    "GGA": (
        "utc_s",
        "lat_deg",
        "lon_deg",
        "fix_quality",
        "num_sats",
        "hdop",
        "altitude_m",
        "geoid_sep_m",
        "dgps_age_s",
        "dgps_station",
    ),
    "RMC": (
        "utc_s",
        "status",
        "lat_deg",
        "lon_deg",
        "speed_knots",
        "course_deg",
        "date",
        "mag_var_deg",
        "mode",
        "nav_status",
    ),
    "GLL": ("lat_deg", "lon_deg", "utc_s", "status", "mode"),
    "GNS": (
        "utc_s",
        "lat_deg",
        "lon_deg",
        "mode",
        "num_sats",
        "hdop",
        "altitude_m",
        "geoid_sep_m",
        "dgps_age_s",
        "dgps_station",
        "nav_status",
    ),
    "GSA": ("selection_mode", "fix_mode", "sat_ids", "pdop", "hdop", "vdop", "system_id"),
    "GSV": ("num_msgs", "msg_num", "sats_in_view", "sats", "signal_id"),
    "VTG": ("course_true_deg", "course_mag_deg", "speed_knots", "speed_kmh", "mode"),
    "ZDA": ("utc_s", "date", "zone_hours", "zone_minutes"),
    "HDT": ("heading_true_deg",),
    "ROT": ("rate_deg_min", "status"),
    "DBT": ("depth_feet", "depth_m", "depth_fathoms"),
    "DPT": ("depth_m", "offset_m", "max_range_m"),
    "MTW": ("temperature_c",),
    "MWV": ("wind_angle_deg", "wind_reference", "wind_speed", "wind_speed_unit", "status"),
    "XDR": ("transducers",),
    "TXT": ("num_msgs", "msg_num", "text_id", "text"),
}
"""The readable names of each formatter, in the order of its fields."""
_CODES = ("fix_quality", "num_sats", "fix_mode", "system_id", "signal_id", "zone_hours", "zone_minutes")
_COUNTS = ("num_msgs", "msg_num", "sats_in_view", "text_id")
_LETTERS = ("status", "mode", "nav_status", "selection_mode", "wind_reference", "wind_speed_unit")
_TEXTS = ("dgps_station", "text")
_SATELLITE = ("id", "elevation_deg", "azimuth_deg", "snr_db")
_TRANSDUCER = ("type", "value", "unit", "name")


def decode_message(case: dict[str, object]) -> dict[str, object]:
    """Decode the line in `text`. Raises `RemoteProtocolError` and `OptionError`."""
    for key in case:
        if key != "text":
            raise OptionError("nmea0183 takes `text` and nothing else", field=key)
    text = case.get("text")
    if not isinstance(text, str):
        raise OptionError("one line is wanted", field="text")
    for end in ("\n", "\r"):
        if text.endswith(end):
            text = text[:-1]
    foreign = [at for at, character in enumerate(text) if ord(character) >= 0x80]
    if foreign:
        raise FrameError("a character that is not printable ASCII", offset=foreign[0], field="text")
    sentence = decode(text.encode())
    message: dict[str, object] = {} if sentence.tag is None else {"tag": dict(sentence.tag.pairs)}
    message["talker"] = sentence.talker
    message["formatter"] = sentence.formatter
    try:
        for key in _KEYS[sentence.FORMATTER]:
            message[key] = _readable(sentence, key)
    except FieldError as error:  # it counts from the start character
        error.offset = (error.offset or 0) + tag_length(sentence)
        raise
    return message


def _readable(sentence: Sentence, key: str) -> object:
    if key == "utc_s":
        ms = sentence.utc_ms
        return ms / 1000 if isinstance(ms, int) else None
    if key == "date":
        day = sentence.day
        return date_text(day) if isinstance(day, int) else None
    if key in ("lat_deg", "lon_deg"):
        position = sentence.position_e9
        return position[key == "lon_deg"] / 1e9 if isinstance(position, tuple) else None
    value = getattr(sentence, key)
    if key == "sats":
        return [
            {"id": sat.sat_id, "elevation_deg": sat.elevation_deg, "azimuth_deg": sat.azimuth_deg, "snr_db": sat.snr_db}
            for sat in value
        ]
    if key == "transducers":
        return [{"type": one.kind, "value": one.value, "unit": one.unit, "name": one.name} for one in value]
    return value


def encode_message(message: dict[str, object]) -> dict[str, object]:
    """Encode a message into its canonical line, without CR LF: `{"text": ...}`. Raises `LocalProtocolError`."""
    formatter = message.get("formatter")
    talker = message.get("talker")
    if not isinstance(formatter, str) or formatter not in KINDS:
        raise LocalProtocolError("no encoder for this formatter", field="formatter")
    if not isinstance(talker, str):
        raise LocalProtocolError("a talker is two upper-case letters or digits", field="talker")
    keys = _KEYS[formatter]
    for key in message:
        if key not in keys and key not in ("talker", "formatter", "tag"):
            raise LocalProtocolError(formatter + " has no such key", field=key)
    values: dict[str, object] = {}
    for key in keys:
        _put(values, key, message.get(key))
    if "lat_deg" in keys:
        values["position_e9"] = _position_of(message)
    of = getattr(KINDS[formatter], "of", None)
    assert of is not None, "every class of the catalogue writes its own sentence"
    sentence: Sentence = of(talker, **values)
    sentence.tag = _tag_of(message.get("tag"))
    line = encode_for_sending(sentence)[: -len(LINE_END)]
    problem = None
    try:
        decode(line).read()
    except RemoteProtocolError as error:
        problem = error
    if problem is not None:
        raise LocalProtocolError(problem.reason, field=problem.field)
    return {"text": line.decode()}


def _put(values: dict[str, object], key: str, value: object) -> None:
    """Put a readable value under the name that `of()` of its class has for it."""
    if key == "utc_s":
        seconds = _number(value, key)
        values["utc_ms"] = None if seconds is None else round(seconds * 1000)
    elif key == "date":
        values["day"] = None if value is None else _day_of(value)
    elif key == "sat_ids":
        values[key] = [_integer(sat_id, key) for sat_id in _list(value, key)]
    elif key == "sats":
        values[key] = [_satellite_of(sat) for sat in _list(value, key)]
    elif key == "transducers":
        values[key] = [_transducer_of(transducer) for transducer in _list(value, key)]
    elif key in _CODES or key in _COUNTS:
        values[key] = None if value is None else _integer(value, key)
    elif key in _LETTERS or key in _TEXTS:
        values[key] = _text(value, key)
    elif key not in ("lat_deg", "lon_deg"):
        values[key] = _number(value, key)


def _number(value: object, key: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e12 < value < 1e12:
        raise LocalProtocolError("not a number", field=key)
    return float(value)


def _integer(value: object, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise LocalProtocolError("not a whole number", field=key)
    return value


def _text(value: object, key: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise LocalProtocolError("not text", field=key)
    return value


def _list(value: object, key: str) -> list[object]:
    if not isinstance(value, list):
        raise LocalProtocolError("not a list", field=key)
    return value


def _members(value: object, keys: tuple[str, ...]) -> list[object]:
    if not isinstance(value, dict) or not all(key in keys for key in value):
        raise LocalProtocolError("not an object with " + ", ".join(keys), field=keys[0])
    return [value.get(key) for key in keys]


def _satellite_of(value: object) -> Satellite:
    sat_id, elevation, azimuth, snr = _members(value, _SATELLITE)
    return Satellite(
        _integer(sat_id, "id"),
        _number(elevation, "elevation_deg"),
        _number(azimuth, "azimuth_deg"),
        _number(snr, "snr_db"),
    )


def _transducer_of(value: object) -> Transducer:
    kind, measured, unit, name = _members(value, _TRANSDUCER)
    return Transducer(_text(kind, "type"), _number(measured, "value"), _text(unit, "unit"), _text(name, "name"))


def _position_of(message: dict[str, object]) -> tuple[int, int] | None:
    lat = _number(message.get("lat_deg"), "lat_deg")
    lon = _number(message.get("lon_deg"), "lon_deg")
    if lat is None and lon is None:
        return None
    if lat is None or lon is None:
        raise LocalProtocolError("half a position", field="lon_deg" if lon is None else "lat_deg")
    return (round(lat * 1e9), round(lon * 1e9))


def _day_of(value: object) -> int:
    parts = value.split("-") if isinstance(value, str) else []
    if len(parts) == 3 and all(part.isdigit() and len(part) < 5 for part in parts):
        year, month, day = [int(part) for part in parts]
        if is_civil(year, month, day):
            return days_of(year, month, day)
    raise LocalProtocolError("not a date such as 2026-11-24", field="date")


def _tag_of(value: object) -> TagBlock | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(v, str) for pair in value.items() for v in pair):
        raise LocalProtocolError("not an object of texts", field="tag")
    return tag_of(list(value.items()))
