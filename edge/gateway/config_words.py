"""How a mistake in a configuration is put into words: what stands there, what could stand there, what was meant."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, get_args

import msgspec

from drivers.text import _
from edge.gateway.config_tables import Listener, Operation
from edge.uplinks.config import BrokerUrl

MAX_SHOWN_CHARS = 80


def _pattern_of(kind: Any) -> str | None:
    return next((part.pattern for part in get_args(kind) if isinstance(part, msgspec.Meta)), None)


_PATTERNS = {
    _pattern_of(BrokerUrl): _("mqtts://HOST:PORT"),
    _pattern_of(Operation): _("an operation such as modbus.write, vms.* or *"),
    _pattern_of(Listener): _("HOST:PORT such as 127.0.0.1:9464"),
}
"""What a pattern means, for those who do not read patterns."""
_NAME = re.compile(re.escape("^[a-z0-9][a-z0-9_-]{0,") + r"([0-9]+)\}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that looks most like `word`; None when there is none to choose from."""
    import difflib  # only ever needed for a wrong configuration

    return max(
        known, key=lambda other: difflib.SequenceMatcher(None, word.lower(), other.lower()).ratio(), default=None
    )


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What to say of a key that does not belong where it stands."""
    known = list(known)
    return _('is not a known key; the nearest known one is "{nearest}" (known here: {known})').format(
        nearest=nearest(key, known), known=", ".join(known)
    )


def unknown_name(name: str, known: Iterable[str]) -> str:
    """What to say of a name that refers to nothing; `known` must not be empty."""
    known = list(known)
    return _('is "{name}", which does not exist; the nearest is "{nearest}" (there are: {known})').format(
        name=name, nearest=nearest(name, known), known=", ".join(known)
    )


def shown(value: object) -> str:
    """A value as the file writes it, cut short; a key that was pasted in place of its file's name is never repeated."""
    match value:
        case dict():
            return _("a table")
        case list():
            return _("a list")
        case bool():
            return "true" if value else "false"
        case str() if "PRIVATE KEY" in value:
            return _("a private key itself")
        case str():
            text = json.dumps(value, ensure_ascii=False)
            return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 4] + '..."'
        case _:
            return str(value)[:MAX_SHOWN_CHARS]


def described(wanted: Any) -> str:
    """A type in words: what would be right."""
    return _in_words(msgspec.inspect.type_info(wanted))


def _in_words(info: Any) -> str:
    words = _WORDS.get(type(info))
    return words(info) if words is not None else _("something else")


def _number(info: msgspec.inspect.IntType | msgspec.inspect.FloatType) -> str:
    kind = _("a whole number") if isinstance(info, msgspec.inspect.IntType) else _("a number")
    if info.ge is not None and info.le is not None:
        return _("{kind} from {least} to {most}").format(kind=kind, least=plain(info.ge), most=plain(info.le))
    bounds = [
        text.format(bound)
        for text, bound in (
            (_("at least {}"), plain(info.ge)),
            (_("above {}"), plain(info.gt)),
            (_("at most {}"), plain(info.le)),
            (_("below {}"), plain(info.lt)),
        )
        if bound is not None
    ]
    return ", ".join([kind, *bounds])


def _text(info: msgspec.inspect.StrType) -> str:
    name = _NAME.match(info.pattern or "")
    if name is not None:
        text = _("a name: a-z, 0-9, _ and -, at most {most}, a letter or digit first")
        return text.format(most=int(name[1]) + 1)
    if info.pattern is not None:
        return _PATTERNS.get(info.pattern) or _("a text that matches {pattern}").format(pattern=info.pattern)
    if info.max_length is not None:
        return _("a text of {least} to {most} characters").format(least=info.min_length or 0, most=info.max_length)
    return _("a text")


def _list(info: msgspec.inspect.ListType | msgspec.inspect.VarTupleType) -> str:
    text = _("a list of at least {least}, each {item}") if info.min_length else _("a list, each {item}")
    return text.format(least=info.min_length, item=_in_words(info.item_type))


def _choice(info: msgspec.inspect.LiteralType) -> str:
    return _("one of {values}").format(values=", ".join(map(shown, info.values)))


def _either(info: msgspec.inspect.UnionType) -> str:
    kinds = (kind for kind in info.types if not isinstance(kind, msgspec.inspect.NoneType))
    return _(" or ").join(map(_in_words, kinds))


_WORDS: dict[type, Callable[[Any], str]] = {
    msgspec.inspect.Metadata: lambda info: _in_words(info.type),
    msgspec.inspect.BoolType: lambda _info: _("true or false"),
    msgspec.inspect.IntType: _number,
    msgspec.inspect.FloatType: _number,
    msgspec.inspect.StrType: _text,
    msgspec.inspect.LiteralType: _choice,
    msgspec.inspect.UnionType: _either,
    msgspec.inspect.ListType: _list,
    msgspec.inspect.VarTupleType: _list,
    msgspec.inspect.StructType: lambda _info: _("a table"),
    msgspec.inspect.DictType: lambda _info: _("a table"),
}


def plain(number: float | None) -> float | None:
    """A bound as people write it: 1000000 and not 1000000.0, whichever of two equal types Python has kept."""
    return int(number) if number is not None and float(number).is_integer() else number
