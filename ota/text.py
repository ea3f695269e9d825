"""The door to gettext of this package, which imports none of the others: the same catalogue, looked up once."""

import gettext
from collections.abc import Callable
from functools import cache
from pathlib import Path


@cache
def _catalogue() -> gettext.NullTranslations:
    return gettext.translation("wayside", Path(__file__).parent / "locale", fallback=True)


def _translate(text: str) -> str:
    return _catalogue().gettext(text)


_: Callable[[str], str] = _translate
