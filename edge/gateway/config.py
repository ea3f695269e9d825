"""A node's configuration: one TOML file into frozen types, read once and passed down.

Every table is converted by itself, so that one wrong table hides no mistake in another; then the tables are held
against each other (`config_checks`). All that is wrong comes out together, as a `ConfigError` with file, line, path,
what is wrong and what would be right. Nothing is opened but the file itself.

Names of files in it count from the folder that it lies in; in the types below they are whole paths already.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from drivers.catalogue import DRIVERS, driver_names
from drivers.device_config import DeviceConfig
from drivers.modbus.config import BusConfig
from drivers.text import _
from edge.gateway.config_checks import Draft, contradictions, surroundings
from edge.gateway.config_errors import ConfigError, ConfigProblem, Problem, located, problems_in
from edge.gateway.config_lines import Path as KeyPath
from edge.gateway.config_tables import (
    CommandsConfig,
    JournalConfig,
    NodeConfig,
    PrivacyConfig,
    StatusConfig,
    UpdateConfig,
    UplinkConfig,
)
from edge.gateway.config_words import shown, unknown_key, unknown_name
from edge.gateway.plain_text import as_text

__all__ = [
    "ConfigError",
    "ConfigProblem",
    "NodeConfigFile",
    "load_config",
    "parse_config",
    "problems_around",
    "read_document",
]

MAX_DOCUMENT_BYTES = 1_000_000
"""Far above any real configuration, and below what could fill a small machine's memory when parsed."""

TABLES: dict[str, type[msgspec.Struct]] = {
    "node": NodeConfig,
    "uplink": UplinkConfig,
    "journal": JournalConfig,
    "commands": CommandsConfig,
    "privacy": PrivacyConfig,
    "status": StatusConfig,
    "update": UpdateConfig,
}
"""The tables that stand once."""
MAX_KEY_PARTS = 32
"""`tomllib` takes a time that grows with the square of a dotted key's parts; no key of ours has more than five."""
_KEY_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+|[ \t]+|.""", re.DOTALL)

NEEDED = ("node", "uplink")
ARRAYS = ("bus", "device", "role")
"""The tables that stand as often as there are such things: `[[device]]`."""
ROLE_KINDS: tuple[str, ...] = ()
"""What `[[role]] kind` may say."""

_FILES: tuple[KeyPath, ...] = (
    ("node", "data"),
    ("uplink", "mqtt", "tls", "ca"),
    ("uplink", "mqtt", "tls", "cert"),
    ("uplink", "mqtt", "tls", "key"),
    ("privacy", "hash_key"),
    ("update", "file"),
)
_TOO_DEEP = _("is nested deeper than any configuration")
_HINTS = {
    "Invalid value": _('a text stands in quotes: name = "meter-1"'),
    "Cannot overwrite a value": _("this key stands in its table already"),
    "Cannot declare": _("this table stands above already; several alike are written [[device]]"),
    "Expected '=' after a key": _("a line is key = value, a [table] or a # comment"),
    "Expected newline or end of document": _("one key = value a line; a text stands in quotes"),
    "Unescaped '\\' in a string": _(r"write \\ for \, or put the text in single quotes"),
}
"""By the beginning of what `tomllib` says: what would be right."""


class NodeConfigFile(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration that contradicts neither itself nor the types of its tables."""

    file: Path
    digest: str
    """`sha256:...` over what the document says: comments, white space and the order of keys do not count."""
    node: NodeConfig
    uplink: UplinkConfig
    journal: JournalConfig = JournalConfig()
    commands: CommandsConfig = CommandsConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    status: StatusConfig = StatusConfig()
    update: UpdateConfig = UpdateConfig()
    bus: tuple[BusConfig, ...] = ()
    device: tuple[DeviceConfig, ...] = ()


def load_config(file: Path) -> NodeConfigFile:
    """Read and parse a configuration file. Raises `ConfigError`, also when the file cannot be read."""
    return parse_config(read_document(file), file)


def read_document(file: Path) -> bytes:
    """Read a configuration file, or as much of one as shows that it is too large. Raises `ConfigError`."""
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_DOCUMENT_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or str(error)
        raise _refused(file, 1, _("cannot be read: {why}").format(why=why)) from error


def parse_config(document: bytes, file: Path) -> NodeConfigFile:
    """Parse a configuration that lies, or would lie, in `file`. Raises `ConfigError` with all that is wrong."""
    text = _text_of(document, file)
    tables = _tables_of(text, file)
    try:
        digest = digest_of(tables)
    except RecursionError as error:
        raise _refused(file, 1, _TOO_DEEP) from error
    _make_paths_whole(tables, Path(file.parent).absolute())
    draft, problems = _converted(tables)
    problems += contradictions(draft)
    if problems:
        raise ConfigError(located(problems, text, str(file)))
    return NodeConfigFile(
        file=file,
        digest=digest,
        bus=tuple(draft.buses.values()),
        device=tuple(draft.devices.values()),
        **draft.tables,
    )


def problems_around(config: NodeConfigFile, document: bytes) -> list[ConfigProblem]:
    """What the configuration asks of the box and does not find: files, keys, room on the disk. Opens no connection."""
    return located(surroundings(config), document.decode("utf-8-sig"), str(config.file))


def digest_of(tables: Mapping[str, Any]) -> str:
    """The digest of a parsed document: SHA-256 over its values as JSON with sorted keys."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(tables, order="deterministic")).hexdigest()


def device_type(table: object, path: KeyPath) -> type[DeviceConfig] | Problem:
    """Which type a `[[device]]` table has, by its key `driver`."""
    driver = table.get("driver") if isinstance(table, dict) else None
    if not isinstance(table, dict):
        return Problem(path, _("is {value}, must be a table").format(value=shown(table)))
    if driver is None:
        return Problem(path, _('"driver" is missing, must be one of {known}').format(known=", ".join(driver_names())))
    if not isinstance(driver, str) or driver not in driver_names():
        return Problem((*path, "driver"), unknown_name(driver if isinstance(driver, str) else "?", driver_names()))
    return DRIVERS[driver].config_type()


def _text_of(document: bytes, file: Path) -> str:
    if len(document) > MAX_DOCUMENT_BYTES:
        text = _("is larger than {limit} bytes; no configuration is")
        raise _refused(file, 1, text.format(limit=MAX_DOCUMENT_BYTES))
    try:
        return document.decode("utf-8-sig")  # editors on Windows put a mark in front
    except UnicodeDecodeError as error:
        line = document.count(b"\n", 0, error.start) + 1
        raise _refused(file, line, _("is not text in UTF-8; save the file as UTF-8")) from error


def _tables_of(text: str, file: Path) -> dict[str, Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") >= MAX_KEY_PARTS and _key_parts(line) > MAX_KEY_PARTS:
            raise _refused(file, number, _TOO_DEEP)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, at = _taken_apart(str(error), text)
        hint = next((f"; {hint}" for start, hint in _HINTS.items() if message.startswith(start)), "")
        raise _refused(file, at, _("is not TOML: {what}").format(what=message + hint)) from error
    except RecursionError as error:
        raise _refused(file, 1, _TOO_DEEP) from error
    except ValueError as error:  # a number of thousands of digits, a day that no month has
        raise _refused(file, 1, _("is not TOML: {what}").format(what=error)) from error


def _key_parts(line: str) -> int:
    """How many parts the longest dotted key of a line has; strings count too, which in such a line harms nobody."""
    longest = parts = 0
    after_dot = False
    for part in _KEY_TOKEN.findall(line):
        if part == ".":
            after_dot = True
        elif part[0] in "\"'" or part[0].isalnum() or part[0] in "_-":
            parts = parts + 1 if after_dot else 1
            longest = max(longest, parts)
            after_dot = False
        elif not part.isspace():
            parts, after_dot = 0, False
    return longest


def _taken_apart(message: str, text: str) -> tuple[str, int]:
    """Parts what `tomllib` says from the line that it says it of: `... (at line 3, column 5)`."""
    what, _open, place = message.rpartition(" (at ")
    if place.startswith("line "):
        line, _comma, column = place.removeprefix("line ").rstrip(")").partition(", ")
        return f"{what} ({column})", int(line)
    return what or message, text.rstrip("\r\n").count("\n") + 1


def _refused(file: Path, line: int, text: str) -> ConfigError:
    return ConfigError([ConfigProblem(file=as_text(str(file)), line=line, path="", text=as_text(text))])


def _converted(tables: dict[str, Any]) -> tuple[Draft, list[Problem]]:
    """Every table that is right as its type, and what is wrong with the others."""
    known = [*TABLES, *ARRAYS]
    problems = [Problem((key,), unknown_key(key, known)) for key in tables if key not in known]
    draft = Draft()
    privacy = tables.get("privacy")
    draft.has_hash_key = isinstance(privacy, dict) and "hash_key" in privacy
    for key, kind in TABLES.items():
        if key in tables:
            _convert(tables[key], kind, (key,), draft.tables, key, problems)
        elif key in NEEDED:
            problems.append(Problem((key,), _("is missing: the table [{key}] is needed").format(key=key)))
    for number, table in _array(tables, "bus", problems):
        _convert(table, BusConfig, ("bus", number), draft.buses, number, problems)
        draft.bus_names.update(_names_in(table))
    for number, table in _array(tables, "device", problems):
        kind_or_problem = device_type(table, ("device", number))
        if isinstance(kind_or_problem, Problem):
            problems.append(kind_or_problem)
        else:
            _convert(table, kind_or_problem, ("device", number), draft.devices, number, problems)
    for number, table in _array(tables, "role", problems):
        said = shown(table.get("kind")) if isinstance(table, dict) else shown(table)
        text = _("is {kind}; this version has no roles (known kinds: {known}); remove the table [[role]]")
        problems.append(
            Problem(("role", number, "kind"), text.format(kind=said, known=", ".join(ROLE_KINDS) or _("none")))
        )
    return draft, problems


def _convert(
    table: object, kind: type[Any], path: KeyPath, into: dict[Any, Any], key: object, problems: list[Problem]
) -> None:
    try:
        into[key] = msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        problems += list(problems_in(table, kind, path)) or [Problem(path, str(error))]


def _array(tables: Mapping[str, Any], key: str, problems: list[Problem]) -> list[tuple[int, Any]]:
    value = tables.get(key, [])
    if isinstance(value, list):
        return list(enumerate(value))
    text = _("is {value}, must be tables with double brackets: [[{key}]]")
    problems.append(Problem((key,), text.format(value=shown(value), key=key)))
    return []


def _names_in(table: object) -> list[str]:
    name = table.get("name") if isinstance(table, dict) else None
    return [name] if isinstance(name, str) else []


def _make_paths_whole(tables: dict[str, Any], folder: Path) -> None:
    for *outer, key in _FILES:
        table: Any = tables
        for part in outer:
            table = table.get(part) if isinstance(table, dict) else None
        _make_path_whole(table, str(key), folder)
    commands = tables.get("commands")
    operators = commands.get("operator") if isinstance(commands, dict) else None
    for operator in operators if isinstance(operators, list) else ():
        _make_path_whole(operator, "key", folder)
    devices = tables.get("device")
    for device in devices if isinstance(devices, list) else ():
        register_map = device.get("map") if isinstance(device, dict) else None
        if isinstance(register_map, str) and ("/" in register_map or register_map.endswith(".toml")):
            _make_path_whole(device, "map", folder)


def _make_path_whole(table: object, key: str, folder: Path) -> None:
    if isinstance(table, dict) and isinstance(table.get(key), str) and table[key]:
        table[key] = str(folder / table[key])
