"""`wayside ota ...`: updates. Each part is a file of its own; this is where they meet."""

import typer

from drivers.text import _
from tools import ota_campaign, ota_demo, ota_device, ota_hawkbit, ota_repo, tuf_client

app = typer.Typer(no_args_is_help=True)
app.add_typer(ota_repo.app, name="repo", help=_("the signing side: keys, releases, what devices fetch"))
app.add_typer(ota_campaign.app, name="campaign", help=_("rollouts: a release for a fleet, in stages"))
app.add_typer(ota_campaign.fleet, name="fleet", help=_("which devices there are and what they run"))
app.add_typer(ota_hawkbit.app, name="hawkbit", help=_("a hawkBit server that steers this device"))
app.command()(ota_device.status)
app.command()(ota_device.explain)
app.command()(ota_device.run)
app.command()(ota_device.setup)
app.command()(ota_demo.demo)
app.command("tuf-client", context_settings=tuf_client.ALL_WORDS)(tuf_client.tuf_client)


@app.callback()
def ota() -> None:
    """Updates over the air."""
