"""Which configuration runs, which one ran well before, and which one is on trial: kept over restarts and power cuts.

Two hands may change a configuration: a person at the box edits the file, the control side pushes a signed document. The
later hand wins: a pushed document holds until the file is edited again. A changed configuration is *on trial* until the
uplink has been reached with it; a trial that does not get there, or that a restart cuts short, is rolled back to the
last one that did. The last three good ones are kept, and what each of them hashes to: one that the disk has damaged is
passed over for the one before, also where what is left of it still reads as a configuration.
"""

import contextlib
import hashlib
import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from drivers.text import _
from edge.gateway.config import ConfigError, NodeConfigFile, parse_config
from edge.gateway.durable import decode_kept, encode_kept, replace_file
from edge.gateway.said import SaidOnce

log = logging.getLogger(__name__)

KEPT_GOOD = 3
MAX_DOCUMENT_BYTES = 1_000_000


class HistoryError(Exception):
    """The history cannot be read or written."""


class HistoryState(msgspec.Struct, frozen=True, kw_only=True):
    """What the box remembers of its configurations."""

    version: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Of the newest pushed configuration that was taken up; only rises."""
    file_sha256: str = ""
    """Of the file as it was when a pushed document took its place."""
    is_pushed: bool = False
    """Whether a pushed document holds."""
    trial_sha256: str = ""
    """Of the document on trial; empty when none is."""
    outcome: Literal["running", "refused", "rolled-back"] = "running"
    """What became of the newest change."""
    reason: str | None = None
    good_sha256: tuple[str, ...] = ()
    """Of the documents in `good-N.toml`, in no order, so that power may fail while they move up; empty where a version
    that knew no hashes has kept them."""


class ConfigHistory:
    """The folder `<data>/config`."""

    def __init__(self, directory: Path, file: Path) -> None:
        self._directory = directory
        self._file = file
        self._damaged = SaidOnce()
        self.state = HistoryState()

    def open(self) -> bytes:
        """Decide which document to start with and return it. Raises `HistoryError` when there is none at all."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise HistoryError(f"{self._directory}: {error.strerror}") from error
        with contextlib.suppress(OSError):
            self.state = _state_in((self._directory / "state.json").read_bytes())
        if self.state.trial_sha256:
            # A disk that cannot take note of it, a full one, is no reason to stay down: the next start notes it again.
            with contextlib.suppress(HistoryError):
                self.roll_back("it was cut short by a restart before the uplink was reached")
        file = self.read_file()
        if self.state.is_pushed and file is not None and sha256_of(file) == self.state.file_sha256:
            pushed = self._newest()
            if pushed is not None:
                return pushed
        if file is None:
            good = self._newest()
            if good is None:
                raise HistoryError(f"{self._file}: cannot be read, and no earlier configuration is kept")
            return good
        return file

    def read_file(self) -> bytes | None:
        """The document in the file; None when it cannot be read."""
        try:
            with self._file.open("rb") as file:
                return file.read(MAX_DOCUMENT_BYTES + 1)
        except OSError:
            return None

    def good(self, age: int = 1) -> bytes | None:
        """The newest document that ran well, or with `age` 2 and 3 the ones before it; None if it is damaged."""
        path = self._path_of(age)
        try:
            document = path.read_bytes()
        except OSError:
            return None
        if self.state.good_sha256 and sha256_of(document) not in self.state.good_sha256:
            if self._damaged.is_news(path.name):
                log.warning(_("configuration: %s is damaged and is passed over"), path)
            return None
        return document

    def _kept(self) -> list[bytes]:
        """Every good document that is whole, the newest first."""
        return [document for age in range(1, KEPT_GOOD + 1) if (document := self.good(age)) is not None]

    def _newest(self) -> bytes | None:
        return next(iter(self._kept()), None)

    def _path_of(self, age: int) -> Path:
        return self._directory / f"good-{age}.toml"

    def newest_good(self) -> tuple[bytes, NodeConfigFile] | None:
        """The newest good document that the disk has not damaged, and what it says."""
        for document in self._kept():
            with contextlib.suppress(ConfigError):
                return document, parse_config(document, self._file)
        return None

    def take_up(self, document: bytes, *, version: int | None, is_on_trial: bool) -> None:
        """Note that a document is about to be put to work; `version` if it was pushed, None if the file was edited."""
        file = self.read_file()
        self._save(
            version=self.state.version if version is None else version,
            is_pushed=version is not None,
            file_sha256=sha256_of(file) if file is not None else "",
            trial_sha256=sha256_of(document) if is_on_trial else "",
            outcome="running",
            reason=None,
        )

    def put_back(self, state: HistoryState, reason: str, *, version: int | None) -> None:
        """A document that was taken up could not be put to work: what `state` says holds again, and why is kept."""
        self.state = state
        self.refuse(reason, version=version)

    def confirm(self, document: bytes) -> None:
        """The document has proven itself: the uplink was reached with it. It becomes the newest good one."""
        if self.good() != document or not self.state.good_sha256:
            kept = [document, *(good for good in self._kept() if good != document)]
            self._save(good_sha256=tuple(map(sha256_of, kept)))
            for age in range(min(len(kept), KEPT_GOOD), 0, -1):
                _write_whole(self._path_of(age), kept[age - 1])
        if self.state.trial_sha256:
            self._save(trial_sha256="")

    def roll_back(self, reason: str) -> bytes | None:
        """Give the trial up; return the last good document.

        The file, if it was what changed, stays as its editor left it, and is not taken up until it is edited again.
        """
        file = self.read_file()
        self._save(
            trial_sha256="",
            is_pushed=True,
            file_sha256=sha256_of(file) if file is not None else "",
            outcome="rolled-back",
            reason=reason,
        )
        return self._newest()

    def refuse(self, reason: str, *, version: int | None) -> None:
        """Note that a change was refused and nothing was put to work."""
        self._save(version=self.state.version if version is None else version, outcome="refused", reason=reason)

    def pass_over(self, reason: str) -> None:
        """What holds is for a newer release, and something else runs.

        That is written down with the next change, once what runs has proven itself: should the newer release come back
        before, it finds all as it was.
        """
        self.state = msgspec.structs.replace(self.state, outcome="refused", reason=reason)

    def accept_equal(self, *, version: int) -> None:
        """Note that a pushed document says what runs already: only its version is new."""
        self._save(version=version, outcome="running", reason=None)

    def _save(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
        _write_whole(self._directory / "state.json", encode_kept(self.state))


def _state_in(data: bytes) -> HistoryState:
    """What the file says; of an outcome that only a newer release knows, that it is so, and all the rest."""
    state = decode_kept(data, HistoryState)
    if state is not None:
        return state
    said = decode_kept(data, dict[str, Any], needs_checksum=True) or {}
    other = {"outcome": "refused", "reason": f"outcome of a newer release: {said.get('outcome')}"}
    with contextlib.suppress(msgspec.ValidationError):
        return msgspec.convert(said | other, HistoryState) if said else HistoryState()
    return HistoryState()


def sha256_of(document: bytes) -> str:
    """What tells one document from another."""
    return hashlib.sha256(document).hexdigest()


def _write_whole(path: Path, data: bytes) -> None:
    try:
        replace_file(path, data)
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror}") from error
