"""Which characters a mark may show: IALA R1001, maritime buoyage system, region A (China among others).

MicroPython-clean. Red is to port and green to starboard when coming in from the sea. Inland marks (GB 5863) follow
rules of their own and are not here.

>>> may_show("east", parse_character("Q(3)W 10s")), may_show("east", parse_character("Q(6)+LFl W 15s"))
(True, False)
"""

from protocols.aton.character import ALTERNATING, BLUE, Character, parse_character, period_text

__all__ = ["MARKS", "may_show", "parse_character"]

_COMPOSITE = ("Fl(2+1)",)
MARKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "port": (("R",), ()),
    "starboard": (("G",), ()),
    "preferred_to_starboard": (("R",), _COMPOSITE),
    "preferred_to_port": (("G",), _COMPOSITE),
    "north": (("W",), ("VQ", "Q")),
    "east": (("W",), ("VQ(3) 5s", "Q(3) 10s")),
    "south": (("W",), ("VQ(6)+LFl 10s", "Q(6)+LFl 15s")),
    "west": (("W",), ("VQ(9) 10s", "Q(9) 15s")),
    "isolated_danger": (("W",), ("Fl(2)",)),
    "safe_water": (("W",), ("Iso", "Oc", "LFl 10s", "Mo(A)")),
    "special": (("Y",), ()),
    "emergency_wreck": ((BLUE, "Y"), ("Al",)),
}
"""Mark -> (colours, characters by name or by name and period); without characters any but a composite group."""


def may_show(mark: str, character: Character) -> bool:
    """Whether a mark of `MARKS` may show a character. One without a colour is taken to be of the mark's own."""
    colours, names = MARKS[mark]
    if character.colours not in ((), colours):
        return False
    if not names:
        return character.parts[0].kind != ALTERNATING and len(character.parts[0].group) < 2
    name = character.name
    with_period = name if character.period_ms is None else name + " " + period_text(character.period_ms) + "s"
    return name in names or with_period in names
