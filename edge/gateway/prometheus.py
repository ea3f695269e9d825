"""Counters as Prometheus text, on one loopback address, only when the configuration asks for it.

A dozen lines over a socket: the data process loads no web framework. Text format 0.0.4.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

MAX_REQUEST_BYTES = 8_192
REQUEST_TIMEOUT_S = 5.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class PrometheusEndpoint:
    """Answers `GET /metrics`."""

    def __init__(self, address: str, status: Callable[[], dict[str, Any]]) -> None:
        host, _colon, port = address.rpartition(":")
        self._host = host.strip("[]")
        self._port = int(port)
        self._status = status
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. Raises `OSError`."""
        self._server = await asyncio.start_server(self._serve, self._host, self._port, limit=MAX_REQUEST_BYTES)

    async def aclose(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                request = await reader.readuntil(b"\r\n\r\n")
                is_known = request.startswith((b"GET /metrics ", b"GET / "))
                body = "".join(f"{line}\n" for line in metrics_of(self._status())).encode() if is_known else b""
                head = f"HTTP/1.1 {'200 OK' if is_known else '404 Not Found'}\r\nContent-Type: {CONTENT_TYPE}\r\n"
                writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a scraper that hung up or sent rubbish gets nothing; there is nobody to tell
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def metrics_of(status: dict[str, Any]) -> Iterator[str]:
    """The status document as metric lines."""
    yield "# HELP wayside_records Records of a lane by what became of them: made = acked + queued + lost."
    yield "# TYPE wayside_records gauge"
    for lane, counts in status["lanes"].items():
        for what in ("made", "acked", "queued", "lost"):
            yield f'wayside_records{{lane="{lane}",what="{what}"}} {counts[what]}'
    yield "# HELP wayside_oldest_seconds Age of the oldest record that a lane still owes."
    yield "# TYPE wayside_oldest_seconds gauge"
    for lane, counts in status["lanes"].items():
        yield f'wayside_oldest_seconds{{lane="{lane}"}} {counts["oldest_s"]}'
    yield "# HELP wayside_device_up Whether a device answers."
    yield "# TYPE wayside_device_up gauge"
    for name, device in status["devices"].items():
        is_up = device["state"] == "running" and device["lost_s"] is None
        yield f'wayside_device_up{{device="{name}"}} {int(is_up)}'
    yield "# HELP wayside_device_starts_total Starts of a device's driver."
    yield "# TYPE wayside_device_starts_total counter"
    for name, device in status["devices"].items():
        yield f'wayside_device_starts_total{{device="{name}"}} {device["starts"]}'
    for name, help_text, value in (
        ("uplink_up", "Whether a broker serves the node.", int(status["uplink"]["state"] == "connected")),
        ("storage_ok", "Whether the disk takes records.", int(status["storage"]["state"] == "ok")),
        ("disk_free_megabytes", "Free space where the journals lie.", status["storage"]["free_mb"]),
        ("resident_megabytes", "Memory of the gateway.", status["rss_mb"]),
        ("uptime_seconds", "Seconds since the gateway started.", status["uptime_s"]),
    ):
        yield f"# HELP wayside_{name} {help_text}"
        yield f"# TYPE wayside_{name} gauge"
        yield f"wayside_{name} {value}"
