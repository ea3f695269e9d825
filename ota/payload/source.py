"""Where blobs come from: a web server, a mirror, a USB stick. Nothing that it gives is believed."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from ota.errors import OtaError, RefusedError, Rule
from ota.stick import open_file
from ota.trust.web import CHUNK_BYTES, StatusError, Web, WebSettings, shown

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

    def close(self) -> None:
        """Let go of what is held open; it may be read from again."""


class HttpSource:
    """A web server: any that serves a folder, with ranges or, at a price, without.

    settings: how it is reached, asked when it first is.
    """

    def __init__(
        self, base_url: str, *, settings: Callable[[], WebSettings] = WebSettings, is_metered: bool = False
    ) -> None:
        self._base = base_url.rstrip("/")
        self._settings = settings
        self._opened: Web | None = None
        self.name = shown(self._base)
        self.is_metered = is_metered

    def read(self, path: str, offset: int, size: int) -> tuple[int, Pieces]:
        """See `Source`."""
        with _for_later():
            start, pieces = self._web.part(f"{self._base}/{path}", offset, size)
        return start, _pieces(pieces)

    def close(self) -> None:
        """See `Source`."""
        if self._opened is not None:
            self._opened.close()

    @property
    def _web(self) -> Web:
        if self._opened is None:
            self._opened = Web(self._settings())
        return self._opened


class FolderSource:
    """A folder: what a USB stick or a mounted share holds."""

    is_metered = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = str(folder)

    def read(self, path: str, offset: int, size: int) -> tuple[int, Pieces]:
        """See `Source`."""
        return offset, self._pieces(path, offset, size)

    def close(self) -> None:
        """See `Source`; nothing is."""

    def _pieces(self, path: str, offset: int, size: int) -> Pieces:
        try:
            with open_file(self._folder / path) as file:
                file.seek(offset)
                while size > 0 and (chunk := file.read(min(size, CHUNK_BYTES))):
                    yield chunk
                    size -= len(chunk)
        except FileNotFoundError as error:
            raise RefusedError(Rule.NETWORK, f"{self.name}/{path}", "it is not there") from error
        except OSError as error:  # pulled out in the middle
            raise InterruptedFetchError(f"network: {self.name}/{path}: {error.strerror}") from error


@contextmanager
def _for_later() -> Iterator[None]:
    """A line or a server that fails may do better later; one that says no has said it."""
    try:
        yield
    except RefusedError as error:
        status = error.status if isinstance(error, StatusError) else 0
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING:
            raise
        raise InterruptedFetchError(str(error)) from error


def _pieces(pieces: Iterator[bytes]) -> Pieces:
    with _for_later():
        yield from pieces
