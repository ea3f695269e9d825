"""The keys of a message, checked: what `encode_message` reads. Raises `LocalProtocolError`.

>>> hex_of({"password": "03E8"}, "password", 2).hex()
'03e8'
"""

from collections.abc import Mapping

from protocols.core.errors import LocalProtocolError

Message = Mapping[str, object]
_MOST_OF_FLOAT = 1 << 53


def text_of(message: Message, key: str) -> str:
    """Text."""
    value = message.get(key)
    if not isinstance(value, str):
        raise LocalProtocolError("text is wanted", field=key)
    return value


def ascii_of(text: str, key: str) -> bytes:
    """The characters of an ASCII body."""
    try:
        return text.encode("ascii")
    except UnicodeEncodeError:
        raise LocalProtocolError("a character beyond ASCII", field=key) from None


def digits_of(message: Message, key: str, count: int) -> str:
    """`count` characters of a time, digits as a rule, upper-case hex as devices send it."""
    text = text_of(message, key)
    if len(text) != count or not all(character in "0123456789ABCDEF" for character in text):
        raise LocalProtocolError(f"{count} digits are wanted", field=key)
    return text


def integer_of(message: Message, key: str) -> int:
    """A whole number that is not negative."""
    value = message.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise LocalProtocolError("a whole number is wanted", field=key)
    return value


def hex_of(message: Message, key: str, size: int | None = None) -> bytes:
    """Bytes as hex characters."""
    text = text_of(message, key)
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise LocalProtocolError("pairs of hex digits are wanted", field=key) from None
    if 2 * len(data) != len(text) or (size is not None and len(data) != size):
        raise LocalProtocolError("pairs of hex digits are wanted, as many as there are bytes", field=key)
    return data


def leader_of(text: object) -> bytes:
    """What names an element or parameter in HEX: a byte, or FF and another."""
    leader = hex_of({"id": text}, "id")
    if len(leader) != (2 if leader[:1] == b"\xff" else 1):
        raise LocalProtocolError("two hex digits, or FF and two more", field="id")
    return leader


def list_of(message: Message, key: str) -> list[object]:
    """A list; empty when it is not there."""
    value = message.get(key, [])
    if not isinstance(value, list):
        raise LocalProtocolError("a list is wanted", field=key)
    return value


def objects_of(message: Message, key: str) -> list[Message]:
    """A list of objects."""
    items = list_of(message, key)
    if not all(isinstance(item, dict) for item in items):
        raise LocalProtocolError("a list of objects is wanted", field=key)
    return [item for item in items if isinstance(item, dict)]


def number_of(value: object, key: str) -> float | None:
    """A number or null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e15 < value < 1e15:
        raise LocalProtocolError("a number or null is wanted", field=key)
    return value


def mantissa_of(value: object, decimals: int, key: str) -> int | None:
    """A number in units of its last decimal. One that needs more digits than a float has is refused."""
    number = number_of(value, key)
    if number is None:
        return None
    mantissa: int = round(number * 10**decimals)
    if not isinstance(value, int) and abs(mantissa) > _MOST_OF_FLOAT:
        raise LocalProtocolError("more than 15 digits", field=key)
    return mantissa


def refuse_others(message: Message, known: frozenset[str]) -> None:
    """Raise for a key that this message does not have."""
    for key in message:
        if key not in known:
            raise LocalProtocolError("this message has no such key", field=key)
