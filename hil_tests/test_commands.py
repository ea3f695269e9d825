"""Signed commands over the real broker: carried out once, in their life, with an answer."""

import asyncio
import json
import signal
import time

import aiomqtt
import pytest

from edge.gateway.audit import verify_audit
from hil_tests.bench import NODE, Bench
from hil_tests.devices import counter, counter_table, receiver, receiver_table
from protocols.wayside.envelope import Command, build_envelope
from protocols.wayside.topics import down_topic, up_topic

pytestmark = pytest.mark.hil


async def test_a_device_is_switched_off_and_on_and_its_configuration_stays(bench: Bench):
    """Row 4 of docs/field_failures.md: disable and enable leave the configuration's digest as it is."""
    bench.configure(counter_table("plc-1", await bench.add(counter())) + receiver_table(await bench.add(receiver())))
    await bench.start()
    await bench.until(lambda: bench.status()["clock"]["quality"] != "none", "the box knows what time it is")
    digest = bench.status()["config"]["digest"]
    code, out, said = await bench.command_line("command", "send", "device.disable", "--device", "plc-1", "--json")
    assert code == 0, out + said
    assert bench.status()["devices"]["plc-1"]["state"] == "disabled"
    await bench.stop_gateway(signal.SIGKILL)
    await bench.start_gateway()
    assert bench.status()["devices"]["plc-1"]["state"] == "disabled"
    await bench.until(lambda: bench.status()["clock"]["quality"] != "none", "the box knows what time it is")
    code, out, said = await bench.command_line("command", "send", "device.enable", "--device", "plc-1", "--json")
    assert code == 0, out + said
    await bench.until(lambda: bench.status()["devices"]["plc-1"]["rounds"] > 0, "it is polled again")
    assert bench.status()["config"]["digest"] == digest
    await bench.everything_arrived()
    assert verify_audit(bench.data / "audit")[0] == 4


async def test_a_command_for_a_box_that_was_away_too_long_is_not_carried_out(bench: Bench):
    """Row 27 of docs/field_failures.md."""
    bench.configure(counter_table("plc-1", await bench.add(counter())) + receiver_table(await bench.add(receiver())))
    await bench.start()
    await bench.connected()
    await bench.until(lambda: bench.status()["clock"]["quality"] != "none", "the box knows what time it is")
    bench.gateway.process.send_signal(signal.SIGSTOP)
    sending = asyncio.create_task(
        bench.command_line(
            "command", "send", "device.disable", "--device", "plc-1", "--life", "1", "--timeout", "12", "--json"
        )
    )
    await asyncio.sleep(3)
    bench.gateway.process.send_signal(signal.SIGCONT)
    code, out, _said = await sending
    answer = json.loads(out.splitlines()[-1]) if out.strip() else {}
    assert code in (1, 3)
    assert answer.get("state", "expired") == "expired"
    await bench.until(lambda: bench.status() is not None, "it answers")
    assert bench.status()["devices"]["plc-1"]["state"] == "running"


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
    assert bench.status()["commands"]["unbelieved"] >= 1


def signed(bench: Bench, name: str, operation: str) -> bytes:
    issued = time.time_ns() // 1_000_000
    command = Command(v=1, node=NODE, id=name, op=operation, device="plc-1", issued=issued, life_s=60)
    return build_envelope("command", command, key_id="ops-1", sign=bench.operator.sign)


async def answer(control: aiomqtt.Client, envelope: bytes) -> dict:
    """Send an envelope and return what came of it."""
    await control.publish(down_topic(NODE, "command"), envelope, qos=1)
    async with asyncio.timeout(15):
        async for message in control.messages:
            result = json.loads(message.payload)
            if result["state"] not in ("accepted", "running"):
                return result
    raise AssertionError("the connection ended")


async def test_a_command_sent_again_is_answered_again_and_carried_out_once(bench: Bench):
    """Row 27 of docs/field_failures.md: also after a power cut, and after its opposite has been carried out."""
    bench.configure(counter_table("plc-1", await bench.add(counter())) + receiver_table(await bench.add(receiver())))
    await bench.start()
    await bench.connected()
    await bench.until(lambda: bench.status()["clock"]["quality"] != "none", "the box knows what time it is")
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
