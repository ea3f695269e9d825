"""The configuration of the operator's side: one TOML file, secrets by reference. Paths are beside the file.

database = "sqlite:///rollouts.db"          # or postgresql://rollouts@db.example/rollouts, password in ~/.pgpass
repository = "/srv/wayside/repository"      # of `wayside ota repo`: what is signed and published

[director]
key = "keys/op-director.key"
passphrase_file = "keys/director.passphrase"
listen = "127.0.0.1:8447"                   # behind the web server that devices reach

[broker]
url = "mqtts://broker.example"
ca = "trust/ca.pem"
certificate = "keys/rollout.crt"
private_key = "keys/rollout.key"
signing_key = "keys/rollout-commands.pem"   # a node lists its public half with ops = ["update.*"]
key_id = "rollout"

[person.li]
key = "people/li.pub"
[person.wang]
key = "people/wang.pub"
"""

from pathlib import Path
from typing import Annotated

import msgspec

from ota.campaign.mistakes import Words
from ota.errors import OtaError

MAX_FILE_BYTES = 64 * 1024
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
Person = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,40}\Z")]
KeyId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")]
Address = Annotated[str, msgspec.Meta(pattern=r"^(\[[0-9a-fA-F:]+\]|[^ :/]+):[0-9]{1,5}\Z", max_length=260)]
KINDS = ("sqlite:///", "postgresql://")
_WORDS = Words(
    {
        Person: "1 to 41 of a-z 0-9 _ . -, a letter or digit first",
        Address: "HOST:PORT, such as 127.0.0.1:8447",
        KeyId: "1 to 64 of a-z 0-9 _ -, a letter or digit first",
    }
)


class ConfigError(OtaError):
    """The file cannot be used. Its text says what and where, in one line."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class DirectorConfig(_Table, frozen=True, kw_only=True):
    """Who signs plans, and where they are asked for."""

    key: Text
    passphrase_file: Text
    listen: Address = "127.0.0.1:8447"
    certificate: Text | None = None
    """With its private key: TLS of its own. Without them it listens on loopback only."""
    private_key: Text | None = None


class BrokerConfig(_Table, frozen=True, kw_only=True):
    """How devices are reached."""

    url: Text
    ca: Text | None = None
    certificate: Text | None = None
    private_key: Text | None = None
    signing_key: Text
    passphrase_file: Text | None = None
    """Of the signing key, where it is encrypted."""
    key_id: KeyId = "rollout"
    insecure_plain_mqtt: bool = False
    """mqtt:// beyond loopback."""


class PersonConfig(_Table, frozen=True, kw_only=True):
    """Somebody who may decide."""

    key: Text
    """Ed25519, the public half, as `wayside keys new` writes it."""


class RolloutConfig(_Table, frozen=True, kw_only=True):
    """The whole file."""

    database: Text
    repository: Text
    director: DirectorConfig | None = None
    broker: BrokerConfig | None = None
    person: dict[Person, PersonConfig] = {}
    file: str = ""

    def path(self, name: str) -> Path:
        """A path of the file, as it is from here."""
        return Path(self.file).parent / name

    @property
    def database_url(self) -> str:
        """With SQLite's file as it is from here."""
        kind, slashes, name = self.database.partition(":///")
        is_file = kind == "sqlite" and slashes and name
        return f"sqlite:///{self.path(name)}" if is_file else self.database


def read_config(file: Path) -> RolloutConfig:
    """Read and check the file. Raises `ConfigError`."""
    try:
        with file.open("rb") as opened:
            document = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    if len(document) > MAX_FILE_BYTES:
        raise ConfigError(f"{file}: more than {MAX_FILE_BYTES} bytes are no configuration")
    try:
        config = msgspec.toml.decode(document, type=RolloutConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file}: {_WORDS.of(error)}") from error
    if not config.database.startswith(KINDS):
        raise ConfigError(f"{file}: database: begins with {' or '.join(KINDS)}, such as sqlite:///rollouts.db")
    if "@" in config.database and ":" in config.database.partition("//")[2].rpartition("@")[0]:
        raise ConfigError(f"{file}: database: a password does not stand here; put it into ~/.pgpass")
    return msgspec.structs.replace(config, file=str(file))
