"""From a port's URL in the configuration to a port.

| URL | port |
|---|---|
| `serial:/dev/serial/by-id/usb-A10K3F?baud=9600&parity=N` | a serial line by a stable path; also `bits`, `stop` |
| `serial:usb=A10K3F?baud=9600` | a serial line by its adapter's USB serial number |
| `pty:/path/to/slave?baud=9600` | the slave end of a pty; `baud` sets the character times |
| `tcp:HOST:PORT`, `tcp:[v6]:PORT` | a TCP connection |
"""

import re
from urllib.parse import parse_qsl

import msgspec

from drivers.errors import DeviceConfigError
from drivers.ports.port import LineSettings, Port
from drivers.text import _

BAUDS = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
_TCP = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")


class _SerialUrl(msgspec.Struct, frozen=True):
    path: str
    usb_serial: str | None
    line: LineSettings


class _TcpUrl(msgspec.Struct, frozen=True):
    host: str
    port: int


def open_port(url: str) -> Port:
    """Make the port of a URL, not opened yet. Raises `DeviceConfigError` with what would be right."""
    parsed = _parse(url)
    if isinstance(parsed, str):
        raise DeviceConfigError(parsed)
    # Imported when wanted: a gateway without a serial line loads no pyserial.
    if isinstance(parsed, _TcpUrl):
        from drivers.ports.tcp_port import TcpPort

        return TcpPort(parsed.host, parsed.port)
    from drivers.ports.serial_port import SerialPort

    return SerialPort(parsed.path, parsed.line, usb_serial=parsed.usb_serial)


def check_port_url(url: str) -> str | None:
    """What is wrong with a URL and what would be right, in one line; None when it is good. Opens nothing."""
    parsed = _parse(url)
    return parsed if isinstance(parsed, str) else None


def _parse(url: str) -> _SerialUrl | _TcpUrl | str:  # noqa: PLR0911  # one return a kind of mistake reads best
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in ("serial", "pty", "tcp"):
        return _("{url}: begins with none of serial:, pty:, tcp:; right would be tcp:10.0.0.7:502").format(url=url)
    if scheme == "tcp":
        found = _TCP.fullmatch(rest)
        if found is None or not 1 <= int(found[3]) <= 65535:
            return _("{url}: is not tcp:HOST:PORT with a port from 1 to 65535").format(url=url)
        return _TcpUrl(found[1] or found[2], int(found[3]))
    path, _mark, query = rest.partition("?")
    line = _line_of(url, query)
    if isinstance(line, str):
        return line
    if path.startswith("usb=") and scheme == "serial":
        number = path[4:]
        return _SerialUrl("", number, line) if number else _("{url}: names no USB serial number").format(url=url)
    if not path.startswith("/"):
        return _("{url}: names no path; right would be serial:/dev/serial/by-id/...?baud=9600").format(url=url)
    return _SerialUrl(path, None, line)


def _line_of(url: str, query: str) -> LineSettings | str:
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    if len(given) != len(pairs):
        return _("{url}: says something twice").format(url=url)
    numbers = {}
    for key, allowed, default in (("baud", BAUDS, 9600), ("bits", (7, 8), 8), ("stop", (1, 2), 1)):
        text = given.pop(key, str(default))
        if text not in map(str, allowed):
            return _("{url}: {key}={text} is none of {allowed}").format(
                url=url, key=key, text=text, allowed=", ".join(map(str, allowed))
            )
        numbers[key] = int(text)
    parity = given.pop("parity", "N")
    if parity not in ("N", "E", "O"):
        return _("{url}: parity={parity} is none of N, E, O").format(url=url, parity=parity)
    if given:
        return _("{url}: {key} is unknown; known are baud, parity, bits, stop").format(url=url, key=next(iter(given)))
    return LineSettings(numbers["baud"], numbers["bits"], parity, numbers["stop"])
