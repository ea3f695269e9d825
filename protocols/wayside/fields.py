"""The fields that our payloads share, with their bounds, and the one way in for JSON that a peer chose."""

from typing import Annotated, Literal, TypeVar

import msgspec

from protocols.core.errors import FieldError, FrameError
from protocols.wayside.pack import MAX_BOOT, MAX_SEQ, MAX_TIME_MS, MAX_UPTIME_MS

StructT = TypeVar("StructT", bound=msgspec.Struct)


def whole(pattern: str) -> str:
    r"""A pattern that all of a string must match: `$` alone would let a line feed pass behind it."""
    return f"^{pattern}$(?!\\n)"


LEVEL = "[a-z0-9_-]{1,64}"

Level = Annotated[str, msgspec.Meta(pattern=whole(LEVEL))]
"""A level of a topic: node, device, kind, digest."""
Lane = Literal["telemetry", "event", "transaction"]
Epoch = Annotated[str, msgspec.Meta(pattern=whole("[0-9a-f]{16}"))]
"""64 random bits, new whenever a lane's journal is created."""
Seq = Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)]
"""Sequence within (node, lane, epoch)."""
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]
Boot = Annotated[int, msgspec.Meta(ge=0, le=MAX_BOOT)]
"""Count of starts."""
TimeMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_MS)]
"""ms UTC."""
UptimeMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_UPTIME_MS)]
"""Monotonic ms since boot."""
TimeQuality = Literal["gnss", "ntp", "rtc", "hold", "none"]
Text = Annotated[str, msgspec.Meta(max_length=1024)]
"""Something for a person or a log."""


def decode_json(payload: bytes, kind: type[StructT], max_bytes: int) -> StructT:
    """Read JSON of at most `max_bytes` into `kind`; unknown keys are passed over.

    Raises `RemoteProtocolError` and nothing else.
    """
    if len(payload) > max_bytes:
        raise FrameError(f"is longer than {max_bytes} bytes", raw=payload)
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.ValidationError as error:
        raise FieldError(str(error), raw=payload) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"is not JSON: {error}", raw=payload) from error
