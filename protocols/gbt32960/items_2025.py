"""The information items of GB/T 32960.3-2025 that differ from those of 2016.

Numbers have moved: 06 is the alarm, 07 and 08 the battery; extremes of the battery are gone, current has an offset of
-3000 A. Stacks and supercapacitors are known from one source alone, and the scales of a stack are not confirmed.

>>> from protocols.gbt32960.layout import Reader
>>> Engine.read(Reader(bytes.fromhex("fffe")))
Engine(crank_speed_rpm=ABNORMAL)
"""

from typing import ClassVar

from protocols.gbt32960.items_2016 import FAULTS, HYDROGEN, PLACE
from protocols.gbt32960.layout import Array, Blob, Counted, Items, Number, Numbers, Part, Reading, Structure

CURRENT_OFFSET = -30_000
"""-3000 A in 0.1 A."""


class Vehicle(Structure, frozen=True):
    """The whole vehicle; as in 2016 without the pedals. Bit 7 of the gear: it is not valid."""

    vehicle_status: int
    charge_status: int
    run_mode: int
    speed_tenth_kmh: Reading
    odometer_tenth_km: Reading
    total_voltage_tenth_v: Reading
    total_current_tenth_a: Reading
    soc_pct: Reading
    dcdc_status: int
    gear_raw: int
    insulation_kohm: Reading

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            Number("vehicle_status", 1),
            Number("charge_status", 1),
            Number("run_mode", 1),
            Number("speed_tenth_kmh", 2, "speed_kmh", 0.1, nulls=2),
            Number("odometer_tenth_km", 4, "odometer_km", 0.1, nulls=2),
            Number("total_voltage_tenth_v", 2, "total_voltage_v", 0.1, nulls=2),
            Number("total_current_tenth_a", 2, "total_current_a", 0.1, CURRENT_OFFSET, 2),
            Number("soc_pct", 1, nulls=2),
            Number("dcdc_status", 1),
            Number("gear_raw", 1),
            Number("insulation_kohm", 2, nulls=2),
        ),
    )


class Motor(Structure, frozen=True):
    """One drive motor. motor_status: 1 consuming, 2 generating, 3 off, 4 ready."""

    motor_no: int
    motor_status: int
    controller_temp_c: Reading
    speed_rpm: Reading
    torque_tenth_nm: Reading
    motor_temp_c: Reading

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            Number("motor_no", 1),
            Number("motor_status", 1),
            Number("controller_temp_c", 1, offset=-40, nulls=2),
            Number("speed_rpm", 2, offset=-32_000, nulls=2),
            Number("torque_tenth_nm", 4, "torque_nm", 0.1, -200_000, 2),
            Number("motor_temp_c", 1, offset=-40, nulls=2),
        ),
    )


class DriveMotors(Structure, frozen=True):
    """All drive motors."""

    motors: Counted[Motor]

    PARTS: ClassVar[tuple[Part, ...]] = (Items(1, "motors", Motor),)


class FuelCell(Structure, frozen=True):
    """The fuel cell system."""

    h2_max_temp_tenth_c: Reading
    h2_max_temp_probe: int
    h2_max_conc_raw: int
    h2_max_conc_sensor: int
    h2_max_pressure_tenth_mpa: Reading
    h2_max_pressure_sensor: int
    dcdc_status: int
    h2_remaining_pct: Reading
    dcdc_temp_c: Reading

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            *HYDROGEN,
            Number("h2_remaining_pct", 1, nulls=2),
            Number("dcdc_temp_c", 1, offset=-40, nulls=2),
        ),
    )


class Engine(Structure, frozen=True):
    """The combustion engine."""

    crank_speed_rpm: Reading

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(Number("crank_speed_rpm", 2, nulls=2)),)


class Position(Structure, frozen=True):
    """Where it is. coordinate_system: 1 WGS-84, 2 GCJ-02, 3 other."""

    position_status: int
    coordinate_system: int
    longitude_e6: Reading
    latitude_e6: Reading

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(Number("position_status", 1), Number("coordinate_system", 1), *PLACE),)


class FaultLevel(Structure, frozen=True):
    """The level of one bit of the alarm flags."""

    alarm_bit: int
    level: int

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(Number("alarm_bit", 1), Number("level", 1)),)


class Alarm(Structure, frozen=True):
    """Alarms. max_level: 0 none to 4 worst."""

    max_level: int
    alarm_flags: int
    battery_faults: Counted[int]
    motor_faults: Counted[int]
    engine_faults: Counted[int]
    other_faults: Counted[int]
    general_fault_levels: Counted[FaultLevel]

    PARTS: ClassVar[tuple[Part, ...]] = (*FAULTS, Items(1, "general_fault_levels", FaultLevel))


class PackVoltage(Structure, frozen=True):
    """Cell voltages of one pack."""

    pack_no: int
    voltage_tenth_v: Reading
    current_tenth_a: Reading
    cell_voltages_mv: Counted[Reading]

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            Number("pack_no", 1),
            Number("voltage_tenth_v", 2, "voltage_v", 0.1, nulls=2),
            Number("current_tenth_a", 2, "current_a", 0.1, CURRENT_OFFSET, 2),
        ),
        Array(2, Number("cell_voltages_mv", 2, "cell_voltages_v", 0.001, nulls=2)),
    )


class BatteryVoltage(Structure, frozen=True):
    """Cell voltages."""

    subsystems: Counted[PackVoltage]

    PARTS: ClassVar[tuple[Part, ...]] = (Items(1, "subsystems", PackVoltage),)


class PackTemperature(Structure, frozen=True):
    """Probe temperatures of one pack."""

    pack_no: int
    probe_temps_c: Counted[Reading]

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(Number("pack_no", 1)),
        Array(2, Number("probe_temps_c", 1, offset=-40, nulls=2)),
    )


class BatteryTemperature(Structure, frozen=True):
    """Probe temperatures."""

    subsystems: Counted[PackTemperature]

    PARTS: ClassVar[tuple[Part, ...]] = (Items(1, "subsystems", PackTemperature),)


class Stack(Structure, frozen=True):
    """One fuel cell stack; pressures and temperatures are not scaled, see the module."""

    stack_no: int
    voltage_tenth_v: Reading
    current_tenth_a: Reading
    h2_inlet_pressure_raw: int
    air_inlet_pressure_raw: int
    air_inlet_temp_raw: int
    probe_temps_raw: Counted[int]

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            Number("stack_no", 1),
            Number("voltage_tenth_v", 2, "voltage_v", 0.1, nulls=2),
            Number("current_tenth_a", 2, "current_a", 0.1, nulls=2),
            Number("h2_inlet_pressure_raw", 2),
            Number("air_inlet_pressure_raw", 2),
            Number("air_inlet_temp_raw", 1),
        ),
        Array(2, Number("probe_temps_raw", 1)),
    )


class FuelCellStacks(Structure, frozen=True):
    """All fuel cell stacks."""

    stacks: Counted[Stack]

    PARTS: ClassVar[tuple[Part, ...]] = (Items(1, "stacks", Stack),)


class Supercapacitor(Structure, frozen=True):
    """A supercapacitor."""

    system_no: int
    voltage_tenth_v: Reading
    current_tenth_a: Reading
    cell_voltages_mv: Counted[Reading]
    probe_temps_c: Counted[Reading]

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            Number("system_no", 1),
            Number("voltage_tenth_v", 2, "voltage_v", 0.1, nulls=2),
            Number("current_tenth_a", 2, "current_a", 0.1, CURRENT_OFFSET, 2),
        ),
        Array(2, Number("cell_voltages_mv", 2, "cell_voltages_v", 0.001, nulls=2)),
        Array(2, Number("probe_temps_c", 1, offset=-40, nulls=2)),
    )


class SupercapacitorExtremes(Structure, frozen=True):
    """The highest and the lowest voltage and temperature of supercapacitors, and where they are."""

    max_voltage_system: int
    max_voltage_cell: int
    max_cell_voltage_mv: Reading
    min_voltage_system: int
    min_voltage_cell: int
    min_cell_voltage_mv: Reading
    max_temp_system: int
    max_temp_probe: int
    max_temp_c: Reading
    min_temp_system: int
    min_temp_probe: int
    min_temp_c: Reading

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            Number("max_voltage_system", 1),
            Number("max_voltage_cell", 2),
            Number("max_cell_voltage_mv", 2, "max_cell_voltage_v", 0.001, nulls=2),
            Number("min_voltage_system", 1),
            Number("min_voltage_cell", 2),
            Number("min_cell_voltage_mv", 2, "min_cell_voltage_v", 0.001, nulls=2),
            Number("max_temp_system", 1),
            Number("max_temp_probe", 2),
            Number("max_temp_c", 1, offset=-40, nulls=2),
            Number("min_temp_system", 1),
            Number("min_temp_probe", 2),
            Number("min_temp_c", 1, offset=-40, nulls=2),
        ),
    )


class Signature(Structure, frozen=True):
    """Over the data unit from its time to the byte before this item. signature_type: 1 SM2, 2 RSA, 3 ECC."""

    signature_type: int
    r: bytes
    s: bytes

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(Number("signature_type", 1)), Blob(2, "r"), Blob(2, "s"))
