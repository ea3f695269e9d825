"""Configuration from a distance: an equal one changes nothing, a good one is kept, a bad one is taken back."""

import asyncio
import json
import signal
import ssl
import time
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from emulators.tcp_proxy import TcpProxy
from hil_tests.bench import NODE, Bench
from hil_tests.devices import counter, counter_table, receiver, receiver_table
from protocols.wayside.envelope import Desired, build_envelope
from protocols.wayside.topics import down_topic, up_topic
from tools.demo.parts import PREFILLED_DEVICE
from tools.sink.ledger import read_readings

pytestmark = pytest.mark.hil


async def push(bench: Bench, document: str, *arguments: str, timeout_s: int = 30) -> tuple[int, str, str]:
    file = bench.folder / "pushed.toml"
    file.write_text(document)
    return await bench.command_line("config", "push", str(file), "--json", "--timeout", str(timeout_s), *arguments)


async def test_a_pushed_configuration_runs_and_is_still_there_after_a_power_cut(bench: Bench):
    device = counter()
    first = counter_table("plc-1", await bench.add(device))
    both = first + counter_table("plc-2", await bench.add(counter()))
    bench.shorten_trial(8.0)
    bench.configure(first)
    await bench.start()
    await bench.connected()
    code, out, said = await push(bench, bench.document(both))
    assert code == 0, out + said + bench.log()
    await bench.until(lambda: "plc-2" in bench.status()["devices"], "the new device is there")
    await bench.until(lambda: not bench.status()["config"]["on_trial"], "it has proven itself")
    status = bench.status()
    assert status["config"]["version"] == 1
    assert status["devices"]["plc-1"]["starts"] == 1, "a device whose table did not change goes on"
    assert device.accepted == 1
    await bench.stop_gateway(signal.SIGKILL)
    await bench.start_gateway()
    assert set(bench.status()["devices"]) == {"plc-1", "plc-2"}
    await bench.everything_arrived()


async def test_a_configuration_too_long_for_a_message_is_fetched_from_where_the_message_says(bench: Bench):
    first = counter_table("plc-1", await bench.add(counter()))
    bench.shorten_trial(8.0)
    bench.configure(first)
    await bench.start()
    await bench.connected()
    document = bench.document(first + counter_table("plc-2", await bench.add(counter()))) + "# long\n" * 20_000
    code, _out, said = await push(bench, document)
    assert (code, "--url" in said) == (2, True)
    made = bench.ca.issue_server("web", now=datetime.now(UTC))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.cert, made.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + document.encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "localhost", 0, ssl=context) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/bench-1.toml"
        code, out, said = await push(bench, document, "--url", url)
    assert code == 0, out + said + bench.log()
    await bench.until(lambda: "plc-2" in bench.status()["devices"], "the new device is there")
    assert bench.status()["config"]["version"] == 1
    await bench.everything_arrived()


@pytest.mark.parametrize("pushes", [10, pytest.param(1, marks=pytest.mark.long)])
async def test_an_equal_configuration_pushed_fifty_times_over_reconnects_changes_nothing(bench: Bench, pushes: int):
    """Rows 1 and 2 of docs/field_failures.md: the queue, its epoch and every driver stay; `pushes` a connection."""
    async with TcpProxy("127.0.0.1", bench.broker.port, seed=1) as proxy, bench.client("control") as control:
        device = counter()
        document = bench.configure(
            counter_table("plc-1", await bench.add(device), period_s=0.5),
            brokers=[f"mqtts://localhost:{proxy.port}"],
        )
        bench.prefill(10_000, points=2)
        epoch = min((bench.data / "journal" / "telemetry").glob("*.seg")).name[:16]
        await bench.start_gateway()
        for version in range(1, 51):
            desired = Desired(v=1, node=NODE, version=version, issued=time.time_ns() // 1_000_000, document=document)
            envelope = build_envelope("desired", desired, key_id="ops-1", sign=bench.operator.sign)
            if version % pushes == 0:
                proxy.reset_all()
            await control.publish(down_topic(NODE, "desired"), envelope, qos=1, retain=True)
            await bench.until(lambda v=version: bench.status()["config"]["version"] == v, "the push is heard")
        status = bench.status()
        assert status["uplink"]["sessions"] >= 50 // pushes
        assert status["devices"]["plc-1"]["starts"] == 1
        assert device.accepted == 1, "the driver has kept its connection"
        assert status["devices"]["plc-1"]["late_rounds"] == 0, "no gap of a period"
        assert status["lanes"]["telemetry"]["queued"] >= 10_000, "nobody has taken them yet"
        await bench.start_sink()
        await bench.everything_arrived(within_s=90)
    polls = [reading.time_ms for reading in read_readings(bench.ledger_file, device="plc-1") if reading.point == "raw0"]
    assert len(polls) > 10
    assert max(after - before for before, after in pairwise(polls)) < 2 * 500
    records = [record for record in bench.records("telemetry") if record.route == "telemetry/flow-1"]
    assert len(records) == 10_000
    assert {record.epoch for record in records} == {epoch}


@pytest.mark.parametrize("by", ["push", "file"])
async def test_a_configuration_that_loses_the_uplink_is_taken_back_by_itself(bench: Bench, by: str):
    """Row 3 of docs/field_failures.md, its trial shortened."""
    tables = counter_table("plc-1", await bench.add(counter()))
    bench.shorten_trial(4.0)
    good = bench.configure(tables)
    await bench.start()
    await bench.connected()
    bad = bench.document(tables, brokers=["mqtts://localhost:1"])
    if by == "push":
        code, out, _said = await push(bench, bad)
        assert (json.loads(out.splitlines()[-1])["state"], code) in (("running", 0), ("rolled-back", 1))
    else:
        bench.config.write_text(bad)
        bench.gateway.process.send_signal(signal.SIGHUP)
        await bench.until(lambda: bench.status()["config"]["on_trial"], "the edit is put to work")
    await bench.until(lambda: bench.status()["config"]["outcome"] == "rolled-back", "it is taken back", within_s=30)
    await bench.until(lambda: bench.status()["uplink"]["state"] == "connected", "the uplink is reached again")
    assert bench.status()["uplink"]["broker"] in good
    async with bench.client("control") as control, asyncio.timeout(10):
        await control.subscribe(up_topic(NODE, "reported"), qos=1)
        async for message in control.messages:
            if json.loads(message.payload)["config"]["state"] == "rolled-back":
                break
    await bench.everything_arrived()


async def test_a_power_cut_in_mid_trial_leads_back_to_what_reached_the_uplink(bench: Bench):
    """Row 3 of docs/field_failures.md, and nobody waits for the trial to end."""
    tables = counter_table("plc-1", await bench.add(counter()))
    good = bench.configure(tables)
    await bench.start()
    await bench.connected()
    bench.config.write_text(bench.document(tables, brokers=["mqtts://localhost:1"]))
    bench.gateway.process.send_signal(signal.SIGHUP)
    await bench.until(lambda: bench.status()["config"]["on_trial"], "the edit is put to work")
    await bench.stop_gateway(signal.SIGKILL)
    await bench.start_gateway()
    await bench.until(lambda: bench.status()["uplink"]["state"] == "connected", "the uplink is reached again")
    status = bench.status()
    assert (status["config"]["outcome"], status["uplink"]["broker"] in good) == ("rolled-back", True)
    await bench.everything_arrived()


async def test_a_wrong_configuration_is_refused_with_its_lines_and_nothing_stops(bench: Bench):
    device = counter()
    tables = counter_table("plc-1", await bench.add(device))
    bench.configure(tables)
    await bench.start()
    await bench.connected()
    wrong = bench.document(tables) + "\n[nonsense]\n"
    bench.config.write_text(wrong)
    bench.gateway.process.send_signal(signal.SIGHUP)
    await bench.until(lambda: bench.status()["config"]["outcome"] == "refused", "the edit is refused")
    line = wrong.splitlines().index("[nonsense]") + 1
    assert f":{line}: nonsense: " in bench.status()["config"]["reason"]
    assert bench.status()["devices"]["plc-1"]["starts"] == device.accepted == 1
    await bench.everything_arrived()


async def test_what_was_queued_under_an_old_catalogue_stays_readable(bench: Bench):
    """Row 20 of docs/field_failures.md: filter, devices, catalogue and broker change with thousands queued."""
    endpoint = await bench.add(counter(registers=20))
    bench.configure(counter_table("plc-1", endpoint, registers=10, period_s=0.1), mqtt="compact = true")
    bench.prefill(5_000)
    await bench.start_gateway()
    await bench.until(lambda: bench.lane("telemetry")["made"] >= 5_005, "packs under the first catalogue")
    changed = counter_table("plc-1", endpoint, registers=20, period_s=0.1)
    changed = changed.replace("period_s = 0.1\n", 'period_s = 0.1\nreport = "change"\n')
    changed += receiver_table(await bench.add(receiver()))
    async with TcpProxy("127.0.0.1", bench.broker.port) as other:
        address = f"mqtts://localhost:{other.port}"
        bench.config.write_text(bench.document(changed, brokers=[address], mqtt="compact = true"))
        bench.gateway.process.send_signal(signal.SIGHUP)
        await bench.until(lambda: "gnss" in bench.status()["devices"], "the change is put to work")
        await bench.until(lambda: bench.status()["uplink"]["broker"] == address, "the other broker is tried")
        await bench.until(lambda: not bench.status()["config"]["on_trial"], "it has proven itself")
        await bench.broker.stop()
        await bench.until(lambda: bench.status()["uplink"]["state"] == "away", "the broker is gone")
        bench.broker.forget()
        await bench.broker.start()
        await bench.start_sink()
        await bench.everything_arrived(within_s=60)
    queued = [record for record in bench.records("telemetry") if record.route == f"telemetry/{PREFILLED_DEVICE}"]
    assert len(queued) == 5_000
    assert {len(record.pack.values[0]) for record in queued} == {20}
    points: dict[int, set[str]] = {}
    for reading in read_readings(bench.ledger_file, device="plc-1"):
        points.setdefault(reading.seq, set()).add(reading.point)
    of_each = [points[seq] for seq in sorted(points)]
    first, second = ({f"raw{number}" for number in range(count)} for count in (10, 20))
    assert of_each == [first] * of_each.count(first) + [second] * of_each.count(second)
    assert of_each.count(first) >= 4
    assert of_each.count(second) > 0
