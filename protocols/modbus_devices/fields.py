"""What requests and answers share: their base class, bits and registers, and the checks of their fields.

MicroPython-clean. Checks of what came from outside raise `RemoteProtocolError`s, checks of what we want to send
`LocalProtocolError`s.
"""

import struct

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.modbus_devices.functions import MAX_PDU_BYTES


class Pdu:
    """A request or an answer. Equal when all that the wire carries is equal."""

    __slots__: tuple[str, ...] = ()
    function: int

    def encode(self) -> bytes:
        """The bytes from the function code on. Raises `LocalProtocolError` for what the wire cannot carry."""
        raise NotImplementedError  # every kind has its own; MicroPython has no `abc` that would hold it to that

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(self.encode())

    def __repr__(self) -> str:
        return type(self).__name__ + "(" + ", ".join([repr(getattr(self, name)) for name in self.__slots__]) + ")"


def unpack_bits(data: bytes) -> list[bool]:
    """Bits as the wire has them: the lowest bit of the first byte first."""
    return [byte >> place & 1 == 1 for byte in data for place in range(8)]


def pack_bits(bits: list[bool]) -> bytes:
    """The inverse of `unpack_bits`; unused bits of the last byte are 0."""
    data = bytearray((len(bits) + 7) // 8)
    for place, bit in enumerate(bits):
        if bit:
            data[place >> 3] |= 1 << (place & 7)
    return bytes(data)


def unpack_registers(data: bytes) -> tuple[int, ...]:
    """Registers as unsigned numbers. An odd last byte is our own mistake."""
    return struct.unpack(f">{len(data) // 2}H", data)


def pack_registers(registers: list[int] | tuple[int, ...]) -> bytes:
    """Registers high byte first. Raises `LocalProtocolError` for a value outside 16 bits."""
    for value in registers:
        check_range(value, 0, 0xFFFF, "registers")
    return b"".join([struct.pack(">H", value) for value in registers])


def function_of(pdu: bytes) -> int:
    """The first byte of a PDU from outside, its high bit included."""
    if not pdu:
        raise FrameError("an empty PDU")
    if len(pdu) > MAX_PDU_BYTES:
        raise FrameError(f"a PDU has at most {MAX_PDU_BYTES} bytes, not {len(pdu)}", 0, None, pdu)
    if pdu[0] & 0x7F == 0:
        raise FieldError("there is no function 0", 0, "function", pdu)
    return pdu[0]


def counted(pdu: bytes, head: str) -> tuple:  # type: ignore[type-arg]  # as mixed as struct.unpack's own
    """The head's fields, with the bytes behind in place of the byte count that announces them."""
    size = struct.calcsize(head)
    if len(pdu) < size:
        raise FrameError(f"{len(pdu)} bytes where {size} are due at least", len(pdu), "byte_count", pdu)
    fields = struct.unpack(head, pdu[:size])
    check_byte_count(fields[-1], len(pdu) - size, size - 1, pdu)
    return fields[:-1] + (pdu[size:],)  # noqa: RUF005  # MicroPython does not unpack inside a tuple display


def check_byte_count(count: int, want: int, offset: int, pdu: bytes) -> None:
    """Hold a byte count of the wire against what it counts."""
    if count != want:
        raise FrameError(f"byte count is {count} where {want} are due", offset, "byte_count", pdu)


def check_length(pdu: bytes, want: int) -> None:
    """Hold a PDU against the one length that it can have."""
    if len(pdu) != want:
        raise FrameError(f"{len(pdu)} bytes where {want} are due", min(len(pdu), want), None, pdu)


def check_quantity(quantity: int, limit: int, offset: int, pdu: bytes) -> None:
    """Hold a quantity of the wire against its limit."""
    if not 1 <= quantity <= limit:
        raise FieldError(f"1 to {limit} may be asked for, not {quantity}", offset, "quantity", pdu)


def check_range(value: int, low: int, high: int, field: str) -> None:
    """Hold what we want to send against what the wire carries."""
    if not low <= value <= high:
        raise LocalProtocolError(f"{low} to {high} is possible, not {value}", field=field)


def whole_registers(data: bytes, limit: int) -> int:
    """How many registers these bytes are that we want to send."""
    if len(data) & 1:
        raise LocalProtocolError("registers are two bytes each", field="registers")
    check_range(len(data) // 2, 1, limit, "quantity")
    return len(data) // 2


def short_enough(pdu: bytes) -> bytes:
    """The PDU that we want to send, if a frame can hold it."""
    if len(pdu) > MAX_PDU_BYTES:
        raise LocalProtocolError(f"a PDU has at most {MAX_PDU_BYTES} bytes, not {len(pdu)}")
    return pdu
