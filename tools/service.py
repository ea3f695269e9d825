"""`wayside service install CONFIG`: the gateway as a systemd service with a user of its own.

The shipped unit `wayside@.service` goes to /etc/systemd/system as it is, but for the path of this program; what belongs
to one configuration goes into a drop-in beside it. With `--root DIR` an image is prepared: files only, nothing is run.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from drivers.text import _
from edge.deploy import __file__ as deploy_package
from edge.gateway.config import MAX_DOCUMENT_BYTES, ConfigError, NodeConfigFile, parse_config
from edge.gateway.update_folder import UpdateFolderError, update_folder
from tools.output import Exit, fail, fail_of_config, print_json, print_line, say, visible

CONFIG = Path("/etc/wayside/node.toml")
UNITS = Path("/etc/systemd/system")
USERS = Path("/etc/sysusers.d/wayside.conf")
UNIT = "wayside@.service"
MIN_DATA_PARTS = 3
"""`/`, `var`, `node`: a folder right below the root belongs to the system."""
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
"""What `ProtectHome=yes` hides from a service."""

app = typer.Typer(no_args_is_help=True)


class Step(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One thing to do: write a file, link to one, or run a command."""

    write: str | None = None
    text: str = ""
    link: str | None = None
    to: str = ""
    run: tuple[str, ...] = ()


class _StepError(Exception):
    """A step failed; the text says which and why."""


@app.callback()
def service() -> None:
    """Run the gateway as a service."""


@app.command()
def install(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help=_("the configuration"))] = CONFIG,
    user: Annotated[str, typer.Option("--user", metavar="NAME", help=_("whom it runs as"))] = "wayside",
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help=_("prepare an image that lies there; run nothing"))
    ] = None,
    with_updates: Annotated[
        bool, typer.Option("--updates", help=_("start it by the launcher, out of the slots of its [update] file"))
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_("show what would be done, do nothing"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("plain data for programs"))] = False,
) -> None:
    """Install a systemd unit for a configuration, enable it and start it."""
    config = config if root is not None else config.absolute()
    parsed = _checked(config, root, as_json=as_json)
    instance = _instance(config, user, as_json=as_json)
    _check_data(_data_of(parsed), root or Path("/"), as_json=as_json)
    slots = _slots_of(parsed, root, as_json=as_json) if with_updates else None
    if root is None and not dry_run:
        _need_root(as_json=as_json)
    plan = list(steps(config, _data_of(parsed), instance, user, slots=slots, is_image=root is not None))
    for hint in hints(config):
        say(hint)
    if dry_run:
        _show(plan, as_json=as_json)
        return
    try:
        for step in plan:
            _do(step, root or Path("/"))
    except _StepError as error:
        fail(str(error), as_json=as_json)
    if as_json:
        print_json({"ok": True, "service": f"wayside@{instance}", "config": str(config)})
    else:
        print_line(f"wayside@{instance}")
    say(_("next: systemctl status wayside@{name}; wayside status {file}").format(name=instance, file=config))


def steps(config: Path, data: Path, instance: str, user: str, *, slots: Path | None, is_image: bool) -> Iterator[Step]:
    """All that is to be done, in order. `slots`: the update agent's folder, where releases are started out of it."""
    folders = [data] if slots is None else [data, slots]
    yield Step(write=str(USERS), text=f'u {user} - "Wayside gateway" /nonexistent\n')
    yield Step(write=str(UNITS / UNIT), text=unit_text(user))
    drop_in = UNITS / f"wayside@{instance}.service.d" / "configuration.conf"
    yield Step(write=str(drop_in), text=drop_in_text(config, data, slots))
    if is_image:
        made = [f'd "{_escaped(str(folder))}" 0700 {user} {user}\n' for folder in folders]
        if slots is not None:  # an image may bring its first release along, in files of whoever has built it
            made.append(f'Z "{_escaped(str(slots))}" - {user} {user}\n')
        yield Step(write=f"/etc/tmpfiles.d/wayside-{instance}.conf", text="".join(made))
        wanted = UNITS / "multi-user.target.wants" / f"wayside@{instance}.service"
        yield Step(link=str(wanted), to=str(UNITS / UNIT))
        return
    yield Step(run=("systemd-sysusers", str(USERS)))
    for folder in folders:
        yield Step(run=("install", "-d", "-m", "0700", "-o", user, "-g", user, str(folder)))
        yield Step(run=("chown", "-R", f"{user}:{user}", str(folder)))
    # The service's user must be able to read all that the configuration names.
    yield Step(run=("runuser", "-u", user, "--", sys.executable, "-P", "-m", "tools.cli", "check", str(config)))
    yield Step(run=("systemctl", "daemon-reload"))
    yield Step(run=("systemctl", "enable", f"wayside@{instance}"))
    yield Step(run=("systemctl", "restart", f"wayside@{instance}"))


def unit_text(user: str) -> str:
    """The shipped unit with this program's path and the user in it."""
    text = (Path(deploy_package).parent / UNIT).read_text("utf-8")
    changes = {
        r"^ExecStart=\S+": f"ExecStart={_quoted(sys.executable)}",
        "^User=.*$": f"User={user}",
        "^Group=.*$": f"Group={user}",
    }
    for pattern, line in changes.items():
        text, count = re.subn(pattern, lambda _found, line=line: line, text, flags=re.MULTILINE)
        assert count == 1, f"the shipped unit has no line {pattern}"
    return text


def drop_in_text(config: Path, data: Path, slots: Path | None = None) -> str:
    """What belongs to one configuration."""
    lines = [
        "[Service]",
        f"Environment={_quoted(f'WAYSIDE_CONFIG={config}')}",
        f"ReadWritePaths={_quoted(str(data))}",
    ]
    paths = [config, data, Path(sys.prefix), Path(sys.base_prefix)]
    if slots is not None:
        launcher = f"{_quoted(sys.executable)} -P -m ota.launcher {_quoted(str(slots)).replace('$', '$$')}"
        lines += [f"ReadWritePaths={_quoted(str(slots))}", "ExecStart=", f"ExecStart={launcher} ${{WAYSIDE_CONFIG}}"]
        paths.append(slots)
    if any(path.is_relative_to(home) for path in paths for home in HOMES):
        lines.append("ProtectHome=read-only")
    return "\n".join(lines) + "\n"


def hints(config: Path) -> Iterator[str]:
    """What will probably not work, before it does not."""
    for path in dict.fromkeys((config, Path(sys.prefix), Path(sys.base_prefix))):
        if any(path.is_relative_to(home) for home in HOMES):
            text = _(
                "{path} lies in somebody's home, which the service's user can hardly read; /etc and /opt are better"
            )
            yield text.format(path=path)


def _instance(config: Path, user: str, *, as_json: bool) -> str:
    """The service's name; ends the command where it or the user's could not be one."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", config.stem):
        text = _("{file}: its name becomes the service's, and may have letters, digits, _ . and - only")
        fail(text.format(file=config), Exit.USAGE, as_json=as_json)
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user):
        fail(_("--user: {name} cannot be a user's name").format(name=user), Exit.USAGE, as_json=as_json)
    return config.stem


def _data_of(parsed: NodeConfigFile) -> Path:
    return Path(os.path.normpath(parsed.node.data))


def _slots_of(parsed: NodeConfigFile, root: Path | None, *, as_json: bool) -> Path:
    """The update agent's folder; ends the command where there is none, or nothing in it that could be started."""
    from ota.slots.record import read_key
    from ota.storage import PosixStorage

    if parsed.update.file is None:
        text = _("--updates needs a configuration that names a file in [update]")
        fail(text, Exit.USAGE, as_json=as_json)
    file = Path(parsed.update.file)
    try:
        folder = update_folder(file if root is None else root / file.relative_to("/"))
    except UpdateFolderError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)
    if root is not None and folder.is_relative_to(root):  # `data` counted from the file's own folder
        folder = Path("/") / folder.relative_to(root)
    folder = Path(os.path.normpath(folder))
    if len(folder.parts) < MIN_DATA_PARTS:
        text = _("{folder}: a folder of its own is needed for updates, such as /var/lib/wayside/update")
        fail(text.format(folder=folder), Exit.USAGE, as_json=as_json)
    place = folder if root is None else root / folder.relative_to("/")
    is_bare = root is not None and not (place.is_dir() and any(place.iterdir()))
    if not is_bare and read_key(PosixStorage(place)) is None:
        text = _("{folder}: no release can be read there; wayside ota setup {file} brings the first one")
        fail(text.format(folder=place, file=file), as_json=as_json)
    return folder


def _check_data(data: Path, root: Path, *, as_json: bool) -> None:
    """End the command where the data folder is somebody else's: all in it is going to be the service's own."""
    if len(data.parts) < MIN_DATA_PARTS:
        text = _("{folder}: a data folder of its own is needed, such as /var/lib/wayside/node")
        fail(text.format(folder=data), Exit.USAGE, as_json=as_json)
    folder = root / data.relative_to("/")
    try:
        is_foreign = not (folder / "journal").is_dir() and any(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        fail(f"{folder}: {error.strerror}", as_json=as_json)
    if is_foreign:
        fail(_("{folder}: holds other things than a gateway's data").format(folder=folder), as_json=as_json)


def _need_root(*, as_json: bool) -> None:
    if os.geteuid() != 0:
        fail(_("this needs root: use sudo, or look first with --dry-run"), as_json=as_json)
    if not Path("/run/systemd/system").is_dir():
        fail(_("systemd does not run here; --root prepares an image"), as_json=as_json)


def _checked(config: Path, root: Path | None, *, as_json: bool) -> NodeConfigFile:
    if root is not None and not config.is_absolute():
        fail(_("with --root CONFIG is the whole path inside the image"), Exit.USAGE, as_json=as_json)
    file = config if root is None else root / config.relative_to("/")
    try:
        with file.open("rb") as opened:
            return parse_config(opened.read(MAX_DOCUMENT_BYTES + 1), config)
    except OSError as error:
        fail(f"{file}: {error.strerror}", Exit.USAGE, as_json=as_json)
    except ConfigError as error:
        fail_of_config(error.problems, _("nothing was installed"), as_json=as_json)


def _do(step: Step, root: Path) -> None:
    try:
        if step.write is not None:
            _write(root / step.write.removeprefix("/"), step.text)
        elif step.link is not None:
            link = root / step.link.removeprefix("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(step.to)
        else:
            _run(step.run)
    except OSError as error:
        raise _StepError(f"{error.filename}: {error.strerror}") from error


def _write(path: Path, text: str) -> None:
    """In one step: an interrupted installation leaves no half unit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, "utf-8")
    fresh.chmod(0o644)
    fresh.replace(path)


def _run(command: tuple[str, ...]) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise _StepError(_("{program} is not there").format(program=command[0]))
    words = [program, *command[1:]]  # our own: names in it were checked, and no shell reads it
    done = subprocess.run(words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)  # noqa: S603  # as above
    if done.returncode != 0:
        said = visible((done.stdout + done.stderr).strip())
        raise _StepError(_("{command} failed:\n{said}").format(command=" ".join(command), said=said))


def _show(plan: list[Step], *, as_json: bool) -> None:
    if as_json:
        print_json({"steps": plan})
        return
    for step in plan:
        if step.write is not None:
            print_line(_("write {file}").format(file=step.write))
            print_line("".join(f"    {line}\n" for line in step.text.splitlines()).rstrip("\n"))
        elif step.link is not None:
            print_line(_("link {file} to {target}").format(file=step.link, target=step.to))
        else:
            print_line(_("run {command}").format(command=" ".join(step.run)))
    say(_("dry run: nothing was done"))


def _quoted(text: str) -> str:
    """A word of a unit file (systemd.syntax(7)): quoted where it needs to be, a percent sign doubled."""
    text = text.replace("%", "%%")
    return text if re.fullmatch(r"[A-Za-z0-9_./:=%@+,-]+", text) else f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
