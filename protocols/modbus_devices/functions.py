"""Function and exception codes of Modbus with their limits.

MODBUS Application Protocol Specification V1.1b3, clauses 6 and 7. MicroPython-clean.
"""

READ_COILS = 0x01
READ_DISCRETE = 0x02
READ_HOLDING = 0x03
READ_INPUT = 0x04
WRITE_COIL = 0x05
WRITE_REGISTER = 0x06
WRITE_COILS = 0x0F
WRITE_REGISTERS = 0x10
READ_WRITE_REGISTERS = 0x17
ENCAPSULATED = 0x2B
MEI_DEVICE_ID = 0x0E

MAX_PDU_BYTES = 253
MAX_READ_BITS = 2000
MAX_READ_REGISTERS = 125
MAX_WRITE_COILS = 1968
MAX_WRITE_REGISTERS = 123
MAX_READ_WRITE_REGISTERS = 121
"""How many registers function 17H writes at most; it reads up to `MAX_READ_REGISTERS`."""

ILLEGAL_FUNCTION = 0x01
ILLEGAL_ADDRESS = 0x02
ILLEGAL_VALUE = 0x03
DEVICE_FAILURE = 0x04
ACKNOWLEDGE = 0x05
DEVICE_BUSY = 0x06
MEMORY_PARITY = 0x08
GATEWAY_PATH = 0x0A
GATEWAY_TARGET = 0x0B

EXCEPTION_NAMES = {
    ILLEGAL_FUNCTION: "illegal function",
    ILLEGAL_ADDRESS: "illegal data address",
    ILLEGAL_VALUE: "illegal data value",
    DEVICE_FAILURE: "device failure",
    ACKNOWLEDGE: "acknowledged, still working",
    DEVICE_BUSY: "device busy",
    MEMORY_PARITY: "memory parity error",
    GATEWAY_PATH: "gateway path unavailable",
    GATEWAY_TARGET: "gateway target does not answer",
}
PASSING_EXCEPTIONS = (ACKNOWLEDGE, DEVICE_BUSY, GATEWAY_TARGET)
"""The codes after which the same request may succeed later; all others stay as they are."""


def read_limit(function: int) -> int:
    """How many bits or registers one request of functions 01 to 04 reads at most."""
    return MAX_READ_BITS if function <= READ_DISCRETE else MAX_READ_REGISTERS


def write_limit(function: int) -> int:
    """How many coils or registers one request of functions 0F and 10 writes at most."""
    return MAX_WRITE_COILS if function == WRITE_COILS else MAX_WRITE_REGISTERS
