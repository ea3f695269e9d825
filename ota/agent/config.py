"""The configuration of a device's updates: one TOML file, every number bounded, secrets by reference.

    device = "rsu-7f3a"
    data = "/var/lib/wayside/update"

    [ecu.main]                                 # the agent's own slots
    hardware = "rsu-a"
    family = "rsu/gateway"

    [ecu.lamp-1]                               # a MicroPython secondary
    hardware = "lamp-c3"
    family = "buoy/lamp"
    line = "tcp://192.0.2.7:7000"
    key_file = "keys/lamp-1.key"

    [director]
    url = "https://updates.example/director/rsu-7f3a"
    root = "trust/director.root.json"          # built in when the device was made

    [images]
    url = "https://cdn.example/wayside"
    mirrors = ["http://depot.example/wayside"]
    root = "trust/image.root.json"

    [rauc]                                     # only where the agent's own slots are RAUC's (docs/ota_rauc.md)
    a = "rootfs.0"
    b = "rootfs.1"

Paths are beside the file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from ota.errors import OtaError
from ota.health import Gates
from ota.local_conditions import Condition
from ota.targets import Word

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Family = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*\Z", max_length=80)]
Web = Annotated[str, msgspec.Meta(pattern=r"^https?://[^ ]+\Z", max_length=400)]
LineUrl = Annotated[str, msgspec.Meta(pattern=r"^(tcp://[^ /:]+:[0-9]{1,5}|unix:/[^ ]+)\Z", max_length=200)]
OWN = "main"
"""The ECU that the agent's own slots are."""


class ConfigError(OtaError):
    """The file cannot be used. Its text says what and where, in one line."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class EcuConfig(_Table, frozen=True, kw_only=True):
    """One ECU; with a `line` it is a secondary."""

    hardware: Word
    family: Family
    line: LineUrl | None = None
    key_file: str | None = None


class RepositoryConfig(_Table, frozen=True, kw_only=True):
    """Where a repository is, and the root that it is first believed by."""

    url: Web
    root: str
    mirrors: Annotated[list[Web], msgspec.Meta(max_length=8)] = []
    ca_file: str | None = None
    proxy: Web | None = None


class Limits(_Table, frozen=True, kw_only=True):
    """What updates may cost."""

    megabytes_per_day: Annotated[float, msgspec.Meta(gt=0, le=1e6)] | None = None
    attempts_per_day: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 200
    kilobytes_per_s: Annotated[float, msgspec.Meta(ge=1, le=1e6)] | None = None
    is_metered: bool = False
    """The link costs by the byte: a plan must allow it."""


class RaucConfig(_Table, frozen=True, kw_only=True):
    """The two slots that RAUC's `system.conf` has with a bootname each."""

    a: Word = "rootfs.0"
    b: Word = "rootfs.1"
    install_within_s: Annotated[float, msgspec.Meta(ge=60, le=86_400)] = 3_600.0
    restart: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=16)] = ("systemctl", "reboot")
    """What restarts the machine, once the bootloader has been told which slot is next."""

    @property
    def names(self) -> dict[str, str]:
        """Our slot -> RAUC's."""
        return {"a": self.a, "b": self.b}


class UpdateConfig(_Table, frozen=True, kw_only=True):
    """The whole file."""

    device: Name
    data: str
    ecu: Annotated[dict[Name, EcuConfig], msgspec.Meta(min_length=1, max_length=64)]
    director: RepositoryConfig
    images: RepositoryConfig
    rauc: RaucConfig | None = None
    hawkbit: str | None = None
    """The file of a hawkBit server that says when a plan is followed (docs/ota_hawkbit.md)."""
    status_socket: str | None = None
    """Of the gateway whose health counts."""
    log_file: str | None = None
    """Of that gateway: its end goes with the report of a release that was rolled back."""
    report_key: str | None = None
    """Ed25519, PKCS 8 in PEM; without one reports are not signed and none are made."""
    poll_s: Annotated[float, msgspec.Meta(ge=10, le=604_800)] = 3_600.0
    limits: Limits = Limits()
    condition: Annotated[dict[Word, Condition], msgspec.Meta(max_length=32)] = {}
    """What the names of local conditions mean on this device; one that is not here never holds."""
    health: Gates = Gates()
    file: str = ""

    def path(self, name: str) -> Path:
        """A path of the file, as it is from here."""
        return Path(self.file).parent / name


def read_config(file: Path) -> UpdateConfig:
    """Read and check the file. Raises `ConfigError`."""
    try:
        document = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    return parse_config(document, file)


def parse_config(document: bytes, file: Path) -> UpdateConfig:
    """Check what lies, or would lie, in `file`. Raises `ConfigError`."""
    try:
        config = msgspec.toml.decode(document, type=UpdateConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    for name, ecu in config.ecu.items():
        if (name == OWN) is not (ecu.line is None) or (ecu.line is None) is not (ecu.key_file is None):
            raise ConfigError(f"{file}: ecu.{name}: a secondary has a line and a key_file, and `{OWN}` has neither")
    for where, url in _addresses(config):
        if not _is_address(url):
            raise ConfigError(f"{file}: {where}: this is no address")
    if OWN not in config.ecu:
        raise ConfigError(f"{file}: ecu.{OWN} is missing")
    if config.rauc is not None and config.rauc.a == config.rauc.b:
        raise ConfigError(f"{file}: rauc: a and b are two slots")
    return msgspec.structs.replace(config, file=str(file))


def _addresses(config: UpdateConfig) -> Iterator[tuple[str, str]]:
    for where, to in (("director", config.director), ("images", config.images)):
        yield f"{where}.url", to.url
        yield from ((f"{where}.mirrors", mirror) for mirror in to.mirrors)
        if to.proxy is not None:
            yield f"{where}.proxy", to.proxy
    for name, ecu in config.ecu.items():
        if ecu.line is not None and not ecu.line.startswith("unix:"):
            yield f"ecu.{name}.line", ecu.line


def _is_address(url: str) -> bool:
    """What a pattern does not tell. An address may hold a secret: no error repeats it."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
