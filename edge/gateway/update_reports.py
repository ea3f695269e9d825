"""Reports of updates on their way out: each becomes an event, and its file goes once the journal has that for good.

A power cut in between repeats the event: whoever takes it knows an attempt again. What the disk has spoiled is declared
by an event of its own and goes the same way, so that nothing is tried for ever.
"""

import asyncio
import logging
from pathlib import Path
from typing import Any, Protocol

from drivers.text import _
from edge.gateway.recorder import EventKey
from edge.gateway.said import SaidOnce
from edge.gateway.update_folder import (
    REPORTS,
    UpdateFolderError,
    read_log,
    read_report,
    remove_report,
    waiting,
)
from edge.store.errors import StoreError
from protocols.core.errors import LocalProtocolError

log = logging.getLogger(__name__)

REPORT, DAMAGED = "update", "report-damaged"
"""Kinds of events."""


class ReportJournal(Protocol):
    """What is asked of the recorder."""

    def put_event(self, kind: str, data: dict[str, Any]) -> EventKey:
        """Append an event of the node itself. Raises `StoreError` and `LocalProtocolError`."""

    async def commit_events(self) -> EventKey:
        """Have the disk take all events so far, if it does: up to where it has them."""


class UpdateReports:
    """Takes what waits. One folder, one caller at a time."""

    def __init__(self, journal: ReportJournal) -> None:
        self._journal = journal
        self._journaled: dict[str, EventKey] = {}
        """Attempts whose file is still there, and their event: a file that cannot be removed makes no second one."""
        self._said = SaidOnce()

    async def take(self, folder: Path) -> None:
        """Each report that waits, the oldest first. Raises `UpdateFolderError`."""
        attempts = await asyncio.to_thread(waiting, folder)
        self._journaled = {attempt: key for attempt, key in self._journaled.items() if attempt in attempts}
        for attempt in attempts:
            try:
                is_taken = await self._is_made(folder, attempt) and await self._remove(folder, attempt)
            except OSError as error:
                self._say(f"{folder / REPORTS / attempt}: {error.strerror}")
            except (StoreError, LocalProtocolError) as error:  # no event can be made now: they wait
                self._say(f"{attempt}: {error}")
                return
            else:
                if is_taken:
                    log.info(_("update: the report of attempt %s is in the journal"), attempt)

    async def _is_made(self, folder: Path, attempt: str) -> bool:
        """Whether the disk has the event of a report."""
        key = self._journaled.get(attempt)
        if key is None:
            try:
                data = await asyncio.to_thread(_event_data, folder, attempt)
                key = self._put(data)
            except (UpdateFolderError, LocalProtocolError) as error:
                text = str(error)[:500]
                log.warning(_("update: the report of attempt %s is damaged: %s"), attempt, text)
                key = self._journal.put_event(DAMAGED, {"attempt": attempt, "reason": text, "severity": "warning"})
            self._journaled[attempt] = key
        made = await self._journal.commit_events()
        if key.epoch != made.epoch:  # the lane has begun anew, perhaps without it
            del self._journaled[attempt]
            return False
        return key.seq <= made.seq

    def _put(self, data: dict[str, str]) -> EventKey:
        """Of a log that is too long as JSON has it, what fits."""
        while True:
            try:
                return self._journal.put_event(REPORT, data)
            except LocalProtocolError:
                if not data["log"]:
                    raise
                data = data | {"log": data["log"][len(data["log"]) // 2 + 1 :]}

    async def _remove(self, folder: Path, attempt: str) -> bool:
        is_removed = await asyncio.to_thread(remove_report, folder, attempt)
        if is_removed:
            del self._journaled[attempt]
        return is_removed

    def _say(self, text: str) -> None:
        if self._said.is_news(text):
            log.warning(_("update: a report waits: %s"), text)


def _event_data(folder: Path, attempt: str) -> dict[str, str]:
    return {"report": read_report(folder, attempt), "log": read_log(folder, attempt)}
