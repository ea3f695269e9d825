r"""The markup inside one item of a play list: where a caption or picture stands, in which font and colours.

              position  font     colour  ground  spacing  text starts  line break  pictures
    sansi     \Cxxxyyy  \fh3232  \c12    \b12    \Snn     at once      \n          \B \P \J \G \M nnn
    dianming  \Cxxxyyy  \Fs3232  \T12    \K12    \Mnn     \W           \A          \B \P \J \G nnn
    xianke    \Cxxxyyy  \Fs32    \T12    \B12    \Vnnn    \U           \N          \P nnn

Colours are 12 digits: red, green, blue, amber. Attributes come in any order before the text; a position, picture or
attribute after a text begins the next element. fenghai (丰海) writes `<caption>` or `<name.ext>`, else as sansi. The
item itself stays text, so nothing is lost; the elements are what a person or a renderer reads in it.

>>> [(one.text, one.y, one.font_color) for one in decode_markup(r"\C000096\fs3232\c255255000000open\nroad", SANSI)]
[('open\nroad', 96, '255255000000')]
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.vms.frame import DIANMING, FENGHAI, SANSI, XIANKE, Dialect


class TextElement(msgspec.Struct, frozen=True):
    """A caption. What was not given is None."""

    text: str
    x: int | None = None
    y: int | None = None
    font: str | None = None
    font_height: int | None = None
    font_width: int | None = None
    font_color: str | None = None
    back_color: str | None = None
    char_space: int | None = None


class ImageElement(msgspec.Struct, frozen=True):
    """A picture or film by its number, in fenghai by its name."""

    image_format: str
    image: str
    x: int | None = None
    y: int | None = None


Element = TextElement | ImageElement


class Markup(msgspec.Struct, frozen=True):
    """The escapes of a dialect. font_digits: 4 for height and width, 2 for both in one. start: before a text."""

    font: str
    font_digits: int
    color: str
    ground: str
    space: str
    space_digits: int
    start: str
    line_break: str
    images: Mapping[str, str]


_SANSI_MARKUP = Markup(
    r"\f", 4, r"\c", r"\b", r"\S", 2, "", r"\n",
    {r"\B": "bmp", r"\P": "png", r"\J": "jpg", r"\G": "gif", r"\M": "mpg"},
)  # fmt: skip
MARKUPS: Mapping[str, Markup] = {
    SANSI.name: _SANSI_MARKUP,
    FENGHAI.name: _SANSI_MARKUP,
    DIANMING.name: Markup(
        r"\F", 4, r"\T", r"\K", r"\M", 2, r"\W", r"\A", {r"\B": "bmp", r"\P": "png", r"\J": "jpg", r"\G": "gif"}
    ),
    XIANKE.name: Markup(r"\F", 2, r"\T", r"\B", r"\V", 3, r"\U", r"\N", {r"\P": "bmp"}),
}
POSITION = r"\C"
_ANGLED = re.compile(r"<(.*)>", re.DOTALL)
_FILE_NAME = re.compile(r"([^.]*)\.([A-Za-z0-9]+)")


class _Reader:
    """Walks through one item."""

    def __init__(self, text: str, markup: Markup) -> None:
        self.text = text
        self.markup = markup
        self.at = 0
        self.elements: list[Element] = []
        self.given: dict[str, int | str] = {}

    def read(self) -> list[Element]:
        """All elements. Raises `FieldError`."""
        while self.at < len(self.text):
            escape = self.text[self.at : self.at + 2]
            if not self._read_attribute(escape) and not self._read_image(escape):
                self._read_text(escape)
        return self.elements

    def _read_attribute(self, escape: str) -> bool:
        markup = self.markup
        match escape:
            case "\\C":
                digits = self._digits(6, "position")
                self.given |= {"x": int(digits[:3]), "y": int(digits[3:])}
            case markup.font:
                self._read_font()
            case markup.color:
                self.given["font_color"] = self._digits(12, "font_color")
            case markup.ground:
                self.given["back_color"] = self._digits(12, "back_color")
            case markup.space:
                self.given["char_space"] = int(self._digits(markup.space_digits, "char_space"))
            case _:
                return False
        return True

    def _read_font(self) -> None:
        letter = self.text[self.at + 2 : self.at + 3]
        if not (letter.isascii() and letter.isalpha()):
            raise FieldError("a letter", offset=self.at, field="font")
        self.at += 1
        digits = self._digits(self.markup.font_digits, "font")
        self.given |= {"font": letter, "font_height": int(digits[:2]), "font_width": int(digits[-2:])}

    def _digits(self, count: int, field: str) -> str:
        """The digits behind an escape; goes behind them."""
        digits = self.text[self.at + 2 : self.at + 2 + count]
        if len(digits) != count or not (digits.isascii() and digits.isdigit()):
            raise FieldError(f"{count} digits", offset=self.at, field=field)
        self.at += 2 + count
        return digits

    def _read_image(self, escape: str) -> bool:
        image_format = self.markup.images.get(escape)
        if image_format is None:
            return False
        image = self._digits(3, "image")
        self.elements.append(ImageElement(image_format, image, *self._place()))
        self.given = {}
        return True

    def _place(self) -> tuple[int | None, int | None]:
        x, y = self.given.get("x"), self.given.get("y")
        return (int(x), int(y)) if x is not None and y is not None else (None, None)

    def _read_text(self, escape: str) -> None:
        if self.markup.start and escape == self.markup.start:
            self.at += 2
        pieces = []
        while self.at < len(self.text):
            escape = self.text[self.at : self.at + 2]
            if escape == self.markup.line_break:
                pieces.append("\n")
                self.at += 2
            elif self._is_next(escape):
                break
            else:
                pieces.append(self.text[self.at])
                self.at += 1
        self.elements.append(msgspec.convert({**self.given, "text": "".join(pieces)}, TextElement))
        self.given = {}

    def _is_next(self, escape: str) -> bool:
        markup = self.markup
        attributes = {POSITION, markup.font, markup.color, markup.ground, markup.space}
        is_start = markup.start != "" and escape == markup.start
        return is_start or escape in attributes or escape in markup.images


def decode_markup(text: str, dialect: Dialect) -> list[Element]:
    """The elements of an item's media text. Raises `FieldError`."""
    if dialect is FENGHAI and (angled := _ANGLED.search(text)):
        inner = angled.group(1)
        name = _FILE_NAME.fullmatch(inner)
        return [ImageElement(name.group(2).lower(), name.group(1))] if name else [TextElement(inner)]
    return _Reader(text, MARKUPS[dialect.name]).read()


def encode_markup(elements: Sequence[Element], dialect: Dialect) -> str:
    """The media text of an item. Raises `LocalProtocolError` for what the dialect cannot say, or not in this order."""
    if dialect is FENGHAI:
        text = "".join(map(_angled_text, elements))
    else:
        text = "".join(_element_text(element, MARKUPS[dialect.name]) for element in elements)
    if decode_markup(text, dialect) != list(elements):
        raise LocalProtocolError("would be read as other elements than these", field="elements")
    return text


def _angled_text(element: Element) -> str:
    text = f"{element.image}.{element.image_format}" if isinstance(element, ImageElement) else element.text
    if ">" in text or "<" in text or (isinstance(element, TextElement) and _FILE_NAME.fullmatch(text)):
        raise LocalProtocolError("no angle brackets, and no text that looks like a file's name", field="text")
    return f"<{text}>"


def _element_text(element: Element, markup: Markup) -> str:
    parts = []
    if element.x is not None and element.y is not None:
        parts.append(POSITION + _number(element.x, 3, "x") + _number(element.y, 3, "y"))
    if isinstance(element, ImageElement):
        escape = next((one for one, name in markup.images.items() if name == element.image_format), None)
        if escape is None or len(element.image) != 3 or not (element.image.isascii() and element.image.isdigit()):
            raise LocalProtocolError("three digits, and a format of the dialect", field="image")
        return "".join((*parts, escape, element.image))
    if element.font is not None:
        parts.append(markup.font + _font_text(element, markup))
    for name, escape, color in (
        ("font_color", markup.color, element.font_color),
        ("back_color", markup.ground, element.back_color),
    ):
        if color is not None:
            if len(color) != 12 or not (color.isascii() and color.isdigit()):
                raise LocalProtocolError("12 digits", field=name)
            parts.append(escape + color)
    if element.char_space is not None:
        parts.append(markup.space + _number(element.char_space, markup.space_digits, "char_space"))
    _check_text(element.text, markup)
    return "".join((*parts, markup.start, element.text.replace("\n", markup.line_break)))


def _font_text(element: TextElement, markup: Markup) -> str:
    if element.font is None or len(element.font) != 1 or not (element.font.isascii() and element.font.isalpha()):
        raise LocalProtocolError("one letter", field="font")
    if element.font_height is None or element.font_width is None:
        raise LocalProtocolError("a height and a width", field="font")
    height, width = _number(element.font_height, 2, "font_height"), _number(element.font_width, 2, "font_width")
    if markup.font_digits == 4:
        return element.font + height + width
    if height != width:
        raise LocalProtocolError("as wide as high", field="font")
    return element.font + height


def _check_text(text: str, markup: Markup) -> None:
    """A caption must not hold what its reader takes for an escape, a line's end or another item."""
    if not text and not markup.start:
        raise LocalProtocolError("an empty caption cannot be told from none", field="text")
    if "\\" in text or "\r" in text:
        raise LocalProtocolError("no backslash and no carriage return", field="text")


def _number(value: int, digits: int, field: str) -> str:
    if not 0 <= value < 10**digits:
        raise LocalProtocolError(f"at most {digits} digits", field=field)
    return f"{value:0{digits}}"
