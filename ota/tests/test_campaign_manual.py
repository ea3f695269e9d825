"""What the operator's page says of campaigns is so: its file, its defaults, its example, its counts."""

import re
from pathlib import Path

import msgspec
import pytest

from ota.campaign.bound import wilson_lower
from ota.campaign.course import State
from ota.campaign.judge import Tally, condemned, is_condemned, judge
from ota.campaign.retry import DEFAULTS
from ota.campaign.rules import Campaign, Gate, Health, Retry, Stage, When, read_campaign

PAGE = (Path(__file__).parents[2] / "docs" / "campaigns.md").read_text("utf-8")
TABLES: dict[str, type[msgspec.Struct]] = {
    "The campaign": Campaign,
    "`[[stage]]`": Stage,
    "`[gate]`": Gate,
    "`[health]`": Health,
    "`[when]`": When,
    "`[retry.RULE]`": Retry,
}
OWN_TABLES = {"stage", "gate", "health", "when", "retry"}
IN_WORDS: dict[str, object] = {"all devices": [], "the whole day": None, "no limit": None, "none": []}


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]


@pytest.mark.parametrize("heading", list(TABLES))
def test_every_key_is_listed_with_its_default(heading: str) -> None:
    table = PAGE.partition(f"\n### {heading}\n")[2].partition("\n| key |")[2].partition("\n\n")[0]
    listed = {row[0].strip("`"): row[2] for row in rows(table) if row[0].startswith("`")}
    fields = {field.encode_name: field for field in msgspec.structs.fields(TABLES[heading])}
    assert set(listed) == set(fields) - (OWN_TABLES if heading == "The campaign" else set())
    for key, said in listed.items():
        if said == "**needed**":
            assert fields[key].required
            continue
        default = fields[key].default
        if default is msgspec.NODEFAULT:
            default = fields[key].default_factory()
        assert IN_WORDS.get(said, object) == default or said.strip("`").lower() == str(default).lower(), key


def test_the_file_on_the_page_is_one() -> None:
    text = re.findall(r"```toml campaign\n(.*?)```", PAGE, re.DOTALL)
    assert [len(read_campaign(each.encode(), "the page").stage) for each in text] == [3]


def test_the_retries_on_the_page_are_those_without_a_table() -> None:
    section = PAGE.partition("Without a table of its own:")[2].partition("\n##")[0]
    pauses = {"15 minutes": 900, "1 hour": 3_600, "12 hours": 43_200}
    listed = {row[0].strip("`"): row for row in rows(section) if row[0].startswith("`")}
    assert set(listed) == set(DEFAULTS)
    for rule, row in listed.items():
        assert (int(row[1]), pauses[row[2]]) == (DEFAULTS[rule].attempts, DEFAULTS[rule].first_s)


def test_the_example_is_so() -> None:
    found = condemned(Gate(), {"rsu-a": Tally(states={"good": 142, "failed": 8}, rules={"health": 8})})
    assert found is not None
    assert f"\n{found.reason}\n" in PAGE
    assert round(wilson_lower(8, 150, 0.99999), 4) == 0.0134
    early: dict[State, int] = {"good": 142, "failed": 8, "reached": 60}
    assert condemned(Gate(), {"rsu-a": Tally(states=early, rules={"health": 8})}) is None
    few = {"rsu-a": Tally(states={"good": 144, "failed": 6}, rules={"health": 6})}
    campaign = Campaign(name="x", target="rsu/x.tar", stage=[Stage(percent=1), Stage(percent=100)])
    assert judge(campaign, 0, few, few, begun_at=0, now=1).action == "next"


def test_the_counts_on_the_page_are_the_least_that_condemn() -> None:
    table = rows(PAGE.partition("| devices, those on their way counted in |")[2])[1:]
    assert len(table) == 8
    for devices, failures, share in table:
        ended, bad = int(devices), int(failures)
        assert is_condemned(Gate(), bad, ended)
        assert not is_condemned(Gate(), bad - 1, ended)
        assert share == f"{100 * bad / ended:.1f} %"
