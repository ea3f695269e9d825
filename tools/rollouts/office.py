"""What a command on rollouts works with, out of its configuration: the database, what is published, who may decide."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property, partial
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
    from ota.campaign.people import Verify
    from ota.campaign.published import Published
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
    """Turn a refusal into one line and exit 1, a wrong configuration into exit 2, a database that is away into 3."""
    try:
        yield
    except ConfigError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)
    except OtaError as error:
        fail(str(error), Exit.UNREACHABLE if _is_database(error) else Exit.REFUSED, as_json=as_json)
    except ModuleNotFoundError as error:
        text = _('{module} is not installed here: pip install "wayside[ota,fleet,tools]"')
        fail(text.format(module=error.name), Exit.USAGE, as_json=as_json)


def _is_database(error: OtaError) -> bool:
    with suppress(ModuleNotFoundError):
        from ota.campaign.store.database import DatabaseError

        return isinstance(error, DatabaseError)
    return False


class Office:
    """Opened by `opened`."""

    def __init__(self, config: RolloutConfig, database: "Database") -> None:
        self.config = config
        self.database = database

    @cached_property
    def published(self) -> "Published":
        """What is signed. Raises `ConfigError` where there is no repository."""
        from ota.campaign.published import Published
        from ota.repository.layout import PUBLIC

        folder = self.config.path(self.config.repository)
        if not (folder / PUBLIC).is_dir():
            text = _("{file}: repository: {folder} is none; `wayside ota repo init` makes one")
            raise ConfigError(text.format(file=self.config.file, folder=folder))
        return Published(folder)

    @cached_property
    def people(self) -> "Mapping[str, Verify]":
        """Who may decide, and what their signatures are held against. Raises `ConfigError` for an unreadable key."""
        people: dict[str, Verify] = {}
        for name, person in self.config.person.items():
            file = self.config.path(person.key)
            try:
                people[name] = partial(is_signed, read_public_key(file))
            except (OperatorKeyError, OSError) as error:
                raise ConfigError(f"{self.config.file}: person.{name}: {_reason(file, error)}") from error
        return people

    def clerk(self) -> "Clerk":
        """Who carries out what people decide. Raises `ConfigError`."""
        from ota.campaign.engine.clerk import Clerk

        return Clerk(self.database, self.people, self.published.info_of)


@contextmanager
def opened(file: Path, *, makes_database: bool = False) -> Iterator[Office]:
    """The office of a configuration. Raises `OtaError`.

    makes_database: an SQLite file that is not there is begun; for all others it is a wrong name.
    """
    from ota.campaign.store.database import open_database

    config = read_config(file)
    if not makes_database and is_missing(config):
        text = _("{file}: database: {database} is not there yet; `wayside ota fleet import` begins it")
        raise ConfigError(text.format(file=file, database=config.database_url))
    database = open_database(config.database_url)
    try:
        yield Office(config, database)
    finally:
        database.close()


def is_missing(config: RolloutConfig) -> bool:
    """Whether its database is a file that is not there."""
    kind, slashes, name = config.database_url.partition(":///")
    return kind == "sqlite" and bool(slashes and name) and not Path(name).exists()


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
