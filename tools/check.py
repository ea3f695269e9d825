"""`wayside check CONFIG`: everything that is wrong with a configuration, before anything is opened."""

from pathlib import Path
from typing import Annotated

import typer

from drivers.text import _, counted
from edge.gateway.config import parse_config, problems_around, read_document
from edge.gateway.config_errors import ConfigError, ConfigProblem
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
    problems = problems_of(config, is_for_this_box=not document)
    if as_json:
        print_json({"ok": not problems, "problems": problems})
    else:
        for problem in problems:
            print_line(visible(str(problem)))
    if problems:
        say(counted("{count} problem", "{count} problems", len(problems)).format(count=len(problems)))
        raise typer.Exit(Exit.USAGE)
    say(_("{file}: no mistake found").format(file=config))


def problems_of(file: Path, *, is_for_this_box: bool = True) -> list[ConfigProblem]:
    """All that is wrong with a configuration, and with what it asks of this box."""
    try:
        document = read_document(file)
        config = parse_config(document, file)
        return problems_around(config, document) if is_for_this_box else []
    except ConfigError as error:
        return list(error.problems)
