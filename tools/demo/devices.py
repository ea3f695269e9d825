"""The devices of the demonstration, in a process of their own: `python -m tools.demo.devices FOLDER SEED`.

Three Modbus units share one line of 9600 baud; a fourth has 1 000 registers behind TCP; a GNSS receiver and a card
reader have lines of their own. Their links lie in FOLDER; `truth.jsonl` beside them tells of each card that is placed.
"""

import sys
import time
from pathlib import Path
from typing import Any

from drivers.modbus.map_file import load_map
from emulators.gnss import Circle, GnssReceiver, GnssSettings
from emulators.kit.hosts import Host, PtyHost, TcpHost, run_hosts
from emulators.kit.tap import JsonLines
from emulators.modbus_server import ModbusUnit, RtuUnits, TcpUnits
from emulators.modbus_worlds import CounterWorld, MapWorld
from emulators.pn532 import Pn532Emulator
from emulators.pn532_visits import read_world

BAUD = 9600
SILENCE_S = 3.5 * 10 / BAUD
LINE_UNITS = (("meter-1", 1, "pzem_016"), ("weather-1", 2, "weather_500"), ("tilt-1", 3, "inclinometer_i32"))
"""(device, unit, register map) on the shared line."""
REGISTERS = 1000
PEOPLE = ("anna", "bo", "chen", "dilnur", "emre")
VISIT_EVERY_S = 2.4


def people(seed: int) -> dict[str, Any]:
    """Five people, each with a card of their own, who come by one after the other."""
    cards = []
    for number, name in enumerate(PEOPLE):
        cards.append(
            {
                "name": name,
                "kind": "type_b" if number == 3 else "type_a",
                "uid": f"{seed & 0xFF:02x}{number:02x}a1b2" + ("" if number == 3 else "c3d4e5"),
                "visit": [{"at_s": 1.0 + number * VISIT_EVERY_S, "for_s": 0.9, "every_s": len(PEOPLE) * VISIT_EVERY_S}],
            }
        )
    return {"card": cards}


def make_hosts(folder: Path, seed: int, truth: JsonLines) -> list[Host]:
    """Every device in its place."""
    units = []
    for number, (_device, unit_id, name) in enumerate(LINE_UNITS):
        unit = ModbusUnit(unit_id, delay_s=0.01)
        MapWorld(unit, load_map(name), seed=seed + number)
        units.append(unit)
    counter = ModbusUnit(1)
    CounterWorld(counter, registers=REGISTERS)
    gnss = GnssReceiver(
        seed=seed, wall_ms=lambda: time.time_ns() // 1_000_000, settings=GnssSettings(track=Circle(), talker="GN")
    )
    cards, visits = read_world(people(seed))
    reader = Pn532Emulator(
        cards, visits, on_truth=lambda now, what, card: truth.write({"at": now, "what": what, "card": card})
    )
    return [
        PtyHost([RtuUnits(units, silence_s=SILENCE_S)], baud=BAUD, silence_s=SILENCE_S, link=folder / "rs485"),
        TcpHost(lambda: TcpUnits([counter])),
        PtyHost([gnss], baud=BAUD, link=folder / "gnss"),
        PtyHost([reader], link=folder / "reader"),
    ]


def main() -> None:
    """Run until SIGTERM."""
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    with JsonLines(folder / "truth.jsonl") as truth:
        run_hosts(lambda: make_hosts(folder, seed, truth))


if __name__ == "__main__":
    main()
