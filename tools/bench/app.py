"""`wayside bench`: ours beside a bare loop, in one run on one machine; medians, spread, goals met or not."""

import asyncio
import os
import platform
import statistics
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from drivers.text import _
from emulators.broker import BrokerError, find_mosquitto
from tools.bench.peers import PEER, install, measure
from tools.bench.rows import ROWS, Figure, Row
from tools.demo.parts import SceneError
from tools.output import Exit, fail, print_json, say

app = typer.Typer()

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
    """Measure the gateway against a bare loop and physical limits."""
    known = {row.name: row for row in ROWS}
    for name in only or ():
        if name not in known:
            fail(_("no row is called {name}; there are: {rows}").format(name=name, rows=", ".join(known)), Exit.USAGE)
    if write is not None and (write.is_dir() or not os.access(write.parent, os.W_OK)):
        fail(_("{file} cannot be written").format(file=write), Exit.USAGE, as_json=as_json)  # said before half an hour
    if find_mosquitto() is None:
        fail(_("Mosquitto is not installed (apt-get install mosquitto)"), Exit.UNREACHABLE)
    # Byte code is compiled once, as on an installed box, and not at each start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    rows = [known[name] for name in only] if only else list(ROWS)
    load_before = os.getloadavg()[1]
    results = []
    for number, row in enumerate(rows, 1):
        say(f"[{number}/{len(rows)}] {row.what} ...")
        try:
            figures = [asyncio.run(row.measure(0.2 if quick else 1.0)) for _n in range(repeat)]
        except (BrokerError, SceneError, AssertionError, TimeoutError) as error:
            fail(_("{row}: {reason}").format(row=row.name, reason=error or type(error).__name__), as_json=as_json)
        results.append(summary(row, figures))
        say("    " + line_of(results[-1]))
    without = _measure_peer(results, repeat, 0.5 if quick else 1.0) if peers else None
    if as_json:
        print_json({"machine": machine(), "rows": results, "no_peer": without})
    else:
        _print(results)
    if write is not None:
        try:
            write.write_text(
                page(results, repeat=repeat, is_quick=quick, without=without, load_before=load_before), "utf-8"
            )
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
            say(f"    {result['what']}: {_number(result['peer'])} {result['unit']}")
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


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("wayside", "paho-mqtt", "msgspec", "cbor2", "fastcrc")},
    }


def line_of(result: dict[str, Any]) -> str:
    """One result as a line."""
    against = f", {result['against']} {_number(result['other'])}" if result["other"] is not None else ""
    ratio = f", {result['ratio']:.2f}x" if result["ratio"] is not None else ""
    verdict = _("met") if result["met"] else _("NOT MET")
    spread = f"({_number(result['least'])} to {_number(result['most'])})"
    beside = "".join(f"; {name}: {_number(value)}" for name, value in result["beside"].items())
    return f"{_number(result['ours'])} {result['unit']} {spread}{against}{ratio}; {result['goal']}: {verdict}{beside}"


def page(
    results: list[dict[str, Any]],
    *,
    repeat: int,
    is_quick: bool,
    without: str | None = None,
    load_before: float = 0.0,
) -> str:
    """The page `docs/bench.md`. `load_before`: how busy others had kept the machine in the five minutes before."""
    facts = machine()
    form = ", short form (`--quick`)" if is_quick else ""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    lines = [
        "# Benchmark",
        "",
        f"Written by `wayside bench --write docs/bench.md` on {datetime.now(UTC):%Y-%m-%d}.",
        f"Medians of {repeat}{form}, lowest and highest in brackets.",
        f"Load of the machine in the five minutes before it began, by others: {load_before:.1f}.",
        "",
        f"Machine: {facts['cpu']}, {facts['cores']} cores, {facts['system']}, Python {facts['python']}. {versions}.",
        "",
        *ABOUT.splitlines(),
        "",
    ]
    has_peer = any(r["peer"] is not None for r in results)
    if without is not None:
        lines += [f"{PEER} was to be measured too, but: {without}", ""]
    if has_peer:
        lines += [*PEER_ABOUT.splitlines(), ""]
    lines += [
        "| what | unit | ours | against | | ratio | goal | met |" + (f" {PEER} |" if has_peer else ""),
        "|---|---|---|---|---|---|---|---|" + ("---|" if has_peer else ""),
    ]
    for r in results:
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f}"
        other = _optional(r["other"])
        ours = f"{_number(r['ours'])} ({_number(r['least'])} to {_number(r['most'])})"
        met = "yes" if r["met"] else "**no**"
        peer = f" {_optional(r['peer'])} |" if has_peer else ""
        lines.append(
            f"| {r['what']} | {r['unit']} | {ours} | {r['against']} | {other} | {ratio} | {r['goal']} | {met} |{peer}"
        )
    lines += ["", "Seen in the same measurements:", ""]
    lines += [f"- {r['what']}: {name}: {_number(value)}" for r in results for name, value in r["beside"].items()]
    return "\n".join(lines) + "\n"


def _print(results: list[dict[str, Any]]) -> None:
    table = Table(title=_("Benchmark"), title_justify="left")
    has_peer = any(r["peer"] is not None for r in results)
    for name in (_("what"), _("ours"), _("against"), _("ratio"), _("goal"), "", *([PEER] if has_peer else [])):
        table.add_column(name)
    for r in results:
        other = "" if r["other"] is None else f"{r['against']} {_number(r['other'])}"
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f}"
        ours = f"{_number(r['ours'])} {r['unit']}"
        peer = [_optional(r["peer"])] if has_peer else []
        table.add_row(r["what"], ours, other, ratio, r["goal"], _("met") if r["met"] else _("NOT MET"), *peer)
    Console(file=sys.stdout).print(table)


def _optional(value: float | None) -> str:
    return "" if value is None else _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
