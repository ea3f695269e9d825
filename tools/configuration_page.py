"""`docs/configuration.md`: every key of a configuration, drawn from the types that read it.

`python -m tools.docs --write` writes it; a test holds it against the types.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from drivers.modbus.config import BusConfig
from edge.gateway.config import TABLES
from edge.gateway.config_schema import device_types, key_texts, types_within
from edge.gateway.config_words import described

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"

_HEAD = """\
<!-- Drawn from the types by `make docs`; edit those. -->

# The configuration of a node

One TOML file describes a node. `wayside init` writes one that works, `wayside check FILE` names every mistake as
`file:line: path: what is wrong, what would be right`, `wayside check --schema` prints a JSON Schema for editors, and
whole examples lie in [examples/](examples/).

- A key that is not known is refused, with the nearest known one. Every number has bounds, and its unit in its name.
- Names of files count from the folder of the configuration. Secrets stand in files of their own, never in here.
- The order of devices is the order in which they are listed. Comments, spaces and the order of keys are no change: a
  configuration that says the same has the same digest, and putting it to work changes nothing.
- A device whose table changed restarts alone; a bus that changed takes its devices with it.

```toml
[node]
id = "rsu-7f3a"
data = "var"

[uplink.mqtt]
brokers = ["mqtts://broker.example:8883"]
acknowledged_by = "ingest"

[uplink.mqtt.tls]
ca = "pki/ca.pem"
cert = "pki/node.pem"
key = "pki/node.key"

[[bus]]
name = "rs485-1"
port = "serial:/dev/serial/by-id/usb-A10K3F?baud=9600&parity=N"

[[device]]
name = "meter-1"
driver = "modbus"
bus = "rs485-1"
unit_id = 1
map = "eastron_sdm630"
```

## Ports

| port | is |
|---|---|
| `serial:/dev/serial/by-id/usb-A10K3F?baud=9600&parity=E` | a serial line by a path that survives replugging |
| `serial:usb=A10K3F?baud=19200&bits=8&stop=2` | the adapter with this USB serial number, wherever it turns up |
| `tcp:10.0.0.7:502`, `tcp:[fd00::7]:502`, `tcp:meter.example:502` | a TCP server |
| `pty:/dev/pts/4?baud=9600` | a pseudo-terminal: a serial line in software |

`baud`, `bits`, `parity` and `stop` are 9600, 8, N and 1 where they are left out. A serial line has one owner: several
devices on it name the same `[[bus]]`. A device has a `bus` or a `port` of its own.

## Tables
"""

_TAIL = """
## `[[role]]`

What the box plays beyond polling. This version has no roles: a `[[role]]` is refused.
"""


_TITLES = {"RegisterPoint": "`[[device.point]]`: one value of a device"}
"""Of types whose own text speaks of something else first."""


def page() -> str:
    """The whole page."""
    tables = [
        section
        for kind in types_within(*TABLES.values(), BusConfig, *device_types().values())
        for section in _section(kind)
    ]
    return _HEAD + "\n".join(tables) + _TAIL


def _section(kind: type[msgspec.Struct]) -> Iterator[str]:
    """A table of the file: its title, what it is, and its keys."""
    title, _colon, rest = _TITLES.get(kind.__name__, kind.__doc__ or "").partition("\n")[0].partition(": ")
    yield f"\n### {title.rstrip('.')}\n"
    if rest:
        yield f"{rest[:1].upper()}{rest[1:]}\n"
    yield "| key | must be | default | |"
    yield "|---|---|---|---|"
    tag = kind.__struct_config__.tag_field
    if tag is not None:
        yield f'| `{tag}` | `"{kind.__struct_config__.tag}"` | | Chooses the driver. |'
    texts = key_texts(kind)
    for field in msgspec.structs.fields(kind):
        cells = (f"`{field.encode_name}`", described(field.type), _default(field), texts.get(field.encode_name, ""))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: Any) -> str:
    if field.required:
        return "**needed**"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or value in ((), {}, []) or isinstance(value, msgspec.Struct):
        return ""
    return f"`{msgspec.json.encode(value).decode()}`"
