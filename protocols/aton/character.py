"""The character of a light as charts write it: `Fl(2)R 6s`, `Q(6)+LFl W 15s`, `Mo(A)W 8s`.

IALA R0110 (rhythmic characters), IHO Chart 1 section P. MicroPython-clean.

    text   := char [colour] [period "s"]
    char   := part ("+" part)*
    part   := class ["(" group ")"]
    group  := n | n "+" n | LETTERS (of Mo only)

Dots and spaces are passed over and case does not count, since sources vary (`FL (2) 6 S`); written is one form only.
What a character means in time is told by `rhythm`.

>>> character = parse_character("FL. (2) R. 6 S")
>>> character.parts[0].group, character.colours, character.period_ms
((2,), ('R',), 6000)
>>> character_text(character)
'Fl(2)R 6s'
"""

from protocols.core.errors import FieldError, LocalProtocolError

FIXED = "F"
OCCULTING = "Oc"
ISOPHASE = "Iso"
FLASHING = "Fl"
LONG_FLASHING = "LFl"
QUICK = "Q"
VERY_QUICK = "VQ"
ULTRA_QUICK = "UQ"
MORSE = "Mo"
FIXED_FLASHING = "FFl"
ALTERNATING = "Al"
INTERRUPTED = {"IQ": QUICK, "IVQ": VERY_QUICK, "IUQ": ULTRA_QUICK}
"""Interrupted quick: a series of quick flashes, then a long darkness."""
_CLASSES = ("IVQ", "IUQ", "FFl", "LFl", "Iso", "Oc", "Fl", "VQ", "UQ", "IQ", "Mo", "Al", "F", "Q")
"""The longer before what it begins with."""
_GROUPED = (OCCULTING, FLASHING, FIXED_FLASHING, QUICK, VERY_QUICK, ULTRA_QUICK)
BLUE = "Bu"  # codespell:ignore bu
COLOURS = (BLUE, "W", "R", "G", "Y")
_COLOURS_READ = (BLUE, "Am", "W", "R", "G", "Y")
_SYNONYMS = {"AM": "Y"}
MOST_IN_GROUP = 20
LONGEST_PERIOD_MS = 60_000
_LONGEST_TEXT = 64
_MOST_LETTERS = 4
_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Part:
    """One class of a character with its group: counts, letters of Mo, or neither."""

    __slots__ = ("group", "kind", "letters")

    def __init__(self, kind: str, group: tuple[int, ...] = (), letters: str = "") -> None:
        self.kind = kind
        self.group = group
        self.letters = letters

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash(_values(self))

    @property
    def text(self) -> str:
        """As charts write it."""
        inside = self.letters or "+".join([str(count) for count in self.group])
        return self.kind + "(" + inside + ")" if inside else self.kind


class Character:
    """The character of a light. `colours` is empty where none is said, more than one for an alternating light."""

    __slots__ = ("colours", "parts", "period_ms")

    def __init__(self, parts: tuple[Part, ...], colours: tuple[str, ...] = (), period_ms: int | None = None) -> None:
        self.parts = parts
        self.colours = colours
        self.period_ms = period_ms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Character) and character_text(self) == character_text(other)

    def __hash__(self) -> int:
        return hash(character_text(self))

    def __repr__(self) -> str:
        return "Character(" + character_text(self) + ")"

    @property
    def name(self) -> str:
        """Without colour and period: `Q(6)+LFl`."""
        return "+".join([part.text for part in self.parts])


def _values(part: Part) -> tuple[str, tuple[int, ...], str]:
    return (part.kind, part.group, part.letters)


def period_text(period_ms: int) -> str:
    """A period in seconds: `6`, `2.5`."""
    text = f"{period_ms // 1000}.{period_ms % 1000:03d}"
    while text[-1] == "0":
        text = text[:-1]
    return text[:-1] if text[-1] == "." else text


def character_text(character: Character) -> str:
    """A character as charts write it."""
    name = character.name
    colours = "".join(character.colours)
    if character.parts[0].kind == ALTERNATING:
        name += "." + colours
    elif colours:
        name += ("" if name[-1] == ")" else " ") + colours
    return name if character.period_ms is None else name + " " + period_text(character.period_ms) + "s"


def parse_character(text: str) -> Character:
    """Read a character. Raises `FieldError` with the offset among the characters that are neither dot nor space."""
    if len(text) > _LONGEST_TEXT:
        raise FieldError("longer than any character of a light", field="character")
    if not all(" " <= one <= "~" for one in text):  # what is upper case beyond ASCII differs from port to port
        raise FieldError("not printable ASCII", field="character")
    plain = _without_filling(text)
    parts = []
    at = 0
    while True:
        kind = _begins_with(plain, at, _CLASSES)
        if kind is None:
            raise FieldError("no class of a light", offset=at, field="character")
        part, at = _part_at(plain, at + len(kind), kind)
        parts.append(part)
        if plain[at : at + 1] != "+":
            break
        at += 1
    colours, at = _colours_at(plain, at)
    period_ms = _period_of(plain, at)
    character = Character(tuple(parts), colours, period_ms)
    reason = why_none(character)
    if reason is not None:
        raise FieldError(reason, field="character")
    return character


def _without_filling(text: str) -> str:
    """Without spaces, and without dots but for the one of a fraction."""
    kept = []
    for at, one in enumerate(text):
        is_point = one == "." and text[at - 1 : at].isdigit() and text[at + 1 : at + 2].isdigit()
        if one != " " and (one != "." or is_point):
            kept.append(one)
    return "".join(kept)


def _begins_with(plain: str, at: int, names: tuple[str, ...]) -> str | None:
    for name in names:
        if plain[at : at + len(name)].upper() == name.upper():
            return name
    return None


def _part_at(plain: str, at: int, kind: str) -> tuple[Part, int]:
    if plain[at : at + 1] != "(":
        return Part(kind), at
    end = plain.find(")", at)
    if end < 0:
        raise FieldError("a group without its end", offset=at, field="character")
    inside = plain[at + 1 : end].upper()
    if kind == MORSE:
        return Part(kind, letters=inside), end + 1
    counts = inside.split("+")
    if not all(0 < len(count) < 3 and _is_all(count, _DIGITS) for count in counts):
        raise FieldError("a group is counts with + between", offset=at, field="character")
    return Part(kind, tuple([int(count) for count in counts])), end + 1


def _is_all(text: str, allowed: str) -> bool:
    return all(one in allowed for one in text)


def _colours_at(plain: str, at: int) -> tuple[tuple[str, ...], int]:
    colours: list[str] = []
    while True:
        name = _begins_with(plain, at, _COLOURS_READ)
        if name is None:
            return tuple(colours), at
        colours.append(_SYNONYMS.get(name.upper(), name))
        at += len(name)


def _period_of(plain: str, at: int) -> int | None:
    if at == len(plain):
        return None
    whole, point, fraction = plain[at:-1].partition(".")
    if (
        plain[-1] not in "sS"
        or not (0 < len(whole) < 4 and _is_all(whole, _DIGITS))
        or not (_is_all(fraction, _DIGITS) and len(fraction) < 4 and bool(fraction) == bool(point))
    ):
        raise FieldError("neither a colour nor a period in seconds", offset=at, field="character")
    return int(whole) * 1000 + int((fraction + "000")[:3])


def why_none(character: Character) -> str | None:
    """Why this is no character of a light, or None."""
    parts = character.parts
    kinds = [part.kind for part in parts]
    for part in parts:
        reason = _why_no_part(part)
        if reason is not None:
            return reason
    if len(parts) > 1 and (len(parts) > 2 or len(parts[0].group) != 1 or kinds[1] != LONG_FLASHING):
        return "nothing follows another class but a long flash one group of one count"
    if not all(colour in COLOURS for colour in character.colours):
        return "a colour is none of " + ", ".join(COLOURS)
    if (kinds[0] == ALTERNATING) != (len(character.colours) > 1):
        return "an alternating light has more than one colour, all others one at most"
    if character.period_ms is not None and not (0 < character.period_ms <= LONGEST_PERIOD_MS and kinds[0] != FIXED):
        return "a period is 60 s at most, and a fixed light has none"
    return None


def _why_no_part(part: Part) -> str | None:
    if part.kind == MORSE:
        has_letters = 0 < len(part.letters) <= _MOST_LETTERS and _is_all(part.letters, _LETTERS)
        return None if has_letters else "Mo needs one to four letters"
    if part.group and part.kind not in _GROUPED:
        return part.kind + " has no group"
    if len(part.group) > 2 or (part.group and (min(part.group) < 1 or sum(part.group) > MOST_IN_GROUP)):
        return "a group has one or two counts of 20 together at most"
    return None


def checked(character: Character) -> Character:
    """The same, or `LocalProtocolError` when it is none."""
    reason = why_none(character)
    if reason is not None:
        raise LocalProtocolError(reason, field="character")
    return character
