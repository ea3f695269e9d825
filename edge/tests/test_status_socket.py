"""The status socket answers, feeds those who tail, and is not hurt by those who do not read."""

import asyncio
import json
import stat
from contextlib import suppress

import pytest

from edge.gateway.status_socket import MAX_CLIENTS, StatusSocket, short_path


@pytest.fixture
async def served(tmp_path):
    socket = StatusSocket(tmp_path / "status.sock", lambda: {"node": "rsu-1"})
    await socket.open()
    yield socket, tmp_path / "status.sock"
    await socket.aclose()


async def ask(path, line: bytes) -> dict:
    with short_path(path) as name:
        reader, writer = await asyncio.open_unix_connection(name)
    writer.write(line + b"\n")
    answer = json.loads(await reader.readline())
    writer.close()
    await writer.wait_closed()
    return answer


async def test_status_is_answered(served):
    assert await ask(served[1], b'{"what": "status"}') == {"node": "rsu-1"}


async def test_the_name_of_a_file_that_is_no_text_is_written_out(tmp_path):
    socket = StatusSocket(tmp_path / "status.sock", lambda: {"files": [{"n\udcff": "n\udcff.toml"}], "boot": 1})
    await socket.open()
    answer = await ask(tmp_path / "status.sock", b'{"what": "status"}')
    await socket.aclose()
    assert answer == {"files": [{"n\\udcff": "n\\udcff.toml"}], "boot": 1}


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"what": "reboot"}', b'{"what": "status", "x": 1}', b"\xff\xfe"])
async def test_nonsense_is_answered_with_an_error(served, line):
    assert "error" in await ask(served[1], line)


async def test_an_endless_line_is_hung_up_on(served):
    reader, writer = await asyncio.open_unix_connection(str(served[1]))
    writer.write(b"x" * 100_000)
    assert await reader.read() == b""
    writer.close()


async def test_tail_gets_what_is_published_until_it_hangs_up(served):
    socket, path = served
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b'{"what": "tail"}\n')
    assert json.loads(await reader.readline()) == {"tail": True}
    assert socket.has_tails
    socket.publish({"device": "flow-1", "values": [1]})
    assert json.loads(await reader.readline()) == {"device": "flow-1", "values": [1]}
    writer.close()
    async with asyncio.timeout(5):
        while socket.has_tails:
            await asyncio.sleep(0.002)


async def test_a_tail_that_does_not_read_is_hung_up_on(served):
    socket, path = served
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1024)
    writer.write(b'{"what": "tail"}\n')
    async with asyncio.timeout(10):
        while not socket.has_tails:
            await asyncio.sleep(0.002)
        while socket.has_tails:
            socket.publish({"values": list(range(20_000))})
            await asyncio.sleep(0)
        with suppress(ConnectionResetError):
            while await reader.read(65_536):
                pass
    writer.close()
    assert await ask(path, b'{"what": "status"}') == {"node": "rsu-1"}, "it still serves the others"


async def test_more_clients_than_the_ceiling_are_refused(served):
    open_ones = [await asyncio.open_unix_connection(str(served[1])) for _ in range(MAX_CLIENTS)]
    for reader, writer in open_ones:
        writer.write(b'{"what": "status"}\n')
        await reader.readline()
    reader, writer = await asyncio.open_unix_connection(str(served[1]))
    assert await reader.read() == b""
    for _reader, each in [*open_ones, (reader, writer)]:
        each.close()


async def test_only_the_owner_may_open_it(served):
    assert stat.S_IMODE(served[1].stat().st_mode) == 0o600


async def test_a_path_longer_than_the_system_allows_still_works(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    socket = StatusSocket(deep / "status.sock", lambda: {"node": "deep"})
    await socket.open()
    assert await ask(deep / "status.sock", b'{"what": "status"}') == {"node": "deep"}
    await socket.aclose()
