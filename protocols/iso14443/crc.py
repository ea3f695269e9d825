"""CRC_A and CRC_B of ISO/IEC 14443-3:2016, Annex B.

Both run over the reflected polynomial 8408 and travel low byte first.

    CRC_A  register starts at 6363, sent as it is        (catalogue: CRC-16/ISO-IEC-14443-3-A, check value bf05)
    CRC_B  register starts at FFFF, sent inverted        (catalogue: CRC-16/X-25, check value 906e)

>>> crc_a(bytes.fromhex("1234")).hex(), crc_b(bytes.fromhex("0a123456")).hex()
('26cf', '2cf6')
"""

from enum import Enum

from fastcrc import crc16

from protocols.core.errors import ChecksumError, FrameError

CRC_BYTES = 2


def crc_a(data: bytes) -> bytes:
    """The two bytes that follow `data` in a type A frame, in sending order."""
    return crc16.iso_iec_14443_3_a(data).to_bytes(CRC_BYTES, "little")


def crc_b(data: bytes) -> bytes:
    """The two bytes that follow `data` in a type B frame, in sending order."""
    return crc16.ibm_sdlc(data).to_bytes(CRC_BYTES, "little")


def strip_crc_a(frame: bytes) -> bytes:
    """A type A frame without its CRC_A. Raises `FrameError` when too short, `ChecksumError` when it does not hold."""
    return _stripped(frame, crc_a(frame[:-CRC_BYTES]), "CRC_A")


def strip_crc_b(frame: bytes) -> bytes:
    """A type B frame without its CRC_B. Raises as `strip_crc_a` does."""
    return _stripped(frame, crc_b(frame[:-CRC_BYTES]), "CRC_B")


def _stripped(frame: bytes, want: bytes, name: str) -> bytes:
    if len(frame) <= CRC_BYTES:
        raise FrameError("too short to hold a " + name, raw=frame)
    if frame[-CRC_BYTES:] != want:
        raise ChecksumError(
            f"{name} is {frame[-CRC_BYTES:].hex()} where {want.hex()} is due",
            offset=len(frame) - CRC_BYTES,
            field=name,
            raw=frame,
        )
    return bytes(frame[:-CRC_BYTES])


class Edc(Enum):
    """Error detection code at the end of a block."""

    CRC_A = "CRC_A"
    CRC_B = "CRC_B"
    NONE = "none"
    """The radio front end adds and checks it; a frame that it found broken is handed over as an empty one."""

    def append(self, body: bytes) -> bytes:
        """A body and its code."""
        match self:
            case Edc.CRC_A:
                return body + crc_a(body)
            case Edc.CRC_B:
                return body + crc_b(body)
            case _:
                return body

    def strip(self, frame: bytes) -> bytes:
        """A frame's body. Raises `FrameError`, `ChecksumError`."""
        match self:
            case Edc.CRC_A:
                return strip_crc_a(frame)
            case Edc.CRC_B:
                return strip_crc_b(frame)
            case _:
                return frame
