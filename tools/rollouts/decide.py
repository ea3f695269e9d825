"""`wayside ota campaign new|approve|pause|resume|next|halt`: what people decide, signed with their own keys."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.text import _
from ota.errors import printable
from tools.output import Exit, fail, print_json, print_line, say, visible
from tools.rollouts.office import (
    DEFAULT,
    ConfigOption,
    DryRunOption,
    JsonOption,
    NameArgument,
    Office,
    opened,
    refusals,
)
from tools.rollouts.tables import at_work

if TYPE_CHECKING:
    from ota.campaign.people import SignedDeed, Verb
    from ota.campaign.rules import Campaign
    from ota.campaign.store.campaigns import Kept

KeyOption = Annotated[Path, typer.Option("--key", metavar="FILE", help=_("your own private key"))]
WhoOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help=_("who you are there; the key file's name by default"))
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help=_("why, for those who read it later"))]
MAX_REASON = 500


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_("the campaign, in TOML"))],
    key: KeyOption,
    who: WhoOption = None,
    config: ConfigOption = DEFAULT,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put a campaign down to be approved; --dry-run: say whom it means, stage by stage."""
    with refusals(as_json=as_json), opened(config) as office:
        from ota.campaign.people import check
        from ota.campaign.rules import CampaignError
        from ota.campaign.store.campaigns import digest_of

        campaign = _read(file, as_json=as_json)
        signed = _signed("new", campaign.name, digest_of(campaign), key, who, "", as_json=as_json)
        check(signed, office.people)
        if _kept(office, campaign.name) is not None:
            raise CampaignError(f"name: {campaign.name}: there is a campaign of this name already")
        clerk = office.clerk()
        with at_work(_("looking at the fleet")):
            stages = clerk.outline(campaign)
            if not dry_run:
                clerk.new(campaign, signed)
        if as_json:
            print_json(
                {
                    "ok": True,
                    "dry_run": dry_run,
                    "name": campaign.name,
                    "devices": sum(stages.values()),
                    "stages": stages,
                }
            )
            return
        for number, devices in stages.items():
            percent = campaign.stage[int(number) - 1].percent
            print_line(
                _("stage {number}: up to {percent:g} %, devices: {devices}").format(
                    number=number, percent=percent, devices=devices
                )
            )
        if dry_run:
            say(_("a dry run: nothing has changed"))
        else:
            text = _("{name} waits for {count} approval(s) by somebody else: wayside ota campaign approve {name}")
            say(text.format(name=campaign.name, count=campaign.approvals))


def _read(file: Path, *, as_json: bool) -> "Campaign":
    from ota.campaign.rules import MAX_FILE_BYTES, CampaignError, read_campaign

    try:
        with file.open("rb") as source:
            return read_campaign(source.read(MAX_FILE_BYTES + 1), str(file))
    except OSError as error:
        fail(f"{file}: {error.strerror}", Exit.USAGE, as_json=as_json)
    except CampaignError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)


def approve(
    name: NameArgument,
    key: KeyOption,
    who: WhoOption = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Approve somebody else's campaign, exactly as it stands; with the last approval it begins."""
    with refusals(as_json=as_json), opened(config) as office:
        signed = _signed("approve", name, _digest(office, name), key, who, "", as_json=as_json)
        clerk = office.clerk()
        with at_work(_("looking at the fleet")):
            wanted = clerk.approve(name, signed)
        text = _("{name} begins") if not wanted else _("{name}: {wanted} more approval(s) are wanted")
        _done(text.format(name=name, wanted=wanted), name, as_json=as_json, wanted=wanted)


def pause(
    name: NameArgument,
    key: KeyOption,
    who: WhoOption = None,
    reason: ReasonOption = "",
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Tell nobody more. Who was told goes on; what fails can still halt it."""
    with refusals(as_json=as_json), opened(config) as office:
        signed = _signed("pause", name, _digest(office, name), key, who, reason, as_json=as_json)
        office.clerk().pause(name, signed)
        _done(_("{name} is paused").format(name=name), name, as_json=as_json)


def resume(
    name: NameArgument,
    key: KeyOption,
    who: WhoOption = None,
    reason: ReasonOption = "",
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Go on where it was paused; what its gate has paused it for is excused, what fails from now on is not."""
    with refusals(as_json=as_json), opened(config) as office:
        signed = _signed("resume", name, _digest(office, name), key, who, reason, as_json=as_json)
        office.clerk().resume(name, signed)
        _done(_("{name} goes on").format(name=name), name, as_json=as_json)


def next_stage(
    name: NameArgument,
    key: KeyOption,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help=_("why the gate is passed by"))],
    who: WhoOption = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Begin the next stage now, whatever the gate says; a release that is condemned halts all the same."""
    with refusals(as_json=as_json), opened(config) as office:
        if not reason.strip():
            fail(_("--reason: say why"), Exit.USAGE, as_json=as_json)
        signed = _signed("next", name, _digest(office, name), key, who, reason, as_json=as_json)
        office.clerk().next(name, signed)
        _done(_("{name}: the next stage begins").format(name=name), name, as_json=as_json)


def halt(
    name: NameArgument,
    key: KeyOption,
    who: WhoOption = None,
    reason: ReasonOption = "",
    revert: Annotated[bool, typer.Option("--revert", help=_("send those back that have switched"))] = False,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Stop it for good; devices that have not switched stay as they are."""
    with refusals(as_json=as_json), opened(config) as office:
        verb: Verb = "halt-and-revert" if revert else "halt"
        signed = _signed(verb, name, _digest(office, name), key, who, reason, as_json=as_json)
        office.clerk().halt(name, signed, is_sent_back=revert)
        _done(_("{name} is halted").format(name=name), name, as_json=as_json)


def _digest(office: Office, name: str) -> str:
    """Of the campaign that is signed for: what stands there now."""
    from ota.campaign.rules import CampaignError

    kept = _kept(office, name)
    if kept is None:
        raise CampaignError(f"name: {name}: there is no campaign of this name")
    return kept.digest


def _kept(office: Office, name: str) -> "Kept | None":
    from ota.campaign.store import campaigns

    with office.database.reading() as connection:
        return campaigns.get(connection, name)


def _signed(
    verb: "Verb", campaign: str, digest: str, key: Path, who: str | None, reason: str, *, as_json: bool
) -> "SignedDeed":
    from ota.campaign.people import Deed, sign
    from tools.control import private_key_of

    why = printable(" ".join(reason.split()))
    if len(why) > MAX_REASON:
        fail(_("--reason: at most {number} characters").format(number=MAX_REASON), Exit.USAGE, as_json=as_json)
    own = private_key_of(key, as_json=as_json)
    name = printable(who or key.stem)
    deed = Deed(what=verb, campaign=campaign, digest=digest, who=name, at=int(time.time()), reason=why)
    return sign(deed, own.sign)


def _done(text: str, name: str, *, as_json: bool, **facts: object) -> None:
    if as_json:
        print_json({"ok": True, "name": name, **facts})
    else:
        print_line(visible(text))
