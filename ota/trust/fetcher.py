"""Metadata files for python-tuf, from the web or from a folder on a stick, without a detour over the disk."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient.fetcher import FetcherInterface

from ota.errors import RefusedError, Rule
from ota.stick import open_file
from ota.trust.web import CHUNK_BYTES, StatusError, shown

Pieces = Callable[[str], Iterator[bytes]]
"""The bytes of a file by its address. Raises `StatusError`, `RefusedError` (network): `Web.pieces`, `Folder.pieces`."""


class Folder:
    """Files of a stick. Addresses are relative to its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pieces(self, url: str) -> Iterator[bytes]:
        """The file's bytes. Only a true file is read: no link leads out, no pipe or device holds the reader."""
        path = self._folder / url.lstrip("/")
        if ".." in path.parts:
            raise RefusedError(Rule.NETWORK, str(path), "it is not below the folder")
        try:
            with open_file(path) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError as error:
            raise StatusError(str(path), HTTPStatus.NOT_FOUND, "it is not there") from error
        except OSError as error:  # pulled out in the middle
            raise RefusedError(Rule.NETWORK, str(path), error.strerror or str(error)) from error


class MetadataFetcher(FetcherInterface):
    """Turns what `Pieces` raises into what python-tuf knows; the refusal is then the error's cause."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            yield from self._pieces(url)
        except StatusError as error:
            raise DownloadHTTPError(str(error), error.status) from error
        except RefusedError as error:
            raise DownloadError(str(error)) from error

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """A metadata file. python-tuf's own would write it into a temporary file first."""
        data = bytearray()
        for piece in self._fetch(url):
            data += piece
            if len(data) > max_length:
                refusal = RefusedError(Rule.LENGTH, shown(url), f"it goes on after the {max_length} bytes it may have")
                raise DownloadLengthMismatchError(str(refusal)) from refusal
        if data.lstrip()[:1] == b"<":
            reason = "a web page instead of the file (a login page on the way?)"
            raise DownloadError(reason) from RefusedError(Rule.NETWORK, shown(url), reason)
        return bytes(data)
