"""The one door to gettext for everything above the protocol floor.

A text that a person reads is written `_("...")`; JSON, topics and field names stay English. The catalogue is looked up
once, on the first text, from the environment (`LANGUAGE`, `LC_ALL`, `LC_MESSAGES`, `LANG`); where there is none the
text is returned as it stands. Compiled catalogues live in `drivers/locale/<language>/LC_MESSAGES/wayside.mo`.
"""

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


def counted(one: str, many: str, number: int) -> str:
    """The form of a text that fits `number` things, in the reader's language."""
    return _catalogue().ngettext(one, many, number)
