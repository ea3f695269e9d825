"""A device that another Director has planned for: the next plan is above what it has taken, if that can be."""

from pathlib import Path

import pytest

from ota.campaign.engine.engine import Engine
from ota.campaign.engine.heard import Account
from ota.campaign.selection import FleetDevice
from ota.campaign.store import devices
from ota.campaign.store.database import open_database


@pytest.mark.parametrize(
    ("said", "known"),
    [(41, 41), (0, 0), (-5, 0), (1 << 53, 0), ("41", 0), (None, 0), (41.5, 0), ([41], 0)],
)
def test_what_it_has_taken_already_is_known(tmp_path: Path, said: object, known: int):
    database = open_database(f"sqlite:///{tmp_path / 'rollouts.db'}")
    with database.transaction() as connection:
        devices.put(connection, [FleetDevice(id="rsu-1", model="rsu", ecus={"main": "rsu-a"})], {}, at=1)
    engine = Engine(database, "1", lambda _target: None, lambda *_any: True)
    assert engine.take([Account(device="rsu-1", at=5, account={"has_taken": said})]) == []
    with database.reading() as connection:
        assert devices.get(connection, ["rsu-1"])["rsu-1"].plan == known
    database.close()
