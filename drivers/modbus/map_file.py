"""Register maps as files: one TOML for each kind of device, shipped in `drivers/maps/` or anybody's own.

    title = { en = "...", zh = "..." }
    source = "manual or public code that the addresses come from"
    max_registers = 80                        # and the other limits of `RegisterMap`

    [defaults]                                # what every point has unless it says otherwise
    table = "input"
    type = "float32"

    [points]                                  # name = what of `RegisterPoint` differs
    voltage_l1_v = { address = 0x0000, unit = "V" }

The map is called as its file is. What is wrong with a file is a `MapFileError` that names the file, the path in it,
what is wrong and what would be right.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import msgspec

from drivers.errors import DeviceConfigError
from drivers.text import _
from protocols.modbus_devices.register_map import Order, RegisterMap, RegisterPoint, Table, ValueType

MAX_FILE_BYTES = 1_000_000
"""No map of a device is longer; a mistaken path to something huge is refused before it is read."""

_SUFFIX = ".toml"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_CHOICES: dict[str, tuple[str, ...]] = {"table": get_args(Table), "type": get_args(ValueType), "order": get_args(Order)}
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_NAMED = re.compile(r"^(Object contains unknown|Object missing required) field `(?P<key>.*)`$")


class MapFileError(DeviceConfigError):
    """A register map that cannot be used."""


class ShippedMaps(Mapping[str, RegisterMap]):
    """All maps that come with the drivers, each loaded when it is asked for."""

    def __getitem__(self, name: str) -> RegisterMap:
        if name not in shipped_map_names():
            raise KeyError(name)
        return load_map(name)

    def __iter__(self) -> Iterator[str]:
        return iter(shipped_map_names())

    def __len__(self) -> int:
        return len(shipped_map_names())


@cache
def shipped_map_names() -> tuple[str, ...]:
    """The names of all maps that come with the drivers, sorted."""
    folder = files("drivers") / "maps"
    return tuple(sorted(entry.name.removesuffix(_SUFFIX) for entry in folder.iterdir() if entry.name.endswith(_SUFFIX)))


def load_map(name_or_path: str | Path, folder: Path | None = None) -> RegisterMap:
    """A shipped map by its name, or one of your own by the path to its file.

    A path has a slash in it or ends in `.toml`; it counts from `folder`, the configuration file's. Shipped maps are
    read once, others each time, since they may change while the gateway runs. Raises `MapFileError`.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or "/" in text or text.endswith(_SUFFIX):
        path = Path(folder or ".", name_or_path)
        return _parse(_read(path), path.name.removesuffix(_SUFFIX), str(path))
    return _shipped(text)


@cache
def _shipped(name: str) -> RegisterMap:
    names = shipped_map_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, 1, 0)
        raise MapFileError(
            _('no map "{name}" comes with the drivers; the nearest is "{near}"; your own is named by its path').format(
                name=name, near=near[0] if near else ""
            )
        )
    document = (files("drivers") / "maps" / (name + _SUFFIX)).read_text("utf-8")
    return _parse(document, name, f"drivers/maps/{name}{_SUFFIX}")


def _read(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise MapFileError(_("{file}: is not a file").format(file=path))
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise MapFileError(_("{file}: cannot be read: {why}").format(file=path, why=why)) from error
    if len(data) > MAX_FILE_BYTES:
        raise MapFileError(
            _("{file}: is larger than {limit} bytes; no register map is").format(file=path, limit=MAX_FILE_BYTES)
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MapFileError(_("{file}: is not text in UTF-8, byte {at}").format(file=path, at=error.start)) from error


def _parse(text: str, name: str, file: str) -> RegisterMap:
    """A map from the text of its file; `file` is for people."""
    if not _NAME.fullmatch(name):
        raise MapFileError(
            _('{file}: a map is named by small letters, digits, "-" and "_", and its file as the map').format(file=file)
        )
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MapFileError(_("{file}: is not TOML: {why}").format(file=file, why=error)) from error
    points = _table(document, "points", file)
    defaults = _table(document, "defaults", file)
    document.pop("defaults", None)
    _check_keys(defaults, RegisterPoint, "defaults", file)
    rows = []
    for point, row in points.items():
        if not isinstance(row, dict):
            raise MapFileError(
                _("{file}: points.{point}: a point is a table such as {{ address = 0x0010 }}").format(
                    file=file, point=point
                )
            )
        if not _NAME.fullmatch(point):
            raise MapFileError(
                _('{file}: points.{point}: a point is named by small letters, digits, "-" and "_"').format(
                    file=file, point=point
                )
            )
        _check_keys(row, RegisterPoint, f"points.{point}", file)
        rows.append(_point({**defaults, **row, "name": point}, f"points.{point}", file))
    _check_keys(document, RegisterMap, "", file)
    try:
        return msgspec.convert({**document, "points": rows, "name": name}, RegisterMap)
    except msgspec.ValidationError as error:
        raise MapFileError(_told(error, "", file)) from error


def _point(row: dict[str, Any], path: str, file: str) -> RegisterPoint:
    for key, choices in _CHOICES.items():
        if key in row and row[key] not in choices:
            raise MapFileError(
                _("{file}: {path}.{key}: {value} is none of {choices}").format(
                    file=file, path=path, key=key, value=repr(row[key])[:40], choices=", ".join(choices)
                )
            )
    try:
        return msgspec.convert(row, RegisterPoint)
    except msgspec.ValidationError as error:
        raise MapFileError(_told(error, path, file)) from error


def _table(document: dict[str, Any], key: str, file: str) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise MapFileError(_("{file}: {key}: is a table, written [{key}]").format(file=file, key=key))
    return table


def _check_keys(table: dict[str, Any], kind: type[msgspec.Struct], path: str, file: str) -> None:
    """Refuse what msgspec would refuse as well, but say what was probably meant. The name is the key or the file."""
    known = [key for key in kind.__struct_fields__ if key != "name"] + (["defaults"] if kind is RegisterMap else [])
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0)[0]
            raise MapFileError(
                _('{file}: {path}: is not a known key; the nearest is "{near}"').format(
                    file=file, path=f"{path}.{key}" if path else key, near=near
                )
            )


def _told(error: msgspec.ValidationError, path: str, file: str) -> str:
    """The error of msgspec as one line, with the path in the file in front."""
    match = _AT.match(str(error))
    what, inner = (match["what"], match["path"] or "") if match else (str(error), "")
    path = ".".join(part for part in (path, inner.lstrip(".")) if part)
    named = _NAMED.match(what)
    if named and what.startswith("Object missing"):
        what = _('the key "{key}" is missing').format(key=named["key"])
    elif named:
        what = _('there is no key "{key}"').format(key=named["key"])
    return f"{file}: {path}: {what}" if path else f"{file}: {what}"
