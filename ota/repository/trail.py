"""The audit trail of the maintainers' folder: what was done in it and what was refused, a line each, never a line less.

audit.jsonl    {"time": 1767225600, "what": "refused", "rule": "threshold", "of": "staged/image/4.rsu.json", ...}
               {"time": 1767225660, "what": "done", "changes": [{"action": "add image", ...}], "files": [...]}

It lies beside `public/`, is not served, and proves nothing: what is true is signed. What holders sign on their own
machines is not in it; the signature's file is, when it is published.
"""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ota.errors import OtaError, RefusedError, StorageError
from ota.repository.change_set import ChangeSet
from ota.repository.layout import PUBLIC, STAGED

AUDIT = "audit.jsonl"


class Trail:
    """Of one folder; a folder that is no repository has none."""

    def __init__(self, folder: Path, wall_s: Callable[[], float]) -> None:
        self._folder = folder
        self._wall_s = wall_s

    def refused(self, error: OtaError) -> None:
        """Note a refusal, with the rule that it rests on. Raises `StorageError`."""
        if isinstance(error, RefusedError):
            self._note("refused", rule=error.rule.value, of=error.what, reason=error.reason)
        else:
            self._note("trouble", reason=str(error))

    def done(self, made: ChangeSet) -> None:
        """Note what a step has changed. Raises `StorageError`."""
        self._note("done", changes=msgspec.to_builtins(made.changes), files=sorted(made.files))

    def _note(self, what: str, **facts: Any) -> None:
        file = self._folder / AUDIT
        try:
            if not any((self._folder / name).is_dir() for name in (PUBLIC, STAGED)):
                return
            line = json.dumps({"time": int(self._wall_s()), "what": what, **facts}).encode()
            descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # by a power cut
                line = b"\n" * is_torn + line + b"\n"
                if os.write(descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageError(str(file), error.strerror or str(error)) from error
