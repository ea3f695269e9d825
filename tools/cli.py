"""The one `wayside` command: a table of verbs, each in a file of its own that is loaded only when it is used.

Data goes to stdout, talk to stderr; `--json` everywhere; exit 0 done, 1 refused or failed, 2 usage or bad configuration,
3 unreachable.
"""

import importlib
from typing import Any

import click
import typer
from typer.core import TyperGroup

from drivers.text import _

COMMANDS: dict[str, tuple[str, str]] = {
    # verb: (module that has `app`, a `typer.Typer` of one command or a group of them; what it does)
    "decode": ("tools.decode", _("decode captured frames of a protocol")),
    "encode": ("tools.encode", _("encode messages into canonical frames")),
}
"""Written out by hand: nothing registers itself by being imported."""


class _Verbs(TyperGroup):
    """Loads a verb's module when the verb is named; lists all verbs without loading any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, help_text = COMMANDS[cmd_name]
        command = typer.main.get_command(importlib.import_module(module).app)
        command.name = cmd_name
        command.help = command.help or help_text
        return command

    def format_commands(self, ctx: click.Context, formatter: Any) -> None:
        formatter.write_dl([(name, help_text) for name, (_module, help_text) in COMMANDS.items()])


app = typer.Typer(cls=_Verbs, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def _wayside() -> None:
    """Wayside: field devices in, nothing lost, cloud in step."""


def main() -> None:
    """Run the command line."""
    app()
