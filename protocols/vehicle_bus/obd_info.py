"""What vehicle information (OBD service 09) says (SAE J1979, annex G).

    00 four bytes, which info types there are     02 VIN, 17 characters with zeros in front
    04 calibration ids, 16 characters each        06 calibration verification numbers, 4 bytes each
    0A name of the ECU, 20 characters

>>> read_vin(bytes(3) + b"1HGCM82633A004352")
'1HGCM82633A004352'
"""

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.vehicle_bus.obd_pids import SUPPORTED_STEP, supported_octets, supported_of

SUPPORTED = 0x00
VIN = 0x02
CALIBRATION_IDS = 0x04
VERIFICATION_NUMBERS = 0x06
ECU_NAME = 0x0A
VIN_CHARACTERS = 17
ITEM_BYTES = {CALIBRATION_IDS: 16, VERIFICATION_NUMBERS: 4, ECU_NAME: 20}


def items_of(info: int, data: bytes, count: int | None) -> list[bytes]:
    """The items of an info type, `count` of them where that was told. Raises `FieldError`."""
    size = ITEM_BYTES[info]
    if not data or len(data) % size or (count is not None and count * size != len(data)):
        due = f"{'some' if count is None else count} x {size} bytes are due"
        raise FieldError(f"{len(data)} bytes where {due}", offset=2, field="info", raw=data)
    return [data[at : at + size] for at in range(0, len(data), size)]


def read_supported(data: bytes) -> list[int]:
    """The info types that there are. Raises `FieldError`."""
    if len(data) != 4:
        raise FieldError(f"4 bytes, not {len(data)}", offset=2, field="supported_infos", raw=data)
    return supported_of(SUPPORTED, data)


def read_vin(data: bytes) -> str:
    """The VIN. Raises `FieldError`."""
    vin = data.lstrip(b"\x00").rstrip(b"\x00 ")
    if len(vin) != VIN_CHARACTERS or not all(0x20 <= byte <= 0x7E for byte in vin):
        raise FieldError("not 17 printable characters", offset=2, field="vin")
    return vin.decode("ascii")


def read_text(item: bytes, field: str) -> str:
    """Text with zeros behind it; zeros inside become blanks. Raises `FieldError`."""
    text = item.strip(b"\x00").replace(b"\x00", b" ").rstrip(b" ")
    if not all(0x20 <= byte <= 0x7E for byte in text):
        raise FieldError("characters that are not printable", offset=2, field=field, raw=item)
    return text.decode("ascii")


def text_octets(text: str, size: int, field: str) -> bytes:
    """Text filled up with zeros. Raises `LocalProtocolError`."""
    if len(text) > size or not text.isascii() or not (text.isprintable() or not text):
        raise LocalProtocolError(f"at most {size} printable characters", field=field)
    return text.encode("ascii").ljust(size, b"\x00")


def vin_octets(vin: str) -> bytes:
    """A VIN as it is sent. Raises `LocalProtocolError`."""
    if len(vin) != VIN_CHARACTERS:
        raise LocalProtocolError("17 characters", field="vin")
    return text_octets(vin, VIN_CHARACTERS, "vin")


def supported_info_octets(supported: list[int]) -> bytes:
    """The four bytes of info type 00. Raises `LocalProtocolError`."""
    if not all(0 < info <= SUPPORTED_STEP for info in supported):
        raise LocalProtocolError(f"from 1 to {SUPPORTED_STEP}", field="supported_infos")
    return supported_octets(SUPPORTED, supported)
