"""Rows 9 to 16 of docs/field_failures.md, on real pseudo-terminals and sockets, shortened by faster lines."""

import asyncio
from itertools import pairwise
from pathlib import Path

from drivers.ports import serial_port
from drivers.readings import Quality
from drivers.tests.bench_of_one import Kept, LoopClock, running, until
from drivers.tests.modbus_rig import bus_on, counter_unit, device_on, is_whole, line_of, server_of, silence_s
from emulators.kit.faults import Fault, FaultPlan

FAILED = int(Quality.COMMUNICATION_FAILED)


async def test_no_stale_value_after_a_device_is_lost():
    """Row 9: kill the simulator; within one period and time-out quality is not good, and no value is newer."""
    kept, host = Kept(), server_of([counter_unit()])
    async with host, running(device_on(None, kept, endpoint=host.endpoint, period_s=0.1)):
        await until(lambda: len(kept.good("m")) >= 3)
        await host.aclose()
        killed_at = LoopClock().monotonic()
        await until(lambda: kept.samples[-1].bad, 0.1 + 1.0)
        await until(lambda: sum(bool(sample.bad) for sample in kept.samples) >= 5)
    for sample in kept.samples:
        assert not sample.bad or (sample.values, sample.bad) == ([None] * 10, [(i, FAILED) for i in range(10)])
        assert sample.bad or (is_whole(sample.values) and sample.at <= killed_at)
    assert kept.history == [("lost", "m")]


async def test_eight_units_on_one_line_never_talk_at_once():
    """Row 10: the tap shows at most one outstanding request, the silent interval respected, one open handle."""
    baud = 38_400
    units = [counter_unit(unit_id) for unit_id in range(1, 9)]
    kept, host = Kept(), line_of(units, baud)
    async with host:
        bus = bus_on(host.endpoint)
        devices = [device_on(bus, kept, name=f"m{unit.unit_id}", unit_id=unit.unit_id, period_s=0.15) for unit in units]
        async with running(bus, *devices):
            await until(lambda: all(len(kept.good(device.name)) >= 8 for device in devices))
            handles = [link for link in Path("/proc/self/fd").iterdir() if _target(link) == host.path]
            assert len(handles) == 2  # the bus's own, and the one by which the emulator keeps the terminal alive
        assert host.tap.violations == 0
        heard = list(host.tap.heard)
        for earlier, later in pairwise(heard):
            assert earlier.who != later.who, "a second request before the first was answered"
            assert later.started >= earlier.ended + silence_s(baud) or later.who == "device"
        assert all(is_whole(sample.values) for sample in kept.samples)
        assert bus.status()["timeouts"] == 0


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # the descriptor by which the directory itself was read
        return ""


async def test_one_dead_unit_costs_the_others_at_most_a_twentieth():
    """Row 11: 1 of 10 units is silent: nine keep 95 % of their polls; the dead one backs off and is probed again."""
    units = [counter_unit(unit_id) for unit_id in range(1, 11)]
    units[3].is_silent = True
    kept, host = Kept(), line_of(units)
    async with host:
        bus = bus_on(host.endpoint)
        period_s, rounds = 0.12, 30
        devices = [
            device_on(bus, kept, name=f"m{unit.unit_id}", unit_id=unit.unit_id, period_s=period_s) for unit in units
        ]
        async with running(bus, *devices):
            await until(lambda: len(kept.of("m10")) >= 1)
            began = LoopClock().monotonic()
            await asyncio.sleep(rounds * period_s)
            scheduled = (LoopClock().monotonic() - began) / period_s
            for device in devices:
                good = [sample for sample in kept.good(device.name) if sample.at >= began]
                assert len(good) >= 0.95 * scheduled or device.name == "m4", device.name
            asked = len(units[3].requests)
            assert 3 < asked <= 3 + scheduled / 10 + 1  # three misses, then probes
            assert kept.lost.keys() == {"m4"}
            units[3].is_silent = False
            await until(lambda: kept.good("m4"))
        assert kept.history[-1] == ("back", "m4")


async def test_a_server_may_restart_twenty_times():
    """Row 12: readings resume inside two periods each time, and nothing is restarted for it."""
    kept, host = Kept(), server_of([counter_unit()])
    async with host:
        period_s = 0.1
        async with running(device_on(None, kept, endpoint=host.endpoint, period_s=period_s)):
            for _ in range(20):
                count = len(kept.good("m"))
                await until(lambda count=count: len(kept.good("m")) > count)
                await host.aclose()
                await until(lambda: kept.samples[-1].bad)
                await host.start()
                again = LoopClock().monotonic()
                await until(lambda: not kept.samples[-1].bad)
                assert kept.samples[-1].at - again <= 2 * period_s + 0.1  # and what a busy machine takes
        assert kept.history == [("lost", "m"), ("back", "m")] * 20


async def test_a_renumbered_port_is_found_again(tmp_path):
    """Row 13: the port vanishes and returns under another name; a loss is told meanwhile; found again within 10 s."""
    link = tmp_path / "usb-A10K3F"
    unit = counter_unit()
    kept, first = Kept(), line_of([unit], link=link)
    async with first:
        bus = bus_on(first.endpoint)
        async with running(bus, device_on(bus, kept, period_s=0.1)):
            await until(lambda: kept.good("m"))
            await first.aclose()
            await until(lambda: kept.lost)
            second = line_of([unit], link=link)
            await second.start()
            moved = LoopClock().monotonic()
            count = len(kept.good("m"))
            await until(lambda: len(kept.good("m")) > count, 10)
            assert LoopClock().monotonic() - moved < 10
            assert second.path
        await second.aclose()
        assert kept.history == [("lost", "m"), ("back", "m")]
        assert bus.opened == 2


async def test_a_stale_handle_is_noticed_although_no_error_comes(tmp_path, monkeypatch):
    """Row 13: the old handle stays open and silent; the stable name means another device now."""
    monkeypatch.setattr(serial_port, "IDENTITY_CHECK_S", 0.1)
    link = tmp_path / "usb-A10K3F"
    unit = counter_unit()
    kept, old, new = Kept(), line_of([unit], link=link), line_of([unit])
    async with old:
        bus = bus_on(old.endpoint)
        async with running(bus, device_on(bus, kept, period_s=0.1)):
            await until(lambda: kept.good("m"))
            await new.start()
            link.unlink()
            link.symlink_to(new.path)
            await until(lambda: kept.lost)
            await until(lambda: not kept.lost)
        await new.aclose()
    assert kept.history == [("lost", "m"), ("back", "m")]
    assert bus.opened == 2


async def test_noise_and_foreign_frames_neither_fail_reads_nor_close_the_port():
    """Row 14: noise, half frames and foreign frames at 5 %: reads succeed at 99 % with retries, one opening."""
    foreign = ("0903020001", "01030400", "ff", "0106000300017bca", "00000000000000000000")
    plan = FaultPlan(
        seed=14,
        foreign=Fault(p=0.02, frames=foreign),
        truncate=Fault(p=0.01),
        flip=Fault(p=0.01),
        checksum=Fault(p=0.005),
        split=Fault(p=0.005, s=(0.001, 0.004)),
    )
    units = [counter_unit(unit_id) for unit_id in (1, 2, 3)]
    kept, host = Kept(), line_of(units, faults=plan)
    async with host:
        bus = bus_on(host.endpoint)
        devices = [device_on(bus, kept, name=f"m{unit.unit_id}", unit_id=unit.unit_id, period_s=0.05) for unit in units]
        async with running(bus, *devices):
            await until(lambda: len(kept.samples) >= 220, 10)
        good = [sample for sample in kept.samples if not sample.bad]
        assert len(good) >= 0.99 * len(kept.samples)
        assert all(is_whole(sample.values) for sample in good)
        assert bus.status()["noise"] > 0
        assert bus.opened == 1


async def test_a_late_answer_on_a_line_is_never_stored_under_another_question():
    """Row 15: replies come after their time-out while other registers of the same shape are asked."""
    unit = counter_unit(registers=40, step_s=1000)
    plan = FaultPlan(seed=15, late=Fault(p=0.3, s=(0.06, 0.5)))
    kept, host = Kept(), line_of([unit], faults=plan)
    async with host:
        blocks = [{"name": f"b{at}-", "table": "holding", "address": at, "count": 10} for at in (0, 10, 20, 30)]
        bus = bus_on(host.endpoint, late_s=0.55)
        device = device_on(bus, kept, range=blocks, max_registers=10, period_s=0.05, retries=1)
        async with running(bus, device):
            await until(lambda: len(kept.samples) >= 8, 20)
        seen = [value for sample in kept.samples for value in sample.values if value is not None]
        assert len(seen) > 40
        for sample in kept.samples:
            assert all(value in (None, i) for i, value in enumerate(sample.values))
        assert device.status()["request_timeouts"] > 0


async def test_a_late_answer_over_tcp_is_never_stored_under_another_question():
    """Row 15 over Modbus TCP, with a window."""
    unit = counter_unit(registers=40, step_s=1000)
    plan = FaultPlan(seed=15, late=Fault(p=0.2, s=(0.05, 0.3)))
    kept, host = Kept(), server_of([unit], faults=plan)
    async with host:
        device = device_on(
            None,
            kept,
            endpoint=host.endpoint,
            range=[{"name": "raw", "table": "holding", "address": 0, "count": 40}],
            max_registers=10,
            max_in_flight=4,
            timeout_ms=30,
            period_s=0.05,
        )
        async with running(device):
            await until(lambda: len(kept.samples) >= 40 and device.status()["late"] > 0, 10)
        for sample in kept.samples:
            assert all(value in (None, i) for i, value in enumerate(sample.values))


async def test_a_device_with_one_connection_refuses_nothing():
    """Row 16: limit 1, reads and commands in parallel, also over lost connections."""
    unit = counter_unit(registers=20, step_s=1000)
    kept, host = Kept(), server_of([unit], max_connections=1)
    async with host:
        writable = [{"name": "set", "table": "holding", "address": 10, "count": 4, "writable": True}]
        device = device_on(None, kept, endpoint=host.endpoint, range=writable, period_s=0.05)
        async with running(device):
            for number in range(3):
                await until(lambda: kept.samples and not kept.samples[-1].bad)
                writes = [
                    device.command("modbus.write", {"point": f"set{i}", "value": 100 * number + i}) for i in range(4)
                ]
                assert await asyncio.gather(*writes) == [
                    {"point": f"set{i}", "value": 100 * number + i} for i in range(4)
                ]
                before = len(kept.samples)
                for connection in tuple(host.connections):
                    connection.abort()
                await until(lambda before=before: len(kept.samples) > before + 2)
        assert host.refused == 0
        assert host.accepted == 4
