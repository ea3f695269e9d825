"""Requests and answers <-> readable keys.

    read            request  start_address quantity
                    answer   byte_count, bits (booleans) or registers (unsigned numbers)
    write one       both     start_address, coil_value or register_value
    write many      request  start_address quantity byte_count, bits or registers
                    answer   start_address quantity
    write and read  request  start_address quantity write_start_address write_quantity byte_count registers
                    answer   byte_count registers
    identification  request  read_device_id_code object_id
                    answer   read_device_id_code conformity_level more_follows next_object_id objects
    exception       answer   is_exception exception_code exception_name

All have `function`; of a function without a row here it is the only key, so such a message is not written back.
Values of identification objects are texts in which each character is one byte (ISO 8859-1), so that none is lost.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.modbus_devices.pdu import (
    ENCAPSULATED,
    EXCEPTION_NAMES,
    READ_COILS,
    READ_DISCRETE,
    READ_HOLDING,
    READ_INPUT,
    READ_WRITE_REGISTERS,
    WRITE_COIL,
    WRITE_COILS,
    WRITE_REGISTER,
    WRITE_REGISTERS,
    BitsResponse,
    DeviceId,
    ExceptionResponse,
    Pdu,
    ReadDeviceId,
    ReadRequest,
    ReadWriteRegisters,
    RegistersResponse,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
    WrittenRange,
    decode_request,
    decode_response,
    pack_bits,
    pack_registers,
)

T = TypeVar("T")
Byte = Annotated[int, msgspec.Meta(ge=0, le=0xFF)]
Word = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]


class ObjectFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One identification object."""

    object_id: Byte
    value: str


class PduFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that a message can have, as it is written; which of them it needs depends on its function."""

    function: Annotated[int, msgspec.Meta(ge=1, le=0x7F)]
    start_address: Word | None = None
    quantity: Word | None = None
    write_start_address: Word | None = None
    write_quantity: Word | None = None
    byte_count: Byte | None = None
    bits: list[bool] | None = None
    registers: list[Word] | None = None
    coil_value: bool | None = None
    register_value: Word | None = None
    is_exception: bool = False
    exception_code: Byte | None = None
    exception_name: str | None = None
    read_device_id_code: Byte | None = None
    object_id: Byte | None = None
    conformity_level: Byte | None = None
    more_follows: Byte = 0
    next_object_id: Byte = 0
    objects: list[ObjectFields] | None = None


def decode_pdu(pdu: bytes, direction: str | None) -> Pdu:
    """A PDU by its direction, `request` or `response`; None: an answer if it makes sense as one, else a request.

    Requests and answers of functions 05 and 06 are the same. Raises `RemoteProtocolError`.
    """
    if direction == "request":
        return decode_request(pdu)
    try:
        return decode_response(pdu)
    except RemoteProtocolError:
        if direction == "response" or pdu[:1] >= b"\x80":
            raise
    return decode_request(pdu)


def message_of(pdu: Pdu, quantity: int | None = None) -> dict[str, object]:
    """The readable keys of a PDU. `quantity`: how many bits were asked for, where it is known."""
    message: dict[str, object] = {"function": pdu.function}
    if isinstance(pdu, ExceptionResponse):
        message["is_exception"] = True
    for key in _KEYS.get(type(pdu), ()):
        read = _READERS.get(key)
        message[key] = getattr(pdu, key) if read is None else read(pdu)
    if isinstance(pdu, BitsResponse):
        message["bits"] = pdu.bits[:quantity]
    return message


def pdu_of(fields: PduFields) -> Pdu:
    """The PDU that a message describes: by its function and by which keys it has. Raises `LocalProtocolError`."""
    if fields.is_exception:
        return ExceptionResponse(fields.function, _given(fields.exception_code, "exception_code"))
    write = _WRITERS.get(fields.function)
    if write is None:
        raise LocalProtocolError(f"function {fields.function} has no readable form to write", field="function")
    pdu = write(fields)
    data = getattr(pdu, "data", None)
    if fields.byte_count is not None and data is not None and fields.byte_count != len(data):
        raise LocalProtocolError(f"is {fields.byte_count} where {len(data)} bytes follow", field="byte_count")
    return pdu


def _write_read(fields: PduFields) -> Pdu:
    if fields.bits is not None and fields.function <= READ_DISCRETE:
        return BitsResponse(fields.function, pack_bits(fields.bits))
    if fields.registers is not None and fields.function > READ_DISCRETE:
        return RegistersResponse(fields.function, pack_registers(fields.registers))
    return ReadRequest(fields.function, *_range(fields))


def _write_coil(fields: PduFields) -> Pdu:
    return WriteCoil(_given(fields.start_address, "start_address"), _given(fields.coil_value, "coil_value"))


def _write_register(fields: PduFields) -> Pdu:
    return WriteRegister(_given(fields.start_address, "start_address"), _given(fields.register_value, "register_value"))


def _write_coils(fields: PduFields) -> Pdu:
    start_address, quantity = _range(fields)
    if fields.bits is None:
        return WrittenRange(WRITE_COILS, start_address, quantity)
    _agree(quantity, len(fields.bits), "quantity")
    return WriteCoils(start_address, quantity, pack_bits(fields.bits))


def _write_registers(fields: PduFields) -> Pdu:
    start_address, quantity = _range(fields)
    if fields.registers is None:
        return WrittenRange(WRITE_REGISTERS, start_address, quantity)
    _agree(quantity, len(fields.registers), "quantity")
    return WriteRegisters(start_address, pack_registers(fields.registers))


def _write_read_write(fields: PduFields) -> Pdu:
    registers = _given(fields.registers, "registers")
    if fields.write_start_address is None:
        return RegistersResponse(READ_WRITE_REGISTERS, pack_registers(registers))
    if fields.write_quantity is not None:
        _agree(fields.write_quantity, len(registers), "write_quantity")
    return ReadWriteRegisters(*_range(fields), fields.write_start_address, pack_registers(registers))


def _write_identification(fields: PduFields) -> Pdu:
    code = _given(fields.read_device_id_code, "read_device_id_code")
    if fields.objects is None:
        return ReadDeviceId(code, fields.object_id or 0)
    try:
        objects = [(each.object_id, each.value.encode("latin-1")) for each in fields.objects]
    except UnicodeEncodeError:
        raise LocalProtocolError("each character is one byte, up to U+00FF", field="objects") from None
    level = _given(fields.conformity_level, "conformity_level")
    return DeviceId(code, level, fields.more_follows, fields.next_object_id, objects)


_WRITERS: dict[int, Callable[[PduFields], Pdu]] = {
    READ_COILS: _write_read,
    READ_DISCRETE: _write_read,
    READ_HOLDING: _write_read,
    READ_INPUT: _write_read,
    WRITE_COIL: _write_coil,
    WRITE_REGISTER: _write_register,
    WRITE_COILS: _write_coils,
    WRITE_REGISTERS: _write_registers,
    READ_WRITE_REGISTERS: _write_read_write,
    ENCAPSULATED: _write_identification,
}


_KEYS: dict[type[Pdu], tuple[str, ...]] = {
    ReadRequest: ("start_address", "quantity"),
    WriteCoil: ("start_address", "coil_value"),
    WriteRegister: ("start_address", "register_value"),
    WriteCoils: ("start_address", "quantity", "byte_count", "bits"),
    WriteRegisters: ("start_address", "quantity", "byte_count", "registers"),
    ReadWriteRegisters: (
        "start_address",
        "quantity",
        "write_start_address",
        "write_quantity",
        "byte_count",
        "registers",
    ),
    ReadDeviceId: ("read_device_id_code", "object_id"),
    BitsResponse: ("byte_count", "bits"),
    RegistersResponse: ("byte_count", "registers"),
    WrittenRange: ("start_address", "quantity"),
    DeviceId: ("read_device_id_code", "conformity_level", "more_follows", "next_object_id", "objects"),
    ExceptionResponse: ("exception_code", "exception_name"),
}
_READERS: dict[str, Callable[[Any], object]] = {
    "byte_count": lambda pdu: len(pdu.data),
    "write_quantity": lambda pdu: len(pdu.data) // 2,
    "registers": lambda pdu: list(pdu.registers),
    "objects": lambda pdu: [{"object_id": i, "value": value.decode("latin-1")} for i, value in pdu.objects],
    "exception_name": lambda pdu: EXCEPTION_NAMES.get(pdu.exception_code, "of the device's own"),
}
"""How a key is read whose name or type is not the wire type's own."""


def _range(fields: PduFields) -> tuple[int, int]:
    return _given(fields.start_address, "start_address"), _given(fields.quantity, "quantity")


def _given(value: T | None, field: str) -> T:
    if value is None:
        raise LocalProtocolError("is missing", field=field)
    return value


def _agree(said: int, have: int, field: str) -> None:
    if said != have:
        raise LocalProtocolError(f"is {said} where {have} are given", field=field)
