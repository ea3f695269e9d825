"""Signed commands over the real broker: carried out once, in their life, with an answer."""

import asyncio
import json
import signal
import time
from collections.abc import Mapping
from typing import Any

import aiomqtt
import pytest

from edge.gateway.audit import verify_audit
from emulators.kit.hosts import TcpHost
from emulators.modbus_server import ModbusUnit, TcpUnits
from hil_tests.bench import NODE, Bench
from hil_tests.devices import counter, counter_table, receiver, receiver_table
from protocols.wayside.envelope import Command, build_envelope, command_of, parse_envelope
from protocols.wayside.topics import down_topic, up_topic

pytestmark = pytest.mark.hil

READ_HOLDING = 3
VALVE = """
[[device]]
name = "valve-1"
driver = "modbus"
port = "{port}"
period_s = 0.2
[[device.range]]
name = "valve"
table = "holding"
address = 0
count = 1
writable = true
"""


class Valve:
    """An actuator behind Modbus TCP that remembers who asked what of it."""

    def __init__(self) -> None:
        self._unit = ModbusUnit(1)
        self._unit.set_registers("holding", 0, [0])

    def host(self) -> TcpHost:
        return TcpHost(lambda: TcpUnits([self._unit]))

    @property
    def writes(self) -> list[tuple[int, int, int]]:
        """(function, address, count) of everything but reads."""
        return [request for request in self._unit.requests if request[0] != READ_HOLDING]

    @property
    def requests(self) -> int:
        return len(self._unit.requests)


async def knows_the_time(bench: Bench) -> None:
    """Wait until the box is reached and can tell a fresh command from an old one."""
    await bench.connected()
    await bench.until(lambda: bench.status()["clock"]["quality"] != "none", "the box knows what time it is")


async def test_a_device_is_switched_off_and_on_and_its_configuration_stays(bench: Bench):
    """Row 4 of docs/field_failures.md: disable and enable leave the configuration's digest as it is."""
    valve = Valve()
    bench.configure(VALVE.format(port=await bench.add(valve.host())) + receiver_table(await bench.add(receiver())))
    await bench.start()
    await knows_the_time(bench)
    digest = bench.status()["config"]["digest"]
    code, out, said = await bench.command_line("command", "send", "device.disable", "--device", "valve-1", "--json")
    assert code == 0, out + said
    assert bench.status()["devices"]["valve-1"]["state"] == "disabled"
    asked = valve.requests
    await bench.stop_gateway(signal.SIGKILL)
    await bench.start_gateway()
    assert bench.status()["devices"]["valve-1"]["state"] == "disabled"
    await bench.until(lambda: bench.status()["devices"]["gnss"]["sentences"] > 10, "the other device is heard")
    assert valve.requests == asked, "it is not polled"
    await knows_the_time(bench)
    code, out, said = await bench.command_line("command", "send", "device.enable", "--device", "valve-1", "--json")
    assert code == 0, out + said
    await bench.until(lambda: valve.requests > asked, "it is polled again")
    assert bench.status()["config"]["digest"] == digest
    await bench.everything_arrived()
    assert verify_audit(bench.data / "audit")[0] == 4


LIFE_S = 1


async def its_life_is_over(envelope: bytes) -> None:
    """Wait until the box would find it too old: nothing but time makes it so."""
    command = command_of(parse_envelope(envelope))
    over_ms = command.issued + 1_000 * command.life_s
    await asyncio.sleep(max(0.0, (over_ms - time.time_ns() // 1_000_000) / 1_000) + 0.5)


async def test_a_command_that_reaches_a_box_too_late_is_answered_and_not_carried_out(bench: Bench):
    """Row 27 of docs/field_failures.md: the box hung; the answer is `expired`, and the valve was not moved."""
    valve = Valve()
    bench.configure(VALVE.format(port=await bench.add(valve.host())) + receiver_table(await bench.add(receiver())))
    await bench.start()
    await knows_the_time(bench)
    bench.gateway.process.send_signal(signal.SIGSTOP)
    async with bench.client(NODE) as beside:
        await beside.subscribe(down_topic(NODE, "command"), qos=1)
        written = ["--device", "valve-1", "--arg", "point=valve0", "--arg", "value=1"]
        sending = asyncio.create_task(
            bench.command_line("command", "send", "modbus.write", *written, "--life", str(LIFE_S), "--json")
        )
        envelope = await anext(aiter(beside.messages))
        await its_life_is_over(envelope.payload)
    bench.gateway.process.send_signal(signal.SIGCONT)
    code, out, said = await sending
    assert (code, json.loads(out)["state"]) == (1, "expired"), said
    asked = valve.requests
    await bench.until(lambda: valve.requests > asked + 3, "it polls on")
    assert valve.writes == []
    assert bench.status()["devices"]["valve-1"]["starts"] == 1
    await bench.everything_arrived()


async def test_a_command_for_a_box_that_was_off_too_long_is_answered_and_not_carried_out(bench: Bench):
    """Row 27 of docs/field_failures.md: kept by a broker that does not know of its life, it comes with the box."""
    valve = Valve()
    bench.configure(VALVE.format(port=await bench.add(valve.host())) + receiver_table(await bench.add(receiver())))
    await bench.start()
    await knows_the_time(bench)
    await bench.stop_gateway()
    async with bench.client("control") as control:
        await control.subscribe(up_topic(NODE, "result/#"), qos=1)
        envelope = signed(bench, "late-1", "modbus.write", "valve-1", {"point": "valve0", "value": 1}, life_s=LIFE_S)
        await control.publish(down_topic(NODE, "command"), envelope, qos=1)
        await its_life_is_over(envelope)
        await bench.start_gateway()
        result = await outcome(control)
        assert (result["id"], result["state"]) == ("late-1", "expired")
        assert await answer(control, envelope) == result, "also when it comes again"
    assert valve.writes == []
    await bench.everything_arrived()


async def test_a_write_that_is_sent_twice_is_written_once(bench: Bench):
    """Row 27 of docs/field_failures.md: one id is carried out once, and answered the same way twice."""
    valve = Valve()
    bench.configure(VALVE.format(port=await bench.add(valve.host())) + receiver_table(await bench.add(receiver())))
    await bench.start()
    await knows_the_time(bench)
    opened = signed(bench, "open-1", "modbus.write", "valve-1", {"point": "valve0", "value": 1})
    async with bench.client("control") as control:
        await control.subscribe(up_topic(NODE, "result/#"), qos=1)
        first = await answer(control, opened)
        assert (first["state"], first["out"]) == ("done", {"point": "valve0", "value": 1})
        assert await answer(control, opened) == first
        await bench.stop_gateway(signal.SIGKILL)
        await bench.start_gateway()
        assert await answer(control, opened) == first
    assert len(valve.writes) == 1
    await bench.everything_arrived()


async def test_a_command_that_nobody_has_signed_for_this_box_changes_nothing(bench: Bench):
    bench.configure(counter_table("plc-1", await bench.add(counter())) + receiver_table(await bench.add(receiver())))
    await bench.start()
    await bench.connected()
    stranger = bench.folder / "stranger.key"
    type(bench.operator).new().write(stranger, bench.folder / "stranger.pub")
    (bench.folder / "ops-1.key").unlink()
    stranger.rename(bench.folder / "ops-1.key")
    code, _out, _said = await bench.command_line(
        "command", "send", "device.disable", "--device", "plc-1", "--timeout", "3", "--json"
    )
    assert code == 3
    assert bench.status()["devices"]["plc-1"]["state"] == "running"
    assert bench.status()["devices"]["plc-1"]["starts"] == 1
    assert bench.status()["commands"]["unbelieved"] == 1


def signed(
    bench: Bench,
    name: str,
    operation: str,
    device: str = "plc-1",
    args: Mapping[str, Any] | None = None,
    *,
    life_s: int = 60,
) -> bytes:
    issued = time.time_ns() // 1_000_000
    command = Command(
        v=1, node=NODE, id=name, op=operation, device=device, args=dict(args or {}), issued=issued, life_s=life_s
    )
    return build_envelope("command", command, key_id="ops-1", sign=bench.operator.sign)


async def answer(control: aiomqtt.Client, envelope: bytes) -> dict[str, Any]:
    """Send an envelope and return what came of it."""
    await control.publish(down_topic(NODE, "command"), envelope, qos=1)
    return await outcome(control)


async def outcome(control: aiomqtt.Client) -> dict[str, Any]:
    """What came of the command that is under way."""
    async with asyncio.timeout(15):
        async for message in control.messages:
            result: dict[str, Any] = json.loads(message.payload)
            if result["state"] not in ("accepted", "running"):
                return result
    raise AssertionError("the connection ended")


async def test_a_command_sent_again_is_answered_again_and_carried_out_once(bench: Bench):
    """Row 27 of docs/field_failures.md: also after a power cut, and after its opposite has been carried out."""
    bench.configure(counter_table("plc-1", await bench.add(counter())) + receiver_table(await bench.add(receiver())))
    await bench.start()
    await knows_the_time(bench)
    off = signed(bench, "off-1", "device.disable")
    async with bench.client("control") as control:
        await control.subscribe(up_topic(NODE, "result/#"), qos=1)
        first = await answer(control, off)
        assert (first["state"], first["out"]) == ("done", {"enabled": False})
        assert await answer(control, off) == first
        assert (await answer(control, signed(bench, "on-1", "device.enable")))["state"] == "done"
        starts = bench.status()["devices"]["plc-1"]["starts"]
        assert await answer(control, off) == first
        assert bench.status()["devices"]["plc-1"]["state"] == "running"
        assert bench.status()["devices"]["plc-1"]["starts"] == starts
        await bench.stop_gateway(signal.SIGKILL)
        await bench.start_gateway()
        await bench.connected()
        assert await answer(control, off) == first
        other = await answer(control, signed(bench, "off-1", "device.enable"))
        assert other["state"] == "duplicate", "another command has had this id"
    assert bench.status()["devices"]["plc-1"]["state"] == "running"
    assert verify_audit(bench.data / "audit")[0] == 4
    await bench.everything_arrived()
