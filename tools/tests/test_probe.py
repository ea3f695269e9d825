"""`wayside probe` on emulated devices over pseudo-terminals and TCP: what it finds, and that it only ever reads."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from emulators.gnss import GnssReceiver, GnssSettings
from emulators.kit.hosts import Host, PtyHost, TcpHost, precise_loop
from emulators.modbus_server import ModbusUnit, RtuUnits, TcpUnits
from emulators.pn532 import Pn532Emulator
from tools.cli import app
from tools.probe import parse_units, settings_of

pytestmark = pytest.mark.hil

WAYSIDE = Path(sys.executable).with_name("wayside")
BAUD = 115_200


def wayside(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, ["probe", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@contextmanager
def hosted(make: Callable[[], Host]) -> Iterator[str]:
    """A device on an event loop of its own; its endpoint without the speed, which the scan must find."""
    started, stop, hosts = threading.Event(), threading.Event(), []

    async def live() -> None:
        host = make()
        await host.start()
        hosts.append(host)
        started.set()
        while not stop.is_set():
            await asyncio.sleep(0.01)
        await host.aclose()

    def run() -> None:
        with asyncio.Runner(loop_factory=precise_loop) as runner:
            runner.run(live())

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    try:
        yield hosts[0].endpoint.split("?")[0]
    finally:
        stop.set()
        thread.join(10)


def unit(number: int) -> ModbusUnit:
    made = ModbusUnit(number, delay_s=0.002)
    made.set_registers("holding", 0, [1, 2, 3])
    return made


def on_line(*units: ModbusUnit) -> Callable[[], Host]:
    return lambda: PtyHost([RtuUnits(units, silence_s=0.00175)], baud=BAUD, silence_s=0.00175)


def found(result: Result) -> list[dict[str, Any]]:
    return json.loads(result.stdout)["found"]


def test_it_finds_units_on_a_line_and_only_reads() -> None:
    one, seven, twenty = unit(1), unit(7), unit(20)
    seven.exceptions.extend([2])
    with hosted(on_line(one, seven, twenty)) as port:
        result = wayside(port, "--baud", "115200", "--parity", "N", "--within", "8", "--json")
    assert result.exit_code == 0
    assert [one["unit_id"] for one in found(result)] == [1, 7, 20]  # the last one, once the line was known
    assert found(result)[1]["answer"].startswith("exception 2")
    assert {one["port"] for one in found(result)} == {f"{port}?baud=115200&parity=N"}
    for each in (one, seven, twenty):
        assert each.written == []
        assert {function for function, *_rest in each.requests} <= {3, 0x2B}
    assert "listening" in result.stderr


def test_it_reads_what_a_unit_says_that_it_is() -> None:
    with hosted(on_line(unit(1))) as port:
        result = wayside(f"{port}?baud=115200", "--units", "1", "--within", "3")
    assert result.exit_code == 0
    assert "modbus (rtu)" in result.stdout
    assert f"{port}?baud=115200" in result.stdout


def test_it_hears_a_receiver_and_then_says_nothing_to_it() -> None:
    settings = GnssSettings(rate_hz=5.0, talker="BD")
    receiver = GnssReceiver(seed=1, wall_ms=lambda: time.time_ns() // 1_000_000, settings=settings)
    host: list[PtyHost] = []

    def make() -> Host:
        host.append(PtyHost([receiver]))
        return host[0]

    with hosted(make) as port:
        result = wayside(port, "--json")
    (only,) = found(result)
    assert (result.exit_code, only["what"], only["talkers"]) == (0, "nmea", ["BD"])
    assert host[0].tap.of("master") == []


def test_it_finds_a_card_reader_and_does_not_configure_it() -> None:
    reader = Pn532Emulator()
    with hosted(lambda: PtyHost([reader])) as port:
        result = wayside(port, "--baud", "115200", "--json")
    assert (result.exit_code, found(result)[0]["what"]) == (0, "pn532")
    assert "1.6" in found(result)[0]["answer"]
    assert {type(command).__name__ for command in reader.commands} == {"GetFirmwareVersion"}


def test_it_scans_modbus_tcp() -> None:
    units = [unit(1), unit(3)]
    with hosted(lambda: TcpHost(lambda: TcpUnits(units))) as port:
        result = wayside(port, "--units", "1-3", "--json")
    assert [(one["unit_id"], one["framing"]) for one in found(result)] == [(1, "tcp"), (3, "tcp")]


def test_it_scans_a_serial_server() -> None:
    with hosted(lambda: TcpHost(lambda: RtuUnits([unit(2)], is_stream=True))) as port:
        result = wayside(port, "--units", "1-2", "--json")
    assert [(one["unit_id"], one["framing"]) for one in found(result)] == [(2, "rtu")]


def test_where_somebody_else_speaks_nothing_is_sent() -> None:
    class Babbler:
        """Another master's traffic."""

        def __init__(self) -> None:
            self.heard = b""
            self._next: float | None = None

        def receive(self, data: bytes, now: float) -> list[bytes]:
            self.heard += data
            return []

        def tick(self, now: float) -> list[bytes]:
            self._next = now + 0.1
            return [bytes.fromhex("010300000002c40b")]

        def next_deadline(self) -> float:
            return self._next or 0.0

    babbler = Babbler()
    with hosted(lambda: PtyHost([babbler])) as port:
        result = wayside(port, "--baud", "9600,115200", "--parity", "N", "--all", "--json")
    assert (result.exit_code, babbler.heard) == (1, b"")
    assert {one["what"] for one in found(result)} == {"traffic"}
    assert "nothing is sent" in result.stderr


def test_a_silent_line_ends_in_time_with_1() -> None:
    with hosted(lambda: PtyHost([RtuUnits([])])) as port:
        started = time.monotonic()
        result = wayside(port, "--within", "2", "--json")
        assert time.monotonic() - started < 6
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["found"], answer["is_complete"]) == (1, [], False)
    assert "wiring" in result.stderr


def test_a_port_that_is_not_there_ends_with_3() -> None:
    for port in ("/dev/does-not-exist", "tcp:127.0.0.1:1"):
        result = wayside(port, "--json")
        assert (result.exit_code, json.loads(result.stdout)["ok"]) == (3, False)


def test_the_dry_run_opens_nothing() -> None:
    result = wayside(
        "/dev/does-not-exist", "--baud", "9600,19200", "--parity", "N,E", "--units", "1,5-7", "--dry-run", "--json"
    )
    plan = json.loads(result.stdout)
    assert result.exit_code == 0
    assert plan["units"] == [1, 5, 6, 7]
    assert plan["settings"][-1] == "serial:/dev/does-not-exist?baud=19200&parity=E"
    assert "nothing was opened" in wayside("/dev/x", "--dry-run").stderr


@pytest.mark.parametrize(
    "arguments",
    [["relative"], ["tcp:host"], ["/dev/x", "--baud", "fast"], ["/dev/x", "--parity", "X"], ["/dev/x", "--units", "0"],
     ["/dev/x", "--units", "1-999"], ["/dev/x", "--units", "9-1"], ["/dev/x", "--units", "1-" + "9" * 30],
     ["/dev/x", "--units", "a"], ["pty:/x?baud=1"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    result = wayside(*arguments, "--json")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (2, False)


def test_an_interrupt_ends_it_with_what_was_found() -> None:
    with hosted(lambda: PtyHost([RtuUnits([])])) as port:
        command = [str(WAYSIDE), "probe", port, "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert "listening" in process.stderr.readline()
            process.send_signal(2)
            out, _ = process.communicate(timeout=20)
    assert (process.returncode, json.loads(out)["is_complete"]) == (1, False)


def test_a_port_with_a_speed_is_tried_as_it_stands() -> None:
    (only,) = settings_of("serial:/dev/x?baud=2400&parity=e", "9600", "N")
    assert (only.baud, only.parity) == (2400, "E")
    assert parse_units("3,1-3") == [3, 1, 2]
