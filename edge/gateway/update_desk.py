"""Updates as the gateway sees them: it starts the agent, brings its reports out and passes its account on.

What is to run is none of its business: that stands in metadata which the agent verifies. A command may only ask it to
look, and a damaged folder costs what could be told and nothing else.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.errors import DeviceConfigError
from drivers.text import _
from edge.gateway.config_tables import UpdateConfig
from edge.gateway.said import SaidOnce
from edge.gateway.update_folder import UpdateFolderError, account_mark, read_account, update_folder
from edge.gateway.update_reports import ReportJournal, UpdateReports
from edge.gateway.updates import Updates

log = logging.getLogger(__name__)

LOOK = "update.look"
"""The operation that has the agent ask its repositories now."""
WATCH_S = 3.0
"""Between two looks at the account, which an agent changes as it goes."""
MAX_PLAN = (1 << 53) - 1


class UpdateDesk:
    """Does nothing where the configuration names no agent."""

    def __init__(
        self,
        config: UpdateConfig,
        *,
        journal: ReportJournal,
        on_restart: Callable[[], None],
        on_account: Callable[[], None],
    ) -> None:
        """on_restart: the gateway is to end, so that the launcher can choose; on_account: there is another account."""
        self._reports = UpdateReports(journal)
        self._on_account = on_account
        self._said = SaidOnce()
        self._mark: tuple[int, int, int] | None = None
        self._account: dict[str, Any] = {}
        self._file = Path(config.file or "")
        self._folder: Path | None = None
        self._runs: Updates | None = None
        self._has_ended = asyncio.Event()
        if config.file is not None:
            self._runs = Updates(self._file, config.every_s, on_restart, on_ended=self._agent_ended)
            self._find_folder()
            self._read_account()

    @property
    def account(self) -> Mapping[str, Any]:
        """What the agent wrote last, as far as it could be read; empty where there is none."""
        return self._account

    def look(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out `update.look`. Raises `DeviceConfigError`."""
        if self._runs is None:
            raise DeviceConfigError(_("this node takes no updates: its configuration names no file in [update]"))
        plan = arguments.get("plan")
        if plan is not None and (type(plan) is not int or not 0 <= plan <= MAX_PLAN):
            raise DeviceConfigError(_("plan is not the number of a plan"))
        self._runs.look()
        return {} if plan is None else {"plan": plan}

    async def run(self) -> None:
        """Until cancelled, or until another slot is to be started."""
        if self._runs is None:
            return
        self._has_ended.set()  # with what the last run of the gateway has left
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch())
            await self._runs.run()
            watching.cancel()

    def _agent_ended(self) -> None:
        self._find_folder()
        self._see_account()
        self._has_ended.set()

    def _find_folder(self) -> None:
        """Anew after each run: a technician may have set it right."""
        try:
            self._folder = update_folder(self._file)
        except UpdateFolderError as error:
            self._folder = None
            self._say(error)

    async def _watch(self) -> None:
        """Beside the runs of the agent: reports that nobody takes hold up no update."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await self._has_ended.wait()
            self._see_account()
            if self._has_ended.is_set():
                self._has_ended.clear()
                await self._take_reports()

    async def _take_reports(self) -> None:
        if self._folder is not None:
            try:
                await self._reports.take(self._folder)
            except UpdateFolderError as error:
                self._say(error)

    def _see_account(self) -> None:
        if self._read_account():
            self._on_account()

    def _read_account(self) -> bool:
        """Whether it says something else than before."""
        before, account = self._account, {}
        mark = None if self._folder is None else account_mark(self._folder)
        if mark is not None and mark == self._mark:
            return False
        self._mark = None
        try:
            if self._folder is not None:
                account, self._mark = read_account(self._folder), mark
        except UpdateFolderError as error:
            self._say(error)
        self._account = account
        return account != before

    def _say(self, error: UpdateFolderError) -> None:
        if self._said.is_news(str(error)):
            log.warning(_("update: %s"), error)
