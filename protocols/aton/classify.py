"""On and off in ms back to the character that charts would write.

IALA R0110, definitions of the classes. MicroPython-clean. What one character can be shown as in many ways (the list of
a maker differs from the next one's), so this looks at proportions: what is longer, light or darkness; how often it
flashes; which darkness ends a group.

>>> character_text(character_of(Rhythm((300, 700, 300, 700, 300, 700, 2000, 7000), ("W",))))
'Q(3)+LFl W 12s'
>>> character_text(character_of(Rhythm((500, 500, 1500, 7500), ("W",))))
'Mo(A)W 10s'
"""

from protocols.aton.character import (
    ALTERNATING,
    FIXED,
    FIXED_FLASHING,
    FLASHING,
    ISOPHASE,
    LONG_FLASHING,
    MORSE,
    OCCULTING,
    QUICK,
    ULTRA_QUICK,
    VERY_QUICK,
    Character,
    Part,
    character_text,
    why_none,
)
from protocols.aton.morse import letter_of
from protocols.aton.rhythm import LONG_MS, Rhythm, why_unfit
from protocols.core.errors import LocalProtocolError

__all__ = ["character_of", "character_text"]

_SLOWEST_QUICK_MS = 1200
"""50 flashes a minute."""
_SLOWEST_VERY_QUICK_MS = 750
_SLOWEST_ULTRA_QUICK_MS = 375
_FEWEST_QUICK = 3
"""Before a long flash; with fewer it is a letter of Morse code."""
_DASH_TO_DOT = 2
"""A flash at least this many times as long as the shortest one is a dash."""


def character_of(rhythm: Rhythm) -> Character:
    """The character of a pattern. Raises `LocalProtocolError` for one that no lamp should show or no class has."""
    reason = why_unfit(rhythm)
    parts: tuple[Part, ...] | None = None
    if reason is None:
        parts = _parts_of(rhythm)
    if parts is not None:
        character = Character(parts, rhythm.colours, rhythm.period_ms or None)
        reason = why_none(character)
        if reason is None:
            return character
    raise LocalProtocolError(reason or "no class of a light is like this", field="intervals")


def _parts_of(rhythm: Rhythm) -> tuple[Part, ...] | None:
    lights = rhythm.lights
    darks = rhythm.darks
    if not lights:
        return (Part(FIXED),)
    if len(rhythm.colours) > 1:
        return (Part(ALTERNATING),)
    if rhythm.is_fixed_between:
        return _grouped(FIXED_FLASHING, darks)
    if len(lights) == 1:
        return (_single(lights[0], darks[0]),)
    return _several(lights, darks)


def _several(lights: list[int], darks: list[int]) -> tuple[Part, ...] | None:
    kind = _quick_kind(lights[0] + darks[0])
    if sum(lights) >= sum(darks):
        longest = lights.index(max(lights))
        parts = _grouped(OCCULTING, lights[longest + 1 :] + lights[: longest + 1])
    elif kind is not None and len(lights) > _FEWEST_QUICK and lights[-1] >= LONG_MS > max(lights[:-1]):
        parts = (Part(kind, (len(lights) - 1,)), Part(LONG_FLASHING))
    elif max(lights) >= _DASH_TO_DOT * min(lights):
        letters = _letters_of(lights, darks)
        parts = None if letters is None else (Part(MORSE, letters=letters),)
    else:
        parts = _grouped(FLASHING, darks)
        if parts is not None and kind is not None and len(parts[0].group) == 1:
            parts = (Part(kind, parts[0].group),)
    return parts


def _single(on: int, off: int) -> Part:
    kind = _quick_kind(on + off)
    if kind is not None:
        return Part(kind)
    if on == off:
        return Part(ISOPHASE)
    if on > off:
        return Part(OCCULTING)
    return Part(LONG_FLASHING if on >= LONG_MS else FLASHING)


def _quick_kind(cycle_ms: int) -> str | None:
    """By how often it flashes: 50 to 79, 80 to 159, 160 and more a minute."""
    if cycle_ms > _SLOWEST_QUICK_MS:
        return None
    if cycle_ms > _SLOWEST_VERY_QUICK_MS:
        return QUICK
    return VERY_QUICK if cycle_ms > _SLOWEST_ULTRA_QUICK_MS else ULTRA_QUICK


def _grouped(kind: str, gaps: list[int]) -> tuple[Part, ...] | None:
    """The class with its group, by what lies between: the last gap ends it, one much longer parts it in two."""
    if len(gaps) == 1:
        return (Part(kind),)
    inner = gaps[:-1]
    if gaps[-1] <= max(inner):
        return None
    shortest = min(inner)
    long_ones = [at for at, gap in enumerate(inner) if gap >= _DASH_TO_DOT * shortest]
    if not long_ones:
        return (Part(kind, (len(gaps),)),)
    if len(long_ones) > 1:
        return None
    first = long_ones[0] + 1
    return (Part(kind, (first, len(gaps) - first)),)


def _letters_of(lights: list[int], darks: list[int]) -> str | None:
    """The Morse letters of dots and dashes; a gap much longer than the shortest one parts two letters."""
    shortest = min(darks[:-1])
    letters = ""
    signs = ""
    for on, off in zip(lights, darks):  # noqa: B905  # MicroPython's zip has no strict, and they are as many
        signs += "-" if on >= _DASH_TO_DOT * min(lights) else "."
        if off >= _DASH_TO_DOT * shortest:
            letter = letter_of(signs)
            if letter is None:
                return None
            letters += letter
            signs = ""
    return letters or None
