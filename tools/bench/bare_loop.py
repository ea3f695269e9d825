"""The bare loop: what is left of a gateway when everything that makes it one is taken away.

It asks a Modbus TCP device for its registers, unpacks them, prints them as one JSON list and publishes that with QoS 1.
At most 16 messages wait for the broker's acknowledgement, as with ours. No names, no quality, no journal, no reconnect,
no resend, nothing kept. It is the floor that `wayside bench` measures the gateway against, in the same run, on the same
machine.

It comes in two forms. `plain` asks, waits for the answer and asks again, as a loop over asyncio streams does that
anyone would write. `burst` writes all requests of a round at once, which no device in the field takes: it is the least
that is possible.

usage: python -m tools.bench.bare_loop MODBUS_PORT BROKER_PORT REGISTERS PERIOD_S SECONDS [FORM]

PERIOD_S 0 is flat out; FORM is plain or burst.
"""

import asyncio
import json
import resource
import socket
import struct
import sys
import time

import paho.mqtt.client as mqtt

BLOCK = 125
WINDOW = 16


def _blocks(registers: int) -> list[tuple[int, int]]:
    return [(start, min(BLOCK, registers - start)) for start in range(0, registers, BLOCK)]


class _Plain:
    """Asks for one block, reads its answer, asks for the next."""

    def __init__(self, registers: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._blocks = _blocks(registers)
        self._reader = reader
        self._writer = writer

    async def poll(self) -> list[int]:
        values: list[int] = []
        for number, (start, count) in enumerate(self._blocks):
            self._writer.write(struct.pack(">HHHBBHH", number, 0, 6, 1, 3, start, count))
            head = await self._reader.readexactly(9)
            values += struct.unpack(f">{head[8] // 2}H", await self._reader.readexactly(head[8]))
        return values

    def close(self) -> None:
        self._writer.close()


class _Burst(asyncio.Protocol):
    """Asks for all blocks at once and hands out the poll when the last one has come."""

    def __init__(self, registers: int) -> None:
        self._blocks = _blocks(registers)
        self._request = b"".join(
            struct.pack(">HHHBBHH", n, 0, 6, 1, 3, start, count) for n, (start, count) in enumerate(self._blocks)
        )
        self._rest = bytearray()
        self._parts: list[tuple[int, ...]] = []
        self._done: asyncio.Future[list[int]] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= 9:
            size = 6 + int.from_bytes(self._rest[4:6], "big")
            if len(self._rest) < size:
                return
            self._parts.append(struct.unpack_from(f">{self._rest[8] // 2}H", self._rest, 9))
            del self._rest[:size]
            if len(self._parts) == len(self._blocks) and self._done is not None:
                self._done.set_result([value for part in self._parts for value in part])

    async def poll(self) -> list[int]:
        self._parts = []
        self._done = asyncio.get_running_loop().create_future()
        assert self.transport is not None
        self.transport.write(self._request)
        return await self._done

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()


async def _reader(modbus_port: int, registers: int, form: str) -> _Plain | _Burst:
    if form == "plain":
        return _Plain(registers, *await asyncio.open_connection("127.0.0.1", modbus_port))
    loop = asyncio.get_running_loop()
    _transport, burst = await loop.create_connection(lambda: _Burst(registers), "127.0.0.1", modbus_port)
    return burst


async def run(modbus_port: int, broker_port: int, registers: int, period_s: float, seconds: float, form: str) -> None:
    """Loop for so long, then print one JSON line: polls, points, CPU seconds, resident memory."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="bare-loop", protocol=mqtt.MQTTv5)
    loop = asyncio.get_running_loop()
    under_way = 0
    has_room = asyncio.Event()

    def acknowledged(*_arguments: object) -> None:
        nonlocal under_way
        under_way -= 1
        has_room.set()

    client.on_publish = acknowledged
    client.connect("127.0.0.1", broker_port)
    sock = client.socket()
    assert isinstance(sock, socket.socket)
    loop.add_reader(sock, client.loop_read)
    reader = await _reader(modbus_port, registers, form)
    began, cpu, polls = time.monotonic(), time.process_time(), 0
    due = began
    while time.monotonic() - began < seconds:
        values = await reader.poll()
        while under_way >= WINDOW:  # what the broker has not taken is not delivered
            has_room.clear()
            await has_room.wait()
        client.publish("bench/bare", json.dumps(values), qos=1)
        under_way += 1
        while client.want_write():
            client.loop_write()
        polls += 1
        client.loop_misc()
        if period_s:
            due += period_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    print(
        json.dumps(
            {
                "polls": polls,
                "points": polls * registers,
                "seconds": time.monotonic() - began,
                "cpu_s": time.process_time() - cpu,
                "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        ),
        flush=True,
    )
    loop.remove_reader(sock)
    client.disconnect()
    reader.close()


if __name__ == "__main__":
    asyncio.run(
        run(
            int(sys.argv[1]),
            int(sys.argv[2]),
            int(sys.argv[3]),
            float(sys.argv[4]),
            float(sys.argv[5]),
            sys.argv[6] if len(sys.argv) > 6 else "plain",
        )
    )
