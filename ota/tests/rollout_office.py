"""The operator's side of rollouts for tests: people with keys, a fleet in the database, and devices that answer.

    office = Office(database)
    office.fill({"bus": 20, "lane": 10})
    office.begin(CAMPAIGN)                  # li makes it, wang approves it
    Field(bad={"bus"}).run(office)          # until it ends by itself

A device of the field takes its command, confirms or rolls back two rounds later, and says both; it does a command that
it knows already no second time, as a node does.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ota.campaign.engine.clerk import Clerk
from ota.campaign.engine.engine import SETTLE_S, Engine
from ota.campaign.engine.heard import Account, Answer, Heard, Look
from ota.campaign.people import Deed, SignedDeed, Verb, sign
from ota.campaign.rules import Campaign, read_campaign
from ota.campaign.selection import FleetDevice
from ota.campaign.store import campaigns, courses, devices, plans, tables, trail
from ota.campaign.store.campaigns import Kept
from ota.campaign.store.database import Database
from ota.campaign.store.plans import Command
from ota.targets import Blob, ImageInfo

OLD, NEW = "rsu/gateway/1.4.1.tar", "rsu/gateway/1.4.2.tar"
HARDWARE = "rsu-arm64"
NAME = "gateway-1.4.2"
PEOPLE = ("li", "wang", "chen")
BEGIN = 1_800_000_000
ROUND_S = 60
CAMPAIGN = f"""
name = "{NAME}"
target = "{NEW}"
[[stage]]
percent = 30
soak_s = 60
[[stage]]
percent = 100
soak_s = 60
[gate]
min_sample = 4
min_failures = 2
confidence = 0.9
[when]
jitter_s = 0
"""


def info(**more: Any) -> ImageInfo:
    """What is signed of a release."""
    blob = Blob(codec="none", length=1, sha256="0" * 64, blocks="0" * 64)
    facts = {"kind": "release-dir", "hardware": [HARDWARE], "family": "rsu/gateway", "version": "1.4.2", "counter": 5}
    return ImageInfo(**{**facts, "full": [blob], **more})


def key_of(name: str) -> Ed25519PrivateKey:
    """Always the same for a name."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def hex_of(key: Ed25519PrivateKey) -> str:
    """Its public half, as a fleet's file has it."""
    return key.public_key().public_bytes_raw().hex()


def verify_by(key: str, signature: bytes, data: bytes) -> bool:
    """As the engine is given it."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def campaign_of(text: str = CAMPAIGN, *more: str) -> Campaign:
    """Out of its file."""
    return read_campaign("\n".join((text, *more)).encode(), "campaign.toml")


class Office:
    """What is published is in `infos`, and can be changed."""

    def __init__(self, database: Database, people: Collection[str] = PEOPLE) -> None:
        self.database = database
        self.infos: dict[str, ImageInfo] = {OLD: info(version="1.4.1", counter=4), NEW: info()}
        verifiers: dict[str, Callable[[bytes, bytes], bool]] = {name: _verifier(name) for name in people}
        self.clerk = Clerk(database, verifiers, lambda target: self.infos.get(target))

    def fill(self, models: dict[str, int], *, at: int = 1, **more: Any) -> list[FleetDevice]:
        """Add devices, `bus-000` and on. Each has its own report key."""
        rows = [device(f"{model}-{index:03}", model, **more) for model, many in models.items() for index in range(many)]
        self.add(rows, at=at)
        return rows

    def add(self, rows: Iterable[FleetDevice], *, at: int = 1) -> None:
        """These, with their report keys."""
        rows = list(rows)
        with self.database.transaction() as connection:
            devices.put(connection, rows, {one.id: hex_of(key_of(one.id)) for one in rows}, at)

    def signed(self, what: Verb, who: str, campaign: Campaign, *, at: int = BEGIN, **more: Any) -> SignedDeed:
        """A deed of somebody's, with what is to be wrong in it."""
        facts = {"campaign": campaign.name, "digest": campaigns.digest_of(campaign), **more}
        return sign(Deed(what=what, who=who, at=at, **facts), key_of(who).sign)

    def begin(self, campaign: Campaign | None = None, *, at: int = BEGIN) -> Campaign:
        """Made by one, approved by another."""
        campaign = campaign or campaign_of()
        self.clerk.new(campaign, self.signed("new", "li", campaign, at=at))
        self.clerk.approve(campaign.name, self.signed("approve", "wang", campaign, at=at))
        return campaign

    def engine(self, name: str = "one", *, since: int | None = BEGIN - SETTLE_S) -> Engine:
        """Another process on this database, which hears devices since then."""
        engine = Engine(self.database, name, lambda target: self.infos.get(target), verify_by)
        engine.hear_since(since)
        return engine

    def kept(self, name: str = NAME) -> Kept:
        """The campaign as it stands."""
        with self.database.reading() as connection:
            found = campaigns.get(connection, name)
        assert found is not None
        return found

    def states(self, name: str = NAME) -> dict[str, str]:
        """Of each device."""
        with self.database.reading() as connection:
            return {one.device: one.state for one in courses.of_campaign(connection, name)}

    def course(self, device: str, name: str = NAME) -> courses.Course:
        """Of one device."""
        with self.database.reading() as connection:
            return next(one for one in courses.of_campaign(connection, name) if one.device == device)

    def told(self, name: str = NAME) -> list[tuple[str, int]]:
        """(device, plan) of the trail, in order: what devices were told, and what they were sent back with."""
        with self.database.reading() as connection:
            entries = [one for one in trail.read(connection, name) if one.what in ("told", "sent back")]
        return [pair for one in entries for pair in one.facts["plans"].items()]

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that stands in the database."""
        with self.database.reading() as connection:
            return {
                table.name: [tuple(row) for row in connection.execute(table.select().order_by(*table.primary_key))]
                for table in tables.metadata.sorted_tables
            }

    def first_break(self) -> int | None:
        """Of the trail."""
        with self.database.reading() as connection:
            return trail.first_break(connection)


class Field:
    """Devices at the other end. bad: models that the release does not run on."""

    def __init__(self, bad: Collection[str] = ()) -> None:
        self.bad = bad
        self.commands: list[tuple[str, str, int]] = []
        """(device, command id, plan), each as often as it was sent."""
        self.accounts: dict[str, dict[str, Any]] = {}
        """What the broker keeps of each device."""
        self.is_reachable = True
        self._busy: dict[str, tuple[int, int]] = {}
        """By device: its plan, and rounds until it is at its end."""
        self._said: list[tuple[str, str]] = []

    def send(self, command: Command) -> None:
        """The broker takes a command and gives it to its device."""
        is_known = any(each == command.id for _device, each, _plan in self.commands)
        self.commands.append((command.device, command.id, command.plan))
        self._said.append((command.device, command.id))
        if not is_known:
            self._busy[command.device] = (command.plan, 2)

    def hears(self, now: int) -> list[Heard]:
        """What devices say in a round: signs of life, answers, accounts."""
        if not self.is_reachable:
            return []
        heard: list[Heard] = [Answer(device=name, command=each, at=now) for name, each in self._said]
        self._said.clear()
        for name, (plan, left) in sorted(self._busy.items()):
            if left:
                self._busy[name] = plan, left - 1
                continue
            del self._busy[name]
            is_bad = plan % 2 == 1 and name.rpartition("-")[0] in self.bad  # an even plan is the way back
            outcome = {"outcome": "rolled back", "rule": "health"} if is_bad else {"outcome": "confirmed"}
            self.accounts[name] = {"plan": plan, **outcome}
            heard.append(Account(device=name, account=self.accounts[name], at=now))
        return heard + [Look(device=name, at=now, records=100) for name in sorted(self.accounts)]

    def kept(self, now: int) -> list[Heard]:
        """What the broker tells whoever connects: the last account of each device."""
        return [
            Account(device=name, account=account, at=now, is_fresh=False)
            for name, account in sorted(self.accounts.items())
        ]

    def round(self, engine: Engine, now: int) -> None:
        """One round of an engine at its broker."""
        engine.work_all(now)
        self.deliver(engine, now)
        engine.take(self.hears(now))
        engine.work_all(now)

    def deliver(self, engine: Engine, now: int) -> None:
        """Commands that wait are sent, or given back where the broker is away."""
        while commands := engine.claim(now, 100):
            if not self.is_reachable:
                engine.give_back([one.id for one in commands])
                return
            for one in commands:
                self.send(one)
            engine.sent([one.id for one in commands], now)

    def run(self, office: Office, engine: Engine | None = None, *, at: int = BEGIN, rounds: int = 60) -> Kept:
        """Until the campaign goes on no more, and everybody is at an end."""
        engine = engine or office.engine()
        for number in range(rounds):
            self.round(engine, at + number * ROUND_S)
            if is_over(office):
                break
        return office.kept()


def is_over(office: Office, name: str = NAME) -> bool:
    """It does not go on by itself, nobody is on the way, and no command waits."""
    with office.database.reading() as connection:
        kept = campaigns.get(connection, name)
        assert kept is not None
        if kept.state in ("waiting", "running", "reverting") or plans.unsent(connection):
            return False
        return not courses.in_states(connection, name, ("told", "reached", "reverting"), 1)


def device(name: str, model: str = "bus", **more: Any) -> FleetDevice:
    """One that runs the old release."""
    facts: dict[str, Any] = {"ecus": {"main": HARDWARE}, "targets": {"main": OLD}, "labels": {"region": "north"}}
    return FleetDevice(id=name, model=model, **{**facts, **more})


def repeated(pairs: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Those that stand there more than once."""
    return sorted({pair for pair in pairs if pairs.count(pair) > 1})


def _verifier(name: str) -> Callable[[bytes, bytes], bool]:
    key = hex_of(key_of(name))
    return lambda signature, data: verify_by(key, signature, data)
