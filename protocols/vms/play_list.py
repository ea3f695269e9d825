r"""Play lists: which items a sign shows, for how long, and how they come and go.

              section     count      item                                        stay in
    sansi     [playlist]  item_no    item0=stay,in,speed,media                   1/100 s
    fenghai   [playlist]  item_no    as sansi                                    1/100 s
    dianming  [PLAYLIST]  ITEM_NO    ITEM000=stay,in,effect,out,speed,media      1/10 s
    xianke    [LIST]      ItemCount  Item00=stay,in,effect,out,speed,media       s

INI-like text in GBK, lines end with CR LF, a bare LF inside a line belongs to the caption. Names are compared without
case. Only the leading numbers are split at commas. A sansi list may hold windows: the first has the plain names,
`windows1_item_no` and so on are those of the others.

`PlayList` keeps every line, so that a list is written back as it was; `items_of` reads it.

>>> items_of(decode_play_list("[playlist]\r\nitem_no=1\r\nitem0=300,1,0,\\B008\r\n"), SANSI)
[Item(stay=300, in_mode=1, speed=0, media='\\B008', effect=None, out_mode=None)]
"""

import re
from collections.abc import Sequence

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.vms.frame import DIANMING, FENGHAI, SANSI, XIANKE, Dialect

ENCODING = "gbk"
LINE_END = "\r\n"
MAX_ITEMS = 1000
"""More than any sign keeps; a count above it is an error, not a list of errors."""


class ListDialect(msgspec.Struct, frozen=True):
    """How a vendor writes lists. item_digits: of an item's number. bounds: least and most of stay, in and speed."""

    section: str
    count_key: str
    item_key: str
    item_digits: int
    count_digits: int
    stay_per_s: int
    has_effects: bool
    bounds: tuple[tuple[int, int], ...] | None = None


_SANSI_LIST = ListDialect("playlist", "item_no", "item", 1, 1, 100, False, ((2, 30000), (0, 30), (0, 49)))
LISTS = {
    SANSI.name: _SANSI_LIST,
    FENGHAI.name: _SANSI_LIST,
    DIANMING.name: ListDialect("PLAYLIST", "ITEM_NO", "ITEM", 3, 3, 10, True),
    XIANKE.name: ListDialect("LIST", "ItemCount", "Item", 2, 1, 1, True),
}
_DIANMING_BOUNDS = ((2, 30000), (0, 30), (0, 15), (0, 15), (0, 49))
"""What a dianming sender keeps to; a reader does not refuse others."""


class PlayList(msgspec.Struct, frozen=True):
    """The lines of a list, without their ends. The last is empty where the text ends with CR LF."""

    lines: tuple[str, ...]


class Item(msgspec.Struct, frozen=True):
    """One item. stay: as written. effect, out_mode: of the vendors with six fields."""

    stay: int
    in_mode: int
    speed: int
    media: str
    effect: int | None = None
    out_mode: int | None = None


def decode_play_list(text: str) -> PlayList:
    """Cut a list's text into lines. Raises nothing."""
    return PlayList(tuple(text.split(LINE_END)))


def encode_play_list(play_list: PlayList) -> str:
    """The text of a list."""
    return LINE_END.join(play_list.lines)


def is_play_list(text: str, dialect: Dialect) -> bool:
    """Whether a text begins as a list of this dialect does."""
    head = f"[{LISTS[dialect.name].section}]"
    return text[: len(head)].lower() == head.lower()


def stay_s(stay: int, dialect: Dialect) -> float:
    """How long an item stays."""
    return stay / LISTS[dialect.name].stay_per_s


def items_of(play_list: PlayList, dialect: Dialect) -> list[Item]:
    """The items that the list shows, in rising number, of its first window. Raises `FieldError`."""
    rules = LISTS[dialect.name]
    values = _values_of(play_list, rules)
    prefix = _first_window(values, rules)
    count_key = prefix + rules.count_key.lower()
    if count_key not in values:
        raise FieldError(f"no {rules.count_key}", field=rules.count_key)
    count = _integer(values[count_key], rules.count_key)
    name = re.compile(re.escape(prefix + rules.item_key.lower()) + r"(\d+)", re.ASCII)
    found: dict[int, str] = {}
    for key, value in values.items():
        match = name.fullmatch(key)
        if match and len(match.group(1)) <= 6:
            found.setdefault(int(match.group(1)), value)
    if not count <= len(found) or count > MAX_ITEMS:
        raise FieldError(f"{len(found)} items where {count} are due", field=rules.count_key)
    return [_read_item(found[number], rules, f"{rules.item_key}{number}") for number in sorted(found)[:count]]


def _values_of(play_list: PlayList, rules: ListDialect) -> dict[str, str]:
    """Key and value of each line of the section, the first where a key is there twice."""
    values: dict[str, str] = {}
    is_inside = was_inside = False
    for line in play_list.lines:
        name = line.strip()
        if name.startswith("[") and name.endswith("]"):
            is_inside = name[1:-1].lower() == rules.section.lower()
            was_inside = was_inside or is_inside
        elif is_inside:
            key, equals, value = line.partition("=")
            if equals:
                values.setdefault(key.strip().lower(), value)
    if not was_inside:
        raise FieldError(f"no [{rules.section}]", offset=0, field="section")
    return values


def _first_window(values: dict[str, str], rules: ListDialect) -> str:
    """What stands in front of the names of the first window that has items."""
    if rules.count_key.lower() in values:
        return ""
    windows = (re.fullmatch(r"(windows\d{1,3}_)item_no", key, re.ASCII) for key in values)
    prefixes = sorted((match.group(1) for match in windows if match), key=lambda prefix: (len(prefix), prefix))
    return prefixes[0] if prefixes and rules is _SANSI_LIST else ""


def _read_item(value: str, rules: ListDialect, key: str) -> Item:
    numbers = 5 if rules.has_effects else 3
    parts = value.split(",", numbers)
    if len(parts) <= numbers:
        raise FieldError(f"{numbers} numbers and the media", field=key)
    values = [_integer(part, key) for part in parts[:numbers]]
    for number, (least, most) in zip(values, rules.bounds or (), strict=False):
        if not least <= number <= most:
            raise FieldError(f"{number} is not {least} to {most}", field=key)
    if rules.has_effects:
        return Item(values[0], values[1], values[4], parts[-1], values[2], values[3])
    return Item(values[0], values[1], values[2], parts[-1])


def _integer(text: str, field: str) -> int:
    plain = text.strip()
    if not (plain.isascii() and plain.isdigit()) or len(plain) > 9:
        raise FieldError("digits", field=field)
    return int(plain)


def play_list_of(items: Sequence[Item], dialect: Dialect) -> PlayList:
    """A list as a sender writes it. Raises `LocalProtocolError` for what the dialect does not allow."""
    rules = LISTS[dialect.name]
    if not 0 < len(items) <= MAX_ITEMS:
        raise LocalProtocolError(f"1 to {MAX_ITEMS} items", field="items")
    count = f"{rules.count_key}={len(items):0{rules.count_digits}}"
    lines = [f"[{rules.section}]", count]
    for number, item in enumerate(items):
        lines.append(f"{rules.item_key}{number:0{rules.item_digits}}={_item_text(item, rules, dialect)}")
    return PlayList((*lines, ""))


def _item_text(item: Item, rules: ListDialect, dialect: Dialect) -> str:
    numbers = [item.stay, item.in_mode, item.speed]
    if rules.has_effects:
        if item.effect is None or item.out_mode is None:
            raise LocalProtocolError("this dialect has them", field="effect_mode")
        numbers[2:2] = [item.effect, item.out_mode]
    elif item.effect is not None or item.out_mode is not None:
        raise LocalProtocolError("this dialect has none", field="effect_mode")
    bounds = _DIANMING_BOUNDS if dialect is DIANMING else rules.bounds or ((0, 10**9 - 1),) * len(numbers)
    for number, (least, most) in zip(numbers, bounds, strict=True):
        if not least <= number <= most:
            raise LocalProtocolError(f"{number} is not {least} to {most}", field="items")
    if LINE_END in item.media or item.media.endswith("\r"):
        raise LocalProtocolError("no end of line", field="media_text")
    return ",".join((*map(str, numbers), item.media))
