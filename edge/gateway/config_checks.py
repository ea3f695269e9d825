"""What no table can know by itself: whether the tables of a configuration fit each other, and the box around them.

`contradictions` looks at the document only. `surroundings` looks at files and at the disk, and is for whoever checks a
configuration before it is used; it opens no port and no connection.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers.catalogue import entry_of
from drivers.device_config import DeviceConfig
from drivers.modbus.config import BusConfig
from drivers.ports.open_port import check_port_url
from drivers.text import _
from edge.gateway.config_errors import Problem
from edge.gateway.config_lines import Path as KeyPath
from edge.gateway.config_lines import written
from edge.gateway.config_tables import CommandsConfig, JournalConfig, NodeConfig, StatusConfig
from edge.gateway.config_words import unknown_name
from edge.gateway.update_folder import UpdateFolderError, update_folder
from edge.identity.operator_keys import OperatorKeyError, read_public_key
from edge.identity.pseudonym import PseudonymKeyError, read_pseudonym_key
from edge.uplinks.config import TlsConfig
from protocols.wayside.topics import RESERVED_NODES

if TYPE_CHECKING:
    from edge.gateway.config import NodeConfigFile

MAX_DISK_SHARE = 0.9
BYTES_PER_MEGABYTE = 1_000_000


class Draft:
    """The tables of a configuration that are right by themselves; what is wrong with the others is known already."""

    def __init__(self) -> None:
        self.tables: dict[str, Any] = {}
        self.buses: dict[int, BusConfig] = {}
        self.devices: dict[int, DeviceConfig] = {}
        self.bus_names: set[str] = set()
        """Also of buses whose table is wrong: a device that names one is right."""
        self.has_hash_key = False
        """Also when there is something else wrong with `[privacy]`."""


def contradictions(draft: Draft) -> Iterator[Problem]:
    """What does not fit together within the document."""
    yield from _node(draft.tables.get("node"))
    yield from _journal(draft.tables.get("journal"))
    yield from _commands(draft.tables.get("commands"))
    yield from _status(draft.tables.get("status"))
    yield from _buses(draft)
    yield from _devices(draft)


def surroundings(config: "NodeConfigFile") -> Iterator[Problem]:
    """What the configuration asks of the box and does not find there."""
    yield from _data(config)
    tls = config.uplink.mqtt.tls
    if tls is not None:
        base: KeyPath = ("uplink", "mqtt", "tls")
        files = {"ca": tls.ca, "cert": tls.cert, "key": tls.key}
        unreadable = [problem for key, file in files.items() for problem in _readable(Path(file), (*base, key))]
        yield from unreadable or _tls(tls, base)
        yield from _secret(Path(tls.key), (*base, "key"))
    if config.privacy.hash_key is not None:
        file = Path(config.privacy.hash_key)
        unreadable = list(_readable(file, ("privacy", "hash_key")))
        yield from unreadable or _pseudonym_key(file)
        yield from _secret(file, ("privacy", "hash_key"))
    for number, operator in enumerate(config.commands.operator):
        path = ("commands", "operator", number, "key")
        unreadable = list(_readable(Path(operator.key), path))
        yield from unreadable or _public_key(Path(operator.key), path)
    if config.update.file is not None:
        yield from _update(Path(config.update.file), ("update", "file"))


def _node(node: NodeConfig | None) -> Iterator[Problem]:
    if node is not None and node.id in RESERVED_NODES:
        text = _('is "{name}", which the broker takes for the {name} side; choose another name')
        yield Problem(("node", "id"), text.format(name=node.id))


def _journal(journal: JournalConfig | None) -> Iterator[Problem]:
    lanes = sum(lane.quota_mb for lane in journal.lane.values()) if journal is not None else 0
    if journal is not None and lanes > journal.quota_mb:
        text = _("the lanes' quotas are {lanes:g} together, must be at most the whole quota_mb of {whole:g}")
        yield Problem(("journal", "lane"), text.format(lanes=lanes, whole=journal.quota_mb))


def _commands(commands: CommandsConfig | None) -> Iterator[Problem]:
    if commands is None:
        return
    path: KeyPath = ("commands", "operator")
    yield from _repeated(((*path, number, "name"), op.name) for number, op in enumerate(commands.operator))
    for number, operation in enumerate(commands.harmless):
        if operation == "*":
            text = _("would let anybody who reaches the broker do anything; name the operations that are harmless")
            yield Problem(("commands", "harmless", number), text)


def _status(status: StatusConfig | None) -> Iterator[Problem]:
    port = int(status.prometheus.rpartition(":")[2]) if status is not None and status.prometheus else 1
    if not 1 <= port <= 65_535:
        text = _("is port {port}, must be HOST:PORT with a port from 1 to 65535")
        yield Problem(("status", "prometheus"), text.format(port=port))


def _buses(draft: Draft) -> Iterator[Problem]:
    yield from _repeated((("bus", number, "name"), bus.name) for number, bus in draft.buses.items())
    for number, bus in draft.buses.items():
        wrong = check_port_url(bus.port)
        if wrong is not None:
            yield Problem(("bus", number, "port"), wrong)


def _devices(draft: Draft) -> Iterator[Problem]:
    yield from _repeated((("device", number, "name"), device.name) for number, device in draft.devices.items())
    yield from _one_owner_each(draft)
    for number, device in draft.devices.items():
        path: KeyPath = ("device", number)
        yield from _line_of(device, draft, path)
        entry = entry_of(device)
        yield from (Problem((*path, *inner), text) for inner, text in entry.findings(device))
        if entry.sees_people and not draft.has_hash_key:
            text = _('sees cards, which leave the box only as keyed hashes: [privacy] hash_key = "FILE" is needed')
            yield Problem((*path, "driver"), text)


def _line_of(device: DeviceConfig, draft: Draft, path: KeyPath) -> Iterator[Problem]:
    """Either a bus or a port of its own."""
    takes_bus = entry_of(device).takes_bus
    if device.bus is not None and device.port is not None:
        yield Problem((*path, "port"), _("stands beside bus; a device has one of them"))
    elif device.bus is None and device.port is None:
        text = _("bus or port is missing") if takes_bus else _("port is missing")
        yield Problem(path, text + _(', such as port = "serial:/dev/ttyS1?baud=9600"'))
    elif device.bus is not None and not takes_bus:
        yield Problem((*path, "bus"), _("this driver shares its line with nobody: give it a port of its own"))
    elif device.bus is not None and device.bus not in draft.bus_names:
        if draft.bus_names:
            yield Problem((*path, "bus"), unknown_name(device.bus, sorted(draft.bus_names)))
        else:
            text = _('is "{name}", but there is no [[bus]] with this name')
            yield Problem((*path, "bus"), text.format(name=device.bus))
    if device.port is not None and (wrong := check_port_url(device.port)) is not None:
        yield Problem((*path, "port"), wrong)


def _one_owner_each(draft: Draft) -> Iterator[Problem]:
    """A serial line has one owner; several devices on it share a bus. TCP devices may be asked by several."""
    owners: dict[str, KeyPath] = {}
    ports: list[tuple[KeyPath, str | None]] = [(("bus", number), bus.port) for number, bus in draft.buses.items()]
    ports += [(("device", number), device.port) for number, device in draft.devices.items()]
    for path, url in ports:
        line = (url or "").partition("?")[0]
        if not line.startswith(("serial:", "pty:")):
            continue
        if line in owners:
            text = _("is the line of {other} already; devices on one line name the same [[bus]]")
            yield Problem((*path, "port"), text.format(other=written(owners[line])), (*owners[line], "port"))
        owners.setdefault(line, path)


def _repeated(names: Iterable[tuple[KeyPath, str]]) -> Iterator[Problem]:
    seen: dict[str, KeyPath] = {}
    for path, name in names:
        if name in seen:
            text = _('is "{name}" like {other}; every name stands once')
            yield Problem(path, text.format(name=name, other=written(seen[name])), seen[name])
        seen.setdefault(name, path)


def _data(config: "NodeConfigFile") -> Iterator[Problem]:
    folder = Path(config.node.data)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        yield Problem(("node", "data"), _("{folder} is not a folder").format(folder=folder))
        return
    disk = os.statvfs(folder)
    megabytes = disk.f_blocks * disk.f_frsize * MAX_DISK_SHARE / BYTES_PER_MEGABYTE
    if config.journal.quota_mb > megabytes:
        text = _("is {quota:g}, must be at most {most:.0f}: nine tenths of the disk that {folder} lies on")
        path = ("journal", "quota_mb")
        yield Problem(path, text.format(quota=config.journal.quota_mb, most=megabytes, folder=folder))


def _readable(file: Path, path: KeyPath) -> Iterator[Problem]:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            yield Problem(path, _("{file} is not a file").format(file=file))
            return
        file.open("rb").close()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or str(error)
        yield Problem(path, _("{file} cannot be read: {why}").format(file=file, why=why))


def _secret(file: Path, path: KeyPath) -> Iterator[Problem]:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except (OSError, ValueError):
        return  # said already, by _readable
    if mode & stat.S_IRWXO:
        text = _("{file} is open to every user of this box; chmod 600 would be right")
        yield Problem(path, text.format(file=file))


def _update(file: Path, path: KeyPath) -> Iterator[Problem]:
    """Whether the update agent's file says where its reports lie."""
    unreadable = list(_readable(file, path))
    yield from unreadable
    if not unreadable:
        try:
            update_folder(file)
        except UpdateFolderError as error:
            yield Problem(path, str(error))


def _tls(tls: TlsConfig, path: KeyPath) -> Iterator[Problem]:
    """Whether the certificates are such, and the key belongs to them."""
    from edge.uplinks.tls import tls_context  # loads OpenSSL, which the check of a document needs not
    from edge.uplinks.uplink_errors import UplinkError

    try:
        tls_context(tls, Path())
    except UplinkError as error:
        yield Problem(path, str(error))


def _public_key(file: Path, path: KeyPath) -> Iterator[Problem]:
    try:
        read_public_key(file)
    except OperatorKeyError as error:
        yield Problem(path, f"{file} {error}")


def _pseudonym_key(file: Path) -> Iterator[Problem]:
    try:
        read_pseudonym_key(file)
    except PseudonymKeyError as error:
        yield Problem(("privacy", "hash_key"), f"{file} {error}")
