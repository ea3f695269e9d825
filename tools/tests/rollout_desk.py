"""The operator's side of rollouts for tests of its commands: a signed repository, people with keys, a small fleet."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner, Result

from edge.identity.operator_keys import OperatorKey
from ota.campaign.engine.engine import Engine
from ota.campaign.engine.heard import Account
from ota.campaign.published import Published
from ota.campaign.store import plans
from ota.campaign.store.database import Database, open_database
from tools.cli import app
from tools.tests.ota_repositories import PASSPHRASE, Desk, done, release_words, source

OLD, NEW = "rsu/gateway/1.1.tar", "rsu/gateway/1.2.tar"
NAME = "gateway-1.2"
HARDWARE = "rsu-arm64"
PEOPLE = ("li", "wang", "zhao")
CAMPAIGN = f"""
name = "{NAME}"
target = "{NEW}"
where = ["region=north"]
[[stage]]
percent = 10
[[stage]]
percent = 100
[when]
jitter_s = 0
"""
FLEET = "id,model,ecu.main,target.main,region\n" + "".join(
    f"bus-{number:02},bus,{HARDWARE},{OLD},north\n" for number in range(10)
)


class Signed(NamedTuple):
    """What a ceremony has left."""

    repository: Path
    director_key: Path
    online_key: Path


def sign_repository(folder: Path) -> Signed:
    """Two releases, signed by two holders and published."""
    desk = Desk(folder)
    repository = desk.begun(folder / "repository")
    for number in (1, 2):
        done(*release_words(repository, source(folder / f"source-{number}", f"VERSION = {number}\n"), number))
        desk.sign(repository, "alice", "bob")
        desk.publish(repository)
    return Signed(repository, desk.key("server", "director"), desk.key("server", "online"))


class RolloutDesk:
    """A folder with `rollouts.toml`, `campaign.toml`, `fleet.csv` and the keys of three people."""

    def __init__(self, folder: Path, signed: Signed) -> None:
        self.folder = folder
        self.signed = signed
        self.config = folder / "rollouts.toml"
        for name in PEOPLE:
            OperatorKey.new().write(folder / f"{name}.pem", folder / f"{name}.pub")
        (folder / "passphrase").write_text(PASSPHRASE)
        (folder / "passphrase").chmod(0o600)
        (folder / "campaign.toml").write_text(CAMPAIGN)
        (folder / "fleet.csv").write_text(FLEET)
        self.configure()

    def configure(self, more: str = "", **other: str) -> None:
        """Write the configuration anew. more: tables; other: keys of the head."""
        head = {"database": "sqlite:///rollouts.db", "repository": str(self.signed.repository), **other}
        lines = [f'{name} = "{value}"' for name, value in head.items()]
        lines += [f'[person.{name}]\nkey = "{name}.pub"' for name in PEOPLE]
        self.config.write_text("\n".join([*lines, more]) + "\n")

    def director(self, **other: str) -> str:
        """The table of the Director."""
        own = {"key": str(self.signed.director_key), "passphrase_file": "passphrase", "listen": "127.0.0.1:0", **other}
        return "\n".join(["[director]", *(f'{name} = "{value}"' for name, value in own.items())]) + "\n"

    def file(self, name: str) -> str:
        """A file of the folder."""
        return str(self.folder / name)

    def key(self, who: str) -> tuple[str, str]:
        """The option that signs as somebody."""
        return "--key", self.file(f"{who}.pem")

    # Commands ---------------------------------------------------------------------------------------------------

    def run(self, *words: str, env: dict[str, str] | None = None) -> Result:
        """Run `wayside ota ...` as a person does."""
        return CliRunner().invoke(app, ["ota", *words], env={"WAYSIDE_ROLLOUTS": str(self.config), **(env or {})})

    def done(self, *words: str) -> dict[str, Any]:
        """A command that must succeed: the one JSON object that it says."""
        result = self.run(*words, "--json")
        assert result.exit_code == 0, result.output
        assert result.stdout.count("\n") == 1
        answer: dict[str, Any] = json.loads(result.stdout)
        return answer

    def told(self, *words: str) -> str:
        """A command that must succeed: what it tells a person, data and talk."""
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return result.stdout + result.stderr

    def refused(self, *words: str, code: int = 1, env: dict[str, str] | None = None) -> str:
        """A command that must be refused: the one line that it says, to a person and to a program."""
        result = self.run(*words, env=env)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        assert result.stderr.count("\n") == 1, result.stderr
        reason = result.stderr.removeprefix("wayside: ").rstrip("\n")
        plain = self.run(*words, "--json", env=env)
        assert plain.exit_code == code
        answer = json.loads(plain.stdout)
        assert answer["ok"] is False
        assert set(answer) == {"ok", "reason"}
        return reason

    def begun(self) -> None:
        """The fleet is known, and the campaign approved."""
        self.done("fleet", "import", self.file("fleet.csv"))
        self.done("campaign", "new", self.file("campaign.toml"), *self.key("li"))
        self.done("campaign", "approve", NAME, *self.key("wang"))

    # The engine -------------------------------------------------------------------------------------------------

    @contextmanager
    def opened(self) -> Iterator[Database]:
        """The database."""
        database = open_database(f"sqlite:///{self.folder / 'rollouts.db'}")
        try:
            yield database
        finally:
            database.close()

    def work(self, now: int, *heard: Account) -> None:
        """What `serve` does at this time, after it has heard these."""
        with self.opened() as database:
            engine = Engine(database, "test", Published(self.signed.repository).info_of, lambda *_proof: True)
            engine.hear_since(now - 100_000)
            engine.take(heard)
            engine.work_all(now)

    def plan_of(self, device: str) -> int:
        """The number of its newest plan."""
        with self.opened() as database, database.reading() as connection:
            return plans.latest(connection, [device])[device].plan.number

    def ended(self, device: str, now: int, outcome: str, rule: str = "", reason: str = "") -> Account:
        """What a device says of its newest plan."""
        account = {"plan": self.plan_of(device), "outcome": outcome, "rule": rule, "reason": reason}
        return Account(device=device, at=now, account=account)
