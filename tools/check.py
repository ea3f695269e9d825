"""`wayside check CONFIG`: everything that is wrong with a configuration, before anything is opened."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from drivers.text import _, counted
from edge.gateway.config import parse_config, read_document
from edge.gateway.config_checks import surroundings
from edge.gateway.config_errors import ConfigError, ConfigProblem, located
from edge.gateway.config_hints import certificate_findings
from edge.gateway.config_hints import hints as hints_in
from tools.output import Exit, fail, print_json, print_line, say, visible

app = typer.Typer()


@app.command()
def check(
    config: Annotated[Path | None, typer.Argument(metavar="CONFIG", help=_("the configuration of a node"))] = None,
    document: Annotated[
        bool, typer.Option("--document", help=_("for another box: do not look for its files and disk on this one"))
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("one JSON object out"))] = False,
    schema: Annotated[bool, typer.Option("--schema", help=_("print the JSON Schema of configurations"))] = False,
) -> None:
    """Check a configuration, the files that it names and the room on the disk; open no port and no connection."""
    if schema:
        from edge.gateway.config_schema import config_schema

        print_json(config_schema())
        return
    if config is None:
        fail(_("which configuration? wayside check CONFIG"), Exit.USAGE, as_json=as_json)
    problems, hints = look_over(config, is_for_this_box=not document)
    if as_json:
        print_json({"ok": not problems, "problems": problems, "hints": hints})
    else:
        for problem in problems:
            print_line(visible(str(problem)))
        for hint in hints:
            print_line(visible(str(msgspec.structs.replace(hint, text=_("hint: {text}").format(text=hint.text)))))
    said = counted("{count} hint", "{count} hints", len(hints)).format(count=len(hints)) if hints else ""
    if problems:
        count = counted("{count} problem", "{count} problems", len(problems)).format(count=len(problems))
        say(", ".join(filter(None, (count, said))))
        raise typer.Exit(Exit.USAGE)
    say(", ".join(filter(None, (_("{file}: no mistake found").format(file=config), said))))


def problems_of(file: Path) -> list[ConfigProblem]:
    """All that is wrong with a configuration, and with what it asks of this box."""
    return look_over(file)[0]


def look_over(file: Path, *, is_for_this_box: bool = True) -> tuple[list[ConfigProblem], list[ConfigProblem]]:
    """(all that is wrong, what may be meant as it is) with a configuration, and with what it asks of this box."""
    try:
        document = read_document(file)
        config = parse_config(document, file)
    except ConfigError as error:
        return list(error.problems), []
    problems, hints = [], list(hints_in(config))
    if is_for_this_box:
        wrong, soon = certificate_findings(config, datetime.now(UTC))
        problems = wrong + list(surroundings(config))
        hints += soon
    text = document.decode("utf-8-sig")
    return located(problems, text, str(file)), located(hints, text, str(file))
