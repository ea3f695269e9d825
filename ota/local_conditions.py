"""Local conditions of a plan, `lane-closed` or `speed-zero`: judged by what the gateway's devices say at this moment.

    [condition.lane-closed]
    device = "lane-1"
    point = "closed"
    equals = 1

    [condition.battery-above-50]
    device = "ups"
    point = "charge"
    min = 50

A condition holds when the point is heard within `within_s` seconds, is good, and is as it should be. What is not heard,
is bad or has no table here does not hold: an update waits, it does not guess.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ota.vitals import MAX_ANSWER_BYTES, short_path

Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be so. At least one of `min`, `max` and `equals`."""

    device: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    point: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    min: Number | None = None
    max: Number | None = None
    equals: bool | Number | Annotated[str, msgspec.Meta(max_length=200)] | None = None
    within_s: Annotated[float, msgspec.Meta(ge=1, le=600)] = 60.0

    def __post_init__(self) -> None:
        """Refuse one that always holds, or never."""
        if self.min is None and self.max is None and self.equals is None:
            raise ValueError("one of min, max and equals is wanted")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max")

    def holds(self, value: Any) -> bool:
        """For a good value; a text is never a number."""
        if self.equals is not None and value != self.equals:
            return False
        if self.min is None and self.max is None:
            return True
        if not isinstance(value, int | float):
            return False
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


Listen = Callable[[float], Iterable[dict[str, Any]]]
"""What devices say from now on, for so many seconds at most (docs/wire.md knows it as samples)."""


def unmet(names: Iterable[str], known: Mapping[str, Condition], listen: Listen) -> str:
    """Those that do not hold now, each with its reason; nothing where all do."""
    wanted = dict.fromkeys(names)
    reasons = {name: "not known here" for name in wanted if name not in known}
    waiting = {name: known[name] for name in wanted if name in known}
    if waiting:
        reasons |= {name: f"{one.device}/{one.point} was not heard" for name, one in waiting.items()}
        longest_s = max(one.within_s for one in waiting.values())
        for sample in listen(longest_s):
            for name, one in tuple(waiting.items()):
                reason = _judge(one, sample)
                if reason is not None:
                    del waiting[name]
                    reasons[name] = reason
            if not waiting:
                break
    return ", ".join(f"{name} ({reasons[name]})" for name in wanted if reasons.get(name))


def listener(path: Path, monotonic: Callable[[], float] = time.monotonic) -> Listen:
    """On the gateway's status socket; a gateway that does not answer says nothing."""

    def listen(seconds: float) -> Iterator[dict[str, Any]]:
        until = monotonic() + seconds
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(seconds)
                with short_path(path) as name:
                    connection.connect(name)
                connection.sendall(b'{"what": "tail"}\n')
                with connection.makefile("rb") as lines:
                    while (left := until - monotonic()) > 0:
                        connection.settimeout(left)
                        line = lines.readline(MAX_ANSWER_BYTES)
                        if not line:
                            return
                        yield msgspec.json.decode(line, type=dict[str, Any])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return

    return listen


def _judge(condition: Condition, sample: dict[str, Any]) -> str | None:
    """Why it does not hold, empty where it does, None where this sample says nothing of it."""
    points, values = sample.get("points"), sample.get("values")
    if (
        sample.get("device") != condition.device
        or not isinstance(points, list | tuple)
        or condition.point not in points
    ):
        return None
    index = points.index(condition.point)
    value = values[index] if isinstance(values, list) and index < len(values) else None
    where = f"{condition.device}/{condition.point}"
    if value is None or index in _bad(sample):
        return f"{where} has no good value"
    return "" if condition.holds(value) else f"{where} is {value}"


def _bad(sample: dict[str, Any]) -> set[int]:
    bad = sample.get("bad")
    rows = bad if isinstance(bad, list) else []
    return {each[0] for each in rows if isinstance(each, list) and each and isinstance(each[0], int)}
