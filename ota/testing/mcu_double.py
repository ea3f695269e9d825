"""A secondary on CPython: the very modules that run on the board, zlib in the place of MicroPython's `deflate`."""

import socket
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ota.agent.line import framed, read_frame
from ota.installers.mcu import SecondaryLineError
from ota.mcu.agent import Agent
from ota.mcu.boot import start
from ota.mcu.flash import FileFlash
from ota.mcu.selector import SECTOR_BYTES, Selector
from ota.mcu.sets import Sets

KEY = bytes(range(32))


class Inflated:
    """As MicroPython's `deflate.DeflateIO` reads."""

    def __init__(self, stream: BinaryIO, window_bits: int) -> None:
        self._stream = stream
        self._inflater = zlib.decompressobj(-window_bits)

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        while not self._inflater.eof:
            data = self._inflater.unconsumed_tail or self._stream.read(64)
            try:
                unpacked = self._inflater.decompress(data, size)
            except zlib.error as error:
                raise OSError(22) from error
            if unpacked:
                return unpacked
            if not data:
                raise EOFError
        return b""


class Box:
    """A secondary with its flash and its file system in a folder."""

    def __init__(self, folder: Path, ecu: str = "lamp-1", key: bytes = KEY) -> None:
        self.folder = folder
        self.ecu = ecu
        self.key = key
        self.requests: list[bytes] = []
        self.boot()

    @contextmanager
    def serving(self, path: Path) -> Iterator[None]:
        """Answer on a socket, as the gateway's end of a serial line; starts again when an order says so."""
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path.unlink(missing_ok=True)
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=self._serve, args=[server], name="secondary")
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            server.close()

    def _serve(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _address = server.accept()
            except OSError:
                return
            with connection, suppress(SecondaryLineError):
                while True:
                    request = read_frame(connection.recv)
                    answer = self.ask(request)
                    connection.sendall(framed(answer))
                    if request[:1] in b"av" and answer[:1] == b"\0":
                        self.boot()

    def boot(self) -> int:
        """As its boot file does; the slot that runs."""
        flash = FileFlash(str(self.folder / "selector"), 2 * SECTOR_BYTES)
        before = list(sys.path)
        sets, selector, slot = start(str(self.folder), self.key, flash, Inflated)
        sys.path[:] = before  # its modules are not ours
        self.agent = Agent(self.ecu, self.key, sets, selector)
        return slot

    def ask(self, request: bytes) -> bytes:
        """A request as the line brings it; `requests` has them all."""
        self.requests.append(request)
        return self.agent.handle(request)

    def runs(self) -> dict[str, bytes]:
        """The files of the set that is to run."""
        sets = Sets(str(self.folder), self.key, Inflated)
        choice = Selector(FileFlash(str(self.folder / "selector"), 2 * SECTOR_BYTES)).choice()
        root = Path(sets.folder(0 if choice is None else choice.running_slot()))
        return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
