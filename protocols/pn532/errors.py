r"""The status byte that most responses start with (NXP UM0701-02, 7.1).

    bit 7 NAD present   bit 6 more information follows (MI)   bits 5..0 error code

>>> decode_status(b"\x41")
Status(error_code=1, more_information=True, nad_present=False)
"""

from collections.abc import Mapping
from enum import IntEnum

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError

MI = 0x40
NAD = 0x80


class ErrorCode(IntEnum):
    """Error codes of UM0701-02 table 15. Others survive as plain numbers."""

    OK = 0x00
    TIMEOUT = 0x01
    CRC = 0x02
    PARITY = 0x03
    BIT_COUNT = 0x04
    MIFARE_FRAMING = 0x05
    BIT_COLLISION = 0x06
    BUFFER_SIZE = 0x07
    RF_OVERFLOW = 0x09
    RF_FIELD = 0x0A
    RF_PROTOCOL = 0x0B
    OVERHEATED = 0x0D
    BUFFER_OVERFLOW = 0x0E
    PARAMETER = 0x10
    UNSUPPORTED = 0x12
    RF_FORMAT = 0x13
    AUTHENTICATION = 0x14
    UID_CHECK = 0x23
    DEP_STATE = 0x25
    NOT_ALLOWED = 0x26
    CONTEXT = 0x27
    RELEASED = 0x29
    CARD_CHANGED = 0x2A
    CARD_GONE = 0x2B
    NFCID3_MISMATCH = 0x2C
    OVER_CURRENT = 0x2D
    NAD_MISSING = 0x2E


ERROR_TEXTS: Mapping[int, str] = {
    ErrorCode.OK: "no error",
    ErrorCode.TIMEOUT: "the card did not answer in time",
    ErrorCode.CRC: "a CRC did not hold",
    ErrorCode.PARITY: "a parity bit did not hold",
    ErrorCode.BIT_COUNT: "wrong bit count in the anticollision",
    ErrorCode.MIFARE_FRAMING: "framing error of a Mifare card",
    ErrorCode.BIT_COLLISION: "abnormal bit collision",
    ErrorCode.BUFFER_SIZE: "the communication buffer is too small",
    ErrorCode.RF_OVERFLOW: "the radio's buffer overflowed",
    ErrorCode.RF_FIELD: "the field was not switched on in time",
    ErrorCode.RF_PROTOCOL: "the card broke the protocol",
    ErrorCode.OVERHEATED: "too hot, the antenna is off",
    ErrorCode.BUFFER_OVERFLOW: "an internal buffer overflowed",
    ErrorCode.PARAMETER: "invalid parameter",
    ErrorCode.UNSUPPORTED: "unsupported command from the initiator",
    ErrorCode.RF_FORMAT: "the data have the wrong format",
    ErrorCode.AUTHENTICATION: "the Mifare authentication failed",
    ErrorCode.UID_CHECK: "the check byte of the UID is wrong",
    ErrorCode.DEP_STATE: "invalid state of the peer protocol",
    ErrorCode.NOT_ALLOWED: "not allowed in this configuration",
    ErrorCode.CONTEXT: "not possible now, or no such target",
    ErrorCode.RELEASED: "the target was released by the initiator",
    ErrorCode.CARD_CHANGED: "another card than before",
    ErrorCode.CARD_GONE: "the card disappeared",
    ErrorCode.NFCID3_MISMATCH: "another peer than before",
    ErrorCode.OVER_CURRENT: "over-current at the antenna",
    ErrorCode.NAD_MISSING: "the NAD is missing",
}


class Status(msgspec.Struct, frozen=True):
    """A status byte."""

    error_code: int = ErrorCode.OK
    more_information: bool = False
    nad_present: bool = False

    @property
    def ok(self) -> bool:
        """Whether the command did what it should."""
        return self.error_code == ErrorCode.OK

    @property
    def text(self) -> str:
        """What the error code means."""
        return ERROR_TEXTS.get(self.error_code, f"error code {self.error_code:02x}")


def decode_status(data: bytes) -> Status:
    """Read a status byte. Raises `FrameError`."""
    if len(data) != 1:
        raise FrameError(f"a status has 1 byte, not {len(data)}", field="status", raw=data)
    return Status(data[0] & 0x3F, bool(data[0] & MI), bool(data[0] & NAD))


def encode_status(status: Status) -> bytes:
    """Write a status byte."""
    if not 0 <= status.error_code <= 0x3F:
        raise LocalProtocolError("an error code has six bits", field="error_code")
    return bytes((status.error_code | status.more_information << 6 | status.nad_present << 7,))
