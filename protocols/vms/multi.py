"""MULTI, the markup of NTCIP 1203 signs (clause 6): text with tags in brackets.

    [nl] line   [np] page   [pt20o0] page shown 2 s, dark 0   [jl3] justify: 2 left 3 centre 4 right 5 full
    [fo1] font   [cf255,0,0] colour   [g1,0,0] graphic   [[ and ]] a bracket

Nothing is lost: a text is written back as it was, and tags that are not known here are kept. `pages_of` reads what a
person sees.

>>> pages_of(decode_multi("[pt30o5]ROAD[nl]CLOSED[np][pt20o]EXIT 3"))
[Page(lines=('ROAD', 'CLOSED'), on_tenth_s=30, off_tenth_s=5), Page(lines=('EXIT 3',), on_tenth_s=20, off_tenth_s=None)]
"""

import re
from collections.abc import Sequence

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError

MAX_MULTI_CHARACTERS = 1500
"""The largest that signs take is told by the sign itself; this is the ceiling of the reader."""
_PART = re.compile(r"(\[\[|\]\])|\[([^\[\]]*)\]|([^\[\]]+)")
_PAGE_TIME = re.compile(r"pt(\d{0,3})(?:o(\d{0,3}))?", re.IGNORECASE | re.ASCII)


class Tag(msgspec.Struct, frozen=True):
    """What stands between brackets."""

    text: str

    @property
    def name(self) -> str:
        """Its letters, in small ones."""
        return re.split(r"[^A-Za-z]", self.text, maxsplit=1)[0].lower()


class Bracket(msgspec.Struct, frozen=True):
    """A literal bracket."""

    character: str


Part = str | Tag | Bracket


class Page(msgspec.Struct, frozen=True):
    """What is shown at a time. None: as the sign is set."""

    lines: tuple[str, ...]
    on_tenth_s: int | None = None
    off_tenth_s: int | None = None


def decode_multi(text: str) -> tuple[Part, ...]:
    """Cut a text into its parts. Raises `FieldError` for a bracket without its other half."""
    if len(text) > MAX_MULTI_CHARACTERS:
        raise FieldError(f"more than {MAX_MULTI_CHARACTERS} characters", offset=MAX_MULTI_CHARACTERS, field="multi")
    parts: list[Part] = []
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            raise FieldError("a bracket without its other half", offset=at, field="multi")
        bracket, tag, plain = match.groups()
        parts.append(Bracket(bracket[0]) if bracket else plain if tag is None else Tag(tag))
        at = match.end()
    return tuple(parts)


def encode_multi(parts: Sequence[Part]) -> str:
    """Write the parts. Raises `LocalProtocolError` for a text or tag with a bracket inside."""
    return "".join(map(_written, parts))


def _written(part: Part) -> str:
    if isinstance(part, Bracket):
        if part.character not in {"[", "]"}:
            raise LocalProtocolError("one bracket", field="multi")
        return part.character * 2
    text = part.text if isinstance(part, Tag) else part
    if "[" in text or "]" in text:
        raise LocalProtocolError("a bracket in a text is a part of its own", field="multi")
    return f"[{text}]" if isinstance(part, Tag) else text


def pages_of(parts: Sequence[Part]) -> list[Page]:
    """The pages that the parts make; a page time holds until the next one. Raises `FieldError`."""
    pages: list[Page] = []
    lines = [""]
    on_s: int | None = None
    off_s: int | None = None
    for part in (*parts, Tag("np")):
        if isinstance(part, str):
            lines[-1] += part
        elif isinstance(part, Bracket):
            lines[-1] += part.character
        elif part.name == "nl":
            lines.append("")
        elif part.name == "np":
            pages.append(Page(tuple(lines), on_s, off_s))
            lines = [""]
        elif part.text[:2].lower() == "pt":
            on_s, off_s = _page_time(part)
    return pages


def _page_time(tag: Tag) -> tuple[int | None, int | None]:
    match = _PAGE_TIME.fullmatch(tag.text)
    if match is None:
        raise FieldError(f"{tag.text:.20} is not like pt20o0", field="multi")
    on, off = match.groups()
    return int(on) if on else None, int(off) if off else None
