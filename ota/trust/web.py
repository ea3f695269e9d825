"""HTTP(S) for files, parts of large ones and short answers: every wait ends, every failure is one `RefusedError`.

Built on http.client. urllib3, which comes with python-tuf, bounds the wait for the next bytes only: a peer that drips
one at a time, its headers too, would hold an agent for ever. Here each wait also ends with the file's own deadline.
Only the system's search for a name's address keeps its own time.
Nothing is tried twice, except that a connection kept from the last file is opened anew where the server has closed it.
"""

import base64
import io
import math
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection, RemoteDisconnected
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from ota.errors import RefusedError, Rule

CHUNK_BYTES = 1 << 16
MAX_REDIRECTS = 3
MAX_SAID = 200
"""Characters of what a peer says that an error repeats."""
_NO_CHECK_TIME = 0x20_0000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name."""
_REDIRECTS = {
    HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND, HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT,
}  # fmt: skip
URL_SAFE = "!$%&'()*+,/:;=@[]~"
_GONE = (RemoteDisconnected, BrokenPipeError, ConnectionResetError)
"""How a server ends a connection that it has kept long enough."""


class WebSettings(NamedTuple):
    """How to reach a server."""

    ca_file: Path | None = None
    """Whom TLS believes instead of the system's authorities. It is defence in depth: trust is in the metadata."""
    proxy: str | None = None
    """`http://[user:password@]host:port`"""
    connect_s: float = 10.0
    silent_s: float = 20.0
    """A peer that gives nothing for so long is gone."""
    file_s: float = 120.0
    """For one file with its redirects, however it comes."""
    has_clock: bool = True
    """Without one, the dates of a certificate cannot be judged, and are not: an update may be what brings the clock."""


class StatusError(RefusedError):
    """The server has answered, and not with the file."""

    def __init__(self, what: str, status: int, reason: str) -> None:
        super().__init__(Rule.NETWORK, what, reason)
        self.status = status


class Call(NamedTuple):
    """One request of an interface that is more than files."""

    method: str = "GET"
    headers: Mapping[str, str] = {}
    """What it says beside the usual ones. Never shown: it may hold a secret."""
    body: bytes | None = None


class Answer(NamedTuple):
    """What a server says to a `Call`, whatever its status."""

    status: int
    headers: HTTPMessage
    body: bytes


_A_FILE = Call()


class Web:
    """Fetches files, one after the other."""

    def __init__(self, settings: WebSettings | None = None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings = settings or WebSettings()
        self._monotonic = monotonic
        self._patience = _Patience(settings, monotonic)
        self._connection: HTTPConnection | None = None
        self._host = ("", "")
        self._tls: ssl.SSLContext | None = None

    def pieces(self, url: str) -> Iterator[bytes]:
        """The file's bytes, as they come. Raises `StatusError`, `RefusedError` (network)."""
        what = shown(url)
        self._patience = _Patience(self._settings, self._monotonic)
        with self._told(what):
            yield from _body(self._response(url, what, _A_FILE), what)

    def part(self, url: str, offset: int, size: int) -> tuple[int, Iterator[bytes]]:
        """Where what comes of a large file begins, `offset` or 0, and its bytes from there to `offset + size` at most.

        Until it begins it has the time of a small file, then no wait is longer than that for silence: how slowly all
        of it may come is for whoever reads to judge. Raises as `pieces` does.
        """
        what = shown(url)
        self._patience = _Patience(self._settings, self._monotonic)
        call = Call(headers={"Range": f"bytes={offset}-{offset + size - 1}"})
        with self._told(what):
            response = self._response(url, what, call)
            start = _start_of(response, what, offset)
        return start, self._rest(response, what, offset + size - start)

    def answer(self, url: str, call: Call, max_bytes: int) -> Answer:
        """Ask, and follow no redirect: what the call holds is for this server alone. Raises `RefusedError`.

        Its rule is network where no whole answer came (the server may have acted), length where it goes on for longer.
        """
        what = shown(url)
        self._patience = _Patience(self._settings, self._monotonic)
        try:
            response = self._ask(_parts_of(url, what), call)
            body = _short_body(response, what, max_bytes)
        except RefusedError:
            self.close()
            raise
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise RefusedError(Rule.NETWORK, what, _reason(error)) from error
        return Answer(response.status, response.headers, body)

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # whoever reads no further leaves the rest of the answer on the line, too
            if not isinstance(error, StatusError):
                self.close()
            if isinstance(error, OSError | HTTPException | ValueError):
                raise RefusedError(Rule.NETWORK, what, _reason(error)) from error
            raise

    def _rest(self, response: HTTPResponse, what: str, size: int) -> Iterator[bytes]:
        self._patience = _Patience(self._settings._replace(file_s=math.inf), self._monotonic)
        with self._told(what):
            while size > 0 and (piece := response.read1(min(size, CHUNK_BYTES))):
                size -= len(piece)
                yield piece
            if size > 0 and response.length:
                raise _dropped(response, what)
        if response.length == 0:
            response.close()  # of the answer: the connection is free for the next one
        else:
            self.close()

    def _response(self, url: str, what: str, call: Call) -> HTTPResponse:
        for _ in range(1 + MAX_REDIRECTS):
            parts = _parts_of(url, what)
            response = self._ask(parts, call)
            if response.status == HTTPStatus.OK or (response.status == HTTPStatus.PARTIAL_CONTENT and call.headers):
                return response
            self._pass_over(response)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or target is None:
                return response
            url = urljoin(url, target)
            if parts.scheme == "https" and not url.startswith("https:"):
                raise RefusedError(Rule.NETWORK, what, f"redirected from https to {plain(shown(url))}")
        raise RefusedError(Rule.NETWORK, what, f"redirected more than {MAX_REDIRECTS} times")

    def _pass_over(self, response: HTTPResponse) -> None:
        """What a server says beside its status: a short text is read, so that the connection can be kept."""
        try:
            if response.length is not None and response.length <= CHUNK_BYTES:
                response.read()
                return
        except (OSError, HTTPException):
            pass  # its status stands
        self.close()

    def _ask(self, parts: SplitResult, call: Call) -> HTTPResponse:
        host = (parts.scheme, parts.netloc)
        is_kept = self._connection is not None and self._host == host
        if not is_kept:
            self.close()
        try:
            return self._ask_once(parts, call)
        except _GONE:
            self.close()
            if not is_kept or call.method == "POST":  # it may have been taken: whoever asks must know
                raise
            return self._ask_once(parts, call)
        finally:
            self._host = host

    def _ask_once(self, parts: SplitResult, call: Call) -> HTTPResponse:
        path = quote(parts.path or "/", URL_SAFE) + (f"?{quote(parts.query, URL_SAFE + '?')}" if parts.query else "")
        headers = {"User-Agent": "wayside", "Host": parts.netloc.rpartition("@")[2], **_login("Authorization", parts)}
        headers.update(call.headers)
        proxy = urlsplit(self._settings.proxy) if self._settings.proxy else None
        if proxy and parts.scheme == "http":
            path = f"http://{headers['Host']}{path}"
            headers.update(_login("Proxy-Authorization", proxy))
        connection = self._connection or self._open(parts, proxy)
        self._connection = connection
        if connection.sock is not None:
            connection.sock.settimeout(self._patience.left())
        connection.request(call.method, path, call.body, headers)
        return connection.getresponse()

    def _open(self, parts: SplitResult, proxy: SplitResult | None) -> HTTPConnection:
        near = proxy or parts
        assert parts.hostname is not None
        host, port = near.hostname or "", near.port
        wait_s = min(self._settings.connect_s, self._patience.left())
        connection: HTTPConnection
        if parts.scheme == "https":
            connection = HTTPSConnection(host, port or (80 if proxy else 443), timeout=wait_s, context=self._context())
            if proxy:
                connection.set_tunnel(parts.hostname, parts.port or 443, _login("Proxy-Authorization", proxy))
        else:
            connection = HTTPConnection(host, port or 80, timeout=wait_s)
        connection.response_class = partial(_Response, patience=lambda: self._patience)  # type: ignore[assignment]  # called only
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self._settings.ca_file)
            if not self._settings.has_clock:
                self._tls.verify_flags |= _NO_CHECK_TIME
        return self._tls


class _Patience:
    """Until when a file may take."""

    def __init__(self, settings: WebSettings, monotonic: Callable[[], float]) -> None:
        self._silent_s = settings.silent_s
        self._file_s = settings.file_s
        self._monotonic = monotonic
        self._end = monotonic() + settings.file_s
        self._is_last = False

    def left(self) -> float:
        """How long the next bytes may take. Raises `TimeoutError`."""
        left = self._end - self._monotonic()
        self._is_last = left < self._silent_s
        if left <= 0:
            raise self.error()
        return min(left, self._silent_s)

    def error(self) -> TimeoutError:
        """What to raise where they did not come."""
        if self._is_last:
            return TimeoutError(f"it comes too slowly: not here after {self._file_s:g} s")
        return TimeoutError(f"nothing comes from it for {self._silent_s:g} s")


class _Response(HTTPResponse):
    """An answer whose every wait is bounded, its headers too."""

    def __init__(self, sock: socket.socket, *args: Any, patience: Callable[[], _Patience], **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_PatientReader(sock, self.fp.detach(), patience))


class _PatientReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, raw: io.RawIOBase, patience: Callable[[], _Patience]) -> None:
        self._sock = sock
        self._raw = raw
        self._patience = patience

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        patience = self._patience()
        self._sock.settimeout(patience.left())
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            raise patience.error() from None

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            super().close()


def _parts_of(url: str, what: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RefusedError(Rule.NETWORK, what, "only http:// and https:// addresses are fetched")
    return parts


def shown(url: str) -> str:
    """An address for a person: without what may be a secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(no address)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def plain(text: str) -> str:
    """What a peer has said, for one line."""
    return "".join(character if character.isprintable() else "?" for character in text.strip())[:MAX_SAID]


def _body(response: HTTPResponse, what: str) -> Iterator[bytes]:
    if response.status != HTTPStatus.OK:
        raise _status_of(response, what)
    while chunk := response.read1(CHUNK_BYTES):
        yield chunk
    if response.length:
        raise _dropped(response, what)
    response.close()  # of the answer: the connection is free for the next file


def _start_of(response: HTTPResponse, what: str, offset: int) -> int:
    """Where the body of an answer begins in the file."""
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        if unit == "bytes" and rest.partition("-")[0] == str(offset):
            return offset
        raise RefusedError(Rule.NETWORK, what, "the server sends another part than was asked for")
    if response.status != HTTPStatus.OK:
        raise _status_of(response, what)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise RefusedError(Rule.NETWORK, what, "a web page instead of the file (a login page on the way?)")
    return 0


def _status_of(response: HTTPResponse, what: str) -> StatusError:
    return StatusError(what, response.status, f"the server says {response.status} {plain(response.reason)}")


def _dropped(response: HTTPResponse, what: str) -> RefusedError:
    return RefusedError(Rule.NETWORK, what, f"the line dropped {response.length} bytes before the end")


def _short_body(response: HTTPResponse, what: str, max_bytes: int) -> bytes:
    body = response.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise RefusedError(Rule.LENGTH, what, f"it goes on after the {max_bytes} bytes it may have")
    if response.length:
        raise _dropped(response, what)
    response.close()  # of the answer: the connection is free for the next one
    return body


def _login(header: str, parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {header: "Basic " + base64.b64encode(pair.encode()).decode()}


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return f"its name has no address ({error.strerror})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the server's certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return f"no proper HTTP: {plain(str(error)) or type(error).__name__}"
