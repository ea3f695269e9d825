"""Type B initialisation: REQB, slot markers, ATQB, ATTRIB, HLTB (ISO/IEC 14443-3:2016, clause 7).

    05 AFI PARAM CRC_B (REQB / WUPB)            -> 50 PUPI(4) application(4) protocol(3 or 4) CRC_B (ATQB)
    (slot-1)<<4|5 CRC_B (slot marker 2..16)     -> ATQB
    1D PUPI(4) P1 P2 P3 P4 [INF] CRC_B (ATTRIB) -> MBLI|CID [INF] CRC_B
    50 PUPI(4) CRC_B (HLTB)                     -> 00 CRC_B

All codecs here take and give frames without CRC_B. Reserved bits are kept and written again.

>>> decode_atqb(bytes.fromhex("50e8253eec00000011008185")).pupi.hex()
'e8253eec'
"""

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.iso14443.parameters import frame_size_code_of, frame_size_of

APF = 0x05
"""Anticollision prefix of REQB and WUPB, 14443-3 7.7.2."""
ATQB = 0x50
ATTRIB = 0x1D
HLTB = 0x50
HLTB_ANSWER = b"\x00"
MAX_SLOTS = 16
AFI_ALL = 0x00
PUPI_BYTES = 4

ATQB_TIMEOUT_S = 0.002
"""From the end of a request or marker to the start of an ATQB, with TR0, TR1 and a reader's margin, 14443-3 7.10."""
ATTRIB_TIMEOUT_S = 0.006


class Reqb(msgspec.Struct, frozen=True):
    """A request, or with `wakeup` a WUPB that halted cards hear too. 14443-3 7.7.

    afi: application family, 0 for all. param: bits 2..0 code of the slots, bit 3 WUPB, bit 4 extended ATQB wanted.
    """

    afi: int = AFI_ALL
    param: int = 0

    @property
    def slots(self) -> int:
        """N; the reserved codes above 4 count as 16."""
        return 1 << min(self.param & 7, 4)

    @property
    def wakeup(self) -> bool:
        """Whether halted cards are meant as well."""
        return bool(self.param & 0x08)

    @property
    def extended(self) -> bool:
        """Whether the reader takes an extended ATQB."""
        return bool(self.param & 0x10)


def reqb(*, afi: int = AFI_ALL, slots: int = 1, wakeup: bool = False) -> Reqb:
    """A request for `slots` slots: 1, 2, 4, 8 or 16."""
    if slots not in (1, 2, 4, 8, 16):
        raise LocalProtocolError(f"there are 1, 2, 4, 8 or 16 slots, not {slots}", field="slots")
    return Reqb(afi, slots.bit_length() - 1 | wakeup << 3)


def decode_reqb(data: bytes) -> Reqb:
    """Read REQB or WUPB. Raises `FrameError`, `FieldError`."""
    if len(data) != 3:
        raise FrameError(f"a REQB has 3 bytes, not {len(data)}", raw=data)
    if data[0] != APF:
        raise FieldError(f"a REQB starts with 05, not {data[0]:02x}", offset=0, field="apf", raw=data)
    return Reqb(data[1], data[2])


def encode_reqb(request: Reqb) -> bytes:
    """Write REQB or WUPB."""
    return bytes((APF, _byte(request.afi, "afi"), _byte(request.param, "param")))


def encode_slot_marker(slot: int) -> bytes:
    """Write the marker that opens a slot, 2 to 16."""
    if not 2 <= slot <= MAX_SLOTS:
        raise LocalProtocolError(f"markers open the slots 2 to 16, not {slot}", field="slot")
    return bytes(((slot - 1) << 4 | APF,))


def decode_slot_marker(data: bytes) -> int:
    """The slot, 2 to 16, that a marker opens. Raises `FrameError`, `FieldError`."""
    if len(data) != 1:
        raise FrameError(f"a slot marker has 1 byte, not {len(data)}", raw=data)
    if data[0] & 0x0F != APF or data[0] < 0x15:
        raise FieldError(f"{data[0]:02x} is no slot marker", offset=0, field="apn", raw=data)
    return (data[0] >> 4) + 1


class Atqb(msgspec.Struct, frozen=True):
    """Answer to request of type B, 14443-3 7.9.

    pupi: 4 bytes that tell cards apart; often made up at power-up. afi, crc_b_aid, num_applications: the application
    data. bit_rate: as sent. size_and_type: high nibble code of the largest frame, low nibble the protocol.
    timing: high nibble FWI, bits 3..2 how the application data is coded, bit 1 NAD, bit 0 CID.
    extension: the byte that only the extended form has, or None.
    """

    pupi: bytes
    afi: int = 0
    crc_b_aid: bytes = b"\x00\x00"
    num_applications: int = 0
    bit_rate: int = 0
    size_and_type: int = 0x81
    timing: int = 0x80
    extension: int | None = None

    @property
    def fsc(self) -> int:
        """The largest frame that the card takes, in bytes."""
        return frame_size_of(self.size_and_type >> 4)

    @property
    def protocol_type(self) -> int:
        """The low nibble."""
        return self.size_and_type & 0x0F

    @property
    def iso14443_4(self) -> bool:
        """Whether the card speaks ISO/IEC 14443-4."""
        return bool(self.size_and_type & 1)

    @property
    def min_tr2_code(self) -> int:
        """Code of the time that the card needs before the next frame."""
        return self.size_and_type >> 1 & 3

    @property
    def fwi(self) -> int:
        """Code of the frame waiting time; 15 is reserved and counts as 4."""
        return self.timing >> 4

    @property
    def adc(self) -> int:
        """How the application data is coded."""
        return self.timing >> 2 & 3

    @property
    def nad_supported(self) -> bool:
        """Whether blocks may carry a NAD."""
        return bool(self.timing & 2)

    @property
    def cid_supported(self) -> bool:
        """Whether blocks may carry a CID."""
        return bool(self.timing & 1)

    @property
    def sfgi(self) -> int:
        """Code of the guard time after activation; 0 without extension."""
        return 0 if self.extension is None else self.extension >> 4


def decode_atqb(data: bytes) -> Atqb:
    """Read an ATQB of 12 or 13 bytes. Raises `FrameError`, `FieldError`."""
    if len(data) not in (12, 13):
        raise FrameError(f"an ATQB has 12 or 13 bytes, not {len(data)}", raw=data)
    if data[0] != ATQB:
        raise FieldError(f"an ATQB starts with 50, not {data[0]:02x}", offset=0, field="atqb", raw=data)
    return Atqb(
        pupi=bytes(data[1:5]),
        afi=data[5],
        crc_b_aid=bytes(data[6:8]),
        num_applications=data[8],
        bit_rate=data[9],
        size_and_type=data[10],
        timing=data[11],
        extension=data[12] if len(data) == 13 else None,
    )


def encode_atqb(atqb: Atqb) -> bytes:
    """Write an ATQB."""
    if len(atqb.pupi) != PUPI_BYTES or len(atqb.crc_b_aid) != 2:
        raise LocalProtocolError("a PUPI has 4 bytes and CRC_B(AID) 2", field="pupi")
    body = bytes(
        _byte(value, "atqb")
        for value in (atqb.num_applications, atqb.bit_rate, atqb.size_and_type, atqb.timing, atqb.extension or 0)
    )
    head = bytes((ATQB,)) + atqb.pupi + bytes((_byte(atqb.afi, "afi"),)) + atqb.crc_b_aid
    return head + (body if atqb.extension is not None else body[:4])


class Attrib(msgspec.Struct, frozen=True):
    """Selects a card by its PUPI, 14443-3 7.10. The four parameter bytes are kept as sent; INF is the upper layer's."""

    pupi: bytes
    param1: int = 0
    param2: int = 0x08
    param3: int = 0x01
    param4: int = 0x00
    inf: bytes = b""

    @property
    def dsi(self) -> int:
        """Code of the bit rate card to reader."""
        return self.param2 >> 6

    @property
    def dri(self) -> int:
        """Code of the bit rate reader to card."""
        return self.param2 >> 4 & 3

    @property
    def fsd(self) -> int:
        """The largest frame that the reader takes, in bytes."""
        return frame_size_of(self.param2 & 0x0F)

    @property
    def protocol_type(self) -> int:
        """The protocol that the reader confirms."""
        return self.param3 & 0x0F

    @property
    def cid(self) -> int:
        """The card's number among the active ones."""
        return self.param4 & 0x0F


def attrib(atqb: Atqb, *, fsd: int = 256, cid: int = 0) -> Attrib:
    """An ATTRIB at 106 kbit/s for the card that gave this ATQB."""
    return Attrib(atqb.pupi, 0, frame_size_code_of(fsd), atqb.protocol_type & 1, _nibble(cid, "cid"))


def decode_attrib(data: bytes) -> Attrib:
    """Read an ATTRIB. Raises `FrameError`, `FieldError`."""
    if len(data) < 9:
        raise FrameError(f"an ATTRIB has at least 9 bytes, not {len(data)}", raw=data)
    if data[0] != ATTRIB:
        raise FieldError(f"an ATTRIB starts with 1d, not {data[0]:02x}", offset=0, field="attrib", raw=data)
    return Attrib(bytes(data[1:5]), data[5], data[6], data[7], data[8], bytes(data[9:]))


def encode_attrib(request: Attrib) -> bytes:
    """Write an ATTRIB."""
    if len(request.pupi) != PUPI_BYTES:
        raise LocalProtocolError("a PUPI has 4 bytes", field="pupi")
    parameters = (request.param1, request.param2, request.param3, request.param4)
    return bytes((ATTRIB,)) + request.pupi + bytes(_byte(value, "param") for value in parameters) + request.inf


class AttribAnswer(msgspec.Struct, frozen=True):
    """What a card says to ATTRIB. mbli: code of its longest chain, 0 says nothing of it. cid: the one it was given."""

    mbli: int = 0
    cid: int = 0
    inf: bytes = b""


def decode_attrib_answer(data: bytes) -> AttribAnswer:
    """Read the answer to ATTRIB. Raises `FrameError`."""
    if not data:
        raise FrameError("an answer to ATTRIB has at least 1 byte", raw=data)
    return AttribAnswer(data[0] >> 4, data[0] & 0x0F, bytes(data[1:]))


def encode_attrib_answer(answer: AttribAnswer) -> bytes:
    """Write the answer to ATTRIB."""
    return bytes((_nibble(answer.mbli, "mbli") << 4 | _nibble(answer.cid, "cid"),)) + answer.inf


def encode_hltb(pupi: bytes) -> bytes:
    """Write HLTB."""
    if len(pupi) != PUPI_BYTES:
        raise LocalProtocolError("a PUPI has 4 bytes", field="pupi")
    return bytes((HLTB,)) + pupi


def decode_hltb(data: bytes) -> bytes:
    """The PUPI that an HLTB names. Raises `FrameError`, `FieldError`."""
    if len(data) != 1 + PUPI_BYTES:
        raise FrameError(f"an HLTB has 5 bytes, not {len(data)}", raw=data)
    if data[0] != HLTB:
        raise FieldError(f"an HLTB starts with 50, not {data[0]:02x}", offset=0, field="hltb", raw=data)
    return bytes(data[1:])


def _byte(value: int, field: str) -> int:
    if not 0 <= value <= 0xFF:
        raise LocalProtocolError(f"{value} does not fit a byte", field=field)
    return value


def _nibble(value: int, field: str) -> int:
    if not 0 <= value <= 0x0F:
        raise LocalProtocolError(f"{value} does not fit four bits", field=field)
    return value
