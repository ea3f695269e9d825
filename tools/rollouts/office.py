"""What a command on rollouts works with, out of its configuration: the database, what is published, who may decide."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.text import _
from edge.identity.operator_keys import OperatorKey, OperatorKeyError, is_signed, read_public_key
from ota.campaign.config import ConfigError, RolloutConfig, read_config
from ota.errors import OtaError
from tools.output import Exit, fail

if TYPE_CHECKING:
    from ota.campaign.engine.clerk import Clerk
    from ota.campaign.store.database import Database

VARIABLE = "WAYSIDE_ROLLOUTS"
ConfigOption = Annotated[
    Path,
    typer.Option("--config", envvar=VARIABLE, metavar="FILE", help=_("the rollouts' TOML file")),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help=_("the campaign's name"))]
JsonOption = Annotated[bool, typer.Option("--json", help=_("plain data for programs"))]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help=_("say what would happen, change nothing"))]
DEFAULT = Path("rollouts.toml")


@contextmanager
def refusals(*, as_json: bool) -> Iterator[None]:
    """Turn a refusal into one line and exit 1, a wrong configuration into exit 2."""
    try:
        yield
    except ConfigError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)
    except OtaError as error:
        fail(str(error), as_json=as_json)
    except ModuleNotFoundError as error:
        text = _('{module} is not installed here: pip install "wayside[ota,fleet,tools]"')
        fail(text.format(module=error.name), Exit.USAGE, as_json=as_json)


class Office:
    """Opened by `opened`."""

    def __init__(self, config: RolloutConfig, database: "Database") -> None:
        from ota.campaign.published import Published

        self.config = config
        self.database = database
        self.published = Published(config.path(config.repository))

    def clerk(self) -> "Clerk":
        """Who carries out what people decide. Raises `ConfigError` for a key that cannot be read."""
        from ota.campaign.engine.clerk import Clerk

        people = {}
        for name, person in self.config.person.items():
            file = self.config.path(person.key)
            try:
                people[name] = partial(is_signed, read_public_key(file))
            except (OperatorKeyError, OSError) as error:
                raise ConfigError(f"{self.config.file}: person.{name}: {_reason(file, error)}") from error
        return Clerk(self.database, people, self.published.info_of)


@contextmanager
def opened(file: Path) -> Iterator[Office]:
    """The office of a configuration. Raises `OtaError`."""
    from ota.campaign.store.database import open_database

    config = read_config(file)
    database = open_database(config.database_url)
    try:
        yield Office(config, database)
    finally:
        database.close()


def verify_by(key: str, signature: bytes, data: bytes) -> bool:
    """A report's signature, by the key that its device is known by."""
    return is_signed(bytes.fromhex(key), signature, data)


def read_operator_key(config: RolloutConfig, name: str, passphrase_file: str | None) -> OperatorKey:
    """A private key that a configuration names. Raises `ConfigError`."""
    file = config.path(name)
    try:
        passphrase = config.path(passphrase_file).read_bytes().strip() if passphrase_file else None
        return OperatorKey.read(file, passphrase)
    except (OperatorKeyError, OSError) as error:
        raise ConfigError(f"{config.file}: {_reason(file, error)}") from error


def _reason(file: Path, error: Exception) -> str:
    return f"{file}: {error.strerror}" if isinstance(error, OSError) else f"{file} {error}"


def process_name(instance: str) -> str:
    """Unlike that of any other process that ever worked on a database."""
    return f"{instance}-{os.getpid()}-{os.urandom(4).hex()}"
