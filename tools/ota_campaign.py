"""`wayside ota campaign ...` and `wayside ota fleet ...`: rollouts. Each part is a file in `tools/rollouts/`."""

import typer

from tools.rollouts import decide, look, report, service, simulate
from tools.rollouts import fleet as fleets

app = typer.Typer(no_args_is_help=True)
app.command()(decide.new)
app.command()(look.show)
app.command()(decide.approve)
app.command()(decide.pause)
app.command()(decide.resume)
app.command("next")(decide.next_stage)
app.command()(decide.halt)
app.command()(look.history)
app.command()(report.report)
app.command()(service.serve)
app.command()(simulate.simulate)

fleet = typer.Typer(invoke_without_command=True)
fleet.callback()(fleets.fleet)
fleet.command("import")(fleets.import_fleet)
fleet.command("remove")(fleets.remove)


@app.callback()
def campaign() -> None:
    """Rollouts: a release for a fleet in stages, stopped by themselves where something is wrong."""
