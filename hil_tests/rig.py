"""Facts about a bench: which ports stand for which devices. Emulators by default, real ports with `--rig FILE`.

    [modbus_line]
    port = "serial:/dev/serial/by-id/usb-FTDI_A10K3F?baud=9600"
    units = [1, 2, 3]
    map = "pzem_016"

A table that a rig does not have makes the tests that need it skip, saying so.
"""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from drivers.ports.open_port import check_port_url


class ModbusLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line with Modbus units on it."""

    port: str
    units: tuple[Annotated[int, msgspec.Meta(ge=1, le=247)], ...]
    map: str


class OnePort(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One device on one port."""

    port: str


class Rig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands on the bench."""

    modbus_line: ModbusLine | None = None
    modbus_tcp: OnePort | None = None
    gnss: OnePort | None = None
    card_reader: OnePort | None = None


class RigError(Exception):
    """The rig's file cannot be used; the text says why."""


def load_rig(file: Path) -> Rig:
    """Read a rig's facts. Raises `RigError`."""
    try:
        rig = msgspec.convert(tomllib.loads(file.read_text("utf-8")), Rig)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RigError(f"{file}: {error}") from error
    for name in ("modbus_line", "modbus_tcp", "gnss", "card_reader"):
        part = getattr(rig, name)
        wrong = check_port_url(part.port) if part is not None else None
        if wrong is not None:
            raise RigError(f"{file}: {name}.port: {wrong}")
    return rig
