"""Information items of the heavy-duty emission variant: GB 17691-2018, annex Q.

Every item has a time of its own. A value of all bits one is not available; all bits one less one is an ordinary value.
HJ 1239.3-2021 gives the types 3 to 5 layouts of their own, which are left out: an item of an unknown type is kept to
the end of the data unit, for makers differ on whether it has a length.
"""

from typing import Any, ClassVar

from protocols.core.errors import LocalProtocolError
from protocols.gbt32960.layout import Bytes, Number, Numbers, Part, Reader, Reading, Rest, Structure
from protocols.gbt32960.login import TIME

MOST_DTCS = 0xFC
"""From 253 on the count says that there are none."""

READINESS = (
    "catalyst",
    "heated catalyst",
    "evaporative system",
    "secondary air",
    "A/C refrigerant",
    "exhaust gas sensor",
    "exhaust gas sensor heater",
    "EGR or VVT",
    "cold start aid",
    "boost pressure control",
    "DPF",
    "SCR or NOx adsorber",
    "NMHC catalyst",
    "misfire",
    "fuel system",
    "comprehensive components",
)
"""Bits 0 to 15 of the diagnosis flags, supported and ready."""


class _TroubleCodes:
    """A count, then that many codes of four bytes."""

    names: tuple[str, ...] = ("dtc_count", "dtcs")

    def read(self, reader: Reader) -> list[Any]:
        count = reader.number(1, "dtcs")
        return [count, tuple(reader.number(4, "dtcs") for _ in range(count if count <= MOST_DTCS else 0))]

    def write(self, item: "Obd") -> bytes:
        if len(item.dtcs) != (item.dtc_count if item.dtc_count <= MOST_DTCS else 0):
            raise LocalProtocolError("as many codes as told", field="dtcs")
        return bytes((item.dtc_count,)) + b"".join(code.to_bytes(4, "big") for code in item.dtcs)


class Obd(Structure, frozen=True):
    """Type 1: on-board diagnosis. obd_protocol: 0 ISO 15765, 1 ISO 27145, 2 J1939, 254 invalid."""

    time: bytes
    obd_protocol: int
    mil_status: int
    diag_support_flags: int
    diag_ready_flags: int
    vin: bytes
    software_calibration_id: bytes
    cvn: bytes
    iupr: bytes
    dtc_count: int = 0
    dtcs: tuple[int, ...] = ()

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            TIME,
            Number("obd_protocol", 1),
            Number("mil_status", 1),
            Number("diag_support_flags", 2),
            Number("diag_ready_flags", 2),
            Bytes("vin", 17, "text"),
            Bytes("software_calibration_id", 18, "text"),
            Bytes("cvn", 18),
            Bytes("iupr", 36),
        ),
        _TroubleCodes(),
    )


class EngineStream(Structure, frozen=True):
    """Type 2: the engine, each second. Signs of the position stand in its status, see `items_2016`."""

    time: bytes
    speed_256th_kmh: Reading
    baro_pressure_half_kpa: Reading
    net_torque_pct: Reading
    friction_torque_pct: Reading
    engine_speed_eighth_rpm: Reading
    fuel_rate_20th_l_h: Reading
    scr_upstream_nox_20th_ppm: Reading
    scr_downstream_nox_20th_ppm: Reading
    reagent_level_4_tenth_pct: Reading
    air_flow_20th_kg_h: Reading
    scr_inlet_temp_32nd_c: Reading
    scr_outlet_temp_32nd_c: Reading
    dpf_diff_pressure_tenth_kpa: Reading
    coolant_temp_c: Reading
    fuel_level_4_tenth_pct: Reading
    position_status: int
    longitude_e6: Reading
    latitude_e6: Reading
    odometer_tenth_km: Reading

    PARTS: ClassVar[tuple[Part, ...]] = (
        Numbers(
            TIME,
            Number("speed_256th_kmh", 2, "speed_kmh", 1 / 256, nulls=1),
            Number("baro_pressure_half_kpa", 1, "baro_pressure_kpa", 0.5, nulls=1),
            Number("net_torque_pct", 1, offset=-125, nulls=1),
            Number("friction_torque_pct", 1, offset=-125, nulls=1),
            Number("engine_speed_eighth_rpm", 2, "engine_speed_rpm", 0.125, nulls=1),
            Number("fuel_rate_20th_l_h", 2, "fuel_rate_l_h", 0.05, nulls=1),
            Number("scr_upstream_nox_20th_ppm", 2, "scr_upstream_nox_ppm", 0.05, -4000, 1),
            Number("scr_downstream_nox_20th_ppm", 2, "scr_downstream_nox_ppm", 0.05, -4000, 1),
            Number("reagent_level_4_tenth_pct", 1, "reagent_level_pct", 0.4, nulls=1),
            Number("air_flow_20th_kg_h", 2, "air_flow_kg_h", 0.05, nulls=1),
            Number("scr_inlet_temp_32nd_c", 2, "scr_inlet_temp_c", 0.03125, -8736, 1),
            Number("scr_outlet_temp_32nd_c", 2, "scr_outlet_temp_c", 0.03125, -8736, 1),
            Number("dpf_diff_pressure_tenth_kpa", 2, "dpf_diff_pressure_kpa", 0.1, nulls=1),
            Number("coolant_temp_c", 1, offset=-40, nulls=1),
            Number("fuel_level_4_tenth_pct", 1, "fuel_level_pct", 0.4, nulls=1),
            Number("position_status", 1),
            Number("longitude_e6", 4, "longitude", 1e-6, nulls=1),
            Number("latitude_e6", 4, "latitude", 1e-6, nulls=1),
            Number("odometer_tenth_km", 4, "odometer_km", 0.1, nulls=1),
        ),
    )


class OtherItem(Structure, frozen=True):
    """Any other type, to the end of the data unit."""

    time: bytes
    raw: bytes

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(TIME), Rest("raw"))


TYPES: dict[int, tuple[str, type[Structure]]] = {1: ("obd", Obd), 2: ("engine_stream", EngineStream)}
