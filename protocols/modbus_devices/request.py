"""What a master asks, without the frame around it.

MODBUS Application Protocol Specification V1.1b3, clause 6. MicroPython-clean. `pdu.py` shows the layouts.
"""

import struct

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.modbus_devices.fields import (
    Pdu,
    check_byte_count,
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
    MAX_READ_REGISTERS,
    MAX_READ_WRITE_REGISTERS,
    MAX_WRITE_COILS,
    MAX_WRITE_REGISTERS,
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
    read_limit,
)


class Request(Pdu):
    """What a master sends."""

    __slots__: tuple[str, ...] = ()

    @property
    def response_bytes(self) -> int | None:
        """The length of the regular answer's PDU, or None where only the answer tells."""
        return None


class ReadRequest(Request):
    """Functions 01, 02 (bits) and 03, 04 (registers)."""

    __slots__ = ("function", "quantity", "start_address")

    def __init__(self, function: int, start_address: int, quantity: int) -> None:
        self.function = function
        self.start_address = start_address
        self.quantity = quantity

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        if self.function not in (READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT):
            raise LocalProtocolError("reading is function 1 to 4, not " + str(self.function), field="function")
        check_range(self.start_address, 0, 0xFFFF, "start_address")
        check_range(self.quantity, 1, read_limit(self.function), "quantity")
        return struct.pack(">BHH", self.function, self.start_address, self.quantity)

    @property
    def response_bytes(self) -> int:
        """See `Request.response_bytes`."""
        if self.function <= READ_DISCRETE:
            return 2 + (self.quantity + 7) // 8
        return 2 + 2 * self.quantity


class WriteCoil(Request):
    """Function 05; the answer is the same again."""

    __slots__ = ("coil_value", "start_address")
    function = WRITE_COIL

    def __init__(self, start_address: int, coil_value: bool) -> None:
        self.start_address = start_address
        self.coil_value = coil_value

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        check_range(self.start_address, 0, 0xFFFF, "start_address")
        return struct.pack(">BHH", WRITE_COIL, self.start_address, 0xFF00 if self.coil_value else 0)

    @property
    def response_bytes(self) -> int:
        """See `Request.response_bytes`."""
        return 5


class WriteRegister(Request):
    """Function 06; the answer is the same again."""

    __slots__ = ("register_value", "start_address")
    function = WRITE_REGISTER

    def __init__(self, start_address: int, register_value: int) -> None:
        self.start_address = start_address
        self.register_value = register_value

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        check_range(self.start_address, 0, 0xFFFF, "start_address")
        check_range(self.register_value, 0, 0xFFFF, "register_value")
        return struct.pack(">BHH", WRITE_REGISTER, self.start_address, self.register_value)

    @property
    def response_bytes(self) -> int:
        """See `Request.response_bytes`."""
        return 5


class WriteCoils(Request):
    """Function 0F. `data` holds the bits as the wire does, unused ones of the last byte included."""

    __slots__ = ("data", "quantity", "start_address")
    function = WRITE_COILS

    def __init__(self, start_address: int, quantity: int, data: bytes) -> None:
        self.start_address = start_address
        self.quantity = quantity
        self.data = data

    @property
    def bits(self) -> list[bool]:
        """The coils' values in rising order."""
        return unpack_bits(self.data)[: self.quantity]

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        check_range(self.start_address, 0, 0xFFFF, "start_address")
        check_range(self.quantity, 1, MAX_WRITE_COILS, "quantity")
        if len(self.data) != (self.quantity + 7) // 8:
            raise LocalProtocolError("the bits do not fill the quantity", field="byte_count")
        return struct.pack(">BHHB", WRITE_COILS, self.start_address, self.quantity, len(self.data)) + self.data

    @property
    def response_bytes(self) -> int:
        """See `Request.response_bytes`."""
        return 5


class WriteRegisters(Request):
    """Function 10. `data` holds the registers as the wire does."""

    __slots__ = ("data", "start_address")
    function = WRITE_REGISTERS

    def __init__(self, start_address: int, data: bytes) -> None:
        self.start_address = start_address
        self.data = data

    @property
    def quantity(self) -> int:
        """How many registers are written."""
        return len(self.data) // 2

    @property
    def registers(self) -> tuple[int, ...]:
        """The registers as unsigned numbers."""
        return unpack_registers(self.data)

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        check_range(self.start_address, 0, 0xFFFF, "start_address")
        quantity = whole_registers(self.data, MAX_WRITE_REGISTERS)
        return struct.pack(">BHHB", WRITE_REGISTERS, self.start_address, quantity, len(self.data)) + self.data

    @property
    def response_bytes(self) -> int:
        """See `Request.response_bytes`."""
        return 5


class ReadWriteRegisters(Request):
    """Function 17: the device writes `data` first, then reads `quantity` registers."""

    __slots__ = ("data", "quantity", "start_address", "write_start_address")
    function = READ_WRITE_REGISTERS

    def __init__(self, start_address: int, quantity: int, write_start_address: int, data: bytes) -> None:
        self.start_address = start_address
        self.quantity = quantity
        self.write_start_address = write_start_address
        self.data = data

    @property
    def registers(self) -> tuple[int, ...]:
        """The registers to write as unsigned numbers."""
        return unpack_registers(self.data)

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        check_range(self.start_address, 0, 0xFFFF, "start_address")
        check_range(self.quantity, 1, MAX_READ_REGISTERS, "quantity")
        check_range(self.write_start_address, 0, 0xFFFF, "write_start_address")
        written = whole_registers(self.data, MAX_READ_WRITE_REGISTERS)
        head = (READ_WRITE_REGISTERS, self.start_address, self.quantity, self.write_start_address, written)
        return struct.pack(">BHHHHB", head[0], head[1], head[2], head[3], head[4], len(self.data)) + self.data

    @property
    def response_bytes(self) -> int:
        """See `Request.response_bytes`."""
        return 2 + 2 * self.quantity


class ReadDeviceId(Request):
    """Function 2B/0E. `read_device_id_code`: 1 basic, 2 regular, 3 extended, 4 one object (clause 6.21)."""

    __slots__ = ("object_id", "read_device_id_code")
    function = ENCAPSULATED

    def __init__(self, read_device_id_code: int, object_id: int = 0) -> None:
        self.read_device_id_code = read_device_id_code
        self.object_id = object_id

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        check_range(self.read_device_id_code, 0, 0xFF, "read_device_id_code")
        check_range(self.object_id, 0, 0xFF, "object_id")
        return bytes((ENCAPSULATED, MEI_DEVICE_ID, self.read_device_id_code, self.object_id))


class RawPdu(Request):
    """A function that has no class of its own, either way; its bytes are kept."""

    __slots__ = ("data", "function")

    def __init__(self, function: int, data: bytes) -> None:
        self.function = function
        self.data = data

    def encode(self) -> bytes:
        """See `Pdu.encode`."""
        check_range(self.function, 1, 0x7F, "function")
        return short_enough(bytes((self.function,)) + self.data)


def decode_request(pdu: bytes) -> Request:
    """What a master asks. Raises `FrameError` for a wrong length, `FieldError` for a value outside its limits."""
    function = function_of(pdu)
    if function >= 0x80:
        raise FieldError("the high bit marks an exception, which no request is", 0, "function", pdu)
    decode = _DECODERS.get(function)
    return RawPdu(function, pdu[1:]) if decode is None else decode(pdu)


def decode_single(pdu: bytes) -> Request:
    """Functions 05 and 06, which look the same both ways."""
    check_length(pdu, 5)
    function, address, value = struct.unpack(">BHH", pdu)
    if function == WRITE_REGISTER:
        return WriteRegister(address, value)
    if value not in (0, 0xFF00):
        raise FieldError(f"a coil is FF00H or 0000H, not {value:04X}H", 3, "coil_value", pdu)
    return WriteCoil(address, value != 0)


def _decode_read(pdu: bytes) -> Request:
    check_length(pdu, 5)
    function, start, quantity = struct.unpack(">BHH", pdu)
    check_quantity(quantity, read_limit(function), 3, pdu)
    return ReadRequest(function, start, quantity)


def _decode_write_coils(pdu: bytes) -> Request:
    _, start, quantity, data = counted(pdu, ">BHHB")
    check_quantity(quantity, MAX_WRITE_COILS, 3, pdu)
    check_byte_count(len(data), (quantity + 7) // 8, 5, pdu)
    return WriteCoils(start, quantity, data)


def _decode_write_registers(pdu: bytes) -> Request:
    _, start, quantity, data = counted(pdu, ">BHHB")
    check_quantity(quantity, MAX_WRITE_REGISTERS, 3, pdu)
    check_byte_count(len(data), 2 * quantity, 5, pdu)
    return WriteRegisters(start, data)


def _decode_read_write(pdu: bytes) -> Request:
    _, start, quantity, write_start, write_quantity, data = counted(pdu, ">BHHHHB")
    check_quantity(quantity, MAX_READ_REGISTERS, 3, pdu)
    check_quantity(write_quantity, MAX_READ_WRITE_REGISTERS, 7, pdu)
    check_byte_count(len(data), 2 * write_quantity, 9, pdu)
    return ReadWriteRegisters(start, quantity, write_start, data)


def _decode_encapsulated(pdu: bytes) -> Request:
    if pdu[1:2] != bytes((MEI_DEVICE_ID,)):
        return RawPdu(ENCAPSULATED, pdu[1:])
    check_length(pdu, 4)
    return ReadDeviceId(pdu[2], pdu[3])


_DECODERS = {
    READ_COILS: _decode_read,
    READ_DISCRETE: _decode_read,
    READ_HOLDING: _decode_read,
    READ_INPUT: _decode_read,
    WRITE_COIL: decode_single,
    WRITE_REGISTER: decode_single,
    WRITE_COILS: _decode_write_coils,
    WRITE_REGISTERS: _decode_write_registers,
    READ_WRITE_REGISTERS: _decode_read_write,
    ENCAPSULATED: _decode_encapsulated,
}
