"""What people decide: two of them, and one clear line for whatever is refused, after which nothing has changed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from ota.campaign.people import SignedDeed
from ota.campaign.rules import Campaign, CampaignError
from ota.campaign.store import campaigns, devices, trail
from ota.tests.rollout_office import (
    BEGIN,
    CAMPAIGN,
    HARDWARE,
    NAME,
    NEW,
    OLD,
    Field,
    Office,
    campaign_of,
    device,
    info,
)

OTHER = "rsu/gateway/1.5.tar"


def named(name: str = NAME, *where: str, **changed: str) -> Campaign:
    """The campaign under another name, with terms, or with words changed."""
    text = CAMPAIGN.replace(NAME, name, 1)
    for old, new in changed.items():
        text = text.replace(f"{old} = ", f"{new}\n# ", 1)
    terms = ", ".join(f'"{term}"' for term in where)
    return campaign_of(text.replace("[[stage]]", f"where = [{terms}]\n[[stage]]", 1))


def new(office: Office, campaign: Campaign, who: str = "li", **more: Any) -> None:
    office.clerk.new(campaign, office.signed("new", who, campaign, **more))


def approve(office: Office, who: str, campaign: Campaign | None = None, **more: Any) -> int:
    campaign = campaign or named()
    return office.clerk.approve(campaign.name, office.signed("approve", who, campaign, **more))


def waiting(office: Office) -> None:
    new(office, named())


def running(office: Office) -> None:
    office.begin(named())


def finished(office: Office) -> None:
    running(office)
    assert Field().run(office).state == "finished"


def flipped(signed: SignedDeed) -> SignedDeed:
    first = "0" if signed.signature[0] != "0" else "1"
    return msgspec.structs.replace(signed, signature=first + signed.signature[1:])


class Refusal(NamedTuple):
    """before: what stands already."""

    before: Callable[[Office], Any]
    deed: Callable[[Office], Any]
    said: str


def _halt(office: Office, *, is_sent_back: bool = False) -> None:
    verb = "halt-and-revert" if is_sent_back else "halt"
    office.clerk.halt(NAME, office.signed(verb, "li", named()), is_sent_back=is_sent_back)


def _floor(office: Office) -> None:
    office.infos[NEW] = info(min_counter=5)


def _not_listed(office: Office) -> None:
    waiting(office)
    del office.infos[NEW]


def _cannot_be_lost(office: Office) -> None:
    running(office)
    _floor(office)


def _two_ecus(office: Office) -> None:
    both = {"main": HARDWARE, "lamp": "lamp-1"}
    office.add([device("both-1", "both", ecus=both, targets={"main": OLD, "lamp": "rsu/lamp/1.tar"})])
    office.infos["rsu/lamp/2.tar"] = info(hardware=["lamp-1"])
    office.begin(named("lamps", "model=both", target='target = "rsu/lamp/2.tar"\necu = "lamp"'))


NOTHING: Callable[[Office], None] = lambda _office: None  # noqa: E731 -- a row's default
REFUSALS = {
    "a name that is taken": Refusal(waiting, waiting, f"name: {NAME}: there is a campaign of this name already"),
    "a release that is not signed": Refusal(
        NOTHING,
        lambda office: new(office, named(target=f'target = "{OTHER}"')),
        f"role: {OTHER}: no release of this path is signed in the image repository",
    ),
    "a release that is not listed any more": Refusal(
        _not_listed, lambda office: approve(office, "wang"), f"role: {NEW}: no release of this path is signed"
    ),
    "a property that nobody has": Refusal(
        NOTHING,
        lambda office: new(office, named(NAME, "color=red")),
        "where: no device has a property color; there are id, model, hardware, version, target, region",
    ),
    "terms that mean nobody": Refusal(
        NOTHING, lambda office: new(office, named(NAME, "region=moon")), f"where: {NAME}: its terms mean no device"
    ),
    "the wrong hardware": Refusal(
        lambda office: office.add([device(f"lamp-{number}", ecus={"main": "lamp"}) for number in range(7)]),
        waiting,
        f"hardware: {NAME}: lamp-0: its main is lamp; {NEW} is for {HARDWARE}; lamp-1: ",
    ),
    "an ECU that it does not have": Refusal(
        NOTHING, lambda office: new(office, named(ecu="x", target=f'target = "{NEW}"\necu = "lamp"')), "has no ECU lamp"
    ),
    "another ECU of which nothing is known": Refusal(
        lambda office: office.add([device("two-1", ecus={"main": HARDWARE, "lamp": "x"})]),
        waiting,
        "two-1: it is not known what its lamp runs, and a plan names every ECU",
    ),
    "no way back": Refusal(
        _floor,
        waiting,
        f"floor: {NEW}: once confirmed it lets nothing below release 5 in again, so nobody can be sent back",
    ),
    "an overlap with one that waits": Refusal(
        waiting,
        lambda office: new(office, named("another", "model=bus")),
        f"overlap: another: {NAME}, which is waiting, has 4 of its devices, such as bus-000, bus-001",
    ),
    "an overlap with one that runs": Refusal(
        running,
        lambda office: new(office, named("another", "model=lane")),
        f"overlap: another: {NAME}, which is running, has 5 of its devices, such as lane-000",
    ),
    "an overlap on another ECU": Refusal(
        _two_ecus,
        lambda office: new(office, named(NAME, "model=both")),
        f"overlap: {NAME}: lamps, which is running, has 1 of its devices, such as both-1",
    ),
    "an approval of one's own": Refusal(
        waiting, lambda office: approve(office, "li"), f"approval: {NAME}: li has made it; a second person approves it"
    ),
    "an approval given twice": Refusal(
        lambda office: (new(office, _of_two()), approve(office, "wang", _of_two())),
        lambda office: approve(office, "wang", _of_two()),
        f"approval: {NAME}: wang has approved it already",
    ),
    "an approval of what runs": Refusal(
        running, lambda office: approve(office, "chen"), f"{NAME}: it is running; there is nothing to approve"
    ),
    "an approval of nothing": Refusal(
        NOTHING, lambda office: approve(office, "wang"), f"name: {NAME}: there is no campaign of this name"
    ),
    "somebody who may not": Refusal(
        waiting,
        lambda office: approve(office, "mallory"),
        "signature: mallory: nobody of that name may decide here; there are chen, li, wang",
    ),
    "the name of another": Refusal(
        waiting,
        lambda office: office.clerk.approve(NAME, _renamed(office.signed("approve", "li", named()), "li", "wang")),
        f"signature: {NAME}: approve is not signed with the key of wang",
    ),
    "a wrong signature": Refusal(
        waiting,
        lambda office: office.clerk.approve(NAME, flipped(office.signed("approve", "wang", named()))),
        f"signature: {NAME}: approve is not signed with the key of wang",
    ),
    "a signature that is none": Refusal(
        waiting,
        lambda office: office.clerk.approve(NAME, SignedDeed(deed="{\ud800", signature="zz")),
        "signature: a deed that cannot be read: ",
    ),
    "another deed": Refusal(
        waiting,
        lambda office: office.clerk.approve(NAME, office.signed("pause", "wang", named())),
        f"signature: {NAME}: what wang has signed is pause of {NAME}",
    ),
    "another campaign": Refusal(
        waiting,
        lambda office: office.clerk.approve(NAME, office.signed("approve", "wang", named("another"))),
        f"signature: {NAME}: what wang has signed is approve of another",
    ),
    "another content, new": Refusal(
        NOTHING, lambda office: new(office, named(), digest="0" * 64), "what li has signed is another campaign"
    ),
    "another content, approved": Refusal(
        waiting,
        lambda office: approve(office, "wang", digest="0" * 64),
        f"signature: {NAME}: wang has signed for another content of it",
    ),
    "a pause of what waits": Refusal(
        waiting,
        lambda office: office.clerk.pause(NAME, office.signed("pause", "li", named())),
        f"{NAME}: it is waiting; pause is for one that is running",
    ),
    "a resume of what runs": Refusal(
        running,
        lambda office: office.clerk.resume(NAME, office.signed("resume", "li", named())),
        f"{NAME}: it is running; resume is for one that is paused",
    ),
    "a next of what is over": Refusal(
        finished,
        lambda office: office.clerk.next(NAME, office.signed("next", "li", named())),
        f"{NAME}: it is finished; next is for one that is running or paused",
    ),
    "a next of the last stage": Refusal(
        lambda office: (running(office), office.clerk.next(NAME, office.signed("next", "li", named()))),
        lambda office: office.clerk.next(NAME, office.signed("next", "li", named())),
        f"{NAME}: this is its last stage",
    ),
    "a halt of what is being halted": Refusal(
        lambda office: (running(office), _halt(office)),
        _halt,
        f"{NAME}: it is reverting; halt is for one that is running or paused or halted or finished",
    ),
    "a way back that there is not": Refusal(
        _cannot_be_lost, lambda office: _halt(office, is_sent_back=True), f"floor: {NEW}: once confirmed it lets"
    ),
}


def _of_two() -> Campaign:
    return named(NAME, target=f'target = "{NEW}"\napprovals = 2')


def _renamed(signed: SignedDeed, old: str, who: str) -> SignedDeed:
    return msgspec.structs.replace(signed, deed=signed.deed.replace(f'"who":"{old}"', f'"who":"{who}"'))


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refusal_is_one_line_and_changes_nothing(office: Office, what: str) -> None:
    office.fill({"bus": 4, "lane": 5})
    refusal = REFUSALS[what]
    refusal.before(office)
    before = office.everything()
    with pytest.raises(CampaignError) as caught:
        refusal.deed(office)
    assert refusal.said in str(caught.value)
    assert str(caught.value).isprintable()
    assert office.everything() == before


def test_two_people_are_wanted_and_their_deeds_are_kept_with_their_signatures(office: Office) -> None:
    office.fill({"bus": 4})
    campaign = _of_two()
    assert office.clerk.outline(campaign) == {"1": 1, "2": 3}
    new(office, campaign)
    assert approve(office, "wang", campaign) == 1
    assert office.kept().state == "waiting"
    assert approve(office, "chen", campaign, at=BEGIN + 5) == 0
    kept = office.kept()
    assert (kept.state, kept.begun_at, kept.author) == ("running", BEGIN + 5, "li")
    with office.database.reading() as connection:
        entries = list(trail.read(connection, NAME))
        assert campaigns.approvals(connection, NAME) == {"wang": BEGIN, "chen": BEGIN + 5}
    assert [(one.what, one.who) for one in entries] == [
        ("new", "li"), ("approve", "wang"), ("approve", "chen"), ("begun", "engine"),
    ]  # fmt: skip
    assert all(len(bytes.fromhex(one.facts["signature"])) == 64 for one in entries[:3])


def test_two_that_share_nobody_run_side_by_side(office: Office) -> None:
    office.fill({"bus": 4, "lane": 5})
    for number, model in enumerate(("bus", "lane")):
        office.begin(named(f"of-{model}", f"model={model}"), at=BEGIN + number)
    office.engine().work_all(BEGIN)
    assert office.kept("of-bus").state == office.kept("of-lane").state == "running"


def test_terms_of_another_campaign_that_mean_nobody_any_more_refuse_nobody(office: Office) -> None:
    """The last device that had its label is gone."""
    office.add([device("bus-1"), device("lane-1", "lane", labels={"depot": "west"})])
    new(office, named("of-depot", "depot=west"))
    with office.database.transaction() as connection:
        devices.put(connection, [device("lane-1", "lane")], {}, BEGIN)
    new(office, named(NAME, "model=bus"))
    assert office.kept().state == "waiting"


def test_a_pause_tells_nobody_more_and_a_resume_does(office: Office) -> None:
    office.fill({"bus": 12})
    running(office)
    office.clerk.pause(NAME, office.signed("pause", "li", named(), reason="it rains"))
    engine = office.engine()
    engine.work_all(BEGIN)
    assert set(office.states().values()) == {"waiting"}
    assert office.kept().reason == "it rains"
    office.clerk.resume(NAME, office.signed("resume", "wang", named(), at=BEGIN + 9))
    engine.work_all(BEGIN + 10)
    assert office.kept().begun_at == BEGIN + 9
    assert "told" in office.states().values()


def test_a_finished_one_can_be_sent_back_in_the_end(office: Office) -> None:
    office.fill({"bus": 4, "lane": 4})
    finished(office)
    _halt(office, is_sent_back=True)
    office.engine().work_all(BEGIN + 9_000)
    assert set(office.states().values()) == {"reverting"}
    assert office.kept().guilty == ["bus", "lane"]
