"""The engine: one step after the other, each in a transaction of its own, until there is nothing to do."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from ota.campaign.engine import steps
from ota.campaign.engine.heard import Heard
from ota.campaign.engine.intake import Intake, Refused, VerifyBy
from ota.campaign.rules import CampaignError
from ota.campaign.store import campaigns, plans
from ota.campaign.store.campaigns import Kept
from ota.campaign.store.database import Database
from ota.campaign.store.plans import Command
from ota.errors import RefusedError, StorageError
from ota.targets import ImageInfo

SETTLE_S = 180
"""After we were deaf: within this time whoever is well has been heard again, and nobody's time is up before."""


class Engine:
    """Moves all campaigns of a database.

    name: of this process, unlike that of any other on this database, also of one that has died; info_of: what the
    verified image repository says of a target, None where it does not list it.
    """

    def __init__(
        self, database: Database, name: str, info_of: Callable[[str], ImageInfo | None], verify: VerifyBy
    ) -> None:
        self._database = database
        self._name = name
        self._info_of = info_of
        self._verify = verify
        self._listening_since: int | None = None

    def hear_since(self, now: int | None) -> None:
        """Devices can be heard from now on; None: they cannot."""
        self._listening_since = now

    def take(self, heard: Sequence[Heard]) -> list[Refused]:
        """What devices have said; what is not believed. Raises `DatabaseError`."""
        if not heard:
            return []
        with self._database.transaction() as connection:
            intake = Intake(connection, self._verify)
            intake.take(heard)
        return intake.refused

    def work(self, now: int) -> int:
        """One round over all campaigns; how much was done. Raises `DatabaseError`.

        Raises also what `info_of` does, after all has been done that can be done without it: a campaign whose release
        cannot be looked up is halted and sent back all the same, and is in the way of no other one.
        """
        with self._database.reading() as connection:
            names = [each.campaign.name for each in campaigns.every(connection, ("running", "paused", "reverting"))]
        done, failed = 0, None
        for name in names:
            try:
                done += sum(self._step(name, each, now) for each in (self._look, self._decide, self._send_back))
                done += sum(self._step(name, each, now) for each in (self._enrol, self._tell))
            except (RefusedError, StorageError) as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return done

    def work_all(self, now: int) -> int:
        """Rounds until there is nothing to do at this time."""
        total = 0
        while done := self.work(now):
            total += done
        return total

    def claim(self, now: int, limit: int) -> list[Command]:
        """Commands for us to send. Raises `DatabaseError`."""
        with self._database.transaction() as connection:
            return plans.claim(connection, self._name, now, limit)

    def sent(self, ids: Sequence[str], now: int) -> None:
        """They are with the broker. Raises `DatabaseError`."""
        with self._database.transaction() as connection:
            plans.sent(connection, ids, now)

    def give_back(self, ids: Sequence[str]) -> None:
        """They could not be sent; anybody may try. Raises `DatabaseError`."""
        with self._database.transaction() as connection:
            plans.give_back(connection, self._name, ids)

    def _step(self, name: str, step: Callable[[Connection, Kept, int], int], now: int) -> int:
        """One transaction, over what stands in the database when it begins."""
        with self._database.transaction() as connection:
            kept = campaigns.get(connection, name, is_locked=True)
            return 0 if kept is None else step(connection, kept, now)

    def _enrol(self, connection: Connection, kept: Kept, now: int) -> int:
        info = self._info_of(kept.campaign.target) if kept.state == "running" else None
        if info is None:
            return 0
        try:
            return steps.enrol(connection, kept, info, now)
        except CampaignError:  # the last device that had a label of its terms is gone: nobody can join by it
            return 0

    def _look(self, connection: Connection, kept: Kept, now: int) -> int:
        if self._listening_since is None or now - self._listening_since < SETTLE_S:
            return 0
        return steps.look(connection, kept, now, self._listening_since)

    def _send_back(self, connection: Connection, kept: Kept, now: int) -> int:
        return steps.send_back(connection, kept, now) if kept.state == "reverting" else 0

    def _tell(self, connection: Connection, kept: Kept, now: int) -> int:
        if kept.state != "running" or now < kept.campaign.may_begin_at or self._info_of(kept.campaign.target) is None:
            return 0
        return steps.tell(connection, kept, now)

    def _decide(self, connection: Connection, kept: Kept, now: int) -> int:
        if kept.state not in ("running", "paused"):
            return 0
        return int(steps.decide(connection, kept, now).action != "wait")
