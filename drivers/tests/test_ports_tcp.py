"""The TCP port against real sockets on loopback."""

import asyncio
import socket

import pytest

from drivers.errors import PortError
from drivers.ports.open_port import open_port
from drivers.ports.tcp_port import TcpPort
from drivers.tests.bench_of_one import Ear, open_descriptors, until


class Server:
    """Accepts; keeps the peers."""

    def __init__(self) -> None:
        self.peers: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.url = f"tcp:127.0.0.1:{self.listener.getsockname()[1]}"

    async def accept(self) -> socket.socket:
        peer, _address = await asyncio.get_running_loop().sock_accept(self.listener)
        self.peers.append(peer)
        return peer

    def close(self) -> None:
        for each in (*self.peers, self.listener):
            each.close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


async def test_bytes_go_both_ways_at_once(server):
    port, ear = open_port(server.url), Ear()
    await port.open(ear)
    peer = await server.accept()
    sock = port._transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    port.write(b"ping")
    assert await asyncio.get_running_loop().sock_recv(peer, 10) == b"ping"
    peer.send(b"pong")
    await until(lambda: ear.heard == b"pong")
    assert port.line is None
    await port.aclose()
    await port.aclose()
    assert ear.losses == []


async def test_a_peer_that_hangs_up_is_lost_once(server):
    port, ear = open_port(server.url), Ear()
    await port.open(ear)
    (await server.accept()).close()
    await until(lambda: ear.losses)
    assert "hung up" in str(ear.losses[0])
    with pytest.raises(PortError, match="closed"):
        port.write(b"x")
    await port.aclose()
    await port.open(ear)
    await port.aclose()
    assert len(ear.losses) == 1


async def test_a_hundred_openings_leave_no_handle_behind(server):
    port = open_port(server.url)
    await port.open(Ear())
    (await server.accept()).close()
    await port.aclose()
    before = open_descriptors()
    for _ in range(100):
        await port.open(Ear())
        (await server.accept()).close()
        await port.aclose()
    assert open_descriptors() == before


async def test_nobody_there_says_so():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = open_port(f"tcp:127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(PortError, match="nothing listens there"):
            await port.open(Ear())


async def test_a_name_that_nobody_knows_says_so():
    with pytest.raises(PortError, match=r"is not known|cannot be reached|does not answer"):
        await open_port("tcp:no-such-host.invalid:502").open(Ear())


async def test_a_connection_has_a_deadline_and_leaves_nothing_open():
    """A listener whose queue is full: further connections are neither accepted nor refused."""
    before = open_descriptors()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        port = TcpPort("tcp:full", *address, connect_s=0.1)
        with pytest.raises(PortError, match="does not answer within"):
            await port.open(Ear())
        for filler in fillers:
            filler.close()
    await until(lambda: open_descriptors() == before)


async def test_a_peer_that_takes_nothing_has_a_ceiling(server):
    port = open_port(server.url)
    await port.open(Ear())
    await server.accept()
    with pytest.raises(PortError, match="takes no bytes"):  # noqa: PT012  # one of them hits the ceiling
        for _ in range(10_000):
            port.write(bytes(16_384))
    await port.aclose()
