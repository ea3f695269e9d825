"""The status socket: `<data>/status.sock`, for `wayside status`, `wayside tail` and whoever serves a local page.

One JSON request a line, one JSON answer a line. `{"what": "status"}` is answered once; `{"what": "tail"}` is answered
with a line for each sample and event until the client hangs up. Only the gateway's own user may open it.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from drivers.text import _
from edge.gateway.plain_text import as_plain

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 4_096
MAX_CLIENTS = 16
MAX_UNSENT_BYTES = 262_144
"""A client of `tail` that reads this far behind is hung up on: it must not cost the gateway memory."""


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    what: str


class StatusSocket:
    """Answers on a Unix socket; `publish()` feeds those who tail."""

    def __init__(self, path: Path, status: Callable[[], dict[str, Any]]) -> None:
        self._path = path
        self._status = status
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._tails: set[asyncio.StreamWriter] = set()

    @property
    def has_tails(self) -> bool:
        """Whether anybody follows: nothing is encoded for nobody."""
        return bool(self._tails)

    async def open(self) -> None:
        """Listen. A path longer than the system allows (107 bytes) is reached through its open directory."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        previous = os.umask(0o177)
        try:
            with short_path(self._path) as path:
                self._server = await asyncio.start_unix_server(self._serve, path, limit=MAX_REQUEST_BYTES)
        finally:
            os.umask(previous)

    async def aclose(self) -> None:
        """Stop listening and hang up on everybody."""
        if self._server is None:
            return
        self._server.close()
        for writer in tuple(self._clients):
            writer.close()
        await self._server.wait_closed()
        self._server = None
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def publish(self, document: dict[str, Any]) -> None:
        """Send a line to all who tail; hang up on those who do not read."""
        line = _line_of(document)
        for writer in tuple(self._tails):
            if writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
                self._tails.discard(writer)
                writer.transport.abort()
            else:
                writer.write(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            writer.close()
            return
        self._clients.add(writer)
        try:
            while line := await reader.readline():
                writer.write(_line_of(self._answer(line, writer)))
                await writer.drain()
        except (ConnectionError, ValueError) as error:  # ValueError: a line past the limit
            log.debug("status client: %s", error)
        finally:
            self._clients.discard(writer)
            self._tails.discard(writer)
            writer.close()

    def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=_Request)
        except msgspec.DecodeError as error:
            return {"error": str(error)}
        if request.what == "status":
            return self._status()
        if request.what == "tail":
            self._tails.add(writer)
            return {"tail": True}
        return {"error": _("unknown request; known: status, tail")}


def _line_of(document: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(document) + b"\n"
    except UnicodeEncodeError:  # the name of a file that is no text
        return msgspec.json.encode(as_plain(msgspec.to_builtins(document))) + b"\n"


class short_path(contextlib.AbstractContextManager[str]):  # noqa: N801  # used like a function
    """A name for a Unix socket that fits into sun_path (unix(7): 108 bytes) however deep its directory lies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) < 100:
            return str(self._path)
        self._directory = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._directory}/{self._path.name}"

    def __exit__(self, *_exc: object) -> None:
        if self._directory >= 0:
            os.close(self._directory)
