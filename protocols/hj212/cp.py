"""The field grammar inside CP (数据区): items, factors and their attributes.

HJ 212-2017 clause 6.3.4: `;` between factors, `,` between attributes of one factor, `code-Attribute=value` for a
factor's attribute and `name=value` for everything else. Devices put plain items between commas as well, and blanks
around items; both are read, and kept where they stand.

Text here may hold characters U+DC80 to U+DCFF: bytes that are not GBK (see `segment.py`).

>>> text = "DataTime=20160801085857; LA-Rtd=50.1,LA-Flag=N"
>>> items, tail = parse_items(text)
>>> items[1]
Item(name='LA', value='50.1', attribute='Rtd', before='; ')
>>> format_items(items, tail) == text
True
"""

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

_ITEM = re.compile(r"([;, \t\r\n]*+)((?:[^;, \t\r\n]++|[ \t\r\n]++(?![;, \t\r\n]|\Z))*+)")
"""Separators and blanks, then an item up to the next separator; blanks before that are no part of it. Never
backtracks: a CP of blanks alone costs one pass."""


class Item(msgspec.Struct, frozen=True):
    """One item of CP.

    name: a factor's code, or the name of a plain item. attribute: what of the factor it is; None for a plain item.
    value: None when there is no `=`. before: the separator and blanks in front of it.
    """

    name: str
    value: str | None
    attribute: str | None = None
    before: str = ";"


def parse_items(text: str) -> tuple[tuple[Item, ...], str]:
    """The items between the two `&&`, and what separators and blanks stand behind the last."""
    matches = _ITEM.findall(text)
    tail: str = matches.pop()[0]  # the last match is that at the end: an item without characters
    items = []
    for before, piece in matches:
        label, equals, value = piece.partition("=")
        name, dash, attribute = label.partition("-")
        items.append(Item(name, value if equals else None, attribute if dash else None, before))
    return tuple(items), tail


def format_items(items: Iterable[Item], tail: str = "") -> str:
    """The inverse of `parse_items`."""
    parts = []
    for item in items:
        label = item.name if item.attribute is None else f"{item.name}-{item.attribute}"
        parts.append(item.before + (label if item.value is None else f"{label}={item.value}"))
    return "".join(parts) + tail


def chained(items: Iterable[Item]) -> tuple[Item, ...]:
    """The same items with the standard's separators: a comma within a factor, a semicolon everywhere else."""
    out: list[Item] = []
    previous = None
    for item in items:
        if previous is None:
            before = ""
        elif item.attribute is not None and previous.attribute is not None and previous.name == item.name:
            before = ","
        else:
            before = ";"
        out.append(item if item.before == before else Item(item.name, item.value, item.attribute, before))
        previous = item
    return tuple(out)


def plain_item(name: str, value: str) -> Item:
    """`name=value`."""
    return Item(name, value)


def factor_items(code: str, attributes: Mapping[str, str]) -> tuple[Item, ...]:
    """`code-Attribute=value` for each attribute."""
    return chained(Item(code, value, attribute) for attribute, value in attributes.items())


def plain_value(items: Iterable[Item], name: str) -> str | None:
    """The value of the first plain item of that name, or None."""
    for item in items:
        if item.name == name and item.attribute is None:
            return item.value
    return None


def factor_groups(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    """Items that belong together: neighbours of one factor; a plain item stands alone."""
    group: list[Item] = []
    for item in items:
        if group and (item.attribute is None or group[-1].attribute is None or group[-1].name != item.name):
            yield tuple(group)
            group = []
        group.append(item)
    if group:
        yield tuple(group)
