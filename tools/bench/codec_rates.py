"""`wayside bench codecs`: frames a second on one core, beside other libraries; and what framers hold under a flood.

Ours and the peer's take turns in one run, in short slices, by the CPU time of the thread: what else the machine does
falls on both. The garbage collector is off for both while a slice runs.
"""

import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers.text import _
from protocols.core.errors import ProtocolError
from tools.bench.report import CODECS as PART
from tools.bench.report import line_of, machine, machine_line, number, print_table, table_lines, write_part
from tools.output import Exit, fail, print_json, say

if TYPE_CHECKING:
    from tools.bench.codec_peers import Peer, Work
    from tools.bench.codec_rows import Codec

VECTORS = Path(__file__).parents[2] / "protocols" / "tests" / "vectors"
PACKAGES = ("wayside", "msgspec", "fastcrc", "construct", "pyais", "pynmea2")
TURNS = 5
"""Slices of each side in one repeat."""
SLICE_S = 0.02
QUICK_SLICE_S = 0.002

ABOUT = """\
Each codec decodes and encodes the good frames of its shared vectors (`protocols/tests/vectors`) over and over, on the
wire types, in one thread; what it encodes is what it decoded. Time is CPU time of that thread. Ours and the peer's take
turns, in slices of 20 ms; the garbage collector is off for both meanwhile. A ratio is how many times the peer's rate
ours is, the median over the repeats.

construct reads or builds the bare 28 bytes of a location with an interpreted layout; ours is the whole frame. pyais and
pynmea2 get the same lines, with the checksum verified. pynmea2 leaves fields as text until they are asked for;
`nmea0183` leaves all of them as one text, which it parts then. In the row with all their fields both are asked for each
of them, positions in degrees.
"""
FLOOD_ABOUT = """\
What a framer holds while it is flooded with noise, damaged and endless frames in pieces of 1 kB, and is asked for
frames after each; against its stated ceiling, doubled, which is the one block of its buffer
(`protocols/core/buffer.py`).
"""

Row = Callable[[int, bool], dict[str, Any]]
"""Measures, given how often and whether shortly."""


def bench_codecs(only: Sequence[str], *, repeat: int, is_quick: bool, write: Path | None, as_json: bool) -> None:
    """Measure, print, and write the part of the page."""
    if not VECTORS.is_dir():
        reason = _("the shared vectors are not here ({folder}): bench codecs runs from a checkout, not from a wheel")
        fail(reason.format(folder=VECTORS), as_json=as_json)
    known = speed_rows() | flood_rows(as_json=as_json)
    for name in only:
        if name not in known:
            fail(_("no row is called {name}; there are: {rows}").format(name=name, rows=", ".join(known)), Exit.USAGE)
    load_before = os.getloadavg()[0]
    results = []
    for name in only or known:
        try:
            result = known[name](repeat, is_quick)
        except (AssertionError, ProtocolError) as error:  # a frame that its own codec does not give back
            fail(_("{row}: {reason}").format(row=name, reason=error), as_json=as_json)
        results.append(result)
        say(f"{name}: {line_of(result)}")
        if result["without"]:
            say(f"    {result['without']}")
    if as_json:
        print_json({"machine": machine(PACKAGES), "load": [load_before, os.getloadavg()[0]], "rows": results})
    else:
        print_table(results, title="name")
    if write is not None:
        try:
            write_part(write, PART, part(results, repeat=repeat, is_quick=is_quick, load_before=load_before))
        except OSError as error:
            fail(_("{file} cannot be written").format(file=write) + f": {error.strerror}", as_json=as_json)


def speed_rows() -> dict[str, Row]:
    """Two rows for each codec of the table."""
    from tools.bench.codec_rows import CODECS

    rows: dict[str, Row] = {}
    for codec in CODECS:
        rows[f"{codec.name}-decode"] = partial(_measure_speed, codec, "decode")
        if codec.encode is not None:
            rows[f"{codec.name}-encode"] = partial(_measure_speed, codec, "encode")
    return rows


def flood_rows(*, as_json: bool) -> dict[str, Row]:
    """A row for each framer that the fuzzer knows."""
    try:
        from tools.bench.flood import FRAMERS, flood
    except ImportError as error:
        reason = _("{module} is missing: bench codecs needs the test environment")
        fail(reason.format(module=error.name), as_json=as_json)

    def measure(name: str, _repeat: int, is_quick: bool) -> dict[str, Any]:
        held, peak, ceiling = flood(name, VECTORS, 16 if is_quick else 128)
        return {
            "name": f"flood-{name}",
            "what": f"`{name}` framer",
            "unit": "B",
            "ours": held,
            "least": held,
            "most": held,
            "against": "its ceiling, doubled",
            "other": 2 * ceiling,
            "ratio": held / (2 * ceiling),
            "goal": "at most that and 2 kB of objects",
            "met": held <= 2 * ceiling + 2_048,
            "beside": {"at its peak, B": peak},
            "peer": None,
            "without": "",
        }

    return {f"flood-{name}": partial(measure, name) for name in FRAMERS}


def _measure_speed(codec: "Codec", way: str, repeat: int, is_quick: bool) -> dict[str, Any]:
    from tools.bench.codec_peers import PEERS, load

    frames, messages = frames_of(codec)
    ours: Work = (codec.decode, frames)
    if way == "encode":
        assert codec.encode is not None
        ours = (codec.encode, _to_encode(frames, messages))
    peer = PEERS.get(f"{codec.name}-{way}")
    other = None if peer is None else load(peer, frames, messages)
    slice_s = QUICK_SLICE_S if is_quick else SLICE_S
    rates = [race([ours] if other is None else [ours, other], slice_s) for _n in range(repeat)]
    each = [rate[0] for rate in rates]
    ratio = None if other is None else statistics.median(rate[0] / rate[1] for rate in rates)
    return {
        "name": f"{codec.name}-{way}",
        "what": f"{codec.what}, {way}",
        "unit": "1/s",
        "ours": statistics.median(each),
        "least": min(each),
        "most": max(each),
        "against": "" if peer is None else peer.name,
        "other": None if other is None else statistics.median(rate[1] for rate in rates),
        "ratio": ratio,
        "goal": "" if peer is None else peer.goal,
        "met": None if peer is None else is_met(peer, ratio),
        "beside": {},
        "peer": None,
        "without": f"{peer.module} is not installed" if peer is not None and other is None else "",
    }


def is_met(peer: "Peer", ratio: float | None) -> bool | None:
    """Whether the goal is met; None where there is none, or nothing to hold it against."""
    return None if peer.least_ratio is None or ratio is None else ratio >= peer.least_ratio


def frames_of(codec: "Codec") -> tuple[list[Any], list[Any]]:
    """The good frames of its vectors, and what they say. Raises `AssertionError` where one does not come back."""
    frames, messages = [], []
    for case in json.loads((VECTORS / f"{codec.vectors}.json").read_text("utf-8"))["cases"]:
        if "encode" in case or "error" in case["expect"] or case["name"] in codec.odd:
            continue
        frame = codec.frame(case)
        if frame is None:
            continue
        message = codec.decode(frame)
        if codec.encode is not None:
            again = codec.encode(_to_encode([frame], [message])[0])
            if again != (frame[0] if isinstance(frame, tuple) else frame):
                raise AssertionError(f"{codec.name}: {case['name']} does not come back as it was")
        frames.append(frame)
        messages.append(message)
    if not frames:
        raise AssertionError(f"{codec.name}: no frame among the vectors")
    return frames, messages


def _to_encode(frames: Sequence[Any], messages: Sequence[Any]) -> list[Any]:
    """Messages, each with what stood behind its frame."""
    return [
        (message, *frame[1:]) if isinstance(frame, tuple) else message
        for frame, message in zip(frames, messages, strict=True)
    ]


def race(works: Sequence["Work"], slice_s: float) -> list[float]:
    """Items a second of each, taking turns."""
    rounds = [max(1, round(slice_s / max(_seconds(*work, 1), 1e-7))) for work in works]
    spent = [0.0] * len(works)
    gc.collect()
    gc.disable()
    try:
        for _turn in range(TURNS):
            for at, work in enumerate(works):
                spent[at] += _seconds(*work, rounds[at])
    finally:
        gc.enable()
    return [len(work[1]) * TURNS * count / seconds for work, count, seconds in zip(works, rounds, spent, strict=True)]


def _seconds(function: Callable[[Any], object], items: Sequence[Any], rounds: int) -> float:
    """CPU time of this thread."""
    began = time.thread_time_ns()
    for _round in range(rounds):
        for item in items:
            function(item)
    return (time.thread_time_ns() - began) / 1e9


def part(results: Sequence[dict[str, Any]], *, repeat: int, is_quick: bool, load_before: float = 0.0) -> list[str]:
    """The part of the page."""
    form = ", short form (`--quick`)" if is_quick else ""
    speeds = [result for result in results if not result["name"].startswith("flood-")]
    floods = [result for result in results if result["name"].startswith("flood-")]
    lines = [
        f"Written by `wayside bench codecs --write docs/bench.md` on {datetime.now(UTC):%Y-%m-%d}.",
        f"Medians of {repeat}{form}, lowest and highest in brackets.",
        f"Load of the machine, others' work with ours: {load_before:.1f} before, {os.getloadavg()[0]:.1f} after.",
        "",
        machine_line(PACKAGES),
        "",
    ]
    if speeds:
        lines += [*ABOUT.splitlines(), "", *table_lines(speeds), ""]
        lines += [f"- {result['what']}: {result['without']}" for result in speeds if result["without"]]
    if floods:
        lines += ["### Framers under a flood", "", *FLOOD_ABOUT.splitlines(), "", *table_lines(floods), ""]
        lines += ["At their peak, within a call and with the frames that they give out:", ""]
        lines += [f"- {result['what']}: {number(result['beside']['at its peak, B'])} B" for result in floods]
    return lines
