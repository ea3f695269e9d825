"""`wayside tail CONFIG`: follow what the gateway's devices say, live, until Ctrl-C."""

from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.text import _
from tools.gateway_socket import GatewayAwayError, ask, data_folder
from tools.output import Exit, fail, print_json, print_line, visible

app = typer.Typer()

SHOWN_POINTS = 12


@app.command()
def tail(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help=_("the gateway's configuration"))],
    device: Annotated[str | None, typer.Option("--device", metavar="NAME", help=_("only this device"))] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help=_("end after so many"))] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_("one JSON object a line"))] = False,
) -> None:
    """Follow live values and events."""
    folder = data_folder(config, as_json=as_json)
    shown = 0
    try:
        for document in ask(folder, "tail"):
            if "device" not in document or (device is not None and document["device"] != device):
                continue
            if as_json:
                print_json(document)
            else:
                print_line(visible(line_of(document)))
            shown += 1
            if shown == count:
                return
    except KeyboardInterrupt:
        return
    except GatewayAwayError as error:
        fail(str(error), Exit.UNREACHABLE, as_json=as_json)
    fail(_("the gateway hung up"), Exit.UNREACHABLE, as_json=as_json)


def line_of(document: dict[str, Any]) -> str:
    """One sample or event as a line for a person; a point that is not good bears a question mark."""
    if "event" in document:
        facts = ", ".join(f"{key}={value}" for key, value in document["data"].items())
        return f"{document['device']}  [{document['event']}]  {facts}"
    bad = {point for point, _quality in document["bad"]}
    pairs = [
        f"{name}={_('no value') if value is None else _short(value)}{'?' if index in bad else ''}"
        for index, (name, value) in enumerate(zip(document["points"], document["values"], strict=True))
    ]
    more = len(pairs) - SHOWN_POINTS
    return f"{document['device']}  " + "  ".join(pairs[:SHOWN_POINTS]) + (f"  (+{more})" if more > 0 else "")


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
