"""Starts that go wrong: one clear line, visible in `status`, and everything by itself when the cause goes."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.identity.development_ca import DevelopmentCa
from emulators.gnss import GnssReceiver
from emulators.kit.hosts import PtyHost
from hil_tests.bench import NODE, Bench
from hil_tests.devices import counter, counter_table, reader, reader_table
from tools.demo.parts import Part

pytestmark = pytest.mark.hil


def lines_with(bench: Bench, text: str) -> list[str]:
    return [line for line in bench.log().splitlines() if text in line]


async def test_a_missing_port_is_one_alarm_and_is_found_when_it_comes(bench: Bench):
    """Row 13 of docs/field_failures.md: missing at the start, then gone in mid-life and back under another name."""
    by_id = bench.folder / "usb-adapter"
    table = f'[[device]]\nname = "gnss"\ndriver = "gnss"\nport = "serial:{by_id}?baud=9600"\n'
    bench.configure(table + counter_table("plc-1", await bench.add(counter())))
    await bench.start()
    names = set()
    for losses in (1, 2):
        await bench.until(lambda: bench.status()["devices"]["gnss"]["lost_s"] is not None, "the loss is seen")
        rounds = bench.status()["devices"]["plc-1"]["rounds"]
        await bench.until(
            lambda seen=rounds: bench.status()["devices"]["plc-1"]["rounds"] > seen + 3, "the other device is polled"
        )
        await bench.until(
            lambda count=losses: [record.route for record in bench.records("event")].count("event/stalled") == count,
            "the loss is told meanwhile",
        )
        adapter = PtyHost([GnssReceiver(seed=1, wall_ms=lambda: time.time_ns() // 1_000_000)], baud=9600, link=by_id)
        await bench.add(adapter)
        names.add(by_id.resolve())
        await bench.until(lambda: bench.status()["devices"]["gnss"]["lost_s"] is None, "found again", within_s=10)
        assert len(lines_with(bench, "gnss: lost")) == losses
        if losses == 1:
            holds_the_name = os.open(by_id.resolve(), os.O_RDONLY | os.O_NOCTTY)  # so that the next one gets another
            await adapter.aclose()
    os.close(holds_the_name)
    assert len(names) == 2
    await bench.everything_arrived()


async def test_a_broker_that_is_not_there_is_one_line_and_is_reached_when_it_comes(bench: Bench):
    bench.configure(counter_table("plc-1", await bench.add(counter())))
    await bench.broker.stop()
    await bench.start_gateway()
    await bench.until(lambda: bench.lane("telemetry")["made"] > 3, "it polls and journals meanwhile")
    status = bench.status()
    assert status["uplink"]["state"] == "away"
    assert status["uplink"]["error"]
    assert len(lines_with(bench, "it is tried again by itself")) == 1
    await bench.broker.start()
    await bench.start_sink()
    await bench.connected()
    await bench.everything_arrived()


@pytest.mark.parametrize("what", ["another authority", "expired"])
async def test_a_certificate_that_the_broker_refuses_is_said_once_and_needs_a_person(bench: Bench, what: str):
    other = bench.folder / "other"
    now = datetime.now(UTC)
    if what == "expired":
        stale = DevelopmentCa.open(bench.folder / "pki")
        (bench.folder / "pki" / f"{NODE}.pem").unlink()
        (bench.folder / "pki" / f"{NODE}.key").unlink()
        stale.issue_client(NODE, now=now - timedelta(days=500))
    else:
        foreign = DevelopmentCa.create(other, now=now)
        credential = foreign.issue_client(NODE, now=now)
        (bench.folder / "pki" / f"{NODE}.pem").write_bytes(credential.cert.read_bytes())
        (bench.folder / "pki" / f"{NODE}.key").write_bytes(credential.key.read_bytes())
    bench.configure(counter_table("plc-1", await bench.add(counter())))
    await bench.start_gateway()
    await bench.until(lambda: bench.status()["uplink"]["error"], "the refusal is seen")
    await bench.until(lambda: bench.lane("telemetry")["made"] > 3, "it polls and journals meanwhile")
    assert len(lines_with(bench, "somebody must look at this")) == 1
    assert "Traceback" not in bench.log()


async def test_a_second_gateway_on_one_folder_ends_with_one_line(bench: Bench):
    bench.configure(counter_table("plc-1", await bench.add(counter())))
    await bench.start_gateway()
    second = Part("second", [sys.executable, "-m", "edge", str(bench.config)], bench.folder / "second.log")
    await second.start()
    assert await second.process.wait() == 1
    await second.end(signal.SIGTERM)
    said = (bench.folder / "second.log").read_text()
    assert "another gateway holds this data folder" in said
    assert "Traceback" not in said
    assert bench.status() is not None


@pytest.fixture
def small_disk(bench: Bench) -> Iterator[Path]:
    """The data folder on a disk of 6 MB."""
    mount = shutil.which("mount")
    bench.data.mkdir()
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(bench.data)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can only be mounted by root")
    yield bench.data
    subprocess.run(["umount", "--lazy", str(bench.data)], check=True)


async def test_a_full_disk_is_one_line_and_ends_by_itself(bench: Bench, small_disk: Path):
    """Rows 5 and 6 of docs/field_failures.md, by somebody else's file: it starts, polls, says so, and gets over it."""
    bench.configure(counter_table("plc-1", await bench.add(counter(registers=100)), registers=100, period_s=0.1))
    other = small_disk / "somebody-elses"
    with other.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(65_536)) == 65_536:
            pass
    await bench.start_sink()
    await bench.start_gateway()
    await bench.until(lambda: bench.status()["devices"]["plc-1"]["rounds"] > 10, "it polls")
    await bench.until(lambda: bench.status()["storage"]["state"] == "full", "the full disk is seen")
    await bench.stop_gateway(signal.SIGKILL)
    await bench.start_gateway()
    await bench.until(lambda: bench.status()["storage"]["state"] == "full", "also at a start")
    assert "Traceback" not in bench.log()
    other.unlink()
    await bench.until(lambda: bench.status()["storage"]["state"] == "ok", "it works again")
    await bench.until(lambda: bench.lane("telemetry")["acked"] > 3, "new data flows")
    assert bench.status()["devices"]["plc-1"]["starts"] == 1
    assert len(lines_with(bench, "storage: works again")) == 1
    await bench.everything_arrived()


@pytest.mark.parametrize("what", ["cert", "key", "ca"])
async def test_a_missing_credential_is_said_and_taken_up_when_it_comes(bench: Bench, what: str):
    file = dict(zip(("ca", "cert", "key"), bench.pki(NODE), strict=True))[what]
    bench.configure(counter_table("plc-1", await bench.add(counter())))
    bench.shorten("edge.uplinks.reconnect", PERSON_LEAST_S=3.0, PERSON_MOST_S=4.0)
    hidden = file.with_suffix(".hidden")
    file.rename(hidden)
    await bench.start_gateway()
    await bench.until(lambda: bench.status()["uplink"]["error"], "what is missing is named")
    assert file.name in bench.status()["uplink"]["error"]
    await bench.until(lambda: bench.lane("telemetry")["made"] > 3, "it polls and journals meanwhile")
    assert "Traceback" not in bench.log()
    hidden.rename(file)
    await bench.start_sink()
    await bench.until(lambda: bench.status()["uplink"]["state"] == "connected", "by itself")
    await bench.everything_arrived()


async def test_keys_that_are_gone_stop_only_who_needs_them(bench: Bench):
    bench.configure(
        counter_table("plc-1", await bench.add(counter())) + reader_table(await bench.add(reader(every_s=0.8)))
    )
    (bench.folder / "ops-1.pub").unlink()
    (bench.folder / "pseudonym.key").write_bytes(b"short")
    await bench.start()
    await bench.until(lambda: bench.status()["devices"]["plc-1"]["rounds"] > 3, "the other device is polled")
    await bench.until(lambda: bench.status()["devices"]["reader-1"]["state"] == "given up", "no card is seen")
    assert "pseudonym.key" in bench.status()["devices"]["reader-1"]["error"]
    assert len(lines_with(bench, "ops-1 is not obeyed")) == 1
    assert "Traceback" not in bench.log()
    await bench.everything_arrived()
    assert [record.route for record in bench.records("event")] == ["event/stalled"]


async def test_a_wrong_configuration_at_the_very_first_start_is_its_lines_and_exit_code_2(bench: Bench):
    bench.configure('[[device]]\nname = "gnss"\ndriver = "gnsss"\nport = "tcp:localhost:1"\n')
    await bench.gateway.start()
    assert await bench.gateway.process.wait() == 2
    assert "gnsss" in bench.log()
    assert "Traceback" not in bench.log()
