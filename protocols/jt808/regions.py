"""Circles, rectangles, polygons and routes (JT/T 808-2019, tables of 0x8600 to 0x8608 and 0x0608).

Flags of an area: bit 0 the times count, 1 the speeds count, 6 south, 7 west; of a route's section: bit 0 drive time,
1 speed, 2 south, 3 west. What a bit announces is None without it.
"""

from typing import Annotated, ClassVar

import msgspec

from protocols.jt808.conditions import When, has_bit, is_extended
from protocols.jt808.kinds import (
    BYTE,
    U8,
    U16,
    U32,
    WORD,
    WORD_TEXT,
    Blob,
    Coordinate,
    Counted,
    Group,
    Ids,
    Octets,
    Unsigned,
)
from protocols.jt808.layout import Body, Scope

_SOUTH_BIT = 6
_WEST_BIT = 7

AreaLatitude = Annotated[int, Coordinate("area_flags", _SOUTH_BIT)]
AreaLongitude = Annotated[int, Coordinate("area_flags", _WEST_BIT)]
AreaTime = Annotated[bytes | None, When(has_bit("area_flags", 0), Octets(6))]
AreaSpeed = Annotated[int | None, When(has_bit("area_flags", 1), WORD)]
AreaDuration = Annotated[int | None, When(has_bit("area_flags", 1), BYTE)]
RegionName = Annotated[bytes | None, When(is_extended, WORD_TEXT)]


def _has_night_speed(flags: str) -> When:
    def is_due(scope: Scope) -> object:
        return is_extended(scope) and has_bit(flags, 1)(scope)

    return When(is_due, WORD)


AreaNightSpeed = Annotated[int | None, _has_night_speed("area_flags")]


class Circle(msgspec.Struct, frozen=True, kw_only=True):
    """An area around a point."""

    area_id: U32
    area_flags: U16
    center_latitude: AreaLatitude
    center_longitude: AreaLongitude
    radius_m: U32
    start_time_bcd: AreaTime = None
    end_time_bcd: AreaTime = None
    max_speed_kmh: AreaSpeed = None
    overspeed_duration_s: AreaDuration = None
    night_max_speed_kmh: AreaNightSpeed = None
    name: RegionName = None


class SetCircles(Body, frozen=True):
    """0x8600. action: 0 update, 1 append, 2 modify."""

    ID: ClassVar[int] = 0x8600
    action: U8
    areas: Annotated[tuple[Circle, ...], Counted(1, Group(Circle))]


class Rectangle(msgspec.Struct, frozen=True, kw_only=True):
    """An area between two points."""

    area_id: U32
    area_flags: U16
    top_left_latitude: AreaLatitude
    top_left_longitude: AreaLongitude
    bottom_right_latitude: AreaLatitude
    bottom_right_longitude: AreaLongitude
    start_time_bcd: AreaTime = None
    end_time_bcd: AreaTime = None
    max_speed_kmh: AreaSpeed = None
    overspeed_duration_s: AreaDuration = None
    night_max_speed_kmh: AreaNightSpeed = None
    name: RegionName = None


class SetRectangles(Body, frozen=True):
    """0x8602. action: 0 update, 1 append, 2 modify."""

    ID: ClassVar[int] = 0x8602
    action: U8
    areas: Annotated[tuple[Rectangle, ...], Counted(1, Group(Rectangle))]


class Corner(msgspec.Struct, frozen=True):
    """A corner of a polygon, in the hemispheres of its flags."""

    latitude: AreaLatitude
    longitude: AreaLongitude


class SetPolygon(Body, frozen=True, kw_only=True):
    """0x8604. The night speed stands behind the corners here."""

    ID: ClassVar[int] = 0x8604
    area_id: U32
    area_flags: U16
    start_time_bcd: AreaTime = None
    end_time_bcd: AreaTime = None
    max_speed_kmh: AreaSpeed = None
    overspeed_duration_s: AreaDuration = None
    points: Annotated[tuple[Corner, ...], Counted(2, Group(Corner))]
    night_max_speed_kmh: AreaNightSpeed = None
    name: RegionName = None


class TurningPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A point of a route, and the section that begins there."""

    point_id: U32
    section_id: U32
    latitude: Annotated[int, Coordinate("section_flags", 2)]
    longitude: Annotated[int, Coordinate("section_flags", 3)]
    width_m: U8
    section_flags: U8
    max_drive_time_s: Annotated[int | None, When(has_bit("section_flags", 0), WORD)] = None
    min_drive_time_s: Annotated[int | None, When(has_bit("section_flags", 0), WORD)] = None
    max_speed_kmh: Annotated[int | None, When(has_bit("section_flags", 1), WORD)] = None
    overspeed_duration_s: Annotated[int | None, When(has_bit("section_flags", 1), BYTE)] = None
    night_max_speed_kmh: Annotated[int | None, _has_night_speed("section_flags")] = None


class SetRoute(Body, frozen=True, kw_only=True):
    """0x8606."""

    ID: ClassVar[int] = 0x8606
    route_id: U32
    route_flags: U16
    start_time_bcd: Annotated[bytes | None, When(has_bit("route_flags", 0), Octets(6))] = None
    end_time_bcd: Annotated[bytes | None, When(has_bit("route_flags", 0), Octets(6))] = None
    points: Annotated[tuple[TurningPoint, ...], Counted(2, Group(TurningPoint))]
    name: RegionName = None


class DeleteRegions(Body, frozen=True):
    """Regions to forget; without an id all of the kind."""

    area_ids: Ids = ()


class DeleteCircles(DeleteRegions, frozen=True):
    """0x8601."""

    ID: ClassVar[int] = 0x8601


class DeleteRectangles(DeleteRegions, frozen=True):
    """0x8603."""

    ID: ClassVar[int] = 0x8603


class DeletePolygons(DeleteRegions, frozen=True):
    """0x8605."""

    ID: ClassVar[int] = 0x8605


class DeleteRoutes(DeleteRegions, frozen=True):
    """0x8607."""

    ID: ClassVar[int] = 0x8607


class QueryRegions(Body, frozen=True):
    """0x8608 (2019). query_type: 1 circles, 2 rectangles, 3 polygons, 4 routes."""

    ID: ClassVar[int] = 0x8608
    query_type: U8
    area_ids: Annotated[tuple[int, ...], Counted(4, Unsigned(4))] = ()


class RegionsReply(Body, frozen=True):
    """0x0608 (2019). The entries stay bytes: implementations differ on what stands between them."""

    ID: ClassVar[int] = 0x0608
    query_type: U8
    count: U32
    data: Blob = b""
