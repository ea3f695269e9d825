"""Prometheus text: what the status says, on one address, for whoever asks rightly."""

import asyncio

import pytest

from edge.gateway.prometheus import MAX_REQUEST_BYTES, PrometheusEndpoint, metrics_of

STATUS = {
    "lanes": {"telemetry": {"made": 10, "acked": 7, "queued": 2, "lost": 1, "oldest_s": 3.5}},
    "devices": {
        "meter-1": {"state": "running", "starts": 1, "lost_s": None},
        "meter-2": {"state": "running", "starts": 3, "lost_s": 12.0},
    },
    "uplink": {"state": "connected"},
    "storage": {"state": "full", "free_mb": 17.5},
    "rss_mb": 38.2,
    "uptime_s": 12.0,
}


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.fixture
async def port():
    endpoint = PrometheusEndpoint("127.0.0.1:0", lambda: STATUS)
    await endpoint.open()
    yield endpoint._server.sockets[0].getsockname()[1]
    await endpoint.aclose()


async def test_metrics_are_answered_as_text_format_0_0_4(port):
    head, _blank, body = (await ask(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"version=0.0.4" in head
    lines = body.decode().splitlines()
    assert 'wayside_records{lane="telemetry",what="lost"} 1' in lines
    assert 'wayside_device_up{device="meter-1"} 1' in lines
    assert 'wayside_device_up{device="meter-2"} 0' in lines
    assert "wayside_storage_ok 0" in lines
    assert f"Content-Length: {len(body)}".encode() in head


async def test_another_path_is_not_found(port):
    assert (await ask(port, b"GET /secret HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("rubbish", [b"\x16\x03\x01\x00", b"x" * (2 * MAX_REQUEST_BYTES) + b"\r\n\r\n"])
async def test_rubbish_gets_nothing_and_breaks_nothing(port, rubbish):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(rubbish)
    writer.write_eof()
    assert not (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    assert (await ask(port, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200")


def test_every_metric_has_help_and_type_before_its_first_value():
    known = set()
    for line in metrics_of(STATUS):
        if line.startswith("# TYPE "):
            known.add(line.split()[2])
        elif not line.startswith("#"):
            assert line.replace("{", " ").split()[0] in known
