"""`wayside ota campaign report NAME`: the report of a rollout as one static page."""

import time
from pathlib import Path
from typing import Annotated

import typer

from drivers.text import _
from tools.output import Exit, fail, print_json, print_line
from tools.rollouts.office import DEFAULT, ConfigOption, JsonOption, NameArgument, opened, refusals


def report(
    name: NameArgument,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help=_("where to; NAME.html by default"))] = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Write a page for a browser: the stages over time, what went wrong and where, who did what."""
    with refusals(as_json=as_json), opened(config) as office, office.database.reading() as connection:
        from ota.campaign.page import Story, page
        from ota.campaign.rules import CampaignError
        from ota.campaign.store import campaigns, courses, reports, trail

        kept = campaigns.get(connection, name)
        if kept is None:
            raise CampaignError(f"name: {name}: there is no campaign of this name")
        story = Story(
            kept=kept,
            approved=campaigns.approvals(connection, name),
            stages=campaigns.by_stage(connection, name),
            courses=list(courses.of_campaign(connection, name)),
            entries=list(trail.read(connection, name)),
            reports=list(reports.of_campaign(connection, name)),
            broken_at=trail.first_break(connection),
            made_at=int(time.time()),
        )
    file = out or Path(f"{name}.html")
    data = page(story)
    try:
        file.write_bytes(data)
    except OSError as error:
        fail(f"{file}: {error.strerror}", Exit.REFUSED, as_json=as_json)
    if as_json:
        print_json({"ok": True, "file": str(file), "bytes": len(data), "state": kept.state})
    else:
        print_line(str(file))
