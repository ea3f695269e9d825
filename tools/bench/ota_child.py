"""What `wayside bench ota` measures in a process of its own, so that memory is its own: one JSON object on stdout."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path


def apply(folder: Path) -> None:
    """A delta onto the disk: seconds, and what it took above the interpreter with its modules."""
    from ota.payload.patch import apply_patch

    facts = json.loads((folder / "facts.json").read_text())
    old = os.open(folder / "old", os.O_RDONLY)
    before = _peak_kb()
    began = time.perf_counter()
    with (folder / "made").open("wb", buffering=0) as out:
        pieces = apply_patch(
            _pieces(folder / "patch"),
            lambda offset, size: os.pread(old, size, offset),
            old_sha256=facts["old"],
            new_sha256=facts["new"],
            new_length=facts["length"],
            what="patch",
        )
        for piece in pieces:
            out.write(piece)
    seconds = time.perf_counter() - began
    sys.stdout.write(json.dumps({"seconds": seconds, "kb": _peak_kb() - before}))


def refresh(folder: Path) -> None:
    """Both repositories over HTTP, from an empty cache and again: CPU seconds."""
    from ota.agent.agent import UpdateAgent
    from ota.agent.config import read_config

    agent = UpdateAgent(read_config(folder / "update.toml"), running="a")
    agent._trust.open()  # noqa: SLF001  # the very part that is measured
    cpu = []
    for _time in range(2):
        began = time.process_time()
        agent._offer()  # noqa: SLF001
        cpu.append(time.process_time() - began)
    sys.stdout.write(json.dumps({"first": cpu[0], "again": cpu[1]}))


def simulate(folder: Path) -> None:
    """A good release and a bad one to a simulated fleet: CPU seconds of each, and the peak of the process."""
    from ota.campaign.simulation.fleet import Trouble, default_campaign
    from ota.campaign.simulation.run import Simulation

    devices = int((folder / "devices").read_text())
    seconds = []
    for rate in (0.0, 0.1):
        began = time.process_time()
        outcome = Simulation(default_campaign(devices), devices, Trouble(failure_rate=rate), seed=1).run()
        seconds.append(time.process_time() - began)
        assert (outcome.halted_after_s is None) is (rate == 0), outcome.reason
    sys.stdout.write(json.dumps({"good_s": seconds[0], "bad_s": seconds[1], "kb": _peak_kb()}))


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(1 << 16):
            yield piece


def _peak_kb() -> int:
    """Of this process since it became what it is; `getrusage` counts its parent's memory, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    {"apply": apply, "refresh": refresh, "simulate": simulate}[sys.argv[1]](Path(sys.argv[2]))
