"""`wayside status CONFIG`: what the running gateway says of itself, as a page for people or as JSON."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from drivers.text import _
from edge.gateway.config_errors import ConfigProblem
from tools.gateway_socket import GatewayAwayError, ask, data_folder
from tools.output import Exit, fail, print_json, print_line, visible

PLAIN_WIDTH = 200
"""Columns of a page that no terminal shows."""
SHOWN_REFUSED = 4
SHOWN_MISTAKES = 5

app = typer.Typer()

_GOOD = {"running", "connected", "ok"}


@app.command()
def status(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help=_("the gateway's configuration"))],
    as_json: Annotated[bool, typer.Option("--json", help=_("plain data for programs"))] = False,
) -> None:
    """Show devices, lanes, uplink and clock of a running gateway."""
    folder = data_folder(config, as_json=as_json)
    try:
        answer = next(ask(folder, "status"), None)
    except GatewayAwayError as error:
        fail(str(error), Exit.UNREACHABLE, as_json=as_json)
    if answer is None:
        fail(_("the gateway hung up without an answer"), Exit.UNREACHABLE, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    try:
        page = page_of(answer)
    except (KeyError, TypeError, ValueError, AttributeError):
        fail(_("the gateway is of another version than this command; --json shows what it says"))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    with console.capture() as captured:
        console.print(page)
    print_line("\n".join(line.rstrip() for line in captured.get().splitlines()))


def page_of(answer: dict[str, Any]) -> Group:
    """The page. Raises `KeyError` and its like for an answer that is not a status document."""
    return Group(_facts(answer), _lanes(answer["lanes"]), *_devices(answer["devices"]))


def _facts(answer: dict[str, Any]) -> Table:
    clock, uplink, storage, config = answer["clock"], answer["uplink"], answer["storage"], answer["config"]
    on_trial = _("on trial") if config["on_trial"] else None
    mistakes = [str(ConfigProblem(**mistake)) for mistake in config.get("mistakes", ())]
    reason = config["reason"]
    if mistakes and reason and "\n".join(mistakes).startswith(reason):
        reason = None  # it is said below, in full
    outcome = " ".join(filter(None, (config["outcome"], reason, on_trial)))
    facts = Table.grid(padding=(0, 2))
    facts.add_row(_("node"), _plain(f"{answer['node']}  ({answer['version']}, {_('start')} {answer['boot']})"))
    facts.add_row(_("running for"), _duration(answer["uptime_s"]))
    facts.add_row(_("configuration"), _plain(f"{config['digest'][:19]}  {outcome}"))
    for line in _file_troubles(mistakes):
        facts.add_row("", Text(visible(line), style="red"))
    facts.add_row(_("clock"), _plain(f"{clock['time']}  {_('quality')} {clock['quality']}"))
    facts.add_row(_("uplink"), _state(uplink["state"], uplink["error"]).append(f"  {visible(uplink['broker'] or '')}"))
    for trouble in _uplink_troubles(uplink):
        facts.add_row("", Text(visible(trouble), style="red"))
    for name, why in answer.get("commands", {}).get("not_obeyed", {}).items():
        text = _("{operator} is not obeyed: {why}").format(operator=name, why=why)
        facts.add_row(_("commands"), Text(visible(text), style="red"))
    facts.add_row(_("records leave when"), _ACKNOWLEDGED[uplink["acknowledged_by"]])
    free = f"  {storage['free_mb']:.0f} MB {_('free')}"
    facts.add_row(_("storage"), _state(storage["state"], storage["error"]).append(free))
    for device, count in storage["not_recorded"].items():
        text = _("{device}: {count} samples could not be recorded").format(device=device, count=count)
        facts.add_row("", Text(visible(text), style="red"))
    facts.add_row(_("memory"), f"{answer['rss_mb']:.1f} MB")
    return facts


def _file_troubles(mistakes: list[str]) -> list[str]:
    """Why the file is not what runs."""
    if not mistakes:
        return []
    more = len(mistakes) - SHOWN_MISTAKES
    tail = [_("and {count} more: wayside check names all").format(count=more)] if more > 0 else []
    return [_("the file has mistakes and is not what runs:"), *mistakes[:SHOWN_MISTAKES], *tail]


def _uplink_troubles(uplink: dict[str, Any]) -> list[str]:
    """What keeps records in the box, one line each."""
    troubles = []
    if uplink["next_attempt_in_s"]:
        troubles.append(_("it is tried again in {time}").format(time=_duration(uplink["next_attempt_in_s"])))
    if uplink["state"] == "connected" and uplink["acknowledged_by"] == "ingest" and not uplink["ingest"]:
        troubles.append(_("the ingest is away: records wait here until it is back"))
    refused = uplink["refused_names"]
    if refused:
        text = _("the broker does not take {names}: its access list, or a certificate that names another node?")
        more = f" (+{len(refused) - SHOWN_REFUSED})" if len(refused) > SHOWN_REFUSED else ""
        troubles.append(text.format(names=", ".join(refused[:SHOWN_REFUSED]) + more))
    return troubles


def _lanes(document: dict[str, Any]) -> Table:
    lanes = Table(title=_("records"), title_justify="left")
    lanes.add_column(_("lane"))
    for name in (_("made"), _("acknowledged"), _("queued"), _("lost"), _("oldest")):
        lanes.add_column(name, justify="right")
    for lane, counts in document.items():
        numbers = (f"{counts[key]:,}" for key in ("made", "acked", "queued", "lost"))
        lanes.add_row(_plain(lane), *numbers, _duration(counts["oldest_s"]) if counts["queued"] else "")
    return lanes


def _devices(document: dict[str, Any]) -> list[Table]:
    if not document:
        return []
    devices = Table(title=_("devices"), title_justify="left")
    for name in (_("device"), _("driver"), _("state"), _("starts"), _("what is or was wrong")):
        devices.add_column(name, overflow="fold")
    for name, device in document.items():
        devices.add_row(
            _plain(name), _plain(device["driver"]), _device_state(device), str(device["starts"]), _problem_of(device)
        )
    return [devices]


def _device_state(device: dict[str, Any]) -> Text:
    """Given up, silent, or what the supervisor says, and by the device's own account."""
    if device["state"] == "given up":
        return _state(device["state"], None)
    if device["lost_s"] is not None:
        return Text(_("silent for {time}").format(time=_duration(device["lost_s"])), style="red")
    state = _state(device["state"], None)
    return state.append(f", {visible(device['condition'])}") if device["condition"] else state


def _problem_of(device: dict[str, Any]) -> Text:
    """Why it is silent or what stopped it last; how its line is; which of its points it does not have."""
    problems = [device["lost_why"] or device["error"] or ""]
    unanswered = device.get("request_timeouts", 0) + device.get("request_noise", 0)
    if unanswered and device["lost_s"] is None:
        text = _("{count} of {requests} requests had no good answer")
        problems.append(text.format(count=unanswered, requests=device["requests"]))
    if absent := device.get("absent_points"):
        problems.append(_("not in this device: {points}").format(points=", ".join(absent)))
    return _plain("; ".join(filter(None, problems)))


_ACKNOWLEDGED = {
    "ingest": _("the ingest says that it has stored them"),
    "broker": _("the broker has taken them (acknowledged by broker only)"),
}


def _plain(text: str) -> Text:
    """Text as it stands: a bracket in a device's error is no markup."""
    return Text(visible(text))


def _state(state: str, error: str | None) -> Text:
    text = Text(visible(state), style="green" if state in _GOOD else "red")
    return Text.assemble(text, f": {visible(error)}" if error else "")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3_600:.1f} h"
    return f"{seconds / 86_400:.1f} d"
