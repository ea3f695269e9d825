"""Requests and answers of Modbus, without the frame around them.

MODBUS Application Protocol Specification V1.1b3, clause 6 (functions), 7 (exceptions). MicroPython-clean.

    function 1 | data            at most 253 bytes in all; numbers high byte first
    function + 80H | code 1      an exception: the device will not

    code    asks for             request                                     answer
    01 02   coils, inputs        start 2, quantity 2                         byte count 1, bits (lowest bit first)
    03 04   holding, input       start 2, quantity 2                         byte count 1, registers
    05 06   write one            address 2, value 2                          the same again
    0F 10   write many           start 2, quantity 2, byte count 1, values   start 2, quantity 2
    17      write and read       start 2, quantity 2, write start 2,
                                 write quantity 2, byte count 1, values      byte count 1, registers
    2B/0E   identification       0E, code 1, object 1                        0E, code 1, conformity 1, more 1, next 1,
                                                                             count 1, (object 1, length 1, value) ...

Each class holds what the wire holds and encodes back to the same bytes; every other function is a `RawPdu` that keeps
its bytes. `encode()` raises `LocalProtocolError`, `decode_request` and `decode_response` raise `RemoteProtocolError`;
`check_answer` tells whether an answer belongs to a request. Function 2B with another MEI type than 0E is raw as well.

>>> ReadRequest(READ_INPUT, 0x34, 2).encode().hex()
'0400340002'
>>> decode_response(bytes.fromhex("040443663334")).registers
(17254, 13108)
"""

from protocols.core.errors import FieldError
from protocols.modbus_devices.fields import Pdu, pack_bits, pack_registers, unpack_bits, unpack_registers
from protocols.modbus_devices.functions import (
    ACKNOWLEDGE,
    DEVICE_BUSY,
    DEVICE_FAILURE,
    ENCAPSULATED,
    EXCEPTION_NAMES,
    GATEWAY_PATH,
    GATEWAY_TARGET,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    MAX_PDU_BYTES,
    MAX_READ_BITS,
    MAX_READ_REGISTERS,
    MAX_READ_WRITE_REGISTERS,
    MAX_WRITE_COILS,
    MAX_WRITE_REGISTERS,
    MEI_DEVICE_ID,
    MEMORY_PARITY,
    PASSING_EXCEPTIONS,
    READ_COILS,
    READ_DISCRETE,
    READ_HOLDING,
    READ_INPUT,
    READ_WRITE_REGISTERS,
    WRITE_COIL,
    WRITE_COILS,
    WRITE_REGISTER,
    WRITE_REGISTERS,
)
from protocols.modbus_devices.request import (
    RawPdu,
    ReadDeviceId,
    ReadRequest,
    ReadWriteRegisters,
    Request,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
    decode_request,
)
from protocols.modbus_devices.response import (
    BitsResponse,
    DeviceId,
    ExceptionResponse,
    RegistersResponse,
    WrittenRange,
    decode_response,
)

__all__ = [
    "ACKNOWLEDGE",
    "DEVICE_BUSY",
    "DEVICE_FAILURE",
    "ENCAPSULATED",
    "EXCEPTION_NAMES",
    "GATEWAY_PATH",
    "GATEWAY_TARGET",
    "ILLEGAL_ADDRESS",
    "ILLEGAL_FUNCTION",
    "ILLEGAL_VALUE",
    "MAX_PDU_BYTES",
    "MAX_READ_BITS",
    "MAX_READ_REGISTERS",
    "MAX_READ_WRITE_REGISTERS",
    "MAX_WRITE_COILS",
    "MAX_WRITE_REGISTERS",
    "MEI_DEVICE_ID",
    "MEMORY_PARITY",
    "PASSING_EXCEPTIONS",
    "READ_COILS",
    "READ_DISCRETE",
    "READ_HOLDING",
    "READ_INPUT",
    "READ_WRITE_REGISTERS",
    "WRITE_COIL",
    "WRITE_COILS",
    "WRITE_REGISTER",
    "WRITE_REGISTERS",
    "BitsResponse",
    "DeviceId",
    "ExceptionResponse",
    "Pdu",
    "RawPdu",
    "ReadDeviceId",
    "ReadRequest",
    "ReadWriteRegisters",
    "RegistersResponse",
    "Request",
    "WriteCoil",
    "WriteCoils",
    "WriteRegister",
    "WriteRegisters",
    "WrittenRange",
    "check_answer",
    "decode_request",
    "decode_response",
    "pack_bits",
    "pack_registers",
    "unpack_bits",
    "unpack_registers",
]


def check_answer(request: Request, response: Pdu) -> None:
    """Hold an answer against its request. Raises `FieldError` when it cannot belong to it.

    An exception of the request's function belongs to it.
    """
    if response.function != request.function:
        raise FieldError(f"answers function {response.function} where {request.function} was asked", 0, "function")
    if isinstance(response, (BitsResponse, RegistersResponse)):
        want = request.response_bytes
        if want is not None and len(response.data) != want - 2:
            raise FieldError(f"{len(response.data)} bytes where {want - 2} were asked for", 1, "byte_count")
    elif isinstance(response, (WriteCoil, WriteRegister)):
        if response != request:
            raise FieldError("the device did not repeat what was written", 1, "value")
    elif (
        isinstance(response, WrittenRange)
        and isinstance(request, (WriteCoils, WriteRegisters))
        and (response.start_address, response.quantity) != (request.start_address, request.quantity)
    ):
        raise FieldError("the device did not confirm the range that was written", 1, "start_address")
