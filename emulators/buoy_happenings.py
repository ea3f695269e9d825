"""What may happen to an emulated buoy, and when: the tables `[[event]]` of its world file.

    [[event]]
    at_s = 3600                    # since the world began
    kind = "collision"
    shock_g = 4.0
    push_m = 60.0

| kind | what happens |
|---|---|
| collision | a blow of `shock_g` for `shock_ms`; the sinker is dragged `push_m` towards `bearing_deg` |
| chain-parted | the buoy goes with the stream: `speed_mps`, `bearing_deg` |
| aground | it lies where it is |
| lamp | the lamp is `ok`, `open`, `partial`, `short` or `stuck` |
| tilt | it lies over by `deg`, for good |
| sea | it rolls by `roll_deg` (root mean square) |
| leak, door | water inside, the door is open: `is_so` |
| gnss-silent | the receiver says nothing for `for_s` |
| gnss-no-fix | the receiver finds no satellites for `for_s` |
| gnss-outliers | of its fixes `share` are far away, for `for_s` |
| modem-dead | the modem finds no network for `for_s` |
| ring | somebody calls the modem |
| clouds | of the sun `share` comes through |
| lux-stuck | the sensor of daylight says `lux` whatever the sun does; -1: it is well again |
| battery | its state of charge is `soc` |
| rtc-lost | the clock of the board forgets the time |
| water | the level over the survey's datum is `level_m` |
"""

from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Bearing = Annotated[float, msgspec.Meta(ge=0, lt=360)]
Speed = Annotated[float, msgspec.Meta(ge=0, le=10)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Degrees = Annotated[float, msgspec.Meta(ge=0, le=180)]
LampState = Literal["ok", "open", "partial", "short", "stuck"]


class Happening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Something that happens at a moment of the world."""

    at_s: Seconds


class Collision(Happening, tag="collision", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ship."""

    shock_g: Annotated[float, msgspec.Meta(ge=0, le=50)] = 3.0
    shock_ms: Annotated[int, msgspec.Meta(ge=0, le=5000)] = 40
    push_m: Annotated[float, msgspec.Meta(ge=0, le=2000)] = 0.0
    bearing_deg: Bearing = 90.0


class ChainParted(Happening, tag="chain-parted", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The buoy is adrift."""

    speed_mps: Speed = 0.6
    bearing_deg: Bearing = 135.0


class Aground(Happening, tag="aground", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """It lies where it is."""


class Lamp(Happening, tag="lamp", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the lamp does with its current."""

    state: LampState = "ok"


class Tilt(Happening, tag="tilt", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """It lies over."""

    deg: Degrees = 0.0


class Sea(Happening, tag="sea", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it rolls."""

    roll_deg: Degrees = 2.0


class Leak(Happening, tag="leak", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Water inside."""

    is_so: bool = True


class Door(Happening, tag="door", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody has opened it."""

    is_so: bool = True


class GnssSilent(Happening, tag="gnss-silent", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The receiver is dead for a while."""

    for_s: Seconds


class GnssNoFix(Happening, tag="gnss-no-fix", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The receiver talks, and has no fix."""

    for_s: Seconds


class GnssOutliers(Happening, tag="gnss-outliers", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fixes of a receiver among reflections."""

    for_s: Seconds
    share: Share = 0.2


class ModemDead(Happening, tag="modem-dead", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No network."""

    for_s: Seconds


class Ring(Happening, tag="ring", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The modem's ring line."""


class Clouds(Happening, tag="clouds", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of the sun comes through."""

    share: Share = 1.0


class LuxStuck(Happening, tag="lux-stuck", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sensor of daylight is blind."""

    lux: Annotated[int, msgspec.Meta(ge=-1, le=200_000)] = 0


class Battery(Happening, tag="battery", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another state of charge, as if it were another battery."""

    soc: Share


class RtcLost(Happening, tag="rtc-lost", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The board's clock has no time."""


class Water(Happening, tag="water", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The level of the water."""

    level_m: Annotated[float, msgspec.Meta(ge=-20, le=50)] = 0.0


AnyHappening = (
    Collision | ChainParted | Aground | Lamp | Tilt | Sea | Leak | Door | GnssSilent | GnssNoFix | GnssOutliers
    | ModemDead | Ring | Clouds | LuxStuck | Battery | RtcLost | Water
)  # fmt: skip
