"""A picture of counts over time: one panel over the other on one axis of time, with marks through all of them.

SVG, for a browser or a page: text stays text, and what a pointer rests upon says its name and its number. The colours
are those of Okabe and Ito, which people who see red and green alike can tell apart; each line has its own dashes too.
"""

from collections.abc import Sequence
from textwrap import wrap
from xml.etree import ElementTree as ET

import msgspec

from ota.errors import printable

WIDTH = 1000
_LEFT, _RIGHT = 84, 24
_PANEL, _EMPTY, _GAP = 104, 2, 44
"""Heights: of a panel, of one without lines, of the room for the title of the next."""
_PLOT = WIDTH - _LEFT - _RIGHT
_INK, _FAINT, _RULE = "#222222", "#666666", "#e2e2e2"
_ALARM = "#b00020"
_STYLES = (
    ("#bdbdbd", "", "6"),
    ("#56b4e9", "", "4"),
    ("#009e73", "", "2"),
    ("#d55e00", "", "2.5"),
    ("#aa4499", "7 3", "2"),
    ("#0072b2", "2 3", "2"),
)
"""Colour, dashes, width: where the first three run together, each is still seen beside the next."""
_LINE_CHARS = 135
_MAX_TICKS = 9
_STEPS_S = (60, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000, 7_776_000)
_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"))


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A count over time. Lines of one name look alike in all panels."""

    name: str
    points: Sequence[tuple[float, float]]
    """(seconds, value), in the order of time; a value holds until the next."""
    holds: bool = True
    """The last value, to the end of the picture."""


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """Lines with one scale; without any it is but its title. A line that never leaves 0 is not drawn."""

    title: str
    lines: Sequence[Line]
    note: str = ""
    """On the right, over the lines."""
    unit: str = ""
    """Of the scale, such as `devices`."""
    top: float = 0.0
    """Of the scale, at least."""
    limit: float | None = None
    """A line across, at this value."""
    limit_name: str = ""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    at: float
    text: str
    """Beside the mark: a word or two."""
    reason: str = ""
    """In full, where a pointer rests upon it."""
    is_alarm: bool = False


def draw(
    title: str, panels: Sequence[Panel], marks: Sequence[Mark], *, until_s: float, about: Sequence[str] = ()
) -> bytes:
    """SVG of time from 0 to `until_s`. about: lines under the title; an alarm's reason is among them by itself."""
    alarms = [f"{mark.text}: {mark.reason}" for mark in marks if mark.is_alarm and mark.reason]
    told = [line for text in about for line in wrap(text, _LINE_CHARS)]
    alarmed = [line for text in alarms for line in wrap(text, _LINE_CHARS)]
    head = 52 + 18 * (len(told) + len(alarmed))
    tops = [head + 74.0]
    for panel in panels:
        tops.append(tops[-1] + (_PANEL if panel.lines else _EMPTY) + _GAP)
    bottom = tops.pop() - _GAP
    height = int(bottom) + 52
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {height}", "width": str(WIDTH),
            "height": str(height), "font-family": "system-ui, sans-serif", "font-size": "12", "fill": _INK,
            "role": "img",
        },
    )  # fmt: skip
    ET.SubElement(svg, "title").text = title
    ET.SubElement(svg, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    _text(svg, _LEFT, 30, title, size="18", weight="600")
    for number, line in enumerate(told + alarmed):
        _text(svg, _LEFT, 52 + 18 * number, line, colour=_FAINT if number < len(told) else _ALARM)
    names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    styles = {name: _STYLES[number % len(_STYLES)] for number, name in enumerate(names)}
    _legend(svg, head + 8, styles)
    axis = _Axis(until_s)
    axis.draw(svg, bottom)
    _name_marks(svg, head + 36, marks, axis)
    for top, panel in zip(tops, panels, strict=True):
        _panel(svg, top, panel, axis, styles, marks)
    make_printable(svg)
    ET.indent(svg)
    data: bytes = ET.tostring(svg, encoding="utf-8", xml_declaration=True)
    return data


def make_printable(tree: ET.Element) -> None:
    """What devices and people have said may hold characters that no document may have."""
    for each in tree.iter():
        if each.text and not each.text.isspace() and each.tag != "style":
            each.text = printable(each.text)


class _Axis:
    """Of time, across all panels."""

    def __init__(self, until_s: float) -> None:
        self.until_s = max(until_s, 60.0)
        self._step = next((step for step in _STEPS_S if self.until_s / step <= _MAX_TICKS), _STEPS_S[-1])
        self._unit_s, self._unit = next(unit for unit in _UNITS if self._step >= unit[0])

    def x(self, at: float) -> float:
        """Of a time."""
        return _LEFT + _PLOT * min(max(at / self.until_s, 0.0), 1.0)

    def ticks(self) -> list[float]:
        """Times that are worth a number."""
        return [float(number * self._step) for number in range(int(self.until_s // self._step) + 1)]

    def draw(self, svg: ET.Element, bottom: float) -> None:
        """Its numbers and its name, below all panels."""
        for at in self.ticks():
            _text(svg, self.x(at), bottom + 18, f"{at / self._unit_s:g}", anchor="middle", colour=_FAINT)
        _text(svg, _LEFT + _PLOT / 2, bottom + 38, f"{self._unit} since it began", anchor="middle", colour=_FAINT)


def _panel(
    svg: ET.Element, top: float, panel: Panel, axis: _Axis, styles: dict[str, tuple[str, str, str]],
    marks: Sequence[Mark],
) -> None:  # fmt: skip
    group = ET.SubElement(svg, "g")
    _text(group, _LEFT, top - 8, panel.title, weight="600")
    _text(group, WIDTH - _RIGHT, top - 8, panel.note, anchor="end")
    if not panel.lines:
        _rule(group, _LEFT, top, WIDTH - _RIGHT, top, _RULE)
        return
    highest = max([value for line in panel.lines for _at, value in line.points] + [panel.top, panel.limit or 0.0])
    scale = _round_up(highest or 1.0)
    for at in axis.ticks():
        _rule(group, axis.x(at), top, axis.x(at), top + _PANEL, _RULE)
    for share in (0.0, 0.5, 1.0):
        y = top + _PANEL * (1 - share)
        _rule(group, _LEFT, y, WIDTH - _RIGHT, y, _RULE if share else "#999999")
        _text(group, _LEFT - 8, y + 4, f"{scale * share:,.5g}", anchor="end", colour=_FAINT)
    if panel.unit:
        x, y = _LEFT - 66, top + _PANEL / 2
        _text(group, x, y, panel.unit, anchor="middle", colour=_FAINT, turn=f"rotate(-90 {x:g} {y:g})")
    if panel.limit is not None:
        y = top + _PANEL * (1 - panel.limit / scale)
        _rule(group, _LEFT, y, WIDTH - _RIGHT, y, _ALARM, dashes="4 4")
        _text(group, WIDTH - _RIGHT - 4, y - 4, panel.limit_name, anchor="end", colour=_ALARM, size="11")
    for line in panel.lines:
        seen = [(at, value) for at, value in line.points if at <= axis.until_s]
        begun = next((number for number, (_at, value) in enumerate(seen) if value), None)
        if begun is None:
            continue
        seen = seen[max(0, begun - 1) :]
        colour, dashes, width = styles[line.name]
        look = {
            "d": _steps(seen, axis, top, scale, holds=line.holds),
            "fill": "none",
            "stroke": colour,
            "stroke-width": width,
        }
        path = ET.SubElement(group, "path", {**look, "stroke-linejoin": "round", "stroke-dasharray": dashes or "none"})
        ET.SubElement(path, "title").text = f"{panel.title}: {line.name} {seen[-1][1]:,.6g} at the end"
    for mark in marks:
        if mark.at <= axis.until_s:
            _draw_mark(group, axis.x(mark.at), top, mark)


def _steps(
    points: Sequence[tuple[float, float]], axis: _Axis, top: float, scale: float, *, holds: bool
) -> str:  # fmt: skip
    """What would not be seen is left out: several points on one place."""
    parts: list[str] = []
    last_x = last_y = ""
    for at, value in points:
        x, y = f"{axis.x(at):.1f}", f"{top + _PANEL * (1 - value / scale):.1f}"
        if not parts:
            parts.append(f"M{x} {y}")
        elif y != last_y:
            parts.append(f"H{x}V{y}" if x != last_x else f"V{y}")
        else:
            continue
        last_x, last_y = x, y
    parts.append(f"H{axis.x(axis.until_s if holds else points[-1][0]):.1f}")
    return "".join(parts)


def _draw_mark(parent: ET.Element, x: float, top: float, mark: Mark) -> None:
    group = ET.SubElement(parent, "g")
    ET.SubElement(group, "title").text = _in_full(mark)
    colour, dashes = (_ALARM, "") if mark.is_alarm else ("#555555", "1 3")
    _rule(group, x, top, x, top + _PANEL, colour, dashes=dashes, width="2")


def _name_marks(svg: ET.Element, y: float, marks: Sequence[Mark], axis: _Axis) -> None:
    """In a row of their own, as far as there is room; alarms come first."""
    taken: list[tuple[float, float]] = []
    for mark in sorted(marks, key=lambda mark: (not mark.is_alarm, mark.at)):
        x, width = axis.x(mark.at), 7.2 * len(mark.text) + 8
        is_left = x + width > WIDTH - _RIGHT
        start = x - width if is_left else x
        if mark.at > axis.until_s or any(start < end and begin < start + width for begin, end in taken):
            continue
        taken.append((start, start + width))
        group = ET.SubElement(svg, "g")
        ET.SubElement(group, "title").text = _in_full(mark)
        colour, weight = (_ALARM, "600") if mark.is_alarm else ("#555555", "400")
        _rule(group, x, y - 10, x, y + 6, colour, width="2")
        anchor, beside = ("end", -5) if is_left else ("start", 5)
        _text(group, x + beside, y, mark.text, anchor=anchor, colour=colour, weight=weight)


def _in_full(mark: Mark) -> str:
    return f"{mark.text}: {mark.reason}" if mark.reason else mark.text


def _legend(svg: ET.Element, y: float, styles: dict[str, tuple[str, str, str]]) -> None:
    x = float(_LEFT)
    for name, (colour, dashes, width) in styles.items():
        _rule(svg, x, y - 4, x + 26, y - 4, colour, dashes=dashes, width=width)
        _text(svg, x + 32, y, name)
        x += 32 + 7 * len(name) + 24


def _round_up(value: float) -> float:
    """To a number that can be read, and halved."""
    size = 1.0
    while size * 10 <= value:
        size *= 10
    while size > value:
        size /= 10
    return next(step * size for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if step * size >= value * (1 - 1e-9))


def _rule(
    parent: ET.Element, x1: float, y1: float, x2: float, y2: float, colour: str, *, dashes: str = "", width: str = "1"
) -> None:
    at = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    ET.SubElement(parent, "line", {**at, "stroke": colour, "stroke-width": width, "stroke-dasharray": dashes or "none"})


def _text(
    parent: ET.Element, x: float, y: float, text: str, *, anchor: str = "start", colour: str = _INK, size: str = "",
    weight: str = "", turn: str = "",
) -> None:  # fmt: skip
    if not text:
        return
    look = {"font-size": size, "font-weight": weight, "transform": turn}
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, "fill": colour}
    ET.SubElement(parent, "text", {**place, **{name: value for name, value in look.items() if value}}).text = text
