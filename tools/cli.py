"""The one `wayside` command: a table of verbs, each in a file of its own that is loaded only when it is used.

Data goes to stdout, talk to stderr; `--json` everywhere; exit 0 done, 1 refused or failed, 2 usage or bad
configuration, 3 unreachable (`tools/output.py`).

A verb's module has `app`, a `typer.Typer` with one command (`decode`) or a group of them (`keys new`).
"""

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from drivers.text import _
from tools.output import fail_of_system, nearest, open_missing_streams

COMMANDS: dict[str, tuple[str, str]] = {
    # verb: (module that has `app`, what it does)
    "init": ("tools.init", _("write a starter configuration, with a development CA and keys")),
    "check": ("tools.check", _("check a configuration without opening anything")),
    "run": ("tools.run", _("run a gateway until SIGTERM")),
    "status": ("tools.status", _("show what a running gateway says of itself")),
    "tail": ("tools.tail", _("follow live values and events of a running gateway")),
    "command": ("tools.command", _("sign a command, send it to a node, wait for its result")),
    "config": ("tools.config_push", _("sign a configuration, hand it to a node, wait for what becomes of it")),
    "keys": ("tools.keys", _("make operators' keys")),
    "sink": ("tools.sink.app", _("take what nodes publish, store it once, acknowledge it")),
    "demo": ("tools.demo.app", _("the main job on show, with an outage and a power cut")),
    "ota": ("tools.ota", _("updates over the air: sign and publish releases")),
    "service": ("tools.service", _("install the gateway as a systemd service")),
    "support-bundle": ("tools.support_bundle", _("collect what support needs, without keys, secrets or persons")),
    "journal": ("tools.journal", _("look into a journal without its gateway: show, verify, export")),
    "emulate": ("tools.emulate", _("play a device: Modbus units, a GNSS receiver, a card reader, a bad network")),
    "probe": ("tools.probe", _("find out what answers on a line, and at what speed")),
    "bench": ("tools.bench.app", _("measure against a bare loop and physical limits")),
    "decode": ("tools.decode", _("decode captured frames of a protocol")),
    "encode": ("tools.encode", _("encode messages into canonical frames")),
}
"""Written out by hand: nothing registers itself by being imported."""

_COMPLETION = ("install_completion", "show_completion")  # belong to `wayside` as a whole, not to each verb


class _Verbs(TyperGroup):
    """Loads a verb's module when the verb is named; lists all verbs without loading any."""

    def list_commands(self, ctx: typer.Context) -> list[str]:
        return [*super().list_commands(ctx), *COMMANDS]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, help_text = COMMANDS[cmd_name]
        verb = importlib.import_module(module).app
        verb.rich_markup_mode = None  # plain help, as `wayside --help` is: frames and colours do not survive a pipe
        command = typer.main.get_command(verb)
        command.name = cmd_name
        command.help = help_text  # in the reader's language, which a docstring is not
        command.params = [option for option in command.params if option.name not in _COMPLETION]
        return command

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:
        if not args[0].startswith("-") and args[0] not in COMMANDS:
            text = _('there is no command "{name}"; the nearest is "{nearest}"')
            ctx.fail(text.format(name=args[0], nearest=nearest(args[0], COMMANDS)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:
        del ctx
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, help_text) for name, (_module, help_text) in COMMANDS.items()])


app = typer.Typer(cls=_Verbs, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib import metadata

        typer.echo(f"wayside {metadata.version('wayside')}")
        raise typer.Exit


@app.callback()
def _wayside(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help=_("show the version and end"))
    ] = False,
) -> None:
    """Wayside: field devices in, nothing lost, cloud in step."""
    del version


def main() -> None:
    """Run the command line."""
    open_missing_streams()
    try:
        app()
    except OSError as error:
        fail_of_system(error)


if __name__ == "__main__":
    main()
