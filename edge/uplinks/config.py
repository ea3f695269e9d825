"""`[uplink.mqtt]`: where records go, over what kind of line, and what counts as delivered.

The text below a key says what it is for; the JSON Schema is drawn from these types. What depends on the kind of line
(`bearer`) has a default of its own there and may be set here.
"""

import ipaddress
import re
from typing import Annotated, Literal, NamedTuple

import msgspec

from drivers.device_config import Name
from drivers.ports.tcp_port import is_resolvable
from drivers.text import _

_URL = r"^(mqtts?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?$"
BrokerUrl = Annotated[str, msgspec.Meta(pattern=_URL, max_length=300)]
FileName = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Bearer = Literal["wired", "cellular", "satellite"]

PLAIN_PORT = 1883
TLS_PORT = 8883
"""Ports that IANA has registered for MQTT and for MQTT over TLS."""

KEEPALIVE_S: dict[Bearer, int] = {"wired": 30, "cellular": 60, "satellite": 300}
CONNECT_TIMEOUT_S: dict[Bearer, float] = {"wired": 5.0, "cellular": 15.0, "satellite": 60.0}
"""What a connection, its TLS handshake and the broker's answer may take together. A satellite's round trip is up to two
seconds, and a handshake is five of them where the line loses packets; on a wire a shorter patience finds the broker
sooner when it is back."""


class Broker(NamedTuple):
    """One entry of `brokers`, taken apart."""

    url: str
    host: str
    port: int
    tls: bool


class TlsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[uplink.mqtt.tls]`: who the broker must be, and who the box is. All files are PEM."""

    ca: FileName
    """The authority that the broker's certificate must come from. There is no way to leave the broker unchecked."""
    cert: FileName
    """The box's own certificate; its common name is the node's id."""
    key: FileName
    """The private key of `cert`."""


class MqttConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[uplink.mqtt]`: the way to the cloud."""

    brokers: Annotated[tuple[BrokerUrl, ...], msgspec.Meta(min_length=1, max_length=16)]
    """Brokers in the order of preference, `mqtts://HOST:PORT`; `mqtt://` is for this machine only."""
    acknowledged_by: Literal["ingest", "broker"]
    """When a record may leave the journal. `ingest`: when the ingest says that it has stored it. `broker`: when the
    broker has taken it, which a broker's crash may undo; for those who have no ingest that answers."""
    compact: bool = False
    """CBOR with the names of points in the catalogue, in place of JSON: a fraction of the bytes."""
    bearer: Bearer = "wired"
    """The kind of line, which sets what follows where it is not set."""
    metered: bool | None = None
    """Every byte costs: payloads above 1 KB are compressed and attempts are 30 to 300 s apart. By default on a
    satellite, and wherever `megabytes_per_day` is set."""
    megabytes_per_day: Annotated[float, msgspec.Meta(ge=0.01, le=1_000_000)] | None = None
    """What records may cost a day on this line (1 MB is 1 000 000 bytes of MQTT). What is left of a day is saved up,
    one day at most."""
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] | None = None
    """A line on which nothing comes for one and a half of these is dead. By default 30 wired, 60 cellular, 300
    satellite."""
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=16)] = 16
    """Messages that may wait for the broker's acknowledgement; fewer where the broker says so."""
    in_flight_kb: Annotated[int, msgspec.Meta(ge=64, le=1024)] = 256
    """Kilobytes that may wait for the broker's acknowledgement."""
    groups: Annotated[tuple[Name, ...], msgspec.Meta(max_length=32)] = ()
    """Groups whose notices the box hears."""
    insecure_plain_mqtt: bool = False
    """Allow `mqtt://` to other machines: everybody on the way can read and forge everything but commands."""
    tls: TlsConfig | None = None
    """Needed as soon as one of the brokers is `mqtts://`."""

    def __post_init__(self) -> None:
        for broker in self.parsed_brokers:
            if not 1 <= broker.port <= 65535:
                raise ValueError(_("brokers: {url}: a port is from 1 to 65535").format(url=broker.url))
            if "[" in broker.url and not _is_ipv6(broker.host):
                raise ValueError(_("brokers: {url}: what stands in brackets is no IPv6 address").format(url=broker.url))
            if not is_resolvable(broker.host):
                text = _("brokers: {url}: the parts of a host's name have 1 to 63 characters")
                raise ValueError(text.format(url=broker.url))
            if broker.tls and self.tls is None:
                raise ValueError(
                    _("brokers: {url} needs the table [uplink.mqtt.tls] with ca, cert and key").format(url=broker.url)
                )
            if not broker.tls and not self.insecure_plain_mqtt and not is_loopback(broker.host):
                text = _(
                    "brokers: {url} leaves this machine unprotected; use mqtts://, or say insecure_plain_mqtt = true"
                )
                raise ValueError(text.format(url=broker.url))
        if len(set(self.brokers)) != len(self.brokers):
            raise ValueError(_("brokers: the same broker stands there twice"))

    @property
    def parsed_brokers(self) -> tuple[Broker, ...]:
        """The brokers, taken apart."""
        return tuple(map(_parsed, self.brokers))

    @property
    def keepalive(self) -> int:
        """Seconds between signs of life that hold for this line."""
        return KEEPALIVE_S[self.bearer] if self.keepalive_s is None else self.keepalive_s

    @property
    def is_metered(self) -> bool:
        """Whether every byte costs."""
        if self.metered is None:
            return self.bearer == "satellite" or self.megabytes_per_day is not None
        return self.metered


def is_loopback(host: str) -> bool:
    """Whether a host is certainly this machine. A name other than `localhost` could be anything."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parsed(url: str) -> Broker:
    found = re.match(_URL, url)
    assert found is not None, "msgspec has matched it"
    scheme, host, port = found.groups()
    tls = scheme == "mqtts"
    return Broker(url, host.strip("[]"), int(port) if port else TLS_PORT if tls else PLAIN_PORT, tls)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
