"""`wayside demo`: the main job on show, with a broker that goes away and a gateway that is killed on the way.

A real broker, six emulated devices, the gateway and the ingest as processes of their own. At the end the gateway is
stopped in good order, and what its journal says it made is held against what the ingest stored.
"""

import asyncio
import signal
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from drivers.text import _
from emulators.broker import BrokerError, EmbeddedBroker
from tools.demo.parts import SceneError
from tools.demo.scene import Scene, is_tty
from tools.output import Exit, fail, print_json, say, visible
from tools.sink.ledger import LedgerError

app = typer.Typer()

LANES = ("transaction", "event", "telemetry")
TICK_S = 0.5
PLAIN_EVERY_S = 5.0
MIN_SECONDS = 15


@app.command()
def demo(
    seconds: Annotated[int, typer.Option(min=MIN_SECONDS, max=86_400, help=_("how long it runs"))] = 60,
    outage: Annotated[
        str | None, typer.Option(metavar="A:B", help=_("take the broker away from second A to B; 0:0 for never"))
    ] = None,
    seed: Annotated[int, typer.Option(help=_("of the emulated world"))] = 1,
    keep: Annotated[Path | None, typer.Option(help=_("keep everything in this new folder"))] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_("the ledger as JSON on the last line"))] = False,
) -> None:
    """Show the main job: devices in, nothing lost, cloud in step."""
    away = _parsed_outage(outage, seconds, as_json=as_json)
    if keep is not None and keep.exists():
        fail(_("{folder} exists, and nothing is replaced").format(folder=keep), Exit.USAGE, as_json=as_json)
    with tempfile.TemporaryDirectory(prefix="wayside-demo-") as scratch:
        show = Show(Scene((keep or Path(scratch) / "demo").absolute(), seed), seconds, away)
        try:
            account = asyncio.run(show.run())
        except (SceneError, BrokerError, LedgerError) as error:
            fail(str(error), as_json=as_json)
        except (KeyboardInterrupt, asyncio.CancelledError):
            fail(_("interrupted; everything that it had started is stopped"), as_json=as_json)
    if as_json:
        print_json({"lanes": account["lanes"], "ok": account["ok"]})
    else:
        _print_ledger(account)
    if not account["ok"]:
        raise typer.Exit(Exit.REFUSED)


def _parsed_outage(text: str | None, seconds: int, *, as_json: bool) -> tuple[float, float]:
    if text is None:
        return 0.3 * seconds, 0.5 * seconds
    first, _colon, last = text.partition(":")
    try:
        away = float(first), float(last)
    except ValueError:
        fail(_("--outage {text}: is not A:B, such as 20:30").format(text=text), Exit.USAGE, as_json=as_json)
    if not 0 <= away[0] <= away[1] <= seconds:
        problem = _("--outage {text}: must lie within 0:{seconds}, A before B").format(text=text, seconds=seconds)
        fail(problem, Exit.USAGE, as_json=as_json)
    return away


class Show:
    """The run of events, and what is said meanwhile."""

    def __init__(self, scene: Scene, seconds: int, outage: tuple[float, float]) -> None:
        self._scene = scene
        self._seconds = seconds
        self._outage = outage
        self._kill_at = 0.65 * seconds
        self._console = Console(stderr=True)
        self._began = 0.0
        self._said_at = 0.0
        self._counts: dict[str, dict[str, int]] = {
            lane: dict.fromkeys(("made", "queued", "acked", "lost"), 0) for lane in LANES
        }
        self._kills = 0
        self._outages = 0

    async def run(self) -> dict[str, Any]:
        """Everything from start to ledger. Whoever closes the terminal or ends us ends all that we have started."""
        task = asyncio.current_task()
        assert task is not None, "runs as a task"
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        self._say(_("starting a broker, six devices on emulated lines, the ingest and the gateway ..."))
        async with self._scene as scene:
            if isinstance(scene.broker, EmbeddedBroker):
                self._say(_("Mosquitto is not installed, so a broker inside this process stands in:"))
                for text in EmbeddedBroker.CANNOT:
                    self._say(f"  - {text}")
            self._began = time.monotonic()
            if is_tty():
                with Live(self._page(), console=self._console, refresh_per_second=4, transient=True) as live:
                    await self._play(live)
            else:
                await self._play(None)
            self._say(_("stopping the gateway in good order ..."))
            await scene.gateway.end(signal.SIGTERM)
            await self._wait_for_ingest()
            return self._account()

    async def _play(self, live: Live | None) -> None:
        steps: list[tuple[float, Any]] = [(self._kill_at, self._kill)]
        if self._outage[1] > self._outage[0]:
            steps += [(self._outage[0], self._broker_away), (self._outage[1], self._broker_back)]
        steps.sort(key=lambda step: step[0])
        while (now := time.monotonic() - self._began) < self._seconds:
            if steps and now >= steps[0][0]:
                await steps.pop(0)[1]()
            await asyncio.to_thread(self._look)
            if live is not None:
                live.update(self._page())
            elif now - self._said_at >= PLAIN_EVERY_S:
                self._said_at = now
                self._say(self._line())
            await asyncio.sleep(TICK_S)

    async def _broker_away(self) -> None:
        self._outages += 1
        self._say(_("the broker goes away: from now on everything waits in the journal"))
        await self._scene.broker.stop()

    async def _broker_back(self) -> None:
        self._say(_("the broker is back: what waited is sent, live data first"))
        await self._scene.broker.start()

    async def _kill(self) -> None:
        self._kills += 1
        self._say(_("the gateway is killed (SIGKILL) and started again: what it had made must still be there"))
        await self._scene.gateway.end(signal.SIGKILL)
        await self._scene.gateway.start()

    def _look(self) -> None:
        status = self._scene.status()
        if status is not None:
            self._counts = {lane: dict(status["lanes"][lane]) for lane in LANES}

    async def _wait_for_ingest(self) -> None:
        """The last acknowledgements are on their way; give them a moment."""
        until = time.monotonic() + 5
        while time.monotonic() < until:
            missing = sum(lane["missing"] for lane in self._scene.received().values())
            if missing == 0:
                return
            await asyncio.sleep(0.2)

    # The account ------------------------------------------------------------------------------------------------

    def _account(self) -> dict[str, Any]:
        ledger = self._scene.verified()
        lanes = {}
        ok = not ledger.problems
        for name, lane in self._scene.journal().items():
            stored = [entry for entry in ledger.lanes if entry.lane == name and entry.epoch == lane.epoch]
            received = sum(entry.received for entry in stored)
            lanes[name] = {
                "made": lane.made,
                "acked": received,
                "queued": lane.made - received - lane.lost,
                "lost": lane.lost,
                "duplicates": sum(entry.duplicates for entry in stored),
            }
            ok = ok and received == lane.made and lane.lost == 0
        ok = ok and lanes["telemetry"]["made"] > 0 and lanes["event"]["made"] > 0
        placed, taps = self._scene.taps()
        return {
            "lanes": lanes,
            "ok": ok,
            "problems": ledger.problems,
            "said": {part.name: part.last_words() for part in (self._scene.gateway, self._scene.sink)},
            "placed": placed,
            "taps": taps,
            "kills": self._kills,
            "outages": self._outages,
        }

    # What people see --------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        at = f"{time.monotonic() - self._began:5.1f} s  " if self._began else ""
        if is_tty():
            self._console.print(at + text, highlight=False)
        else:
            say(at + text)

    def _line(self) -> str:
        parts = []
        for lane in LANES:
            counts = self._counts[lane]
            parts.append(
                _("{lane}: {made} made, {queued} waiting, {acked} stored, {lost} lost").format(lane=lane, **counts)
            )
        return " | ".join(parts)

    def _page(self) -> Table:
        elapsed = time.monotonic() - self._began
        broker = _("broker is there") if self._scene.broker.is_running else _("BROKER IS AWAY")
        title = _("second {now:.0f} of {all}, {broker}").format(now=elapsed, all=self._seconds, broker=broker)
        table = Table(title=title, title_justify="left")
        table.add_column(_("records"))
        for name in (_("made"), _("waiting"), _("stored"), _("lost")):
            table.add_column(name, justify="right")
        for lane in LANES:
            counts = self._counts[lane]
            table.add_row(lane, *(f"{counts[key]:,}" for key in ("made", "queued", "acked", "lost")))
        return table


def _print_ledger(account: dict[str, Any]) -> None:
    console = Console()
    table = Table(title=_("The ledger"), title_justify="left")
    table.add_column(_("records"))
    for name in (
        _("made by the gateway"),
        _("stored by the ingest"),
        _("not arrived"),
        _("lost"),
        _("came twice, stored once"),
    ):
        table.add_column(name, justify="right")
    for lane, counts in account["lanes"].items():
        table.add_row(lane, *(f"{counts[key]:,}" for key in ("made", "acked", "queued", "lost", "duplicates")))
    console.print(table)
    console.print(
        _(
            "{placed} cards were held to the reader; {taps} taps are in the ledger (while it is down nobody reads)."
        ).format(**account)
    )
    for problem in account["problems"]:
        console.print(visible(problem), markup=False)
    if account["ok"]:
        console.print(
            _(
                "Every record that was made arrived exactly once, over {outages} outage of the broker and {kills} "
                "power cut of the gateway."
            ).format(**account)
        )
    else:
        console.print(_("NOT every record that was made arrived exactly once."))
        for part, said in account["said"].items():
            console.print(_("what the {part} said last: {said}").format(part=part, said=visible(said)), markup=False)
