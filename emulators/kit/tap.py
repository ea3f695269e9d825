"""Who said what on a wire, and when: what tests look at, and what `--trace` and `--truth` write.

A tap is filled by a host. `started` is when a frame's first byte began to travel, `ended` when its last one was there.
"""

import json
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

MAX_RECORDS = 100_000


class Heard(NamedTuple):
    """One frame on the wire."""

    started: float
    ended: float
    who: str
    """`master` for whoever is connected from outside, `device` for what we emulate."""
    wire: bytes


class Tap:
    """Keeps the newest frames. `violations` counts requests that came before the line had been silent long enough."""

    def __init__(self, on_heard: Callable[[Heard], None] | None = None) -> None:
        self.heard: deque[Heard] = deque(maxlen=MAX_RECORDS)
        self.violations = 0
        self._on_heard = on_heard

    def hear(self, started: float, ended: float, who: str, wire: bytes) -> None:
        """Take a frame."""
        heard = Heard(started, ended, who, wire)
        self.heard.append(heard)
        if self._on_heard is not None:
            self._on_heard(heard)

    def of(self, who: str) -> list[Heard]:
        """All that one side said."""
        return [heard for heard in self.heard if heard.who == who]


class JsonLines:
    """A file that gets one JSON object a line, each flushed: whoever reads it sees all that happened up to now."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(self, record: dict[str, Any]) -> None:
        """Append one record, with the wall time in `time` (ms UTC)."""
        self._file.write(json.dumps({"time": time.time_ns() // 1_000_000, **record}, ensure_ascii=False) + "\n")
        self._file.flush()

    def heard(self, heard: Heard) -> None:
        """Append a frame of a tap."""
        self.write({"started": heard.started, "ended": heard.ended, "who": heard.who, "hex": heard.wire.hex()})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
