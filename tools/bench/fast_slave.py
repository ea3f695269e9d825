"""A Modbus TCP slave that costs as little as possible, so that a benchmark measures the master.

`python -m tools.bench.fast_slave` listens on a free loopback port, prints it, and answers function 03 for any block
from one prepared image of 65 536 registers. Register 0 counts the requests, so that two polls never look the same.
"""

import asyncio
import struct
import sys

_HEADER = struct.Struct(">HHHBBHH")
REQUEST_BYTES = 12


class _Connection(asyncio.Protocol):
    def __init__(self, image: bytearray) -> None:
        self._image = image
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % REQUEST_BYTES
        self._rest = data[whole:]
        answers = []
        for at in range(0, whole, REQUEST_BYTES):
            transaction, _protocol, _length, unit, function, start, count = _HEADER.unpack_from(data, at)
            self._count = (self._count + 1) & 0xFFFF
            struct.pack_into(">H", self._image, 0, self._count)
            body = self._image[2 * start : 2 * (start + count)]
            answers.append(struct.pack(">HHHBBB", transaction, 0, 3 + len(body), unit, function, len(body)) + body)
        if self._transport is not None and answers:
            self._transport.write(b"".join(answers))


async def serve() -> None:
    """Serve until killed."""
    image = bytearray(struct.pack(">65536H", *((7 * n) & 0x3FFF for n in range(65536))))
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(image), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        sys.exit(0)
