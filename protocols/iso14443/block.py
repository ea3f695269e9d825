"""Blocks of ISO-DEP: I, R and S (ISO/IEC 14443-4:2016, 7.1). Without EDC, which is CRC_A or CRC_B (`crc.py`).

    PCB [CID] [NAD] INF
    0 0 0 M C N 1 B   I-block   M: more follows, C: CID follows, N: NAD follows, B: block number
    1 0 1 K C 0 1 B   R-block   K: 0 ACK, 1 NAK
    1 1 S S C 0 1 0   S-block   SS: 00 DESELECT, 11 WTX (INF: power level in bits 7..6, WTXM in bits 5..0)

>>> decode_block(bytes.fromhex("fa0142"))
WaitBlock(wtxm=2, power_level=1, cid=1, cid_flags=0)
"""

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError

MAX_WTXM = 59
EDC_BYTES = 2
_CHAINING = 0x10
_NAK = 0x10
_CID = 0x08
_NAD = 0x04
_I_BLOCK = 0x02
_R_BLOCK = 0xA2
_DESELECT = 0xC2
_WTX = 0xF2


class InformationBlock(msgspec.Struct, frozen=True):
    """I-block: carries a piece of an APDU. cid_flags: upper half of the CID byte (power level, then reserved bits)."""

    block_number: int
    inf: bytes = b""
    chaining: bool = False
    cid: int | None = None
    cid_flags: int = 0
    nad: int | None = None


class ReceiveBlock(msgspec.Struct, frozen=True):
    """R-block: acknowledges a block (ACK), or says that one was not understood (NAK)."""

    block_number: int
    nak: bool = False
    cid: int | None = None
    cid_flags: int = 0


class DeselectBlock(msgspec.Struct, frozen=True):
    """S(DESELECT): ends the card's part; it goes to HALT."""

    cid: int | None = None
    cid_flags: int = 0


class WaitBlock(msgspec.Struct, frozen=True):
    """S(WTX): the card asks for `wtxm` times the frame waiting time, 1 to 59; the reader answers with the same."""

    wtxm: int
    power_level: int = 0
    cid: int | None = None
    cid_flags: int = 0


Block = InformationBlock | ReceiveBlock | DeselectBlock | WaitBlock


def decode_block(data: bytes) -> Block:
    """Read a block without EDC. Raises `FrameError`, `FieldError`."""
    if not data:
        raise FrameError("an empty block", offset=0, field="pcb")
    pcb = data[0]
    cid, flags, at = None, 0, 1
    if pcb & _CID:
        if len(data) < 2:
            raise FrameError("the PCB announces a CID that is not there", offset=1, field="cid", raw=data)
        cid, flags, at = data[1] & 0x0F, data[1] >> 4, 2
    if pcb & 0xE2 == _I_BLOCK:
        return _information_block(data, at, cid, flags)
    if pcb & 0xF7 == _WTX:
        return _wait_block(data, at, cid, flags)
    if pcb & 0xE6 == _R_BLOCK:
        block: Block = ReceiveBlock(pcb & 1, bool(pcb & _NAK), cid, flags)
    elif pcb & 0xF7 == _DESELECT:
        block = DeselectBlock(cid, flags)
    else:
        raise FieldError(f"{pcb:02x} is no PCB", offset=0, field="pcb", raw=data)
    if len(data) > at:
        raise FrameError("this block carries no INF", offset=at, field="inf", raw=data)
    return block


def _wait_block(data: bytes, at: int, cid: int | None, flags: int) -> WaitBlock:
    if len(data) != at + 1:
        raise FrameError(f"S(WTX) has 1 byte of INF, not {len(data) - at}", offset=at, field="inf", raw=data)
    if not 1 <= data[at] & 0x3F <= MAX_WTXM:
        raise FieldError(f"WTXM is 1 to 59, not {data[at] & 0x3F}", offset=at, field="wtxm", raw=data)
    return WaitBlock(data[at] & 0x3F, data[at] >> 6, cid, flags)


def _information_block(data: bytes, at: int, cid: int | None, flags: int) -> InformationBlock:
    nad = None
    if data[0] & _NAD:
        if len(data) == at:
            raise FrameError("the PCB announces a NAD that is not there", offset=at, field="nad", raw=data)
        nad = data[at]
        at += 1
    return InformationBlock(data[0] & 1, bytes(data[at:]), bool(data[0] & _CHAINING), cid, flags, nad)


def encode_block(block: Block) -> bytes:
    """Write a block without EDC. Raises `LocalProtocolError` for what does not fit its field."""
    cid = b""
    if block.cid is not None:
        if not 0 <= block.cid <= 0x0F or not 0 <= block.cid_flags <= 0x0F:
            raise LocalProtocolError("CID and its flags have four bits each", field="cid")
        cid = bytes((block.cid_flags << 4 | block.cid,))
    flags = _CID if cid else 0
    match block:
        case InformationBlock():
            nad = b"" if block.nad is None else bytes((block.nad,))
            flags |= _number(block.block_number) | (_NAD if nad else 0) | (_CHAINING if block.chaining else 0)
            return bytes((_I_BLOCK | flags,)) + cid + nad + block.inf
        case ReceiveBlock():
            return bytes((_R_BLOCK | flags | _number(block.block_number) | (_NAK if block.nak else 0),)) + cid
        case DeselectBlock():
            return bytes((_DESELECT | flags,)) + cid
        case WaitBlock():
            if not 1 <= block.wtxm <= MAX_WTXM or not 0 <= block.power_level <= 3:
                raise LocalProtocolError("WTXM is 1 to 59 and the power level 0 to 3", field="wtxm")
            return bytes((_WTX | flags,)) + cid + bytes((block.power_level << 6 | block.wtxm,))


def _number(block_number: int) -> int:
    if block_number not in (0, 1):
        raise LocalProtocolError("a block number is 0 or 1", field="block_number")
    return block_number
