"""The control side on a broker: says something to a node and hears what it answers, over lost connections too.

What is said twice does no harm: a node answers a repeated command with the result that it has, and passes over a
configuration that it has taken up. The MQTT library hides whether the broker let a message through, so a denied one
looks like a node that does not answer; the texts say so.
"""

import asyncio
import logging
import os
import random
import secrets
import ssl
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import aiomqtt
import msgspec
import typer
from aiomqtt.client import Properties

from drivers.device_config import Name
from drivers.text import _
from edge.gateway.config_words import described, shown
from edge.identity.operator_keys import OperatorKey, OperatorKeyError
from protocols.core.errors import LocalProtocolError
from protocols.wayside.topics import is_level
from tools.keys import VARIABLE
from tools.output import Exit, fail, say
from tools.sink.app import UsageError, parse_broker, tls_context

CONNECT_WITHIN_S = 10.0
"""How long the first connection may take."""
KEEPALIVE_S = 15
RETRY_CAP_S = 1.0
_PUBLISH = 3
"""PUBLISH's packet type, for its properties (MQTT 5, section 2.1.2)."""

BrokerOption = Annotated[
    str, typer.Option("--broker", metavar="URL", help=_("mqtts://HOST[:PORT]; mqtt:// on loopback"))
]
CaOption = Annotated[Path | None, typer.Option("--ca", help=_("certificates that the broker's is trusted by"))]
CertOption = Annotated[Path | None, typer.Option("--cert", help=_("our certificate"))]
KeyOption = Annotated[Path | None, typer.Option("--key", help=_("its key"))]
NodeOption = Annotated[str, typer.Option("--node", metavar="ID", help=_("whom it is for"))]
SigningKeyOption = Annotated[Path, typer.Option("--signing-key", metavar="FILE", help=_("the operator's private key"))]
KeyIdOption = Annotated[
    str | None, typer.Option("--key-id", metavar="NAME", help=_("how the box knows it; the file's name by default"))
]
InsecureOption = Annotated[bool, typer.Option("--insecure-plain-mqtt", help=_("allow mqtt:// beyond loopback"))]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help=_("show what would be sent, send nothing"))]
JsonOption = Annotated[bool, typer.Option("--json", help=_("plain data for programs"))]

_QUIET = logging.getLogger("tools.control.mqtt")
_QUIET.setLevel(logging.CRITICAL)
"""What the library logs as an error is what it also raises."""


class UnreachableError(Exception):
    """The broker could not be reached, or would not let us listen; the text says why."""


class Broker(msgspec.Struct, frozen=True):
    """Where the broker is and how it is talked to."""

    url: str
    host: str
    port: int
    tls: ssl.SSLContext | None


class Signer(msgspec.Struct, frozen=True):
    """Who signs."""

    key_id: str
    key: OperatorKey


def broker_of(
    url: str, ca: Path | None, cert: Path | None, key: Path | None, *, insecure_plain_mqtt: bool, as_json: bool
) -> Broker:
    """The broker that the options name. Ends the command where they make no sense."""
    try:
        host, port, is_tls = parse_broker(url, insecure_plain_mqtt=insecure_plain_mqtt)
        return Broker(url, host, port, tls_context(ca, cert, key) if is_tls else None)
    except UsageError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)


def private_key_of(file: Path, *, as_json: bool) -> OperatorKey:
    """A person's key, opened with the passphrase in WAYSIDE_KEY_PASSPHRASE or asked for at the terminal."""
    passphrase = os.environ.get(VARIABLE, "")
    try:
        with file.open("rb") as opened:
            is_encrypted = b"ENCRYPTED" in opened.read(1024)
        if is_encrypted and not passphrase and sys.stdin.isatty():
            passphrase = typer.prompt(_("passphrase"), hide_input=True, err=True)
        if is_encrypted and not passphrase:
            text = _("{file}: is encrypted: its passphrase is wanted in {variable}")
            fail(text.format(file=file, variable=VARIABLE), Exit.USAGE, as_json=as_json)
        return OperatorKey.read(file, passphrase.encode() or None)
    except OSError as error:
        fail(f"{file}: {error.strerror}", Exit.USAGE, as_json=as_json)
    except OperatorKeyError as error:
        fail(f"{file}: {error}", Exit.USAGE, as_json=as_json)


def signer_of(file: Path, key_id: str | None, *, as_json: bool) -> Signer:
    """The operator's key, and how nodes know it."""
    key = private_key_of(file, as_json=as_json)
    name = key_id or file.stem
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        text = _("--key-id: {name} cannot be one, must be {expected}")
        fail(text.format(name=shown(name), expected=described(Name)), Exit.USAGE, as_json=as_json)
    return Signer(name, key)


def check_node(node: str, *, as_json: bool) -> None:
    """End the command where the name cannot be a node's."""
    if not is_level(node):
        fail(_("--node: is not 1 to 64 of a-z 0-9 _ -"), Exit.USAGE, as_json=as_json)


def no_answer(node: str, timeout_s: float, *, as_json: bool) -> NoReturn:
    """End the command: the broker took it, and nobody answered."""
    text = _(
        "{node} did not answer within {seconds:g} s: it is away, it does not know this key, "
        "or the broker's access list keeps us from it"
    )
    fail(text.format(node=node, seconds=timeout_s), Exit.UNREACHABLE, as_json=as_json)


class ControlLink:
    """A conversation with one node."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._version = aiomqtt.ProtocolVersion.V5
        self._error: aiomqtt.MqttError | None = None
        self.has_connected = False

    async def converse(
        self,
        topic: str,
        send: Callable[["ControlLink", aiomqtt.Client], Awaitable[None]],
        take: Callable[[bytes], bool],
        within_s: float,
    ) -> bool:
        """Subscribe to `topic`, then `send`; hand what comes to `take` until it says that this was all.

        After a lost connection it begins again. Returns False when `within_s` is over; raises `UnreachableError` when
        the broker was never reached.
        """
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        async with self._client() as client:
                            await self._subscribe(client, topic)
                            self._connected()
                            await send(self, client)
                            async for message in client.messages:
                                if take(message.payload):
                                    return True
                    except aiomqtt.MqttError as error:
                        self._lost(error, asyncio.get_running_loop().time() - started)
                    await asyncio.sleep(random.uniform(0.05, RETRY_CAP_S))  # noqa: S311  # jitter
        except TimeoutError as late:
            if not self.has_connected:
                raise self._unreachable() from late
            return False

    def _connected(self) -> None:
        if self.has_connected and self._error is not None:
            say(_("connected again"))
        self.has_connected, self._error = True, None

    def _lost(self, error: aiomqtt.MqttError, waited_s: float) -> None:
        """Say once that the broker is gone; raise `UnreachableError` when it never was there and patience is over."""
        if self.has_connected and self._error is None:
            say(_("lost the broker: {error}; trying again").format(error=error))
        self._error = error
        if not self.has_connected:
            if isinstance(error.__context__, ssl.SSLError) or waited_s > CONNECT_WITHIN_S:
                raise self._unreachable() from error
            self._version = _OTHER_VERSION[self._version]

    async def publish(
        self, client: aiomqtt.Client, topic: str, payload: bytes, *, retain: bool = False, life_s: int | None = None
    ) -> None:
        """Publish at QoS 1; with `life_s` the broker forgets it after that time, where it speaks MQTT 5."""
        properties = None
        if life_s is not None and self._version is aiomqtt.ProtocolVersion.V5:
            properties = Properties(_PUBLISH)
            properties.MessageExpiryInterval = life_s
        await client.publish(topic, payload, qos=1, retain=retain, properties=properties)

    async def _subscribe(self, client: aiomqtt.Client, topic: str) -> None:
        for code in await client.subscribe(topic, qos=1):
            if (code if isinstance(code, int) else code.value) >= 0x80:
                text = _("{broker} does not let us hear {topic}")
                raise UnreachableError(text.format(broker=self._broker.url, topic=topic))

    def _client(self) -> aiomqtt.Client:
        return aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            identifier=f"control-{secrets.token_hex(6)}",
            protocol=self._version,
            keepalive=KEEPALIVE_S,
            timeout=CONNECT_WITHIN_S,
            tls_context=self._broker.tls,
            logger=_QUIET,
        )

    def _unreachable(self) -> UnreachableError:
        reason = self._error or _("no answer")
        return UnreachableError(_("{broker} cannot be reached: {error}").format(broker=self._broker.url, error=reason))


_OTHER_VERSION = {
    aiomqtt.ProtocolVersion.V5: aiomqtt.ProtocolVersion.V311,
    aiomqtt.ProtocolVersion.V311: aiomqtt.ProtocolVersion.V5,
}


def run_conversation(conversation: Coroutine[Any, Any, None], *, as_json: bool) -> None:
    """Run one on an event loop of its own; end the command where it cannot take place."""
    try:
        asyncio.run(conversation)
    except UnreachableError as error:
        fail(str(error), Exit.UNREACHABLE, as_json=as_json)
    except LocalProtocolError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)
    except KeyboardInterrupt:
        fail(_("interrupted; what was sent stays sent"), as_json=as_json)
