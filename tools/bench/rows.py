"""The rows of the benchmark, each one measurement of ours beside what it is held against, in one run."""

import asyncio
import signal
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import closing

import msgspec

from emulators.tcp_proxy import TcpProxy
from protocols.modbus_devices.timing import LineTiming
from tools.bench.harness import Harness, bare_loop, cpu_s, peak_mb, resident_mb
from tools.demo.parts import Part
from tools.sink.ledger import verify_ledger

REFERENCE_REGISTERS = 1_000
WIDE_REGISTERS = 10_000


class Figure(msgspec.Struct, frozen=True):
    """One measurement: ours, and the bare loop's or the limit's."""

    ours: float
    other: float | None = None
    beside: dict[str, float] = {}
    """What else was seen in this measurement."""


class Row(msgspec.Struct, frozen=True):
    """What is measured and what would be good."""

    name: str
    what: str
    unit: str
    measure: Callable[[float], Awaitable[Figure]]
    other: str
    """What `Figure.other` is; empty when there is none."""
    goal: str
    is_met: Callable[[Figure], bool]
    is_worst: bool = False
    """The worst measurement counts and not the median: it is a promise, not a speed."""


async def cpu_per_million_points(scale: float) -> Figure:
    """CPU-seconds a million points, at the reference load."""
    async with Harness() as h:
        h.configure(h.registers(REFERENCE_REGISTERS, 1.0))
        await h.start()
        await asyncio.sleep(3)
        seconds = 10 * scale
        points, cpu = h.device()["rounds"] * REFERENCE_REGISTERS, cpu_s(h.pid)
        await asyncio.sleep(seconds)
        cpu = cpu_s(h.pid) - cpu
        points = h.device()["rounds"] * REFERENCE_REGISTERS - points
        plain = await bare_loop(h, REFERENCE_REGISTERS, 1.0, seconds)
        burst = await bare_loop(h, REFERENCE_REGISTERS, 1.0, seconds, "burst")
    beside = {"bare loop, all requests at once, s": burst["cpu_s"] / burst["points"] * 1e6}
    return Figure(cpu / points * 1e6, plain["cpu_s"] / plain["points"] * 1e6, beside)


async def points_a_second(scale: float) -> Figure:
    """Points a second from one device, polled flat out; every one of them arrives."""
    async with Harness() as h:
        h.configure(h.registers(WIDE_REGISTERS, 0.005), mqtt="compact = true")
        await h.start()
        await asyncio.sleep(2)
        rounds, lane, began = h.device()["rounds"], h.telemetry(), time.monotonic()
        await asyncio.sleep(10 * scale)
        rounds, seconds = h.device()["rounds"] - rounds, time.monotonic() - began
        after = h.telemetry()
        # Only what the ingest has acknowledged in the same time is delivered.
        share = min(1.0, (after["acked"] - lane["acked"]) / (after["made"] - lane["made"]))
        await h.gateway.end(signal.SIGTERM)
        # What it could not hand over while it was stopping, it hands over now.
        h.configure(h.registers(WIDE_REGISTERS, 3_600.0), mqtt="compact = true")
        await h.gateway.start()
        await h.until(lambda: (h.status() or {}).get("lanes", {}).get("telemetry", {}).get("queued", 1) == 0)
        await h.gateway.end(signal.SIGTERM)
        await h.sink.end(signal.SIGTERM)
        check_arrival(h)
        plain = await bare_loop(h, WIDE_REGISTERS, 0.0, 5 * scale)
        burst = await bare_loop(h, WIDE_REGISTERS, 0.0, 5 * scale, "burst")
    beside = {
        "polled and journalled, 1/s": rounds * WIDE_REGISTERS / seconds,
        "bare loop, all requests at once, 1/s": burst["points"] / burst["seconds"],
    }
    return Figure(share * rounds * WIDE_REGISTERS / seconds, plain["points"] / plain["seconds"], beside)


def check_arrival(h: Harness) -> None:
    """All that the stopped gateway has ever made is in the ledger, once, with nothing lost."""
    ledger = verify_ledger(h.ledger)
    received = sum(lane.received for lane in ledger.lanes if lane.lane == "telemetry")
    lost = sum(lane.lost + lane.missing for lane in ledger.lanes)
    made = h.made()
    if ledger.problems or lost or received != made:
        raise AssertionError(f"{made} made, {received} arrived, {lost} lost; " + "; ".join(ledger.problems))


async def idle_cpu(scale: float) -> Figure:
    """CPU in per cent of a core, one register a second."""
    async with Harness() as h:
        h.configure(h.registers(1, 1.0))
        await h.start()
        await asyncio.sleep(3)
        seconds, cpu = 10 * scale, cpu_s(h.pid)
        await asyncio.sleep(seconds)
        cpu = (cpu_s(h.pid) - cpu) / seconds * 100
        plain = await bare_loop(h, 1, 1.0, seconds)
    return Figure(cpu, plain["cpu_s"] / plain["seconds"] * 100)


async def memory(scale: float) -> Figure:
    """Resident memory at the reference load."""
    async with Harness() as h:
        h.configure(h.registers(REFERENCE_REGISTERS, 1.0))
        await h.start()
        await asyncio.sleep(10 * scale)
        ours, peak = resident_mb(h.pid), peak_mb(h.pid)
        bare = await bare_loop(h, REFERENCE_REGISTERS, 1.0, 3)
    return Figure(ours, bare["rss_mb"], {"at most until then, MB": peak})


async def first_point(scale: float) -> Figure:
    """Seconds from the start of the process to its first reading at the broker."""
    del scale
    async with Harness() as h, h.listener() as client:
        h.configure(h.registers(REFERENCE_REGISTERS, 1.0))
        began = time.monotonic()
        await h.gateway.start()
        async for message in client.messages:
            if "/telemetry/" in str(message.topic):
                break
        ours = time.monotonic() - began
        command = [sys.executable, "-m", "tools.bench.bare_loop", str(h.slave_port), str(h.broker.port)]
        part = Part("bare loop", [*command, str(REFERENCE_REGISTERS), "1.0", "1"], h.folder / "bare.log")
        began = time.monotonic()
        await part.start()
        async for message in client.messages:
            if str(message.topic) == "bench/bare":
                break
        bare = time.monotonic() - began
        await part.end(signal.SIGTERM)
    return Figure(ours, bare)


async def bytes_a_point(scale: float) -> Figure:
    """TCP payload to the broker a point, compact form, 16-bit values: all that a proxy before the broker counts."""
    async with Harness() as h, TcpProxy("127.0.0.1", h.broker.port) as proxy:
        h.configure(
            h.registers(REFERENCE_REGISTERS, 1.0), mqtt="compact = true", broker=f"mqtt://127.0.0.1:{proxy.port}"
        )
        await h.start()
        await h.until(lambda: h.device()["rounds"] > 3)
        sent, counted, rounds = proxy.up_bytes, h.uplink()["bytes_out"], h.device()["rounds"]
        await h.until(lambda: h.device()["rounds"] >= rounds + max(3, int(10 * scale)))
        sent, rounds = proxy.up_bytes - sent, h.device()["rounds"] - rounds
        counted = h.uplink()["bytes_out"] - counted
    beside = {"by the gateway's own counter, B": counted / (rounds * REFERENCE_REGISTERS)}
    return Figure(sent / (rounds * REFERENCE_REGISTERS), None, beside)


async def after_an_outage(scale: float) -> Figure:
    """Seconds from the broker's return to the first record there."""
    async with Harness() as h:
        h.configure(h.registers(10, 1.0))
        await h.start()
        await h.until(lambda: h.telemetry()["acked"] > 1)
        await h.broker.stop()
        await asyncio.sleep(60 * scale)
        await h.broker.start()
        began = time.monotonic()
        async with h.listener() as client:
            async for message in client.messages:
                if "/telemetry/" in str(message.topic) or "/backfill/" in str(message.topic):
                    return Figure(time.monotonic() - began)
    raise AssertionError("nothing came")


async def backlog(scale: float) -> Figure:
    """Points a second that a backlog drains, while live data goes first: until the broker has taken all of it.

    How long the ingest then takes to have it on its disk is told beside it.
    """
    packs = max(1_000, int(6_000 * scale))
    async with Harness() as h:
        h.configure(h.registers(REFERENCE_REGISTERS, 1.0) + "\n[journal]\nquota_mb = 4000\n")
        h.prefill(packs, REFERENCE_REGISTERS)
        await h.start()
        await h.until(lambda: h.uplink()["records"] > 1)
        began, cpu, records = time.monotonic(), cpu_s(h.pid), h.uplink()["records"]
        await h.until(lambda: h.uplink()["records"] >= packs)
        seconds, cpu = time.monotonic() - began, cpu_s(h.pid) - cpu
        await h.until(lambda: h.telemetry()["queued"] < 5)
        acknowledged = time.monotonic() - began
        lost = h.telemetry()["lost"]
        if lost:
            raise AssertionError(f"{lost} records lost")
    points = (packs - records) * REFERENCE_REGISTERS
    beside = {"until the ingest has it on its disk, 1/s": points / acknowledged, "a CPU-second of ours": points / cpu}
    return Figure(points / seconds, None, beside)


async def killed_in_mid_drain(scale: float) -> Figure:
    """Records sent again after SIGKILL in mid-drain; the window is the limit."""
    async with Harness() as h:
        h.configure(h.registers(10, 1.0) + "\n[journal]\nquota_mb = 4000\n")
        h.prefill(int(6_000 * scale), REFERENCE_REGISTERS)
        await h.start()
        await h.until(lambda: (h.status() or {}).get("lanes", {}).get("telemetry", {}).get("acked", 0) > 500)
        await h.gateway.end(signal.SIGKILL)
        await h.gateway.start()
        await h.until(lambda: (h.status() or {}).get("lanes", {}).get("telemetry", {}).get("queued", 99) < 5)
        await h.gateway.end(signal.SIGTERM)
        ledger = verify_ledger(h.ledger)
        if ledger.problems:
            raise AssertionError("; ".join(ledger.problems))
        lost = sum(lane.lost + lane.missing for lane in ledger.lanes)
        if lost:
            raise AssertionError(f"{lost} records lost")
        with closing(sqlite3.connect(f"file:{h.ledger}?mode=ro", uri=True)) as stored:
            query = "SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT stream, seq FROM records)) FROM records"
            (twice,) = stored.execute(query).fetchone()
        return Figure(sum(lane.duplicates for lane in ledger.lanes), 16, {"stored twice": twice})


def line_use(baud: int, registers: int) -> Callable[[float], Awaitable[Figure]]:
    """How much of a serial line's physical best is used, silence kept."""

    async def measure(scale: float) -> Figure:
        async with Harness() as h:
            part = Part(
                "line",
                [sys.executable, "-m", "tools.bench.line_slave", str(baud), str(registers)],
                h.folder / "line.log",
            )
            await part.start()
            (ready,) = await part.first_lines(1)
            device = f'[[bus]]\nname = "line"\nport = "{ready["endpoint"]}"\n\n[[device]]\nname = "plc-1"\n'
            device += 'driver = "modbus"\nbus = "line"\nperiod_s = 0.005\n[[device.range]]\nname = "r"\n'
            h.configure(device + f'table = "holding"\naddress = 0\ncount = {registers}\n')
            await h.start()
            await h.until(lambda: h.device()["rounds"] > 2)
            rounds, began = h.device()["rounds"], time.monotonic()
            await asyncio.sleep(10 * scale)
            rounds, seconds = h.device()["rounds"] - rounds, time.monotonic() - began
            await part.end(signal.SIGTERM)
        best_s = LineTiming(baud=baud, bits_per_char=10).transaction_ms(registers) / 1000
        return Figure(best_s * rounds / seconds)

    return measure


async def write_amplification(scale: float) -> Figure:
    """Bytes given to write() for each byte of payload, at the reference load."""
    async with Harness() as h:
        h.configure(h.registers(REFERENCE_REGISTERS, 1.0))
        await h.start()
        await asyncio.sleep(3)
        first = h.status()
        await asyncio.sleep(10 * scale)
        last = h.status()
        await asyncio.sleep(2)
        assert first is not None
        assert last is not None
        written = last["storage"]["bytes_written"] - first["storage"]["bytes_written"]
        with closing(sqlite3.connect(f"file:{h.ledger}?mode=ro", uri=True)) as ledger:
            span = (first["lanes"]["telemetry"]["made"], last["lanes"]["telemetry"]["made"])
            query = (
                "SELECT sum(length(payload)) FROM records JOIN streams ON streams.id = records.stream "
                "WHERE lane = 'telemetry' AND seq > ? AND seq <= ?"
            )
            (payload,) = ledger.execute(query, span).fetchone()
        return Figure(written / payload)


PLAIN = "bare loop"

ROWS: tuple[Row, ...] = (
    Row("cpu", "CPU-seconds per million points, 1 000 registers each second", "s", cpu_per_million_points,
        PLAIN, "at most 4x the bare loop", lambda f: f.ours <= 4 * (f.other or 0)),
    Row("flat-out", "points a second from one TCP device without loss, compact form", "1/s", points_a_second,
        PLAIN, "at least 0.2x the bare loop", lambda f: f.ours >= 0.2 * (f.other or 0)),
    Row("idle", "idle CPU, one register a second", "%", idle_cpu, PLAIN, "below 0.3 %", lambda f: f.ours < 0.3),
    Row("memory", "resident memory, loaded", "MB", memory, PLAIN, "at most 45 MB", lambda f: f.ours <= 45),
    Row("start", "start to first point at the broker", "s", first_point, PLAIN,
        "at most 0.4 s and 5x the bare loop", lambda f: f.ours <= 0.4 and f.ours <= 5 * (f.other or 0)),
    Row("bytes", "TCP payload bytes a point, compact form, 16-bit values", "B", bytes_a_point, "", "at most 3.3",
        lambda f: f.ours <= 3.3),
    Row("outage", "first record after an outage", "s", after_an_outage, "", "median 1.5 s", lambda f: f.ours <= 1.5),
    Row("backlog", "backlog drained to the broker, live data first", "1/s", backlog, "", "at least 1 000 000",
        lambda f: f.ours >= 1e6),
    Row("kill", "records sent again after kill -9 in mid-drain", "", killed_in_mid_drain, "in-flight window",
        "at most the window, none stored twice; the worst counts", lambda f: f.ours <= (f.other or 0), is_worst=True),
    Row("line-9600", "RS-485 line use, blocks of 10 registers, 9600 baud", "of the best", line_use(9600, 10), "",
        "at least 0.97", lambda f: f.ours >= 0.97),
    Row("line-115200", "RS-485 line use, blocks of 10 registers, 115200 baud", "of the best", line_use(115200, 10), "",
        "at least 0.90", lambda f: f.ours >= 0.90),
    Row("writes", "bytes given to write() per payload byte, reference load", "", write_amplification, "", "at most 1.2",
        lambda f: f.ours <= 1.2),
)  # fmt: skip
