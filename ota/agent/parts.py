"""What a run of the agent is built of, out of its configuration."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from ota.agent.config import ConfigError, RepositoryConfig, UpdateConfig
from ota.agent.line import SocketLine
from ota.installers.mcu import McuInstaller
from ota.payload.limits import DailyBudget
from ota.payload.source import FolderSource, HttpSource, Source
from ota.reports import ReportQueue
from ota.storage import Storage
from ota.trust.agreement import Device, EcuKind
from ota.trust.client import Repository, TrustClient
from ota.trust.clock_floor import ClockFloor
from ota.trust.fetcher import Folder
from ota.trust.web import Web, WebSettings


def repositories(
    config: UpdateConfig, stick: Path | None, connections: ExitStack, *, has_clock: bool
) -> tuple[Repository, Repository]:
    """The Director and the image repository: of the stick, or of the network."""
    if stick is not None:
        pieces = Folder(stick).pieces
        return Repository(pieces, f"director/{config.device}"), Repository(pieces, "metadata")
    made = []
    for each, folder in ((config.director, ""), (config.images, "/metadata")):
        web = connections.enter_context(closing(Web(_web(config, each, has_clock=has_clock))))
        made.append(Repository(web.pieces, f"{each.url.rstrip('/')}{folder}"))
    return made[0], made[1]


def sources(config: UpdateConfig, stick: Path | None, has_clock: Callable[[], bool]) -> list[Source]:
    """Where blobs come from, by preference; whoever has used them closes them."""
    if stick is not None:
        return [FolderSource(stick)]
    images, is_metered = config.images, config.limits.is_metered
    return [
        HttpSource(url, settings=lambda: _web(config, images, has_clock=has_clock()), is_metered=is_metered)
        for url in (images.url, *images.mirrors)
    ]


def daily_budget(
    config: UpdateConfig, storage: Storage, clock: Callable[[], float], is_synchronised: Callable[[], bool]
) -> DailyBudget:
    """What the downloads of a day may cost."""
    limits = config.limits
    return DailyBudget(
        storage,
        bytes_a_day=None if limits.megabytes_per_day is None else int(limits.megabytes_per_day * 1_000_000),
        attempts_a_day=limits.attempts_per_day,
        wall_s=clock,
        is_synchronised=is_synchronised,
    )


def trust_client(
    config: UpdateConfig,
    storage: Storage,
    clock: Callable[[], float],
    is_synchronised: Callable[[], bool],
) -> TrustClient:
    """Raises `ConfigError` where a built-in root cannot be read."""
    ecus = {name: EcuKind(ecu.hardware, ecu.family) for name, ecu in config.ecu.items()}
    return TrustClient(
        storage,
        Device(config.device, ecus),
        director_root=_read(config.path(config.director.root)),
        image_root=_read(config.path(config.images.root)),
        clock=ClockFloor(clock=clock, is_synchronised=is_synchronised),
    )


def report_queue(config: UpdateConfig, storage: Storage) -> ReportQueue | None:
    """None where nothing signs reports. Raises `ConfigError`."""
    if config.report_key is None:
        return None
    path = config.path(config.report_key)
    try:
        key = load_pem_private_key(_read(path), None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: not an unencrypted private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: not an Ed25519 key")
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return ReportQueue(storage, key.sign, hashlib.sha256(public).hexdigest())


def lines(config: UpdateConfig) -> dict[str, SocketLine]:
    """The line to each secondary; whoever has used them hangs up."""
    return {name: SocketLine(ecu.line) for name, ecu in config.ecu.items() if ecu.line is not None}


def installers(config: UpdateConfig, to: Mapping[str, SocketLine]) -> dict[str, McuInstaller]:
    """The secondaries. Raises `ConfigError`."""
    return {
        name: McuInstaller(name, _secret(config.path(ecu.key_file)), to[name])
        for name, ecu in config.ecu.items()
        if ecu.key_file is not None
    }


def _web(config: UpdateConfig, to: RepositoryConfig, *, has_clock: bool) -> WebSettings:
    return WebSettings(ca_file=config.path(to.ca_file) if to.ca_file else None, proxy=to.proxy, has_clock=has_clock)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _secret(path: Path) -> bytes:
    data = _read(path).strip()
    try:
        key = bytes.fromhex(data.decode())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ConfigError(f"{path}: a key of 64 hexadecimal digits is wanted")
    return key
