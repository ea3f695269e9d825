"""Login and logout of vehicles and platforms: commands 01, 04, 05 and 06.

GB/T 32960.3-2016 and -2025, clauses 7.2.1, 7.2.4 and 7.2.5. Times are six plain bytes, see `times`. A serial number
counts the logins of a day from 1; the logout bears that of its login.

>>> Logout.read(Reader(bytes.fromhex("1206161015150046"))).login_serial
70
"""

from typing import Any, ClassVar

from protocols.core.errors import LocalProtocolError
from protocols.gbt32960.layout import Bytes, Number, Numbers, Part, Reader, Structure

PACK_CODE_BYTES = 24
TIME = Bytes("time", 6, "time")
LOGIN = (TIME, Number("login_serial", 2))


class _Codes:
    """Count and length, then so many codes; no codes when the length is 0."""

    names: tuple[str, ...] = ("subsystem_count", "subsystem_code_length", "subsystem_codes")

    def read(self, reader: Reader) -> list[Any]:
        count, size = reader.number(1, self.names[0]), reader.number(1, self.names[1])
        codes = tuple(reader.take(size, self.names[2]) for _ in range(count if size else 0))
        return [count, size, codes]

    def write(self, item: "VehicleLogin") -> bytes:
        count, size, codes = item.subsystem_count, item.subsystem_code_length, item.subsystem_codes
        if len(codes) != (count if size else 0) or any(len(code) != size for code in codes):
            raise LocalProtocolError("as many codes as told, of the length told", field=self.names[2])
        return bytes((count, size)) + b"".join(codes)


class VehicleLogin(Structure, frozen=True):
    """A vehicle logs in, edition of 2016."""

    time: bytes
    login_serial: int
    iccid: bytes
    subsystem_count: int = 0
    subsystem_code_length: int = 0
    subsystem_codes: tuple[bytes, ...] = ()

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(*LOGIN, Bytes("iccid", 20, "text")), _Codes())


class _Packs:
    """How many battery management systems, how many packs each has, then the codes of all packs."""

    names: tuple[str, ...] = ("packs",)

    def read(self, reader: Reader) -> list[Any]:
        counts = reader.take(reader.number(1, "bms_count"), "bms_count")
        return [tuple(tuple(reader.take(PACK_CODE_BYTES, "packs") for _ in range(count)) for count in counts)]

    def write(self, item: "VehicleLogin2025") -> bytes:
        if len(item.packs) > 0xFF or any(len(codes) > 0xFF for codes in item.packs):
            raise LocalProtocolError("up to 255 systems of 255 packs", field="packs")
        codes = b"".join(code for system in item.packs for code in system)
        if any(len(code) != PACK_CODE_BYTES for system in item.packs for code in system):
            raise LocalProtocolError(f"{PACK_CODE_BYTES} bytes each", field="packs")
        return bytes((len(item.packs), *map(len, item.packs))) + codes


class VehicleLogin2025(Structure, frozen=True):
    """A vehicle logs in, edition of 2025. packs: the codes of the packs of each battery management system."""

    time: bytes
    login_serial: int
    iccid: bytes
    packs: tuple[tuple[bytes, ...], ...] = ()

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(*LOGIN, Bytes("iccid", 20, "text")), _Packs())


class Logout(Structure, frozen=True):
    """A vehicle or a platform logs out."""

    time: bytes
    login_serial: int

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(*LOGIN),)


class PlatformLogin(Structure, frozen=True):
    """A platform logs in. encryption_rule: as the encryption of frames."""

    time: bytes
    login_serial: int
    username: bytes
    password: bytes
    encryption_rule: int

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(*LOGIN, Bytes("username", 12, "text"), Bytes("password", 20, "text"), Number("encryption_rule", 1)),
    )

    def __repr__(self) -> str:
        return f"PlatformLogin(login_serial={self.login_serial})"
