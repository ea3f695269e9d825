"""Who is meant, and who comes first: by a hash, the same everywhere, evenly spread, another one in each campaign."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.campaign.rules import Campaign, CampaignError, Stage
from ota.campaign.selection import Filter, FleetDevice, place, stage_of, stage_of_late_joiner, stages_of

IDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=64)
PERCENTS = st.lists(st.integers(1, 99), unique=True, max_size=6).map(lambda shares: [*sorted(shares), 100])
FLEET = [f"bus-{number}" for number in range(20_000)]


def campaign(*percents: float, name: str = "gateway-1.4.2") -> Campaign:
    return Campaign(name=name, target="rsu/x.tar", stage=[Stage(percent=percent) for percent in percents])


# The order ---------------------------------------------------------------------------------------------------------


def test_a_device_has_the_place_that_it_has_on_every_machine() -> None:
    """SHA-256 by another program: `printf 'gateway-1.4.2\\0bus-1' | sha256sum`, its first 53 bits of 2**53."""
    assert place("gateway-1.4.2", "bus-1") == (0xEC35918BC85935CD >> 11) / 2**53


@given(IDS, IDS)
def test_a_place_is_from_0_to_below_1_and_always_the_same(name: str, device: str) -> None:
    assert 0 <= place(name, device) < 1
    assert place(name, device) == place(name, device)


def test_the_last_place_of_all_is_in_the_last_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ota.campaign.selection.place", lambda _campaign, _device: (2**53 - 1) / 2**53)
    assert stage_of(campaign(1, 99.9, 100), "bus-1") == 2


@pytest.mark.parametrize("name", ["gateway-1.4.2", "a", "spring-2026"])
def test_places_are_evenly_spread(name: str) -> None:
    hundredths = Counter(int(100 * place(name, device)) for device in FLEET)
    wanted = len(FLEET) / 100
    distance = sum((hundredths[each] - wanted) ** 2 / wanted for each in range(100))
    assert 61.1 < distance < 148.2, "chi-square, 99 degrees of freedom, 0.1 % to each side"


def test_the_order_of_another_campaign_has_nothing_to_do_with_it() -> None:
    """Were the same devices always in front, the same people would always have the trouble."""
    pairs = Counter((int(5 * place("a", device)), int(5 * place("b", device))) for device in FLEET)
    wanted = len(FLEET) / 25
    distance = sum((pairs[first, second] - wanted) ** 2 / wanted for first in range(5) for second in range(5))
    assert distance < 51.2, "chi-square, 24 degrees of freedom, 0.1 %"


@given(PERCENTS, IDS)
def test_a_stage_has_whoever_stands_before_its_percent(percents: list[int], device: str) -> None:
    own = stage_of(campaign(*percents), device)
    assert 100 * place("gateway-1.4.2", device) < percents[own]
    assert own == 0 or 100 * place("gateway-1.4.2", device) >= percents[own - 1]


@given(st.integers(1, 98), st.integers(1, 98), IDS)
def test_a_greater_percent_never_sends_anybody_to_a_later_stage(first: int, second: int, device: str) -> None:
    low, high = sorted((first, second))
    assert stage_of(campaign(high, 100), device) <= stage_of(campaign(low, 100), device)


# Small fleets ------------------------------------------------------------------------------------------------------


@given(PERCENTS, st.sets(IDS, max_size=30))
def test_no_stage_is_empty_while_one_behind_it_is_not(percents: list[int], devices: set[str]) -> None:
    stages = stages_of(campaign(*percents), devices)
    assert set(stages) == devices
    assert sorted(set(stages.values())) == list(range(len(set(stages.values()))))
    assert all(stages[device] <= stage_of(campaign(*percents), device) for device in devices)


@given(PERCENTS, st.sets(IDS, max_size=30))
def test_who_comes_forward_does_not_overtake(percents: list[int], devices: set[str]) -> None:
    stages = stages_of(campaign(*percents), devices)
    in_order = sorted(devices, key=lambda device: place("gateway-1.4.2", device))
    assert [stages[device] for device in in_order] == sorted(stages.values())


def test_one_goes_ahead_of_ten_buoys_and_then_another_one() -> None:
    stages = stages_of(campaign(1, 5, 100, name="x"), [f"buoy-{number}" for number in range(10)])
    assert Counter(stages.values()) == {0: 1, 1: 1, 2: 8}


def test_in_a_fleet_that_fills_its_stages_nobody_is_moved() -> None:
    wanted = campaign(1, 5, 25, 100)
    assert stages_of(wanted, FLEET) == {device: stage_of(wanted, device) for device in FLEET}


# Late joiners ------------------------------------------------------------------------------------------------------


@given(PERCENTS, IDS, st.data())
def test_who_comes_late_is_never_in_the_stage_that_runs(percents: list[int], device: str, data: st.DataObject) -> None:
    wanted = campaign(*percents)
    running = data.draw(st.integers(0, len(percents) - 1))
    stage = stage_of_late_joiner(wanted, device, running)
    assert 0 <= stage < len(percents)
    assert stage != running or len(percents) == 1, "where there is only one stage there is no other"
    assert stage in (running - 1, max(1, running), stage_of(wanted, device)), "or where its own place is"


def test_who_comes_late_is_told_at_once_when_its_turn_is_over_and_waits_for_it_when_it_is_not() -> None:
    wanted = campaign(10, 50, 100)
    early = next(device for device in FLEET if stage_of(wanted, device) == 0)
    late = next(device for device in FLEET if stage_of(wanted, device) == 2)
    assert [stage_of_late_joiner(wanted, early, running) for running in (0, 1, 2)] == [1, 0, 1]
    assert [stage_of_late_joiner(wanted, late, running) for running in (0, 1, 2)] == [2, 2, 1]
    assert stage_of_late_joiner(campaign(100), early, 0) == 0


# Filters -----------------------------------------------------------------------------------------------------------

DEVICE = FleetDevice(
    id="bus-7",
    model="rsu-a",
    ecus={"main": "cm4", "sensor": "rp2040"},
    labels={"region": "north", "line": "[12]", "depot": ""},
    targets={"main": "rsu/gateway/1.4.1.tar", "sensor": "rsu/sensor/3.tar"},
    version="1.4.1",
)
KNOWN = {"region", "line", "depot", "owner"}


def means(*terms: str) -> bool:
    return Filter(terms, KNOWN).means(DEVICE)


@pytest.mark.parametrize(
    "term",
    [
        "id=bus-7",
        "model=rsu-b,rsu-a",
        "model= rsu-b , rsu-a ",
        "id=bus-?",
        "version=1.4.*",
        "hardware=cm4",
        "target=rsu/gateway/*",
        "region=n*h",
        "region!=south",
        "region!=south,east",
        "region !=south",
        "region=*",
        "line=[12]",
        "line=[*",
        "owner!=*",
        "owner!=city",
        "depot!=*",
    ],
)
def test_a_term_that_holds(term: str) -> None:
    assert means(term)


@pytest.mark.parametrize(
    "term",
    [
        "id=bus",
        "model=RSU-A",
        "model!=rsu-b,rsu-a",
        "hardware=rp2040",
        "region!=n*",
        "region=[a-z]*",
        "id=bus-[0-9]",
        "line=1",
        "owner=*",
        "owner=?*,city",
        "depot=*",
        "region!=*",
    ],
)
def test_a_term_that_does_not_hold(term: str) -> None:
    assert not means(term)


def test_all_terms_must_hold_and_none_mean_everybody() -> None:
    assert means()
    assert means("model=rsu-a", "region=north")
    assert not means("model=rsu-a", "region=south")


@pytest.mark.parametrize("term", ["model", "=a", "!=a", "model=", "model=a,", "model=,a", "model!=", " =a"])
def test_a_term_that_is_none_is_refused_in_one_line(term: str) -> None:
    with pytest.raises(CampaignError, match=r'^where: ".*" is not property=value') as caught:
        Filter([term], KNOWN)
    assert str(caught.value).isprintable()


def test_a_property_that_no_device_has_is_refused_and_those_that_there_are_are_named() -> None:
    with pytest.raises(CampaignError) as caught:
        Filter(["zone=north"], KNOWN)
    assert str(caught.value) == (
        "where: no device has a property zone; "
        "there are id, model, hardware, version, target, depot, line, owner, region"
    )


@given(st.text(max_size=40))
def test_any_term_is_taken_or_refused_in_one_line(term: str) -> None:
    said = ""
    try:
        Filter([term], KNOWN).means(DEVICE)
    except CampaignError as error:
        said = str(error)
    assert said.isprintable()


@given(st.text(min_size=1, max_size=20).filter(lambda text: not set(text) & set("*?,") and text == text.strip()))
def test_a_value_without_stars_means_exactly_itself(value: str) -> None:
    device = FleetDevice(id="a", model="m", ecus={"main": "x"}, labels={"region": value})
    other = FleetDevice(id="a", model="m", ecus={"main": "x"}, labels={"region": value + "x"})
    term = Filter([f"region={value}"], {"region"})
    assert term.means(device)
    assert not term.means(other)
