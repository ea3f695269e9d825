"""Readable form of OBD answers. See `message.py`."""

from collections.abc import Sequence

from protocols.core.errors import LocalProtocolError, OptionError
from protocols.message_fields import Fields
from protocols.vehicle_bus.message_fields import Case, Message, choice, octets, octets_of, texts
from protocols.vehicle_bus.obd import (
    CLEAR_FAULTS,
    CURRENT_DATA,
    FAULT_SERVICES,
    NEGATIVE_CODES,
    VEHICLE_INFORMATION,
    Answer,
    CurrentData,
    FaultCodes,
    FaultsCleared,
    NegativeAnswer,
    PidValue,
    VehicleInformation,
    code_number,
    decode_answer,
    decode_kline,
    encode_answer,
)
from protocols.vehicle_bus.obd_info import (
    CALIBRATION_IDS,
    ITEM_BYTES,
    SUPPORTED,
    VERIFICATION_NUMBERS,
    VIN,
    items_of,
    read_supported,
    read_text,
    read_vin,
    supported_info_octets,
    text_octets,
    vin_octets,
)
from protocols.vehicle_bus.obd_monitors import decode_monitors, encode_monitors, monitors_of
from protocols.vehicle_bus.obd_pids import (
    FUEL_SYSTEM,
    MONITOR_STATUS,
    PIDS,
    PIDS_BY_KEY,
    SUPPORTED_STEP,
    size_of,
    supported_octets,
    supported_of,
)

CAN = "can"
KLINE = "kline"
_MONITOR_KEYS = ("dtc_count", "ignition", "monitors", "monitors_incomplete")
_KLINE_ITEM_BYTES = 4
_KLINE_FAULTS = 3
"""In one message."""


def decode_obd(case: Case) -> Message:
    """Read a case of kind `obd`."""
    bus = choice(case, "bus", (CAN, KLINE))
    if "frames" not in case:
        return {"bus": bus, **read_answer([octets(case)], bus)}
    if bus != KLINE:
        raise OptionError("only the K-line has messages to join; on CAN these are frames of ISO-TP", field="frames")
    if "hex" in case:
        raise OptionError("either hex or frames", field="hex")
    return {"bus": bus, **read_answer([octets_of(one, "frames") for one in texts(case, "frames")], bus)}


def read_answer(messages: Sequence[bytes], bus: str) -> Message:
    """The keys of the answer that these messages of one ECU make. Raises `RemoteProtocolError`."""
    is_kline = bus == KLINE
    return _read(decode_kline(messages) if is_kline else decode_answer(messages[0]), is_kline=is_kline)


def _read(answer: Answer, *, is_kline: bool) -> Message:
    match answer:
        case NegativeAnswer(service=service, code=code):
            return {"service": service, "negative_code": code, "negative": NEGATIVE_CODES.get(code)}
        case CurrentData():
            return {"service": CURRENT_DATA, **_read_current(answer)}
        case FaultCodes():
            count = {} if is_kline else {"dtc_count": len(answer.numbers)}
            return {"service": answer.service, **count, "dtcs": answer.codes()}
        case FaultsCleared():
            return {"service": CLEAR_FAULTS}
        case VehicleInformation():
            return {"service": VEHICLE_INFORMATION, "info": answer.info, **_read_info(answer, is_kline=is_kline)}


def _read_current(answer: CurrentData) -> Message:
    out: Message = {}
    supported: set[int] = set()
    for value in answer.values:
        if value.pid % SUPPORTED_STEP == 0:
            supported.update(supported_of(value.pid, value.data))
            out["supported_pids"] = []  # its place; the list follows below
        elif value.pid == MONITOR_STATUS:
            monitors = decode_monitors(value.data)
            out["mil"] = int(monitors.has_lamp)
            out["dtc_count"] = monitors.fault_count
            out["ignition"] = monitors.ignition
            out["monitors"] = monitors.supported()
            out["monitors_incomplete"] = monitors.incomplete()
        elif value.pid == FUEL_SYSTEM:
            out["fuel_system"] = list(value.data)
        else:
            row = PIDS[value.pid]
            out[row.key] = row.value(value.data)
    if "supported_pids" in out:
        out["supported_pids"] = sorted(supported)
    if answer.rest:
        out["unknown_pid"] = answer.rest[0]
        out["raw"] = answer.rest[1:].hex()
    return out


def _read_info(answer: VehicleInformation, *, is_kline: bool) -> Message:
    if answer.info == SUPPORTED:
        # On CAN some ECUs count here too, as for every other info type.
        is_counted = not is_kline and len(answer.data) == 5 and answer.data[0] == 1
        return {"supported_infos": read_supported(answer.data[1:] if is_counted else answer.data)}
    if answer.info != VIN and answer.info not in ITEM_BYTES:
        return {"raw": answer.data.hex()}
    count = None if is_kline or not answer.data else answer.data[0]
    data = answer.data if is_kline else answer.data[1:]
    if answer.info == VIN:
        return {"vin": read_vin(data)}
    items = items_of(answer.info, data, count)
    if answer.info == CALIBRATION_IDS:
        return {"calibration_ids": [read_text(item, "calibration_ids") for item in items]}
    if answer.info == VERIFICATION_NUMBERS:
        return {"cvns": [item.hex() for item in items]}
    return {"ecu_name": " ".join(read_text(item, "ecu_name") for item in items)}


def encode_obd(fields: Fields) -> Message:
    """Write a message of kind `obd`."""
    bus = fields.text("bus") if fields.has("bus") else CAN
    if bus not in {CAN, KLINE}:
        raise LocalProtocolError("can or kline", field="bus")
    service = fields.integer("service", 0xFF)
    if bus == KLINE and not fields.has("negative_code"):
        if service == VEHICLE_INFORMATION:
            return {"frames": _kline_frames(fields)}
        if service in FAULT_SERVICES:
            messages = _kline_faults(service, fields)
            return {"hex": messages[0]} if len(messages) == 1 else {"frames": messages}
    return {"hex": encode_answer(_answer_of(service, fields)).hex()}


def _kline_faults(service: int, fields: Fields) -> list[str]:
    numbers = [code_number(code) for code in fields.names("dtcs")] or [0]
    numbers += [0] * (-len(numbers) % _KLINE_FAULTS)
    groups = [tuple(numbers[at : at + _KLINE_FAULTS]) for at in range(0, len(numbers), _KLINE_FAULTS)]
    return [encode_answer(FaultCodes(service, group, has_count=False)).hex() for group in groups]


def _answer_of(service: int, fields: Fields) -> Answer:
    if fields.has("negative_code"):
        return NegativeAnswer(service, fields.integer("negative_code", 0xFF))
    if service == CURRENT_DATA:
        return _current_of(fields)
    if service in FAULT_SERVICES:
        numbers = [code_number(code) for code in fields.names("dtcs")]
        nones = fields.integer("dtc_count", 0xFF, min(len(numbers), 0xFF)) - len(numbers)
        if nones < 0:
            raise LocalProtocolError("as many as there are, 255 at most", field="dtc_count")
        return FaultCodes(service, (*numbers, *(0,) * nones))  # those that say "none" are counted, but have no text
    if service == CLEAR_FAULTS:
        return FaultsCleared()
    if service == VEHICLE_INFORMATION:
        info = fields.integer("info", 0xFF)
        if info == SUPPORTED or (info != VIN and info not in ITEM_BYTES):
            return VehicleInformation(info, _info_of(info, fields))
        data = _info_of(info, fields)
        count = len(data) // ITEM_BYTES.get(info, len(data))
        if not 1 <= count <= 0xFF:
            raise LocalProtocolError(f"1 to 255 items, not {count}", field="info")
        return VehicleInformation(info, bytes((count,)) + data)
    raise LocalProtocolError(f"no answer of service {service:02x} is known", field="service")


def _info_of(info: int, fields: Fields) -> bytes:
    size = ITEM_BYTES.get(info, 0)
    match info:
        case 0:
            return supported_info_octets(fields.integers("supported_infos", 0xFF))
        case 2:
            return vin_octets(fields.text("vin"))
        case 4:
            return b"".join(text_octets(one, size, "calibration_ids") for one in fields.names("calibration_ids"))
        case 6:
            return b"".join(_verification_number(one) for one in fields.names("cvns"))
        case 10:
            return text_octets(fields.text("ecu_name"), size, "ecu_name")
        case _:
            return fields.octets("raw")


def _verification_number(digits: str) -> bytes:
    data = octets_of(digits, "cvns")
    if len(data) != ITEM_BYTES[VERIFICATION_NUMBERS]:
        raise LocalProtocolError("four bytes each", field="cvns")
    return data


def _kline_frames(fields: Fields) -> list[str]:
    info = fields.integer("info", 0xFF)
    data = _info_of(info, fields)
    if len(data) > 0xFF * _KLINE_ITEM_BYTES:
        raise LocalProtocolError("more than 255 messages", field="info")
    data = data.rjust(-(-len(data) // _KLINE_ITEM_BYTES) * _KLINE_ITEM_BYTES, b"\x00")
    parts = [data[at : at + _KLINE_ITEM_BYTES] for at in range(0, len(data), _KLINE_ITEM_BYTES)]
    return [
        encode_answer(VehicleInformation(info, bytes((number,)) + part)).hex() for number, part in enumerate(parts, 1)
    ]


def _current_of(fields: Fields) -> CurrentData:
    beside = {"kind", "bus", "service", "unknown_pid"}
    beside |= {"raw"} if fields.has("unknown_pid") else set()
    beside |= set(_MONITOR_KEYS) if fields.has("mil") else set()
    values = [value for key in fields.all_names() if key not in beside for value in _pids_of(key, fields)]
    rest = b""
    if fields.has("unknown_pid"):
        pid = fields.integer("unknown_pid", 0xFF)
        if size_of(pid) is not None:
            raise LocalProtocolError(f"PID {pid:02x} is known", field="unknown_pid")
        rest = bytes((pid,)) + fields.octets("raw", default="")
    if not values and not rest:
        raise LocalProtocolError("one PID at least", field="service")
    return CurrentData(tuple(values), rest)


def _pids_of(key: str, fields: Fields) -> list[PidValue]:
    """The PIDs that a key stands for."""
    match key:
        case "supported_pids":
            return _supported_of(fields.integers(key, 0xFF))
        case "mil":
            return [PidValue(MONITOR_STATUS, _monitor_status(fields))]
        case "fuel_system":
            systems = fields.integers(key, 0xFF)
            if len(systems) != 2:
                raise LocalProtocolError("two numbers", field=key)
            return [PidValue(FUEL_SYSTEM, bytes(systems))]
    row = PIDS_BY_KEY.get(key)
    number = fields.number(key)
    if row is None or number is None:
        raise LocalProtocolError("no such PID, or no number", field=key)
    return [PidValue(row.pid, row.octets(number))]


def _monitor_status(fields: Fields) -> bytes:
    monitors = monitors_of(
        has_lamp=bool(fields.integer("mil", 1)),
        fault_count=fields.integer("dtc_count", 0x7F),
        ignition=fields.text("ignition"),
        supported=fields.names("monitors"),
        incomplete=fields.names("monitors_incomplete"),
    )
    return encode_monitors(monitors)


def _supported_of(supported: list[int]) -> list[PidValue]:
    if 0 in supported:
        raise LocalProtocolError("nothing tells whether there is PID 00", field="supported_pids")
    bases = sorted({(pid - 1) // SUPPORTED_STEP * SUPPORTED_STEP for pid in supported} or {0})
    return [PidValue(base, supported_octets(base, supported)) for base in bases]
