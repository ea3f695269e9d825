"""The update agent beside the gateway: a process of its own, started now and then, gone while there is nothing to do.

It is told its file, the slot that runs (`WAYSIDE_SLOT`, from the launcher) and whether to ask the repositories at once
(`--now`); what it says to the gateway is an exit code and what it leaves in its folder (`edge.gateway.update_desk`).
Should it crash, hang or never end, nothing of the gateway is held up: a run has a day.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from drivers.text import _

log = logging.getLogger(__name__)

RESTING, WAITING, RESTART = 0, 10, 11
"""Exit codes of a run: nothing to do, soon again, another slot is to be started (`ota.agent.agent.End`)."""
FIRST_S = 10.0
"""A moment for the gateway to answer on its socket: a release on trial is judged by that."""
SOON_S = 60.0
LONGEST_RUN_S = 86_400.0
LEAVE_WITHIN_S = 5.0
_MAX_LINE_BYTES = 4_096


class Updates:
    """Starts the agent again and again.

    on_ended: after each run; on_restart: the gateway is to end, so that the launcher can choose.
    """

    def __init__(
        self,
        file: Path,
        every_s: float,
        on_restart: Callable[[], None],
        *,
        on_ended: Callable[[], None] = lambda: None,
        command: Sequence[str] = (sys.executable, "-m", "ota.agent"),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._file = file
        self._every_s = every_s
        self._on_restart = on_restart
        self._on_ended = on_ended
        self._command = command
        self._sleep = sleep
        self._last_line = ""
        self._wanted = asyncio.Event()

    def look(self) -> None:
        """Start it at once, to ask the repositories whenever they were asked last; once more after one that runs."""
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled, or until another slot is to be started."""
        await self._pause(FIRST_S)
        while True:
            is_wanted = self._wanted.is_set()
            self._wanted.clear()
            code = await self._run_once(*(["--now"] if is_wanted else []))
            self._on_ended()
            if code == RESTART:
                log.warning(_("update: another release is to be started; this one ends"))
                self._on_restart()
                return
            if code not in (RESTING, WAITING):
                log.error(_("update: the agent ended with code %s: %s"), code, self._last_line or "-")
            await self._pause(self._every_s if code == RESTING else min(SOON_S, self._every_s))

    async def _pause(self, seconds: float) -> None:
        """That long, or until somebody wants a look."""
        sleeping = asyncio.ensure_future(self._sleep(seconds))
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({sleeping, wanted}, return_when=asyncio.FIRST_COMPLETED)
            if sleeping.done():
                sleeping.result()
        finally:
            sleeping.cancel()
            wanted.cancel()

    async def _run_once(self, *options: str) -> int:
        """The exit code; 1 where it cannot be started or takes too long."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(self._file),
                *options,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=dict(os.environ),
                limit=_MAX_LINE_BYTES,
            )
        except OSError as error:
            self._last_line = error.strerror or str(error)
            return 1
        try:
            async with asyncio.timeout(LONGEST_RUN_S):
                await self._listen(process)
                return await process.wait()
        except TimeoutError:
            self._last_line = _("it did not end within a day")
            return 1
        finally:
            await _end(process)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None, "it was asked for"
        while True:
            try:
                line = await process.stderr.readuntil()
            except asyncio.IncompleteReadError as error:
                line = error.partial
            except asyncio.LimitOverrunError as error:  # a line that never ends is passed over in pieces
                line = await process.stderr.read(max(1, error.consumed))
            if not line:
                return
            self._last_line = line.decode("utf-8", "replace").strip()[:500]
            log.info("%s", self._last_line)


async def _end(process: asyncio.subprocess.Process) -> None:
    """It may be ended at any moment, as by a power cut; what it was doing stands on the disk."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(LEAVE_WITHIN_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
