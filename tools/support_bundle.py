"""`wayside support-bundle CONFIG`: one file that tells support what they would ask, and nothing more.

It is made whether the gateway runs or not. What cannot be had is named in it with the reason, and is no failure.
"""

import io
import os
import platform
import tarfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from drivers.text import _
from edge.gateway.audit import AuditError, verify_audit
from edge.gateway.config import MAX_DOCUMENT_BYTES, ConfigError, parse_config
from tools.gateway_socket import GatewayAwayError, ask
from tools.journal_reader import JournalError, LaneReader, lane_folders
from tools.output import Exit, fail, print_json, print_line, say, visible
from tools.redaction import MAX_SECRET_FILE_BYTES, Redactor, secret_files

LOG_TAIL_BYTES = 512 << 10
LOGS = ("wayside.log", "wayside.log.1")
PACKAGES = (
    "wayside",
    "cbor2",
    "cryptography",
    "fastcrc",
    "msgspec",
    "paho-mqtt",
    "pyserial",
    "aiomqtt",
    "rich",
    "typer",
)
SYSTEM_FILES = (
    Path("/etc/os-release"), Path("/proc/version"), Path("/proc/uptime"), Path("/proc/loadavg"),
    Path("/proc/meminfo"), Path("/proc/cpuinfo"), Path("/proc/pressure/io"),
)  # fmt: skip
MAX_SYSTEM_FILE_BYTES = 65_536

app = typer.Typer()


class _MissingError(Exception):
    """A part that cannot be had; the text says why."""


class Source(msgspec.Struct, frozen=True):
    """The node that the bundle is about."""

    config: Path
    tables: dict[str, Any]
    document: bytes
    data: Path | None
    """None where the configuration does not tell."""


@app.command()
def support_bundle(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help=_("the gateway's configuration"))],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help=_("where to write it; a .tar.gz"))
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_("plain data for programs"))] = False,
) -> None:
    """Collect status, configuration, logs, journal and machine facts in one file: no keys, no secrets, no persons."""
    source = _source(config, as_json=as_json)
    node = source.tables.get("node")
    name = node.get("id") if isinstance(node, dict) else None
    name = name if isinstance(name, str) and name.isascii() and name.replace("-", "").isalnum() else "node"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    file = output if output is not None else Path(f"wayside-support-{name}-{stamp}.tar.gz")
    entries, missing = collect(source)
    try:
        write_bundle(file, entries)
    except FileExistsError:
        fail(_("{file} exists, and is not replaced").format(file=file), as_json=as_json)
    except OSError as error:
        fail(f"{file}: {error.strerror}", as_json=as_json)
    if as_json:
        held = [{"name": name, "bytes": len(data)} for name, data in entries.items()]
        print_json({"ok": True, "file": str(file), "holds": held, "missing": missing})
    else:
        print_line(str(file))
    for entry, data in entries.items():
        say(f"  {entry:24} {len(data):>9,}")
    for entry, reason in missing.items():
        say(visible(f"  {entry:24} {_('left out')}: {reason}"))


def collect(source: Source) -> tuple[dict[str, bytes], dict[str, str]]:
    """(what the bundle holds, what it does not and why), all redacted."""
    redactor = Redactor(_secrets(source))
    parts: dict[str, Callable[[], Any]] = {
        "status.json": lambda: _status(source),
        "configuration.json": lambda: _configuration(source, redactor),
        "journal.json": lambda: _journal(source),
        "audit.json": lambda: _audit(source),
        "versions.json": _versions,
        "machine.json": lambda: _machine(source),
        **{f"log/{name}": partial(_log_tail, source, name) for name in LOGS},
        **{f"system/{path.name}": partial(_system_file, path) for path in SYSTEM_FILES},
    }
    entries: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    for name, part in parts.items():
        try:
            found = part()
        except _MissingError as error:
            missing[name] = redactor.text(str(error))
            continue
        if isinstance(found, str):
            entries[name] = redactor.text(found).encode("utf-8", "replace")
        else:
            plain = found if name == "configuration.json" else redactor.plain(msgspec.to_builtins(found, str_keys=True))
            encoded = msgspec.json.format(msgspec.json.encode(plain)).decode()
            entries[name] = redactor.known_secrets(encoded).encode()
    manifest = {"made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "holds": list(entries), "missing": missing}
    return {"manifest.json": msgspec.json.format(msgspec.json.encode(manifest)), **entries}, missing


def write_bundle(file: Path, entries: dict[str, bytes]) -> None:
    """Write the archive, for its owner alone. Raises `OSError`, `FileExistsError` rather than overwrite."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name, data in entries.items():
            info = tarfile.TarInfo(f"wayside-support/{name}")
            info.size, info.mtime, info.mode = len(data), int(time.time()), 0o600
            archive.addfile(info, io.BytesIO(data))


def _source(config: Path, *, as_json: bool) -> Source:
    try:
        with config.open("rb") as opened:
            document = opened.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        fail(f"{config}: {error.strerror}", Exit.USAGE, as_json=as_json)
    try:
        tables = tomllib.loads(document.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        tables = {}
    node = tables.get("node")
    data = node.get("data") if isinstance(node, dict) else None
    return Source(config, tables, document, config.parent / data if isinstance(data, str) and data else None)


def _secrets(source: Source) -> Iterator[bytes]:
    for path in secret_files(source.tables, source.config.parent):
        try:
            with path.open("rb") as opened:
                yield opened.read(MAX_SECRET_FILE_BYTES)
        except (OSError, ValueError):
            continue  # what we cannot read we cannot give away


def _status(source: Source) -> Any:
    try:
        answer = next(ask(_data(source), "status"), None)
    except GatewayAwayError as error:
        raise _MissingError(str(error)) from error
    if answer is None:
        raise _MissingError(_("the gateway hung up without an answer"))
    return answer


def _configuration(source: Source, redactor: Redactor) -> Any:
    """The configuration; of a wrong one where its mistakes stand, without the words, which quote it."""
    problems = []
    try:
        parse_config(source.document, source.config)
    except ConfigError as error:
        problems = [{"line": problem.line, "path": redactor.text(problem.path)} for problem in error.problems]
    tables = redactor.configuration(source.tables, source.config.parent, is_valid=not problems)
    kept = sorted(path.name for path in (source.data / "config").glob("*.toml")) if source.data is not None else []
    return {"file": str(source.config), "problems": problems, "kept": kept, "tables": tables}


def _journal(source: Source) -> Any:
    lanes = {}
    try:
        for folder in lane_folders(_data(source)):
            with closing(LaneReader(folder)) as reader:
                lanes[reader.name] = reader.view()
    except JournalError as error:
        raise _MissingError(str(error)) from error
    return lanes


def _audit(source: Source) -> Any:
    folder = _data(source) / "audit"
    if not folder.is_dir():
        raise _MissingError(_("there is no audit log yet"))
    try:
        count, head = verify_audit(folder)
    except (AuditError, OSError) as error:
        return {"holds": False, "problem": str(error)}
    return {"holds": True, "lines": count, "head": head}


def _log_tail(source: Source, name: str) -> str:
    """The last lines of a log, from the first whole one on. Whoever owns the folder cannot point us elsewhere."""
    path = _data(source) / "log" / name
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            opened.seek(max(0, size - LOG_TAIL_BYTES))
            data = opened.read(LOG_TAIL_BYTES)
    except OSError as error:
        raise _MissingError(f"{path}: {error.strerror}") from error
    if size > len(data):
        data = data[data.find(b"\n") + 1 :]
    return data.decode("utf-8", "replace")


def _system_file(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            return opened.read(MAX_SYSTEM_FILE_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise _MissingError(f"{path}: {error.strerror}") from error


def _versions() -> dict[str, Any]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def _machine(source: Source) -> dict[str, Any]:
    """What machine it is; no addresses, which say where it is and not what ails it."""
    return {
        "uname": {key: value for key, value in platform.uname()._asdict().items() if key != "node"},
        "libc": " ".join(platform.libc_ver()),
        "disk": {str(path): _disk(path) for path in (Path("/"), source.data) if path is not None},
        "interfaces": {path.name: _interface(path) for path in sorted(Path("/sys/class/net").glob("*"))},
        "serial": sorted(path.name for path in Path("/dev/serial/by-id").glob("*")),
    }


def _disk(path: Path) -> Any:
    try:
        found = os.statvfs(path)
    except OSError as error:
        return error.strerror
    unit = found.f_frsize
    return {
        "bytes": found.f_blocks * unit,
        "free_bytes": found.f_bavail * unit,
        "files": found.f_files,
        "free_files": found.f_favail,
        "is_read_only": bool(found.f_flag & os.ST_RDONLY),
    }


def _interface(path: Path) -> dict[str, str]:
    facts = {}
    for fact in ("operstate", "mtu", "speed", "statistics/rx_bytes", "statistics/tx_bytes", "statistics/rx_errors"):
        try:
            facts[fact] = (path / fact).read_text("ascii").strip()
        except OSError:
            continue  # a link that is down has no speed
    return facts


def _data(source: Source) -> Path:
    if source.data is None:
        raise _MissingError(_("the configuration does not say [node] data"))
    return source.data
