"""Where blobs come from: a web server, a mirror, a USB stick. Nothing that it gives is believed."""

from collections.abc import Generator
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import urllib3

from ota.errors import OtaError, RefusedError, Rule

CONNECT_S = 10.0
SILENT_S = 20.0
"""A peer that gives nothing for so long is gone; one that drips is for the caller's patience to judge."""
CHUNK_BYTES = 1 << 16
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
"""Of the client's errors those that pass by themselves."""

Pieces = Generator[bytes, None, None]
"""To be closed by whoever does not read it to its end."""


class InterruptedFetchError(OtaError):
    """It may go on later: a dropped line, a busy server. Its text is one line."""


class Source(Protocol):
    """Gives parts of files by name."""

    name: str
    """For a person: an address without its secrets, or a folder."""
    is_metered: bool

    def read(self, path: str, offset: int, size: int) -> tuple[int, Pieces]:
        """Where what comes begins, and the bytes from there in pieces of at most 64 KiB, as far as the line holds.

        It begins at `offset`, or at 0 where the server knows no ranges, and ends at `offset + size` or before.
        Both raise `InterruptedFetchError` where it may go on later, `RefusedError` (network) where it never will.
        """


class HttpSource:
    """A web server: any that serves a folder, with ranges or, at a price, without."""

    def __init__(
        self, base_url: str, *, ca_file: Path | None = None, proxy: str | None = None, is_metered: bool = False
    ) -> None:
        self._base = base_url.rstrip("/")
        self.name = urllib3.util.parse_url(self._base)._replace(auth=None, query=None, fragment=None).url
        self.is_metered = is_metered
        timeout = urllib3.Timeout(connect=CONNECT_S, read=SILENT_S)
        ca_certs = None if ca_file is None else str(ca_file)
        if proxy is None:
            self._pool = urllib3.PoolManager(timeout=timeout, retries=False, ca_certs=ca_certs)
        else:
            self._pool = urllib3.ProxyManager(proxy, timeout=timeout, retries=False, ca_certs=ca_certs)

    def read(self, path: str, offset: int, size: int) -> tuple[int, Pieces]:
        """See `Source`."""
        what = f"{self.name}/{path}"
        headers = {"Range": f"bytes={offset}-{offset + size - 1}", "Accept-Encoding": "identity"}
        try:
            response = self._pool.request("GET", f"{self._base}/{path}", headers=headers, preload_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise InterruptedFetchError(f"network: {what}: {_reason(error)}") from error
        try:
            start = _start_of(response, what, offset)
        except OtaError:
            response.close()
            raise
        return start, _pieces(response, what, offset + size - start)


class FolderSource:
    """A folder: what a USB stick or a mounted share holds."""

    is_metered = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = str(folder)

    def read(self, path: str, offset: int, size: int) -> tuple[int, Pieces]:
        """See `Source`."""
        return offset, self._pieces(path, offset, size)

    def _pieces(self, path: str, offset: int, size: int) -> Pieces:
        try:
            with (self._folder / path).open("rb") as file:
                file.seek(offset)
                while size > 0 and (chunk := file.read(min(size, CHUNK_BYTES))):
                    yield chunk
                    size -= len(chunk)
        except FileNotFoundError as error:
            raise RefusedError(Rule.NETWORK, f"{self.name}/{path}", "it is not there") from error
        except OSError as error:  # pulled out in the middle
            raise InterruptedFetchError(f"network: {self.name}/{path}: {error.strerror}") from error


def _start_of(response: urllib3.BaseHTTPResponse, what: str, offset: int) -> int:
    """Where the body of an answer begins in the file."""
    status = response.status
    if status == HTTPStatus.PARTIAL_CONTENT:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        if unit == "bytes" and rest.partition("-")[0] == str(offset):
            return offset
        raise InterruptedFetchError(f"network: {what}: the server sends another part than was asked for")
    if status == HTTPStatus.OK:
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise InterruptedFetchError(f"network: {what}: a web page instead of the file (a login page on the way?)")
        return 0
    reason = f"the server says {status}"
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING:
        raise RefusedError(Rule.NETWORK, what, reason)
    raise InterruptedFetchError(f"network: {what}: {reason}")


def _pieces(response: urllib3.BaseHTTPResponse, what: str, size: int) -> Pieces:
    try:
        while size > 0 and (piece := response.read1(min(size, CHUNK_BYTES), decode_content=False)):
            size -= len(piece)
            yield piece
    except urllib3.exceptions.HTTPError as error:
        raise InterruptedFetchError(f"network: {what}: {_reason(error)}") from error
    finally:
        response.close()


def _reason(error: Exception) -> str:
    """Without the library's own names and addresses in memory."""
    text = str(error).rpartition(">")[2].lstrip(" :,(")
    return text.partition("(Caused by")[0].strip(" )'\"") or type(error).__name__
