"""What InListPassiveTarget tells of cards (NXP UM0701-02, 7.3.5).

    type A   Tg SENS_RES(2, high byte first) SEL_RES length NFCID1 [ATS, its own length byte first]
    type B   Tg ATQB(12) length ATTRIB_RES

An ATS follows where auto RATS is on and bit 5 of SEL_RES is set. Nothing says whether it is on: before a further target
a set bit 5 means that an ATS follows; after the last one it means so if bytes are left.
"""

from collections.abc import Sequence

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.iso14443.type_b import ATQB
from protocols.pn532.command import octet

SEL_RES_ISO14443_4 = 0x20
_ATQB_BYTES = 12


class TypeATarget(msgspec.Struct, frozen=True):
    """A card of type A. sens_res: ATQA, high byte first. ats: with its length byte; empty when there is none."""

    tg: int
    sens_res: bytes
    sel_res: int
    nfcid1: bytes
    ats: bytes = b""

    @property
    def is_iso14443_4(self) -> bool:
        """Whether it speaks ISO-DEP."""
        return bool(self.sel_res & SEL_RES_ISO14443_4)


class TypeBTarget(msgspec.Struct, frozen=True):
    """A card of type B. atqb: 12 bytes from 50 on. attrib_res: its answer to ATTRIB, without a length byte."""

    tg: int
    atqb: bytes
    attrib_res: bytes

    @property
    def pupi(self) -> bytes:
        """The four bytes that tell it from others."""
        return self.atqb[1:5]


def decode_type_a_targets(count: int, data: bytes) -> list[TypeATarget]:
    """Read the data of `count` targets. Raises `FrameError`."""
    targets = []
    at = 0
    for number in range(count):
        head = _take(data, at, 5)
        uid = _take(data, at + 5, head[4])
        at += 5 + head[4]
        ats = b""
        is_last = number == count - 1
        if head[3] & SEL_RES_ISO14443_4 and (at < len(data) or not is_last):
            size = _take(data, at, 1)[0]
            if not size:
                raise FrameError("an ATS counts its own length byte", offset=at, field="ats", raw=data)
            ats = _take(data, at, size)
            at += size
        targets.append(TypeATarget(head[0], head[1:3], head[3], uid, ats))
    _check_end(data, at)
    return targets


def encode_type_a_targets(targets: Sequence[TypeATarget]) -> bytes:
    """Write their data, one after the other. Raises `LocalProtocolError`."""
    wire = b""
    for number, one in enumerate(targets):
        if len(one.sens_res) != 2:
            raise LocalProtocolError("2 bytes", field="sens_res")
        if one.ats and (one.ats[0] != len(one.ats) or not one.is_iso14443_4):
            raise LocalProtocolError("an ATS counts itself, and bit 5 of SEL_RES announces it", field="ats")
        if one.is_iso14443_4 and not one.ats and number < len(targets) - 1:
            raise LocalProtocolError("before a further target a set bit 5 of SEL_RES announces one", field="ats")
        head = bytes((octet(one.sel_res, "sel_res"), octet(len(one.nfcid1), "nfcid1")))
        wire += bytes((octet(one.tg, "tg"),)) + one.sens_res + head + one.nfcid1 + one.ats
    return wire


def decode_type_b_targets(count: int, data: bytes) -> list[TypeBTarget]:
    """Read the data of `count` targets. Raises `FrameError`, `FieldError`."""
    targets = []
    at = 0
    for _number in range(count):
        head = _take(data, at, 1 + _ATQB_BYTES + 1)
        if head[1] != ATQB:
            raise FieldError(f"an ATQB starts with 50, not {head[1]:02x}", offset=at + 1, field="atqb", raw=data)
        at += len(head)
        targets.append(TypeBTarget(head[0], head[1:-1], _take(data, at, head[-1])))
        at += head[-1]
    _check_end(data, at)
    return targets


def encode_type_b_targets(targets: Sequence[TypeBTarget]) -> bytes:
    """Write their data, one after the other. Raises `LocalProtocolError`."""
    wire = b""
    for one in targets:
        if len(one.atqb) != _ATQB_BYTES or one.atqb[0] != ATQB:
            raise LocalProtocolError("an ATQB has 12 bytes from 50 on", field="atqb")
        size = octet(len(one.attrib_res), "attrib_res")
        wire += bytes((octet(one.tg, "tg"),)) + one.atqb + bytes((size,)) + one.attrib_res
    return wire


def _take(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise FrameError("a target runs past the end", offset=at, field="targets", raw=data)
    return bytes(data[at : at + size])


def _check_end(data: bytes, at: int) -> None:
    if at != len(data):
        raise FrameError(f"{len(data) - at} bytes are left after the last target", offset=at, field="targets", raw=data)
