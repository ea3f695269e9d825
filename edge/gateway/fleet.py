"""The devices of one configuration: built, started, and taken over into the next configuration one by one.

A device whose table did not change goes on polling through a change of configuration; one whose table changed restarts
alone; a bus that changed takes its devices with it. A device may be switched off by command: that is remembered beside
the configuration and never changes it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from drivers.catalogue import build_bus, build_driver, entry_of
from drivers.clock import Clock
from drivers.device_config import DeviceConfig
from drivers.driver import Driver
from drivers.errors import DeviceConfigError, DriverError
from drivers.modbus.config import BusConfig
from drivers.readings import Readings
from drivers.text import _
from edge.gateway.durable import decode_kept, encode_kept, replace_file
from edge.gateway.recorder import LostDevice
from edge.gateway.stream import block_names, spans_of
from edge.gateway.supervisor import Supervisor, Ward, WardState
from edge.identity.pseudonym import Pseudonym, PseudonymKeyError
from protocols.wayside.state import CatalogueDevice, CataloguePoint, catalogue_digest


class FleetConfig(Protocol):
    """What the fleet reads of a configuration."""

    @property
    def device(self) -> tuple[DeviceConfig, ...]:
        """`[[device]]`."""

    @property
    def bus(self) -> tuple[BusConfig, ...]:
        """`[[bus]]`."""


class _BusWard:
    """A bus as the supervisor keeps it, under a name that no device can have."""

    def __init__(self, bus: Any) -> None:
        self.bus = bus
        self.name = f"bus {bus.name}"

    async def run(self) -> None:
        await self.bus.run()


class _KeyedWard:
    """A driver that sees people, as the supervisor keeps it: it opens no port while nobody could stay unknown."""

    def __init__(self, driver: Driver, pseudonym: Pseudonym) -> None:
        self.name = driver.name
        self._driver = driver
        self._pseudonym = pseudonym

    async def run(self) -> None:
        try:
            self._pseudonym.open()
        except PseudonymKeyError as error:
            raise DeviceConfigError(str(error)) from error
        await self._driver.run()


class Fleet:
    """All devices and buses that run."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        clock: Clock,
        readings: Readings,
        pseudonym: Pseudonym,
        directory: Path,
    ) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._readings = readings
        self._pseudonym = pseudonym
        self._disabled_file = directory / "disabled.json"
        self._disabled: set[str] = set()
        self._buses: dict[str, tuple[BusConfig, _BusWard]] = {}
        self._devices: dict[str, tuple[DeviceConfig, Driver]] = {}
        self._lock = asyncio.Lock()

    def open(self) -> None:
        """Remember which devices were switched off. A memory that the disk has damaged switches nothing off."""
        self._disabled = set()
        with contextlib.suppress(FileNotFoundError):
            self._disabled.update(decode_kept(self._disabled_file.read_bytes(), list[str]) or ())

    # Changes ----------------------------------------------------------------------------------------------------

    async def apply(self, config: FleetConfig, *, on_built: Callable[[], None]) -> None:
        """Go over to another configuration. `on_built` is called when the new devices exist and none has started."""
        async with self._lock:
            buses = {bus.name: bus for bus in config.bus}
            devices = {device.name: device for device in config.device}
            changed_buses = {name for name, (old, _ward) in self._buses.items() if buses.get(name) != old}
            gone = {
                name
                for name, (old, _driver) in self._devices.items()
                if devices.get(name) != old or old.bus in changed_buses
            }
            await asyncio.gather(*(self._take_out(name) for name in gone))
            for name in changed_buses:
                await self._supervisor.forget(self._buses.pop(name)[1].name)
            fresh_buses = [name for name in buses if name not in self._buses]
            for name in fresh_buses:
                self._buses[name] = buses[name], _BusWard(build_bus(buses[name], self._clock))
            fresh = [name for name in devices if name not in self._devices]
            for name in fresh:
                self._devices[name] = devices[name], self._build(devices[name])
            on_built()
            for name in fresh_buses:
                self._supervisor.start(self._buses[name][1])
            for name in fresh:
                if name not in self._disabled:
                    self._supervisor.start(self._ward_of(name))

    async def stop(self) -> None:
        """Stop every device and bus; what they have made is still recorded and sent."""
        names = [name for name in self._devices if name not in self._disabled]
        await asyncio.gather(*(self._supervisor.stop(name) for name in names))
        await asyncio.gather(*(self._supervisor.stop(ward.name) for _config, ward in self._buses.values()))

    async def set_enabled(self, name: str, *, is_enabled: bool) -> None:
        """Switch a device off or on, durably. Raises `DriverError`: no such device, or the disk refuses to remember."""
        async with self._lock:
            self._driver(name)
            if is_enabled == (name not in self._disabled):
                return
            disabled = self._disabled ^ {name}
            try:
                replace_file(self._disabled_file, encode_kept(sorted(disabled)))
            except OSError as error:
                raise DriverError(f"{self._disabled_file}: {error.strerror}") from error
            self._disabled = disabled
            if is_enabled:
                self._supervisor.start(self._ward_of(name))
            else:
                await self._supervisor.stop(name)

    async def try_again(self) -> None:
        """A person says that what was missing is there: whoever has given up starts again."""
        async with self._lock:
            wards = [self._ward_of(name) for name in self._devices if name not in self._disabled]
            for ward in [*wards, *(bus for _config, bus in self._buses.values())]:
                if self._supervisor.status_of(ward.name)["state"] == WardState.GIVEN_UP.value:
                    await self._supervisor.stop(ward.name)
                    self._supervisor.start(ward)

    async def command(self, device: str, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Have a device do something. Raises `DriverError`."""
        driver = self._driver(device)
        if device in self._disabled:
            raise DeviceConfigError(_("{device} is switched off").format(device=device))
        return await driver.command(operation, arguments)

    def _driver(self, name: str) -> Driver:
        if name not in self._devices:
            raise DeviceConfigError(_("no device is called {device}").format(device=name))
        return self._devices[name][1]

    def _build(self, config: DeviceConfig) -> Driver:
        bus = self._buses[config.bus][1].bus if config.bus is not None else None
        return build_driver(config, bus=bus, readings=self._readings, clock=self._clock, pseudonym=self._pseudonym)

    def _ward_of(self, name: str) -> Ward:
        config, driver = self._devices[name]
        return _KeyedWard(driver, self._pseudonym) if entry_of(config).sees_people else driver

    async def _take_out(self, name: str) -> None:
        del self._devices[name]
        await self._supervisor.forget(name)

    # What is there ----------------------------------------------------------------------------------------------

    def drivers(self) -> Mapping[str, tuple[DeviceConfig, Driver]]:
        """Every device, by name."""
        return self._devices

    def catalogue(self) -> tuple[str, dict[str, CatalogueDevice], dict[str, list[str]]]:
        """(digest, devices, blocks) of what is there now."""
        devices = {}
        blocks = {}
        for name, (config, driver) in self._devices.items():
            points = {
                point.name: CataloguePoint(
                    type=point.type,
                    unit=point.unit,
                    min=point.min,
                    max=point.max,
                    period_s=getattr(config, "period_s", None),
                    title=point.title,
                )
                for point in driver.points
            }
            register_map = getattr(config, "map", None)
            devices[name] = CatalogueDevice(
                driver=str(type(config).__struct_config__.tag),
                map=register_map if isinstance(register_map, str) else None,
                asset=config.asset,
                points=points,
            )
            if points:
                spans = spans_of(driver.points, is_compact=True)
                for block, (first, last) in zip(block_names(name, driver.points), spans, strict=True):
                    blocks[block] = list(points)[first:last]
        return catalogue_digest(devices, blocks), devices, blocks

    def status(self, lost: Mapping[str, LostDevice], now: float) -> dict[str, Any]:
        """Every device: whether it runs, how it is by its own account, its starts, and what is or was wrong with it."""
        document: dict[str, Any] = {}
        for name, (config, driver) in self._devices.items():
            ward: dict[str, Any] = {"state": "disabled", "starts": 0, "error": None}
            if name not in self._disabled:
                ward = self._supervisor.status_of(name)
            silence = lost.get(name)
            own = driver.status()
            document[name] = {
                **own,
                "driver": type(config).__struct_config__.tag,
                **ward,
                "error": ward["error"] or own.get("error"),
                "condition": own.get("state"),
                "lost_s": None if silence is None else round(now - silence.since, 1),
                "lost_why": None if silence is None else silence.why,
            }
        return document

    def bus_status(self) -> dict[str, Any]:
        """Every bus with its state."""
        return {
            name: {**ward.bus.status(), **self._supervisor.status_of(ward.name)}
            for name, (_c, ward) in self._buses.items()
        }


def tell_failure(readings: Readings) -> Callable[[str, DriverError], None]:
    """What the supervisor calls when a ward fails: a device is lost; a bus tells of its devices itself."""

    def tell(name: str, error: DriverError) -> None:
        if not name.startswith("bus "):
            readings.device_lost(name, error)

    return tell
