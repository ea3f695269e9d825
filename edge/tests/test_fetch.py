"""A document that lies on a web server: fetched whole or not at all, within bounds, over TLS that is checked."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from edge.gateway import fetch
from edge.gateway.config import MAX_DOCUMENT_BYTES
from edge.gateway.fetch import FetchError, fetch_document
from edge.identity.development_ca import DevelopmentCa
from edge.uplinks.config import MqttConfig

DOCUMENT = b'[node]\nid = "rsu-1"\n' + b"# long\n" * 20_000
SHA256 = hashlib.sha256(DOCUMENT).hexdigest()
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(head: str, body: bytes = b"") -> Answer:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)

    return write


GOOD = answer(f"HTTP/1.1 200 OK\nContent-Length: {len(DOCUMENT)}\nConnection: close", DOCUMENT)


class Web:
    """A certificate authority, a node's configuration, and web servers as they come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        now = datetime.now(UTC)
        ours, theirs = DevelopmentCa.create(folder / "ours", now=now), DevelopmentCa.create(folder / "theirs", now=now)
        node = ours.issue_client("rsu-1", now=now)
        tls = {"ca": str(ours.ca), "cert": str(node.cert), "key": str(node.key)}
        raw = {"brokers": ["mqtts://localhost:1"], "acknowledged_by": "broker", "tls": tls}
        self.config = msgspec.convert(raw, MqttConfig)
        self.servers = {"ours": ours.issue_server("web", now=now), "theirs": theirs.issue_server("web", now=now)}
        self.requests: list[bytes] = []

    @asynccontextmanager
    async def serving(self, write: Answer, who: str = "ours") -> AsyncIterator[str]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.servers[who].cert, self.servers[who].key)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            try:
                await write(writer)
                await writer.drain()
            except ConnectionError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "localhost", 0, ssl=context)
        try:
            yield f"https://localhost:{server.sockets[0].getsockname()[1]}/rsu-1/79.toml?edition=2"
        finally:
            server.close()
            await server.wait_closed()

    async def fetch(self, url: str, sha256: str = SHA256) -> bytes:
        return await fetch_document(url, sha256, self.config, self.folder)


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return Web(tmp_path)


async def test_a_document_comes_whole_and_its_hash_is_checked(web: Web) -> None:
    async with web.serving(GOOD) as url:
        assert await web.fetch(url) == DOCUMENT
        with pytest.raises(FetchError, match="another SHA-256"):
            await web.fetch(url, "0" * 64)
    assert web.requests[0].startswith(b"GET /rsu-1/79.toml?edition=2 HTTP/1.0\r\nHost: localhost:")


async def test_the_end_of_the_line_ends_an_answer_of_no_stated_length(web: Web) -> None:
    async with web.serving(answer("HTTP/1.0 200 OK", DOCUMENT)) as url:
        assert await web.fetch(url) == DOCUMENT


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (answer("HTTP/1.1 404 Not Found"), "the server says 404 Not Found"),
        (answer("HTTP/1.1 302 Found\nLocation: https://elsewhere/"), "302"),
        (answer("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"0\r\n\r\n"), "chunks"),
        (answer("HTTP/1.1 200 OK\nContent-Length: 99999999", DOCUMENT), "of 99999999 bytes came"),
        (answer("HTTP/1.1 200 OK", b"x" * (MAX_DOCUMENT_BYTES + 1)), "is longer than"),
        (answer("220 mail.example ESMTP"), "is not HTTP"),
        (answer("HTTP/1.1 200 OK\n" + "X: y\n" * 10_000), "limit"),
        (answer(""), "https://localhost"),
    ],
)
async def test_what_is_no_whole_document_is_an_error_that_says_why(web: Web, write: Answer, words: str) -> None:
    async with web.serving(write) as url:
        with pytest.raises(FetchError, match=words) as caught:
            await web.fetch(url)
    assert "edition" not in str(caught.value), "a query may hold a token"


async def test_a_server_that_drips_for_ever_is_left(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FETCH_WITHIN_S", 0.5)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"#")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with web.serving(drip) as url:
        with pytest.raises(FetchError, match="nothing whole came"):
            await web.fetch(url)


async def test_a_server_that_nobody_vouches_for_gets_no_request(web: Web) -> None:
    async with web.serving(GOOD, "theirs") as url:
        with pytest.raises(FetchError, match=r"(?i)certificate.verify.failed"):
            await web.fetch(url)
    assert web.requests == []


@pytest.mark.parametrize(
    "url", ["http://localhost/x", "https://", "https://user:word@localhost/x", "file:///etc/passwd"]
)
async def test_only_https_is_spoken(web: Web, url: str) -> None:
    with pytest.raises(FetchError, match="is not https") as caught:
        await web.fetch(url)
    assert "word@" not in str(caught.value)


async def test_nobody_there_is_an_error_too(web: Web) -> None:
    with pytest.raises(FetchError, match="https://localhost:1/"):
        await web.fetch("https://localhost:1/x")
