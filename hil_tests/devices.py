"""Emulated devices as end-to-end tests want them: a counter behind TCP, a receiver, a reader with people."""

import time
from collections.abc import Callable

from emulators.gnss import GnssReceiver
from emulators.kit.hosts import PtyHost, TcpHost
from emulators.modbus_server import ModbusUnit, TcpUnits
from emulators.modbus_worlds import CounterWorld
from emulators.pn532 import Pn532Emulator
from emulators.pn532_visits import read_world


def counter(registers: int = 10, step_s: float = 0.1) -> TcpHost:
    """A Modbus TCP device whose register i holds (count + i)."""
    unit = ModbusUnit(1)
    CounterWorld(unit, registers=registers, step_s=step_s)
    return TcpHost(lambda: TcpUnits([unit]))


def counter_table(name: str, endpoint: str, *, registers: int = 10, period_s: float = 0.5) -> str:
    """Its table in a configuration."""
    return f"""
[[device]]
name = "{name}"
driver = "modbus"
port = "{endpoint}"
period_s = {period_s}
[[device.range]]
name = "raw"
table = "holding"
address = 0
count = {registers}
"""


def receiver(wall_ms: Callable[[], int] | None = None) -> PtyHost:
    """A GNSS receiver on a line of its own."""
    return PtyHost([GnssReceiver(seed=1, wall_ms=wall_ms or (lambda: time.time_ns() // 1_000_000))], baud=9600)


def receiver_table(endpoint: str) -> str:
    """Its table."""
    return f'\n[[device]]\nname = "gnss"\ndriver = "gnss"\nport = "{endpoint}"\n'


def reader(every_s: float = 1.0) -> PtyHost:
    """A card reader to which somebody holds a card again and again."""
    visit = {"at_s": 0.5, "for_s": 0.4, "every_s": every_s}
    cards, visits = read_world(
        {"card": [{"name": "anna", "kind": "type_a", "uid": "04a1b2c3d4e5f6", "visit": [visit]}]}
    )
    return PtyHost([Pn532Emulator(cards, visits)])


def reader_table(endpoint: str, *, name: str = "reader-1", debounce_s: float = 0.2) -> str:
    """Its table."""
    return (
        f'\n[[device]]\nname = "{name}"\ndriver = "card_reader"\nport = "{endpoint}"\n'
        f"poll_s = 0.05\ndebounce_s = {debounce_s}\n"
    )
