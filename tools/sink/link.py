"""The sink on a broker: takes messages in batches, has them stored, acknowledges what is stored, says that it is there.

The MQTT library acknowledges a message to the broker when it arrives, before it is stored. That is harmless: nodes let
go of a record on our own acknowledgement only, and that one follows the commit.

Storing blocks the event loop on purpose. While the disk works nothing is read from the socket, so the broker holds the
surplus and the memory of the sink stays bounded, however fast the nodes are.
"""

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

import aiomqtt
import msgspec
from aiomqtt.client import Properties

from drivers.text import _
from protocols.core.errors import RemoteProtocolError
from protocols.wayside.state import Ack, Ingest, encode
from protocols.wayside.topics import INGEST_TOPIC, down_topic
from tools.sink.intake import Heard, Record, Refusal, read_message
from tools.sink.store import Store, StoreError

ACK_PERIOD_S = 1.0
PRESENCE_PERIOD_S = 30.0
GATHER_S = 0.02
"""A message waits this long for others, so that they share one commit."""
MAX_BATCH = 1000
MAX_WAITING_BYTES = 64 << 20
PROBE_PERIOD_S = 1.0
RECONNECT_CAP_S = 1.0
"""Below that of the nodes: they are many and wait, with what they owe, for the one ingest's answer."""
KEEPALIVE_S = 20
SESSION_EXPIRY_S = 86_400
FAREWELL_S = 5.0
_CONNECT = 1
"""CONNECT's packet type, for its properties (MQTT 5, section 2.1.2)."""
_ACKS_AT_ONCE = 32
_EVERY_NODE = "wayside/1/up/#"
_REFUSED = 0x80
"""SUBACK's reason codes from here on refuse (MQTT 5, 3.9.3; 3.1.1 knows this one)."""
_OVERHEAD_BYTES = 500
"""What a message costs in memory beside its payload."""


class UnreachableError(Exception):
    """The broker could not be reached at the start, or will not let us hear the nodes; the text says why."""


class _StoppedError(Exception):
    """Somebody asked the sink to end."""


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker is, who we are, and what tests ask for."""

    host: str
    port: int
    client_id: str
    patience_s: float
    """How long the first connection may take."""
    withhold_acks: bool = False
    """Store everything, acknowledge nothing."""
    discard: bool = False
    """Take everything from the broker and forget it, as an ingest does whose database lost it."""


class Inbox(asyncio.Queue[aiomqtt.Message]):
    """Takes the place of aiomqtt's queue, which hands out one message a task: here they leave in batches.

    What exceeds the ceiling is dropped and counted; its node sends it again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._batch: list[aiomqtt.Message] = []
        self._bytes = 0
        self._news = asyncio.Event()
        self._full = asyncio.Event()
        self.dropped = 0

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Take one message from the library."""
        size = len(item.payload) + _OVERHEAD_BYTES
        if self._bytes + size > MAX_WAITING_BYTES:
            self.dropped += 1
            return
        self._bytes += size
        self._batch.append(item)
        self._news.set()
        if len(self._batch) >= MAX_BATCH:
            self._full.set()

    async def take_batch(self) -> list[aiomqtt.Message]:
        """Wait for a message, then a moment longer for more."""
        await self._news.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S):
                await self._full.wait()
        return self.take_now()

    def take_now(self) -> list[aiomqtt.Message]:
        """All that is there."""
        batch, self._batch, self._bytes = self._batch, [], 0
        self._news.clear()
        self._full.clear()
        return batch


class Link:
    """The sink's life on the broker."""

    def __init__(
        self,
        settings: LinkSettings,
        store: Store,
        *,
        tls: ssl.SSLContext | None,
        say: Callable[[str], None],
        on_connected: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._tls = tls
        self._say = say
        self._on_connected = on_connected
        self._inbox = Inbox()
        self._ack_now = asyncio.Event()
        self._presence_now = asyncio.Event()
        self._store_error: str | None = None
        self._has_refused = False
        self._version = aiomqtt.ProtocolVersion.V5
        self._has_connected = False

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`. Raises `UnreachableError`, above all where the first connection does not come in time."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        failures = 0
        is_lost = False
        while not stop.is_set():
            try:
                async with self._client() as client:
                    if is_lost:
                        self._say(_("sink: connected again"))
                    is_lost, failures, self._has_connected = False, 0, True
                    await self._serve(client, stop)
            except aiomqtt.MqttError as error:
                failures += 1
                if not self._has_connected:
                    if loop.time() - started > self._settings.patience_s:
                        raise UnreachableError(str(error)) from error
                    self._version = _OTHER_VERSION[self._version]
                elif not is_lost:
                    is_lost = True
                    self._say(_("sink: lost the broker: {error}").format(error=error))
                pause_s = random.uniform(0, min(RECONNECT_CAP_S, 0.25 * 2 ** min(failures, 10)))  # noqa: S311 -- jitter
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await stop.wait()

    def _client(self) -> aiomqtt.Client:
        is_v5 = self._version is aiomqtt.ProtocolVersion.V5
        self._inbox = inbox = Inbox()
        properties = None
        if is_v5:
            properties = Properties(_CONNECT)
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
        version_only: dict[str, Any] = {"clean_start": False} if is_v5 else {"clean_session": False}
        client = aiomqtt.Client(
            self._settings.host,
            self._settings.port,
            identifier=self._settings.client_id,
            protocol=self._version,
            keepalive=KEEPALIVE_S,
            timeout=10,
            tls_context=self._tls,
            will=aiomqtt.Will(INGEST_TOPIC, self._presence(is_online=False), qos=1, retain=True),
            properties=properties,
            queue_type=cast("type[asyncio.Queue[aiomqtt.Message]]", lambda maxsize: inbox),  # noqa: ARG005 -- its call
            logger=_QUIET,
            **version_only,
        )
        client.pending_calls_threshold = 2 * _ACKS_AT_ONCE
        return client

    async def _serve(self, client: aiomqtt.Client, stop: asyncio.Event) -> None:
        for code in await client.subscribe(_EVERY_NODE, qos=1):
            if (code if isinstance(code, int) else code.value) >= _REFUSED:
                raise UnreachableError(_("the broker does not let us hear {topic}").format(topic=_EVERY_NODE))
        await self._publish_presence(client)
        self._on_connected()
        lost: aiomqtt.MqttError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(), name="pump")
                group.create_task(self._acknowledge(client), name="acknowledge")
                group.create_task(self._keep_presence(client), name="presence")
                group.create_task(_watch(client), name="watch")
                group.create_task(_until(stop), name="stop")
        except* _StoppedError:
            pass
        except* aiomqtt.MqttError as errors:
            lost = next(error for error in errors.exceptions if isinstance(error, aiomqtt.MqttError))
        self._store_batch(self._inbox.take_now())
        if lost is not None:
            raise lost
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._publish_acks(client)
                await client.publish(INGEST_TOPIC, self._presence(is_online=False), qos=1, retain=True)
        except TimeoutError:
            self._say(_("sink: the broker does not answer; leaving without a farewell"))

    async def _pump(self) -> None:
        while True:
            self._store_batch(await self._inbox.take_batch())
            if self._store.has_full_ack():
                self._ack_now.set()

    def _store_batch(self, batch: list[aiomqtt.Message]) -> None:
        if self._settings.discard or not batch:
            return
        messages: list[Record | Heard | Refusal] = []
        for message in batch:
            topic, payload = message.topic.value, message.payload
            try:
                read = read_message(topic, payload)
            except RemoteProtocolError as error:
                messages.append(Refusal(topic, str(error), payload))
                if not self._has_refused:
                    self._has_refused = True
                    self._say(
                        _("sink: refused a message on {topic}: {error}; others are counted").format(
                            topic=topic, error=error
                        )
                    )
            else:
                if read is not None:
                    messages.append(read)
        try:
            self._store.write(messages, now_ms=_wall_ms())
        except StoreError as error:
            self._fail(str(error))
        else:
            self._recover()

    def _fail(self, error: str) -> None:
        """What could not be stored is forgotten and not acknowledged: the nodes keep it, and are told to wait."""
        if self._store_error is None:
            self._say(_("sink: cannot store: {error}; the nodes keep their records").format(error=error))
            self._presence_now.set()
        self._store_error = error

    def _recover(self) -> None:
        if self._store_error is not None:
            self._store_error = None
            self._presence_now.set()
            self._say(_("sink: stores again"))

    async def _acknowledge(self, client: aiomqtt.Client) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ACK_PERIOD_S):
                    await self._ack_now.wait()
            self._ack_now.clear()
            await self._publish_acks(client)
            try:
                self._store.write([], now_ms=_wall_ms())  # how far we acknowledged, where nothing came meanwhile
            except StoreError as error:
                self._fail(str(error))

    async def _publish_acks(self, client: aiomqtt.Client) -> None:
        if self._settings.withhold_acks:
            self._store.drop_acks()
            return
        acks = self._store.take_acks()
        for start in range(0, len(acks), _ACKS_AT_ONCE):
            await asyncio.gather(*(_publish_ack(client, *ack) for ack in acks[start : start + _ACKS_AT_ONCE]))

    async def _keep_presence(self, client: aiomqtt.Client) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + PRESENCE_PERIOD_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due if self._store_error is None else loop.time() + PROBE_PERIOD_S):
                    await self._presence_now.wait()
            if self._store_error is not None and not self._presence_now.is_set():
                self._probe()
            if self._presence_now.is_set() or loop.time() >= due:
                self._presence_now.clear()
                due = loop.time() + PRESENCE_PERIOD_S
                await self._publish_presence(client)

    def _probe(self) -> None:
        """The nodes hold back while we cannot store, so nobody else would try."""
        try:
            self._store.probe()
        except StoreError as error:
            self._fail(str(error))
        else:
            self._recover()

    async def _publish_presence(self, client: aiomqtt.Client) -> None:
        payload = self._presence(is_online=self._store_error is None)
        await client.publish(INGEST_TOPIC, payload, qos=1, retain=True)

    def _presence(self, *, is_online: bool) -> bytes:
        return encode(Ingest(online=is_online, time=_wall_ms(), id=self._settings.client_id))


_OTHER_VERSION = {
    aiomqtt.ProtocolVersion.V5: aiomqtt.ProtocolVersion.V311,
    aiomqtt.ProtocolVersion.V311: aiomqtt.ProtocolVersion.V5,
}

_QUIET = logging.getLogger("tools.sink.mqtt")
_QUIET.setLevel(logging.CRITICAL)
"""What the library logs as an error is what it also raises."""


async def _watch(client: aiomqtt.Client) -> None:
    """Messages go to the inbox, so all that this ever hears of is the end of the connection, as an `MqttError`."""
    async for _message in client.messages:
        raise AssertionError


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()
    raise _StoppedError


async def _publish_ack(client: aiomqtt.Client, node: str, ack: Ack) -> None:
    await client.publish(down_topic(node, "ack"), encode(ack), qos=1)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
