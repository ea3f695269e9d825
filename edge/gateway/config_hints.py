"""What a configuration may hold on purpose and mostly does by mistake: for whoever checks it, never a reason to refuse.

Nothing here is looked at when a gateway starts.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from drivers.text import _
from edge.gateway.config import NodeConfigFile
from edge.gateway.config_errors import Problem
from edge.gateway.config_lines import Path as KeyPath
from edge.identity.node_certificate import look_at_authority, look_at_certificate


def certificate_findings(config: NodeConfigFile, now: datetime) -> tuple[list[Problem], list[Problem]]:
    """(what is wrong, what will be soon) with the node's own certificate and the authority that it trusts."""
    tls = config.uplink.mqtt.tls
    if tls is None:
        return [], []
    found = [("cert", finding) for finding in look_at_certificate(Path(tls.cert), node=config.node.id, now=now)]
    found += [("ca", finding) for finding in look_at_authority(Path(tls.ca), now=now)]
    problems = [Problem(("uplink", "mqtt", "tls", key), finding.text) for key, finding in found if finding.is_wrong]
    soon = [Problem(("uplink", "mqtt", "tls", key), finding.text) for key, finding in found if not finding.is_wrong]
    return problems, soon


def hints(config: NodeConfigFile) -> Iterator[Problem]:
    """What stands twice and may not be meant to."""
    yield from _units(config)
    yield from _tcp_ports(config)


def _units(config: NodeConfigFile) -> Iterator[Problem]:
    """Two tables for one address: two devices answer at once, or one is polled twice."""
    seen: dict[tuple[str, int], KeyPath] = {}
    for number, device in enumerate(config.device):
        unit = getattr(device, "unit_id", None)
        if unit is None:
            continue
        path = ("device", number, "unit_id")
        where = f"[[bus]] {device.bus}" if device.bus is not None else _address(device.port or "")
        other = seen.setdefault((where, unit), path)
        if other != path:
            text = _("is unit {unit} on {where} once more: two devices with one address answer both at once")
            yield Problem(path, text.format(unit=unit, where=where), other)


def _tcp_ports(config: NodeConfigFile) -> Iterator[Problem]:
    """A serial line that stands twice is a mistake. Over TCP it works with whatever takes several connections."""
    seen: dict[str, KeyPath] = {}
    ports: list[tuple[KeyPath, str | None]] = [(("bus", number), bus.port) for number, bus in enumerate(config.bus)]
    ports += [(("device", number), device.port) for number, device in enumerate(config.device)]
    for table, port in ports:
        if port is None or not port.startswith("tcp:"):
            continue
        path = (*table, "port")
        other = seen.setdefault(_address(port), path)
        if other != path:
            text = _("is {port} once more: many devices take one connection only; a [[bus]] shares one")
            yield Problem(path, text.format(port=port), other)


def _address(port: str) -> str:
    return port.partition("?")[0].lower()
