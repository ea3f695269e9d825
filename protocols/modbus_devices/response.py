"""What a device answers, without the frame around it.

MODBUS Application Protocol Specification V1.1b3, clauses 6 and 7. MicroPython-clean. `pdu.py` shows the layouts.
"""

import struct

from protocols.core.errors import FieldError, FrameError
from protocols.modbus_devices.fields import (
    Pdu,
    check_length,
    check_quantity,
    check_range,
    counted,
    function_of,
    short_enough,
    unpack_bits,
    unpack_registers,
    whole_registers,
)
from protocols.modbus_devices.functions import (
    ENCAPSULATED,
    MAX_PDU_BYTES,
    MAX_READ_BITS,
    MAX_READ_REGISTERS,
    MEI_DEVICE_ID,
    READ_COILS,
    READ_DISCRETE,
    READ_HOLDING,
    READ_INPUT,
    READ_WRITE_REGISTERS,
    WRITE_COIL,
    WRITE_COILS,
    WRITE_REGISTER,
    WRITE_REGISTERS,
    write_limit,
)
from protocols.modbus_devices.request import RawPdu, decode_single


class BitsResponse(Pdu):
    """The answer to functions 01 and 02. The last byte's unused bits are kept as they came."""

    __slots__ = ("data", "function")

    def __init__(self, function: int, data: bytes) -> None:
        self.function = function
        self.data = data

    @property
    def bits(self) -> list[bool]:
        """Every bit of every byte; the request tells how many of them mean something."""
        return unpack_bits(self.data)

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        check_range(len(self.data), 1, MAX_READ_BITS // 8, "byte_count")
        return bytes((self.function, len(self.data))) + self.data


class RegistersResponse(Pdu):
    """The answer to functions 03, 04 and 17."""

    __slots__ = ("data", "function")

    def __init__(self, function: int, data: bytes) -> None:
        self.function = function
        self.data = data

    @property
    def registers(self) -> tuple[int, ...]:
        """The registers as unsigned numbers."""
        return unpack_registers(self.data)

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        whole_registers(self.data, MAX_READ_REGISTERS)
        return bytes((self.function, len(self.data))) + self.data


class WrittenRange(Pdu):
    """The answer to functions 0F and 10."""

    __slots__ = ("function", "quantity", "start_address")

    def __init__(self, function: int, start_address: int, quantity: int) -> None:
        self.function = function
        self.start_address = start_address
        self.quantity = quantity

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        check_range(self.start_address, 0, 0xFFFF, "start_address")
        check_range(self.quantity, 1, write_limit(self.function), "quantity")
        return struct.pack(">BHH", self.function, self.start_address, self.quantity)


class DeviceId(Pdu):
    """The answer to function 2B/0E. `objects`: (object id, bytes) in the order of the wire; texts are ASCII."""

    __slots__ = ("conformity_level", "more_follows", "next_object_id", "objects", "read_device_id_code")
    function = ENCAPSULATED

    def __init__(
        self,
        read_device_id_code: int,
        conformity_level: int,
        more_follows: int,
        next_object_id: int,
        objects: list[tuple[int, bytes]],
    ) -> None:
        self.read_device_id_code = read_device_id_code
        self.conformity_level = conformity_level
        self.more_follows = more_follows
        self.next_object_id = next_object_id
        self.objects = objects

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        numbers = (
            self.read_device_id_code,
            self.conformity_level,
            self.more_follows,
            self.next_object_id,
            len(self.objects),
        )
        for number in numbers:
            check_range(number, 0, 0xFF, "device identification")
        out = bytes((ENCAPSULATED, MEI_DEVICE_ID)) + bytes(numbers)
        for object_id, value in self.objects:
            check_range(object_id, 0, 0xFF, "object_id")
            check_range(len(value), 0, MAX_PDU_BYTES, "object length")
            out += bytes((object_id, len(value))) + value
        return short_enough(out)


class ExceptionResponse(Pdu):
    """The device will not. `function` is the request's, without the high bit."""

    __slots__ = ("exception_code", "function")

    def __init__(self, function: int, exception_code: int) -> None:
        self.function = function
        self.exception_code = exception_code

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        check_range(self.function, 1, 0x7F, "function")
        check_range(self.exception_code, 0, 0xFF, "exception_code")
        return bytes((self.function | 0x80, self.exception_code))


def decode_response(pdu: bytes) -> Pdu:
    """What a device answers. Raises `FrameError` for a wrong length, `FieldError` for a value outside its limits.

    An exception is an answer, not an error.
    """
    function = function_of(pdu)
    if function >= 0x80:
        check_length(pdu, 2)
        return ExceptionResponse(function & 0x7F, pdu[1])
    decode = _DECODERS.get(function)
    return RawPdu(function, pdu[1:]) if decode is None else decode(pdu)


def _decode_registers(pdu: bytes) -> Pdu:
    function, data = counted(pdu, ">BB")
    if len(data) & 1 or not 2 <= len(data) <= 2 * MAX_READ_REGISTERS:
        raise FieldError(f"registers take 2 to 250 bytes, an even number, not {len(data)}", 1, "byte_count", pdu)
    return RegistersResponse(function, data)


def _decode_bits(pdu: bytes) -> Pdu:
    function, data = counted(pdu, ">BB")
    if not 1 <= len(data) <= MAX_READ_BITS // 8:
        raise FieldError(f"bits take 1 to 250 bytes, not {len(data)}", 1, "byte_count", pdu)
    return BitsResponse(function, data)


def _decode_written(pdu: bytes) -> Pdu:
    check_length(pdu, 5)
    function, start, quantity = struct.unpack(">BHH", pdu)
    check_quantity(quantity, write_limit(function), 3, pdu)
    return WrittenRange(function, start, quantity)


def _decode_encapsulated(pdu: bytes) -> Pdu:
    if pdu[1:2] != bytes((MEI_DEVICE_ID,)):
        return RawPdu(ENCAPSULATED, pdu[1:])
    if len(pdu) < 7:
        raise FrameError("a device identification has 7 bytes at least", len(pdu), "byte_count", pdu)
    objects = []
    at = 7
    for _ in range(pdu[6]):
        if at + 2 > len(pdu) or at + 2 + pdu[at + 1] > len(pdu):
            raise FrameError("an identification object is cut off", at, "objects", pdu)
        end = at + 2 + pdu[at + 1]
        objects.append((pdu[at], pdu[at + 2 : end]))
        at = end
    if at != len(pdu):
        raise FrameError("bytes behind the last identification object", at, "objects", pdu)
    return DeviceId(pdu[2], pdu[3], pdu[4], pdu[5], objects)


_DECODERS = {
    READ_COILS: _decode_bits,
    READ_DISCRETE: _decode_bits,
    READ_HOLDING: _decode_registers,
    READ_INPUT: _decode_registers,
    READ_WRITE_REGISTERS: _decode_registers,
    WRITE_COIL: decode_single,
    WRITE_REGISTER: decode_single,
    WRITE_COILS: _decode_written,
    WRITE_REGISTERS: _decode_written,
    ENCAPSULATED: _decode_encapsulated,
}
