r"""Location reports and what consists of them (JT/T 808-2019, chapter 8).

    alarm flags 4 | status flags 4 | latitude 4 | longitude 4 | altitude 2 | speed 2 | direction 2 | time BCD 6 | extras
    each extra: id 1, length 1, value

This is the message of which a platform reads millions a day, so its fixed part is one `struct.Struct` and no table.

>>> from protocols.jt808.dialect import JT2013
>>> base = bytes.fromhex("00000000000c00030158a3ca06ca1d17000000000000251208164148")
>>> Location.from_bytes(base + b"\x30\x01\x80", JT2013).extras
(Extra(id=48, value=b'\x80'),)
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError
from protocols.jt808.conditions import Trailing
from protocols.jt808.dialect import Dialect
from protocols.jt808.extras import parse_extra, show_extra
from protocols.jt808.flags import Status
from protocols.jt808.kinds import BYTE, U16, U32, Announced, Announcing, Sized, Unsigned
from protocols.jt808.layout import Body, Kind, Readable, Scope, Source
from protocols.jt808.values import bytes_of_time_text, degrees_of, time_text_of, utc_ms_of
from protocols.message_fields import refuse_others

BLIND_AREA = 1
"""`LocationBatch.batch_type` of locations that could not be sent when they were taken."""

# Plain integers: an IntFlag costs much where millions of locations pass.
_POSITION_VALID, _SOUTH, _WEST = Status.POSITION_VALID.value, Status.SOUTH.value, Status.WEST.value
_BASE = struct.Struct(">IIIIHHH6s")
_BASE_BYTES = _BASE.size


class Extra(msgspec.Struct, frozen=True, gc=False):
    """An item behind the fixed part. `extras.py` says what the known ones mean."""

    id: int
    value: bytes


class Location(Body, frozen=True, gc=False):
    """0x0200. Latitude and longitude as they are on the wire: without sign, which is in the status flags."""

    ID: ClassVar[int] = 0x0200
    alarm_flags: int
    status_flags: int
    latitude_e6_deg: int
    longitude_e6_deg: int
    altitude_m: int
    speed_tenth_kmh: int
    direction_deg: int
    time: bytes
    extras: tuple[Extra, ...] = ()

    @property
    def position_e6_deg(self) -> tuple[int, int] | None:
        """Latitude and longitude, south and west negative; None where the terminal says that they are not valid."""
        if not self.status_flags & _POSITION_VALID:
            return None
        latitude = -self.latitude_e6_deg if self.status_flags & _SOUTH else self.latitude_e6_deg
        return latitude, -self.longitude_e6_deg if self.status_flags & _WEST else self.longitude_e6_deg

    @property
    def utc_ms(self) -> int | None:
        """When it was taken, by the terminal's clock."""
        return utc_ms_of(self.time)

    @classmethod
    def from_bytes(cls, data: bytes, _dialect: Dialect) -> Self:
        """Read the fixed part and the extras. Raises `FrameError`."""
        end = len(data)
        if end < _BASE_BYTES:
            raise FrameError(f"a location has at least {_BASE_BYTES} bytes, not {end}", offset=end)
        if end == _BASE_BYTES:
            return cls(*_BASE.unpack(data))
        extras = []
        at = _BASE_BYTES
        try:
            while at < end:
                start = at + 2
                at = start + data[at + 1]
                extras.append(Extra(data[start - 2], data[start:at]))
        except IndexError:
            at = end + 1
        if at > end:
            raise FrameError("the body ends inside an extra item", offset=end, field="extras")
        fields: tuple[Any, ...] = (*_BASE.unpack_from(data), tuple(extras))
        return cls(*fields)

    def to_bytes(self, _dialect: Dialect) -> bytes:
        """Write it. Raises `LocalProtocolError`."""
        if len(self.time) != 6:
            raise LocalProtocolError(f"6 bytes, not {len(self.time)}", field="time")
        try:
            base = _BASE.pack(
                self.alarm_flags,
                self.status_flags,
                self.latitude_e6_deg,
                self.longitude_e6_deg,
                self.altitude_m,
                self.speed_tenth_kmh,
                self.direction_deg,
                self.time,
            )
            parts = [bytes((extra.id, len(extra.value))) + extra.value for extra in self.extras]
        except (struct.error, ValueError):
            raise LocalProtocolError("a number does not fit its field", field="location") from None
        return base + b"".join(parts)

    def base_readable(self) -> dict[str, object]:
        """The fixed part in the readable form."""
        return {
            "alarm_flags": self.alarm_flags,
            "status_flags": self.status_flags,
            "latitude": degrees_of(self.latitude_e6_deg, is_negative=bool(self.status_flags & _SOUTH)),
            "longitude": degrees_of(self.longitude_e6_deg, is_negative=bool(self.status_flags & _WEST)),
            "altitude_m": self.altitude_m,
            "speed_kmh": self.speed_tenth_kmh / 10,
            "direction_deg": self.direction_deg,
            "time": time_text_of(self.time),
        }

    def readable(self, _dialect: Dialect) -> dict[str, object]:
        """Its readable form."""
        return self.base_readable() | {"extras": [show_extra(extra.id, extra.value) for extra in self.extras]}

    @classmethod
    def from_readable(cls, message: Mapping[str, object], _dialect: Dialect) -> Self:
        """The inverse of `readable`. Raises `LocalProtocolError`."""
        refuse_others(message, _KEYS)
        fields = Readable(message)
        status_flags = fields.integer("status_flags", 0xFFFFFFFF)
        return cls(
            fields.integer("alarm_flags", 0xFFFFFFFF),
            status_flags,
            _magnitude(fields, "latitude", is_negative=bool(status_flags & _SOUTH)),
            _magnitude(fields, "longitude", is_negative=bool(status_flags & _WEST)),
            fields.integer("altitude_m", 0xFFFF),
            round(fields.number("speed_kmh") * 10),
            fields.integer("direction_deg", 0xFFFF),
            bytes_of_time_text(fields.text("time") if fields.has("time") else None, field="time"),
            tuple([Extra(*parse_extra(item)) for item in fields.sequence("extras")] if "extras" in message else ()),
        )


# fmt: off
_KEYS = frozenset((
    "alarm_flags", "status_flags", "latitude", "longitude", "altitude_m", "speed_kmh", "direction_deg", "time",
    "extras",
))
# fmt: on


def _magnitude(fields: Readable, name: str, *, is_negative: bool) -> int:
    degrees = fields.number(name)
    if degrees and (degrees < 0) != is_negative:
        raise LocalProtocolError("the sign is not that of status_flags", field=name)
    return round(abs(degrees) * 1e6)


class WholeLocation(Kind):
    """A location with its extras, to the end of what holds it."""

    def read(self, source: Source, scope: Scope) -> Location:
        """A location."""
        start = source.at
        try:
            return Location.from_bytes(source.rest(), scope.dialect)
        except FrameError as error:
            error.offset = start + (error.offset or 0)
            raise

    def write(self, value: Location, scope: Scope) -> bytes:
        """A location."""
        return value.to_bytes(scope.dialect)

    def show(self, value: Location, scope: Scope) -> object:
        """An object."""
        return value.readable(scope.dialect)

    def parse(self, fields: Readable, name: str, scope: Scope) -> Location:
        """From an object."""
        return Location.from_readable(fields.mapping(name), scope.dialect)


class BaseLocation(WholeLocation):
    """The 28 bytes of a location without extras."""

    def read(self, source: Source, _scope: Scope) -> Location:
        """A location without extras."""
        return Location(*_BASE.unpack(source.take(_BASE_BYTES)))

    def write(self, value: Location, scope: Scope) -> bytes:
        """A location without extras."""
        if value.extras:
            raise LocalProtocolError("this location has no extras")
        return value.to_bytes(scope.dialect)

    def show(self, value: Location, _scope: Scope) -> object:
        """An object without the key `extras`."""
        return value.base_readable()


class LocationReply(Body, frozen=True):
    """0x0201."""

    ID: ClassVar[int] = 0x0201
    reply_serial: U16
    location: Annotated[Location, WholeLocation()]


class LocationQuery(Body, frozen=True):
    """0x8201."""

    ID: ClassVar[int] = 0x8201


class TemporaryTracking(Body, frozen=True):
    """0x8202: report every `interval_s` for `duration_s`. Interval 0 ends it, and then needs no duration."""

    ID: ClassVar[int] = 0x8202
    interval_s: U16
    duration_s: Annotated[int | None, Trailing(Unsigned(4), lambda scope: scope.values["interval_s"])] = None


class AlarmConfirmation(Body, frozen=True):
    """0x8203. alarm_serial 0: all alarms of these types."""

    ID: ClassVar[int] = 0x8203
    alarm_serial: U16
    alarm_type_flags: U32


class LocationBatch(Body, frozen=True):
    """0x0704 (from 2013). batch_type: 0 locations of a normal batch, 1 of a blind area."""

    ID: ClassVar[int] = 0x0704
    batch_type: Annotated[int, Announcing("items", BYTE)]
    items: Annotated[tuple[Location, ...], Announced("items", Sized(2, WholeLocation()))]


def batch_of(locations: Sequence[Location], dialect: Dialect, max_bytes: int) -> tuple[int, LocationBatch]:
    """How many of these locations, the first ones first, fit a batch of `max_bytes`, and that batch."""
    size = 3
    count = 0
    for location in locations:
        size += 2 + len(location.to_bytes(dialect))
        if size > max_bytes:
            break
        count += 1
    return count, LocationBatch(BLIND_AREA, tuple(locations[:count]))
