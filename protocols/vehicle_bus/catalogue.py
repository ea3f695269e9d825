"""The parameter groups with numbers in them, and the names of the others (SAE J1939-71, J1939-73, J1939-21).

Scales were held against a public decoder (leandrogithubf/buslab-socket_full-php). SPN 5053 and 5054, and the byte
positions, are from memory of the standard.

>>> GROUPS[61444].name, [signal.spn for signal in GROUPS[61444].signals]
('EEC1', [899, 512, 513, 190])
"""

from collections.abc import Mapping

import msgspec

from protocols.vehicle_bus.signals import Signal, field, number

REQUEST = 59904
ACKNOWLEDGE = 59392
ADDRESS_CLAIMED = 60928
VEHICLE_IDENTIFICATION = 65260
COMPONENT_IDENTIFICATION = 65259
DM1 = 65226
DM2 = 65227
DM3 = 65228
DM11 = 65235
TP_CM = 60416
TP_DT = 60160


class GroupRow(msgspec.Struct, frozen=True):
    """A parameter group of at most eight bytes with numbers."""

    pgn: int
    name: str
    signals: tuple[Signal, ...]


_ROWS = (
    GroupRow(
        61444,
        "EEC1",
        (
            field(899, "torque_mode", 1, 1, 4),
            number(512, "driver_demand_torque_pct", 2, 1, offset=-125),
            number(513, "actual_torque_pct", 3, 1, offset=-125),
            number(190, "engine_speed_rpm", 4, 2, divisor=8),
        ),
    ),
    GroupRow(
        61443,
        "EEC2",
        (number(91, "accelerator_pct", 2, 1, 2, 5), number(92, "engine_load_pct", 3, 1)),
    ),
    # FB is park, no indicator here.
    GroupRow(61445, "ETC2", (number(523, "current_gear", 4, 1, offset=-125, limit=0xFC),)),
    GroupRow(
        65265,
        "CCVS1",
        (
            field(70, "parking_brake", 1, 3),
            number(84, "wheel_speed_kmh", 2, 2, divisor=256),
            field(595, "cruise_active", 4, 1),
            field(597, "brake_switch", 4, 5),
            field(598, "clutch_switch", 4, 7),
        ),
    ),
    GroupRow(
        65266,
        "LFE1",
        (
            number(183, "fuel_rate_l_h", 1, 2, divisor=20),
            number(184, "fuel_economy_inst_km_l", 3, 2, divisor=512),
            number(185, "fuel_economy_avg_km_l", 5, 2, divisor=512),
            number(51, "throttle_pct", 7, 1, 2, 5),
        ),
    ),
    GroupRow(
        65257,
        "LFC",
        (number(182, "trip_fuel_l", 1, 4, divisor=2), number(250, "total_fuel_l", 5, 4, divisor=2)),
    ),
    GroupRow(
        64777,
        "HRLFC",
        (
            number(5053, "trip_fuel_hr_l", 1, 4, divisor=1000),
            number(5054, "total_fuel_hr_l", 5, 4, divisor=1000),
        ),
    ),
    GroupRow(
        65253,
        "HOURS",
        (number(247, "engine_hours_h", 1, 4, divisor=20), number(249, "engine_revolutions", 5, 4, 1000)),
    ),
    GroupRow(
        65217,
        "VDHR",
        (number(917, "total_distance_hr_m", 1, 4, 5), number(918, "trip_distance_hr_m", 5, 4, 5)),
    ),
    GroupRow(
        65248,
        "VD",
        (number(244, "trip_distance_km", 1, 4, divisor=8), number(245, "total_distance_km", 5, 4, divisor=8)),
    ),
    GroupRow(
        65262,
        "ET1",
        (
            number(110, "coolant_temp_c", 1, 1, offset=-40),
            number(174, "fuel_temp_c", 2, 1, offset=-40),
            number(175, "oil_temp_c", 3, 2, divisor=32, offset=-273),
        ),
    ),
    GroupRow(
        65263,
        "EFL/P1",
        (
            number(94, "fuel_delivery_pressure_kpa", 1, 1, 4),
            number(98, "oil_level_pct", 3, 1, 2, 5),
            number(100, "oil_pressure_kpa", 4, 1, 4),
            number(111, "coolant_level_pct", 8, 1, 2, 5),
        ),
    ),
    GroupRow(
        65276,
        "DD1",
        (number(96, "fuel_level_pct", 2, 1, 2, 5), number(38, "fuel_level2_pct", 7, 1, 2, 5)),
    ),
    GroupRow(
        65269,
        "AMB",
        (
            number(108, "baro_kpa", 1, 1, divisor=2),
            number(171, "ambient_temp_c", 4, 2, divisor=32, offset=-273),
            number(172, "inlet_air_temp_c", 6, 1, offset=-40),
        ),
    ),
    GroupRow(
        65270,
        "IC1",
        (
            number(102, "boost_kpa", 2, 1, 2),
            number(105, "manifold_temp_c", 3, 1, offset=-40),
            number(173, "exhaust_temp_c", 6, 2, divisor=32, offset=-273),
        ),
    ),
    GroupRow(
        65271,
        "VEP1",
        (number(168, "battery_v", 5, 2, divisor=20), number(158, "keyswitch_battery_v", 7, 2, divisor=20)),
    ),
    GroupRow(61450, "EGF1", (number(132, "air_flow_kg_h", 3, 2, divisor=20),)),
    GroupRow(
        65110,
        "AT1T1I",
        (number(1761, "def_level_pct", 1, 1, 2, 5), number(3031, "def_temp_c", 2, 1, offset=-40)),
    ),
    GroupRow(61454, "AT1IG1", (number(3216, "nox_in_ppm", 1, 2, divisor=20, offset=-200),)),
    GroupRow(61455, "AT1OG1", (number(3226, "nox_out_ppm", 1, 2, divisor=20, offset=-200),)),
    GroupRow(65132, "TCO1", (number(1624, "tachograph_speed_kmh", 7, 2, divisor=256),)),
)

GROUPS: Mapping[int, GroupRow] = {row.pgn: row for row in _ROWS}

NAMES: Mapping[int, str] = {
    **{row.pgn: row.name for row in _ROWS},
    VEHICLE_IDENTIFICATION: "VI",
    COMPONENT_IDENTIFICATION: "CI",
    DM1: "DM1",
    DM2: "DM2",
    DM3: "DM3",
    DM11: "DM11",
    REQUEST: "Request",
    ACKNOWLEDGE: "Acknowledge",
    ADDRESS_CLAIMED: "Address claimed",
    TP_CM: "TP.CM",
    TP_DT: "TP.DT",
}
