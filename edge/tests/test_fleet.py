"""One configuration after another: what did not change goes on, what changed restarts alone, and a way back is left."""

import asyncio
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drivers.card_reader import CardReaderConfig
from drivers.device_config import DeviceConfig
from drivers.errors import DeviceConfigError, DeviceRefusedError, DriverError
from drivers.modbus.config import BusConfig, ModbusDeviceConfig, RegisterRange
from drivers.readings import Point
from edge.gateway import fleet as module
from edge.gateway.fleet import Fleet, tell_failure
from edge.gateway.supervisor import Supervisor
from edge.identity.pseudonym import Pseudonym


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Device:
    """A driver that lives until it is cancelled, or fails as it is told to."""

    def __init__(self, config: DeviceConfig, bus: Any) -> None:
        self.config, self.bus = config, bus
        self.points = [Point(name="raw0", type="uint16")]
        self.error: DriverError | None = None
        self.is_running = False

    @property
    def name(self) -> str:
        return self.config.name

    async def run(self) -> None:
        if self.error is not None:
            raise self.error
        self.is_running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_running = False

    async def command(self, operation: str, arguments: Any) -> dict[str, Any]:
        return {"operation": operation} | arguments

    def status(self) -> dict[str, Any]:
        return {"state": "polling"}


class Bus:
    """A bus that lives until it is cancelled."""

    def __init__(self, config: BusConfig) -> None:
        self.name = config.name

    async def run(self) -> None:
        await asyncio.Event().wait()

    def status(self) -> dict[str, Any]:
        return {}


class Site:
    """A fleet over such devices, and every one that it has made."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.made: list[Device] = []
        self.failing: dict[str, DriverError] = {}
        self.unbuildable: set[str] = set()
        self.lost: list[str] = []
        self.built = 0
        monkeypatch.setattr(module, "build_driver", self._build)
        monkeypatch.setattr(module, "build_bus", lambda config, _clock: Bus(config))
        self.open()

    def open(self) -> None:
        recorder: Any = SimpleNamespace(device_lost=lambda device, _error: self.lost.append(device))
        self.supervisor = Supervisor(LoopClock(), tell_failure(recorder))
        self.fleet = Fleet(
            supervisor=self.supervisor,
            clock=LoopClock(),
            readings=recorder,
            pseudonym=Pseudonym(self.folder / "pseudonym.key"),
            directory=self.folder,
        )
        self.fleet.open()

    def _build(self, config: DeviceConfig, *, bus: Any, **_parts: Any) -> Device:
        if config.name in self.unbuildable:
            raise DeviceConfigError(f"{config.name}: no such thing")
        device = Device(config, bus)
        device.error = self.failing.get(config.name)
        self.made.append(device)
        return device

    async def apply(self, *devices: DeviceConfig, buses: tuple[BusConfig, ...] = ()) -> None:
        def count() -> None:
            self.built += 1
            assert all(device.name in self.fleet.drivers() for device in devices), "all of them exist"

        await self.fleet.apply(SimpleNamespace(device=devices, bus=buses), on_built=count)
        await asyncio.sleep(0)

    def starts(self) -> dict[str, int]:
        return {name: ward["starts"] for name, ward in self.fleet.status({}, 0.0).items()}

    def states(self) -> dict[str, str]:
        return {name: ward["state"] for name, ward in self.fleet.status({}, 0.0).items()}

    def running(self) -> list[str]:
        return sorted(device.name for device in self.made if device.is_running)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)


def meter(name: str, *, unit_id: int = 1, bus: str | None = None) -> ModbusDeviceConfig:
    port = "tcp:127.0.0.1:1" if bus is None else None
    registers = (RegisterRange(name="raw", table="holding", address=0, count=1),)
    return ModbusDeviceConfig(name=name, unit_id=unit_id, bus=bus, port=port, range=registers)


def line(name: str = "b1", *, port: str = "pty:/dev/pts/1") -> BusConfig:
    return BusConfig(name=name, port=port)


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    standing = Site(tmp_path, monkeypatch)
    yield standing
    await standing.fleet.stop()
    await standing.supervisor.stop_all()
    assert standing.running() == []


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "replace_file", refuse)
        yield


async def test_an_equal_configuration_restarts_nothing(site: Site) -> None:
    """Row 2 of docs/field_failures.md."""
    await site.apply(meter("m1"), meter("m2", bus="b1"), buses=(line(),))
    for _push in range(50):
        await site.apply(meter("m1"), meter("m2", bus="b1"), buses=(line(),))
    assert site.starts() == {"m1": 1, "m2": 1}
    assert site.fleet.bus_status()["b1"]["starts"] == 1
    assert len(site.made) == 2


async def test_a_changed_device_restarts_alone(site: Site) -> None:
    await site.apply(meter("m1"), meter("m2", bus="b1"), meter("m3", bus="b1"), buses=(line(),))
    await site.apply(meter("m1"), meter("m2", bus="b1", unit_id=7), meter("m3", bus="b1"), buses=(line(),))
    assert [device.name for device in site.made] == ["m1", "m2", "m3", "m2"]
    assert site.running() == ["m1", "m2", "m3"]
    assert site.fleet.bus_status()["b1"]["starts"] == 1


async def test_a_changed_bus_takes_its_devices_with_it_and_no_other(site: Site) -> None:
    two = (line("b1"), line("b2"))
    await site.apply(meter("m1"), meter("m2", bus="b1"), meter("m3", bus="b2"), buses=two)
    moved = (line("b1", port="pty:/dev/pts/9"), line("b2"))
    await site.apply(meter("m1"), meter("m2", bus="b1"), meter("m3", bus="b2"), buses=moved)
    assert [device.name for device in site.made] == ["m1", "m2", "m3", "m2"]
    old, new = site.made[1], site.made[3]
    assert not old.is_running
    assert new.bus is not old.bus
    assert site.running() == ["m1", "m2", "m3"]


async def test_a_device_that_is_taken_out_stops_and_one_that_is_put_in_starts(site: Site) -> None:
    await site.apply(meter("m1"), meter("m2"))
    await site.apply(meter("m2"), meter("m3"))
    assert site.running() == ["m2", "m3"]
    assert site.starts() == {"m2": 1, "m3": 1}


async def test_a_driver_that_fails_stops_no_other(site: Site) -> None:
    site.failing = {"m1": DeviceConfigError("no such register"), "m2": DeviceRefusedError("busy")}
    await site.apply(meter("m1"), meter("m2"), meter("m3"))
    await site.until(lambda: site.states() == {"m1": "given up", "m2": "waiting", "m3": "running"})
    assert sorted(set(site.lost)) == ["m1", "m2"]
    assert site.fleet.status({}, 0.0)["m1"]["error"] == "no such register"


async def test_a_device_that_was_given_up_starts_again_when_its_table_changes(site: Site) -> None:
    site.failing = {"m1": DeviceConfigError("no such register")}
    await site.apply(meter("m1"))
    await site.until(lambda: site.states() == {"m1": "given up"})
    site.failing = {}
    await site.apply(meter("m1", unit_id=2))
    await site.until(lambda: site.states() == {"m1": "running"})
    assert [device.config.unit_id for device in site.made] == [1, 2]
    assert site.running() == ["m1"]


async def test_switched_off_it_stays_off_over_a_restart_and_a_change_until_it_is_switched_on(site: Site) -> None:
    """Row 4 of docs/field_failures.md."""
    await site.apply(meter("m1"), meter("m2"))
    await site.fleet.set_enabled("m1", is_enabled=False)
    await site.fleet.set_enabled("m1", is_enabled=False)
    assert site.running() == ["m2"]
    with pytest.raises(DeviceConfigError, match="switched off"):
        await site.fleet.command("m1", "modbus.write", {})
    await site.fleet.stop()
    site.open()
    await site.apply(meter("m1"), meter("m2"))
    assert site.states() == {"m1": "disabled", "m2": "running"}
    await site.apply(meter("m1", unit_id=3), meter("m2"))
    assert site.states() == {"m1": "disabled", "m2": "running"}
    await site.fleet.set_enabled("m1", is_enabled=True)
    await site.until(lambda: site.running() == ["m1", "m2"])
    assert await site.fleet.command("m1", "modbus.write", {"value": 1}) == {"operation": "modbus.write", "value": 1}


async def test_switching_off_and_on_leaves_the_catalogue_as_it_is(site: Site) -> None:
    """Row 4 of docs/field_failures.md: nothing that names the configuration changes."""
    await site.apply(meter("m1"), meter("m2"))
    digest = site.fleet.catalogue()[0]
    await site.fleet.set_enabled("m1", is_enabled=False)
    assert site.fleet.catalogue()[0] == digest
    await site.fleet.set_enabled("m1", is_enabled=True)
    assert site.fleet.catalogue()[0] == digest


async def test_an_unknown_device_is_refused_by_name(site: Site) -> None:
    with pytest.raises(DeviceConfigError, match="m9"):
        await site.fleet.set_enabled("m9", is_enabled=False)
    with pytest.raises(DeviceConfigError, match="m9"):
        await site.fleet.command("m9", "modbus.write", {})


@pytest.mark.usefixtures("full_disk")
async def test_what_the_disk_will_not_remember_is_not_done(site: Site) -> None:
    await site.apply(meter("m1"))
    with pytest.raises(DriverError, match="No space left"):
        await site.fleet.set_enabled("m1", is_enabled=False)
    assert site.running() == ["m1"]
    assert site.states() == {"m1": "running"}


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[1]", b"\xff\x00", b'["\xff"]'])
async def test_a_damaged_memory_of_what_is_off_starts_everything(site: Site, rubbish: bytes) -> None:
    (site.folder / "disabled.json").write_bytes(rubbish)
    site.open()
    await site.apply(meter("m1"))
    assert site.running() == ["m1"]


async def test_a_configuration_that_cannot_be_built_leaves_a_way_back(site: Site) -> None:
    """Devices and a bus of the refused configuration existed already and had never started."""
    old = (meter("m1"), meter("m2", bus="b1")), (line(),)
    await site.apply(*old[0], buses=old[1])
    site.unbuildable = {"m9"}
    with pytest.raises(DeviceConfigError, match="m9"):
        await site.apply(
            meter("m1", unit_id=5), meter("m2", bus="b1"), meter("m3", bus="b2"), meter("m9"),
            buses=(line("b1", port="pty:/dev/pts/7"), line("b2")),
        )  # fmt: skip
    await site.apply(*old[0], buses=old[1])
    assert site.running() == ["m1", "m2"]
    assert set(site.states()) == {"m1", "m2"}
    assert set(site.fleet.bus_status()) == {"b1"}


async def test_a_catalogue_that_is_refused_leaves_a_way_back(site: Site) -> None:
    def refuse() -> None:
        raise DeviceConfigError("the catalogue does not fit")

    await site.apply(meter("m1"))
    with pytest.raises(DeviceConfigError, match="does not fit"):
        await site.fleet.apply(SimpleNamespace(device=(meter("m1", unit_id=2), meter("m2")), bus=()), on_built=refuse)
    assert site.states() == {"m1": "stopped", "m2": "stopped"}
    await site.apply(meter("m1"))
    assert site.running() == ["m1"]


async def test_it_can_be_stopped_between_building_and_starting(site: Site) -> None:
    def refuse() -> None:
        raise DeviceConfigError("the catalogue does not fit")

    with pytest.raises(DeviceConfigError):
        await site.fleet.apply(SimpleNamespace(device=(meter("m1", bus="b1"),), bus=(line(),)), on_built=refuse)
    await site.fleet.stop()


# Who sees people


def reader(name: str) -> CardReaderConfig:
    return CardReaderConfig(name=name, port="tcp:127.0.0.1:1")


async def test_without_the_key_nobody_who_sees_people_runs_and_all_others_do(site):
    await site.apply(meter("m1"), reader("r1"), reader("r2"))
    await site.until(lambda: site.states() == {"m1": "running", "r1": "given up", "r2": "given up"})
    assert site.running() == ["m1"]
    assert sorted(site.lost) == ["r1", "r2"]
    await site.fleet.set_enabled("r1", is_enabled=False)
    await site.fleet.set_enabled("r1", is_enabled=True)
    await site.until(lambda: site.states()["r1"] == "given up")
    assert site.running() == ["m1"]


async def test_whoever_has_given_up_is_tried_again_when_a_person_says_so_and_nobody_else(site):
    site.failing["m2"] = DeviceConfigError("no such register")
    await site.apply(meter("m1"), meter("m2"), reader("r1"), reader("r2"))
    await site.until(lambda: list(site.states().values()) == ["running", "given up", "given up", "given up"])
    await site.fleet.set_enabled("r2", is_enabled=False)
    (site.folder / "pseudonym.key").write_bytes(bytes(32))
    await site.fleet.try_again()
    await site.until(lambda: site.running() == ["m1", "r1"])
    await site.until(lambda: site.states()["m2"] == "given up")
    assert site.starts() == {"m1": 1, "m2": 2, "r1": 2, "r2": 0}
    await site.fleet.set_enabled("r2", is_enabled=True)
    await site.until(lambda: site.running() == ["m1", "r1", "r2"])
