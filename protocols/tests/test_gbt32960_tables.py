"""GB/T 32960: every table of numbers against a second transcription, row by row, by what a message says."""

import pytest

from protocols.gbt32960 import heavy_items, items_2016, items_2025
from protocols.gbt32960.layout import ABNORMAL, Array, Bytes, Items, Number, Numbers, Structure
from protocols.gbt32960.readable import readable_of

# key, bytes, scale, offset of the value, null codes: N both, 1 all ones only, - none
VEHICLE_2025 = """
    vehicle_status 1 1 0 -  charge_status 1 1 0 -  run_mode 1 1 0 -  speed_kmh 2 0.1 0 N  odometer_km 4 0.1 0 N
    total_voltage_v 2 0.1 0 N  total_current_a 2 0.1 -3000 N  soc_pct 1 1 0 N  dcdc_status 1 1 0 -  gear_raw 1 1 0 -
    insulation_kohm 2 1 0 N
"""
HYDROGEN = """
    h2_max_temp_c 2 0.1 -40 N  h2_max_temp_probe 1 1 0 -  h2_max_conc_raw 2 1 0 -  h2_max_conc_sensor 1 1 0 -
    h2_max_pressure_mpa 2 0.1 0 N  h2_max_pressure_sensor 1 1 0 -  dcdc_status 1 1 0 -
"""
TABLES: dict[type[Structure], str] = {
    items_2016.Vehicle: VEHICLE_2025.replace("-3000", "-1000").replace("kohm 2 1 0 N", "kohm 2 1 0 -")
    + "accelerator_pct 1 1 0 N  brake_pct 1 1 0 -",
    items_2025.Vehicle: VEHICLE_2025,
    items_2016.Motor: """
        motor_no 1 1 0 -  motor_status 1 1 0 -  controller_temp_c 1 1 -40 N  speed_rpm 2 1 -20000 N
        torque_nm 2 0.1 -2000 N  motor_temp_c 1 1 -40 N  controller_voltage_v 2 0.1 0 N
        dc_bus_current_a 2 0.1 -1000 N
    """,
    items_2025.Motor: """
        motor_no 1 1 0 -  motor_status 1 1 0 -  controller_temp_c 1 1 -40 N  speed_rpm 2 1 -32000 N
        torque_nm 4 0.1 -20000 N  motor_temp_c 1 1 -40 N
    """,
    items_2016.FuelCell: "voltage_v 2 0.1 0 N  current_a 2 0.1 0 N  fuel_rate_kg_100km 2 0.01 0 N"
    "  [] 2 probe_temps_c 1 1 -40 N " + HYDROGEN,
    items_2025.FuelCell: HYDROGEN + "h2_remaining_pct 1 1 0 N  dcdc_temp_c 1 1 -40 N",
    items_2016.Engine: "engine_status 1 1 0 -  crank_speed_rpm 2 1 0 N  fuel_rate_l_100km 2 0.01 0 N",
    items_2025.Engine: "crank_speed_rpm 2 1 0 N",
    items_2016.Position: "position_status 1 1 0 -  longitude 4 1e-6 0 N  latitude 4 1e-6 0 N",
    items_2025.Position: """
        position_status 1 1 0 -  coordinate_system 1 1 0 -  longitude 4 1e-6 0 N  latitude 4 1e-6 0 N
    """,
    items_2016.Extremes: """
        max_voltage_subsystem 1 1 0 -  max_voltage_cell 1 1 0 -  max_cell_voltage_v 2 0.001 0 N
        min_voltage_subsystem 1 1 0 -  min_voltage_cell 1 1 0 -  min_cell_voltage_v 2 0.001 0 N
        max_temp_subsystem 1 1 0 -  max_temp_probe 1 1 0 -  max_temp_c 1 1 -40 N
        min_temp_subsystem 1 1 0 -  min_temp_probe 1 1 0 -  min_temp_c 1 1 -40 N
    """,
    items_2016.SubsystemVoltage: """
        subsystem_no 1 1 0 -  voltage_v 2 0.1 0 N  current_a 2 0.1 -1000 N  cell_count 2 1 0 -
        frame_start_cell 2 1 0 -  [] 1 cell_voltages_v 2 0.001 0 N
    """,
    items_2025.PackVoltage: """
        pack_no 1 1 0 -  voltage_v 2 0.1 0 N  current_a 2 0.1 -3000 N  [] 2 cell_voltages_v 2 0.001 0 N
    """,
    items_2016.SubsystemTemperature: "subsystem_no 1 1 0 -  [] 2 probe_temps_c 1 1 -40 N",
    items_2025.PackTemperature: "pack_no 1 1 0 -  [] 2 probe_temps_c 1 1 -40 N",
    items_2025.FaultLevel: "alarm_bit 1 1 0 -  level 1 1 0 -",
    items_2025.Stack: """
        stack_no 1 1 0 -  voltage_v 2 0.1 0 N  current_a 2 0.1 0 N  h2_inlet_pressure_raw 2 1 0 -
        air_inlet_pressure_raw 2 1 0 -  air_inlet_temp_raw 1 1 0 -  [] 2 probe_temps_raw 1 1 0 -
    """,
    items_2025.Supercapacitor: """
        system_no 1 1 0 -  voltage_v 2 0.1 0 N  current_a 2 0.1 -3000 N  [] 2 cell_voltages_v 2 0.001 0 N
        [] 2 probe_temps_c 1 1 -40 N
    """,
    items_2025.SupercapacitorExtremes: """
        max_voltage_system 1 1 0 -  max_voltage_cell 2 1 0 -  max_cell_voltage_v 2 0.001 0 N
        min_voltage_system 1 1 0 -  min_voltage_cell 2 1 0 -  min_cell_voltage_v 2 0.001 0 N
        max_temp_system 1 1 0 -  max_temp_probe 2 1 0 -  max_temp_c 1 1 -40 N
        min_temp_system 1 1 0 -  min_temp_probe 2 1 0 -  min_temp_c 1 1 -40 N
    """,
    heavy_items.EngineStream: """
        time 6  speed_kmh 2 0.00390625 0 1  baro_pressure_kpa 1 0.5 0 1  net_torque_pct 1 1 -125 1
        friction_torque_pct 1 1 -125 1  engine_speed_rpm 2 0.125 0 1  fuel_rate_l_h 2 0.05 0 1
        scr_upstream_nox_ppm 2 0.05 -200 1  scr_downstream_nox_ppm 2 0.05 -200 1  reagent_level_pct 1 0.4 0 1
        air_flow_kg_h 2 0.05 0 1  scr_inlet_temp_c 2 0.03125 -273 1  scr_outlet_temp_c 2 0.03125 -273 1
        dpf_diff_pressure_kpa 2 0.1 0 1  coolant_temp_c 1 1 -40 1  fuel_level_pct 1 0.4 0 1  position_status 1 1 0 -
        longitude 4 1e-6 0 1  latitude 4 1e-6 0 1  odometer_km 4 0.1 0 1
    """,
}
COUNT_BYTES = {
    items_2016.DriveMotors: ("motors", items_2016.Motor),
    items_2025.DriveMotors: ("motors", items_2025.Motor),
    items_2016.BatteryVoltage: ("subsystems", items_2016.SubsystemVoltage),
    items_2025.BatteryVoltage: ("subsystems", items_2025.PackVoltage),
    items_2016.BatteryTemperature: ("subsystems", items_2016.SubsystemTemperature),
    items_2025.BatteryTemperature: ("subsystems", items_2025.PackTemperature),
    items_2025.FuelCellStacks: ("stacks", items_2025.Stack),
}


def spoken(row: Number) -> str:
    """A row in the words of the transcription."""
    offset = round(row.offset * row.scale, 6)
    nulls = {0: "-", 1: "1", 2: "N"}[row.nulls]
    return f"{row.readable_key} {row.size} {row.scale:g} {offset:g} {nulls}"


def plain(text: str) -> list[str]:
    """A transcription, row by row, with its numbers as Python writes them."""
    words = [f"{float(word):g}" if word[0] in "-0123456789" and word != "-" else word for word in text.split()]
    return " ".join(words).split(" ")


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: f"{kind.__module__[-4:]}-{kind.__name__}")
def test_a_table_is_that_of_the_standard(kind: type[Structure]) -> None:
    rows: list[str] = []
    for part in kind.PARTS:
        if isinstance(part, Numbers):
            rows += [f"{row.name} {row.size}" if isinstance(row, Bytes) else spoken(row) for row in part.rows]
        else:
            assert isinstance(part, Array)
            rows.append(f"[] {part.count_size} {spoken(part.row)}")
    assert plain(" ".join(rows)) == plain(TABLES[kind])


@pytest.mark.parametrize("kind", COUNT_BYTES, ids=lambda kind: f"{kind.__module__[-4:]}-{kind.__name__}")
def test_a_list_is_counted_in_one_byte(kind: type[Structure]) -> None:
    (part,) = kind.PARTS
    assert isinstance(part, Items)
    assert (part.count_size, part.name, part.kind) == (1, *COUNT_BYTES[kind])


@pytest.mark.parametrize(
    ("row", "raw", "value"),
    [
        (Number("x", 1, nulls=2), 0xFF, None),
        (Number("x", 1, nulls=2), 0xFE, ABNORMAL),
        (Number("x", 1, offset=-40, nulls=2), 0xFD, 213),
        (Number("x", 1, nulls=1), 0xFF, None),
        (Number("x", 1, nulls=1), 0xFE, 0xFE),
        (Number("x", 1), 0xFF, 0xFF),
        (Number("x", 4, offset=-200_000, nulls=2), 0, -200_000),
    ],
)
def test_a_number_both_ways(row: Number, raw: int, value: object) -> None:
    assert row.value_of(raw) == value
    assert row.raw_of(row.value_of(raw)) == raw


def test_names_of_the_wire_and_of_the_message_are_not_mixed_up() -> None:
    for kind in TABLES:
        names = [row.name for part in kind.PARTS if isinstance(part, Numbers) for row in part.rows]
        names += [part.row.name for part in kind.PARTS if isinstance(part, Array)]
        assert sorted(names) == sorted(kind.__struct_fields__)


def test_bits_have_the_meanings_of_the_standard() -> None:
    named = {
        11: "insulation",
        16: "high-voltage interlock",
        18: "over-charge",
        23: "thermal event",
        24: "hydrogen leak",
    }
    assert {bit: items_2016.ALARM_FLAGS[bit] for bit in named} == named
    assert len(items_2016.ALARM_FLAGS) == 28
    assert {bit: heavy_items.READINESS[bit] for bit in (0, 10, 15)} == {
        0: "catalyst",
        10: "DPF",
        15: "comprehensive components",
    }
    shown = readable_of(items_2016.Position(items_2016.SOUTH | items_2016.WEST, 1_000_000, 2_000_000))
    assert (shown["longitude"], shown["latitude"]) == (-1.0, -2.0)
