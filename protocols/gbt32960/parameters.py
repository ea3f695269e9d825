r"""Parameters, control of the terminal, activation and keys: commands 80 to 82 and 09 to 0B.

GB/T 32960.3-2016 and -2025, annex B and clause 7.3. A parameter has no length on the wire: the table tells it, and for
the host names 05 and 0E the parameter before it (04, 0D).

>>> ParameterIds.read(Reader(bytes.fromhex("0b0a19140533 02 0102"))).ids
b'\x01\x02'
"""

from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError
from protocols.gbt32960.layout import Blob, Bytes, Number, Numbers, Part, Reader, Rest, Structure
from protocols.gbt32960.login import TIME
from protocols.gbt32960.times import TIME_BYTES

SIZES = {
    0x01: 2,
    0x02: 2,
    0x03: 2,
    0x04: 1,
    0x06: 2,
    0x07: 5,
    0x08: 5,
    0x09: 1,
    0x0A: 2,
    0x0B: 2,
    0x0C: 1,
    0x0D: 1,
    0x0F: 2,
    0x10: 1,
}
"""Bytes of each parameter, edition of 2016."""
SIZES_2025 = {**SIZES, 0x02: 1, 0x03: 1}
NAMES = {
    0x01: "local storage period, ms",
    0x02: "report period, s",
    0x03: "report period during an alarm",
    0x04: "length of the management platform's host name",
    0x05: "management platform's host name",
    0x06: "management platform's port",
    0x07: "hardware version",
    0x08: "firmware version",
    0x09: "heartbeat period, s",
    0x0A: "terminal's answer timeout, s",
    0x0B: "platform's answer timeout, s",
    0x0C: "wait after three failed logins, min",
    0x0D: "length of the public platform's host name",
    0x0E: "public platform's host name",
    0x0F: "public platform's port",
    0x10: "sampling test in progress, 1 yes, 2 no",
}
LENGTH_OF = {0x05: 0x04, 0x0E: 0x0D}
"""Whose value is the length of this one."""
TEXTS = frozenset({0x05, 0x07, 0x08, 0x0E})


class Parameter(msgspec.Struct, frozen=True):
    """One parameter, its value as it stands on the wire."""

    id: int
    value: bytes


class ParameterIds(msgspec.Struct, frozen=True):
    """Which parameters the platform asks for."""

    time: bytes
    ids: bytes

    @classmethod
    def read(cls, reader: Reader) -> "ParameterIds":
        """Raises `FieldError`."""
        time = reader.take(TIME_BYTES, "time")
        return cls(time, reader.take(reader.number(1, "param_count"), "param_ids"))

    def write(self) -> bytes:
        """Its bytes. Raises `LocalProtocolError`."""
        if len(self.ids) > 0xFF:
            raise LocalProtocolError("up to 255", field="param_ids")
        return self.time + bytes((len(self.ids),)) + self.ids


class Parameters(msgspec.Struct, frozen=True):
    """Parameters and their values: set by the platform, or the answer of a terminal."""

    time: bytes
    params: tuple[Parameter, ...]

    @classmethod
    def read_edition(cls, reader: Reader, edition: int) -> "Parameters":
        """Raises `FieldError`."""
        time = reader.take(TIME_BYTES, "time")
        count = reader.number(1, "param_count")
        params: list[Parameter] = []
        lengths: dict[int, int] = {}
        for _ in range(count):
            param_id = reader.number(1, "id")
            size = size_of(param_id, edition, lengths)
            if size is None:
                raise reader.error(f"the length of parameter {param_id:02x} is not known", "id")
            value = reader.take(size, "value")
            if param_id in LENGTH_OF.values():
                lengths[param_id] = value[0]
            params.append(Parameter(param_id, value))
        return cls(time, tuple(params))

    def write_edition(self, edition: int) -> bytes:
        """Its bytes. Raises `LocalProtocolError` for a value that is not of its length."""
        lengths: dict[int, int] = {}
        if len(self.params) > 0xFF:
            raise LocalProtocolError("up to 255", field="params")
        out = self.time + bytes((len(self.params),))
        for param in self.params:
            if len(param.value) != size_of(param.id, edition, lengths):
                raise LocalProtocolError(f"not the length of parameter {param.id:02x}", field="value")
            if param.id in LENGTH_OF.values():
                lengths[param.id] = param.value[0]
            out += bytes((param.id,)) + param.value
        return out


def size_of(param_id: int, edition: int, lengths: dict[int, int]) -> int | None:
    """Bytes of a value; `lengths` are those that parameters before it have told. None when nobody knows."""
    if param_id in LENGTH_OF:
        return lengths.get(LENGTH_OF[param_id])
    return (SIZES if edition == 2016 else SIZES_2025).get(param_id)


class Control(Structure, frozen=True):
    """The platform commands the terminal.

    command_id: 1 upgrade, 2 power off, 3 reset, 4 factory reset, 5 disconnect, 6 alarm (level and text), 7 sampling.
    """

    time: bytes
    command_id: int
    argument: bytes = b""

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(TIME, Number("command_id", 1)), Rest("argument"))


class Activation(Structure, frozen=True):
    """A terminal files its security chip, edition of 2025. Signed over all before the signature."""

    time: bytes
    chip_id: bytes
    public_key: bytes
    vin: bytes
    signature_type: int
    r: bytes
    s: bytes

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(TIME, Bytes("chip_id", 16, "text")),
        Blob(2, "public_key"),
        Numbers(Bytes("vin", 17, "text"), Number("signature_type", 1)),
        Blob(2, "r"),
        Blob(2, "s"),
    )


class ActivationAnswer(Structure, frozen=True):
    """activation_status: 1 ok, 2 failed. activation_info: 1 ok, 2 the chip is in use, 3 the VIN is there already."""

    activation_status: int
    activation_info: int

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(Number("activation_status", 1), Number("activation_info", 1)),)


class KeyExchange(Structure, frozen=True):
    """A key, encrypted, and from when to when it holds, edition of 2025."""

    key_type: int
    key: bytes
    valid_from: bytes
    valid_until: bytes

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(Number("key_type", 1)),
        Blob(2, "key"),
        Numbers(Bytes("valid_from", 6, "time"), Bytes("valid_until", 6, "time")),
    )

    def __repr__(self) -> str:
        return f"KeyExchange(key_type={self.key_type})"
