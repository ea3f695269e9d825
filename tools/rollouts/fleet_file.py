"""The file that says which devices there are: CSV with a head, or JSON Lines; each mistake with its line.

    id,model,ecu.main,target.main,version,report_key,region
    rsu-0001,rsu-a,rsu-arm64,rsu/gateway/1.4.1.tar,1.4.1,9c41...,north

`id`, `model` and one `ecu.NAME` (its hardware id) at least; an empty field says nothing. Any other column is a label.
"""

import csv
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any, NamedTuple

import msgspec

from drivers.text import _
from ota.campaign.config import ConfigError
from ota.campaign.mistakes import Words
from ota.campaign.selection import DeviceId, FleetDevice
from ota.errors import printable
from ota.targets import Path, Word

MAX_LINE_CHARS = 64 * 1024
_KNOWN = ("id", "model", "version", "report_key")
_WORDS = Words(
    {
        DeviceId: "1 to 64 of a-z 0-9 _ -, a letter or digit first",
        Path: "the path of a release, such as rsu/gateway/1.4.2.tar",
        Word: "1 to 64 of A-Z a-z 0-9 . _ + -, a letter or digit first",
    }
)


class FleetFile(NamedTuple):
    """What a file says."""

    devices: list[FleetDevice]
    keys: dict[str, str]
    """Report keys, by device."""


class _RowError(ValueError):
    """What is wrong with a row."""


def read_fleet(file: File) -> FleetFile:
    """Raises `ConfigError` for a mistake, `OSError`."""
    found = FleetFile([], {})
    lines: dict[str, int] = {}
    number = 1
    try:
        for number, row in _rows(file):
            device, key = _device(row)
            _check_new(device, number, lines)
            found.devices.append(device)
            if key:
                found.keys[device.id] = key
    except _FileError as error:
        raise ConfigError(f"{file}:{error.number}: {error.reason}") from error
    except (_RowError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{file}:{number}: {_WORDS.of(error)}") from error
    if not found.devices:
        raise ConfigError(_("{file}: there is no device in it").format(file=file))
    return found


def _check_new(device: FleetDevice, number: int, lines: dict[str, int]) -> None:
    before = lines.setdefault(device.id, number)
    if before != number:
        text = _("{device} is here for the second time; it was in line {line}")
        raise _RowError(text.format(device=device.id, line=before))


class _FileError(Exception):
    """The file cannot be read further than to this line."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number = number
        self.reason = reason


def _rows(file: File) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each with the number of its line."""
    with file.open("rb") as opened:
        lines = _Lines(opened)
        yield from (_csv if file.suffix.lower() == ".csv" else _json_lines)(lines)


class _Lines:
    """Of text, counted. What Excel puts in front of UTF-8 is passed over."""

    def __init__(self, opened: Any) -> None:  # a binary file, buffered
        self._opened = opened
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._opened.readline(MAX_LINE_CHARS + 1):
            self.number += 1
            if len(line) > MAX_LINE_CHARS:
                raise _FileError(self.number, _("a line has at most {number} bytes").format(number=MAX_LINE_CHARS))
            try:
                yield line.decode("utf-8-sig" if self.number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                text = _("is not in UTF-8 (byte {byte:#04x}): save the file as UTF-8")
                raise _FileError(self.number, text.format(byte=line[error.start])) from error


def _csv(lines: _Lines) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(lines, strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
        _check_head(head)
        for row in reader:
            if not any(row):
                continue
            if len(row) != len(head):
                text = _("{fields} fields, and {columns} columns in the head")
                raise _FileError(lines.number, text.format(fields=len(row), columns=len(head)))
            yield lines.number, dict(zip(head, (field.strip() for field in row), strict=True))
    except csv.Error as error:
        raise _FileError(lines.number, printable(str(error))) from error


def _check_head(head: list[str]) -> None:
    for name in ("id", "model"):
        if name not in head:
            text = _("there is no column {name}; there are {columns}")
            raise _FileError(1, text.format(name=name, columns=_listed(head)))
    if not any(name.startswith("ecu.") for name in head):
        text = _("there is no column of an ECU, such as ecu.main; there are {columns}")
        raise _FileError(1, text.format(columns=_listed(head)))
    if "" in head or len(set(head)) < len(head):
        raise _FileError(1, _("each column has a name of its own"))


def _listed(head: list[str]) -> str:
    return printable(", ".join(head)[:200]) or _("none")


def _json_lines(lines: _Lines) -> Iterator[tuple[int, dict[str, Any]]]:
    for line in lines:
        if not line.strip():
            continue
        try:
            yield lines.number, msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError) as error:
            text = _("is no JSON object: {error}")
            raise _FileError(lines.number, text.format(error=printable(str(error)))) from error


def _device(row: dict[str, Any]) -> tuple[FleetDevice, str]:
    body: dict[str, Any] = {"ecus": {}, "targets": {}, "labels": {}}
    for name, value in row.items():
        if not isinstance(value, str):
            raise _RowError(_("{name}: must be text").format(name=printable(name)))
        head, dot, tail = name.partition(".")
        if head in ("ecu", "target") and dot:
            if value:
                body[f"{head}s"][tail] = value
        elif name in _KNOWN:
            body[name] = value
        elif name.lower() in _KNOWN:
            raise _RowError(_("{name}: write it {small}").format(name=name, small=name.lower()))
        elif value:
            body["labels"][name] = value
    key = body.pop("report_key", "")
    _check(body, key)
    return msgspec.convert(body, FleetDevice), key


def _check(body: dict[str, Any], key: str) -> None:
    for name in ("id", "model"):
        if not body.get(name):
            raise _RowError(_("{name}: is missing").format(name=name))
    if not body["ecus"]:
        raise _RowError(_("an ECU, such as ecu.main, is missing"))
    if key and (len(key) != 64 or not all(each in "0123456789abcdef" for each in key)):
        raise _RowError(_("report_key: 64 hexadecimal digits in small letters are wanted"))
