"""Where a key lies in a token: the `pkcs11:` URI of RFC 7512, as much of it as names one key and how to get to it.

    pkcs11:token=alice;object=alice-root?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/alice.pin

    path     token serial manufacturer model slot-id    which token (section 2.3)
             object id type                             which key in it; `id` is bytes, percent-encoded
    query    module-path                                the library that speaks to it (section 2.4)
             pin-source                                 where the PIN is: a file, or `env:NAME`

Left out: `module-name`, the `library-` and the `slot-` attributes, `pin-source` with a command. `pin-value` is refused:
a PIN never stands where others can read it. An attribute that is not known is refused, for it might say which key.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import msgspec

from ota.errors import RefusedError, Rule

SCHEME = "pkcs11:"
MAX_URI = 1024
_PATH = ("token", "serial", "manufacturer", "model", "slot-id", "object", "id", "type")
_QUERY = ("module-path", "pin-source")
_PATH_VALUE = re.compile(r"(?:[A-Za-z0-9\-._~:\[\]@!$'()*+,=&]|%[0-9A-Fa-f]{2})*")
"""Section 2.3, `pk11-pchar`; the query (`pk11-qchar`) may have `/ ? |` too, and no `&`."""
_QUERY_VALUE = re.compile(r"(?:[A-Za-z0-9\-._~:\[\]@!$'()*+,=/?|]|%[0-9A-Fa-f]{2})*")


class TokenUri(msgspec.Struct, frozen=True, kw_only=True):
    """One key of one token. What is empty says nothing."""

    token: str = ""
    serial: str = ""
    manufacturer: str = ""
    model: str = ""
    slot_id: int | None = None
    object: str = ""
    id: bytes = b""
    module_path: str
    pin_source: str = ""

    @property
    def name(self) -> str:
        """Token and key, for a person."""
        return f"token {self.token or self.serial}, key {self.object or self.id.hex()}"


def parse_uri(text: str) -> TokenUri:
    """Read a URI. Raises `RefusedError`; its line never repeats what may be a PIN."""
    if not text.startswith(SCHEME) or len(text) > MAX_URI:
        raise _refused(f"a key in a token is named {SCHEME}token=...;object=...?module-path=..., as in RFC 7512")
    path, _question, query = text.removeprefix(SCHEME).partition("?")
    found = dict(_attributes(path, ";", _PATH, _PATH_VALUE))
    found |= _attributes(query, "&", _QUERY, _QUERY_VALUE)
    if found.get("type", b"private") != b"private":
        raise _refused("type: only a private key signs")
    if not (found.get("token") or found.get("serial")) or not (found.get("object") or found.get("id")):
        raise _refused("it must say which token (token= or serial=) and which key in it (object= or id=)")
    words = {name: _word(name, value) for name, value in found.items() if name != "id"}
    if not words.get("module-path", "").startswith("/"):
        raise _refused("module-path must be the absolute path of the library that speaks to the token")
    _check_pin_source(words.get("pin-source", ""))
    slot = words.get("slot-id", "")
    if slot and not (slot.isascii() and slot.isdecimal() and int(slot) < 1 << 64):
        raise _refused("slot-id is a number")
    return TokenUri(
        token=words.get("token", ""),
        serial=words.get("serial", ""),
        manufacturer=words.get("manufacturer", ""),
        model=words.get("model", ""),
        slot_id=int(slot) if slot else None,
        object=words.get("object", ""),
        id=found.get("id", b""),
        module_path=words["module-path"],
        pin_source=words.get("pin-source", ""),
    )


def _attributes(
    text: str, separator: str, known: tuple[str, ...], value_form: re.Pattern[str]
) -> Iterator[tuple[str, bytes]]:
    seen = set()
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if name == "pin-value":
            raise _refused("pin-value: a PIN does not stand in a name; say with pin-source where it is")
        if name not in known:
            raise _refused(f"it has an attribute that is not known here; known are {', '.join((*_PATH, *_QUERY))}")
        if not equals or not value_form.fullmatch(value):
            raise _refused(f"{name}: it has no value, or characters that are to be percent-encoded")
        if name in seen:
            raise _refused(f"{name} is there twice")
        seen.add(name)
        yield name, unquote_to_bytes(value)


def _word(name: str, value: bytes) -> str:
    try:
        word = value.decode()
    except UnicodeDecodeError as error:
        raise _refused(f"{name}: it is no UTF-8") from error
    if not word.isprintable():
        raise _refused(f"{name}: it has characters that cannot be printed")
    return word


def _check_pin_source(source: str) -> None:
    if source and not source.startswith(("/", "file:/", "env:")):
        raise _refused("pin-source is file:/absolute/path or env:NAME; a command is not run")


def _refused(reason: str) -> RefusedError:
    return RefusedError(Rule.KEY, "pkcs11 URI", reason)
