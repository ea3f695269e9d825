"""A TUF client by the public client-under-test contract (tuf-conformance), over the code that devices verify with.

    python -m tools.tuf_client --metadata-dir D init ROOT
    python -m tools.tuf_client --metadata-dir D --metadata-url U refresh
    python -m tools.tuf_client --metadata-dir D --metadata-url U --target-name N
                               --target-dir T --target-base-url B download

`wayside ota tuf-client` is the same. Ends with 0, or with 1 and one line, also for wrong usage: the contract knows no
other way.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import typer

from ota.errors import OtaError
from tools.output import Exit, say

ALL_WORDS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""typer passes everything on: its own answer to wrong usage is 2."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        say(f"{self.prog}: {message}")
        sys.exit(Exit.REFUSED)


def tuf_client(context: typer.Context) -> None:
    """Verify and fetch from one TUF repository, as the public conformance suite asks."""
    raise typer.Exit(run(context.args))


def run(arguments: list[str], clock: Callable[[], float] = time.time) -> Exit:
    """Run one command."""
    options = _parser().parse_args(arguments)
    needed = {
        "refresh": ("metadata_url",),
        "download": ("metadata_url", "target_name", "target_base_url", "target_dir"),
    }
    for name in needed.get(options.command, ()):
        if not getattr(options, name):
            say(f"tuf-client: {options.command} needs --{name.replace('_', '-')}")
            return Exit.REFUSED
    from ota.trust.single import SingleRepository
    from ota.trust.web import Web

    repository = SingleRepository(options.metadata_dir, clock)
    try:
        if options.command == "init":
            repository.init(options.root)
            return Exit.DONE
        with closing(Web()) as web:
            workflow = repository.refresh(web.pieces, options.metadata_url)
            if options.command == "download":
                for name in options.target_name:
                    repository.download(workflow, web.pieces, name, options.target_base_url, options.target_dir)
    except OtaError as error:
        say(f"tuf-client: {error}")
        return Exit.REFUSED
    return Exit.DONE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="tuf-client", description="verify and fetch from one TUF repository")
    parser.add_argument("--metadata-dir", type=Path, required=True, help="where trusted metadata is kept")
    parser.add_argument("--metadata-url", help="the repository's metadata")
    parser.add_argument("--target-name", action="append", help="path of a target; may be repeated")
    parser.add_argument("--target-dir", type=Path, help="where verified targets are put")
    parser.add_argument("--target-base-url", help="the repository's targets")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    init = commands.add_parser("init", help="trust a root")
    init.add_argument("root", type=Path)
    commands.add_parser("refresh", help="bring the metadata up to date")
    commands.add_parser("download", help="fetch targets")
    return parser


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
