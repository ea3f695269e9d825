"""Who is on the bus: NAME (SAE J1939-81), vehicle and component identification (J1939-71).

    NAME, the first byte on the wire lowest:
    63 arbitrary address   62-60 industry group   59-56 vehicle system instance   55-49 vehicle system   48 reserved
    47-40 function   39-35 function instance   34-32 ECU instance   31-21 manufacturer   20-0 identity

    VI   VIN *                                CI   make * model * serial * unit *

>>> decode_name(bytes.fromhex("3930A002000302A0")).manufacturer
21
>>> decode_component(b"CMMNS*ISX*12345**").parts()
('CMMNS', 'ISX', '12345', None)
"""

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError

NAME_FIELDS = (
    ("identity", 21),
    ("manufacturer", 11),
    ("ecu_instance", 3),
    ("function_instance", 5),
    ("function", 8),
    ("reserved", 1),
    ("vehicle_system", 7),
    ("vehicle_system_instance", 4),
    ("industry_group", 3),
    ("arbitrary_address", 1),
)
"""From the lowest bit on, with their sizes in bits."""
COMPONENT_PARTS = 4


class Name(msgspec.Struct, frozen=True):
    """Address claimed: the NAME of the node that claims its source address."""

    identity: int
    manufacturer: int
    ecu_instance: int = 0
    function_instance: int = 0
    function: int = 0
    reserved: int = 0
    vehicle_system: int = 0
    vehicle_system_instance: int = 0
    industry_group: int = 0
    arbitrary_address: int = 0


class VehicleIdentification(msgspec.Struct, frozen=True):
    """The VIN, with whatever follows it on the wire."""

    data: bytes

    def vin(self) -> str | None:
        """The text before the star. Raises `FieldError` where it is none."""
        return _text(self.data.split(b"*", 1)[0], "vin")


class ComponentIdentification(msgspec.Struct, frozen=True):
    """Make, model, serial number and unit number of a component, as they stand on the wire."""

    data: bytes

    def parts(self) -> tuple[str | None, ...]:
        """The four of them, None for what is absent. Raises `FieldError` where one is no text."""
        parts = self.data.split(b"*")[:COMPONENT_PARTS]
        parts += [b""] * (COMPONENT_PARTS - len(parts))
        return tuple(_text(part, "component_id") for part in parts)


def decode_name(data: bytes) -> Name:
    """Read a NAME. Raises `FieldError`."""
    if len(data) != 8:
        raise FieldError(f"a NAME has 8 bytes, not {len(data)}", offset=len(data), field="name")
    bits = int.from_bytes(data, "little")
    values = []
    for _field, size in NAME_FIELDS:
        values.append(bits & (1 << size) - 1)
        bits >>= size
    return Name(*values)


def encode_name(name: Name) -> bytes:
    """Write a NAME. Raises `LocalProtocolError`."""
    bits = at = 0
    for field, size in NAME_FIELDS:
        value = getattr(name, field)
        if not 0 <= value < 1 << size:
            raise LocalProtocolError(f"{value} is not 0 to {(1 << size) - 1}", field=field)
        bits |= value << at
        at += size
    return bits.to_bytes(8, "little")


def decode_vin(data: bytes) -> VehicleIdentification:
    """Read a VI."""
    return VehicleIdentification(bytes(data))


def vehicle_identification(vin: str | None) -> VehicleIdentification:
    """A VI as it is sent; without a VIN, not available. Raises `LocalProtocolError`."""
    return VehicleIdentification(bytes((0xFF,)) * 8 if vin is None else _octets(vin, "vin") + b"*")


def decode_component(data: bytes) -> ComponentIdentification:
    """Read a CI."""
    return ComponentIdentification(bytes(data))


def component_identification(*parts: str | None) -> ComponentIdentification:
    """A CI as it is sent. Raises `LocalProtocolError`."""
    return ComponentIdentification(b"".join(_octets(part or "", "component_id") + b"*" for part in parts))


def _text(data: bytes, field: str) -> str | None:
    stripped = data.rstrip(b"\x00\xff")
    if not stripped:
        return None
    for at, byte in enumerate(stripped):
        if not 0x20 <= byte <= 0x7E:
            raise FieldError(f"{byte:02x} is no printable character", offset=at, field=field, raw=data)
    return stripped.decode("ascii")


def _octets(text: str, field: str) -> bytes:
    if "*" in text or not (text.isascii() and (text.isprintable() or not text)):
        raise LocalProtocolError("printable ASCII without a star", field=field)
    return text.encode("ascii")
