"""Commands with which a PN532 plays the card (NXP UM0701-02, 7.3.14 to 7.3.21)."""

from typing import ClassVar, Self

from protocols.core.errors import FrameError, LocalProtocolError
from protocols.pn532.command import (
    Command,
    DataCommand,
    FixedResponse,
    HeadedResponse,
    Response,
    StatusAndData,
    StatusResponse,
    check_size,
    octet,
)

_MIFARE_BYTES = 6
_FELICA_BYTES = 18
_NFCID3_BYTES = 10


class TargetActivated(HeadedResponse, frozen=True):
    """How an initiator activated the chip, and its first command."""

    mode: int = 0
    initiator_command: bytes = b""


class TgInitAsTarget(Command, frozen=True):
    """Wait for an initiator, as a card with these parameters."""

    CODE: ClassVar[int] = 0x8C
    RESPONSE: ClassVar[type[Response]] = TargetActivated
    TIMEOUT_S: ClassVar[float] = 5.0
    IS_REPEATABLE: ClassVar[bool] = False

    mode: int
    mifare: bytes
    felica: bytes
    nfcid3: bytes
    general_bytes: bytes = b""
    historical_bytes: bytes = b""

    def parameters(self) -> bytes:
        """Mode, the fixed parameters, general and historical bytes."""
        sizes = (len(self.mifare), len(self.felica), len(self.nfcid3))
        if sizes != (_MIFARE_BYTES, _FELICA_BYTES, _NFCID3_BYTES):
            raise LocalProtocolError("6, 18 and 10 bytes", field="parameters")
        general = bytes((octet(len(self.general_bytes), "general_bytes"),)) + self.general_bytes
        historical = bytes((octet(len(self.historical_bytes), "historical_bytes"),)) + self.historical_bytes
        return bytes((octet(self.mode, "mode"),)) + self.mifare + self.felica + self.nfcid3 + general + historical

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read mode, the fixed parameters, general and historical bytes."""
        general_at = 1 + _MIFARE_BYTES + _FELICA_BYTES + _NFCID3_BYTES + 1
        check_size(data, general_at + 1)
        general_end = general_at + data[general_at - 1]
        if len(data) <= general_end or len(data) != general_end + 1 + data[general_end]:
            raise FrameError("general or historical bytes run past the end", field="general_bytes", raw=data)
        return cls(
            data[0],
            bytes(data[1:7]),
            bytes(data[7:25]),
            bytes(data[25:35]),
            bytes(data[general_at:general_end]),
            bytes(data[general_end + 1 :]),
        )


class _FromInitiator(Command, frozen=True):
    """A command that waits for the initiator."""

    RESPONSE: ClassVar[type[Response]] = StatusAndData
    TIMEOUT_S: ClassVar[float] = 5.0
    IS_REPEATABLE: ClassVar[bool] = False


class TgGetData(_FromInitiator, frozen=True):
    """Data that the initiator sent."""

    CODE: ClassVar[int] = 0x86


class TgGetInitiatorCommand(_FromInitiator, frozen=True):
    """A raw command that the initiator sent."""

    CODE: ClassVar[int] = 0x88


class _ToInitiator(DataCommand, frozen=True):
    """A command that hands data to the initiator."""

    RESPONSE: ClassVar[type[Response]] = StatusResponse
    TIMEOUT_S: ClassVar[float] = 1.0
    IS_REPEATABLE: ClassVar[bool] = False


class TgSetData(_ToInitiator, frozen=True):
    """Data for the initiator."""

    CODE: ClassVar[int] = 0x8E


class TgResponseToInitiator(_ToInitiator, frozen=True):
    """A raw response for the initiator."""

    CODE: ClassVar[int] = 0x90


class TgSetGeneralBytes(_ToInitiator, frozen=True):
    """The general bytes of the ATR_RES."""

    CODE: ClassVar[int] = 0x92


class TgSetMetaData(_ToInitiator, frozen=True):
    """Data for the initiator of which more follows."""

    CODE: ClassVar[int] = 0x94


class TargetStatus(FixedResponse, frozen=True):
    """state: 0 released, 1 activated, 2 deselected. rates: initiator's in bits 6..4, target's in bits 2..0."""

    state: int = 0
    rates: int = 0


class TgGetTargetStatus(Command, frozen=True):
    """How the chip stands as a card."""

    CODE: ClassVar[int] = 0x8A
    RESPONSE: ClassVar[type[Response]] = TargetStatus
