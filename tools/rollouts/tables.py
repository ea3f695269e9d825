"""Tables and lists of what rollouts say to people."""

import time
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from drivers.text import _
from tools.output import print_line, visible

SHOWN = 20
"""Of a list; `--json` has all of it."""


def table_of(*names: str) -> Table:
    """An empty one, with these heads."""
    table = Table(box=None, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def print_table(table: Table) -> None:
    """Write it, as wide as it needs to be."""
    console = Console(highlight=False, width=180)
    with console.capture() as captured:
        console.print(table)
    print_line("\n".join(line.rstrip() for line in captured.get().rstrip().splitlines()))


def print_some(title: str, lines: Iterable[str], number: int) -> None:
    """A title, and the first of these lines."""
    print_line(title)
    for _index, line in zip(range(SHOWN), lines, strict=False):
        print_line(visible(line))
    if number > SHOWN:
        print_line(_("  and {number} more (--json has them all)").format(number=number - SHOWN))


def date_of(at: int | None) -> str:
    """UTC, to the minute; a dash for never."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at)) if at else "-"
