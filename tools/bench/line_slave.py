"""A Modbus unit on a byte-paced line, in a process of its own: `python -m tools.bench.line_slave BAUD REGISTERS`."""

import sys

from emulators.kit.hosts import PtyHost, run_hosts
from emulators.modbus_server import ModbusUnit, RtuUnits
from protocols.modbus_devices.timing import LineTiming


def main() -> None:
    """Run until SIGTERM."""
    baud, registers = int(sys.argv[1]), int(sys.argv[2])
    silence_s = LineTiming(baud=baud, bits_per_char=10).t3_5_ms / 1000
    unit = ModbusUnit(1)
    unit.set_registers("holding", 0, range(registers))
    run_hosts(lambda: [PtyHost([RtuUnits([unit], silence_s=silence_s)], baud=baud, silence_s=silence_s)])


if __name__ == "__main__":
    main()
