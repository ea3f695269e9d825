"""What a light does in time: a character to on and off in ms. The way back is in `classify`.

IALA R0110; the patterns of `READY` are those of makers' lists. MicroPython-clean: all in integers.

A pattern is (on, off, on, off ...), beginning with the first flash; its sum is the period. A fixed light has none. Of a
fixed and flashing light "off" is the fainter fixed light, and an alternating one shows its colours in turn, one each
time that it is on. A period begins where the UTC time in ms is a multiple of it, plus a phase.

>>> from protocols.aton.character import parse_character
>>> rhythm = rhythm_of(parse_character("Q(6)+LFl W 15s"))
>>> rhythm.intervals[-4:], sum(rhythm.intervals)
((300, 700, 2000, 7000), 15000)
>>> rhythm.state_at(utc_ms=16_100)
(True, 'W', 200)
"""

from protocols.aton.character import (
    ALTERNATING,
    FIXED,
    FIXED_FLASHING,
    FLASHING,
    INTERRUPTED,
    ISOPHASE,
    LONG_FLASHING,
    LONGEST_PERIOD_MS,
    MORSE,
    OCCULTING,
    QUICK,
    ULTRA_QUICK,
    VERY_QUICK,
    Character,
    character_text,
    checked,
    period_text,
)
from protocols.aton.morse import signs_of
from protocols.aton.ready import READY
from protocols.core.errors import LocalProtocolError

SHORTEST_ON_MS = 100
"""Below this no lamp is to flash."""
LONG_MS = 2000
MOST_INTERVALS = 64
QUICK_FLASHES = {QUICK: (300, 700), VERY_QUICK: (200, 300), ULTRA_QUICK: (100, 150)}
"""(on, off): 60, 120 and 240 a minute."""
_FLASHES = ((500, 1500), (500, 1000), (300, 950))
"""(on, off within the group), the one that is preferred first: less than 50 flashes a minute, more would be quick."""
_COMPOSITE_FLASHES = ((500, 1500), (500, 1000), (400, 600), (300, 400), (200, 300))
_QUICKEST_FLASHING_MS = 1201
_ECLIPSES = ((1000, 1000), (700, 700), (500, 500))
_DOTS_MS = (500, 400, 300)


class Rhythm:
    """Colours and intervals of one period."""

    __slots__ = ("colours", "intervals", "is_fixed_between")

    def __init__(
        self, intervals: tuple[int, ...], colours: tuple[str, ...] = (), is_fixed_between: bool = False
    ) -> None:
        self.intervals = intervals
        self.colours = colours
        self.is_fixed_between = is_fixed_between
        """Between the flashes a fainter light stays on."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rhythm) and _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash(_values(self))

    @property
    def period_ms(self) -> int:
        """0 for a fixed light."""
        return sum(self.intervals)

    @property
    def lights(self) -> list[int]:
        """How long each flash is; MicroPython's tuples have no slices with steps."""
        return [self.intervals[at] for at in range(0, len(self.intervals), 2)]

    @property
    def darks(self) -> list[int]:
        """How long each darkness is."""
        return [self.intervals[at] for at in range(1, len(self.intervals), 2)]

    @property
    def duty_permille(self) -> int:
        """How much of the time it is on (bright, of a fixed and flashing light)."""
        return 1000 * sum(self.lights) // self.period_ms if self.intervals else 1000

    def state_at(self, utc_ms: int, phase_ms: int = 0) -> tuple[bool, str, int]:
        """(is it on, its colour or "", ms until that changes, 0 for never) at a moment."""
        if not self.intervals:
            return (True, self.colours[0] if self.colours else "", 0)
        into = (utc_ms - phase_ms) % self.period_ms
        at = 0
        while into >= self.intervals[at]:
            into -= self.intervals[at]
            at += 1
        colour = self.colours[at // 2 % len(self.colours)] if self.colours else ""
        return (at % 2 == 0, colour, self.intervals[at] - into)


def _values(rhythm: Rhythm) -> tuple[tuple[int, ...], tuple[str, ...], bool]:
    return (rhythm.intervals, rhythm.colours, rhythm.is_fixed_between)


def why_unfit(rhythm: Rhythm, period_ms: int | None = None) -> str | None:
    """Why no lamp should show this, or None; with `period_ms` also when that is not its sum."""
    intervals = rhythm.intervals
    reason = None
    if not intervals:
        reason = "a fixed light has no period" if period_ms else None
    elif len(intervals) % 2 or len(intervals) > MOST_INTERVALS:
        reason = "on and off come in pairs, 32 at most"
    elif min(rhythm.lights) < SHORTEST_ON_MS:
        reason = "a flash of less than 100 ms"
    elif min(rhythm.darks) < (0 if len(rhythm.colours) > 1 else 1):
        reason = "a darkness of no length"
    elif rhythm.period_ms > LONGEST_PERIOD_MS:
        reason = "a period of more than 60 s"
    elif period_ms is not None and rhythm.period_ms != period_ms:
        reason = "the intervals add up to " + period_text(rhythm.period_ms) + " s"
    return reason


def rhythm_of(character: Character) -> Rhythm:
    """The pattern of a character: a maker's where there is one, else by rule.

    Raises `LocalProtocolError` for a character that needs a period and has none, or one that it does not fit into.
    """
    checked(character)
    first = character.parts[0]
    kind = first.kind
    if kind == FIXED:
        return Rhythm((), character.colours)
    period_ms = character.period_ms
    if period_ms is None and kind in QUICK_FLASHES and not first.group:
        period_ms = sum(QUICK_FLASHES[kind])
    if period_ms is None:
        raise LocalProtocolError(character.name + " needs a period", field="character")
    name = character.name if kind != ALTERNATING else character_text(Character(character.parts, character.colours))
    intervals = READY.get(name + " " + period_text(period_ms) + "s")
    if intervals is None and kind == ISOPHASE:
        intervals = (period_ms // 2, period_ms - period_ms // 2)
    if intervals is None:
        intervals = _RULES[kind](character, period_ms)
    rhythm = Rhythm(intervals, character.colours, kind == FIXED_FLASHING)
    if why_unfit(rhythm, period_ms) is not None:
        raise LocalProtocolError(character.name + " does not fit into its period", field="character")
    return rhythm


def _alternating(character: Character, period_ms: int) -> tuple[int, ...]:
    count = len(character.colours)
    starts = [period_ms * at // count for at in range(count + 1)]
    return tuple([length for at in range(count) for length in (starts[at + 1] - starts[at], 0)])


def _morse(character: Character, period_ms: int) -> tuple[int, ...]:
    letters = character.parts[0].letters
    return _first_that_fits([(_signs(letters, dot_ms), 3 * dot_ms) for dot_ms in _DOTS_MS], period_ms)


def _interrupted(character: Character, period_ms: int) -> tuple[int, ...]:
    """Two thirds of the period quick, the rest dark."""
    on, off = QUICK_FLASHES[INTERRUPTED[character.parts[0].kind]]
    return _closed(_series((max(1, period_ms * 2 // 3 // (on + off)),), on, off), period_ms, off + 1)


def _quick(character: Character, period_ms: int) -> tuple[int, ...]:
    first = character.parts[0]
    on, off = QUICK_FLASHES[first.kind]
    if not first.group:
        return (period_ms * on // (on + off), period_ms - period_ms * on // (on + off))
    series = _series(first.group, on, off)
    if len(character.parts) > 1:
        series += [off, LONG_MS]
    return _closed(series, period_ms, off + 1)


def _occulting(character: Character, period_ms: int) -> tuple[int, ...]:
    """Flashing with light and darkness exchanged; the long light comes first."""
    group = character.parts[0].group or (1,)
    if group == (1,):
        return (period_ms - period_ms // 4, period_ms // 4)
    dark_first = _first_that_fits([(_series(group, dark, light), 3 * light) for dark, light in _ECLIPSES], period_ms)
    return dark_first[-1:] + dark_first[:-1]


def _flashing(character: Character, period_ms: int) -> tuple[int, ...]:
    group = character.parts[0].group or (1,)
    if character.parts[0].kind == LONG_FLASHING:
        return _closed([LONG_MS], period_ms, LONG_MS + 1)
    choices = []
    for on, off in _FLASHES if len(group) == 1 else _COMPOSITE_FLASHES:
        series = _series(group, on, off)
        fewest_ms = max(3 * _longest(group, on, off), _QUICKEST_FLASHING_MS - on)
        if len(character.parts) > 1:
            series += [3 * off, LONG_MS]
        choices.append((series, fewest_ms))
    return _first_that_fits(choices, period_ms)


_RULES = {
    ALTERNATING: _alternating,
    LONG_FLASHING: _flashing,
    MORSE: _morse,
    OCCULTING: _occulting,
    FLASHING: _flashing,
    FIXED_FLASHING: _flashing,
    QUICK: _quick,
    VERY_QUICK: _quick,
    ULTRA_QUICK: _quick,
    "IQ": _interrupted,
    "IVQ": _interrupted,
    "IUQ": _interrupted,
}
"""How a class is shown where no maker's list has it."""


def _longest(group: tuple[int, ...], on: int, off: int) -> int:
    """The longest darkness within the series; the single flash's own length where there is none."""
    if len(group) == 2:
        return 2 * off
    return off if group[0] > 1 else on


def _series(group: tuple[int, ...], on: int, off: int) -> list[int]:
    """Flashes and what lies between them, three times as long between the two counts of a composite group."""
    series: list[int] = []
    for at, count in enumerate(group):
        if at:
            series.append(3 * off)
        series += [on, off] * (count - 1) + [on]
    return series


def _closed(series: list[int], period_ms: int, fewest_ms: int) -> tuple[int, ...]:
    """The series with the last darkness, or nothing when that is too short."""
    rest = period_ms - sum(series)
    if rest < fewest_ms:
        return (0, 0)
    series.append(rest)
    return tuple(series)


def _first_that_fits(choices: list[tuple[list[int], int]], period_ms: int) -> tuple[int, ...]:
    for series, fewest_ms in choices:
        intervals = _closed(series, period_ms, fewest_ms)
        if intervals[0]:
            return intervals
    return (0, 0)


def _signs(letters: str, dot_ms: int) -> list[int]:
    series: list[int] = []
    for letter in letters:
        if series:
            series.append(3 * dot_ms)
        for at, sign in enumerate(signs_of(letter)):
            if at:
                series.append(dot_ms)
            series.append(3 * dot_ms if sign == "-" else dot_ms)
    return series
