"""How the tools reach a running gateway: over the status socket in its data folder."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from drivers.text import _
from edge.gateway.data_folder import named_data_folder
from edge.gateway.status_socket import short_path
from tools.output import Exit, fail

ANSWER_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 16 << 20


class GatewayAwayError(Exception):
    """Nobody answers, or what answers is no gateway; the text says where and what to look at."""


def data_folder(config: Path, *, as_json: bool = False) -> Path:
    """Where the gateway of this configuration keeps what it knows. Ends the command when the file does not tell."""
    try:
        folder = named_data_folder(config)
    except OSError as error:
        fail(f"{config}: {error.strerror}", Exit.USAGE, as_json=as_json)
    if folder is None:
        text = _("{file}: does not say [node] data; try: wayside check {file}")
        fail(text.format(file=config), Exit.USAGE, as_json=as_json)
    return folder


def ask(folder: Path, what: str) -> Iterator[dict[str, Any]]:
    """Send one request to the gateway of a data folder and yield its answers until it hangs up.

    Raises `GatewayAwayError`. The first answer has a deadline, the next ones have none: devices may say nothing for
    hours.
    """
    path = folder / "status.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            with short_path(path) as name:
                connection.connect(name)
            connection.sendall(msgspec.json.encode({"what": what}) + b"\n")
        except PermissionError as error:
            text = _("{path}: not allowed; ask as the gateway's own user or as root")
            raise GatewayAwayError(text.format(path=path)) from error
        except OSError as error:
            raise GatewayAwayError(_("no gateway answers at {path}; does it run?").format(path=path)) from error
        with connection.makefile("rb") as answers:
            while line := _line(answers, path):
                yield _document(line, path)
                connection.settimeout(None)


def _line(answers: Any, path: Path) -> bytes:
    try:
        line: bytes = answers.readline(MAX_ANSWER_BYTES)
    except TimeoutError as error:
        raise GatewayAwayError(_("the gateway at {path} does not answer").format(path=path)) from error
    except OSError as error:
        raise GatewayAwayError(_("the gateway at {path} hung up").format(path=path)) from error
    return line


def _document(line: bytes, path: Path) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError as error:
        text = _("what answers at {path} is no gateway: {error}")
        raise GatewayAwayError(text.format(path=path, error=error)) from error
    if set(document) == {"error"}:
        raise GatewayAwayError(f"{path}: {document['error']}")
    return document
