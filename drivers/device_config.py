"""What every `[[device]]` table has in common. Each driver's own file subclasses it with its own keys.

The key `driver` chooses the subclass (a tagged union), so an unknown key is refused with the table that it stands in.
"""

from typing import Annotated

import msgspec

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$(?!\n)")]
"""A node, device, bus or point: it becomes a level of an MQTT topic."""

PeriodSeconds = Annotated[float, msgspec.Meta(ge=0.005, le=86_400)]


class DeviceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver"):
    """The keys that every device has, whatever its driver."""

    name: Name
    """What it is called in topics, commands and logs; stands once."""
    bus: Name | None = None
    """A `[[bus]]` that it shares with other devices; or `port`, never both."""
    port: str | None = None
    """A port of its own: `serial:`, `tcp:HOST:PORT` or `pty:`."""
    asset: str | None = None
    """The asset it belongs to, such as `ifc:3kd9...`; stands in the catalogue."""
    pack_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
    """Samples of at most this long share a pack; also what a power cut may cost."""
