"""A broker that does what a test tells it, on a real socket, in MQTT 5 or 3.1.1.

It knows just enough of the standard to catch a client that breaks it: `violations` names each, as it happens. It shares
no code with the client under test.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Self

import msgspec

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 14


class Publish(msgspec.Struct):
    """What a client published."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    packet_id: int
    properties: bytes = b""


class Connect(msgspec.Struct):
    """How a client came."""

    version: int
    client_id: str
    clean: bool
    keepalive_s: int
    will_topic: str
    will_payload: bytes
    will_qos: int
    will_retain: bool
    properties: bytes
    will_properties: bytes


Answer = Callable[[Publish], int | str]
"""What to do with a QoS 1 publish: a PUBACK reason code, `swallow` or `reset`."""


class ScriptedBroker:
    """Enter it as a context; `port` is chosen anew each time unless given."""

    def __init__(
        self,
        *,
        versions: tuple[int, ...] = (5, 4),
        receive_maximum: int | None = None,
        max_packet_bytes: int | None = None,
        keepalive_s: int | None = None,
        connack: int = 0,
        mute: bool = False,
        hang_up: bool = False,
        answer: Answer = lambda _publish: 0,
        acks_apart: bool = False,
    ) -> None:
        self.versions = versions
        self.receive_maximum = receive_maximum
        self.max_packet_bytes = max_packet_bytes
        self.keepalive_s = keepalive_s
        self.connack = connack
        self.mute = mute
        self.hang_up = hang_up
        self.answer = answer
        self.acks_apart = acks_apart
        """Acknowledge later and out of order, so that windows fill."""
        self.connects: list[Connect] = []
        self.published: list[Publish] = []
        self.packets: list[str] = []
        """Names of all packets as they came, over all connections."""
        self.subscriptions: list[str] = []
        self.denied_filters: set[str] = set()
        """Subscriptions that it refuses."""
        self.violations: list[str] = []
        self.most_unacked = 0
        self.pings = 0
        self.disconnects = 0
        self.clients: list[Any] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for client in list(self.clients):
            client.reset()
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    def send(self, topic: str, payload: bytes, *, qos: int = 0, raw_topic: bytes | None = None) -> None:
        for client in self.clients:
            client.deliver(raw_topic if raw_topic is not None else topic.encode(), payload, qos)

    def send_raw(self, data: bytes) -> None:
        for client in self.clients:
            client.transport.write(data)

    def reset_all(self) -> None:
        for client in list(self.clients):
            client.reset()

    def disconnect_all(self, code: int) -> None:
        for client in list(self.clients):
            client.transport.write(bytes([DISCONNECT << 4, 1, code]))
            client.transport.close()

    def payloads(self, suffix: str) -> list[bytes]:
        """Payloads published on topics that end so."""
        return [publish.payload for publish in self.published if publish.topic.endswith(suffix)]

    def states(self) -> list[dict[str, Any]]:
        """States published, in order."""
        return [msgspec.json.decode(payload) for payload in self.payloads("/state")]


class _Client(asyncio.Protocol):
    def __init__(self, broker: ScriptedBroker) -> None:
        self.broker = broker
        self.version = 0
        self.unacked: list[int] = []
        self._buffer = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.broker.clients.append(self)
        if self.broker.hang_up:
            transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.broker.clients.remove(self)

    def reset(self) -> None:
        self.transport.abort()

    def deliver(self, topic: bytes, payload: bytes, qos: int) -> None:
        body = struct.pack("!H", len(topic)) + topic + (b"\x00\x07" if qos else b"")
        body += (b"\x00" if self.version == 5 else b"") + payload
        self.transport.write(_packet(PUBLISH << 4 | qos << 1, body))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            taken = _take_packet(self._buffer)
            if taken is None or self.transport.is_closing():
                return
            self._handle(*taken)

    def _handle(self, header: int, body: bytes) -> None:
        kind = header >> 4
        broker = self.broker
        if self.version == 0 and kind != CONNECT:
            broker.violations.append(f"packet {kind} before CONNECT")
        if kind == CONNECT:
            broker.packets.append("CONNECT")
            self._connect(body)
        elif kind == PUBLISH:
            publish = self._parse_publish(header, body)
            broker.packets.append("PUBLISH " + publish.topic)
            broker.published.append(publish)
            if publish.qos:
                self._take_qos1(publish)
        elif kind == SUBSCRIBE:
            broker.packets.append("SUBSCRIBE")
            self._subscribe(body)
        elif kind == PINGREQ:
            broker.packets.append("PINGREQ")
            broker.pings += 1
            if not broker.mute:
                self.transport.write(b"\xd0\x00")
        elif kind == DISCONNECT:
            broker.packets.append("DISCONNECT")
            broker.disconnects += 1
            self.transport.close()
        elif kind == PUBACK:
            broker.packets.append("PUBACK")
        else:
            broker.violations.append(f"packet {kind}")

    def _connect(self, body: bytes) -> None:
        broker = self.broker
        level, flags, keepalive_s = body[6], body[7], struct.unpack_from("!H", body, 8)[0]
        at, properties, will_properties = 10, b"", b""
        if level == 5:
            properties, at = _take_properties(body, at)
        client_id, at = _take_bytes(body, at)
        will_topic = will_payload = b""
        if flags & 4:
            if level == 5:
                will_properties, at = _take_properties(body, at)
            will_topic, at = _take_bytes(body, at)
            will_payload, at = _take_bytes(body, at)
        broker.connects.append(
            Connect(
                version=level,
                client_id=client_id.decode(),
                clean=bool(flags & 2),
                keepalive_s=keepalive_s,
                will_topic=will_topic.decode(),
                will_payload=will_payload,
                will_qos=flags >> 3 & 3,
                will_retain=bool(flags & 32),
                properties=properties,
                will_properties=will_properties,
            )
        )
        if broker.mute:
            return
        if level not in broker.versions:  # as a broker of version 3.1.1 says it (3.1.1, 3.1.2-2)
            self.transport.write(b"\x20\x02\x00\x01")
            self.transport.close()
            return
        self.version = level
        granted = b""
        if broker.receive_maximum is not None:
            granted += b"\x21" + struct.pack("!H", broker.receive_maximum)
        if broker.max_packet_bytes is not None:
            granted += b"\x27" + struct.pack("!I", broker.max_packet_bytes)
        if broker.keepalive_s is not None:
            granted += b"\x13" + struct.pack("!H", broker.keepalive_s)
        tail = bytes([len(granted)]) + granted if level == 5 else b""
        self.transport.write(_packet(CONNACK << 4, bytes([0, broker.connack]) + tail))
        if broker.connack:
            self.transport.close()

    def _parse_publish(self, header: int, body: bytes) -> Publish:
        topic, at = _take_bytes(body, 0)
        qos = header >> 1 & 3
        packet_id = 0
        if qos:
            packet_id = struct.unpack_from("!H", body, at)[0]
            at += 2
        properties = b""
        if self.version == 5:
            properties, at = _take_properties(body, at)
        return Publish(topic.decode(), body[at:], qos, bool(header & 1), packet_id, properties)

    def _take_qos1(self, publish: Publish) -> None:
        broker = self.broker
        if publish.qos == 2:
            broker.violations.append("QoS 2")
        if publish.packet_id == 0:
            broker.violations.append("packet id 0")
        if publish.packet_id in self.unacked:
            broker.violations.append(f"packet id {publish.packet_id} twice at once")
        self.unacked.append(publish.packet_id)
        broker.most_unacked = max(broker.most_unacked, len(self.unacked))
        if broker.receive_maximum is not None and len(self.unacked) > broker.receive_maximum:
            broker.violations.append(f"{len(self.unacked)} unacknowledged")
        answer = broker.answer(publish)
        if answer == "reset":
            self.reset()
        elif isinstance(answer, int):
            if broker.acks_apart:
                delay_s = 0.002 if publish.packet_id % 3 else 0.0
                asyncio.get_running_loop().call_later(delay_s, self._puback, publish.packet_id, answer)
            else:
                self._puback(publish.packet_id, answer)

    def _puback(self, packet_id: int, code: int) -> None:
        if not self.transport.is_closing():
            self.unacked.remove(packet_id)
            tail = bytes([code]) if code and self.version == 5 else b""
            self.transport.write(_packet(PUBACK << 4, struct.pack("!H", packet_id) + tail))

    def _subscribe(self, body: bytes) -> None:
        at, codes = 2, b""
        if self.version == 5:
            _properties, at = _take_properties(body, at)
        while at < len(body):
            name, at = _take_bytes(body, at)
            at += 1
            self.broker.subscriptions.append(name.decode())
            refusal = b"\x87" if self.version == 5 else b"\x80"  # 3.9.3
            codes += refusal if name.decode() in self.broker.denied_filters else b"\x01"
        tail = (b"\x00" if self.version == 5 else b"") + codes
        self.transport.write(_packet(SUBACK << 4, body[:2] + tail))


def _packet(header: int, body: bytes) -> bytes:
    length = len(body)
    out = bytearray([header])
    while True:
        length, digit = divmod(length, 128)
        out.append(digit | (128 if length else 0))
        if not length:
            return bytes(out + body)


def _take_packet(buffer: bytearray) -> tuple[int, bytes] | None:
    length, shift, at = 0, 0, 1
    while True:
        if at >= len(buffer):
            return None
        digit = buffer[at]
        at += 1
        length |= (digit & 127) << shift
        shift += 7
        if not digit & 128:
            break
    if len(buffer) < at + length:
        return None
    header, body = buffer[0], bytes(buffer[at : at + length])
    del buffer[: at + length]
    return header, body


def _take_bytes(body: bytes, at: int) -> tuple[bytes, int]:
    length = struct.unpack_from("!H", body, at)[0]
    return body[at + 2 : at + 2 + length], at + 2 + length


def _take_properties(body: bytes, at: int) -> tuple[bytes, int]:
    length = body[at]
    assert length < 128, "longer than any that we send"
    return body[at + 1 : at + 1 + length], at + 1 + length
