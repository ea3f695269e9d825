"""Activation of type A: RATS, ATS and PPS (ISO/IEC 14443-4:2016, clause 5). Frames without CRC_A.

    E0 FSDI|CID                                 -> TL [T0 [TA] [TB] [TC] historical bytes]
    D0|CID 11 PPS1  (or D0|CID 01)              -> D0|CID

Reserved codes and bits are kept and written again; the properties give what a reader takes them for.

>>> decode_ats(bytes.fromhex("0578807000")).fsc
256
"""

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.iso14443.parameters import DEFAULT_FSCI, DEFAULT_FWI, MAX_FWI, frame_size_code_of, frame_size_of

RATS = 0xE0
PPSS = 0xD0
PPS0 = 0x01
PPS0_WITH_PPS1 = 0x11
CID_RFU = 15
MAX_HISTORICAL_BYTES = 250
"""What an ATS of 254 bytes, TL included, leaves beside T0 and the interface bytes."""

_TA, _TB, _TC = 0x10, 0x20, 0x40


class Rats(msgspec.Struct, frozen=True):
    """Request for answer to select. fsdi: code of the largest frame that the reader takes. cid: the card's number."""

    fsdi: int = 8
    cid: int = 0

    @property
    def fsd(self) -> int:
        """The largest frame that the reader takes, in bytes."""
        return frame_size_of(self.fsdi)


def rats(*, fsd: int = 256, cid: int = 0) -> Rats:
    """A RATS for a reader that takes frames of `fsd` bytes."""
    return Rats(frame_size_code_of(fsd), cid)


def decode_rats(data: bytes) -> Rats:
    """Read a RATS. Raises `FrameError`, `FieldError`."""
    if len(data) != 2:
        raise FrameError(f"a RATS has 2 bytes, not {len(data)}", raw=data)
    if data[0] != RATS:
        raise FieldError(f"a RATS starts with e0, not {data[0]:02x}", offset=0, field="rats", raw=data)
    if data[1] & 0x0F == CID_RFU:
        raise FieldError("CID 15 is reserved", offset=1, field="cid", raw=data)
    return Rats(data[1] >> 4, data[1] & 0x0F)


def encode_rats(request: Rats) -> bytes:
    """Write a RATS."""
    if not 0 <= request.fsdi <= 15 or not 0 <= request.cid < CID_RFU:
        raise LocalProtocolError("FSDI has four bits and a CID is 0 to 14", field="rats")
    return bytes((RATS, request.fsdi << 4 | request.cid))


class Ats(msgspec.Struct, frozen=True):
    """Answer to select, its parts as sent. `t0` is None when the ATS consists of TL alone; ta, tb, tc when absent."""

    t0: int | None = None
    ta: int | None = None
    tb: int | None = None
    tc: int | None = None
    historical_bytes: bytes = b""

    @property
    def tl(self) -> int:
        """How many bytes it has, TL itself included."""
        return 1 + sum(part is not None for part in (self.t0, self.ta, self.tb, self.tc)) + len(self.historical_bytes)

    @property
    def fsc(self) -> int:
        """The largest frame that the card takes, in bytes."""
        return frame_size_of(DEFAULT_FSCI if self.t0 is None else self.t0 & 0x0F)

    @property
    def same_divisor(self) -> bool:
        """Whether only the same bit rate both ways is possible."""
        return self.ta is not None and bool(self.ta & 0x80)

    @property
    def ds_supported(self) -> list[int]:
        """Divisors card to reader, rising; 1 is 106 kbit/s, 8 is 848."""
        return _divisors(0 if self.ta is None else self.ta >> 4)

    @property
    def dr_supported(self) -> list[int]:
        """Divisors reader to card, rising."""
        return _divisors(0 if self.ta is None else self.ta)

    @property
    def fwi(self) -> int:
        """Code of the frame waiting time, the default where absent or reserved."""
        code = DEFAULT_FWI if self.tb is None else self.tb >> 4
        return code if code <= MAX_FWI else DEFAULT_FWI

    @property
    def sfgi(self) -> int:
        """Code of the guard time after the ATS, 0 where absent or reserved."""
        code = 0 if self.tb is None else self.tb & 0x0F
        return code if code <= MAX_FWI else 0

    @property
    def cid_supported(self) -> bool:
        """Whether blocks may carry a CID."""
        return self.tc is None or bool(self.tc & 2)

    @property
    def nad_supported(self) -> bool:
        """Whether blocks may carry a NAD."""
        return self.tc is not None and bool(self.tc & 1)


def _divisors(bits: int) -> list[int]:
    return [1, *(divisor for bit, divisor in ((1, 2), (2, 4), (4, 8)) if bits & bit)]


def ats(
    *,
    fsc: int = 256,
    fwi: int = 8,
    sfgi: int = 0,
    cid_supported: bool = True,
    nad_supported: bool = False,
    historical_bytes: bytes = b"",
) -> Ats:
    """An ATS with all interface bytes, at 106 kbit/s both ways."""
    if not 0 <= fwi <= MAX_FWI or not 0 <= sfgi <= MAX_FWI:
        raise LocalProtocolError("FWI and SFGI are 0 to 14", field="fwi")
    t0 = 0x70 | frame_size_code_of(fsc)
    return Ats(t0, 0x80, fwi << 4 | sfgi, cid_supported << 1 | nad_supported, historical_bytes)


def decode_ats(data: bytes) -> Ats:
    """Read TL and what it counts, without CRC. Raises `FrameError`, `FieldError`. 14443-4 5.2."""
    if not data or data[0] != len(data):
        raise FrameError(f"TL does not count {len(data)} bytes", offset=0, field="tl", raw=data)
    if len(data) == 1:
        return Ats()
    t0 = data[1]
    if t0 & 0x80:
        raise FieldError("bit 7 is reserved", offset=1, field="t0", raw=data)
    at = 2
    interface: dict[int, int | None] = {_TA: None, _TB: None, _TC: None}
    for flag in interface:
        if t0 & flag:
            if at == len(data):
                raise FieldError("T0 announces more than TL leaves room for", offset=at, field="tl", raw=data)
            interface[flag] = data[at]
            at += 1
    return Ats(t0, interface[_TA], interface[_TB], interface[_TC], bytes(data[at:]))


def encode_ats(answer: Ats) -> bytes:
    """Write an ATS. Raises `LocalProtocolError` when T0 does not announce what is there."""
    parts = {_TA: answer.ta, _TB: answer.tb, _TC: answer.tc}
    if answer.t0 is None:
        if any(part is not None for part in parts.values()) or answer.historical_bytes:
            raise LocalProtocolError("without T0 there is nothing but TL", field="t0")
        return b"\x01"
    announced = sum(flag for flag, part in parts.items() if part is not None)
    if not 0 <= answer.t0 <= 0x7F or answer.t0 & 0x70 != announced:
        raise LocalProtocolError("T0 does not announce the interface bytes that are there", field="t0")
    if any(part is not None and not 0 <= part <= 0xFF for part in parts.values()) or answer.tl > 0xFF:
        raise LocalProtocolError("too long, or an interface byte that is no byte", field="tl")
    interface = bytes(part for part in parts.values() if part is not None)
    return bytes((answer.tl, answer.t0)) + interface + answer.historical_bytes


class Pps(msgspec.Struct, frozen=True):
    """Protocol and parameter selection, 14443-4 5.3. pps1 None: no PPS1 was sent, both rates stay at 106 kbit/s."""

    cid: int = 0
    pps1: int | None = None

    @property
    def dsi(self) -> int:
        """Code of the bit rate card to reader: 0 to 3 for 106 to 848 kbit/s."""
        return 0 if self.pps1 is None else self.pps1 >> 2 & 3

    @property
    def dri(self) -> int:
        """Code of the bit rate reader to card."""
        return 0 if self.pps1 is None else self.pps1 & 3


def decode_pps(data: bytes) -> Pps:
    """Read a PPS request. Raises `FrameError`, `FieldError`."""
    if len(data) < 2:
        raise FrameError(f"a PPS has 2 or 3 bytes, not {len(data)}", raw=data)
    if data[0] & 0xF0 != PPSS:
        raise FieldError(f"a PPS starts with d, not {data[0] >> 4:x}", offset=0, field="ppss", raw=data)
    if data[1] not in (PPS0, PPS0_WITH_PPS1):
        raise FieldError(f"PPS0 is 01 or 11, not {data[1]:02x}", offset=1, field="pps0", raw=data)
    if len(data) != (3 if data[1] == PPS0_WITH_PPS1 else 2):
        raise FrameError("PPS0 and the length do not agree", offset=1, field="pps0", raw=data)
    if len(data) == 3 and data[2] & 0xF0:
        raise FieldError("the upper half of PPS1 is reserved", offset=2, field="pps1", raw=data)
    return Pps(data[0] & 0x0F, data[2] if len(data) == 3 else None)


def encode_pps(request: Pps) -> bytes:
    """Write a PPS request."""
    if not 0 <= request.cid <= 0x0F or (request.pps1 is not None and not 0 <= request.pps1 <= 0x0F):
        raise LocalProtocolError("CID and PPS1 have four bits", field="pps")
    if request.pps1 is None:
        return bytes((PPSS | request.cid, PPS0))
    return bytes((PPSS | request.cid, PPS0_WITH_PPS1, request.pps1))
