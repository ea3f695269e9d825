"""What every codec's tests share: vectors, one byte at a time, in noise.

A vector file is `{"source": ..., "cases": [{"name", "hex" | "text" | "frames", options ..., "expect": {...}}]}`; every
key that is neither `name`, `expect` nor a remark is input to the decoder.
"""

import json
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from protocols.core.errors import NEED_DATA, ProtocolError, RemoteProtocolError

VECTORS = Path(__file__).parent / "vectors"
REMARKS = frozenset(
    {
        "name",
        "expect",
        "origin",
        "src",
        "source",
        "note",
        "reason",
        "upstream_values_checked",
        "encode",
        "stream",
        "reply_args",
    }
)


class Framer(Protocol):
    """What all framers have."""

    def feed(self, data: bytes) -> None: ...

    def next_frame(self) -> Any: ...


def cases_of(protocol: str) -> list[dict[str, Any]]:
    """Every case of a protocol's vector file that is decoded."""
    return [case for case in json.loads((VECTORS / f"{protocol}.json").read_text())["cases"] if "encode" not in case]


def each_vector(protocol: str) -> pytest.MarkDecorator:
    """Run a test with argument `vector` once for every case."""
    return pytest.mark.parametrize("vector", [pytest.param(case, id=case["name"]) for case in cases_of(protocol)])


def each_case(cases: Iterable[Mapping[str, Any]]) -> pytest.MarkDecorator:
    """Run a test with argument `case` once for every one of these."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in cases])


def input_of(case: Mapping[str, Any]) -> dict[str, Any]:
    """What of a case goes to the decoder."""
    return {key: value for key, value in case.items() if key not in REMARKS}


def is_same(want: Any, got: Any) -> bool:
    """Whether `got` has all that `want` asks for: objects by key, numbers within 1e-6, hex without regard to case."""
    if isinstance(want, dict):
        return isinstance(got, dict) and all(key in got and is_same(value, got[key]) for key, value in want.items())
    if isinstance(want, list):
        return isinstance(got, list) and len(want) == len(got) and all(map(is_same, want, got))
    if isinstance(want, bool) or isinstance(got, bool) or want is None or got is None:
        return want is got
    if isinstance(want, (int, float)) and isinstance(got, (int, float)):
        return abs(want - got) <= 1e-6 * max(1.0, abs(want))
    if isinstance(want, str) and isinstance(got, str):
        return want == got or (want.lower() == got.lower() and all(c in "0123456789abcdef" for c in want.lower()))
    return bool(want == got)


def check_vector(case: Mapping[str, Any], decode: Callable[[Mapping[str, object]], Mapping[str, object]]) -> None:
    """Hold a decoder against one case."""
    expect = case["expect"]
    if expect.get("error") is True:
        with pytest.raises(ProtocolError):
            decode(input_of(case))
        return
    message = decode(input_of(case))
    for key, want in expect.items():
        assert key in message, f"{key} is missing"
        assert is_same(want, message[key]), f"{key}: want {want!r}, got {message[key]!r}"
    json.dumps(message)  # a message is plain data


def frames_of(framer: Framer) -> list[Any]:
    """All frames that are whole; broken ones raise and are passed over."""
    frames: list[Any] = []
    while True:
        try:
            frame = framer.next_frame()
        except ProtocolError:
            continue
        if frame is NEED_DATA:
            return frames
        frames.append(frame)


def events_of(dialogue: Any) -> list[Any]:
    """All that happened in a dialogue since somebody asked."""
    events: list[Any] = []
    while (event := dialogue.next_event()) is not NEED_DATA:
        events.append(event)
    return events


def refusal_of(decode: Callable[..., object], *args: Any) -> RemoteProtocolError | None:
    """What a decoder raises, or None."""
    try:
        decode(*args)
    except RemoteProtocolError as error:
        return error
    return None


def drip(framer: Framer, wire: bytes) -> list[Any]:
    """Feed one byte at a time."""
    frames: list[Any] = []
    for byte in wire:
        framer.feed(bytes((byte,)))
        frames += frames_of(framer)
    return frames


def pieces(wire: bytes, seed: int) -> Iterable[bytes]:
    """The same bytes, split at random places."""
    rng = random.Random(seed)
    at = 0
    while at < len(wire):
        size = rng.randint(1, 40)
        yield wire[at : at + size]
        at += size


def noisy(framer: Framer, wire: bytes, *, seed: int, ceiling: int) -> list[Any]:
    """Noise first, then the frame repeated past one ceiling of the framer: it must have recovered by then."""
    rng = random.Random(seed)
    stream = rng.randbytes(rng.randint(0, 3 * ceiling // 2)) + wire * (ceiling // max(1, len(wire)) + 3)
    frames: list[Any] = []
    for piece in pieces(stream, seed):
        framer.feed(piece)
        frames += frames_of(framer)
    return frames


NO_FLOATS = (float("nan"), float("inf"), 10**400)
TEXTS = ("", "x", "FF", "\u00fc\u4e2d", " ", "\ud800", "\0", "\u0663", "\u017f")
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    1e300,
    10**30,
    *NO_FLOATS,
    *TEXTS,
    [],
    {},
    [[]],
    [None],
    {"x": 1},
    [0] * 300,
)


def damaged_message(rng: random.Random, message: Any) -> Any:
    """A readable message with one value of it, however deep, replaced by something else, taken away or doubled."""
    if isinstance(message, dict) and message and rng.random() < 0.85:
        key = rng.choice(sorted(message))
        if rng.random() < 0.1:
            return {name: value for name, value in message.items() if name != key}
        return {**message, key: damaged_message(rng, message[key])}
    if isinstance(message, list) and message and rng.random() < 0.85:
        at = rng.randrange(len(message))
        if rng.random() < 0.2:
            return message[:at] + message[at : at + 1] * rng.choice((0, 2)) + message[at + 1 :]
        return [*message[:at], damaged_message(rng, message[at]), *message[at + 1 :]]
    return rng.choice(JUNK)


def diagram_of(transitions: Mapping[tuple[Any, Any], tuple[Any, Any]]) -> str:
    """A Mermaid state diagram: a line for each pair of states, with all that leads from one to the other."""
    ways: dict[tuple[str, str], list[str]] = {}
    for (start, stimulus), (_action, end) in transitions.items():
        ways.setdefault((start.value, end.value), []).append(stimulus.value)
    lines = ["```mermaid", "stateDiagram-v2"]
    for (start, end), stimuli in ways.items():
        lines.append(f"    {start.replace(' ', '_')} --> {end.replace(' ', '_')}: {'<br>'.join(stimuli)}")
    return "\n".join([*lines, "```"])
