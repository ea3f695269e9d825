"""A serial line, or the pseudo-terminal that stands in for one: the only file that knows pyserial.

A port is named by something that survives replugging: a path (best one below `/dev/serial/by-id/`) or, as
`usb=SERIALNUMBER`, the serial number of its USB adapter. The name is looked up anew at each `open()`. While open, the
name is looked at every `IDENTITY_CHECK_S`: a kernel driver may keep a dead handle readable for ever, so a name that is
gone or means another device is a lost port.

The lock is `flock`, which dies with its process. `TIOCEXCL` is not used: on a pseudo-terminal that somebody else keeps
open it would outlive a killed process and lock its successor out.
"""

import asyncio
import errno
import os
import termios
from contextlib import suppress
from pathlib import Path

import serial

from drivers.errors import PortError, PortRefusedError
from drivers.ports.port import LineSettings, PortListener
from drivers.text import _

READ_BYTES = 4096
MAX_UNSENT_BYTES = 65_536
"""More than this waiting for a line means that it takes none: at 9600 baud it is a minute's worth."""
IDENTITY_CHECK_S = 2.0
"""Detection and a few seconds of backing off must stay within the 10 s that a replugged adapter may cost."""
SYSFS = Path("/sys/class/tty")
_REFUSALS = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EWOULDBLOCK)


def usb_serial_device(number: str, sysfs: Path = SYSFS) -> str | None:
    """The device node of the adapter with this USB serial number, or None. A USB device bears it in `serial`."""
    for tty in sorted(sysfs.glob("*/device")):
        place = tty.resolve()
        while place.parent != place and place.name != "devices":
            with suppress(OSError):
                if (place / "serial").read_text().strip() == number:
                    return f"/dev/{tty.parent.name}"
            place = place.parent
    return None


class SerialPort:
    """Bytes over a serial device. See `drivers.ports.port.Port` for the face."""

    def __init__(self, name: str, target: str, line: LineSettings, *, sysfs: Path = SYSFS) -> None:
        self._name = name
        self._target = target
        self._line = line
        self._sysfs = sysfs
        self._serial: serial.Serial | None = None
        self._fd = -1
        self._path = ""
        self._listener: PortListener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsent = bytearray()
        self._identity_timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """The port as the configuration names it."""
        return self._name

    @property
    def line(self) -> LineSettings | None:
        """Speed and character of the line."""
        return self._line

    async def open(self, listener: PortListener) -> None:
        """Find, lock and open the device. Raises `PortError`, or `PortRefusedError` where a person must act."""
        assert self._serial is None, f"{self._name} is open already"
        self._path = self._look_up()
        line = self._line
        try:
            self._serial = serial.Serial(
                self._path,
                baudrate=line.baud,
                bytesize=line.data_bits,
                parity=line.parity,
                stopbits=line.stop_bits,
                timeout=0,
                write_timeout=0,
                exclusive=True,
            )
        except (OSError, ValueError, termios.error) as e:
            raise self._open_error(e) from e
        with suppress(ValueError, NotImplementedError, OSError):
            # The adapter shall hand bytes on at once (FTDI waits 16 ms else); a pseudo-terminal cannot and need not.
            self._serial.set_low_latency_mode(True)
        self._fd = self._serial.fileno()
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)
        self._identity_timer = self._loop.call_later(IDENTITY_CHECK_S, self._check_identity)

    def write(self, data: bytes) -> None:
        """Hand bytes to the line."""
        if self._serial is None or self._loop is None:
            raise PortError(_("%s is closed") % self._name)
        if not self._unsent:
            try:
                sent = os.write(self._fd, data)
            except BlockingIOError:
                sent = 0
            except OSError as e:
                raise PortError(self._lost_text(e)) from e
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._fd, self._writable)
        if len(self._unsent) + len(data) > MAX_UNSENT_BYTES:
            raise PortError(_("%s takes no bytes: %d are waiting") % (self._name, len(self._unsent)))
        self._unsent += data

    async def aclose(self) -> None:
        """Close and unlock."""
        self._close()

    def _look_up(self) -> str:
        if not self._target.startswith("usb="):
            return self._target
        path = usb_serial_device(self._target.removeprefix("usb="), self._sysfs)
        if path is None:
            raise PortError(_("%s: no USB adapter with this serial number is plugged in") % self._name)
        return path

    def _open_error(self, e: Exception) -> PortError:
        code = _error_number(e)
        if code in (errno.EWOULDBLOCK, errno.EBUSY):
            return PortRefusedError(_("%s is in use by another program") % self._name)
        if code in _REFUSALS:
            return PortRefusedError(_("%s: no permission (is this user in the group dialout?)") % self._name)
        if code in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
            return PortError(_("%s: there is no such device") % self._name)
        if code in (errno.ENOTTY, errno.EISDIR, errno.EINVAL):
            return PortError(_("%s is not a serial device, or cannot be set to these line settings") % self._name)
        return PortError(_("%s cannot be opened: %s") % (self._name, e))

    def _lost_text(self, e: OSError | None) -> str:
        return _("%s is lost: %s") % (self._name, _("the device hung up") if e is None else os.strerror(e.errno or 0))

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as e:
            self._lose(PortError(self._lost_text(e)))
            return
        if not data:
            self._lose(PortError(self._lost_text(None)))
        elif self._listener is not None:
            self._listener.data_received(data)

    def _writable(self) -> None:
        try:
            sent = os.write(self._fd, self._unsent)
        except BlockingIOError:
            return
        except OSError as e:
            self._lose(PortError(self._lost_text(e)))
            return
        del self._unsent[:sent]
        if not self._unsent and self._loop is not None:
            self._loop.remove_writer(self._fd)

    def _check_identity(self) -> None:
        assert self._loop is not None
        try:
            is_same = Path(self._path).stat().st_rdev == os.fstat(self._fd).st_rdev
        except OSError:
            is_same = False
        if is_same:
            self._identity_timer = self._loop.call_later(IDENTITY_CHECK_S, self._check_identity)
        else:
            self._lose(PortError(_("%s is lost: its name is gone or means another device now") % self._name))

    def _lose(self, error: PortError) -> None:
        listener = self._listener
        self._close()
        if listener is not None:
            listener.port_lost(error)

    def _close(self) -> None:
        if self._serial is None:
            return
        if self._identity_timer is not None:
            self._identity_timer.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
        with suppress(OSError, serial.SerialException, termios.error):
            # Unsent bytes would make the kernel wait for a line that may be gone, with the event loop in it.
            self._serial.reset_output_buffer()
        with suppress(OSError, serial.SerialException, termios.error):
            self._serial.close()
        self._serial = None
        self._listener = None
        self._unsent.clear()


def _error_number(error: BaseException | None) -> int | None:
    """The kernel's error behind pyserial's, which often keeps it as its context only."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        if isinstance(error, termios.error) and error.args:
            return int(error.args[0])
        error = error.__context__
    return None
