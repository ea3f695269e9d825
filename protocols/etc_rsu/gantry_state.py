"""What the roadside unit of a free-flow gantry tells of itself: B0, B1 and the PSAMs' authorisation, BA and BB."""

from typing import Annotated, Any, ClassVar, Self

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.etc_rsu.gantry_commands import GantryId
from protocols.etc_rsu.payload import Report
from protocols.etc_rsu.rows import Time
from protocols.table import Records, Table, layout_of
from protocols.table_rows import U8, Octets, TerminalId


class Psam(Table, frozen=True, gc=False):
    """A security module. auth_status: 0 authorised."""

    channel: U8
    version: U8
    auth_status: U8
    terminal_id: TerminalId


class GantryDeviceState(Report, frozen=True, gc=False):
    """B0. rsu_status: 0 good, 1 PSAM, 2 antenna head, 3 controller. reserved: begins with the interface's version.

    psam_num: as it was sent. One vendor sends 0 beside a record, so the list goes by the length.
    """

    TABLE: ClassVar[str] = "gantry_B0"
    TYPE: ClassVar[int] = 0xB0
    rsu_status: U8
    psam_num: U8
    psams: Annotated[tuple[Psam, ...], Records(Psam)]
    alg_id: U8
    manufacturer_id: Annotated[bytes, Octets(1)]
    rsu_id: Annotated[bytes, Octets(3)]
    rsu_version: Annotated[bytes, Octets(2)]
    work_status: U8
    gantry_id: GantryId
    reserved: Annotated[bytes, Octets(4)]


class PsamStatus(Table, frozen=True, gc=False):
    """A security module in a heartbeat: 0 is good."""

    channel: U8
    run_status: U8
    auth_status: U8


class AntennaStatus(Table, frozen=True, gc=False):
    """An antenna in a heartbeat. run_status: 0 good, 1 link, 2 RF, 3 other. channel: 0 is channel 1."""

    antenna_id: U8
    run_status: U8
    channel: U8
    power: U8


class GantryHeartbeat(Report, frozen=True, gc=False):
    """B1. Each list stands behind its number of items; that of the antennas is a field, and one more is between."""

    TABLE: ClassVar[str] = "gantry_B1"
    TYPE: ClassVar[int] = 0xB1
    controller_status_1: U8
    controller_status_2: U8
    controller_link: U8
    psam_status_1: Annotated[tuple[PsamStatus, ...], Records(PsamStatus)]
    psam_status_2: Annotated[tuple[PsamStatus, ...], Records(PsamStatus)]
    antenna_count: U8
    antenna_ok_count: U8
    antenna_status: Annotated[tuple[AntennaStatus, ...], Records(AntennaStatus)]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read it, list by list. Raises `RemoteProtocolError`."""
        cls.check_type(data)
        if len(data) < 4:
            raise FrameError("cut short", len(data), cls.TABLE)
        at = 4
        lists: list[Any] = []
        antennas = (0, 0)
        rows = dict(layout_of(cls).rows)
        for name in ("psam_status_1", "psam_status_2", "antenna_status"):
            row = rows[name]
            assert isinstance(row, Records)
            count_bytes = 2 if name == "antenna_status" else 1
            counts = data[at : at + count_bytes]
            end = at + count_bytes + (counts[0] if counts else 0) * row.item_bytes
            if len(counts) < count_bytes or end > len(data):
                raise FrameError("cut short", len(data), name)
            if name == "antenna_status":
                antennas = (counts[0], counts[1])
            lists.append(row.read(data[at + count_bytes : end]))
            at = end
        if at != len(data):
            raise FieldError(f"{len(data) - at} bytes follow the last antenna", at, "antenna_count")
        return cls(data[1], data[2], data[3], lists[0], lists[1], *antennas, lists[2])

    def to_bytes(self) -> bytes:
        """Write it. Raises `LocalProtocolError`."""
        if self.antenna_count != len(self.antenna_status):
            raise LocalProtocolError("does not fit the rest", field="antenna_count")
        rows = dict(layout_of(type(self)).rows)
        parts = [self.head()]
        for name, row in rows.items():
            value = getattr(self, name)
            try:
                if name.startswith("psam_status"):
                    parts.append(len(value).to_bytes(1, "big"))
                parts.append(row.write(value))
            except OverflowError:
                raise LocalProtocolError("too many items", field=name) from None
            except LocalProtocolError as error:
                error.field = name
                raise
        return b"".join(parts)


class PsamChallenge(Table, frozen=True, gc=False):
    """What a security module says of itself, and the number that its authorisation must answer."""

    channel: U8
    terminal_id: TerminalId
    serial: Annotated[bytes, Octets(10)]
    version: U8
    key_type: U8
    area_id: Annotated[bytes, Octets(8)]
    random: Annotated[bytes, Octets(8)]


class AuthorisationBegun(Report, frozen=True, gc=False):
    """BA, the answer to CA."""

    TABLE: ClassVar[str] = "gantry_BA"
    TYPE: ClassVar[int] = 0xBA
    error_code: U8
    datetime: Time
    psam_num: U8
    psams: Annotated[tuple[PsamChallenge, ...], Records(PsamChallenge)]

    def contradiction(self) -> str | None:
        """The number of items must be theirs."""
        return None if self.psam_num == len(self.psams) else "psam_num"


class PsamVerdict(Table, frozen=True, gc=False):
    """What became of the authorisation of one security module."""

    channel: U8
    status: U8
    sw: Annotated[bytes, Octets(2)]


class Authorised(Report, frozen=True, gc=False):
    """BB, the answer to CB."""

    TABLE: ClassVar[str] = "gantry_BB"
    TYPE: ClassVar[int] = 0xBB
    error_code: U8
    psam_num: U8
    psams: Annotated[tuple[PsamVerdict, ...], Records(PsamVerdict)]

    def contradiction(self) -> str | None:
        """The number of items must be theirs."""
        return None if self.psam_num == len(self.psams) else "psam_num"
