"""The serial port on real pseudo-terminals."""

import asyncio
import os
import pty
import tty
from contextlib import suppress

import pytest

from drivers.errors import PortError, PortRefusedError
from drivers.ports import serial_port
from drivers.ports.open_port import open_port
from drivers.ports.serial_port import SerialPort, usb_serial_device
from drivers.tests.bench_of_one import Ear, open_descriptors, until


class Line:
    """A pseudo-terminal: `far` is the other end of the line."""

    def __init__(self) -> None:
        self.far, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.far, False)
        self.path = os.ttyname(self._slave)

    def read(self) -> bytes:
        got = b""
        with suppress(BlockingIOError):
            while True:
                got += os.read(self.far, 65_536)
        return got

    def hang_up(self) -> None:
        for descriptor in (self.far, self._slave):
            with suppress(OSError):
                os.close(descriptor)


@pytest.fixture
def line():
    made = Line()
    yield made
    made.hang_up()


async def test_all_bytes_go_both_ways(line):
    port, ear = open_port(f"pty:{line.path}"), Ear()
    await port.open(ear)
    os.write(line.far, bytes(range(256)))
    await until(lambda: ear.heard == bytes(range(256)))
    port.write(bytes(range(256)))
    got = bytearray()
    await until(lambda: got.extend(line.read()) or len(got) >= 256)
    assert got == bytes(range(256))
    await port.aclose()
    assert ear.losses == []


async def test_a_port_knows_its_line(line):
    port = open_port(f"serial:{line.path}?baud=19200&parity=e&bits=8&stop=1")
    assert port.name.startswith("serial:/dev/pts/")
    assert (port.line.baud, port.line.parity, port.line.bits_per_char) == (19200, "E", 11)
    await port.open(Ear())
    await port.aclose()
    await port.aclose()


async def test_a_second_opener_is_refused_with_a_reason(line):
    first, second = open_port(f"serial:{line.path}"), open_port(f"serial:{line.path}")
    await first.open(Ear())
    with pytest.raises(PortRefusedError, match="in use by another program"):
        await second.open(Ear())
    await first.aclose()
    await second.open(Ear())
    await second.aclose()


async def test_a_hundred_openings_leave_no_handle_behind(line):
    """Handles stay constant over reconnections, also over those that fail."""
    port, other = open_port(f"serial:{line.path}"), open_port(f"serial:{line.path}")
    await port.open(Ear())
    await port.aclose()
    before = open_descriptors()
    for _ in range(100):
        await port.open(Ear())
        with pytest.raises(PortError):
            await other.open(Ear())
        await port.aclose()
    assert open_descriptors() == before


async def test_a_line_that_hangs_up_is_lost_once(line):
    port, ear = open_port(f"pty:{line.path}"), Ear()
    await port.open(ear)
    line.hang_up()
    await until(lambda: ear.losses)
    with pytest.raises(PortError, match="closed"):
        port.write(b"x")
    await port.aclose()
    assert len(ear.losses) == 1


async def test_a_renumbered_adapter_is_found_under_its_stable_name(tmp_path):
    """Row 13: the node vanishes and comes back under another name; the name that the configuration gives follows it."""
    stable = tmp_path / "usb-A10K3F"
    old = Line()
    stable.symlink_to(old.path)
    port, ear = open_port(f"serial:{stable}"), Ear()
    await port.open(ear)
    old.hang_up()
    stable.unlink()
    await until(lambda: ear.losses)
    with pytest.raises(PortError, match="no such device"):
        await port.open(ear)
    new = Line()
    stable.symlink_to(new.path)
    await port.open(ear)
    os.write(new.far, b"back")
    await until(lambda: ear.heard == b"back")
    await port.aclose()
    new.hang_up()


async def test_a_name_that_means_another_device_now_is_a_lost_port(tmp_path, line, monkeypatch):
    """Row 13, the silent half: the old handle stays readable for ever and no error ever comes."""
    monkeypatch.setattr(serial_port, "IDENTITY_CHECK_S", 0.02)
    stable, other = tmp_path / "usb-A10K3F", Line()
    stable.symlink_to(line.path)
    port, ear = open_port(f"serial:{stable}"), Ear()
    await port.open(ear)
    await asyncio.sleep(0)
    stable.unlink()
    stable.symlink_to(other.path)
    await until(lambda: ear.losses)
    assert "another device" in str(ear.losses[0])
    other.hang_up()


async def test_a_line_that_takes_nothing_has_a_ceiling(line):
    port = open_port(f"pty:{line.path}")
    await port.open(Ear())
    with pytest.raises(PortError, match="takes no bytes"):  # noqa: PT012  # one of them hits the ceiling
        for _ in range(1000):
            port.write(bytes(1024))
    await port.aclose()


async def test_what_did_not_fit_goes_out_when_the_line_takes_it(line):
    port, ear = open_port(f"pty:{line.path}"), Ear()
    await port.open(ear)
    sent = bytes(range(256)) * 100
    port.write(sent)
    got = bytearray()
    await until(lambda: got.extend(line.read()) or len(got) == len(sent))
    assert bytes(got) == sent
    await port.aclose()


@pytest.mark.parametrize(
    ("target", "reason"),
    [("/dev/does-not-exist", "no such device"), ("/dev/null", "not a serial device"), ("/", "not a serial device")],
)
async def test_what_cannot_be_opened_says_why(target, reason):
    before = open_descriptors()
    with pytest.raises(PortError, match=reason):
        await open_port(f"serial:{target}").open(Ear())
    assert open_descriptors() == before


def test_a_usb_adapter_is_found_by_its_serial_number(tmp_path):
    """As sysfs lies: class/tty/ttyUSB1/device -> .../usb1/1-2/1-2:1.0/ttyUSB1, with `serial` two floors up."""
    usb = tmp_path / "devices" / "usb1" / "1-2"
    place = usb / "1-2:1.0" / "ttyUSB1"
    place.mkdir(parents=True)
    (usb / "serial").write_text("A10K3F\n")
    tty_class = tmp_path / "class"
    (tty_class / "ttyUSB1").mkdir(parents=True)
    (tty_class / "ttyUSB1" / "device").symlink_to(place)
    (tty_class / "ttyS0").mkdir()
    assert usb_serial_device("A10K3F", tty_class) == "/dev/ttyUSB1"
    assert usb_serial_device("OTHER", tty_class) is None


async def test_an_adapter_that_is_not_plugged_in_says_so(tmp_path):
    port = open_port("serial:usb=A10K3F")
    assert isinstance(port, SerialPort)
    port._sysfs = tmp_path
    with pytest.raises(PortError, match="no USB adapter"):
        await port.open(Ear())
