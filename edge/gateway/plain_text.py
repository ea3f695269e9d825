"""Names of files that are no text, written out: JSON, the wire and a terminal carry text only.

Python stands a lone surrogate for each byte of a name that is no UTF-8; no encoder takes one.
"""

from typing import Any


def as_text(text: str) -> str:
    r"""The text with what stands for such bytes written out.

    >>> as_text("n\udcff.toml")
    'n\\udcff.toml'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def as_plain(value: Any) -> Any:
    """Plain data in which every text is one."""
    match value:
        case str():
            return as_text(value)
        case list():
            return [as_plain(item) for item in value]
        case dict():
            return {as_plain(key): as_plain(item) for key, item in value.items()}
        case _:
            return value
