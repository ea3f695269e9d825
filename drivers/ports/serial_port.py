"""A serial line as a port: an RS-485 adapter, a UART, or the slave end of a pty. The only file that imports pyserial.

A line is named by what stays the same when the cable is pulled and plugged: `/dev/serial/by-id/...`, or `usb=` and the
adapter's serial number. It is looked up anew at each opening, so an adapter that returns as another `ttyUSB` is found.
"""

import asyncio
import errno
import os
import termios
from pathlib import Path

import serial

from drivers.errors import PortError, PortRefusedError
from drivers.ports.port import LineSettings, PortListener
from drivers.text import _

READ_BYTES = 4096
MAX_UNSENT_BYTES = 65_536
VANISHED_CHECK_S = 1.0
"""Some adapters tell of their removal by nothing at all: the device node is looked for this often."""


class SerialPort:
    """One line, opened for exclusive use."""

    def __init__(self, path: str, line: LineSettings, *, usb_serial: str | None = None) -> None:
        self.name = f"serial:usb={usb_serial}" if usb_serial else f"serial:{path}"
        self.line = line
        self._path = path
        self._usb_serial = usb_serial
        self._device: serial.Serial | None = None
        self._listener: PortListener | None = None
        self._unsent = bytearray()
        self._node = Path()
        self._fd = -1
        self._watch: asyncio.TimerHandle | None = None

    async def open(self, listener: PortListener) -> None:
        """Open the line. Raises `PortError`; `PortRefusedError` when a person must act."""
        if self._device is not None:
            raise PortError(_("{port}: is open already").format(port=self.name))
        path = find_usb_serial(self._usb_serial) if self._usb_serial else self._path
        if path is None:
            raise PortError(_("{port}: no such adapter is plugged in").format(port=self.name))
        self._device = self._opened(path)
        self._listener = listener
        self._node = Path(path).resolve()  # noqa: ASYNC240  # a device node: no disk is asked
        self._fd = self._device.fileno()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._fd, self._readable)
        self._watch = loop.call_later(VANISHED_CHECK_S, self._look_for_it)

    def write(self, data: bytes) -> None:
        """Queue bytes. Raises `PortError` when closed, or when the line takes none."""
        if self._device is None:
            raise PortError(_("{port}: is closed").format(port=self.name))
        if len(self._unsent) + len(data) > MAX_UNSENT_BYTES:
            raise PortError(_("{port}: the line takes no more data").format(port=self.name))
        idle = not self._unsent
        self._unsent += data
        if idle:
            self._writable()

    async def aclose(self) -> None:
        """Close; what was not sent is dropped."""
        self._close()

    def _opened(self, path: str) -> serial.Serial:
        assert self.line is not None
        try:
            device = serial.Serial(
                path,
                self.line.baud,
                bytesize=self.line.data_bits,
                parity=self.line.parity,
                stopbits=self.line.stop_bits,
                timeout=0,
                write_timeout=0,
                exclusive=True,
            )
        except (OSError, ValueError, termios.error) as error:
            code = getattr(error, "errno", None) or (error.args[0] if error.args else None)
            reason = os.strerror(code) if isinstance(code, int) else str(error)
            text = _("{port}: {reason}").format(port=self.name, reason=reason)
            if code in (errno.EACCES, errno.EPERM):
                text = _("{port}: not allowed; the service's user must be in the group dialout").format(port=self.name)
                raise PortRefusedError(text) from error
            if code in (errno.EBUSY, errno.EAGAIN):
                text = _("{port}: another program holds it").format(port=self.name)
                raise PortRefusedError(text) from error
            raise PortError(text) from error
        os.set_blocking(device.fileno(), False)
        return device

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        if not data:
            self._lose(_("the line hung up"))
        elif self._listener is not None:
            self._listener.data_received(data)

    def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            sent = os.write(self._fd, self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # Told on the loop's next turn: a caller of write() must not find itself inside port_lost().
            loop.call_soon(self._lose, error.strerror or str(error))
            self._unsent.clear()
            return
        del self._unsent[:sent]
        if self._unsent:
            loop.add_writer(self._fd, self._writable)
        else:
            loop.remove_writer(self._fd)

    def _look_for_it(self) -> None:
        if not self._node.exists():
            self._lose(_("its device has gone"))
            return
        self._watch = asyncio.get_running_loop().call_later(VANISHED_CHECK_S, self._look_for_it)

    def _lose(self, reason: str) -> None:
        listener = self._listener
        self._close()
        if listener is not None:
            listener.port_lost(PortError(_("{port}: {reason}").format(port=self.name, reason=reason)))

    def _close(self) -> None:
        device, self._device, self._listener = self._device, None, None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if device is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        self._unsent.clear()
        device.close()


def find_usb_serial(number: str, sys_tty: Path = Path("/sys/class/tty")) -> str | None:
    """The device node of the adapter with this USB serial number, as the kernel knows it now; None when unplugged."""
    for tty in sorted(sys_tty.glob("tty*")):
        for level in _levels_above(tty / "device"):
            try:
                found = (level / "serial").read_text().strip()
            except OSError:
                continue
            if found == number:
                return f"/dev/{tty.name}"
            break
    return None


def _levels_above(device: Path) -> list[Path]:
    """A tty's device and the USB interface and device above it."""
    try:
        real = device.resolve(strict=True)
    except OSError:
        return []
    return [real, *list(real.parents)[:3]]
