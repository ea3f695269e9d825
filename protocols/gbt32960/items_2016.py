"""The information items of GB/T 32960.3-2016, clause 7.2.3, tables 9 to 18.

>>> from protocols.gbt32960.layout import Reader
>>> engine = Engine.read(Reader(bytes.fromhex("0107d0ffff")))
>>> engine
Engine(engine_status=1, crank_speed_rpm=2000, fuel_rate_hundredth_l_100km=None)
>>> engine.write().hex()
'0107d0ffff'
"""

from typing import ClassVar

from protocols.gbt32960.layout import Array, Counted, Items, Number, Numbers, Part, Reading, Structure

CURRENT_OFFSET = -10_000
"""-1000 A in 0.1 A."""


class Vehicle(Structure, frozen=True):
    """The whole vehicle.

    vehicle_status: 1 on, 2 off, 3 other. charge_status: 1 parked charging, 2 driving charging, 3 not charging,
    4 complete. run_mode: 1 electric, 2 hybrid, 3 fuel. dcdc_status: 1 working, 2 off. gear_raw: bits 0 to 3 are 0 N,
    1 to 12 the gear, 13 R, 14 D, 15 P; bit 4 braking, bit 5 driving. brake_pct: 0 released, 101 pressed without travel.
    """

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
    insulation_kohm: int
    accelerator_pct: Reading
    brake_pct: int

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
            Number("insulation_kohm", 2),
            Number("accelerator_pct", 1, nulls=2),
            Number("brake_pct", 1),
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
    controller_voltage_tenth_v: Reading
    dc_bus_current_tenth_a: Reading

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            Number("motor_no", 1),
            Number("motor_status", 1),
            Number("controller_temp_c", 1, offset=-40, nulls=2),
            Number("speed_rpm", 2, offset=-20_000, nulls=2),
            Number("torque_tenth_nm", 2, "torque_nm", 0.1, -20_000, 2),
            Number("motor_temp_c", 1, offset=-40, nulls=2),
            Number("controller_voltage_tenth_v", 2, "controller_voltage_v", 0.1, nulls=2),
            Number("dc_bus_current_tenth_a", 2, "dc_bus_current_a", 0.1, CURRENT_OFFSET, 2),
        ),
    )


class DriveMotors(Structure, frozen=True):
    """All drive motors."""

    motors: Counted[Motor]

    PARTS: ClassVar[tuple[Part, ...]] = (Items(1, "motors", Motor),)


HYDROGEN = (
    Number("h2_max_temp_tenth_c", 2, "h2_max_temp_c", 0.1, -400, 2),
    Number("h2_max_temp_probe", 1),
    Number("h2_max_conc_raw", 2),
    Number("h2_max_conc_sensor", 1),
    Number("h2_max_pressure_tenth_mpa", 2, "h2_max_pressure_mpa", 0.1, nulls=2),
    Number("h2_max_pressure_sensor", 1),
    Number("dcdc_status", 1),
)
"""What both editions tell of the hydrogen system; the concentration is mg/kg in that of 2016."""


class FuelCell(Structure, frozen=True):
    """The fuel cell."""

    voltage_tenth_v: Reading
    current_tenth_a: Reading
    fuel_rate_hundredth_kg_100km: Reading
    probe_temps_c: Counted[Reading]
    h2_max_temp_tenth_c: Reading
    h2_max_temp_probe: int
    h2_max_conc_raw: int
    h2_max_conc_sensor: int
    h2_max_pressure_tenth_mpa: Reading
    h2_max_pressure_sensor: int
    dcdc_status: int

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            Number("voltage_tenth_v", 2, "voltage_v", 0.1, nulls=2),
            Number("current_tenth_a", 2, "current_a", 0.1, nulls=2),
            Number("fuel_rate_hundredth_kg_100km", 2, "fuel_rate_kg_100km", 0.01, nulls=2),
        ),
        Array(2, Number("probe_temps_c", 1, offset=-40, nulls=2)),
        Numbers(*HYDROGEN),
    )


class Engine(Structure, frozen=True):
    """The combustion engine. engine_status: 1 running, 2 off."""

    engine_status: int
    crank_speed_rpm: Reading
    fuel_rate_hundredth_l_100km: Reading

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            Number("engine_status", 1),
            Number("crank_speed_rpm", 2, nulls=2),
            Number("fuel_rate_hundredth_l_100km", 2, "fuel_rate_l_100km", 0.01, nulls=2),
        ),
    )


SOUTH = 1 << 1
WEST = 1 << 2
NOT_VALID = 1 << 0
"""The bits of a position's status; while it is not valid the terminal repeats the last valid position."""
PLACE = (
    Number("longitude_e6", 4, "longitude", 1e-6, nulls=2),
    Number("latitude_e6", 4, "latitude", 1e-6, nulls=2),
)
"""1e-6 degrees without a sign, which stands in the status; longitude first."""


class Position(Structure, frozen=True):
    """Where it is."""

    position_status: int
    longitude_e6: Reading
    latitude_e6: Reading

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(Number("position_status", 1), *PLACE),)


class Extremes(Structure, frozen=True):
    """The highest and the lowest cell voltage and probe temperature, and where they are."""

    max_voltage_subsystem: int
    max_voltage_cell: int
    max_cell_voltage_mv: Reading
    min_voltage_subsystem: int
    min_voltage_cell: int
    min_cell_voltage_mv: Reading
    max_temp_subsystem: int
    max_temp_probe: int
    max_temp_c: Reading
    min_temp_subsystem: int
    min_temp_probe: int
    min_temp_c: Reading

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            Number("max_voltage_subsystem", 1),
            Number("max_voltage_cell", 1),
            Number("max_cell_voltage_mv", 2, "max_cell_voltage_v", 0.001, nulls=2),
            Number("min_voltage_subsystem", 1),
            Number("min_voltage_cell", 1),
            Number("min_cell_voltage_mv", 2, "min_cell_voltage_v", 0.001, nulls=2),
            Number("max_temp_subsystem", 1),
            Number("max_temp_probe", 1),
            Number("max_temp_c", 1, offset=-40, nulls=2),
            Number("min_temp_subsystem", 1),
            Number("min_temp_probe", 1),
            Number("min_temp_c", 1, offset=-40, nulls=2),
        ),
    )


ALARM_FLAGS = (
    "temperature spread",
    "battery over-temperature",
    "pack over-voltage",
    "pack under-voltage",
    "SOC low",
    "cell over-voltage",
    "cell under-voltage",
    "SOC high",
    "SOC jump",
    "pack mismatch",
    "cell inconsistency",
    "insulation",
    "DC-DC temperature",
    "brake",
    "DC-DC status",
    "motor-controller temperature",
    "high-voltage interlock",
    "motor temperature",
    "over-charge",
    "motor over-speed",
    "motor over-current",
    "supercapacitor over-temperature",
    "supercapacitor over-pressure",
    "thermal event",
    "hydrogen leak",
    "hydrogen pressure",
    "hydrogen temperature",
    "stack over-temperature",
)
"""What bits 0 to 27 of the alarm flags mean; from 19 on since the edition of 2025."""

FAULTS: tuple[Part, ...] = (
    Numbers(Number("max_level", 1), Number("alarm_flags", 4)),
    Array(1, Number("battery_faults", 4, form="hex")),
    Array(1, Number("motor_faults", 4, form="hex")),
    Array(1, Number("engine_faults", 4, form="hex")),
    Array(1, Number("other_faults", 4, form="hex")),
)


class Alarm(Structure, frozen=True):
    """Alarms. max_level: 0 none to 3 worst. Fault codes are the maker's own."""

    max_level: int
    alarm_flags: int
    battery_faults: Counted[int]
    motor_faults: Counted[int]
    engine_faults: Counted[int]
    other_faults: Counted[int]

    PARTS: ClassVar[tuple[Part, ...]] = FAULTS


class SubsystemVoltage(Structure, frozen=True):
    """Cell voltages of one subsystem. Of more than 200 cells several frames tell, each from `frame_start_cell` on."""

    subsystem_no: int
    voltage_tenth_v: Reading
    current_tenth_a: Reading
    cell_count: int
    frame_start_cell: int
    cell_voltages_mv: Counted[Reading]

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            Number("subsystem_no", 1),
            Number("voltage_tenth_v", 2, "voltage_v", 0.1, nulls=2),
            Number("current_tenth_a", 2, "current_a", 0.1, CURRENT_OFFSET, 2),
            Number("cell_count", 2),
            Number("frame_start_cell", 2),
        ),
        Array(1, Number("cell_voltages_mv", 2, "cell_voltages_v", 0.001, nulls=2)),
    )


class BatteryVoltage(Structure, frozen=True):
    """Cell voltages."""

    subsystems: Counted[SubsystemVoltage]

    PARTS: ClassVar[tuple[Part, ...]] = (Items(1, "subsystems", SubsystemVoltage),)


class SubsystemTemperature(Structure, frozen=True):
    """Probe temperatures of one subsystem."""

    subsystem_no: int
    probe_temps_c: Counted[Reading]

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(Number("subsystem_no", 1)),
        Array(2, Number("probe_temps_c", 1, offset=-40, nulls=2)),
    )


class BatteryTemperature(Structure, frozen=True):
    """Probe temperatures."""

    subsystems: Counted[SubsystemTemperature]

    PARTS: ClassVar[tuple[Part, ...]] = (Items(1, "subsystems", SubsystemTemperature),)
