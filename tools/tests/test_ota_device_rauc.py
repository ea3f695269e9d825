"""`wayside ota setup` and `run` on a box whose slots are RAUC's."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ota.agent.account import read_account
from ota.agent.config import read_config
from ota.storage import PosixStorage
from ota.testing.rauc_bench import RaucBench, missing
from ota.testing.repository_double import RepositoryDouble
from tools.cli import app

CONFIG = """
device = "rsu-7f3a"
data = "update"
{rauc}
[ecu.main]
hardware = "rsu-arm64"
family = "rsu/os"
[director]
url = "http://127.0.0.1:9/director"
root = "director.root.json"
[images]
url = "http://127.0.0.1:9"
root = "image.root.json"
"""


def ota(*words: object) -> Result:
    return CliRunner().invoke(app, ["ota", *map(str, words)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "update.toml"
    file.write_text(CONFIG.format(rauc="[rauc]"))
    double = RepositoryDouble()
    (tmp_path / "director.root.json").write_bytes(double.first_director_root)
    (tmp_path / "image.root.json").write_bytes(double.first_root)
    (tmp_path / "os.raucb").write_bytes(b"hsqs")
    return file


def test_a_counter_goes_with_rauc_and_only_with_it(file: Path) -> None:
    words = ("setup", file, file.parent / "os.raucb", "--target", "rsu/os/1.0.raucb")
    for rauc, more in (("[rauc]", ()), ("", ("--counter", 1))):
        file.write_text(CONFIG.format(rauc=rauc))
        result = ota(*words, *more)
        assert (result.exit_code, result.stderr) == (
            2,
            "wayside: --counter goes with [rauc] in the file, and only with that\n",
        )


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_box_is_set_up_from_what_was_flashed(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("setup", file, tmp_path / "os.raucb", "--target", "rsu/os/1.0.raucb", "--counter", 4)
    with RaucBench(tmp_path / "bench").running() as bench:
        for name in ("DBUS_SESSION_BUS_ADDRESS", "DBUS_STARTER_BUS_TYPE"):
            monkeypatch.setenv(name, bench.environment[name])
        (tmp_path / "os.raucb").write_bytes(bench.bundle("1.0"))
        done = ota(*words)
        assert (done.exit_code, done.stderr) == (
            0,
            f"{tmp_path}/update: slot a, RAUC's rootfs.0, holds version 1.0; started by its bootloader\n",
        )
        (slot, _other) = read_account(read_config(file)).slots
        assert (slot.version, slot.counter, slot.target, slot.is_confirmed) == ("1.0", 4, "rsu/os/1.0.raucb", True)
        assert ota("status", file).exit_code == 0
        again = ota(*words)
        assert (again.exit_code, again.stderr) == (1, "wayside: storage: state-a: this device has slots already\n")
        bench.end_service()
        away = ota("run", file)
        assert away.exit_code == 1
        assert "de.pengutronix.rauc was not provided" in away.stderr


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_box_that_has_started_from_its_other_slot_is_not_set_up(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = RaucBench(tmp_path / "bench")
    bench.booted = "B"
    with bench.running():
        for name in ("DBUS_SESSION_BUS_ADDRESS", "DBUS_STARTER_BUS_TYPE"):
            monkeypatch.setenv(name, bench.environment[name])
        result = ota("setup", file, tmp_path / "os.raucb", "--target", "rsu/os/1.0.raucb", "--counter", 4)
        assert result.exit_code == 1
        assert "rootfs.0: it does not run; set the box up from the one that does" in result.stderr
        assert PosixStorage(tmp_path / "update").size("state-a") < 0
