"""`wayside probe PORT`: the technician's scan. What is on this line, and at what speed? It reads only."""

import asyncio
import sys
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drivers.errors import DriverError
from drivers.ports.open_port import check_port_url
from drivers.text import _
from tools.line_probe import GLANCE_S, LISTEN_S, MAX_UNIT, MODBUS_WAIT_S, Found, Scan, Setting
from tools.output import Exit, fail, print_json, print_line, say, visible

BAUDS = "9600,115200,19200,38400,4800,57600,2400"
"""In the order in which devices are met."""
PARITIES = "N,E,O"
UNITS = "1-10"
WITHIN_S = 120.0
PLAIN_WIDTH = 160

app = typer.Typer()


@app.command()
def probe(
    port: Annotated[str, typer.Argument(metavar="PORT", help=_("/dev/ttyUSB0, serial:..., pty:... or tcp:HOST:PORT"))],
    bauds: Annotated[str, typer.Option("--baud", metavar="LIST", help=_("speeds to try, in this order"))] = BAUDS,
    parities: Annotated[str, typer.Option("--parity", metavar="LIST", help=_("N, E and O"))] = PARITIES,
    units: Annotated[str, typer.Option("--units", metavar="LIST", help=_("Modbus units to ask at each speed"))] = UNITS,
    within_s: Annotated[float, typer.Option("--within", min=1, max=86_400, help=_("seconds at most"))] = WITHIN_S,
    thorough: Annotated[bool, typer.Option("--all", help=_("go on after the first speed that works"))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_("show what would be tried, open nothing"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("plain data for programs"))] = False,
) -> None:
    """Find out what answers on a line: Modbus units, NMEA talkers, card readers. Nothing is written to a device."""
    url = f"serial:{port}" if port.startswith("/") else port
    problem = check_port_url(url)
    if problem is not None:
        fail(problem, Exit.USAGE, as_json=as_json)
    try:
        wanted = parse_units(units)
        settings = settings_of(url, bauds, parities)
    except ValueError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)
    if dry_run:
        _show_plan(settings, wanted, as_json=as_json)
        return
    scan = Scan(lambda text: say(visible(text)), is_thorough=thorough)
    try:
        asyncio.run(scan.run(settings, wanted, within_s))
    except DriverError as error:
        fail(str(error), Exit.UNREACHABLE, as_json=as_json)
    except KeyboardInterrupt:
        scan.progress.is_cut_short = True
    if as_json:
        print_json({"found": scan.found, "tried": scan.progress.tried, "is_complete": not scan.progress.is_cut_short})
    elif scan.found:
        _show(scan.found)
    if scan.progress.is_cut_short:
        say(_("the time was over before all was tried; see --within, --baud and --units"))
    if not any(found.what != "traffic" for found in scan.found):
        say(_("nothing that we know answered; look at the wiring (A and B swapped?), the power and the speed"))
        raise typer.Exit(Exit.REFUSED)


def settings_of(url: str, bauds: str, parities: str) -> list[Setting]:
    """What to try. A URL that names a speed is tried as it stands. Raises `ValueError`."""
    if url.startswith("tcp:"):
        return [Setting(url, None)]
    if "?" in url:
        query = dict(pair.split("=", 1) for pair in url.partition("?")[2].split("&"))
        return [Setting(url, int(query.get("baud", "9600")), query.get("parity", "N").upper())]
    settings = []
    for parity in _words(parities.upper()):
        for baud in _words(bauds):
            setting = f"{url}?baud={baud}&parity={parity}"
            problem = check_port_url(setting)
            if problem is not None:
                raise ValueError(problem)
            settings.append(Setting(setting, int(baud), parity))
    return settings


def parse_units(text: str) -> list[int]:
    """`1-10,17` as numbers in this order, each once. Raises `ValueError`."""
    units: dict[int, None] = {}
    for word in _words(text):
        first, dash, last = word.partition("-")
        if not (first.isascii() and first.isdigit() and (not dash or (last.isascii() and last.isdigit()))):
            raise ValueError(_("--units: {word} is neither a number nor a range such as 1-10").format(word=word))
        numbers = range(int(first), int(last or first) + 1) if len(word) < 10 else range(0)
        if not numbers or numbers[0] < 1 or numbers[-1] > MAX_UNIT:
            raise ValueError(_("--units: {word}: units are 1 to {most}").format(word=word, most=MAX_UNIT))
        units |= dict.fromkeys(numbers)
    return list(units)


def _words(text: str) -> Iterable[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _show_plan(settings: list[Setting], units: list[int], *, as_json: bool) -> None:
    seconds = sum(
        (LISTEN_S if one.parity == "N" else GLANCE_S) + len(units) * (MODBUS_WAIT_S + 0.03) for one in settings
    )
    if as_json:
        print_json({"settings": [setting.url for setting in settings], "units": units, "about_s": round(seconds)})
        return
    for setting in settings:
        print_line(setting.url)
    numbers = ", ".join(map(str, units))
    say(_("each: listen, then ask Modbus units {units}; at 115200 also a card reader").format(units=numbers))
    say(_("about {seconds:.0f} s when nothing answers; dry run: nothing was opened").format(seconds=seconds))


def _show(found: list[Found]) -> None:
    table = Table(title=_("found"), title_justify="left")
    for name in (_("what"), _("unit"), _("port"), _("answer"), _("identity")):
        table.add_column(name, overflow="fold")
    for one in found:
        unit = "" if one.unit_id is None else str(one.unit_id)
        identity = ", ".join(one.identity.values())
        what = f"{one.what} ({one.framing})" if one.framing else one.what
        table.add_row(*(Text(visible(text)) for text in (what, unit, one.port, one.answer, identity)))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    with console.capture() as captured:
        console.print(table)
    print_line("\n".join(line.rstrip() for line in captured.get().splitlines()))
