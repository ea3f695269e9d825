"""A person goes on with what the gate has paused: what was looked at is not held against it, what comes after is."""

from ota.campaign.course import SILENT
from ota.tests.rollout_office import BEGIN, CAMPAIGN, NAME, ROUND_S, Field, Office, campaign_of

PAUSING = CAMPAIGN.replace("confidence = 0.9", 'confidence = 0.9\non_failure = "pause"')
LATER = BEGIN + 60 * ROUND_S


def test_what_a_person_has_looked_at_does_not_pause_it_again(office: Office) -> None:
    office.fill({"bus": 12, "lane": 28})
    campaign = office.begin(campaign_of(PAUSING))
    field = Field({"bus"})
    assert field.run(office).state == "paused"
    failed = sum(state == "failed" for state in office.states().values())
    assert failed >= 2
    office.clerk.resume(NAME, office.signed("resume", "li", campaign, at=LATER, reason="old buses, they stay"))
    excused = office.kept().excused
    assert (excused.so_far, excused.is_asked) == ({"bus": failed}, False)
    again = field.run(office, at=LATER)
    assert (again.state, again.stage) == ("paused", 1), "the second stage has failures of its own"
    office.clerk.resume(NAME, office.signed("resume", "li", campaign, at=2 * LATER - BEGIN))
    assert field.run(office, at=2 * LATER - BEGIN).state == "finished", "also in the last stage, where there is no next"
    assert {state for name, state in office.states().items() if name.startswith("lane")} == {"good"}


def test_a_pause_of_a_person_excuses_nothing(office: Office) -> None:
    office.fill({"bus": 12, "lane": 28})
    campaign = office.begin(campaign_of(CAMPAIGN))
    engine = office.engine()
    field = Field({"bus"})
    field.round(engine, BEGIN)
    office.clerk.pause(NAME, office.signed("pause", "li", campaign, at=BEGIN))
    office.clerk.resume(NAME, office.signed("resume", "li", campaign, at=BEGIN))
    assert office.kept().excused.so_far == {}
    assert field.run(office, engine).state == "halted"


def test_a_fleet_is_told_spread_over_its_jitter(office: Office) -> None:
    """Told all at once it would download all at once."""
    office.fill({"lane": 60})
    office.begin(
        campaign_of(CAMPAIGN.replace("percent = 30", "percent = 90").replace("jitter_s = 0", "jitter_s = 600"))
    )
    engine = office.engine()
    engine.work_all(BEGIN)
    told = len(office.told())
    assert told > 40
    due = []
    for at in range(BEGIN, BEGIN + 660, 60):
        commands = engine.claim(at, 100)
        engine.sent([one.id for one in commands], at)
        assert all(at - 60 < one.made_at <= at for one in commands), "each says that it was issued when it was due"
        due.append(len(commands))
    assert sum(due) == told
    assert max(due) < told / 2, due


def test_who_is_silent_goes_back_with_those_on_their_way(office: Office) -> None:
    """It would go on with a halted release when it turns up."""
    office.fill({"bus": 12, "lane": 28})
    office.begin(campaign_of(CAMPAIGN))
    engine = office.engine()
    field = Field({"bus"})
    field.round(engine, BEGIN)
    quiet = next(name for name, state in office.states().items() if name.startswith("lane") and state == "reached")
    field._busy.pop(quiet)
    silent_at = BEGIN + 7 * 3600
    engine.work_all(silent_at)
    assert office.course(quiet).rule == SILENT
    field.run(office, engine, at=silent_at + ROUND_S)
    assert office.kept().state == "halted"
    assert office.states()[quiet] in ("reverting", "reverted")
