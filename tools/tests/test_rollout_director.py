"""The Director's HTTP server: real clients at it, strangers at it, and more of both than it has places."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from edge.identity.development_ca import DevelopmentCa
from ota.campaign.config import ConfigError, DirectorConfig, RolloutConfig
from ota.campaign.director import QUARTER_S
from ota.errors import OtaError
from ota.testing.trusting_device import TrustingDevice
from ota.tests.director_world import NAME, ONE, TWO, World
from ota.trust.client import Repository
from ota.trust.web import StatusError, Web, WebSettings
from tools.rollouts import director as server_module
from tools.rollouts.director import DirectorServer


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def config(world: World, **more: Any) -> tuple[RolloutConfig, DirectorConfig]:
    own = DirectorConfig(**{"key": "x", "passphrase_file": "x", "listen": "127.0.0.1:0", **more})
    return RolloutConfig(database="x", repository="x", director=own, file=str(world.folder / "rollouts.toml")), own


@contextmanager
def serving(world: World, **more: Any) -> Iterator[str]:
    """A Director that listens, and where."""
    said: list[str] = []
    server = DirectorServer(*config(world, **more), world.director(), lambda: world.now, said.append)
    server.start()
    try:
        yield server.address
    finally:
        server.stop()
    assert said == []


def refresh(device: TrustingDevice, world: World, address: str, web: Web | None = None, scheme: str = "http") -> str:
    """What a device is to run, by the real client over the real protocol; images are those of the double."""
    director = Repository((web or Web()).pieces, f"{scheme}://{address}/director/{device.name}")
    plan = device.client().refresh(director, Repository(world.pieces(), "metadata"))
    return plan.targets["gateway"].path


def test_a_device_refreshes_over_http_as_the_day_goes_on(world: World) -> None:
    device = TrustingDevice(world.double)
    with serving(world) as address:
        for step_s in (0, QUARTER_S - 1, QUARTER_S, 3 * QUARTER_S):
            world.now = world.start_of_quarter + step_s
            assert refresh(device, world, address) == ONE
        world.plan(2, TWO)
        assert refresh(device, world, address) == TWO
        world.double.add_image("rsu/gateway/3.tar", b"three", counter=3)
        world.publish()
        assert refresh(device, world, address) == TWO
    with serving(world) as address, serving(world) as another:
        assert refresh(device, world, address) == TWO, "after a restart"
        assert refresh(device, world, another) == TWO, "and from a second one"
        stranger = TrustingDevice(world.double, name="rsu-8")
        with pytest.raises(StatusError, match="404"):
            refresh(stranger, world, address)


def test_whatever_path_is_asked_for_it_goes_on(world: World) -> None:
    paths = [
        "/",
        "/director",
        "/director/%00/timestamp.json",
        "/director/%ff%fe/x",
        f"/director/{NAME}/%00",
        "/" * 9_000,
    ]
    paths += [
        f"/director/{NAME}/../../etc/passwd",
        f"/director/{'x' * 9_000}/timestamp.json",
        "/director/'%3b--/1.root.json",
    ]
    with serving(world) as address:
        for path in paths:
            connection = HTTPConnection(address, timeout=10)
            connection.request("GET", path)
            assert connection.getresponse().status == 404, path
            connection.close()
        for garbage in (b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"x" * 70_000, b"\x16\x03\x01\x02\x00"):
            with socket.create_connection(address.split(":"), timeout=10) as stranger:  # type: ignore[arg-type]
                stranger.sendall(garbage)
                stranger.shutdown(socket.SHUT_WR)
        assert refresh(TrustingDevice(world.double), world, address) == ONE


def test_more_connections_than_places_are_closed_and_those_that_drip_lose_theirs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 4)
    monkeypatch.setattr(server_module, "TIMEOUT_S", 0.5)
    with serving(world) as address, ExitStack() as stack:
        host, port = address.split(":")
        slow = [stack.enter_context(socket.create_connection((host, int(port)), timeout=10)) for _place in range(4)]
        for each in slow:
            each.sendall(b"GET /dir")
        late = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
        assert late.recv(1) == b"", "the door is closed at once"
        device, began = TrustingDevice(world.double), time.monotonic()
        while time.monotonic() - began < 20:
            for each in slow:  # never silent for as long as the server waits for a byte
                try:
                    each.sendall(b"e")
                except OSError:
                    continue
            try:
                assert refresh(device, world, address) == ONE
                break
            except OtaError as error:
                last = error
            time.sleep(0.05)
        else:
            raise AssertionError(last)


def test_tls_of_its_own_and_none_beyond_loopback_without_it(world: World) -> None:
    ca = DevelopmentCa.create(world.folder / "pki", now=world.double.now.replace(microsecond=0))
    server = ca.issue_server("localhost", now=world.double.now)
    files = {"certificate": str(server.cert), "private_key": str(server.key)}
    with serving(world, **files) as address:
        web = Web(WebSettings(ca_file=ca.ca, has_clock=False))
        port = address.rpartition(":")[2]
        assert refresh(TrustingDevice(world.double), world, f"localhost:{port}", web, "https") == ONE
        with socket.create_connection(("127.0.0.1", int(port)), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with suppress(ConnectionResetError):
                assert plain.recv(100)[:1] in (b"", b"\x15"), "an alert, and nothing else"
    for own, said in (
        ({"listen": "0.0.0.0:0"}, "beyond loopback"),
        ({"certificate": str(server.cert)}, "go together"),
        ({"certificate": "none.pem", "private_key": "none.key"}, "No such file"),
        ({"listen": "127.0.0.1:99999"}, "director.listen: 127.0.0.1:99999"),
    ):
        with pytest.raises(ConfigError, match=said):
            DirectorServer(*config(world, **own), world.director(), lambda: world.now, print)
