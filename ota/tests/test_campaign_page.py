"""The report of a rollout, in a real browser: drawn as it should be, and deaf to what devices put into their words."""

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from ota.campaign.course import Course
from ota.campaign.judge import tally
from ota.campaign.page import Story, page, picture
from ota.campaign.rules import Campaign, Stage
from ota.campaign.store.campaigns import Excused, Kept
from ota.campaign.store.reports import Brief
from ota.campaign.store.trail import Entry

BEGUN = 1_800_000_000
HOSTILE = "</td><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> & \u202e"
ALARM, FAILED = (0xB0, 0x00, 0x20), (0xD5, 0x5E, 0x00)
"""Colours of the page: of the state, and of the line of those that have failed."""
CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--no-first-run", "--disable-sync", "--enable-logging=stderr", "--window-size=1100,2000",
)  # fmt: skip


def story(reason: str = "the uplink is away", **more: object) -> Story:
    """Forty devices in a first stage, of which ten failed; halted."""
    campaign = Campaign(name="gateway-1.2", target="rsu/gateway/1.2.tar", stage=[Stage(percent=20), Stage(percent=100)])
    bad = [_course(f"bus-{n}", "bus", "reverted" if n % 2 else "failed", "health", reason) for n in range(10)]
    good = [_course(f"lane-{n}", "lane", "good") for n in range(30)]
    rest = [Course(device=f"rest-{n}", model="lane", stage=1, state="cancelled") for n in range(160)]
    facts = {"stage": 1, "plans": {one.device: 1 for one in bad + good}}
    entries = [
        _entry(1, 0, "li", "new"),
        _entry(2, 0, "wang", "approve"),
        _entry(3, 0, "engine", "begun", devices=200),
        _entry(4, 10, "engine", "told", **facts),
        _entry(5, 900, "engine", "halt-and-revert", reason="bus: 10 of 10 failed", models=["bus"]),
        _entry(6, 901, "engine", "sent back", plans={one.device: 2 for one in bad}),
    ]
    reports = [
        Brief(one.device, 1, "rolled-back" if one in bad else "confirmed", BEGUN + 60 * (n + 1))
        for n, one in enumerate(good[:10] + bad)
    ]
    kept = Kept(campaign, "d" * 64, "li", BEGUN, "halted", 0, BEGUN, "bus: 10 of 10 failed", ["bus"], 0, Excused())
    fields = {"broken_at": None, **more}
    return Story(
        kept=kept, approved={"wang": BEGUN}, stages={0: tally(bad + good), 1: tally(rest)}, courses=bad + good + rest,
        entries=entries, reports=reports, made_at=BEGUN + 1000, **fields,
    )  # fmt: skip


def _course(device: str, model: str, state: str, rule: str = "", reason: str = "") -> Course:
    ended_at = BEGUN + 500
    return Course(
        device=device, model=model, stage=0, state=state, plan=1, told_at=BEGUN, ended_at=ended_at, rule=rule,
        reason=reason,
    )  # fmt: skip


def _entry(seq: int, after_s: int, who: str, what: str, **facts: object) -> Entry:
    return Entry(seq=seq, at=BEGUN + after_s, who=who, what=what, campaign="gateway-1.2", facts=facts, hash="e" * 64)


@pytest.fixture
def browser(tmp_path: Path):
    """Opens a page in Chromium: (its document as the browser has it, a picture of it, what the console said)."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")

    def open_(data: bytes) -> tuple[str, Image.Image, str]:
        (tmp_path / "report.html").write_bytes(data)
        shot = tmp_path / "shot.png"
        where = [f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "report.html").as_uri()]
        dom = subprocess.run([CHROMIUM, *FLAGS, "--dump-dom", *where], capture_output=True, timeout=60, check=True)
        drawn = [CHROMIUM, *FLAGS, f"--screenshot={shot}", *where]
        said = subprocess.run(drawn, capture_output=True, timeout=60, check=True).stderr
        return dom.stdout.decode(), Image.open(shot).convert("RGB"), (dom.stderr + said).decode("utf-8", "replace")

    return open_


def pixels(image: Image.Image, colour: tuple[int, int, int]) -> int:
    return sum(number for number, each in image.getcolors(1 << 24) if each == colour)


def test_a_browser_draws_it(browser):
    dom, shot, said = browser(page(story()))
    assert "<title>gateway-1.2: halted</title>" in dom
    assert dom.count("<tr>") > 20
    assert "CONSOLE" not in said, "nothing that the browser complains of"
    assert pixels(shot, ALARM) > 500, "the state, in red"
    assert pixels(shot, FAILED) > 100, "the line of failures"
    assert shot.crop((0, 0, 20, 2000)).getcolors() == [(20 * 2000, (255, 255, 255))], "nothing runs over the edge"


def test_what_a_device_says_is_text_and_nothing_else(browser):
    data = page(story(HOSTILE))
    assert b"<script" not in data
    assert b"<img" not in data
    dom, _shot, said = browser(data)
    assert "<title>gateway-1.2: halted</title>" in dom
    assert "Content Security Policy" not in said, "there was nothing for it to stop"


@pytest.mark.parametrize("bad", ["\x00", "\x1b[31m", "\ufffe", "\ud800", "\u202e"])
def test_no_character_that_a_document_may_not_hold_gets_into_it(bad: str):
    data = page(story(f"a{bad}b"))
    assert b"a" + bad[:1].encode("unicode_escape") in data
    assert bad[:1].encode("utf-8", "surrogatepass") not in data


def test_a_broken_trail_is_told():
    assert b"The trail is broken: line 4" in page(story(broken_at=4))
    assert b"The trail is broken" not in page(story())


def test_the_picture_counts_what_was_told_and_what_came_of_it():
    svg = ET.fromstring(picture(story()))
    titles = [each.text for each in svg.iter("{http://www.w3.org/2000/svg}title")]
    assert "Stage 1: up to 20 %: told 40 at the end" in titles
    assert "Stage 1: up to 20 %: failed 10 at the end" in titles
    assert "Stage 1: up to 20 %: confirmed 30 at the end" in titles, "ten by their reports, the others by their courses"
    assert "Stage 1: up to 20 %: sent back 10 at the end" in titles
    assert any(text.startswith("halted: bus: 10 of 10 failed") for text in titles)


def test_a_campaign_that_nobody_has_begun_has_a_page():
    campaign = Campaign(name="gateway-1.2", target="rsu/gateway/1.2.tar", stage=[Stage(percent=100)])
    kept = Kept(campaign, "d" * 64, "li", BEGUN, "waiting", 0, 0, "", [], 0, Excused())
    empty = Story(kept=kept, approved={}, stages={}, courses=[], entries=[], reports=[], broken_at=None, made_at=BEGUN)
    assert b"nobody yet" in page(empty)
