"""How results are told: a line on the way, a table on the terminal, a part of the page `docs/bench.md`.

The page has a part for each subject. Each run writes its own part and leaves all the rest as it stands.
"""

import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from drivers.text import _

GATEWAY = "The gateway"
CODECS = "The codecs"
UPDATES = "Updates"
_PAGE_TITLE = "# Benchmark\n"
_PART = "\n## "


def with_part(page: str, title: str, lines: Sequence[str]) -> str:
    """A page with one part replaced, or appended where it had none."""
    head = f"{_PART}{title}\n"
    part = "\n".join([head, *lines]).rstrip("\n") + "\n"
    start = page.find(head)
    if start < 0:
        return (page or _PAGE_TITLE) + part
    end = page.find(_PART, start + 1)
    return page[:start] + part + (page[end:] if end >= 0 else "")


def write_part(file: Path, title: str, lines: Sequence[str]) -> None:
    """Write one part of a page. Raises `OSError`."""
    page = file.read_text("utf-8") if file.exists() else ""
    file.write_text(with_part(page, title, lines), "utf-8")


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """Where and with what it was measured; packages that are not there are left out."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in packages if (version := _version(name)) is not None},
    }


def machine_line(packages: Sequence[str]) -> str:
    """The same as a sentence."""
    facts = machine(packages)
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return f"Machine: {facts['cpu']}, {facts['cores']} cores, {facts['system']}, Python {facts['python']}. {versions}."


def line_of(result: dict[str, Any]) -> str:
    """One result as a line."""
    against = f", {result['against']} {number(result['other'])}" if result["other"] is not None else ""
    ratio = f", {result['ratio']:.2f}x" if result["ratio"] is not None else ""
    spread = f"({number(result['least'])} to {number(result['most'])})"
    beside = "".join(f"; {name}: {number(value)}" for name, value in result["beside"].items())
    goal = f"; {result['goal']}" if result["goal"] else ""
    verdict = f": {_verdict(result['met'])}" if result["met"] is not None else ""
    return f"{number(result['ours'])} {result['unit']} {spread}{against}{ratio}{goal}{verdict}{beside}"


def table_lines(results: Sequence[dict[str, Any]], peer: str = "") -> list[str]:
    """The results as a table of the page; `peer` names a further column, and is empty when there is none."""
    lines = [
        "| what | unit | ours | against | | ratio | goal | met |" + (f" {peer} |" if peer else ""),
        "|---|---|---|---|---|---|---|---|" + ("---|" if peer else ""),
    ]
    for r in results:
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f}"
        ours = f"{number(r['ours'])} ({number(r['least'])} to {number(r['most'])})"
        met = {True: "yes", False: "**no**", None: ""}[r["met"]]
        row = [r["what"], r["unit"], ours, r["against"], optional(r["other"]), ratio, r["goal"], met]
        lines.append("| " + " | ".join([*row, optional(r["peer"])] if peer else row) + " |")
    return lines


def print_table(results: Sequence[dict[str, Any]], peer: str = "", *, title: str = "what") -> None:
    """The results as a table on stdout; `title`: by which key a row is called."""
    table = Table(title=_("Benchmark"), title_justify="left")
    for name in (_("what"), _("ours"), _("against"), _("ratio"), _("goal"), "", *([peer] if peer else [])):
        table.add_column(name)
    for r in results:
        other = "" if r["other"] is None else f"{r['against']} {number(r['other'])}"
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f}"
        met = "" if r["met"] is None else _verdict(r["met"])
        extra = [optional(r["peer"])] if peer else []
        table.add_row(r[title], f"{number(r['ours'])} {r['unit']}", other, ratio, r["goal"], met, *extra)
    Console(file=sys.stdout).print(table)


def optional(value: float | None) -> str:
    """A number, or nothing."""
    return "" if value is None else number(value)


def number(value: float) -> str:
    """A number with the digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _verdict(is_met: bool) -> str:
    return _("met") if is_met else _("NOT MET")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
