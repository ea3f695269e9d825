"""`wayside ota demo`: the life of updates on show.

A gateway under load takes a release through power cuts, sends a bad one back, and refuses an old one.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.text import _
from emulators.broker import BrokerError
from ota.errors import OtaError
from tools.demo.parts import SceneError, prefill
from tools.demo.scene import NODE, Scene
from tools.demo.update_scene import FAMILY, HARDWARE, Box, Releases, Service
from tools.output import Exit, fail, print_json, print_line, say
from tools.sink.ledger import LedgerError

LOOK_S = 0.25
STEP_WITHIN_S = 150.0
LINK_KB_S = 1
"""A slow link: else the download is over before anybody could cut it."""
BACKLOG = 2_000
"""Packs that wait from before: an update must not cost one of them."""


def demo(
    keep: Annotated[Path | None, typer.Option(help=_("keep everything in this new folder"))] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help=_("the result as JSON on the last line"))] = False,
) -> None:
    """Show an update: taken under load and through power cuts, a bad one sent back, an old one refused."""
    if keep is not None and keep.exists():
        fail(_("{folder} exists, and nothing is replaced").format(folder=keep), Exit.USAGE, as_json=as_json)
    with tempfile.TemporaryDirectory(prefix="wayside-update-") as scratch:
        try:
            result = asyncio.run(Show((keep or Path(scratch) / "demo").absolute()).run())
        except (SceneError, BrokerError, LedgerError, OtaError) as error:
            fail(str(error), as_json=as_json)
        except (KeyboardInterrupt, asyncio.CancelledError):
            fail(_("interrupted; everything that it had started is stopped"), as_json=as_json)
    if as_json:
        print_json(result)
    else:
        for name, value in result.items():
            print_line(f"{name}: {value}")
    if not result["ok"]:
        raise typer.Exit(Exit.REFUSED)


class Show:
    """The run of events."""

    def __init__(self, folder: Path) -> None:
        self._scene = Scene(folder, seed=1, update=folder / "update.toml")
        self._folder = folder
        self._began = time.monotonic()
        self._last = ""

    async def run(self) -> dict[str, Any]:
        """From the first release to the ledger."""
        from ota.testing.repository_double import RepositoryDouble

        self._folder.mkdir(parents=True)
        self._say(_("building three releases of this very gateway ..."))
        releases = Releases(self._folder)
        for version in (1, 2, 3):
            await asyncio.to_thread(releases.build, version)
        repository = RepositoryDouble(now=datetime.now(UTC))
        with repository.serving() as web:
            box = Box(self._folder, repository, web.url, kilobytes_per_s=LINK_KB_S)
            box.set_up(self._add(repository, releases, 1), releases.images[1])
            service = Service(box.folder, self._scene.config, self._folder / "gateway.log", self._say)
            prefill(self._scene.data, node=NODE, count=BACKLOG, points=20)
            async with self._scene:
                service.start()
                try:
                    return await self._play(repository, releases, box, service)
                finally:
                    await service.stop()

    async def _play(self, repository: Any, releases: Releases, box: Box, service: Service) -> dict[str, Any]:
        await self._until(lambda: self._version_running() == "1.0.0", _("version 1 runs and is connected"), box)

        self._say(_("version 2 is published: a delta of a few kilobytes"))
        target = self._add(repository, releases, 2, min_counter=2)
        repository.set_plan(NODE, {"main": target.path})
        cuts = 0
        for state in ("fetching", "trial"):
            if await self._reaches(box, state):
                self._say(_("the power is cut at the step: {state}").format(state=state))
                service.cut()
                cuts += 1
        await self._until(lambda: box.version() == "2.0.0", _("version 2 is confirmed"), box)
        way = box.account().seen.way

        self._say(_("version 3 is published: it starts, and cannot reach the broker"))
        target = self._add(repository, releases, 3)
        repository.set_plan(NODE, {"main": target.path})
        await self._until(
            lambda: any(report["outcome"] == "rolled-back" for report in self._scene.reports()),
            _("version 3 was sent back, and its signed report has reached the ledger"),
            box,
        )
        bad = next(report for report in self._scene.reports() if report["outcome"] == "rolled-back")
        await self._until(lambda: self._version_running() == "2.0.0", _("version 2 runs again and is connected"), box)
        quarantined = bool(box.account().quarantine)

        self._say(_("version 1 is offered again"))
        repository.set_plan(NODE, {"main": Releases.path(1)})
        await self._until(
            lambda: box.account().seen.rule == "floor", _("version 1 was refused: it is below the floor"), box
        )
        refusal = box.account().seen.refusal

        await service.stop()
        ledger = self._scene.verified()
        lanes = self._scene.journal()
        lost = sum(lane.lost for lane in lanes.values())
        ok = box.version() == "2.0.0" and quarantined and way == "delta" and not ledger.problems and lost == 0
        return {
            "ok": ok,
            "runs": box.version(),
            "way": way,
            "power_cuts": cuts,
            "starts": service.starts,
            "rolled_back_for": bad["reason"],
            "reports": {report["attempt"]: report["outcome"] for report in self._scene.reports()},
            "refused": refusal,
            "records_lost": lost,
            "ledger_problems": ledger.problems,
            "took_s": round(time.monotonic() - self._began, 1),
        }

    def _add(self, repository: Any, releases: Releases, version: int, **facts: Any) -> Any:
        older = [Releases.path(version - 1)] if version > 1 else []
        return repository.add_image(
            Releases.path(version),
            releases.images[version],
            counter=version,
            deltas_from=older,
            hardware=[HARDWARE],
            family=FAMILY,
            version=f"{version}.0.0",
            **facts,
        )

    def _version_running(self) -> str:
        """Of the gateway that answers and has its broker; nothing where none does."""
        status = self._scene.status()
        if status is None or status["uplink"]["state"] != "connected":
            return ""
        return str(status["version"])

    async def _reaches(self, box: Box, state: str) -> bool:
        until = time.monotonic() + STEP_WITHIN_S
        while time.monotonic() < until:
            account = await asyncio.to_thread(box.account)
            self._show(account.state)
            if account.state == state:
                return True
            if box.version() == "2.0.0":
                return False
            await asyncio.sleep(0.02)
        return False

    async def _until(self, holds: Callable[[], bool], what: str, box: Box) -> None:
        until = time.monotonic() + STEP_WITHIN_S
        while not await asyncio.to_thread(holds):
            self._show((await asyncio.to_thread(box.account)).state)
            if time.monotonic() > until:
                raise SceneError(_("this did not come: {what}; see the logs with --keep").format(what=what))
            await asyncio.sleep(LOOK_S)
        self._say(what)

    def _show(self, state: str) -> None:
        if state != self._last:
            self._last = state
            self._say(f"  update: {state}")

    def _say(self, text: str) -> None:
        say(f"{time.monotonic() - self._began:6.1f} s  {text}")
