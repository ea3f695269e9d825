"""A configuration that is too long for a message: fetched over HTTPS from where the signed message says it lies.

What is fetched is believed by its hash, which was signed; TLS keeps it from other eyes. HTTP/1.0 (RFC 1945) is all that
it takes: one request, one answer, the end of the line ends it. A server that redirects, hurries nobody or never ends is
an error within the bounds below.
"""

import asyncio
import hashlib
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from drivers.text import _
from edge.gateway.config import MAX_DOCUMENT_BYTES
from edge.uplinks.config import MqttConfig
from edge.uplinks.tls import tls_context
from edge.uplinks.uplink_errors import UplinkError

FETCH_WITHIN_S = 60.0
MAX_HEAD_BYTES = 16_384
PAUSES_S = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Before each try."""
_GOOD = 200


class FetchError(Exception):
    """It could not be fetched; the text says why."""


async def fetch_document(url: str, sha256: str, config: MqttConfig, folder: Path) -> bytes:
    """Fetch a document and hold it against its hash. Trust and our certificate are the uplink's, and the system's.

    Raises `FetchError`.
    """
    name = url.partition("?")[0]  # what follows may be a token: it belongs in no log and no report
    try:
        async with asyncio.timeout(FETCH_WITHIN_S):
            document = await _get(url, _context(config, folder))
    except TimeoutError as error:
        text = _("{url}: nothing whole came within {seconds:.0f} s")
        raise FetchError(text.format(url=name, seconds=FETCH_WITHIN_S)) from error
    except (OSError, ValueError, UplinkError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise FetchError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
    if hashlib.sha256(document).hexdigest() != sha256:
        raise FetchError(_("{url}: what lies there has another SHA-256 than the signed one").format(url=name))
    return document


def _context(config: MqttConfig, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context() if config.tls is None else tls_context(config.tls, folder)
    context.load_default_certs()
    return context


async def _get(url: str, context: ssl.SSLContext) -> bytes:
    name = url.partition("?")[0]
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        text = _("the url is not https://HOST/PATH, without a name and password; its host is {host}")
        raise FetchError(text.format(host=parts.hostname))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = f"GET {target} HTTP/1.0\r\nHost: {parts.netloc}\r\nAccept: */*\r\nUser-Agent: wayside\r\n\r\n"
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context, limit=MAX_HEAD_BYTES)
    try:
        writer.write(head.encode("ascii"))
        await writer.drain()
        return await _answer(reader, name)
    finally:
        writer.transport.abort()  # nobody waits for a server's farewell


async def _answer(reader: asyncio.StreamReader, name: str) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if not words[0].startswith("HTTP/1.") or len(words) < 2:
        raise FetchError(_("{url}: the answer is not HTTP").format(url=name))
    if words[1] != str(_GOOD):
        raise FetchError(_("{url}: the server says {status}").format(url=name, status=" ".join(words[1:])[:100]))
    pairs = [line.partition(":") for line in lines[1:]]
    fields = {key.strip().lower(): value.strip() for key, _colon, value in pairs}
    if fields.get("transfer-encoding", "identity").lower() != "identity":
        raise FetchError(_("{url}: the answer comes in chunks, which HTTP/1.0 has not").format(url=name))
    body = bytearray()
    while piece := await reader.read(65_536):
        body += piece
        if len(body) > MAX_DOCUMENT_BYTES:
            raise FetchError(_("{url}: is longer than {limit} bytes").format(url=name, limit=MAX_DOCUMENT_BYTES))
    length = fields.get("content-length")
    if length is not None and length != str(len(body)):
        text = _("{url}: {came} of {length} bytes came")
        raise FetchError(text.format(url=name, came=len(body), length=length[:20]))
    return bytes(body)
