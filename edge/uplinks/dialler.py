"""Opening the line to a broker, TLS included, and asking whether one is there."""

import asyncio
import logging
from pathlib import Path
from typing import cast

from edge.uplinks.config import CONNECT_TIMEOUT_S, Broker, MqttConfig
from edge.uplinks.tls import tls_context
from edge.uplinks.uplink_errors import UplinkError, error_of

log = logging.getLogger(__name__)

HAPPY_EYEBALLS_S = 0.25
"""RFC 8305, 5: how long one address family may keep the other waiting."""


class Dialler:
    """folder: what the names of certificate files are relative to; they are read anew for each line."""

    def __init__(self, config: MqttConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder

    async def dial(self, broker: Broker, protocol: asyncio.Protocol) -> None:
        """Open the line, TLS included. Raises `OSError`, `UnicodeError` or `UplinkError`."""
        context = None
        if broker.tls:
            assert self._config.tls is not None, "the configuration has seen to it"
            context = tls_context(self._config.tls, self._folder)
        await asyncio.get_running_loop().create_connection(
            lambda: protocol,
            broker.host,
            broker.port,
            ssl=context,
            server_hostname=broker.host if context else None,
            ssl_handshake_timeout=CONNECT_TIMEOUT_S[self._config.bearer] if context else None,
            ssl_shutdown_timeout=1.0 if context else None,
            happy_eyeballs_delay=HAPPY_EYEBALLS_S,
        )

    async def answers(self, broker: Broker) -> bool:
        """Whether a broker can be reached and is who it should be. Says no word of MQTT: one client a node."""
        line = _Line()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S[self._config.bearer]):
                await self.dial(broker, line)
        except (OSError, UnicodeError, UplinkError) as error:
            log.debug("uplink: %s is not back: %s", broker.url, error_of(error))
            return False
        line.transport.abort()
        return True


class _Line(asyncio.Protocol):
    """Only sees whether a line stands."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
