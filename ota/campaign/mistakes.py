"""What is wrong with a file that a person wrote, for people who do not read patterns."""

import re
from typing import get_args

import msgspec

from ota.errors import printable

_PATTERN = re.compile(r"Expected `str` matching regex (['\"])(?P<pattern>.*)\1(?P<where> - at .*)?", re.DOTALL)


def pattern_of(kind: object) -> str:
    """Of an annotated text."""
    return next(str(part.pattern) for part in get_args(kind) if isinstance(part, msgspec.Meta) and part.pattern)


class Words:
    """What is meant by each pattern."""

    def __init__(self, meant: dict[object, str]) -> None:
        """meant: words by annotated type."""
        self._meant = {pattern_of(kind): words for kind, words in meant.items()}

    def of(self, error: Exception) -> str:
        """In one line, with the place where msgspec knows it."""
        text = str(error)
        found = _PATTERN.fullmatch(text)
        if found is not None:
            pattern = found["pattern"].replace("\\\\", "\\")  # as `repr` writes it
            if pattern in self._meant:
                text = f"must be {self._meant[pattern]}{found['where'] or ''}"
        return printable(text)
