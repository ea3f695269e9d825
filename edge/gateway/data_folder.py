"""Where a node keeps its data, by a configuration file that may be broken in every other place.

A file with a mistake in it must neither keep a box from its last good configuration, nor a technician from the gateway
that still runs.
"""

import re
import tomllib
from pathlib import Path

MAX_FILE_BYTES = 1_000_000
_HEADER = re.compile(r"\s*\[+\s*([^\]]*?)\s*\]")
_DATA = re.compile(r"\s*data\s*=")


def named_data_folder(file: Path) -> Path | None:
    """The folder that `[node] data` names, from the file's own folder on; None when it names none. Raises `OSError`."""
    with file.open("rb") as opened:
        text = opened.read(MAX_FILE_BYTES).decode("utf-8-sig", "replace")
    try:
        data = tomllib.loads(text)["node"]["data"]
    except (tomllib.TOMLDecodeError, RecursionError):
        data = _scanned(text)
    except (KeyError, TypeError):
        return None
    return file.parent / data if isinstance(data, str) and data and "\0" not in data else None


def _scanned(text: str) -> object:
    """What a line `data = "..."` below `[node]` says."""
    table = ""
    for line in text.splitlines():
        if header := _HEADER.match(line):
            table = header[1]
        elif table == "node" and _DATA.match(line):
            try:
                return tomllib.loads(line)["data"]
            except (tomllib.TOMLDecodeError, RecursionError):
                return None
    return None
