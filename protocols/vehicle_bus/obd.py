"""OBD-II requests, and the answers of one ECU, already put together (SAE J1979 / ISO 15031-5).

    01 PID [PID ..], 03, 04, 07, 09 info, 0A     what is asked
    41 PID value [PID value ..]       current data
    43 count code code ..             stored faults; 47 pending, 4A permanent. K-line: no count, 00 00 for none
    44                                faults cleared
    49 info count item ..             vehicle information. K-line: a message number for the count, 4 bytes a message
    7F service code                   refused

What is unknown is kept: from the first PID without a row on the rest of the answer stays as bytes.

>>> decode_answer(bytes.fromhex("430201330134")).codes()
['P0133', 'P0134']
"""

import re
from collections.abc import Sequence

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, UnsupportedError
from protocols.vehicle_bus.obd_pids import size_of

ANSWER = 0x40
NEGATIVE = 0x7F
CURRENT_DATA = 0x01
STORED_FAULTS = 0x03
CLEAR_FAULTS = 0x04
PENDING_FAULTS = 0x07
VEHICLE_INFORMATION = 0x09
PERMANENT_FAULTS = 0x0A
FAULT_SERVICES = (STORED_FAULTS, PENDING_FAULTS, PERMANENT_FAULTS)
MAX_PIDS = 6
"""PIDs that one request on CAN may ask for."""
PENDING = 0x78
"""The ECU needs longer: its answer is still to come, within five seconds."""
NEGATIVE_CODES = {
    0x10: "general_reject",
    0x11: "service_not_supported",
    0x12: "subfunction_not_supported",
    0x21: "busy",
    0x22: "conditions_not_correct",
    0x31: "out_of_range",
    PENDING: "pending",
}
_SYSTEMS = "PCBU"
_CODE = re.compile(rf"([{_SYSTEMS}])([0-3])([0-9A-Fa-f]{{3}})")


class ServiceRequest(msgspec.Struct, frozen=True):
    """What a tester asks. parameters: PIDs of service 01, six at most; the info type of service 09; else none."""

    service: int
    parameters: bytes = b""


class NegativeAnswer(msgspec.Struct, frozen=True):
    """A refusal, or (code 78) a promise."""

    service: int
    code: int


class PidValue(msgspec.Struct, frozen=True):
    """One PID and its bytes."""

    pid: int
    data: bytes


class CurrentData(msgspec.Struct, frozen=True):
    """Service 01. rest: from the first PID without a row to the end."""

    values: tuple[PidValue, ...] = ()
    rest: bytes = b""


class FaultCodes(msgspec.Struct, frozen=True):
    """Service 03, 07 or 0A: two bytes a code, with those that say "none". has_count: as on CAN."""

    service: int
    numbers: tuple[int, ...] = ()
    has_count: bool = True

    def codes(self) -> list[str]:
        """The codes as they are written, P0420, without "none"."""
        return [code_text(number) for number in self.numbers if number]


class FaultsCleared(msgspec.Struct, frozen=True):
    """Service 04."""


class VehicleInformation(msgspec.Struct, frozen=True):
    """Service 09. data: what follows the info type, of one message."""

    info: int
    data: bytes


Answer = NegativeAnswer | CurrentData | FaultCodes | FaultsCleared | VehicleInformation


def decode_request(data: bytes) -> ServiceRequest:
    """Read a request. Raises `FrameError` for an empty one, `FieldError` for more PIDs than one may ask for."""
    if not data:
        raise FrameError("an empty request", offset=0)
    if data[0] >= ANSWER:
        raise FieldError(f"a service is below 40, not {data[0]:02x}", offset=0, field="service", raw=data)
    if data[0] == CURRENT_DATA and not 1 <= len(data) - 1 <= MAX_PIDS:
        raise FieldError(f"1 to {MAX_PIDS} PIDs, not {len(data) - 1}", offset=1, field="pid", raw=data)
    return ServiceRequest(data[0], bytes(data[1:]))


def encode_request(request: ServiceRequest) -> bytes:
    """Write a request. Raises `LocalProtocolError`."""
    if not 0 <= request.service < ANSWER:
        raise LocalProtocolError("a service is below 40", field="service")
    if request.service == CURRENT_DATA and not 1 <= len(request.parameters) <= MAX_PIDS:
        raise LocalProtocolError(f"1 to {MAX_PIDS} PIDs", field="pid")
    return bytes((request.service,)) + request.parameters


def decode_answer(data: bytes, *, has_count: bool = True) -> Answer:
    """Read one answer; has_count: faults are counted, as on CAN. Raises `RemoteProtocolError`."""
    if not data:
        raise FrameError("an empty answer", offset=0)
    if data[0] == NEGATIVE:
        if len(data) != 3:
            raise FieldError(f"a refusal has 3 bytes, not {len(data)}", offset=len(data), field="negative_code")
        return NegativeAnswer(data[1], data[2])
    service = data[0] - ANSWER
    if service == CURRENT_DATA:
        return _decode_current(data)
    if service in FAULT_SERVICES:
        return _decode_faults(service, data, has_count=has_count)
    if service == CLEAR_FAULTS:
        if len(data) != 1:
            raise FieldError("nothing follows", offset=1, field="service", raw=data)
        return FaultsCleared()
    if service == VEHICLE_INFORMATION:
        if len(data) < 2:
            raise FieldError("no info type", offset=1, field="info", raw=data)
        return VehicleInformation(data[1], bytes(data[2:]))
    raise UnsupportedError(f"an answer that begins with {data[0]:02x}", offset=0, field="service", raw=data)


def _decode_current(data: bytes) -> CurrentData:
    if len(data) == 1:
        raise FieldError("no PID", offset=1, field="pid", raw=data)
    values: list[PidValue] = []
    at = 1
    while at < len(data):
        size = size_of(data[at])
        if size is None:
            return CurrentData(tuple(values), bytes(data[at:]))
        value = bytes(data[at + 1 : at + 1 + size])
        if len(value) < size:
            raise FieldError(f"PID {data[at]:02x} has {size} bytes", offset=len(data), field="pid", raw=data)
        values.append(PidValue(data[at], value))
        at += 1 + size
    return CurrentData(tuple(values))


def _decode_faults(service: int, data: bytes, *, has_count: bool) -> FaultCodes:
    first = 2 if has_count else 1
    if len(data) < first or (len(data) - first) % 2:
        raise FieldError("two bytes for each fault", offset=len(data), field="dtcs", raw=data)
    numbers = tuple(int.from_bytes(data[at : at + 2], "big") for at in range(first, len(data), 2))
    if has_count and data[1] != len(numbers):
        raise FieldError(f"{data[1]} faults announced, {len(numbers)} there", offset=1, field="dtc_count", raw=data)
    return FaultCodes(service, numbers, has_count)


def encode_answer(answer: Answer) -> bytes:
    """Write one answer. Raises `LocalProtocolError`."""
    try:
        return _encoded(answer)
    except (ValueError, OverflowError):
        raise LocalProtocolError("a number does not fit its bytes", field="service") from None


def _encoded(answer: Answer) -> bytes:
    match answer:
        case NegativeAnswer():
            return bytes((NEGATIVE, answer.service, answer.code))
        case CurrentData():
            values = b"".join(bytes((value.pid,)) + value.data for value in answer.values)
            return bytes((ANSWER | CURRENT_DATA,)) + values + answer.rest
        case FaultCodes():
            head = (ANSWER + answer.service, len(answer.numbers))[: 1 + answer.has_count]
            return bytes(head) + b"".join(number.to_bytes(2, "big") for number in answer.numbers)
        case FaultsCleared():
            return bytes((ANSWER | CLEAR_FAULTS,))
        case VehicleInformation():
            return bytes((ANSWER | VEHICLE_INFORMATION, answer.info)) + answer.data


def join_kline(messages: Sequence[bytes]) -> list[bytes]:
    """The messages of one ECU on the K-line in order: faults as they came, information by its message number.

    Raises `FrameError` for none, `FieldError` for messages that do not make one answer.
    """
    if not messages or not all(messages):
        raise FrameError("an empty answer", offset=0)
    if len(messages) == 1:
        return list(messages)
    kinds = {message[0] for message in messages}
    if len(kinds) == 1 and messages[0][0] - ANSWER in FAULT_SERVICES:
        return list(messages)
    if kinds == {ANSWER | VEHICLE_INFORMATION}:
        ordered = sorted(messages, key=lambda message: message[2:3])
        if _are_numbered([message[2:3] for message in ordered]):
            return ordered
        raise FieldError("not every message from the first to the last", field="info", raw=ordered[-1])
    raise FieldError("several messages where one is due", field="service", raw=messages[1])


def _are_numbered(numbers: list[bytes]) -> bool:
    """Whether these are 1, 2, 3 and so on, a byte each."""
    return len(numbers) <= 0xFF and b"".join(numbers) == bytes(range(1, len(numbers) + 1))


def decode_kline(messages: Sequence[bytes]) -> Answer:
    """Read the messages of one ECU on the K-line, without header and checksum, as one answer.

    Vehicle information loses the message numbers. Raises `RemoteProtocolError`.
    """
    ordered = join_kline(messages)
    answers = [decode_answer(message, has_count=False) for message in ordered]
    first = answers[0]
    if isinstance(first, FaultCodes):
        numbers = tuple(number for one in answers if isinstance(one, FaultCodes) for number in one.numbers)
        return FaultCodes(first.service, numbers, has_count=False)
    if isinstance(first, VehicleInformation):
        parts = [one for one in answers if isinstance(one, VehicleInformation)]
        if {part.info for part in parts} != {first.info}:
            raise FieldError("several info types in one answer", offset=1, field="info", raw=ordered[-1])
        if not _are_numbered([part.data[:1] for part in parts]):
            raise FieldError("no message numbers from 1 on", offset=2, field="info", raw=ordered[0])
        return VehicleInformation(first.info, b"".join(part.data[1:] for part in parts))
    return first


def code_text(number: int) -> str:
    """A fault code as it is written: 0420H is P0420, C100H is U0100."""
    return f"{_SYSTEMS[number >> 14]}{number >> 12 & 3}{number & 0xFFF:03X}"


def code_number(text: str) -> int:
    """The inverse of `code_text`. Raises `LocalProtocolError`."""
    match = _CODE.fullmatch(text)
    if match is None:
        raise LocalProtocolError(f"{text!r:.20} is not like P0420", field="dtcs")
    system, first, rest = match.groups()
    return _SYSTEMS.index(system) << 14 | int(first) << 12 | int(rest, 16)
