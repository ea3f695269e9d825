"""The line to a secondary: requests and answers over a socket, each with its length and a check, repeated when lost.

    2   length of what follows up to the check, big-endian
    n   the request, or the answer
    4   CRC-32 of the length and the n bytes

A serial line is reached through whatever serves it as a socket: the gateway holds the port.
"""

import socket
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from ota.installers.mcu import SecondaryLineError

ANSWER_S = 5.0
"""Writing a file of a megabyte into slow flash takes some seconds."""
TRIES = 3
MAX_FRAME_BYTES = 2_048
_CHECK_BYTES = 4


def framed(message: bytes) -> bytes:
    """A message as it goes over the line."""
    head = len(message).to_bytes(2)
    return head + message + zlib.crc32(head + message).to_bytes(_CHECK_BYTES)


def read_frame(receive: Callable[[int], bytes]) -> bytes:
    """A message from a line. Raises `SecondaryLineError` where it ends, or is not what was sent."""
    head = _exactly(receive, 2)
    length = int.from_bytes(head)
    if length > MAX_FRAME_BYTES:
        raise SecondaryLineError(f"format: a message of {length} bytes")
    message, check = _exactly(receive, length), _exactly(receive, _CHECK_BYTES)
    if zlib.crc32(head + message).to_bytes(_CHECK_BYTES) != check:
        raise SecondaryLineError("format: a message was damaged on the line")
    return message


class SocketLine:
    """`tcp://host:port` or `unix:/path`; connects by itself, and again after any trouble."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: socket.socket | None = None

    def __call__(self, request: bytes) -> bytes:
        """Send a request and return its answer, three times at most. Raises `SecondaryLineError`."""
        for attempt in range(TRIES):
            try:
                connection = self._connected()
                connection.settimeout(ANSWER_S)
                connection.sendall(framed(request))
                return read_frame(partial(_received, connection, time.monotonic() + ANSWER_S))
            except (OSError, SecondaryLineError) as error:
                self.close()
                if attempt == TRIES - 1:
                    reason = error.strerror if isinstance(error, OSError) else str(error)
                    raise SecondaryLineError(f"network: {self._url}: {reason or 'no answer'}") from error
        raise AssertionError

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
        self._connection = None

    def _connected(self) -> socket.socket:
        if self._connection is None:
            scheme, _, rest = self._url.partition(":")
            if scheme == "unix":
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.settimeout(ANSWER_S)
                self._connection = connection
                connection.connect(rest)
            else:
                host, _, port = rest.removeprefix("//").rpartition(":")
                self._connection = socket.create_connection((host, int(port)), timeout=ANSWER_S)
        return self._connection


def _received(connection: socket.socket, until: float, size: int) -> bytes:
    """What comes in time: the whole answer has it, not each of its bytes."""
    connection.settimeout(max(0.001, until - time.monotonic()))
    return connection.recv(size)


def _exactly(receive: Callable[[int], bytes], size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = receive(size - len(data))
        if not more:
            raise SecondaryLineError("network: the line was closed")
        data += more
    return data
