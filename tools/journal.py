"""`wayside journal show|verify|export DIR`: a look into a node's journal without its gateway, which may run or not.

DIR is the node's data folder (`[node] data`), or the folder `journal` in it. Nothing in it is changed.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drivers.text import _, counted
from protocols.core.errors import ProtocolError
from protocols.wayside.pack import KEYS
from protocols.wayside.pack_codec import decode_payload
from tools.journal_reader import MAX_NUMBER, Found, JournalError, LaneReader, LaneView, lane_folders
from tools.output import Exit, fail, print_json, print_line, say, visible

PLAIN_WIDTH = 200
MAX_SHOWN_PROBLEMS = 100

app = typer.Typer(no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help=_("a node's data folder"))]
LaneOption = Annotated[str | None, typer.Option("--lane", metavar="LANE", help=_("only this lane"))]
JsonOption = Annotated[bool, typer.Option("--json", help=_("plain data for programs"))]


@app.callback()
def journal() -> None:
    """Look into a journal; change nothing in it."""


@app.command()
def show(folder: Folder, lane: LaneOption = None, as_json: JsonOption = False) -> None:
    """Show what each lane holds, owes and has lost."""
    views = list(_views(folder, lane, as_json=as_json))
    if as_json:
        print_json({"lanes": {view.lane: _facts(view) for view in views}})
        return
    table = Table(title=_("journal"), title_justify="left")
    table.add_column(_("lane"))
    table.add_column(_("epoch"), no_wrap=True)
    for name in (
        _("segments"),
        _("first"),
        _("last"),
        _("bytes"),
        _("made"),
        _("acknowledged"),
        _("queued"),
        _("lost"),
    ):
        table.add_column(name, justify="right")
    for view in views:
        acked = view.made - view.queued - view.lost
        numbers = (len(view.segments), view.first, view.last, view.bytes, view.made, acked, view.queued, view.lost)
        cells = ("" if number is None else f"{number:,}" for number in numbers)
        table.add_row(Text(visible(view.lane)), Text(view.epoch or ""), *cells)
    console = Console(highlight=False, width=PLAIN_WIDTH)
    with console.capture() as captured:
        console.print(table)
    print_line("\n".join(line.rstrip() for line in captured.get().splitlines()))
    for view in views:
        for loss in view.losses:
            text = _("{lane}: {first} to {last} are lost ({why})")
            if not loss.is_declared:
                text = _("{lane}: {first} to {last} are lost ({why}), to be declared at the next start")
            say(text.format(lane=view.lane, first=loss.first, last=loss.last, why=loss.why))
        if view.set_aside:
            files = ", ".join(view.set_aside[:5])
            say(_("{lane}: set aside: {files}").format(lane=view.lane, files=files))


@app.command()
def verify(folder: Folder, lane: LaneOption = None, as_json: JsonOption = False) -> None:
    """Check every record's checksum, the order of the numbers, and that all that is owed is there: 1 when it is not."""
    views = list(_views(folder, lane, as_json=as_json))
    is_sound = not any(view.problems for view in views)
    if as_json:
        lanes = {view.lane: {"records": _records(view), "problems": view.problems} for view in views}
        print_json({"ok": is_sound, "lanes": lanes})
    else:
        for view in views:
            torn = sum(segment.torn_bytes for segment in view.segments)
            text = _("{lane}: damaged") if view.problems else _("{lane}: sound")
            line = text.format(lane=view.lane)
            line += ", " + counted("{count} record", "{count} records", _records(view)).format(count=_records(view))
            if torn:
                line += ", " + _("{count} bytes of an unfinished commit, which are no loss").format(count=torn)
            print_line(visible(line))
            for problem in view.problems[:MAX_SHOWN_PROBLEMS]:
                print_line(visible(f"  {problem}"))
    if not is_sound:
        raise typer.Exit(Exit.REFUSED)


@app.command()
def export(
    folder: Folder,
    lane: LaneOption = None,
    first: Annotated[int, typer.Option("--from", min=1, help=_("the first number"))] = 1,
    last: Annotated[int, typer.Option("--to", min=1, help=_("the last number"))] = MAX_NUMBER,
    as_json: JsonOption = False,
) -> None:
    """Print records as JSON, one a line; damaged ones are left out and named on stderr."""
    for reader in _readers(folder, lane, as_json=as_json):
        expected = None
        with closing(reader):
            try:
                for found in reader.records(first, last):
                    if expected is not None and found.seq > expected:
                        text = _("{lane}: {first} to {last} are not there")
                        say(text.format(lane=reader.name, first=expected, last=found.seq - 1))
                    expected = found.seq + 1
                    print_json(exported(found))
            except JournalError as error:
                fail(str(error), as_json=as_json)


def exported(found: Found) -> dict[str, Any]:
    """One record as plain data; what cannot be decoded stands as hex beside the reason."""
    length = found.body[0] if found.body else 0
    route, payload = found.body[1 : 1 + length].decode("ascii", "replace"), found.body[1 + length :]
    line: dict[str, Any] = {"lane": found.lane, "epoch": found.epoch, "seq": found.seq, "route": route}
    try:
        fields = decode_payload(payload)
        message = {_name(key): value for key, value in fields.items()}
        msgspec.json.encode(message)
    except (ProtocolError, TypeError, ValueError) as error:
        return line | {"error": str(error), "hex": payload.hex()}
    return line | {"message": message}


def _name(key: object) -> object:
    """A pack's key in words, also where it travels as a number."""
    return KEYS[key] if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(KEYS) else key


def _readers(folder: Path, lane: str | None, *, as_json: bool) -> Iterator[LaneReader]:
    try:
        folders = lane_folders(folder)
    except JournalError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)
    known = [path.name for path in folders]
    if lane is not None and lane not in known:
        text = _('there is no lane "{lane}" here; there are {known}')
        fail(text.format(lane=lane, known=", ".join(known)), Exit.USAGE, as_json=as_json)
    for path in folders:
        if lane in (None, path.name):
            yield LaneReader(path)


def _views(folder: Path, lane: str | None, *, as_json: bool) -> Iterator[LaneView]:
    for reader in _readers(folder, lane, as_json=as_json):
        with closing(reader):
            try:
                yield reader.view()
            except JournalError as error:
                fail(str(error), as_json=as_json)


def _records(view: LaneView) -> int:
    return sum(segment.records for segment in view.segments)


def _facts(view: LaneView) -> dict[str, Any]:
    """A lane as plain data."""
    facts: dict[str, Any] = msgspec.structs.asdict(view)
    return facts | {"first": view.first, "last": view.last, "bytes": view.bytes}
