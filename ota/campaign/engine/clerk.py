"""What people decide, carried out: new, approve, pause, resume, next, halt; each refusal is one line.

A campaign is refused here, before anything is planned, for whatever would make it fail later: a release that is not
signed, a device that it is not for, a way back that its floor forbids, another campaign on the same devices.
"""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from ota.campaign.engine import steps
from ota.campaign.engine.planning import why_not
from ota.campaign.people import Deed, SignedDeed, check
from ota.campaign.rules import Campaign, CampaignError
from ota.campaign.selection import stages_of
from ota.campaign.store import campaigns, courses, devices, plans, trail
from ota.campaign.store.campaigns import OPEN, Kept
from ota.campaign.store.database import Database
from ota.errors import Rule
from ota.targets import ImageInfo

_SHOWN = 5


class Clerk:
    """people: verifies (signature, bytes) by name; info_of: what the verified image repository says of a target."""

    def __init__(
        self,
        database: Database,
        people: Mapping[str, Callable[[bytes, bytes], bool]],
        info_of: Callable[[str], ImageInfo | None],
    ) -> None:
        self._database = database
        self._people = people
        self._info_of = info_of

    def outline(self, campaign: Campaign) -> dict[str, int]:
        """How many devices each stage would have: the dry run of `new`. Raises `CampaignError`."""
        with self._database.reading() as connection:
            meant = self._check(connection, campaign)
        result = {str(number + 1): 0 for number in range(len(campaign.stage))}
        for stage in stages_of(campaign, meant).values():
            result[str(stage + 1)] += 1
        return result

    def new(self, campaign: Campaign, signed: SignedDeed) -> None:
        """It waits for approval. Raises `CampaignError`."""
        deed = self._deed(signed, "new", campaign.name)
        if deed.digest != campaigns.digest_of(campaign):
            raise CampaignError(f"signature: {campaign.name}: what {deed.who} has signed is another campaign")
        with self._database.transaction() as connection:
            devices.lock_fleet(connection)
            if campaigns.get(connection, campaign.name) is not None:
                raise CampaignError(f"name: {campaign.name}: there is a campaign of this name already")
            meant = self._check(connection, campaign)
            campaigns.add(connection, campaign, author=deed.who, at=deed.at)
            self._note(connection, deed, signed, devices=len(meant))

    def approve(self, name: str, signed: SignedDeed) -> int:
        """How many approvals are still wanted; with the last one it begins. Raises `CampaignError`."""
        deed = self._deed(signed, "approve", name)
        with self._database.transaction() as connection:
            kept = self._kept(connection, name, deed)
            if kept.state != "waiting":
                raise CampaignError(f"{name}: it is {kept.state}; there is nothing to approve")
            if deed.who == kept.author:
                raise CampaignError(f"approval: {name}: {deed.who} has made it; a second person approves it")
            given = campaigns.approvals(connection, name)
            if deed.who in given:
                raise CampaignError(f"approval: {name}: {deed.who} has approved it already")
            devices.lock_fleet(connection)
            self._check(connection, kept.campaign, own=name)
            campaigns.approve(connection, name, deed.who, deed.at)
            wanted = kept.campaign.approvals - len(given) - 1
            self._note(connection, deed, signed)
            if wanted <= 0:
                steps.begin(connection, kept, deed.at)
        return max(0, wanted)

    def pause(self, name: str, signed: SignedDeed) -> None:
        """Nobody more is told. Raises `CampaignError`."""
        deed = self._deed(signed, "pause", name)
        with self._database.transaction() as connection:
            self._check_state(self._kept(connection, name, deed), ("running",), "pause")
            campaigns.move(connection, name, state="paused", reason=deed.reason)
            self._note(connection, deed, signed)

    def resume(self, name: str, signed: SignedDeed) -> None:
        """It goes on where it was, and its stage has its whole time again.

        Where the gate has paused it, what has failed until now is excused: a person has looked. Raises `CampaignError`.
        """
        deed = self._deed(signed, "resume", name)
        with self._database.transaction() as connection:
            kept = self._kept(connection, name, deed)
            self._check_state(kept, ("paused",), "resume")
            excused = campaigns.excuse(connection, kept)
            values = {"begun_at": deed.at, "reason": deed.reason, "excused": excused}
            campaigns.move(connection, name, state="running", **values)
            self._note(connection, deed, signed, excused=excused.so_far)

    def next(self, name: str, signed: SignedDeed) -> None:
        """A person has looked, and the next stage begins whatever the gate says. Raises `CampaignError`."""
        deed = self._deed(signed, "next", name)
        with self._database.transaction() as connection:
            kept = self._kept(connection, name, deed)
            self._check_state(kept, ("running", "paused"), "next")
            if kept.stage + 1 >= len(kept.campaign.stage):
                raise CampaignError(f"{name}: this is its last stage")
            reason = deed.reason or kept.reason
            stage = kept.stage + 1
            excused = campaigns.excuse(connection, kept)
            values = {"stage": stage, "begun_at": deed.at, "reason": reason, "excused": excused}
            campaigns.move(connection, name, state="running", **values)
            self._note(connection, deed, signed, excused=excused.so_far)

    def halt(self, name: str, signed: SignedDeed, *, is_sent_back: bool) -> None:
        """Whoever has not switched stays as he is; is_sent_back: and who has goes back. Raises `CampaignError`."""
        verb = "halt-and-revert" if is_sent_back else "halt"
        deed = self._deed(signed, verb, name)
        with self._database.transaction() as connection:
            kept = self._kept(connection, name, deed)
            if kept.state == "waiting":
                campaigns.move(connection, name, state="halted", reason=deed.reason)
            else:
                self._check_state(kept, ("running", "paused", "halted", "finished"), verb)
                if is_sent_back:
                    self._check_way_back(kept.campaign)
                models = sorted(campaigns.counts(connection, name, len(kept.campaign.stage)).so_far)
                guilty = models if is_sent_back else []
                plans.withdraw(connection, name, deed.at)
                campaigns.move(connection, name, state="reverting", reason=deed.reason, guilty=guilty)
            self._note(connection, deed, signed)

    # What is refused --------------------------------------------------------------------------------------------

    def _deed(self, signed: SignedDeed, verb: str, name: str) -> Deed:
        deed = check(signed, self._people)
        if (deed.what, deed.campaign) != (verb, name):
            raise CampaignError(f"signature: {name}: what {deed.who} has signed is {deed.what} of {deed.campaign}")
        return deed

    def _kept(self, connection: Connection, name: str, deed: Deed) -> Kept:
        kept = campaigns.get(connection, name, is_locked=True)
        if kept is None:
            raise CampaignError(f"name: {name}: there is no campaign of this name")
        if deed.digest != kept.digest:
            raise CampaignError(f"signature: {name}: {deed.who} has signed for another content of it")
        return kept

    def _check_state(self, kept: Kept, of: tuple[str, ...], verb: str) -> None:
        if kept.state not in of:
            raise CampaignError(
                f"{kept.campaign.name}: it is {kept.state}; {verb} is for one that is {' or '.join(of)}"
            )

    def _check(self, connection: Connection, campaign: Campaign, own: str = "") -> list[str]:
        """The ids of the devices that it means. Where it is to hold, the fleet is locked."""
        info = self._info_of(campaign.target)
        if info is None:
            raise CampaignError(
                f"{Rule.ROLE.value}: {campaign.target}: no release of this path is signed in the image repository"
            )
        labels = devices.labels(connection)
        meant: list[str] = []
        unfit: list[str] = []
        for one in steps.meant_of(campaign, devices.each(connection), labels):
            meant.append(one.device.id)
            if reason := why_not(campaign, info, one):
                unfit.append(f"{one.device.id}: {reason}")
        if not meant:
            raise CampaignError(f"where: {campaign.name}: its terms mean no device of the fleet")
        if unfit:
            said = "; ".join(unfit[:_SHOWN])
            more = f"; and {len(unfit) - _SHOWN} more" if len(unfit) > _SHOWN else ""
            raise CampaignError(f"{Rule.HARDWARE.value}: {campaign.name}: {said}{more}")
        if campaign.gate.on_failure == "halt-and-revert":
            self._check_way_back(campaign)
        self._check_alone(connection, campaign, set(meant), labels, own)
        return meant

    def _check_way_back(self, campaign: Campaign) -> None:
        info = self._info_of(campaign.target)
        if info is not None and info.min_counter > 0:
            raise CampaignError(
                f"{Rule.FLOOR.value}: {campaign.target}: once confirmed it lets nothing below release "
                f"{info.min_counter} in again, so nobody can be sent back: on_failure must be halt"
            )

    def _check_alone(
        self, connection: Connection, campaign: Campaign, meant: set[str], labels: set[str], own: str
    ) -> None:
        """No two campaigns on one device at a time, also not on two ECUs of it.

        A device has one plan: that of the second campaign would take the place of the first one's, of which nothing
        would be heard any more.
        """
        for other in campaigns.every(connection, OPEN):
            if other.campaign.name == own:
                continue
            theirs = meant & self._devices_of(connection, other, labels)
            if theirs:
                some = ", ".join(sorted(theirs)[:_SHOWN])
                raise CampaignError(
                    f"overlap: {campaign.name}: {other.campaign.name}, which is {other.state}, has {len(theirs)} of "
                    f"its devices, such as {some}"
                )

    def _devices_of(self, connection: Connection, other: Kept, labels: set[str]) -> set[str]:
        if other.state != "waiting":
            return set(courses.devices_of(connection, other.campaign.name))
        try:
            return {one.device.id for one in steps.meant_of(other.campaign, devices.each(connection), labels)}
        except CampaignError:  # the last device that had a label of its terms is gone: it means nobody now
            return set()

    def _note(self, connection: Connection, deed: Deed, signed: SignedDeed, **facts: object) -> None:
        trail.append(
            connection,
            at=deed.at,
            who=deed.who,
            what=deed.what,
            campaign=deed.campaign,
            reason=deed.reason,
            signed=signed.deed,
            signature=signed.signature,
            **facts,
        )
