"""The TCP proxy between an echo server and a client, each fault on real sockets."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from emulators.tcp_proxy import NO_FAULTS, TcpFaults, TcpProxy

WORDS = bytes(range(256)) * 64


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def echo_proxy(faults: TcpFaults = NO_FAULTS, *, seed: int = 0) -> AsyncIterator[TcpProxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with server, TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1], seed=seed) as proxy:
        proxy.faults = faults
        yield proxy


@asynccontextmanager
async def client_of(proxy: TcpProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_bytes_go_both_ways_and_are_counted() -> None:
    async with echo_proxy() as proxy:
        async with client_of(proxy) as (reader, writer):
            writer.write(WORDS)
            assert await reader.readexactly(len(WORDS)) == WORDS
            assert (proxy.connections, proxy.open_connections) == (1, 1)
        await until(lambda: not proxy.open_connections)
        assert (proxy.up_bytes, proxy.down_bytes, proxy.swallowed_bytes) == (len(WORDS), len(WORDS), 0)


async def test_an_end_in_one_direction_leaves_the_other_open() -> None:
    async with echo_proxy() as proxy, client_of(proxy) as (reader, writer):
        writer.write(WORDS)
        writer.write_eof()
        assert await reader.read(-1) == WORDS


async def test_latency_is_a_delay_and_no_limit_to_what_is_under_way() -> None:
    async with echo_proxy(TcpFaults(latency_s=0.1)) as proxy, client_of(proxy) as (reader, writer):
        began = time.monotonic()
        for _ in range(20):
            writer.write(b"x" * 100)
            await asyncio.sleep(0.005)
        await reader.readexactly(2000)
        lasted = time.monotonic() - began
        assert 0.2 <= lasted < 1.5  # twenty round trips one after another would be four seconds


async def test_jitter_keeps_the_order() -> None:
    async with echo_proxy(TcpFaults(jitter_s=0.02), seed=3) as proxy, client_of(proxy) as (reader, writer):
        for number in range(50):
            writer.write(bytes([number]))
            await asyncio.sleep(0.001)
        assert await reader.readexactly(50) == bytes(range(50))


async def test_bandwidth_is_a_ceiling() -> None:
    async with echo_proxy(TcpFaults(bytes_per_s=100_000, slice_bytes=1000)) as proxy, client_of(proxy) as (r, w):
        began = time.monotonic()
        w.write(b"x" * 20_000)
        await r.readexactly(20_000)
        assert time.monotonic() - began >= 0.19


async def test_slices_arrive_one_by_one() -> None:
    async with echo_proxy(TcpFaults(slice_bytes=3, slice_gap_s=0.002)) as proxy, client_of(proxy) as (reader, writer):
        writer.write(b"0123456789")
        first = await reader.read(100)
        assert len(first) <= 3
        assert first + await reader.readexactly(10 - len(first)) == b"0123456789"


async def test_a_black_hole_takes_everything_and_says_nothing() -> None:
    async with echo_proxy() as proxy, client_of(proxy) as (reader, writer):
        proxy.faults = TcpFaults(black_hole=True)
        writer.write(WORDS)
        await until(lambda: proxy.swallowed_bytes == len(WORDS))
        async with client_of(proxy) as (_reader, late):
            late.write(b"hello?")
            await until(lambda: proxy.swallowed_bytes == len(WORDS) + 6)
        await until(lambda: proxy.open_connections == 1)
        proxy.faults = NO_FAULTS
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
        assert proxy.up_bytes == 5


async def test_a_freeze_fills_the_senders_buffers_and_loses_nothing() -> None:
    async with echo_proxy() as proxy, client_of(proxy) as (reader, writer):
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        proxy.faults = TcpFaults(freeze=True)
        total = 30_000_000
        writer.write(b"x" * total)
        drained = asyncio.ensure_future(writer.drain())
        await asyncio.sleep(0.1)
        assert not drained.done()
        assert proxy.up_bytes == 6
        proxy.faults = NO_FAULTS
        got = 0
        while got < total:
            got += len(await reader.read(1 << 20))
        await drained
        assert proxy.swallowed_bytes == 0


async def test_refused_connections_are_refused_and_old_ones_live_on() -> None:
    async with echo_proxy() as proxy, client_of(proxy) as (reader, writer):
        writer.write(b"1")
        await reader.readexactly(1)
        proxy.faults = TcpFaults(refuse=True)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(b"2")
        assert await reader.readexactly(1) == b"2"
        port = proxy.port
        proxy.faults = NO_FAULTS
        assert proxy.port == port
        async with client_of(proxy) as (reader2, writer2):
            writer2.write(b"3")
            assert await reader2.readexactly(1) == b"3"


async def test_a_connection_is_cut_after_so_many_bytes() -> None:
    async with echo_proxy(TcpFaults(cut_after_bytes=1000)) as proxy, client_of(proxy) as (reader, writer):
        writer.write(b"x" * 5000)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(5000)
        await until(lambda: not proxy.open_connections)
        assert proxy.up_bytes + proxy.down_bytes == 1000
        async with client_of(proxy) as (reader2, writer2):  # each connection has its own count
            writer2.write(b"y" * 400)
            assert len(await reader2.readexactly(400)) == 400


async def test_reset_all_resets() -> None:
    async with echo_proxy() as proxy, client_of(proxy) as (reader, writer):
        writer.write(b"1")
        await reader.readexactly(1)
        proxy.reset_all()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        await until(lambda: not proxy.open_connections)


async def _pieces_until_reset(seed: int) -> int:
    async with echo_proxy(TcpFaults(reset_chance=0.1), seed=seed) as proxy, client_of(proxy) as (reader, writer):
        count = 0
        try:
            while True:
                writer.write(b"x")
                await reader.readexactly(1)
                count += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            return count


async def test_chance_comes_from_the_seed() -> None:
    counts = [await _pieces_until_reset(seed) for seed in (1, 2, 3)]
    assert counts == [await _pieces_until_reset(seed) for seed in (1, 2, 3)]
    assert len(set(counts)) > 1


async def test_a_target_that_is_not_there_resets_the_client() -> None:
    async with TcpProxy("127.0.0.1", 1) as proxy, client_of(proxy) as (reader, _writer):
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)


async def test_it_stops_with_connections_open() -> None:
    async with echo_proxy() as proxy:
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(b"1")
        await reader.readexactly(1)
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    writer.close()
    assert proxy.open_connections == 0


@pytest.mark.parametrize(
    "table",
    [{"latency_s": -1}, {"reset_chance": 1.5}, {"slice_bytes": 0}, {"bytes_per_s": 0}, {"latencies": 1}],
)
def test_a_plan_that_makes_no_sense_is_refused(table: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, TcpFaults)
