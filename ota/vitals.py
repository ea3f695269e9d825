"""What the gateway says of itself, as far as an update is judged by it: from its status socket.

The agent of updates is a process of its own and imports nothing of the gateway: it reads the same JSON document that
`wayside status` shows. What is missing or strange in it counts as not well.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ota.errors import OtaError

ANSWER_S = 5.0
MAX_ANSWER_BYTES = 4 << 20
_PIECE_BYTES = 1 << 16
_GOOD_TIME = ("gnss", "ntp")
_KEPT_TIME = ("rtc", "hold")


class GatewayAwayError(OtaError):
    """No gateway answers. Its text is one line."""


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the gateway."""

    version: str = ""
    boot: int = 0
    uptime_s: float = 0.0
    has_uplink: bool = False
    has_disk: bool = False
    """The disk takes records."""
    time: str = "none"
    """`set` (by GNSS or NTP), `kept` (by the device's own clock), `none`."""
    buses: frozenset[str] = frozenset()
    """Buses that run."""
    devices: frozenset[str] = frozenset()
    """Devices that answer."""
    lost: int = 0
    """Records declared lost, over all lanes."""


def read_vitals(path: Path) -> Vitals:
    """Ask the gateway whose status socket this is. Raises `GatewayAwayError`."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_S)
            with short_path(path) as name:
                connection.connect(name)
            connection.sendall(b'{"what": "status"}\n')
            line = _line_of(connection, time.monotonic() + ANSWER_S)
    except OSError as error:
        raise GatewayAwayError(f"health: {path}: no gateway answers ({error.strerror or error})") from error
    try:
        return vitals_of(msgspec.json.decode(line, type=dict[str, Any]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GatewayAwayError(f"health: {path}: what answers is no gateway") from error


def _line_of(connection: socket.socket, until: float) -> bytes:
    """All of it in time: a release on trial that drips must not hold up who judges it."""
    line = bytearray()
    while b"\n" not in line[-_PIECE_BYTES:] and len(line) < MAX_ANSWER_BYTES:
        connection.settimeout(max(0.001, until - time.monotonic()))
        piece = connection.recv(_PIECE_BYTES)
        if not piece:
            break
        line += piece
    return bytes(line).partition(b"\n")[0]


def vitals_of(document: dict[str, Any]) -> Vitals:
    """The vitals in a status document; what is not as it should be is left out."""
    quality = _at(document, "clock", "quality")
    devices = document.get("devices")
    lanes = document.get("lanes")
    return Vitals(
        version=str(document.get("version", "")),
        boot=_number(document.get("boot")),
        uptime_s=float(_number(document.get("uptime_s"))),
        has_uplink=_at(document, "uplink", "state") == "connected",
        has_disk=_at(document, "storage", "state") == "ok",
        time="set" if quality in _GOOD_TIME else "kept" if quality in _KEPT_TIME else "none",
        buses=_running(document.get("buses"), lambda _bus: True),
        devices=_running(devices, lambda device: device.get("lost_s") is None),
        lost=sum(_number(_at(lanes, name, "lost")) for name in lanes) if isinstance(lanes, dict) else 0,
    )


def _running(parts: Any, is_well: Callable[[dict[str, Any]], bool]) -> frozenset[str]:  # of JSON
    if not isinstance(parts, dict):
        return frozenset()
    found = {name: part for name, part in parts.items() if isinstance(part, dict)}
    return frozenset(name for name, part in found.items() if part.get("state") == "running" and is_well(part))


def _at(document: Any, *path: str) -> Any:  # of JSON
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    return document


def _number(value: Any) -> int:  # of JSON
    return int(value) if isinstance(value, int | float) and 0 <= value < 1 << 53 else 0


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """The same socket under a path that the system allows, 107 bytes: through its open folder."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
