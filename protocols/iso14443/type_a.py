"""Type A initialisation: ATQA, anticollision, SELECT, SAK and the UID (ISO/IEC 14443-3:2016, clause 6).

    REQA 26 / WUPA 52 (7 bits)                  -> ATQA (2 bytes)
    SEL NVB [bits of the UID]                   -> the rest of CLn and BCC          no CRC, may end inside a byte
    SEL 70 CL0 CL1 CL2 CL3 BCC CRC_A            -> SAK CRC_A
    50 00 CRC_A (HLTA)                          -> nothing

A UID of 4, 7 or 10 bytes travels as one, two or three parts of 4 bytes; all parts but the last start with CT (88).
Not covered: the timing of bits, which belongs to the radio front end.

>>> decode_atqa(bytes.fromhex("4400")).uid_size, uid_of([bytes.fromhex("88040102"), bytes.fromhex("03040506")]).hex()
(7, '04010203040506')
"""

from collections.abc import Sequence

import msgspec

from protocols.core.checksum import xor8
from protocols.core.errors import ChecksumError, FieldError, FrameError, LocalProtocolError
from protocols.iso14443.air import AirFrame, air_frame, bits_of, frame_of_bits, short_frame
from protocols.iso14443.crc import crc_a, strip_crc_a

REQA = short_frame(0x26)
WUPA = short_frame(0x52)
CASCADE_TAG = 0x88
"""CT: more of the UID follows on the next level, 14443-3 6.5.4."""
RANDOM_UID_TAG = 0x08
"""First byte of a UID of 4 bytes that the card makes anew at each power-up."""
SEL_CODES = (0x93, 0x95, 0x97)
"""SEL of the cascade levels 1, 2 and 3, 14443-3 table 9."""
NVB_NONE = 0x20
NVB_ALL = 0x70
UID_PART_BITS = 40
"""CL0 to CL3 and BCC: what an anticollision finds out on one level."""
HLTA = b"\x50\x00" + crc_a(b"\x50\x00")

ATQA_TIMEOUT_S = 0.001
SELECT_TIMEOUT_S = 0.005
HALT_TIMEOUT_S = 0.001
"""Any answer within this time means that the card did not accept HLTA, 14443-3 6.4.3."""

_UID_SIZES = (4, 7, 10)
_ATQA_RFU = 0xF020


class Atqa(msgspec.Struct, frozen=True):
    """Answer to request. On the air the low byte goes first: `0400` for a card with a UID of 4 bytes.

    uid_size: 4, 7 or 10 bytes. bit_frame_anticollision: one of 1, 2, 4, 8, 16. proprietary: 4 bits.
    rfu: what stood in reserved bits, kept so that nothing is lost (high byte in bits 15..8).
    """

    uid_size: int
    bit_frame_anticollision: int
    proprietary: int = 0
    rfu: int = 0


def decode_atqa(data: bytes) -> Atqa:
    """Read an ATQA in air order. Raises `FrameError`, `FieldError`. 14443-3 6.5.2."""
    if len(data) != 2:
        raise FrameError(f"an ATQA has 2 bytes, not {len(data)}", field="atqa", raw=data)
    value = int.from_bytes(data, "little")
    size_code = value >> 6 & 3
    if size_code == 3:
        raise FieldError("the UID size code 11 is reserved", offset=0, field="uid_size", raw=data)
    anticollision = value & 0x1F
    if anticollision.bit_count() != 1:
        raise FieldError("exactly one bit must be set", offset=0, field="bit_frame_anticollision", raw=data)
    return Atqa(_UID_SIZES[size_code], anticollision, value >> 8 & 0x0F, value & _ATQA_RFU)


def encode_atqa(atqa: Atqa) -> bytes:
    """Write an ATQA in air order."""
    if atqa.uid_size not in _UID_SIZES or atqa.bit_frame_anticollision not in (1, 2, 4, 8, 16):
        raise LocalProtocolError("no such UID size or anticollision bit", field="atqa")
    if not 0 <= atqa.proprietary <= 0x0F or atqa.rfu & ~_ATQA_RFU:
        raise LocalProtocolError("bits outside of their field", field="atqa")
    value = _UID_SIZES.index(atqa.uid_size) << 6 | atqa.bit_frame_anticollision | atqa.proprietary << 8 | atqa.rfu
    return value.to_bytes(2, "little")


class UidPart(msgspec.Struct, frozen=True):
    """What an anticollision found on one level: CL0 to CL3, without BCC."""

    part: bytes

    @property
    def bcc(self) -> int:
        """The part's check byte: the exclusive or of its four bytes."""
        return xor8(self.part)

    @property
    def cascade(self) -> bool:
        """Whether the UID goes on on the next level."""
        return self.part[0] == CASCADE_TAG


def decode_anticollision_reply(data: bytes) -> UidPart:
    """Read CL0 to CL3 and BCC. Raises `FrameError`, `ChecksumError`."""
    if len(data) != 5:
        raise FrameError(f"an anticollision answer has 5 bytes, not {len(data)}", field="uid_part", raw=data)
    if xor8(data[:4]) != data[4]:
        raise ChecksumError(f"BCC is {data[4]:02x} where {xor8(data[:4]):02x} is due", offset=4, field="bcc", raw=data)
    return UidPart(bytes(data[:4]))


def encode_anticollision_reply(part: UidPart) -> bytes:
    """Write CL0 to CL3 and BCC."""
    if len(part.part) != 4:
        raise LocalProtocolError("a UID part has 4 bytes", field="uid_part")
    return part.part + bytes((part.bcc,))


class Anticollision(msgspec.Struct, frozen=True):
    """A request for the rest of a UID part: `known_bits` bits of it are in `known`, first bit lowest. 14443-3 6.5.3."""

    cascade_level: int
    known: int = 0
    known_bits: int = 0


def encode_anticollision(request: Anticollision) -> AirFrame:
    """Write SEL, NVB and the known bits."""
    if not 1 <= request.cascade_level <= 3 or not 0 <= request.known_bits < UID_PART_BITS:
        raise LocalProtocolError("no such cascade level or number of bits", field="nvb")
    nvb = NVB_NONE + (request.known_bits // 8 << 4) + request.known_bits % 8
    head = SEL_CODES[request.cascade_level - 1] | nvb << 8
    known = request.known & ((1 << request.known_bits) - 1)
    return frame_of_bits(head | known << 16, 16 + request.known_bits)


def decode_anticollision(frame: AirFrame) -> Anticollision:
    """Read SEL, NVB and the known bits. Raises `FrameError`, `FieldError`."""
    if frame.bits < 16:
        raise FrameError("too short for SEL and NVB", raw=frame.data)
    level = _level_of(frame.data)
    nvb = frame.data[1]
    valid_bits = (nvb >> 4) * 8 + (nvb & 0x0F)
    if nvb & 0x0F > 7 or not 16 <= valid_bits < 16 + UID_PART_BITS or valid_bits != frame.bits:
        raise FieldError(f"NVB {nvb:02x} does not fit {frame.bits} bits", offset=1, field="nvb", raw=frame.data)
    return Anticollision(level, bits_of(frame) >> 16, frame.bits - 16)


def _level_of(data: bytes) -> int:
    if data[0] not in SEL_CODES:
        raise FieldError(f"{data[0]:02x} is no SEL code", offset=0, field="sel", raw=data)
    return SEL_CODES.index(data[0]) + 1


class Select(msgspec.Struct, frozen=True):
    """A SELECT of one UID part."""

    cascade_level: int
    part: bytes

    @property
    def bcc(self) -> int:
        """The part's check byte: the exclusive or of its four bytes."""
        return xor8(self.part)


def decode_select(data: bytes) -> Select:
    """Read SEL 70 part BCC CRC_A. Raises `FrameError`, `ChecksumError`, `FieldError`."""
    if len(data) != 9:
        raise FrameError(f"a SELECT has 9 bytes, not {len(data)}", raw=data)
    body = strip_crc_a(data)
    level = _level_of(body)
    if body[1] != NVB_ALL:
        raise FieldError(f"NVB of a SELECT is 70, not {body[1]:02x}", offset=1, field="nvb", raw=data)
    return Select(level, decode_anticollision_reply(body[2:]).part)


def encode_select(select: Select) -> bytes:
    """Write SEL 70 part BCC CRC_A."""
    if not 1 <= select.cascade_level <= 3:
        raise LocalProtocolError("no such cascade level", field="cascade_level")
    body = bytes((SEL_CODES[select.cascade_level - 1], NVB_ALL)) + encode_anticollision_reply(UidPart(select.part))
    return body + crc_a(body)


class Sak(msgspec.Struct, frozen=True):
    """Select acknowledge, 14443-3 6.5.4.3."""

    value: int

    @property
    def uid_complete(self) -> bool:
        """Whether this was the last cascade level."""
        return not self.value & 0x04

    @property
    def iso14443_4(self) -> bool:
        """Whether the card speaks ISO/IEC 14443-4; said only when the UID is complete."""
        return self.uid_complete and bool(self.value & 0x20)

    @property
    def nfc_dep(self) -> bool:
        """Whether the card speaks NFC-DEP (ISO/IEC 18092)."""
        return self.uid_complete and bool(self.value & 0x40)


def decode_sak(data: bytes) -> Sak:
    """Read a SAK without its CRC. Raises `FrameError`."""
    if len(data) != 1:
        raise FrameError(f"a SAK has 1 byte, not {len(data)}", field="sak", raw=data)
    return Sak(data[0])


def encode_sak(sak: Sak) -> bytes:
    """Write a SAK without its CRC."""
    if not 0 <= sak.value <= 0xFF:
        raise LocalProtocolError("a SAK is one byte", field="sak")
    return bytes((sak.value,))


def parts_of(uid: bytes) -> list[bytes]:
    """The UID parts that are selected level by level. Raises `LocalProtocolError` for a UID of another size."""
    if len(uid) not in _UID_SIZES:
        raise LocalProtocolError(f"a UID has 4, 7 or 10 bytes, not {len(uid)}", field="uid")
    if len(uid) == 4 and uid[0] == CASCADE_TAG:
        raise LocalProtocolError("a UID of 4 bytes does not start with the cascade tag", field="uid")
    parts = []
    while len(uid) > 4:
        parts.append(bytes((CASCADE_TAG,)) + uid[:3])
        uid = uid[3:]
    return [*parts, bytes(uid)]


def uid_of(parts: Sequence[bytes]) -> bytes:
    """The UID that was selected level by level, without cascade tags. Raises `FieldError`."""
    if not 1 <= len(parts) <= 3:
        raise FieldError(f"a UID has 1 to 3 parts, not {len(parts)}", field="uid")
    for part in parts[:-1]:
        if len(part) != 4 or part[0] != CASCADE_TAG:
            raise FieldError("a part that goes on starts with the cascade tag", field="uid_part", raw=part)
    if len(parts) == 1 and parts[0][:1] == bytes((CASCADE_TAG,)):
        raise FieldError("a UID of 4 bytes does not start with the cascade tag", field="uid_part", raw=parts[0])
    return b"".join(part[1:] for part in parts[:-1]) + parts[-1]


def is_random_uid(uid: bytes) -> bool:
    """Whether the card made this UID up at power-up, so that it says nothing of who it is. 14443-3 6.5.4.1."""
    return len(uid) == 4 and uid[0] == RANDOM_UID_TAG


def hlta() -> AirFrame:
    """The frame that sends a selected card to HALT."""
    return air_frame(HLTA)
