"""The rollout engine on a broker: hears every node, tells each of its plan, and counts the time in which it was deaf.

The session at the broker outlives a connection, so that what nodes report while we are away waits for us; what is lost
beyond that stands in the `reported` that the broker keeps of each node, and is read at every connect. A command is the
same bytes whenever it is sent, so a node that has it already answers and does nothing.

What a device was told stands in the database before it is told: a broker that is away delays, and changes nothing.

While more comes than the database takes, it is stored on the event loop, so that nothing is read from the socket and
the broker holds the surplus. Where that did not help, since the database was away, all that the broker keeps is asked
for once more.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Any, TypeVar, cast

import aiomqtt
import msgspec
from aiomqtt.client import Properties

from drivers.text import _
from edge.identity.operator_keys import OperatorKey
from ota.campaign.engine.engine import Engine
from ota.campaign.engine.heard import Heard
from ota.campaign.store.plans import Command as Told
from ota.errors import OtaError
from protocols.core.errors import RemoteProtocolError
from protocols.wayside.envelope import Command, build_envelope
from protocols.wayside.topics import down_topic
from tools.control import Broker, UnreachableError
from tools.rollouts.messages import FILTERS, heard_of
from tools.sink.link import MAX_BATCH, Inbox

OPERATION = "update.look"
LIFE_S = 86_400
"""A node that hears of its plan later than that has found it by its own asking."""
AT_ONCE = 100
"""Commands that wait for the broker's acknowledgement at the same time."""
PAUSE_S = 1.0
GIVE_BACK_S = 5.0
"""After that somebody takes them when our claim is over."""
MAX_SAID = 1000
RECONNECT_CAP_S = 30.0
SESSION_EXPIRY_S = 7 * 86_400
KEEPALIVE_S = 20
_CONNECT, _PUBLISH = 1, 3
"""Packet types, for their properties (MQTT 5, section 2.1.2)."""
_REFUSED = 0x80
_QUIET = logging.getLogger("tools.rollouts.mqtt")
_QUIET.setLevel(logging.CRITICAL)
"""What the library logs as an error is what it also raises."""
T = TypeVar("T")


class Signer(msgspec.Struct, frozen=True):
    """Whose word commands are."""

    key_id: str
    key: OperatorKey


class Link:
    """instance: tells engines of one broker apart, and is the same after a restart: its session waits for it."""

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        signer: Signer,
        *,
        instance: str,
        clock: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._broker = broker
        self._signer = signer
        self._instance = instance
        self._clock = clock
        self._say = say
        self._inbox = Inbox()
        self._turn = asyncio.Lock()
        self._said: set[str] = set()
        self._troubles: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Raises `UnreachableError` where the broker does not let us hear the nodes."""
        failures = 0
        async with asyncio.TaskGroup() as tasks:
            worker = tasks.create_task(self._work())
            while not stop.is_set():
                try:
                    async with self._client() as client:
                        if failures:
                            self._say(_("broker: connected again"))
                        failures = 0
                        await self._serve(client, stop)
                except aiomqtt.MqttError as error:
                    if not failures:
                        self._say(_("broker: {error}; trying again").format(error=error))
                    failures += 1
                self._engine.hear_since(None)
                pause_s = random.uniform(0, min(RECONNECT_CAP_S, 0.25 * 2 ** min(failures, 10)))  # noqa: S311 -- jitter
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s if failures else 0):
                        await stop.wait()
            worker.cancel()

    async def _serve(self, client: aiomqtt.Client, stop: asyncio.Event) -> None:
        """Hearing begins before anything is asked for: what the broker keeps of a great fleet comes all at once."""
        ended: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                own = [tasks.create_task(work) for work in (self._watch(client), self._hear())]
                await self._subscribe(client)
                self._engine.hear_since(int(self._clock()))
                own.append(tasks.create_task(self._tell(client)))
                await stop.wait()
                for task in own:
                    task.cancel()
        except* (aiomqtt.MqttError, UnreachableError) as errors:
            ended += errors.exceptions
        if ended:
            raise next((error for error in ended if isinstance(error, UnreachableError)), ended[0])

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        for topic in FILTERS:
            for code in await client.subscribe(topic, qos=1):
                if (code if isinstance(code, int) else code.value) >= _REFUSED:
                    text = _("{broker} does not let us hear {topic}")
                    raise UnreachableError(text.format(broker=self._broker.url, topic=topic))

    async def _watch(self, client: aiomqtt.Client) -> None:
        """Ends with the connection; the messages themselves come through our own inbox."""
        async for _message in client.messages:
            pass

    async def _hear(self) -> None:
        inbox = self._inbox
        while True:
            batch = await inbox.take_batch()
            now = int(self._clock())
            heard = [one for one in (self._read(message, now) for message in batch) if one is not None]
            for start in range(0, len(heard), MAX_BATCH):
                some = heard[start : start + MAX_BATCH]
                for refused in await self._do(self._engine.take, some, is_on_loop=len(batch) >= MAX_BATCH):
                    self._say_once(refused.device, f"{refused.device}: {refused.reason}")
            if inbox.dropped:
                raise aiomqtt.MqttError(_("more came than could be held, and is asked for again"))

    def _read(self, message: aiomqtt.Message, now: int) -> Heard | None:
        topic = str(message.topic)
        try:
            return heard_of(topic, bytes(message.payload), now, is_retained=bool(message.retain))
        except RemoteProtocolError as error:
            self._say_once("/".join(topic.split("/")[:5]), f"{topic}: {error}")
            return None

    async def _work(self) -> None:
        while True:
            done = await self._do(self._engine.work, int(self._clock()))
            await asyncio.sleep(0 if done else PAUSE_S)

    async def _tell(self, client: aiomqtt.Client) -> None:
        while True:
            commands = await self._do(self._engine.claim, int(self._clock()), AT_ONCE)
            if not commands:
                await asyncio.sleep(PAUSE_S)
                continue
            try:
                await asyncio.gather(*(self._send(client, one) for one in commands))
            except (aiomqtt.MqttError, asyncio.CancelledError):  # cancelled: the connection was lost meanwhile
                # Some may have arrived: sent again they are the same commands, which a node knows by their ids.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(GIVE_BACK_S):
                        await self._do(self._engine.give_back, [one.id for one in commands])
                raise
            await self._do(self._engine.sent, [one.id for one in commands], int(self._clock()))

    async def _send(self, client: aiomqtt.Client, told: Told) -> None:
        command = Command(
            v=1,
            node=told.device,
            id=told.id,
            op=OPERATION,
            args={"plan": told.plan},
            issued=told.made_at * 1000,
            life_s=LIFE_S,
        )
        payload = build_envelope("command", command, key_id=self._signer.key_id, sign=self._signer.key.sign)
        properties = Properties(_PUBLISH)
        properties.MessageExpiryInterval = LIFE_S
        await client.publish(down_topic(told.device, "command"), payload, qos=1, properties=properties)

    async def _do(self, work: Callable[..., T], *arguments: Any, is_on_loop: bool = False) -> T:
        """On a thread, one after the other. A database that is away is waited for: nothing is lost meanwhile."""
        failures, troubles = 0, set[str]()
        while True:
            try:
                async with self._turn:
                    done = work(*arguments) if is_on_loop else await asyncio.to_thread(work, *arguments)
            except OtaError as error:
                failures += 1
                trouble = str(error)
                if trouble not in self._troubles:
                    self._say(_("{trouble}; trying again").format(trouble=trouble))
                troubles.add(trouble)
                self._troubles.add(trouble)
                await asyncio.sleep(min(RECONNECT_CAP_S, 0.5 * 2 ** min(failures, 8)))
            else:
                for over in self._troubles.intersection(troubles):
                    self._troubles.discard(over)
                    self._say(_("over: {trouble}").format(trouble=over))
                return done

    def _say_once(self, of: str, line: str) -> None:
        """What anybody on the broker could repeat without end is said once of each, and not of everybody."""
        if of not in self._said and len(self._said) < MAX_SAID:
            self._said.add(of)
            self._say(line)
            if len(self._said) == MAX_SAID:
                self._say(_("more of these are not told"))

    def _client(self) -> aiomqtt.Client:
        self._inbox = inbox = Inbox()
        properties = Properties(_CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            identifier=f"{self._signer.key_id}-{self._instance}",
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            keepalive=KEEPALIVE_S,
            timeout=10,
            tls_context=self._broker.tls,
            properties=properties,
            queue_type=cast("type[asyncio.Queue[aiomqtt.Message]]", lambda maxsize: inbox),  # noqa: ARG005 -- its call
            logger=_QUIET,
        )
        client.pending_calls_threshold = 2 * AT_ONCE
        return client
