"""`wayside ota campaign new|approve|pause|resume|next|halt`: what people decide, signed with their own keys."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.text import _
from tools.output import Exit, fail, print_json, print_line, say
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

if TYPE_CHECKING:
    from ota.campaign.people import SignedDeed, Verb

KeyOption = Annotated[Path, typer.Option("--key", metavar="FILE", help=_("your own private key"))]
WhoOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help=_("who you are there; the key file's name by default"))
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help=_("why, for those who read it later"))]


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
        from ota.campaign.rules import read_campaign
        from ota.campaign.store.campaigns import digest_of

        try:
            campaign = read_campaign(file.read_bytes(), str(file))
        except OSError as error:
            fail(f"{file}: {error.strerror}", Exit.USAGE, as_json=as_json)
        clerk = office.clerk()
        stages = clerk.outline(campaign)
        if not dry_run:
            signed = _signed("new", campaign.name, digest_of(campaign), key, who, "", as_json=as_json)
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
                _("stage {number}: up to {percent:g} %, {devices} devices").format(
                    number=number, percent=percent, devices=devices
                )
            )
        if dry_run:
            say(_("a dry run: nothing has changed"))
        else:
            text = _("{name} waits for {count} approval(s) by somebody else: wayside ota campaign approve {name}")
            say(text.format(name=campaign.name, count=campaign.approvals))


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
        wanted = office.clerk().approve(name, signed)
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
    """Go on where it was paused; where its gate paused it for good reasons, it will again (see `next`)."""
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
        signed = _signed("next", name, _digest(office, name), key, who, reason, as_json=as_json)
        office.clerk().next(name, signed)
        _done(_("{name}: the next stage begins").format(name=name), name, as_json=as_json)


def halt(
    name: NameArgument,
    key: KeyOption,
    who: WhoOption = None,
    reason: ReasonOption = "",
    revert: Annotated[bool, typer.Option("--revert", help=_("send back also those that have switched"))] = False,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Stop it for good: who has not switched stays as he is."""
    with refusals(as_json=as_json), opened(config) as office:
        verb: Verb = "halt-and-revert" if revert else "halt"
        signed = _signed(verb, name, _digest(office, name), key, who, reason, as_json=as_json)
        office.clerk().halt(name, signed, is_sent_back=revert)
        _done(_("{name} is halted").format(name=name), name, as_json=as_json)


def _digest(office: Office, name: str) -> str:
    """Of the campaign that is signed for: what stands there now."""
    from ota.campaign.rules import CampaignError
    from ota.campaign.store import campaigns

    with office.database.reading() as connection:
        kept = campaigns.get(connection, name)
    if kept is None:
        raise CampaignError(f"name: {name}: there is no campaign of this name")
    return kept.digest


def _signed(
    verb: "Verb", campaign: str, digest: str, key: Path, who: str | None, reason: str, *, as_json: bool
) -> "SignedDeed":
    from ota.campaign.people import Deed, sign
    from tools.control import signer_of

    signer = signer_of(key, who, as_json=as_json)
    deed = Deed(
        what=verb, campaign=campaign, digest=digest, who=signer.key_id, at=int(time.time()), reason=reason[:500]
    )
    return sign(deed, signer.key.sign)


def _done(text: str, name: str, *, as_json: bool, **facts: object) -> None:
    if as_json:
        print_json({"ok": True, "name": name, **facts})
    else:
        print_line(text)
