"""Another configuration, from whichever hand: a signed push, an edited file or SIGHUP. All take the same path.

read -> the same as what runs? nothing changes -> valid? -> put to work on trial -> the uplink is reached: it is good;
it is not: back to the last good one. `reported` tells the control side how it went. See `edge.gateway.trial` and
`edge.gateway.config_history`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from drivers.clock import Clock
from drivers.text import _
from edge.gateway.config import (
    ConfigError,
    ConfigProblem,
    NodeConfigFile,
    load_config,
    parse_config,
    problems_around,
)
from edge.gateway.config_history import ConfigHistory, HistoryError, HistoryState, sha256_of
from edge.gateway.fetch import PAUSES_S, FetchError, fetch_document
from edge.gateway.inbox import Inbox
from edge.gateway.plain_text import as_text
from edge.gateway.said import SaidOnce
from edge.gateway.trial import Trial, Verdict
from protocols.core.errors import ProtocolError
from protocols.wayside.envelope import desired_of, parse_envelope

log = logging.getLogger(__name__)

LOOK_PERIOD_S = 1.0
FILE_PERIOD_S = 5.0
PUSH_OPERATION = "config.push"
"""What an operator's `ops` must list for a pushed configuration to be taken up."""


class Applier(Protocol):
    """Who puts a configuration to work."""

    async def apply(self, config: NodeConfigFile) -> None:
        """Go over to it. Raises `ApplyError` when it cannot be done while running; then nothing has changed."""

    async def look_again(self) -> None:
        """A person has asked for it: read the keys again that the running configuration names."""

    @property
    def is_connected(self) -> bool:
        """Whether the uplink is reached at this moment."""


class ApplyError(Exception):
    """A change that needs a restart, or cannot be made."""


class DesiredConfig:
    """Watches the file, takes pushed documents, and runs their trial."""

    def __init__(
        self,
        *,
        node: str,
        file: Path,
        history: ConfigHistory,
        running: tuple[bytes, NodeConfigFile],
        applier: Applier,
        inbox: Inbox,
        clock: Clock,
        on_outcome: Callable[[], None],
        audit: Callable[..., None],
    ) -> None:
        self._node = node
        self._file = file
        self._history = history
        self._document, self._config = running
        self._applier = applier
        self._inbox = inbox
        self._clock = clock
        self._on_outcome = on_outcome
        self._audit = audit
        self._trial: Trial | None = None
        self._seen = self._stamp()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._look_now = asyncio.Event()
        self._is_asked = False
        self._fetching: asyncio.Task[None] | None = None
        self._unbelieved = SaidOnce()
        self._newest_pushed = 0
        """Waits its turn, or had it: the same one sent again while it waits shall not wait too."""
        self._mistakes: tuple[ConfigProblem, ...] = ()
        if history.read_file() != self._document:
            self._mistakes = _mistakes_in(file)

    @property
    def mistakes(self) -> tuple[ConfigProblem, ...]:
        """What is wrong with the file, so that it is not what runs."""
        return self._mistakes

    @property
    def refused_pushes(self) -> int:
        """Pushed ones that nobody who may push here has signed."""
        return self._unbelieved.times

    @property
    def digest(self) -> str:
        """What names the running configuration; comments and white space do not count."""
        return self._config.digest

    @property
    def config(self) -> NodeConfigFile:
        """What runs."""
        return self._config

    @property
    def is_on_trial(self) -> bool:
        """Whether the running configuration must still prove itself."""
        return self._trial is not None

    def reload(self) -> None:
        """SIGHUP: look at the keys and at the file now."""
        self._is_asked = True
        self._look_now.set()

    def connected(self) -> None:
        """The uplink has been reached. Outside a trial the running document is a good one from now on."""
        if self._trial is None and not self._lock.locked():  # in mid-change nobody knows yet what is running
            self._confirm()

    def report_too(self) -> None:
        """Something else that is reported has changed. In mid-change it waits for what comes of that."""
        if not self._lock.locked():
            self._on_outcome()

    def receive(self, data: bytes) -> None:
        """Take a pushed envelope. Never raises for what a peer sent."""
        try:
            envelope = parse_envelope(data)
            if not envelope.is_signed("desired", self._inbox.verify):
                self._not_taken(_("no known key signed it"))
                return
            desired = desired_of(envelope)
        except ProtocolError as error:
            self._not_taken(str(error))
            return
        if desired.node != self._node:
            self._not_taken(_("it is for another node"))
        elif not self._inbox.operator_may(envelope.key_id, PUSH_OPERATION):
            self._not_taken(_("{operator} may not push").format(operator=envelope.key_id))
        elif desired.version <= max(self._history.state.version, self._newest_pushed):
            log.debug("configuration: version %d is not newer than what was taken up", desired.version)
        else:
            self._newest_pushed = desired.version
            self._audit("configuration", key_id=envelope.key_id, version=desired.version)
            if desired.document is not None:
                self._spawn(self._change(desired.document.encode(), desired.version))
            elif desired.url is not None and desired.sha256 is not None:
                if self._fetching is not None:
                    self._fetching.cancel()  # an older one is wanted no more
                self._fetching = self._spawn(self._fetch(desired.url, desired.sha256, desired.version))

    def _not_taken(self, reason: str) -> None:
        """Nobody who may push has sent it: a broker can send it again as often as it likes."""
        if self._unbelieved.is_news(reason):
            text = _("configuration: a pushed one was refused: %s; further ones like it are only counted")
            log.warning(text, reason)

    async def run(self) -> None:
        """Watch the file and the trial until cancelled."""
        file_due = self._clock.monotonic() + FILE_PERIOD_S
        while True:
            wait_s = LOOK_PERIOD_S if self._trial is not None else FILE_PERIOD_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._look_now.wait()
            except TimeoutError:
                pass
            self._look_now.clear()
            is_asked, self._is_asked = self._is_asked, False
            if is_asked:
                await self._applier.look_again()
            now = self._clock.monotonic()
            if is_asked or now >= file_due:
                file_due = now + FILE_PERIOD_S
                await self._look_at_file(is_asked=is_asked)
            await self._judge(now)

    async def aclose(self) -> None:
        """Let a change under way end, and fetch nothing any more."""
        if self._fetching is not None:
            self._fetching.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # Inside -----------------------------------------------------------------------------------------------------

    async def _fetch(self, url: str, sha256: str, version: int) -> None:
        """Fetch a document and put it to work. Where that fails its number is not used up: it may be sent again."""
        reason = ""
        for pause_s in PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                document = await fetch_document(url, sha256, self._config.uplink.mqtt, self._file.parent)
            except FetchError as error:
                log.debug("configuration: version %d: %s", version, error)
                reason = str(error)
            else:
                await asyncio.shield(self._spawn(self._change(document, version)))
                return
        if self._newest_pushed == version:
            self._newest_pushed = self._history.state.version
        self._refuse(reason, None)

    def _spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run(), name="configuration")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    async def _look_at_file(self, *, is_asked: bool) -> None:
        stamp = self._stamp()
        if stamp == self._seen and not is_asked:
            return
        self._seen = stamp
        self._mistakes = _mistakes_in(self._file)
        document = self._history.read_file()
        if document is None:
            log.warning(_("configuration: %s cannot be read; what ran goes on running"), self._file)
        elif sha256_of(document) != self._history.state.file_sha256 or is_asked:
            await self._change(document, None)

    async def _change(self, document: bytes, version: int | None) -> None:
        async with self._lock:
            if version is not None and version <= self._history.state.version:
                return  # a newer one was taken up while this one waited
            try:
                config = self._checked(document)
            except ConfigError as error:
                if version is None:
                    self._mistakes = error.problems
                self._refuse(str(error), version)
                return
            if config.digest == self._config.digest:
                self._take_equal(document, config, version)
                return
            # What was pushed came over the uplink; and a trial that has lost it hands that burden on.
            was_connected = version is not None or self._applier.is_connected
            was_connected = was_connected or (self._trial is not None and self._trial.was_connected)
            before = self._history.state
            try:
                self._history.take_up(document, version=version, is_on_trial=was_connected)
                await self._applier.apply(config)
            except (ApplyError, HistoryError) as error:
                self._refuse(str(error), version, before)
                return
            self._document, self._config = document, config
            self._trial = Trial(self._clock.monotonic(), was_connected=was_connected)
            log.info(_("configuration: %s put to work"), self.digest[:19])
            self._look_now.set()
            self._on_outcome()

    def _take_equal(self, document: bytes, config: NodeConfigFile, version: int | None) -> None:
        """Nothing changes for any device; at most its comments do, and its number."""
        self._document, self._config = document, config
        if version is None:
            return
        try:
            self._history.accept_equal(version=version)
        except HistoryError as error:
            log.error(_("configuration: %s"), error)
        self._on_outcome()

    def _checked(self, document: bytes) -> NodeConfigFile:
        config = parse_config(document, self._file)
        problems = problems_around(config, document)
        if problems:
            raise ConfigError(problems)
        return config

    def _refuse(self, reason: str, version: int | None, before: HistoryState | None = None) -> None:
        log.error(_("configuration: refused, what ran goes on running: %s"), reason)
        try:
            self._history.put_back(before or self._history.state, as_text(reason)[:1000], version=version)
        except HistoryError as error:
            log.error(_("configuration: %s"), error)
        self._on_outcome()

    async def _judge(self, now: float) -> None:
        if self._trial is None or self._lock.locked():
            return
        match self._trial.look(now, is_connected=self._applier.is_connected):
            case Verdict.CONFIRM:
                self._trial = None
                self._confirm()
                log.info(_("configuration: %s has proven itself"), self.digest[:19])
                self._on_outcome()
            case Verdict.ROLL_BACK:
                await self._roll_back()
            case Verdict.WAIT:
                pass

    def _confirm(self) -> None:
        try:
            self._history.confirm(self._document)
        except HistoryError as error:
            log.error(_("configuration: %s"), error)

    async def _roll_back(self) -> None:
        async with self._lock:
            self._trial = None
            reason = _("the uplink was not reached with it")
            try:
                self._history.roll_back(reason)
            except HistoryError as error:  # it is gone back all the same; a restart takes the good one too
                log.error(_("configuration: %s"), error)
            good = self._history.newest_good()
            if good is None:
                log.error(_("configuration: %s, and no earlier one is kept"), reason)
                return
            document, config = good
            try:
                await self._applier.apply(config)
            except ApplyError as error:
                log.error(_("configuration: %s, and the earlier one cannot run now: %s"), reason, error)
                self._trial = Trial(self._clock.monotonic(), was_connected=True)  # what is in its way may go
                return
            self._document, self._config = document, config
            log.error(_("configuration: rolled back to %s: %s"), self.digest[:19], reason)
            self._on_outcome()


def _mistakes_in(file: Path) -> tuple[ConfigProblem, ...]:
    try:
        load_config(file)
    except ConfigError as error:
        return error.problems
    return ()
