"""Tables and lists of what rollouts say to people."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from drivers.text import _
from ota.errors import printable
from tools.output import print_line, visible

_WIDTH, _LEAST_WIDTH = 180, 60
SHOWN = 20
"""Of a list; `--json` has all of it."""


def table_of(*names: str) -> Table:
    """An empty one, with these heads."""
    table = Table(box=None, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def add_row(table: Table, *cells: str) -> None:
    """A row of text, whatever devices and people have put into it."""
    table.add_row(*(printable(cell) for cell in cells))


def print_table(table: Table) -> None:
    """Write it: as wide as the terminal is, else as wide as it needs to be. What is in brackets is no markup."""
    width = shutil.get_terminal_size().columns if os.isatty(1) else _WIDTH
    console = Console(highlight=False, markup=False, emoji=False, width=max(width, _LEAST_WIDTH))
    with console.capture() as captured:
        console.print(table)
    print_line("\n".join(line.rstrip() for line in captured.get().rstrip().splitlines()))


@contextmanager
def at_work(what: str) -> Iterator[None]:
    """Say at a terminal that something takes its time, and how long it has."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        bar.add_task(what, total=None)
        yield


def print_some(title: str, lines: Iterable[str], number: int) -> None:
    """A title, and the first of these lines."""
    print_line(visible(title))
    for _index, line in zip(range(SHOWN), lines, strict=False):
        print_line(visible(line))
    if number > SHOWN:
        print_line(_("  and {number} more (--json has them all)").format(number=number - SHOWN))


def date_of(at: int | None) -> str:
    """UTC, to the minute; a dash for never."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at)) if at else "-"


def span_of(seconds: int) -> str:
    """A time in its largest whole unit."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
