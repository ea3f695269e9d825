"""From a port's URL in the configuration to a port.

```
serial:/dev/serial/by-id/usb-A10K3F?baud=9600&parity=E    a path that survives replugging
serial:usb=A10K3F?baud=19200&bits=8&stop=2                the adapter with this USB serial number
pty:/dev/pts/4?baud=9600                                  a pseudo-terminal: as serial, in software
tcp:10.0.0.7:502    tcp:[fd00::7]:502    tcp:meter.example:502
```

`baud`, `bits`, `parity` and `stop` are 9600, 8, N and 1 when absent. Opening nothing, `check_port_url` says what would
be right.
"""

from urllib.parse import parse_qsl

from drivers.errors import DeviceConfigError
from drivers.ports.port import LineSettings, Port
from drivers.ports.serial_port import SerialPort
from drivers.ports.tcp_port import TcpPort, is_resolvable
from drivers.text import _

MAX_BAUD = 4_000_000
MIN_BAUD = 50


class _PortUrlError(ValueError):
    """What is wrong with a URL, for a person."""


def open_port(url: str) -> Port:
    """The port that a URL names, not opened yet. Raises `DeviceConfigError` for what `check_port_url` refuses."""
    try:
        return _port_of(url)
    except _PortUrlError as e:
        raise DeviceConfigError(f"{url}: {e}") from e


def check_port_url(url: str) -> str | None:
    """None when the URL is right, else what is wrong and what would be right. Looks at no device."""
    try:
        _port_of(url)
    except _PortUrlError as e:
        return str(e)
    return None


def _port_of(url: str) -> Port:
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in ("serial", "pty", "tcp"):
        raise _PortUrlError(_("a port starts with serial:, pty: or tcp:, such as serial:/dev/ttyS1?baud=9600"))
    if scheme == "tcp":
        host, port = _tcp_address(rest)
        return TcpPort(url, host, port)
    target, _mark, query = rest.partition("?")
    line = _line_of(query)
    if scheme == "serial" and target.startswith("usb="):
        number = target.removeprefix("usb=")
        if not number or "/" in number:
            raise _PortUrlError(_("usb= takes the serial number of a USB adapter, such as serial:usb=A10K3F"))
    elif not target.startswith("/") or "\0" in target:
        raise _PortUrlError(_("a serial port is a whole path, such as serial:/dev/ttyS1, or serial:usb=SERIALNUMBER"))
    return SerialPort(url, target, line)


def _tcp_address(rest: str) -> tuple[str, int]:
    host, _colon, port = rest.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise _PortUrlError(_("an IPv6 address stands in brackets, such as tcp:[fd00::7]:502"))
    if not host or any(c.isspace() or not c.isprintable() or c in "/?#[]" for c in host):
        raise _PortUrlError(_("a TCP port is tcp:HOST:PORT, such as tcp:10.0.0.7:502"))
    if not is_resolvable(host):
        raise _PortUrlError(_("the parts of a host's name have 1 to 63 characters, such as tcp:meter.example:502"))
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise _PortUrlError(_("the port number is 1 to 65535, such as tcp:10.0.0.7:502"))
    return host, int(port)


def _line_of(query: str) -> LineSettings:
    baud, bits, parity, stop = 9600, 8, "N", 1
    try:
        pairs = parse_qsl(query, strict_parsing=True, keep_blank_values=True) if query else []
    except ValueError as e:
        raise _PortUrlError(_("line settings are written ?baud=9600&parity=N&bits=8&stop=1")) from e
    seen: set[str] = set()
    for key, text in pairs:
        if key in seen:
            raise _PortUrlError(_("%s stands twice") % key)
        seen.add(key)
        if key == "baud":
            baud = _number(key, text, range(MIN_BAUD, MAX_BAUD + 1))
        elif key == "bits":
            bits = _number(key, text, range(7, 9))
        elif key == "stop":
            stop = _number(key, text, range(1, 3))
        elif key == "parity":
            parity = text.upper()
            if parity not in ("N", "E", "O"):
                raise _PortUrlError(_("parity is N, E or O, not %s") % text)
        else:
            raise _PortUrlError(_("line settings are baud, bits, parity and stop, not %s") % key)
    return LineSettings(baud=baud, data_bits=bits, parity=parity, stop_bits=stop)


def _number(key: str, text: str, allowed: range) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 8 and int(text) in allowed:
        return int(text)
    raise _PortUrlError(_("%s is a number from %d to %d, not %s") % (key, allowed.start, allowed.stop - 1, text))
