"""`wayside bench`: ours beside others', in one run on one machine; medians, spread, goals met or not.

The gateway stands beside a bare loop, in this file; the codecs stand beside other libraries, in `codec_rates.py`.
"""

import asyncio
import os
import statistics
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.text import _
from emulators.broker import BrokerError, find_mosquitto
from tools.bench.codec_rates import bench_codecs
from tools.bench.peers import PEER, install, measure
from tools.bench.report import GATEWAY, line_of, machine, machine_line, number, print_table, table_lines, write_part
from tools.bench.rows import ROWS, Figure, Row
from tools.demo.parts import SceneError
from tools.output import Exit, fail, print_json, say

PACKAGES = ("wayside", "paho-mqtt", "msgspec", "cbor2", "fastcrc")

app = typer.Typer()


class Subject(StrEnum):
    """What is measured."""

    GATEWAY = "gateway"
    CODECS = "codecs"
    OTA = "ota"


ABOUT = """\
The *bare loop* (`tools/bench/bare_loop.py`) asks the same device for the same registers, one request after the other,
and publishes the values as one JSON list with QoS 1: no names, no quality, no journal, no resend. Ratios are against
it. Ours has eight requests under way, and runs with all of that; the ingest acknowledges every record. A bare loop that
writes all requests of a round at once, which no field device takes, stands below the table. CPU time is a process's
own, all its threads. Broker, device and ingest share the machine.
"""
PEER_ABOUT = """\
ThingsBoard gateway (`tools/bench/peers.py`) polls the same device and publishes to the same broker, with SQLite as its
storage and logs of errors only. It asks each register by itself; flat out it is offered 10 000 points a second, more
than it takes. Its messages are JSON with one time a row.
"""


@app.command()
def bench(
    what: Annotated[
        Subject, typer.Argument(help=_("the gateway (minutes), the codecs (seconds), or updates"))
    ] = Subject.GATEWAY,
    only: Annotated[list[str] | None, typer.Option(metavar="ROW", help=_("only these rows"))] = None,
    repeat: Annotated[int, typer.Option(min=1, max=50, help=_("how often each row is measured"))] = 5,
    quick: Annotated[bool, typer.Option("--quick", help=_("shorter measurements, for a first look"))] = False,
    write: Annotated[Path | None, typer.Option(metavar="FILE", help=_("write the table as a page"))] = None,
    peers: Annotated[
        bool,
        typer.Option("--peers", help=_("also install and measure ThingsBoard gateway, in a cache folder of its own")),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("plain data for programs"))] = False,
) -> None:
    """Measure the gateway against a bare loop and physical limits, or the codecs against other libraries."""
    if write is not None and (write.is_dir() or not os.access(write.parent, os.W_OK)):
        fail(_("{file} cannot be written").format(file=write), Exit.USAGE, as_json=as_json)  # said before half an hour
    if what is Subject.CODECS:
        if peers:
            fail(_("--peers goes with the gateway; those of the codecs are measured always"), Exit.USAGE)
        bench_codecs(only or [], repeat=repeat, is_quick=quick, write=write, as_json=as_json)
    elif what is Subject.OTA:
        from tools.bench.ota_rows import bench_updates

        bench_updates(only or [], repeat=repeat, is_quick=quick, write=write, as_json=as_json)
    else:
        _bench_gateway(only or [], repeat=repeat, is_quick=quick, write=write, with_peers=peers, as_json=as_json)


def _bench_gateway(
    only: list[str], *, repeat: int, is_quick: bool, write: Path | None, with_peers: bool, as_json: bool
) -> None:
    known = {row.name: row for row in ROWS}
    for name in only:
        if name not in known:
            fail(_("no row is called {name}; there are: {rows}").format(name=name, rows=", ".join(known)), Exit.USAGE)
    if find_mosquitto() is None:
        fail(_("Mosquitto is not installed (apt-get install mosquitto)"), Exit.UNREACHABLE)
    # Byte code is compiled once, as on an installed box, and not at each start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    rows = [known[name] for name in only] if only else list(ROWS)
    load_before = os.getloadavg()[1]
    results = []
    for place, row in enumerate(rows, 1):
        say(f"[{place}/{len(rows)}] {row.what} ...")
        try:
            figures = [asyncio.run(row.measure(0.2 if is_quick else 1.0)) for _n in range(repeat)]
        except (BrokerError, SceneError, AssertionError, TimeoutError) as error:
            fail(_("{row}: {reason}").format(row=row.name, reason=error or type(error).__name__), as_json=as_json)
        results.append(summary(row, figures))
        say("    " + line_of(results[-1]))
    without = _measure_peer(results, repeat, 0.5 if is_quick else 1.0) if with_peers else None
    if as_json:
        print_json({"machine": machine(PACKAGES), "rows": results, "no_peer": without})
    else:
        print_table(results, PEER if _has_peer(results) else "")
    if write is not None:
        lines = part(results, repeat=repeat, is_quick=is_quick, without=without, load_before=load_before)
        try:
            write_part(write, GATEWAY, lines)
        except OSError as error:
            fail(_("{file} cannot be written").format(file=write) + f": {error.strerror}", as_json=as_json)


def _measure_peer(results: list[dict[str, Any]], repeat: int, scale: float) -> str | None:
    """Put the peer's medians beside ours; return why there are none."""
    say(f"{PEER} ...")
    try:
        command = asyncio.run(install())
        figures = [asyncio.run(measure(command, scale)) for _n in range(repeat)]
    except (BrokerError, SceneError, OSError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        say("    " + reason)
        return reason
    for result in results:
        values = [each[result["name"]] for each in figures if result["name"] in each]
        result["peer"] = statistics.median(values) if values else None
        if values:
            say(f"    {result['what']}: {number(result['peer'])} {result['unit']}")
    return None


def summary(row: Row, figures: list[Figure]) -> dict[str, Any]:
    """Medians, spread and whether the goal is met."""
    each = [figure.ours for figure in figures]
    ours = max(each) if row.is_worst else statistics.median(each)
    others = [figure.other for figure in figures if figure.other is not None]
    other = statistics.median(others) if others else None
    beside = {name: statistics.median(f.beside[name] for f in figures) for name in figures[0].beside}
    return {
        "name": row.name,
        "what": row.what,
        "unit": row.unit,
        "ours": ours,
        "least": min(each),
        "most": max(each),
        "against": row.other,
        "other": other,
        "ratio": ours / other if other else None,
        "goal": row.goal,
        "met": row.is_met(Figure(ours, other)),
        "beside": beside,
        "peer": None,
    }


def part(
    results: list[dict[str, Any]],
    *,
    repeat: int,
    is_quick: bool,
    without: str | None = None,
    load_before: float = 0.0,
) -> list[str]:
    """The gateway's part of the page. `load_before`: how busy others kept the machine in the five minutes before."""
    form = ", short form (`--quick`)" if is_quick else ""
    lines = [
        f"Written by `wayside bench --write docs/bench.md` on {datetime.now(UTC):%Y-%m-%d}.",
        f"Medians of {repeat}{form}, lowest and highest in brackets.",
        f"Load of the machine in the five minutes before it began, by others: {load_before:.1f}.",
        "",
        machine_line(PACKAGES),
        "",
        *ABOUT.splitlines(),
        "",
    ]
    has_peer = _has_peer(results)
    if without is not None:
        lines += [f"{PEER} was to be measured too, but: {without}", ""]
    if has_peer:
        lines += [*PEER_ABOUT.splitlines(), ""]
    lines += [*table_lines(results, PEER if has_peer else ""), "", "Seen in the same measurements:", ""]
    lines += [f"- {r['what']}: {name}: {number(value)}" for r in results for name, value in r["beside"].items()]
    return lines


def _has_peer(results: list[dict[str, Any]]) -> bool:
    return any(r["peer"] is not None for r in results)
