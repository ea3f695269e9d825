"""A peer that never stops and never comes to an end: a byte now and then, each in time."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PAUSE_S = 0.02


@contextmanager
def dripping(server: socket.socket, byte: bytes, *, first: bytes = b"", times: int = 1) -> Iterator[None]:
    """Give so many callers of a listening socket `first`, and then `byte` after `byte` until they hang up."""
    stop = threading.Event()

    def drip() -> None:
        for _ in range(times):
            with server.accept()[0] as line:
                line.sendall(first)
                while not stop.wait(PAUSE_S):
                    try:
                        line.sendall(byte)
                    except OSError:
                        break

    thread = threading.Thread(target=drip, name="drip", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
