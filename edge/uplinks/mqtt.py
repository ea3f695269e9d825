"""One MQTT connection: paho-mqtt as a codec, pumped by our own event loop. The only file that imports paho.

asyncio owns the socket, the name lookup, the TLS handshake and the time they may take; paho gets a pipe in memory in
place of its socket. So nothing blocks and no thread is needed, TLS needs no care for bytes that OpenSSL has read ahead,
and a hundred packets cost one system call where paho alone makes three for each acknowledgement.

A connection object lives once, from CONNECT to its end. paho's own reconnecting, keep-alive and queue are not used: it
never holds more than the caller's window, and nothing of it survives the connection (the journal is the queue). What it
offers and aiomqtt hides is why it stands here: reason codes of PUBACK, and the properties of CONNACK.

Sources: MQTT 5.0 (OASIS, 2019) and MQTT 3.1.1; paho-mqtt 2.2. See docs/adr/0003-mqtt-client-paho-pumped.md.
"""

import asyncio
from typing import Any, Final, NamedTuple, Protocol, cast

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

MAX_PACKET_BYTES = 262_144
"""The largest packet that we take. Told to the broker in version 5, and enforced whatever it does."""
MAX_INBOUND_IN_FLIGHT = 32
SESSION_EXPIRY_S = 86_400
WILL_DELAY_S = 30
PUBLISH_OVERHEAD_BYTES: Final = 16
"""What a PUBLISH packet of ours has beside topic and payload, at most: header, lengths, packet id, properties."""
DEFAULT_RECEIVE_MAXIMUM = 65_535
"""What holds where CONNACK names none (3.2.2.3.3)."""

_PINGREQ = b"\xc0\x00"
"""3.12: written here because paho offers no call for it, and its own timer asks a clock that we do not hold."""
_PUBREC_TYPE = 0x50


class Accepted(NamedTuple):
    """What a broker grants in CONNACK."""

    receive_maximum: int
    """QoS 1 messages that may be unacknowledged."""
    max_packet_bytes: int | None
    keepalive_s: int | None
    """In place of ours, or None."""
    session_present: bool


class Ended(NamedTuple):
    """How a connection came to its end. All None: it was hung up without a word."""

    connack_code: int | None = None
    """The broker refused us with this reason code."""
    disconnect_code: int | None = None
    """The broker sent DISCONNECT with this reason code."""
    error: Exception | None = None
    """The socket or TLS broke, or the broker does not keep to the standard."""


class Listener(Protocol):
    """Who uses a connection. Called from the event loop, never from within one of its own calls."""

    def on_accepted(self, accepted: Accepted) -> None:
        """CONNACK: subscribe and publish may be called from here on."""

    def on_puback(self, packet_id: int, code: int) -> None:
        """PUBACK. Reason codes from 0x80 are refusals; MQTT 3.1.1 has none, so there it is always 0."""

    def on_suback(self, codes: list[int]) -> None:
        """SUBACK, one code a subscription; from 0x80 refused."""

    def on_message(self, topic: str, payload: bytes, *, is_retained: bool) -> None:
        """A message for us; a retained one was published before we subscribed. It is acknowledged when this returns."""

    def on_bytes(self) -> None:
        """Something came; its packets have been handed over, and this is the moment to publish more."""

    def on_writable(self) -> None:
        """The line takes bytes again."""

    def on_ended(self, ended: Ended) -> None:
        """The end, exactly once, whoever wanted it."""


class MqttConnection(asyncio.Protocol):
    """The protocol object for `loop.create_connection`; `start` when the line stands, TLS included."""

    def __init__(self, *, client_id: str, mqtt5: bool, keepalive_s: int, listener: Listener) -> None:
        self.mqtt5 = mqtt5
        self.bytes_in = 0
        self.bytes_out = 0
        self.is_paused = False
        """The line is full: publish no more until `on_writable`."""
        self._keepalive_s = keepalive_s
        self._listener = listener
        self._is_lost = False
        self._accepted = False
        self._connack_code: int | None = None
        self._disconnect_code: int | None = None
        self._error: Exception | None = None
        self._pipe = _Pipe()
        self._transport: asyncio.Transport | None = None
        version = MQTTProtocolVersion.MQTTv5 if mqtt5 else MQTTProtocolVersion.MQTTv311
        self._client = _PipedClient(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if mqtt5 else False,
            protocol=version,
            reconnect_on_failure=False,
        )
        self._client.pipe = self._pipe
        self._client.max_inflight_messages = 0  # no queue behind a window of its own: ours is the only one
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_socket_register_write = _write_later

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The line stands."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand bytes to paho, packet by packet, and what it makes of them to the listener."""
        self.bytes_in += len(data)
        self._pipe.feed(data)
        while self._pipe.has_data:
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS or self._pipe.is_closed:
                self._give_up("bytes that are not MQTT")
                return
        self._listener.on_bytes()
        self.flush()

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self.is_paused = True

    def resume_writing(self) -> None:
        """The transport's buffer has drained."""
        self.is_paused = False
        self._listener.on_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._pipe.close()
        self._is_lost = True
        ended = Ended(self._connack_code, self._disconnect_code, exc or self._error)
        self._listener.on_ended(ended)

    # What the owner calls.

    @property
    def is_open(self) -> bool:
        """Whether there is a line whose end has not been told yet."""
        return self._transport is not None and not self._is_lost

    def start(self, *, will_topic: str, will_payload: bytes) -> None:
        """Send CONNECT, with a will that is retained; `on_accepted` or `on_ended` follows."""
        if self.mqtt5:
            will_properties = _properties(PacketTypes.WILLMESSAGE)
            will_properties.WillDelayInterval = WILL_DELAY_S
            self._client.will_set(will_topic, will_payload, qos=1, retain=True, properties=will_properties)
            properties = _properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            properties.ReceiveMaximum = MAX_INBOUND_IN_FLIGHT
            properties.MaximumPacketSize = MAX_PACKET_BYTES
            # Host and port are never used: the socket is our pipe.
            self._client.connect("pipe", keepalive=self._keepalive_s, clean_start=False, properties=properties)
        else:
            self._client.will_set(will_topic, will_payload, qos=1, retain=True)
            self._client.connect("pipe", keepalive=self._keepalive_s)
        self.flush()

    def subscribe(self, filters: list[str]) -> None:
        """Ask for topics at QoS 1; `on_suback` follows."""
        if self.mqtt5:
            self._client.subscribe([(name, SubscribeOptions(qos=1)) for name in filters])
        else:
            self._client.subscribe([(name, 1) for name in filters])

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False, life_s: int | None = None) -> int:
        """Queue one message for `flush`; return its packet id. `life_s` is its expiry, where the version has one."""
        properties: Properties | None = None
        if life_s is not None and self.mqtt5:
            properties = _properties(PacketTypes.PUBLISH)
            properties.MessageExpiryInterval = life_s
        return self._client.publish(topic, payload, qos, retain, properties).mid

    def ping(self) -> None:
        """Ask for a sign of life; it shows as `bytes_in`."""
        self._pipe.send(_PINGREQ)
        self.flush()

    def disconnect(self) -> None:
        """Send DISCONNECT, so that the broker forgets the will, and hang up when all has been written."""
        self._client.disconnect()
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up at once, whatever waits to be written."""
        if self._transport is not None:
            self._transport.abort()

    def flush(self) -> None:
        """Write all that has been queued, in one piece."""
        if self._client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS and self._pipe.refusal:
            self._give_up(self._pipe.refusal)
            return
        data = self._pipe.taken()
        if data and self._transport is not None and not self._transport.is_closing():
            self.bytes_out += len(data)
            self._transport.write(data)

    def _give_up(self, what: str) -> None:
        """Hang up on a broker that has refused us, said goodbye or broken the standard."""
        if self._connack_code is None and self._disconnect_code is None:
            self._error = ConnectionError(f"the broker sent {self._pipe.refusal or what}")
        self.abort()

    # What paho calls, from within `loop_read`.

    def _on_connect(
        self, _client: Client, _data: Any, flags: Any, reason: ReasonCode, granted: Properties | None
    ) -> None:
        if self._accepted:
            self._pipe.refuse("a second CONNACK")
            return
        if reason.value:
            self._connack_code = reason.value
            return
        self._accepted = True
        self._listener.on_accepted(
            Accepted(
                receive_maximum=getattr(granted, "ReceiveMaximum", DEFAULT_RECEIVE_MAXIMUM),
                max_packet_bytes=getattr(granted, "MaximumPacketSize", None),
                keepalive_s=getattr(granted, "ServerKeepAlive", None),
                session_present=flags.session_present,
            )
        )

    def _on_disconnect(self, _client: Client, _data: Any, flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self._disconnect_code = reason.value

    def _on_publish(self, _client: Client, _data: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        self._listener.on_puback(mid, reason.value)

    def _on_subscribe(self, _client: Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Any) -> None:
        self._listener.on_suback([reason.value for reason in reasons])

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # 1.5.4: no topic of ours
        if self._accepted:
            self._listener.on_message(topic, bytes(message.payload), is_retained=message.retain)


class _PipedClient(Client):
    """paho with a pipe for a socket. This one override is all that we use beside paho's public interface."""

    pipe: "_Pipe"

    def _create_socket(self) -> Any:
        return self.pipe


class _Pipe:
    """What paho takes for a non-blocking socket."""

    def __init__(self) -> None:
        self.is_closed = False
        self.refusal: str | None = None
        """What we did not take, when we hang up for it."""
        self._in = bytearray()
        self._at = 0
        self._out: list[bytes | bytearray] = []

    @property
    def has_data(self) -> bool:
        return self._at < len(self._in)

    def feed(self, data: bytes) -> None:
        del self._in[: self._at]
        self._in += data
        self._at = 0

    def taken(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        return data

    def refuse(self, what: str) -> None:
        self.refusal = what
        self.is_closed = True

    # The face of a socket.

    def recv(self, count: int) -> bytes:
        if count > MAX_PACKET_BYTES:  # paho asks for the whole of a packet's remaining length at once
            self.refuse(f"a packet of {count} bytes")
            raise ConnectionAbortedError
        data = bytes(self._in[self._at : self._at + count])
        if not data:
            raise BlockingIOError
        self._at += len(data)
        return data

    def send(self, data: bytes | bytearray) -> int:
        if data[0] & 0xF0 == _PUBREC_TYPE:  # paho would keep each QoS 2 message, of which we subscribe none
            self.refuse("a QoS 2 message that nobody asked for")
            raise ConnectionAbortedError
        self._out.append(data)
        return len(data)

    def close(self) -> None:
        self.is_closed = True

    def fileno(self) -> int:
        return -1

    def setblocking(self, _flag: bool) -> None:
        """It never blocks."""


def _properties(packet_type: int) -> Properties:
    return Properties(packet_type)  # type: ignore[no-untyped-call] # paho has not annotated it


def _write_later(_client: Client, _data: Any, _socket: Any) -> None:
    """That this callback exists keeps paho from writing each packet as it is queued; `flush` writes them together."""
