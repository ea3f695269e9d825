"""The configuration of a device's dealings with a hawkBit server: one TOML file, every number bounded.

    server = "https://hawkbit.example"
    controller = "rsu-7f3a"
    token_file = "secrets/hawkbit.token"     # one line; the file is for its owner alone
    data = "/var/lib/wayside/hawkbit"

    [attributes]
    hardware = "rsu-a"

    [ecu.main]
    module = "gateway"                       # the software module in hawkBit that speaks of this ECU
    family = "rsu/gateway"

Paths are beside the file.
"""

import stat
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec

from ota.agent.config import ConfigError, Family, Name, Web
from ota.hawkbit.feedback import Mode

_MAX_TOKEN_BYTES = 512
_Part = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class EcuModule(_Table, frozen=True, kw_only=True):
    """Which software module is whose."""

    module: _Part
    family: Family


class HawkbitConfig(_Table, frozen=True, kw_only=True):
    """The whole file."""

    server: Web
    tenant: _Part = "DEFAULT"
    controller: _Part
    """The controller id: as the target is called in hawkBit."""
    token_file: str
    owner: Literal["target", "gateway"] = "target"
    """Whose token it is: this target's own, or one that a gateway has for all of its targets."""
    token_goes_unencrypted: bool = False
    """`http://` is refused without this: whoever reads the token can speak for the device."""
    data: str
    ca_file: str | None = None
    proxy: Web | None = None
    poll_s: Annotated[float, msgspec.Meta(ge=10, le=604_800)] = 300.0
    """Until the server has suggested a time."""
    attributes: Annotated[dict[_Attribute, _Attribute], msgspec.Meta(max_length=100)] = {}
    attributes_mode: Mode = Mode.MERGE
    ecu: Annotated[dict[Name, EcuModule], msgspec.Meta(min_length=1, max_length=64)]
    file: str = ""

    def path(self, name: str) -> Path:
        """A path of the file, as it is from here."""
        return Path(self.file).parent / name

    @property
    def base_url(self) -> str:
        """`/{tenant}/controller/v1/{controllerId}` of this device."""
        return f"{self.server.rstrip('/')}/{quote(self.tenant, '')}/controller/v1/{quote(self.controller, '')}"


def read_hawkbit_config(file: Path) -> HawkbitConfig:
    """Read and check the file. Raises `ConfigError`."""
    try:
        config = msgspec.toml.decode(file.read_bytes(), type=HawkbitConfig)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    if not config.server.startswith("https://") and not config.token_goes_unencrypted:
        raise ConfigError(f"{file}: server: https:// is wanted, or token_goes_unencrypted = true")
    modules = [each.module for each in config.ecu.values()]
    for module in modules:
        if modules.count(module) > 1:
            raise ConfigError(f"{file}: ecu: the module {module!r} is named for two ECUs")
    return msgspec.structs.replace(config, file=str(file))


def read_authorization(config: HawkbitConfig) -> str:
    """The `Authorization` header; the token is read each time, so that it can be changed. Raises `ConfigError`."""
    path = config.path(config.token_file)
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(f"{path}: others may read it: chmod 600 {path}")
        with path.open("rb") as file:
            token = file.read(_MAX_TOKEN_BYTES + 1).strip()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if not token or len(token) > _MAX_TOKEN_BYTES or not all(0x21 <= byte <= 0x7E for byte in token):
        raise ConfigError(f"{path}: a token is one word")
    return f"{'TargetToken' if config.owner == 'target' else 'GatewayToken'} {token.decode('ascii')}"
