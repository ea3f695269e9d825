"""`[uplink.mqtt]`: what it takes, what it refuses and how that reads."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.identity.development_ca import CA_CERTIFICATE, DevelopmentCa
from edge.uplinks.config import Broker, MqttConfig, TlsConfig, is_loopback
from edge.uplinks.reconnect import Failure
from edge.uplinks.tls import tls_context
from edge.uplinks.uplink_errors import UplinkError

TLS = {"ca": "ca.pem", "cert": "node.pem", "key": "node.key"}


def config(**keys: Any) -> MqttConfig:
    table = {"brokers": ["mqtts://broker.example"], "acknowledged_by": "ingest", "tls": TLS, **keys}
    return msgspec.convert({key: value for key, value in table.items() if value is not None}, MqttConfig)


def test_brokers_are_taken_apart_with_the_registered_ports() -> None:
    urls = ["mqtts://b.example", "mqtts://10.0.0.7:9883", "mqtt://localhost", "mqtt://[::1]:1884"]
    assert config(brokers=urls).parsed_brokers == (
        Broker(urls[0], "b.example", 8883, True),
        Broker(urls[1], "10.0.0.7", 9883, True),
        Broker(urls[2], "localhost", 1883, False),
        Broker(urls[3], "::1", 1884, False),
    )


def test_what_counts_as_delivered_has_no_default() -> None:
    with pytest.raises(msgspec.ValidationError, match="acknowledged_by"):
        config(acknowledged_by=None)


@pytest.mark.parametrize("host", ["broker.example", "10.0.0.7", "[fe80::1]", "127.0.0.1.example", "0.0.0.0"])
def test_plain_mqtt_off_this_machine_is_refused_unless_the_ugly_words_are_said(host: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="insecure_plain_mqtt"):
        config(brokers=[f"mqtt://{host}"])
    assert config(brokers=[f"mqtt://{host}"], insecure_plain_mqtt=True)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"brokers": []}, "length >= 1"),
        ({"brokers": ["http://b"]}, "regex"),
        ({"brokers": ["mqtts://user:secret@b"]}, "regex"),
        ({"brokers": ["mqtts://b/path"]}, "regex"),
        ({"brokers": ["mqtts://b:0"]}, "port"),
        ({"brokers": ["mqtts://b:65536"]}, "port"),
        ({"brokers": ["mqtts://[::::]"]}, "IPv6"),
        ({"brokers": ["mqtts://broker..example"]}, "1 to 63"),
        ({"brokers": [f"mqtts://{64 * 'b'}"]}, "1 to 63"),
        ({"brokers": ["mqtts://b", "mqtts://b"]}, "twice"),
        ({"tls": None}, "uplink.mqtt.tls"),
        ({"tls": {"ca": "x", "cert": "y"}}, "key"),
        ({"keepalive_s": 4}, ">= 5"),
        ({"in_flight": 17}, "<= 16"),
        ({"megabytes_per_day": 0}, ">= 0.01"),
        ({"bearer": "pigeon"}, "pigeon"),
        ({"keepalive": 30}, "unknown field"),
    ],
)
def test_nonsense_is_named(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        config(**keys)


def test_the_bearer_sets_what_is_not_set() -> None:
    assert (config().keepalive, config().is_metered) == (30, False)
    assert (config(bearer="cellular").keepalive, config(bearer="cellular").is_metered) == (60, False)
    assert (config(bearer="satellite").keepalive, config(bearer="satellite").is_metered) == (300, True)
    assert config(bearer="satellite", keepalive_s=120, metered=False).keepalive == 120
    assert config(bearer="cellular", megabytes_per_day=30.0).is_metered
    assert not config(bearer="satellite", metered=False).is_metered


def test_only_localhost_and_loopback_addresses_are_this_machine() -> None:
    assert all(map(is_loopback, ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1"]))
    assert not any(map(is_loopback, ["", "localhost.example", "0.0.0.0", "::", "1"]))


@pytest.mark.parametrize("which", ["ca", "cert", "key"])
def test_a_file_name_that_no_file_can_have_needs_a_person_and_is_no_defect(tmp_path: Path, which: str) -> None:
    credential = DevelopmentCa.create(tmp_path, now=datetime.now(UTC)).issue_client("n1", now=datetime.now(UTC))
    files = {"ca": f"{tmp_path}/{CA_CERTIFICATE}", "cert": str(credential.cert), "key": str(credential.key)}
    tls_context(TlsConfig(**files), Path())
    with pytest.raises(UplinkError, match="null") as caught:
        tls_context(TlsConfig(**(files | {which: "a\0b"})), Path())
    assert caught.value.failure is Failure.CREDENTIAL
