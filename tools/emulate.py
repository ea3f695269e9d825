"""`wayside emulate KIND --at ENDPOINT`: one device in software, until SIGTERM.

The first line on stdout is `{"endpoint": ...}`, as a gateway's configuration names it.
"""

import contextlib
import os
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from drivers.errors import DriverError
from drivers.text import _
from emulators.kit.faults import FaultPlan, load_faults
from emulators.kit.hosts import Host, run_hosts
from emulators.kit.tap import JsonLines, Tap
from tools.emulated_kinds import KINDS, Endpoint, Stage, endpoint_of
from tools.output import Exit, fail, nearest, print_json, print_line, say

app = typer.Typer()


class _UsageError(Exception):
    """A file or option that cannot be used."""


class _FileError(Exception):
    """A file that cannot be written."""


@app.command()
def emulate(
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help=_("see --list"))] = None,
    at: Annotated[str, typer.Option("--at", metavar="ENDPOINT", help=_("pty:, pty:/LINK or tcp:HOST:PORT"))] = "pty:",
    seed: Annotated[int | None, typer.Option("--seed", min=0, help=_("of its world and its faults"))] = None,
    faults: Annotated[
        Path | None, typer.Option("--faults", metavar="PLAN", help=_("a TOML file: what goes wrong"))
    ] = None,
    world: Annotated[
        Path | None, typer.Option("--world", metavar="WORLD", help=_("a TOML file: what exists and what happens when"))
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help=_("gets one JSON line at each physical change"))
    ] = None,
    trace: Annotated[
        Path | None, typer.Option("--trace", metavar="FILE", help=_("gets one JSON line for each frame on the wire"))
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help=_("list the kinds"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("plain data for programs"))] = False,
) -> None:
    """Emulate one device on a pseudo-terminal or a TCP port, until SIGTERM."""
    if show_list:
        _show_list(as_json=as_json)
        return
    if kind not in KINDS:
        text = _("which kind? wayside emulate --list")
        if kind is not None:
            text = _('there is no kind "{kind}"; the nearest is "{near}"').format(kind=kind, near=nearest(kind, KINDS))
        fail(text, Exit.USAGE, as_json=as_json)
    with contextlib.ExitStack() as files:
        try:
            truth_lines = _opened(files, "--truth", truth)
            trace_lines = _opened(files, "--trace", trace)
            stage = Stage(
                endpoint=_endpoint(at),
                world=_world(world),
                folder=world.parent if world is not None else Path(),
                seed=1 if seed is None else seed,
                faults=_faults(faults, seed),
                tap=Tap(None if trace_lines is None else trace_lines.heard),
                truth=truth_lines,
            )
            if kind == "proxy" and (faults is not None or trace is not None):
                raise _UsageError(_("a proxy has its faults in the [[step]]s of its world, and no frames to trace"))  # noqa: TRY301  # one way out
            _run(kind, stage)
        except (_UsageError, ValueError, DriverError) as error:
            fail(str(error), Exit.USAGE, as_json=as_json)
        except _FileError as error:
            fail(str(error), as_json=as_json)
        except OSError as error:
            text = _("--at: {endpoint} cannot be opened: {reason}")
            fail(text.format(endpoint=at, reason=reason_of(error)), as_json=as_json)


def reason_of(error: OSError) -> str:
    """What the system says, without its number and without what asyncio writes around it."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _opened(files: contextlib.ExitStack, option: str, file: Path | None) -> JsonLines | None:
    if file is None:
        return None
    try:
        return files.enter_context(JsonLines(file))
    except OSError as error:
        text = _("{option}: {file} cannot be written: {reason}")
        raise _FileError(text.format(option=option, file=file, reason=reason_of(error))) from error


def _endpoint(at: str) -> Endpoint:
    """Where the device shall be; its name there takes the place of an older link and of nothing else."""
    endpoint = endpoint_of(at)
    link = endpoint.link
    if link is not None and link.exists() and not link.is_symlink():
        raise _UsageError(_("--at: {link} exists and is no link, and nothing is replaced").format(link=link))
    return endpoint


def _run(kind: str, stage: Stage) -> None:
    def make() -> list[Host]:
        return [KINDS[kind].make(stage)]

    run_hosts(
        make, on_ready=lambda ready: say(_("{kind}: at {endpoint}").format(kind=kind, endpoint=ready["endpoint"]))
    )


def _show_list(*, as_json: bool) -> None:
    for name, kind in KINDS.items():
        if as_json:
            print_json({"kind": name, "about": kind.about})
        else:
            print_line(f"{name:8} {kind.about}")


def _world(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    with _reading("--world", file):
        return tomllib.loads(file.read_text("utf-8"))


def _faults(file: Path | None, seed: int | None) -> FaultPlan | None:
    if file is None:
        return None
    with _reading("--faults", file):
        plan = load_faults(file)
    return plan if seed is None else msgspec.structs.replace(plan, seed=seed)


@contextlib.contextmanager
def _reading(option: str, file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = _("cannot be read: {reason}").format(reason=reason_of(error))
    except UnicodeDecodeError:
        reason = _("is not text in UTF-8")
    except tomllib.TOMLDecodeError as error:
        reason = _("is not TOML: {reason}").format(reason=error)
    except ValueError as error:
        reason = str(error)
    else:
        return
    raise _UsageError(f"{option}: {file} {reason}")
