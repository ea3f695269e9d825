"""A rollout by the engine itself, in SQLite, for `wayside bench ota`: each part in a process of its own.

The folder has `devices`, how many there are, and then the database that `begin` leaves for the others.
"""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ota.campaign.engine.engine import Engine
    from ota.campaign.store.database import Database
    from ota.campaign.store.plans import Command
    from ota.targets import ImageInfo

OLD, NEW = "rsu/gateway/1.tar", "rsu/gateway/2.tar"
HARDWARE = "rsu-arm64"
BEGIN = 1_800_000_000
MODELS = 4
CAMPAIGN = f"""
name = "bench"
target = "{NEW}"
[[stage]]
percent = 100
soak_s = 60
[when]
jitter_s = 0
"""


def begin(folder: Path) -> None:
    """A fleet, and a campaign of one stage that two people have begun."""
    from ota.campaign.engine.clerk import Clerk
    from ota.campaign.people import Deed, sign
    from ota.campaign.rules import read_campaign
    from ota.campaign.selection import FleetDevice
    from ota.campaign.store import campaigns, devices

    count = int((folder / "devices").read_text())
    database = _database(folder)
    rows = (
        FleetDevice(id=f"rsu-{number:06}", model=f"m{number % MODELS}", ecus={"main": HARDWARE}, targets={"main": OLD})
        for number in range(count)
    )
    with database.transaction() as connection:
        devices.put(connection, rows, {}, 1)
    campaign = read_campaign(CAMPAIGN.encode(), "bench")
    clerk = Clerk(database, {name: lambda _signature, _data: True for name in ("li", "wang")}, _info_of)
    digest = campaigns.digest_of(campaign)
    began = time.perf_counter()
    for verb, who in (("new", "li"), ("approve", "wang")):
        deed = Deed(what=verb, campaign="bench", digest=digest, who=who, at=BEGIN)  # type: ignore[arg-type]  # of a tuple
        signed = sign(deed, lambda _data: b"")
        if verb == "new":
            clerk.new(campaign, signed)
        else:
            clerk.approve("bench", signed)
    _say(seconds=time.perf_counter() - began)


def plan(folder: Path) -> None:
    """Every device of the stage gets its plan: seconds, each commit on the disk."""
    engine = _engine(_database(folder))
    began = time.perf_counter()
    told = engine.work_all(BEGIN)
    seconds = time.perf_counter() - began
    assert told == int((folder / "devices").read_text()), told
    _say(seconds=seconds)


def roll_out(folder: Path) -> None:
    """All of it to its end, devices that answer at once included: the peak of the process."""
    from ota.campaign.engine.heard import Account, Sign
    from ota.campaign.store import campaigns

    database = _database(folder)
    engine = _engine(database)
    began = time.perf_counter()
    engine.work_all(BEGIN)
    while commands := engine.claim(BEGIN, 500):
        engine.sent([one.id for one in commands], BEGIN)
        engine.take([_confirmed(one, Account) for one in commands])
        engine.take([Sign(device=one.device, at=BEGIN + 120) for one in commands])
    engine.work_all(BEGIN + 200)
    with database.reading() as connection:
        kept = campaigns.get(connection, "bench")
    assert kept is not None
    assert kept.state == "finished", (kept.state, kept.reason)
    _say(seconds=time.perf_counter() - began, kb=_peak_kb())


def _confirmed(command: "Command", kind: Any) -> Any:
    return kind(device=command.device, at=BEGIN + 10, account={"plan": command.plan, "outcome": "confirmed"})


def _database(folder: Path) -> "Database":
    from ota.campaign.store.database import open_database

    return open_database(f"sqlite:///{folder / 'rollouts.db'}")


def _engine(database: "Database") -> "Engine":
    from ota.campaign.engine.engine import Engine

    engine = Engine(database, "bench", _info_of, lambda *_signed: True)
    engine.hear_since(1)
    return engine


def _info_of(_target: str) -> "ImageInfo":
    from ota.targets import Blob, ImageInfo

    blob = Blob(codec="none", length=1, sha256="0" * 64, blocks="0" * 64)
    return ImageInfo(kind="release-dir", hardware=[HARDWARE], family="rsu/gateway", version="2", counter=2, full=[blob])


def _peak_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _say(**measured: float) -> None:
    sys.stdout.write(json.dumps(measured))


if __name__ == "__main__":
    {"begin": begin, "plan": plan, "roll-out": roll_out}[sys.argv[1]](Path(sys.argv[2]))
