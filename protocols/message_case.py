"""What a case holds that is to be read: its kind, its bytes or text, and no option that nobody knows.

Every protocol's `decode_message` begins with it. `message_fields.py` is its counterpart, for what is to be written.
"""

from collections.abc import Collection, Mapping

from protocols.core.errors import LocalProtocolError, OptionError
from protocols.message_fields import octets_of


def one_of(
    name: object, known: Collection[str], field: str, error: type[LocalProtocolError] = LocalProtocolError
) -> str:
    """A name that is among those known. Raises `error`."""
    if not isinstance(name, str) or name not in known:
        raise error("must be one of " + ", ".join(known), field=field)
    return name


def check_options(case: Mapping[str, object], known: Collection[str], owner: str = "this protocol") -> None:
    """Raise `OptionError` for a key that is not among those that its owner knows."""
    for name in case:
        if name not in known:
            raise OptionError(f"{owner} has no option {name!r:.40}", field=name)


def text_in(case: Mapping[str, object], name: str, what: str) -> str:
    """The text under a name. Raises `OptionError`, which says what is wanted."""
    value = case.get(name)
    if not isinstance(value, str):
        raise OptionError(what, field=name)
    return value


def kind_and_octets(
    case: Mapping[str, object], kinds: Collection[str], *options: str, max_chars: int | None = None
) -> tuple[str, bytes]:
    """Kind and bytes of a case of `kind`, `hex` and perhaps options. Raises `OptionError`; `FrameError` for the hex."""
    check_options(case, ("kind", "hex", *options))
    kind = one_of(case.get("kind"), kinds, "kind", OptionError)
    return kind, octets_of(text_in(case, "hex", "bytes as hex digits"), max_chars=max_chars)


def check_same(given: Mapping[str, object], read: Mapping[str, object], *beside: str) -> None:
    """Raise `LocalProtocolError` unless all that is given is what was read; hex digits may be of either case.

    beside: keys that are not compared.
    """
    for key, value in given.items():
        if key in beside:
            continue
        if key not in read:
            raise LocalProtocolError("there is no such key here", field=str(key))
        _check_value(value, read[key], str(key))


def _check_value(given: object, read: object, key: str) -> None:
    match given, read:
        case Mapping(), Mapping():
            check_same(given, read)
        case list(), list() if len(given) == len(read):
            for one, other in zip(given, read, strict=True):
                _check_value(one, other, key)
        case str(), str() if given.lower() == read.lower():
            pass
        case _:
            if isinstance(given, bool) is not isinstance(read, bool) or given != read:
                raise LocalProtocolError("does not fit the rest", field=key)
