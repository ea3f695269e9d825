"""How long a PDU is, as far as its first bytes tell: what a framer needs where nothing marks a frame's end.

MODBUS Application Protocol Specification V1.1b3, clause 6. MicroPython-clean.
"""

from protocols.core.buffer import ByteBuffer
from protocols.core.errors import NEED_DATA, NeedData
from protocols.modbus_devices.functions import ENCAPSULATED, MAX_PDU_BYTES, MEI_DEVICE_ID

# Functions whose requests and answers have one length, in bytes of the PDU. Those without a class of their own are
# here so that a framer finds them: 07 exception status, 08 diagnostics (its usual two bytes of data), 0B and 0C events,
# 11 server id, 14 and 15 file records, 16 mask write, 18 FIFO queue.
_REQUEST_FIXED = {1: 5, 2: 5, 3: 5, 4: 5, 5: 5, 6: 5, 7: 1, 8: 5, 0x0B: 1, 0x0C: 1, 0x11: 1, 0x16: 7, 0x18: 3}
_RESPONSE_FIXED = {5: 5, 6: 5, 7: 2, 8: 5, 0x0B: 5, 0x0F: 5, 0x10: 5, 0x16: 7}
# The others: where the byte count stands that says how many bytes follow it.
_REQUEST_COUNT_AT = {0x0F: 5, 0x10: 5, 0x14: 1, 0x15: 1, 0x17: 9}
_RESPONSE_COUNT_AT = {1: 1, 2: 1, 3: 1, 4: 1, 0x0C: 1, 0x11: 1, 0x14: 1, 0x15: 1, 0x17: 1}
_FIFO = 0x18
_EXCEPTION_BYTES = 2


def request_bytes(buffer: bytes | ByteBuffer, at: int, end: int) -> int | NeedData | None:
    """How long the request is whose function code stands at `at`, from the bytes before `end`.

    `NEED_DATA` when its head is not all there; None when only silence tells (functions of no known length).
    """
    if at >= end:
        return NEED_DATA
    function = buffer[at]
    if function in _REQUEST_FIXED:
        return _REQUEST_FIXED[function]
    if function in _REQUEST_COUNT_AT:
        return _counted_bytes(buffer, at, end, _REQUEST_COUNT_AT[function])
    if function == ENCAPSULATED:
        if at + 1 >= end:
            return NEED_DATA
        return 4 if buffer[at + 1] == MEI_DEVICE_ID else None
    return None


def response_bytes(buffer: bytes | ByteBuffer, at: int, end: int) -> int | NeedData | None:
    """How long the answer is whose function code stands at `at`. Answers as `request_bytes` does."""
    if at >= end:
        return NEED_DATA
    function = buffer[at]
    if function > 0x80 or function in _RESPONSE_FIXED:
        return _RESPONSE_FIXED.get(function, _EXCEPTION_BYTES)
    if function in _RESPONSE_COUNT_AT:
        return _counted_bytes(buffer, at, end, _RESPONSE_COUNT_AT[function])
    if function == ENCAPSULATED:
        return _device_id_bytes(buffer, at, end)
    if function == _FIFO:
        return NEED_DATA if at + 2 >= end else 3 + (buffer[at + 1] << 8 | buffer[at + 2])
    return None


def _counted_bytes(buffer: bytes | ByteBuffer, at: int, end: int, count_at: int) -> int | NeedData:
    return NEED_DATA if at + count_at >= end else count_at + 1 + buffer[at + count_at]


def _device_id_bytes(buffer: bytes | ByteBuffer, at: int, end: int) -> int | NeedData | None:
    if at + 1 < end and buffer[at + 1] != MEI_DEVICE_ID:
        return None
    if at + 6 >= end:
        return NEED_DATA
    size = 7
    for _ in range(buffer[at + 6]):
        if at + size + 1 >= end:
            return NEED_DATA
        size += 2 + buffer[at + size + 1]
        if size > MAX_PDU_BYTES:
            return None
    return size
