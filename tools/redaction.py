"""What a support bundle must not hold, and how it is kept out.

Three doors, one behind the other: of a configuration only what its types know is told, and key files by their names
alone; what looks like a secret or a person is taken out of every text; and last, what stands in the box's own secret
files is looked for everywhere, in whatever form.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

REDACTED = "<redacted>"
MIN_SECRET_CHARS = 8
MAX_SECRET_FILE_BYTES = 65_536
MAX_DEPTH = 20

_FILE_KEYS = {"ca", "cert", "key", "hash_key"}
"""Keys of a configuration whose values are names of files."""
_SECRET_KEY = re.compile(
    r"pass|secret|token|credential|private|api_?key|auth|^pin$|^psk$|^pwd$|^key$|^hash_key$", re.IGNORECASE
)
_PERSONAL_KEY = re.compile(r"card|uid$|plate|licen[cs]e|holder|phone|^vin$", re.IGNORECASE)
_PLACE_KEY = re.compile(r"^(lat|lon|latitude|longitude)(_|$)|position", re.IGNORECASE)
"""Where a vehicle is says where somebody is; here numbers count too."""
_TEXTS = (
    re.compile(r"-----BEGIN [A-Z0-9 ]*-----.*?(-----END [A-Z0-9 ]*-----|\Z)", re.DOTALL),
    re.compile(r"(?<=://)[^/\s@\"']+(?=@)"),  # name and password in a URL
    re.compile(r"(?i)(?<=bearer )\S+"),
    re.compile(
        r"(?i)\b(pass(word|phrase|wd)?|secret|token|api_?key|psk|pwd)\b[\"']?\s*[:=]\s*(\"[^\"]*\"|'[^']*'|\S+)"
    ),
    re.compile(r"\bk[0-9a-f]{1,16}:[0-9a-f]{8,}\b"),  # a person's keyed hash
)


class Redactor:
    """Takes secrets out of texts. `secrets` are the contents of the box's secret files."""

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        words = {word for secret in secrets for word in _forms(secret) if len(word) >= MIN_SECRET_CHARS}
        self._words = sorted(words, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without what must not leave."""
        for pattern in _TEXTS:
            text = pattern.sub(REDACTED, text)
        return self.known_secrets(text)

    def known_secrets(self, text: str) -> str:
        """The text without what stands in the secret files: the last door, which breaks no JSON."""
        for word in self._words:
            text = text.replace(word, REDACTED)
        return text

    def plain(self, value: Any, *, depth: int = 0) -> Any:
        """Plain data without what must not leave: also by the names of keys."""
        if depth > MAX_DEPTH:
            return REDACTED
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): REDACTED if _is_hidden(str(key), inner) else self.plain(inner, depth=depth + 1)
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.plain(inner, depth=depth + 1) for inner in value]
        return self.text(value) if isinstance(value, str) else value

    def configuration(self, tables: Mapping[str, Any], folder: Path, *, is_valid: bool) -> dict[str, Any]:
        """A parsed configuration. Of one that the types refuse, texts stay here: nobody knows what they are."""
        return {self.text(key): self._table(value, key, folder, is_valid=is_valid) for key, value in tables.items()}

    def _table(self, value: Any, key: str, folder: Path, *, is_valid: bool) -> Any:
        if isinstance(value, dict):
            return {self.text(k): self._table(v, k, folder, is_valid=is_valid) for k, v in value.items()}
        if isinstance(value, list):
            return [self._table(v, key, folder, is_valid=is_valid) for v in value]
        if not isinstance(value, str):
            return value if isinstance(value, bool | int | float) else str(value)
        if key in _FILE_KEYS:
            return self.file_reference(folder, value)
        return self.text(value) if is_valid and not _SECRET_KEY.search(key) else REDACTED

    def file_reference(self, folder: Path, name: str) -> Any:
        """A file by its name, with what `ls` would say; never what is in it, nor a key pasted in its name's place."""
        path = folder / name
        try:
            found = path.stat()
        except (OSError, ValueError):
            is_path = re.fullmatch(r"[\w./-]{1,200}\.(pem|crt|key|pub)", name) is not None
            return {"file": self.text(name) if is_path else REDACTED, "exists": False}
        return {
            "file": self.text(name),
            "exists": True,
            "mode": f"{found.st_mode & 0o7777:04o}",
            "bytes": found.st_size,
        }


def _is_hidden(key: str, value: object) -> bool:
    if isinstance(value, str):
        return any(pattern.search(key) for pattern in (_SECRET_KEY, _PERSONAL_KEY, _PLACE_KEY))
    return isinstance(value, int | float) and _PLACE_KEY.search(key) is not None


def secret_files(tables: Any, folder: Path) -> Iterable[Path]:
    """The files that a parsed configuration keeps secrets in, by the names of its keys."""
    if isinstance(tables, dict):
        for key, value in tables.items():
            if key in ("key", "hash_key") and isinstance(value, str):
                yield folder / value
            else:
                yield from secret_files(value, folder)
    elif isinstance(tables, list):
        for value in tables:
            yield from secret_files(value, folder)


def _forms(secret: bytes) -> Iterable[str]:
    """A secret as it could appear: whole, line by line, in hex and in base64."""
    body = secret.strip()
    yield body.decode("latin-1")
    yield body.decode("utf-8", "replace")
    for line in body.splitlines():
        if not line.startswith(b"-----"):
            yield line.strip().decode("latin-1")
    for raw in (secret, body):
        yield raw.hex()
        yield raw.hex().upper()
        for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
            yield encoded.decode().rstrip("=")
    quoted = msgspec.json.encode(body.decode("latin-1")).decode()[1:-1]
    yield quoted
