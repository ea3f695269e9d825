"""Bytes that no framer should have to bear, and what it holds meanwhile."""

import gc
import json
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from protocols.core.buffer import ByteBuffer
from protocols.core.errors import NEED_DATA, RemoteProtocolError
from protocols.tests.fuzz_framers import FRAMERS

__all__ = ["FRAMERS", "flood"]

_PIECE_BYTES = 1024
_START_BYTES = (1, 2, 4, 8, 12, 24)
"""How much of a frame's beginning is repeated without end."""


def flood(name: str, vectors: Path, pieces: int) -> tuple[int, int, int]:
    """Bytes that a framer holds at most between two calls, within them, and what it states as its ceiling."""
    flows = list(_flows(_wires(name, vectors), pieces))
    gc.collect()
    tracemalloc.start()
    try:
        framer = FRAMERS[name]()
        held = 0
        for flow in flows:
            for piece in flow:
                framer.feed(piece)
                _take_all(framer)
            held = max(held, tracemalloc.get_traced_memory()[0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return held, peak, _ceiling_of(framer)


def _take_all(framer: Any) -> None:
    while True:
        try:
            if framer.next_frame() is NEED_DATA:
                return
        except RemoteProtocolError:
            pass  # one that it refuses; the flood goes on


def _ceiling_of(framer: Any) -> int:
    """The ceiling of the one buffer that a framer has, or its own where it keeps none."""
    if isinstance(own := getattr(framer, "max_bytes", None), int):
        return own
    names = set(getattr(framer, "__dict__", ())).union(
        *(getattr(kind, "__slots__", ()) for kind in type(framer).__mro__)
    )
    buffers = [value for name in names if isinstance(value := getattr(framer, name), ByteBuffer)]
    assert len(buffers) == 1, "a framer keeps its bytes in one buffer, which knows its ceiling"
    return buffers[0].max_bytes


def _wires(name: str, vectors: Path) -> list[bytes]:
    """Frames of a framer's protocol, as they are on the wire; where no file bears its name, those of all."""
    files = sorted(vectors.glob("*.json"))
    own = [file for file in files if name.startswith((file.stem, file.stem.partition("_")[0] + "_"))]
    wires = []
    for file in own or files:
        for case in json.loads(file.read_text("utf-8"))["cases"]:
            if isinstance(case.get("hex"), str) and len(case["hex"]) % 2 == 0:
                wires.append(bytes.fromhex(case["hex"]))
            elif isinstance(case.get("text"), str):
                wires.append(case["text"].encode("utf-8") + b"\r\n")
    return [wire for wire in wires if wire]


def _flows(wires: list[bytes], pieces: int) -> Iterator[list[bytes]]:
    """Noise; frames of which many are damaged; beginnings of frames without end."""
    rng = random.Random(1)  # noqa: S311  # the same flood each time
    yield [rng.randbytes(_PIECE_BYTES) for _ in range(pieces)]
    damaged = []
    for _ in range(pieces):
        stream = bytearray().join(rng.choice(wires) for _ in range(1 + _PIECE_BYTES // 16))[:_PIECE_BYTES]
        stream[rng.randrange(len(stream))] ^= 1 << rng.randrange(8)
        damaged.append(bytes(stream))
    yield damaged
    starts = sorted({wire[:size] for wire in wires for size in _START_BYTES})
    for start in rng.sample(starts, min(len(starts), 16)):
        yield [(start * _PIECE_BYTES)[:_PIECE_BYTES]] * (pieces // 16)
