"""Files of a stick, which is anybody's: only a true one is read. No link leads out, no pipe or device holds us up."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from ota.errors import RefusedError, Rule


def open_file(path: Path) -> BinaryIO:
    """For reading. Raises `OSError`, and `RefusedError` (network) for what is there and is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RefusedError(Rule.NETWORK, str(path), "it is a link, not a file") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RefusedError(Rule.NETWORK, str(path), "it is no file")
    return os.fdopen(descriptor, "rb")
