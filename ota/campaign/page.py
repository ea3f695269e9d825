"""The report of a rollout: one static page that needs nothing but itself, for a browser, a mail or an archive.

What it says comes from the trail and from what devices have signed; whatever a device has said is text in it and
nothing else: there is no script in the page, and its own policy (CSP) lets none in.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

import msgspec

from ota.campaign.course import Course
from ota.campaign.judge import Tally
from ota.campaign.picture import Line, Mark, Panel, draw, make_printable
from ota.campaign.progress import progress_of
from ota.campaign.store.campaigns import Kept
from ota.campaign.store.reports import Brief
from ota.campaign.store.trail import Entry

MAX_TROUBLES = 200
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff; margin: 2rem auto; max-width: 64rem;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.state { display: inline-block; padding: .1rem .6rem; border-radius: 1rem; background: #e2e2e2; font-weight: 600; }
.halted, .reverting, .paused { background: #b00020; color: #fff; } .finished { background: #00664b; color: #fff; }
.wide { overflow-x: auto; } svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: #666; padding-bottom: .3rem; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #e2e2e2; vertical-align: top; }
td:first-child { white-space: nowrap; } .alarm { color: #b00020; }
td.n, th.n { text-align: right; padding-right: 1.2rem; font-variant-numeric: tabular-nums; }
code { font-size: .85em; overflow-wrap: anywhere; } footer { color: #666; margin-top: 2rem; }
@media print { body { margin: 0; max-width: none; } }
"""


_SEEN_ENDS = ("confirmed", "good", "failed", "regressed")
"""Of a device whose report is not here, when it came to its end is known from its account."""


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """All that a page is made of."""

    kept: Kept
    approved: Mapping[str, int]
    stages: Mapping[int, Mapping[str, Tally]]
    courses: Sequence[Course]
    entries: Sequence[Entry]
    reports: Sequence[Brief]
    broken_at: int | None
    """The first line of the trail that is not as it was written."""
    made_at: int


def page(story: Story) -> bytes:
    """HTML in UTF-8."""
    campaign = story.kept.campaign
    html = ET.Element("html", {"lang": "en"})
    head = ET.SubElement(html, "head")
    ET.SubElement(head, "meta", {"charset": "utf-8"})
    ET.SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})
    ET.SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    ET.SubElement(head, "title").text = f"{campaign.name}: {story.kept.state}"
    ET.SubElement(head, "style").text = _STYLE
    body = ET.SubElement(html, "body")
    _heading(body, story)
    figure = ET.SubElement(body, "div", {"class": "wide", "id": "picture"})
    figure.append(_plain(ET.fromstring(picture(story))))  # noqa: S314  # our own, a line ago
    _stages(body, story)
    _troubles(body, story)
    _trail(body, story)
    ET.SubElement(body, "footer").text = f"Made {_date(story.made_at)} UTC by wayside ota campaign report."
    make_printable(html)
    data: bytes = ET.tostring(html, encoding="utf-8", method="html")
    return b"<!DOCTYPE html>\n" + data


def picture(story: Story) -> bytes:
    """The stages over time, as SVG."""
    kept = story.kept
    begun = next((entry.at for entry in story.entries if entry.what == "begun"), kept.created_at)
    last = max([entry.at for entry in story.entries] + [report.at for report in story.reports] + [begun + 60])
    stage_of = {course.device: course.stage for course in story.courses}
    told: dict[str, int] = {}
    times: dict[int, dict[str, Counter[int]]] = {}
    for entry in story.entries:
        if entry.what in ("told", "sent back"):
            name = "told" if entry.what == "told" else "sent back"
            for device, number in entry.facts.get("plans", {}).items():
                if name == "told":
                    told[device] = number
                _count(times, stage_of.get(device, 0), name, entry.at - begun)
    ends = {course.device: (course.state, course.ended_at) for course in story.courses if course.state in _SEEN_ENDS}
    for report in story.reports:
        if told.get(report.device) == report.plan and report.outcome in ("confirmed", "rolled-back", "failed"):
            ends[report.device] = ("good" if report.outcome == "confirmed" else "failed", report.at)
    for device, (state, at) in ends.items():
        name = "confirmed" if state in ("confirmed", "good") else "failed"
        _count(times, stage_of.get(device, 0), name, at - begun)
    panels = []
    for number, stage in enumerate(kept.campaign.stage):
        tallies = story.stages.get(number, {})
        devices = sum(one.all for one in tallies.values())
        own = times.get(number, {})
        names = ("told", "sent back", "confirmed", "failed")
        lines = [Line(name=name, points=_sums(own[name])) for name in names if name in own]
        panels.append(
            Panel(
                title=f"Stage {number + 1}: up to {stage.percent:g} %",
                lines=lines,
                note=f"{devices:,} devices",
                unit="devices",
                top=float(devices),
            )
        )
    return draw(kept.campaign.name, panels, _marks(story.entries, begun), until_s=(last - begun) * 1.05)


def _count(times: dict[int, dict[str, Counter[int]]], stage: int, name: str, at: int) -> None:
    times.setdefault(stage, {}).setdefault(name, Counter())[max(0, at)] += 1


def _sums(counts: Counter[int]) -> list[tuple[float, float]]:
    points = [(0.0, 0.0)]
    for at, number in sorted(counts.items()):
        points.append((float(at), points[-1][1] + number))
    return points


def _marks(entries: Iterable[Entry], begun: int) -> list[Mark]:
    words = {"next": "next stage", "pause": "paused", "finish": "finished", "resume": "resumed"}
    marks = []
    for entry in entries:
        is_alarm = entry.what in ("halt", "halt-and-revert", "pause")
        if is_alarm or entry.what in words:
            text, reason = words.get(entry.what, "halted"), str(entry.facts.get("reason", ""))
            marks.append(Mark(at=float(entry.at - begun), text=text, reason=reason, is_alarm=is_alarm))
    return marks


def _heading(body: ET.Element, story: Story) -> None:
    kept = story.kept
    ET.SubElement(body, "h1").text = kept.campaign.name
    line = ET.SubElement(body, "p")
    ET.SubElement(line, "span", {"class": f"state {kept.state}", "id": "state"}).text = kept.state
    if kept.reason:
        ET.SubElement(line, "span", {"id": "reason"}).text = f" {kept.reason}"
    all_ = progress_of(one for of in story.stages.values() for one in of.values())
    approved = ", ".join(f"{who} ({_date(at)})" for who, at in story.approved.items()) or "nobody yet"
    rows = [
        ("Release", kept.campaign.target),
        ("Made by", f"{kept.author}, {_date(kept.created_at)} UTC"),
        ("Approved by", approved),
        ("Devices", f"{all_.devices:,} meant, {all_.told:,} told, {all_.confirmed:,} confirmed"),
        ("Failed", f"{all_.failed:,}: {_share(all_.failed, all_.devices)} of those that are meant"),
        ("Sent back", f"{all_.back:,}"),
        ("Condemned", ", ".join(kept.guilty) or "no model"),
        ("Content", kept.digest),
    ]
    table = _table(body, "", ())
    for name, value in rows:
        row = ET.SubElement(table, "tr")
        ET.SubElement(row, "th", {"scope": "row"}).text = name
        ET.SubElement(row, "td").text = value


def _stages(body: ET.Element, story: Story) -> None:
    ET.SubElement(body, "h2").text = "Stages"
    heads = ("Stage", "Up to", "Model", "Devices", "Told", "Reached", "Confirmed", "Failed", "Sent back", "Why")
    table = _table(body, "Each count has those in it that came further.", heads, numbers=range(3, 9))
    for number, of_stage in story.stages.items():
        for model, one in of_stage.items():
            all_ = progress_of([one])
            why = ", ".join(f"{count} {rule}" for rule, count in one.rules.items())
            counts = (all_.devices, all_.told, all_.reached, all_.confirmed, all_.failed, all_.back)
            percent = f"{story.kept.campaign.stage[number].percent:g} %"
            _row(table, (str(number + 1), percent, model, *(f"{count:,}" for count in counts), why), range(3, 9))


def _troubles(body: ET.Element, story: Story) -> None:
    bad = [course for course in story.courses if course.rule and course.state != "retrying"]
    ET.SubElement(body, "h2").text = "What went wrong, and where"
    if not bad:
        ET.SubElement(body, "p").text = "Nothing."
        return
    caption = f"{len(bad):,} devices" + (f"; the first {MAX_TROUBLES} of them" if len(bad) > MAX_TROUBLES else "")
    table = _table(body, caption, ("Device", "Model", "Stage", "State", "Rule", "Reason"))
    for course in bad[:MAX_TROUBLES]:
        cells = (course.device, course.model, str(course.stage + 1), course.state, course.rule, course.reason)
        _row(table, cells)


def _trail(body: ET.Element, story: Story) -> None:
    ET.SubElement(body, "h2").text = "Who did what"
    if story.broken_at is not None:
        text = f"The trail is broken: line {story.broken_at} is not what was written."
        ET.SubElement(body, "p", {"class": "alarm", "id": "broken"}).text = text
    table = _table(
        body, "Times in UTC. Each line is bound to the one before it.", ("Time", "Line", "Who", "What", "Facts")
    )
    for entry in story.entries:
        facts = ", ".join(_fact(name, value) for name, value in entry.facts.items() if name not in _UNTOLD and value)
        _row(table, (_date(entry.at), str(entry.seq), entry.who, entry.what, facts))
    if story.entries:
        line = ET.SubElement(body, "p")
        line.text = "Last hash of these: "
        ET.SubElement(line, "code").text = story.entries[-1].hash


_UNTOLD = ("signed", "signature")


def _fact(name: str, value: Any) -> str:
    if name == "plans":
        return f"{len(value):,} devices"
    if isinstance(value, list):
        return f"{name} {', '.join(map(str, value[:5]))}" + (" and more" if len(value) > 5 else "")
    return f"{name} {value}"


def _table(body: ET.Element, caption: str, heads: Sequence[str], numbers: Iterable[int] = ()) -> ET.Element:
    table = ET.SubElement(ET.SubElement(body, "div", {"class": "wide"}), "table")
    if caption:
        ET.SubElement(table, "caption").text = caption
    if heads:
        row = ET.SubElement(ET.SubElement(table, "thead"), "tr")
        for index, head in enumerate(heads):
            ET.SubElement(row, "th", {"scope": "col", **({"class": "n"} if index in numbers else {})}).text = head
    return ET.SubElement(table, "tbody")


def _row(table: ET.Element, cells: Sequence[str], numbers: Iterable[int] = ()) -> None:
    row = ET.SubElement(table, "tr")
    for index, text in enumerate(cells):
        ET.SubElement(row, "td", {"class": "n"} if index in numbers else {}).text = text


def _plain(svg: ET.Element) -> ET.Element:
    """Within HTML an SVG has no prefix on its names."""
    for element in svg.iter():
        element.tag = element.tag.rpartition("}")[2]
    return svg


def _share(part: int, all_: int) -> str:
    return f"{100 * part / all_:.2f} %" if all_ else "0 %"


def _date(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))
