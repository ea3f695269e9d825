"""A campaign's file: what it may say, what it says when it says nothing, and one line for whatever is wrong."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ota.campaign.rules import MAX_FILE_BYTES, CampaignError, Stage, read_campaign
from ota.errors import Rule

LEAST = 'name = "gateway-1.4.2"\ntarget = "rsu/gateway/1.4.2.tar"\n'
STAGES = "[[stage]]\npercent = 1\n[[stage]]\npercent = 100\n"
WHOLE = f"""
{LEAST}
ecu = "main"
where = ["model=rsu-a,rsu-b", "region!=north"]
approvals = 2
takes_late_joiners = false
may_begin_at = 1800000000
[[stage]]
percent = 0.5
soak_s = 86400
patience_s = 200000
[[stage]]
percent = 100
[gate]
tolerated = 0.02
confidence = 0.999
min_sample = 30
min_failures = 4
min_success = 0.9
min_done = 0.8
silent_after_s = 7200
on_failure = "pause"
[health]
restarts_more_a_day = 1.5
min_rate = 0
after_s = 600
[when]
window = {{ from = "22:30", to = "04:00" }}
jitter_s = 60
deadline_s = 600000
is_metered_allowed = true
max_bytes_per_s = 65536
local = ["lane-closed"]
[retry.network]
attempts = 2
first_s = 60
longest_s = 600
"""


def refusal(text: str) -> str:
    with pytest.raises(CampaignError) as caught:
        read_campaign(text.encode(), "plan.toml")
    return str(caught.value)


def test_what_a_file_says_is_what_is_read() -> None:
    campaign = read_campaign(WHOLE.encode(), "plan.toml")
    assert campaign.stage == [Stage(percent=0.5, soak_s=86_400, patience_s=200_000), Stage(percent=100.0)]
    assert (campaign.gate.tolerated, campaign.gate.on_failure, campaign.health.min_rate) == (0.02, "pause", 0)
    assert campaign.when.window is not None
    assert (campaign.when.window.from_, campaign.when.window.to) == ("22:30", "04:00")
    assert (campaign.retry["network"].attempts, campaign.approvals, campaign.takes_late_joiners) == (2, 2, False)


def test_the_least_that_a_file_may_say_has_careful_defaults() -> None:
    campaign = read_campaign((LEAST + STAGES).encode(), "plan.toml")
    assert (campaign.approvals, campaign.ecu, campaign.where, campaign.retry) == (1, "main", [], {})
    gate = campaign.gate
    assert (gate.on_failure, gate.tolerated, gate.min_sample, gate.min_failures) == ("halt-and-revert", 0.01, 20, 5)
    assert [stage.soak_s for stage in campaign.stage] == [3600, 3600]
    assert (campaign.when.window, campaign.when.is_metered_allowed, campaign.when.deadline_s) == (None, False, 0)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (STAGES, "`name`"),
        (LEAST, "`stage`"),
        (LEAST + "stage = []", "$.stage"),
        (LEAST + "[[stage]]\npercent = 0", "$.stage[0].percent"),
        (LEAST + "[[stage]]\npercent = 100.1", "$.stage[0].percent"),
        (LEAST + "[[stage]]\npercent = nan", "$.stage[0].percent"),
        (LEAST + "[[stage]]\npercent = inf", "$.stage[0].percent"),
        (LEAST + "[[stage]]\npercent = -inf", "$.stage[0].percent"),
        (LEAST + f"[[stage]]\npercent = 1{'0' * 400}", "$.stage[0].percent"),
        (LEAST + "[[stage]]\npercent = 100\nsoak_s = -1", "$.stage[0].soak_s"),
        (LEAST + "[[stage]]\npercent = 100\nsoak_s = 1.5", "$.stage[0].soak_s"),
        (LEAST + "[[stage]]\npercent = 100\nsoak = 1", "$.stage[0]"),
        (LEAST + "[[stage]]\npercent = 100\nsoak_s = 604800", "$.stage[0]"),
        (LEAST + "[[stage]]\npercent = 99", "the last stage"),
        (LEAST + "[[stage]]\npercent = 100\n[[stage]]\npercent = 1", "stages must rise"),
        (LEAST + "[[stage]]\npercent = 100\n[[stage]]\npercent = 100", "stages must rise"),
        (LEAST + STAGES + "[gate]\ntolerated = nan", "$.gate.tolerated"),
        (LEAST + STAGES + "[gate]\ntolerated = 1.1", "$.gate.tolerated"),
        (LEAST + STAGES + "[gate]\nconfidence = 1", "$.gate.confidence"),
        (LEAST + STAGES + "[gate]\nconfidence = 0.4", "$.gate.confidence"),
        (LEAST + STAGES + "[gate]\nmin_sample = 0", "$.gate.min_sample"),
        (LEAST + STAGES + "[gate]\nmin_failures = 0", "$.gate.min_failures"),
        (LEAST + STAGES + "[gate]\nmin_success = 95", "$.gate.min_success"),
        (LEAST + STAGES + '[gate]\non_failure = "stop"', "$.gate.on_failure"),
        (LEAST + STAGES + "[gate]\ntolerate = 0.1", "$.gate"),
        (LEAST + STAGES + "[health]\nrestarts_more_a_day = -1", "$.health.restarts_more_a_day"),
        (LEAST + STAGES + "[health]\nmin_rate = nan", "$.health.min_rate"),
        (LEAST + STAGES + "[health]\nafter_s = 59", "$.health.after_s"),
        (LEAST + STAGES + '[when]\nwindow = { from = "24:00", to = "04:00" }', "$.when.window.from"),
        (LEAST + STAGES + '[when]\nwindow = { from = "1:00", to = "04:00" }', "$.when.window.from"),
        (LEAST + STAGES + '[when]\nwindow = { from = "01:00" }', "$.when.window"),
        (LEAST + STAGES + '[when]\nwindow = { from = "01:00", to = "01:00" }', "$.when.window"),
        (LEAST + STAGES + '[when]\nwindow = { from = "01:00", to = "02:00\\n" }', "$.when.window.to"),
        (LEAST + STAGES + '[when]\nlocal = ["speed zero"]', "$.when.local[0]"),
        (LEAST + STAGES + "[when]\nmax_bytes_per_s = 1", "$.when.max_bytes_per_s"),
        (LEAST + STAGES + "[retry.grid]\nattempts = 1", "retry: nothing fails by the rule grid"),
        (LEAST + STAGES + "[retry.network]\nattempts = 101", "$.retry[...].attempts"),
        (LEAST + STAGES + "[retry.network]\nattempts = 1\nfirst_s = 60\nlongest_s = 59", "retry.network"),
        ("approvals = 0\n" + LEAST + STAGES, "$.approvals"),
        ("approvals = true\n" + LEAST + STAGES, "$.approvals"),
        ('where = "model=a"\n' + LEAST + STAGES, "$.where"),
        ('where = ["a"]\n' + LEAST + STAGES, "$.where[0]"),
        ("may_begin_at = 2026-11-24T00:00:00Z\n" + LEAST + STAGES, "$.may_begin_at"),
        ('name = "A"\ntarget = "a/b"\n' + STAGES, "$.name"),
        ('name = "a\\n"\ntarget = "a/b"\n' + STAGES, "$.name"),
        ('name = "a"\ntarget = "../b"\n' + STAGES, "$.target"),
        ('name = "a"\ntarget = "a/b\\n"\n' + STAGES, "$.target"),
        ('"a\\nb\\u001b[31m" = 1\n' + LEAST + STAGES, "a\\nb\\x1b[31m"),
        ("x = 1" + "0" * 5000, "not TOML"),
        ("x = " + "[" * 15_000, "not TOML"),
        ('x = "\\ud800"', "not TOML"),
        ("x = 2026-02-30", "not TOML"),
        (LEAST + LEAST, "not TOML"),
        (" " * (MAX_FILE_BYTES + 1), "16384"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_place(text: str, place: str) -> None:
    said = refusal(text)
    assert said.startswith("plan.toml: ")
    assert place in said
    assert said.isprintable(), "one line, and nothing that a terminal obeys"


def test_every_rule_may_have_its_own_retries() -> None:
    for rule in Rule:
        text = f"{LEAST}{STAGES}[retry.{rule.value}]\nattempts = 1"
        assert list(read_campaign(text.encode(), "x").retry) == [rule.value]


VALUES = st.recursive(
    st.sampled_from(["nan", "-inf", "1e999", "9" * 30, "-1", "0", "100", "true", '"a"', "1979-05-27", "01:00"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: f"[{', '.join(values)}]"),
        st.lists(inner, max_size=2).map(
            lambda values: "{" + ", ".join(f"k{number} = {value}" for number, value in enumerate(values)) + "}"
        ),
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *("name", "target", "stage", "ecu", "where", "gate", "health", "when", "retry", "approvals", "may_begin_at"),
        *("stage.percent", "gate.tolerated", "gate.confidence", "health.min_rate", "when.window", "when.window.from"),
        *("when.local", "retry.network", "retry.network.attempts"),
    ]
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=6), st.booleans())
def test_any_values_anywhere_are_taken_or_refused_in_one_line(lines: list[tuple[str, str]], is_whole: bool) -> None:
    text = "".join(f"{key} = {value}\n" for key, value in lines) + (WHOLE if is_whole else "")
    taken_or_refused(text.encode())


@given(st.binary(max_size=300))
@example(b"\xed\xa0\x80")
@example(b"\xef\xbb\xbf" + LEAST.encode())
@example(WHOLE.encode()[:-40])
def test_any_bytes_are_taken_or_refused_in_one_line(data: bytes) -> None:
    taken_or_refused(data)
    taken_or_refused(WHOLE.encode() + data)


def taken_or_refused(data: bytes) -> None:
    said = ""
    try:
        campaign = read_campaign(data, "x")
    except CampaignError as error:
        said = str(error)
    else:
        assert campaign.stage[-1].percent == 100
        assert all(math.isfinite(stage.percent) for stage in campaign.stage)
    assert said.isprintable()
