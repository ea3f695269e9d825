"""`wayside run CONFIG`: become the daemon. The command line leaves this process altogether, so it costs no memory."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from drivers.text import _

app = typer.Typer()


@app.command()
def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help=_("the gateway's configuration"))],
) -> None:
    """Run a gateway until SIGTERM."""
    # -P: what lies in the folder where we are called is not taken for a part of the program.
    # A name with a dash at its front stays a name.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "edge", str(config.absolute())])  # noqa: S606  # no shell is wanted
