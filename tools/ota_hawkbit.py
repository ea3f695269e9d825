"""`wayside ota hawkbit ...`: the device's side of a hawkBit server: its wish, and what it is told."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.text import _
from tools.output import Exit, fail, print_json, print_line, say, visible

app = typer.Typer(no_args_is_help=True)

ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help=_("the device's hawkbit.toml"))]
JsonOption = Annotated[bool, typer.Option("--json", help=_("plain data for programs"))]
DetailsOption = Annotated[list[str] | None, typer.Option("--details", help=_("a message for the server; repeatable"))]


class Step(Enum):
    """What can be told of an update."""

    SCHEDULED = "scheduled"
    DOWNLOAD = "download"
    DOWNLOADED = "downloaded"
    PROCEEDING = "proceeding"
    RESUMED = "resumed"
    REJECTED = "rejected"
    CANCELED = "canceled"
    SUCCESS = "success"
    FAILURE = "failure"


class CancelWord(Enum):
    """What can be said to a cancellation."""

    CANCELLED = "cancelled"
    FAILED = "failed"
    REJECTED = "rejected"


@app.callback()
def hawkbit() -> None:
    """A hawkBit server that steers this device."""


@app.command()
def poll(
    config: ConfigArgument,
    *,
    follow: Annotated[bool, typer.Option("--follow", help=_("again and again, as often as the server wishes"))] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask the server once: tell what is owed, show what it wants."""
    with _client(config, as_json=as_json) as (settings, client):
        _show(settings, client, events := client.round(), as_json=as_json)
        with suppress(KeyboardInterrupt):
            while follow:
                time.sleep(client.wait_s)
                _show(settings, client, events := client.round(), as_json=as_json)
        _end(events, as_json=False)  # the trouble stands in what was shown


@app.command()
def report(
    config: ConfigArgument,
    step: Annotated[Step, typer.Argument(help=_("where the update is; success and failure end it"))],
    *,
    details: DetailsOption = None,
    progress: Annotated[tuple[int, int] | None, typer.Option(help=_("so much of so much"))] = None,
    code: Annotated[int | None, typer.Option(help=_("a number of your own"))] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the server where the open update is; kept on the disk until it has it."""
    from ota.hawkbit.feedback import Execution, Finished, way

    is_final = step in (Step.SUCCESS, Step.FAILURE)
    with _client(config, as_json=as_json) as (_settings, client):
        if not client.memory.action:
            fail(_("no action is open here: nothing to report of"), as_json=as_json)
        feedback = way(
            client.memory.action,
            Execution.CLOSED if is_final else Execution(step.value),
            finished=Finished(step.value) if is_final else Finished.NONE,
            progress=progress,
            code=code,
            details=tuple(details or ()),
            at_s=int(time.time()),
        )
        if not client.report(feedback):
            say(_("the server has been told so before"))
        _send(client, as_json=as_json)


@app.command()
def confirm(
    config: ConfigArgument,
    *,
    deny: Annotated[bool, typer.Option("--deny", help=_("do not agree"))] = False,
    details: DetailsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Agree to the action that waits for somebody at the device, or not."""
    with _client(config, as_json=as_json) as (_settings, client):
        events = client.round()
        assignment = client.assignment
        if assignment is None or not assignment.is_to_be_confirmed:
            _end(events, as_json=as_json)
            fail(_("no action waits to be confirmed"), as_json=as_json)
        client.confirm(assignment.action, is_confirmed=not deny, details=tuple(details or ()))
        _send(client, as_json=as_json)


@app.command()
def cancel(
    config: ConfigArgument,
    answer: Annotated[CancelWord, typer.Argument(help=_("what became of it"))],
    *,
    reason: Annotated[str, typer.Option(help=_("why"))] = "",
    as_json: JsonOption = False,
) -> None:
    """Answer to a cancellation, where no agent is steered."""
    from ota.hawkbit.dialogue import CancelAnswer
    from ota.hawkbit.events import CancelAsked

    with _client(config, as_json=as_json) as (_settings, client):
        events = client.round()
        asked = next((event for event in events if isinstance(event, CancelAsked)), None)
        if asked is None:
            _end(events, as_json=as_json)
            fail(_("the server has no cancellation to answer"), as_json=as_json)
        client.answer_cancel(asked.action, CancelAnswer[answer.name], reason)
        _send(client, as_json=as_json)


@contextmanager
def _client(config: Path, *, as_json: bool) -> Iterator[tuple[Any, Any]]:  # of modules that are loaded when needed
    from ota.agent.config import ConfigError
    from ota.errors import OtaError
    from ota.hawkbit.config import read_hawkbit_config
    from ota.hawkbit.run import opened

    try:
        settings = read_hawkbit_config(config)
        with opened(settings) as client:
            if client.was_damaged:
                say(_("{file}: what was remembered did not hold, and is forgotten").format(file=settings.data))
            yield settings, client
    except ConfigError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)
    except OtaError as error:
        fail(str(error), as_json=as_json)


def _send(client: Any, *, as_json: bool) -> None:
    """What was just said; where it cannot go now, that it is kept."""
    from tools.ota_hawkbit_words import fact_of, words_of

    events = client.round()
    owed = len(client.memory.owed)
    if as_json:
        print_json({"events": [fact_of(event) for event in events], "owed": owed})
    else:
        for event in events:
            print_line(visible(words_of(event)))
    if owed:
        say(_("it is kept here, and told with the next round"))
        _end(events, as_json=False)


def _end(events: list[Any], *, as_json: bool) -> None:
    """Done where the server has answered a poll; else what was in the way says how the command ends."""
    from ota.hawkbit.events import Polled, Trouble

    trouble = next((event for event in events if isinstance(event, Trouble)), None)
    if trouble is None or any(isinstance(event, Polled) for event in events):
        return
    is_away = trouble.reason.startswith("network: ")
    fail(trouble.reason, Exit.UNREACHABLE if is_away else Exit.REFUSED, as_json=as_json)


def _show(settings: Any, client: Any, events: list[Any], *, as_json: bool) -> None:
    from tools.ota_hawkbit_words import document_of, fact_of, lines_of, words_of

    assignment = client.assignment
    images, refusal = _images(settings, assignment)
    if as_json:
        wanted = None if assignment is None else document_of(assignment, images, refusal)
        facts = [fact_of(event) for event in events]
        print_json({"assignment": wanted, "events": facts, "owed": len(client.memory.owed), "next_s": client.wait_s})
        return
    lines = [words_of(event) for event in events]
    if assignment is not None:
        lines += lines_of(assignment, images, refusal)
    for line in lines:
        print_line(visible(line))


def _images(settings: Any, assignment: Any) -> tuple[dict[str, Any], str]:
    from ota.errors import RefusedError
    from ota.hawkbit.mapping import wanted_of
    from ota.hawkbit.run import modules_of

    if assignment is None:
        return {}, ""
    try:
        return dict(wanted_of(assignment, modules_of(settings))), ""
    except RefusedError as error:
        return {}, str(error)
