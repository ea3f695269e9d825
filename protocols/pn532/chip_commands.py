"""Commands that concern the chip itself (NXP UM0701-02, 7.2 and 7.3.1): tests, registers, pins, line, sleep, radio."""

from typing import ClassVar, Self

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError
from protocols.pn532.command import (
    Command,
    DataResponse,
    FixedCommand,
    FixedResponse,
    HeadedCommand,
    Response,
    StatusResponse,
    check_size,
    octet,
    write_fixed,
)

IC_PN532 = 0x32
BAUD_RATES = (9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600, 1_288_000)
"""By the code of SetSerialBaudRate."""

DIAGNOSE_LINE = 0x00
DIAGNOSE_ROM = 0x01
DIAGNOSE_RAM = 0x02
DIAGNOSE_POLLING = 0x04
DIAGNOSE_ECHO = 0x05
DIAGNOSE_ATTENTION = 0x06
"""Whether the card is still there: R(NAK) to one that speaks ISO/IEC 14443-4."""
DIAGNOSE_ANTENNA = 0x07

PARAMETER_NAD = 0x01
PARAMETER_DID = 0x02
PARAMETER_AUTO_ATR_RES = 0x04
PARAMETER_AUTO_RATS = 0x10
PARAMETER_PICC = 0x20
PARAMETER_NO_PREAMBLE = 0x40

SAM_NORMAL = 0x01
WAKE_UP_HSU = 0x10

RF_FIELD = 0x01
RF_TIMINGS = 0x02
RF_COM_RETRIES = 0x04
RF_RETRIES = 0x05
RF_ANALOG_A = 0x0A
RF_ANALOG_F = 0x0B
RF_ANALOG_B = 0x0C
RF_ANALOG_RATES = 0x0D
RF_ITEM_BYTES = {
    RF_FIELD: 1,
    RF_TIMINGS: 3,
    RF_COM_RETRIES: 1,
    RF_RETRIES: 3,
    RF_ANALOG_A: 11,
    RF_ANALOG_F: 8,
    RF_ANALOG_B: 3,
    RF_ANALOG_RATES: 9,
}
"""How many bytes each item of RFConfiguration takes, UM0701-02 7.3.1."""


def timeout_s(code: int) -> float | None:
    """Seconds of a timeout code of RFConfiguration: 100 us x 2^(code - 1); None for 0, which means no timeout."""
    return 1e-4 * (1 << (min(code, 16) - 1)) if code else None


class DiagnoseResponse(DataResponse, frozen=True):
    """The echo, a result byte, or a status, by the test."""


class Diagnose(HeadedCommand, frozen=True):
    """A self-test. With `DIAGNOSE_LINE` the chip answers test number and data."""

    CODE: ClassVar[int] = 0x00
    RESPONSE: ClassVar[type[Response]] = DiagnoseResponse
    TIMEOUT_S: ClassVar[float] = 0.5

    test: int
    data: bytes = b""


class FirmwareVersion(FixedResponse, frozen=True):
    """ic: 32 for a PN532. support: bit 0 type A, bit 1 type B, bit 2 ISO/IEC 18092."""

    ic: int = IC_PN532
    version: int = 1
    revision: int = 6
    support: int = 7


class GetFirmwareVersion(Command, frozen=True):
    """Which chip this is."""

    CODE: ClassVar[int] = 0x02
    RESPONSE: ClassVar[type[Response]] = FirmwareVersion


class TargetState(msgspec.Struct, frozen=True):
    """One target that the chip handles. Rates: 0 to 2 for 106 to 424 kbit/s. modulation: 10 for FeliCa, else 00."""

    tg: int
    rate_rx: int = 0
    rate_tx: int = 0
    modulation: int = 0


class GeneralStatus(Response, frozen=True):
    """error: the last one. field: an external field is there. sam_status: as sent."""

    error: int = 0
    field: int = 0
    targets: tuple[TargetState, ...] = ()
    sam_status: int = 0

    def payload(self) -> bytes:
        """The bytes of it all."""
        head = (octet(self.error, "error"), octet(self.field, "field"), octet(len(self.targets), "targets"))
        targets = b"".join(write_fixed(one) for one in self.targets)
        return bytes(head) + targets + bytes((octet(self.sam_status, "sam_status"),))

    @classmethod
    def from_payload(cls, data: bytes) -> Self:
        """Read it all."""
        check_size(data, 4)
        check_size(data, 4 + 4 * data[2], 4 + 4 * data[2])
        targets = tuple(TargetState(*data[at : at + 4]) for at in range(3, len(data) - 1, 4))
        return cls(data[0], data[1], targets, data[-1])


class GetGeneralStatus(Command, frozen=True):
    """What the chip is doing."""

    CODE: ClassVar[int] = 0x04
    RESPONSE: ClassVar[type[Response]] = GeneralStatus


class RegisterValues(DataResponse, frozen=True):
    """One byte for each address asked for. No status byte on a PN532."""


class ReadRegister(Command, frozen=True):
    """Read registers by address."""

    CODE: ClassVar[int] = 0x06
    RESPONSE: ClassVar[type[Response]] = RegisterValues

    addresses: tuple[int, ...]

    def parameters(self) -> bytes:
        """Two bytes for each address."""
        return b"".join(octet(address, "address", 0xFFFF).to_bytes(2, "big") for address in self.addresses)

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read the addresses."""
        check_size(data, 2)
        if len(data) % 2:
            raise FrameError("an address has two bytes", field="address", raw=data)
        return cls(tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)))


class WriteRegister(Command, frozen=True):
    """Write registers: (address, value) each."""

    CODE: ClassVar[int] = 0x08

    writes: tuple[tuple[int, int], ...]

    def parameters(self) -> bytes:
        """Three bytes for each register."""
        return b"".join(
            octet(address, "address", 0xFFFF).to_bytes(2, "big") + bytes((octet(value, "value"),))
            for address, value in self.writes
        )

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read addresses and values."""
        check_size(data, 3)
        if len(data) % 3:
            raise FrameError("address and value have three bytes", field="address", raw=data)
        return cls(tuple((int.from_bytes(data[at : at + 2], "big"), data[at + 2]) for at in range(0, len(data), 3)))


class GpioState(FixedResponse, frozen=True):
    """Levels of the pins P30..P35, P71 and P72, and of I0 and I1."""

    p3: int = 0
    p7: int = 0
    i0i1: int = 0


class ReadGpio(Command, frozen=True):
    """Read the pins."""

    CODE: ClassVar[int] = 0x0C
    RESPONSE: ClassVar[type[Response]] = GpioState


class WriteGpio(FixedCommand, frozen=True):
    """Write the pins whose byte has bit 7 set."""

    CODE: ClassVar[int] = 0x0E

    p3: int
    p7: int


class SetSerialBaudRate(Command, frozen=True):
    """Change the rate of the line, by code; it applies after the host's ACK that follows the response."""

    CODE: ClassVar[int] = 0x10

    code: int

    def parameters(self) -> bytes:
        """The code."""
        return bytes((octet(self.code, "code", len(BAUD_RATES) - 1),))

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read the code."""
        check_size(data, 1, 1)
        if data[0] >= len(BAUD_RATES):
            raise FrameError(f"there is no baud rate {data[0]}", field="code", raw=data)
        return cls(data[0])


class SetParameters(FixedCommand, frozen=True):
    """Choose how the chip behaves: the flags `PARAMETER_..`."""

    CODE: ClassVar[int] = 0x12

    flags: int


class SamConfiguration(Command, frozen=True):
    """Choose how the security module is used: mode 1 normal (none), 2 virtual, 3 wired, 4 dual. Leaves LowVbat.

    timeout_50ms: of the virtual card. irq: whether the pin P70_IRQ is driven. Both may be left out (None).
    """

    CODE: ClassVar[int] = 0x14
    TIMEOUT_S: ClassVar[float] = 1.0

    mode: int = SAM_NORMAL
    timeout_50ms: int | None = None
    irq: int | None = None

    def parameters(self) -> bytes:
        """One to three bytes."""
        if self.irq is not None and self.timeout_50ms is None:
            raise LocalProtocolError("an IRQ byte needs the timeout before it", field="irq")
        values = (self.mode, self.timeout_50ms, self.irq)
        return bytes(octet(value, "sam") for value in values if value is not None)

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read one to three bytes."""
        check_size(data, 1, 3)
        if not 1 <= data[0] <= 4:
            raise FrameError(f"there is no mode {data[0]}", field="mode", raw=data)
        return cls(*data)


class PowerDown(Command, frozen=True):
    """Sleep until one of the sources in `wake_up` stirs."""

    CODE: ClassVar[int] = 0x16
    RESPONSE: ClassVar[type[Response]] = StatusResponse

    wake_up: int = WAKE_UP_HSU
    irq: int | None = None

    def parameters(self) -> bytes:
        """One or two bytes."""
        return bytes(octet(value, "wake_up") for value in (self.wake_up, self.irq) if value is not None)

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read one or two bytes."""
        check_size(data, 1, 2)
        return cls(*data)


class RfConfiguration(HeadedCommand, frozen=True):
    """Set one item of the radio: the field, timings, retries, analogue settings."""

    CODE: ClassVar[int] = 0x32

    item: int
    data: bytes

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read item and data."""
        check_size(data, 2)
        want = RF_ITEM_BYTES.get(data[0])
        if want is None or len(data) != want + 1:
            raise FrameError(f"no such item, or not with {len(data) - 1} bytes", field="item", raw=data)
        return super().from_parameters(data)
