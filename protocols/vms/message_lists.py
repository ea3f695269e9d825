"""Readable form of play lists, items and their elements. See `message.py`."""

from collections.abc import Mapping

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.vms.content import CurrentItem
from protocols.vms.dianming import DianMingItem
from protocols.vms.frame import Dialect
from protocols.vms.markup import Element, ImageElement, TextElement, decode_markup, encode_markup
from protocols.vms.play_list import (
    ENCODING,
    Item,
    decode_play_list,
    encode_play_list,
    items_of,
    play_list_of,
    stay_s,
)

Message = dict[str, object]


def text_of(data: bytes, field: str) -> str:
    """GBK text. Raises `FieldError`."""
    try:
        return data.decode(ENCODING)
    except UnicodeDecodeError as error:
        raise FieldError(f"no GBK at its byte {error.start}", field=field, raw=data[error.start :]) from None


def text_octets(text: str, field: str) -> bytes:
    """GBK bytes. Raises `LocalProtocolError`."""
    try:
        return text.encode(ENCODING)
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"{text[error.start]!r} is not in GBK", field=field) from None


def read_list(text: str, dialect: Dialect) -> Message:
    """`item_count` and `items` of a list. Raises `FieldError`."""
    items = items_of(decode_play_list(text), dialect)
    return {"item_count": len(items), "items": [_read_item(item, at, dialect) for at, item in enumerate(items)]}


def _read_item(item: Item, at: int, dialect: Dialect) -> Message:
    numbers: Message = {
        "stay_raw": item.stay,
        "stay_s": stay_s(item.stay, dialect),
        "in_mode": item.in_mode,
        "play_speed": item.speed,
    }
    if item.effect is not None:
        numbers |= {"effect_mode": item.effect, "out_mode": item.out_mode}
    return {**numbers, **_read_media(item.media, dialect, f"item {at}: ")}


def read_current(item: CurrentItem, dialect: Dialect) -> Message:
    """What is shown now. Raises `FieldError`."""
    numbers: Message = {
        "item_index": item.index,
        "stay_raw": item.stay,
        "stay_s": stay_s(item.stay, dialect),
        "in_mode": item.in_mode,
        "play_speed": item.speed,
    }
    if isinstance(item, DianMingItem):
        numbers |= {"effect_mode": item.effect, "out_mode": item.out_mode}
    return {**numbers, **_read_media(text_of(item.media, "media_text"), dialect)}


def _read_media(media: str, dialect: Dialect, whose: str = "") -> Message:
    text = media.rstrip("\0")
    try:
        elements = decode_markup(text, dialect)
    except FieldError as error:
        reason = f"{whose}{error.reason} at character {error.offset} of its media"
        raise FieldError(reason, field=error.field) from None
    return {"media_text": text, "elements": [_read_element(one) for one in elements]}


def _read_element(element: Element) -> Message:
    kind = "image" if isinstance(element, ImageElement) else "text"
    given = {name: value for name, value in msgspec.structs.asdict(element).items() if value is not None}
    return {"kind": kind, **given}


def write_list(items: object, dialect: Dialect) -> str:
    """The text of a list with these items. Raises `LocalProtocolError`."""
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise LocalProtocolError("a list of objects", field="items")
    return encode_play_list(play_list_of([_item_of(item, dialect) for item in items], dialect))


def _item_of(item: Mapping[str, object], dialect: Dialect) -> Item:
    return Item(
        integer_of(item, "stay_raw"),
        integer_of(item, "in_mode"),
        integer_of(item, "play_speed"),
        media_of(item, dialect),
        optional_of(item, "effect_mode"),
        optional_of(item, "out_mode"),
    )


def media_of(item: Mapping[str, object], dialect: Dialect) -> str:
    """The media text of an item, as given or written from its elements. Raises `LocalProtocolError`."""
    media = item.get("media_text")
    if isinstance(media, str):
        try:
            decode_markup(media, dialect)
        except FieldError as error:
            raise LocalProtocolError(f"{error.reason} at character {error.offset}", field="media_text") from None
        return media
    elements = item.get("elements")
    if not isinstance(elements, list):
        raise LocalProtocolError("media_text, or a list of elements", field="elements")
    return encode_markup([_element_of(element) for element in elements], dialect)


def _element_of(element: object) -> Element:
    if not isinstance(element, Mapping) or element.get("kind") not in {"text", "image"}:
        raise LocalProtocolError("an object of kind text or image", field="elements")
    given = {name: value for name, value in element.items() if name != "kind"}
    try:
        if element["kind"] == "image":
            return msgspec.convert(given, ImageElement)
        return msgspec.convert(given, TextElement)
    except msgspec.ValidationError as error:
        raise LocalProtocolError(str(error), field="elements") from None


def integer_of(message: Mapping[str, object], name: str) -> int:
    """A number of a message. Raises `LocalProtocolError`."""
    value = message.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise LocalProtocolError("a number", field=name)
    return value


def optional_of(message: Mapping[str, object], name: str) -> int | None:
    """A number of a message, or None. Raises `LocalProtocolError`."""
    return None if message.get(name) is None else integer_of(message, name)
