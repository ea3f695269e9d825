"""Commands with which a PN532 plays the reader (NXP UM0701-02, 7.3)."""

from typing import ClassVar, Self

import msgspec

from protocols.core.errors import FrameError
from protocols.pn532.command import (
    Command,
    DataCommand,
    FixedCommand,
    HeadedResponse,
    Response,
    StatusAndData,
    StatusResponse,
    check_size,
    octet,
)

TYPE_A_106 = 0x00
FELICA_212 = 0x01
FELICA_424 = 0x02
TYPE_B_106 = 0x03
JEWEL_106 = 0x04
"""BrTy: bit rate and modulation of InListPassiveTarget, UM0701-02 7.3.5."""
MAX_TARGETS = 2
MAX_EXCHANGE_BYTES = 262
"""Data of one InDataExchange; longer ones go in pieces, all but the last with MI, UM0701-02 7.3.8."""
TG_MI = 0x40
ENDLESS = 0xFF


class ListedTargets(HeadedResponse, frozen=True):
    """How many targets, and their data one after the other: read them with `target_data.py` by what was asked for."""

    count: int = 0
    data: bytes = b""


class InListPassiveTarget(Command, frozen=True):
    """Find and activate up to two cards. initiator_data: a UID of type A, or an AFI of type B, or a FeliCa request."""

    CODE: ClassVar[int] = 0x4A
    RESPONSE: ClassVar[type[Response]] = ListedTargets
    TIMEOUT_S: ClassVar[float] = 1.0

    max_targets: int
    modulation: int
    initiator_data: bytes = b""

    def parameters(self) -> bytes:
        """MaxTg, BrTy and the initiator's data."""
        return bytes((octet(self.max_targets, "max_tg"), octet(self.modulation, "br_ty"))) + self.initiator_data

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read MaxTg, BrTy and the initiator's data."""
        check_size(data, 2)
        if not 1 <= data[0] <= MAX_TARGETS or data[1] > JEWEL_106:
            raise FrameError("MaxTg is 1 or 2 and BrTy 0 to 4", field="br_ty", raw=data)
        return cls(data[0], data[1], bytes(data[2:]))


class InDataExchange(Command, frozen=True):
    """Send data to an active card, through ISO-DEP where it speaks that. more: further data follow in the next one."""

    CODE: ClassVar[int] = 0x40
    RESPONSE: ClassVar[type[Response]] = StatusAndData
    TIMEOUT_S: ClassVar[float] = 1.0
    IS_REPEATABLE: ClassVar[bool] = False

    tg: int
    data: bytes = b""
    more: bool = False

    def parameters(self) -> bytes:
        """Tg with MI, and the data."""
        return bytes((octet(self.tg, "tg", TG_MI - 1) | self.more << 6,)) + self.data

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read Tg with MI, and the data."""
        check_size(data, 1)
        if data[0] & ~0x7F:
            raise FrameError("bit 7 of Tg is reserved", field="tg", raw=data)
        return cls(data[0] & 0x3F, bytes(data[1:]), bool(data[0] & TG_MI))


class InCommunicateThru(DataCommand, frozen=True):
    """Send raw bytes to whatever is in the field."""

    CODE: ClassVar[int] = 0x42
    RESPONSE: ClassVar[type[Response]] = StatusAndData
    TIMEOUT_S: ClassVar[float] = 1.0
    IS_REPEATABLE: ClassVar[bool] = False


class _OneTarget(FixedCommand, frozen=True):
    """A command that names a target; 0 means all."""

    RESPONSE: ClassVar[type[Response]] = StatusResponse

    tg: int = 0


class InDeselect(_OneTarget, frozen=True):
    """Send a card to HALT, but remember it."""

    CODE: ClassVar[int] = 0x44


class InRelease(_OneTarget, frozen=True):
    """Send a card to HALT and forget it."""

    CODE: ClassVar[int] = 0x52


class InSelect(_OneTarget, frozen=True):
    """Wake up a card that was deselected."""

    CODE: ClassVar[int] = 0x54


class PolledTarget(msgspec.Struct, frozen=True):
    """One target that InAutoPoll found: its type and its data as InListPassiveTarget gives them, without a count."""

    type: int
    data: bytes


class PolledTargets(Response, frozen=True):
    """What InAutoPoll found."""

    targets: tuple[PolledTarget, ...] = ()

    def payload(self) -> bytes:
        """Count, and type, length and data for each."""
        return bytes((octet(len(self.targets), "targets"),)) + b"".join(
            bytes((octet(one.type, "type"), octet(len(one.data), "length"))) + one.data for one in self.targets
        )

    @classmethod
    def from_payload(cls, data: bytes) -> Self:
        """Read them."""
        check_size(data, 1)
        targets = []
        at = 1
        for _number in range(data[0]):
            if len(data) < at + 2 or len(data) < at + 2 + data[at + 1]:
                raise FrameError("a target runs past the end", offset=at, field="targets", raw=data)
            targets.append(PolledTarget(data[at], bytes(data[at + 2 : at + 2 + data[at + 1]])))
            at += 2 + data[at + 1]
        check_size(data, at, at)
        return cls(tuple(targets))


class InAutoPoll(Command, frozen=True):
    """Poll for targets of several types. polls: how often, FF endless. period: of each type, in units of 150 ms."""

    CODE: ClassVar[int] = 0x60
    RESPONSE: ClassVar[type[Response]] = PolledTargets
    TIMEOUT_S: ClassVar[float] = 5.0

    polls: int
    period_150ms: int
    types: tuple[int, ...]

    def parameters(self) -> bytes:
        """Number, period and types."""
        return bytes(octet(value, "types") for value in (self.polls, self.period_150ms, *self.types))

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read number, period and types."""
        check_size(data, 3, 17)
        if not data[0] or not 1 <= data[1] <= 15:
            raise FrameError("polls at least once, with a period of 1 to 15", field="period", raw=data)
        return cls(data[0], data[1], tuple(data[2:]))


class _PeerToPeer(DataCommand, frozen=True):
    """A command of ISO/IEC 18092, which nothing here speaks: its parameters are kept as they are."""

    RESPONSE: ClassVar[type[Response]] = StatusAndData
    TIMEOUT_S: ClassVar[float] = 3.0
    IS_REPEATABLE: ClassVar[bool] = False


class InJumpForPsl(_PeerToPeer, frozen=True):
    """Activate a peer."""

    CODE: ClassVar[int] = 0x46


class InPsl(_PeerToPeer, frozen=True):
    """Change the bit rates."""

    CODE: ClassVar[int] = 0x4E


class InAtr(_PeerToPeer, frozen=True):
    """Activate a passive peer."""

    CODE: ClassVar[int] = 0x50


class InJumpForDep(_PeerToPeer, frozen=True):
    """Activate a peer for data exchange."""

    CODE: ClassVar[int] = 0x56
