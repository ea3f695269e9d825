"""Where blobs come from: a web server in its odd ways, and a stick that anybody may have prepared."""

import os
import socket
from contextlib import closing
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from ota.errors import RefusedError, Rule
from ota.payload.source import FolderSource, HttpSource, InterruptedFetchError
from ota.testing.drip import dripping
from ota.testing.web_double import Faults, WebDouble
from ota.tests.test_trust_web import certificate, scripted
from ota.trust.web import WebSettings

PART = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 10-14/99\r\nContent-Length: 5\r\n\r\nhello"


def taken(source: HttpSource, path: str = "blobs/x", offset: int = 10, size: int = 5) -> tuple[int, bytes]:
    try:
        start, pieces = source.read(path, offset, size)
        return start, b"".join(pieces)
    finally:
        source.close()


def test_a_part_is_asked_for_with_the_login_of_its_address() -> None:
    with scripted(PART) as (host, asked):
        assert taken(HttpSource(f"http://me:s%40cret@{host}/base/")) == (10, b"hello")
    (request,) = asked
    assert request.startswith(b"GET /base/blobs/x HTTP/1.1\r\n")
    assert b"Range: bytes=10-14\r\n" in request
    assert b"Accept-Encoding: identity\r\n" in request
    assert b"Authorization: Basic bWU6c0BjcmV0\r\n" in request


def test_the_line_is_kept_for_the_next_part(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled: list[str] = []
    connect = HTTPConnection.connect
    monkeypatch.setattr(HTTPConnection, "connect", lambda line: (dialled.append(line.host), connect(line)))
    web = WebDouble()
    web.files = {"blobs/x": bytes(range(100))}
    with web.serving(), closing(HttpSource(web.url)) as source:
        for offset in (10, 15):
            start, pieces = source.read("blobs/x", offset, 5)
            assert (start, b"".join(pieces)) == (offset, bytes(range(offset, offset + 5)))
    assert dialled == ["127.0.0.1"]


def test_no_more_is_read_than_was_asked_for_from_a_server_that_goes_on_for_ever() -> None:
    web = WebDouble()
    web.files = {"blobs/x": b""}
    web.faults = Faults(is_endless=True, has_ranges=False)
    with web.serving():
        start, data = taken(HttpSource(web.url), offset=0, size=100_000)
        assert (start, len(data)) == (0, 100_000)


def test_a_part_that_lies_elsewhere_by_now_is_followed_there() -> None:
    with scripted(PART) as (end, asked):
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://{end}/node7\r\nContent-Length: 0\r\n\r\n".encode()
        with scripted(moved) as (begin, _):
            assert taken(HttpSource(f"http://{begin}")) == (10, b"hello")
    assert asked[0].startswith(b"GET /node7 HTTP/1.1\r\n")
    assert b"Range: bytes=10-14\r\n" in asked[0]


def test_a_peer_that_drips_its_headers_is_left() -> None:
    """Each byte comes in time; the whole never does."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        dripping(server, b"y", first=b"HTTP/1.1 206 Partial Content\r\nx: "),
    ):
        settings = WebSettings(silent_s=5, file_s=0.3)
        source = HttpSource(f"http://127.0.0.1:{server.getsockname()[1]}", settings=lambda: settings)
        with pytest.raises(InterruptedFetchError, match="comes too slowly"):
            taken(source)


def test_once_it_comes_it_may_take_longer_than_a_small_file() -> None:
    web = WebDouble()
    web.files = {"blobs/x": bytes(40)}
    web.faults = Faults(drip_s=0.02)
    with web.serving():
        source = HttpSource(web.url, settings=lambda: WebSettings(silent_s=5, file_s=0.3))
        assert taken(source, offset=0, size=40) == (0, bytes(40))


def test_blobs_too_come_over_tls_that_judges_no_dates_where_there_is_no_clock(tmp_path: Path) -> None:
    """Else a device that has lost its clock would read its plan and never get the update."""
    context = certificate(tmp_path, begins=-timedelta(days=9), ends=-timedelta(days=1))
    trusted = WebSettings(ca_file=tmp_path / "server.pem")
    with scripted(b"", PART, context=context) as (host, _):
        url = f"https://{host.replace('127.0.0.1', 'localhost')}"
        with pytest.raises(InterruptedFetchError, match="expired"):
            taken(HttpSource(url, settings=lambda: trusted))
        assert taken(HttpSource(url, settings=lambda: trusted._replace(has_clock=False))) == (10, b"hello")


def test_a_stick_gives_true_files_only(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "link").symlink_to(tmp_path / "secret")
    (stick / "folder").mkdir()
    os.mkfifo(stick / "pipe")
    for name in ("link", "folder", "pipe", "none"):
        with pytest.raises(RefusedError) as caught:
            list(FolderSource(stick).read(name, 0, 5)[1])
        assert caught.value.rule is Rule.NETWORK, name
