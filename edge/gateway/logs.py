"""The local log: one line an event, on stderr for the service manager and in a file with a ceiling.

Nothing personal is ever written: drivers hand out keyed hashes only, and text that a peer sent is sanitised here, at
the last door, whoever logged it.
"""

import logging
import logging.handlers
import sys
import time
from pathlib import Path

from drivers.text import _

MAX_FILE_BYTES = 1_000_000
KEPT_FILES = 3
MAX_LINE_CHARS = 2_000

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if code not in (0x09, 0x0A)}


class _OneLine(logging.Formatter):
    """UTC time, level, module, text; control characters of a hostile peer made visible, length capped."""

    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        self.converter = time.gmtime
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).translate(_CONTROL)
        if record.exc_info is None:
            text = text.replace("\n", "\\n")
        return text if len(text) <= MAX_LINE_CHARS or record.exc_info else text[:MAX_LINE_CHARS] + " ..."


def start_logging(directory: Path | None, level: str = "INFO") -> None:
    """Send the log to stderr, and to `directory`/wayside.log with at most `KEPT_FILES` older files beside it.

    Where there can be no such file stderr has to do, and says so.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    trouble: OSError | None = None
    if directory is not None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            handlers.append(
                logging.handlers.RotatingFileHandler(
                    directory / "wayside.log", maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
                )
            )
        except OSError as error:
            trouble = error
    for handler in handlers:
        handler.setFormatter(_OneLine())
    logging.basicConfig(level=level, handlers=handlers, force=True)
    if trouble is not None:
        logging.getLogger(__name__).warning(
            _("log: %s: %s; what is said goes to stderr only"), trouble.filename, trouble.strerror
        )
    logging.raiseExceptions = False  # a full disk must not turn each log line into a traceback
