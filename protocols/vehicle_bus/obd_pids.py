"""The PIDs of service 01 that are read as a number (SAE J1979 / ISO 15031-5, annex B).

value = raw x multiplier / divisor + offset, raw being the whole value, the first byte highest. Scales were held against
python-OBD; 61, 62, 63 and A6 are from memory.

>>> PIDS[0x0C].value(bytes.fromhex("1AF8"))
1726.0
"""

from collections.abc import Mapping

import msgspec

from protocols.core.errors import LocalProtocolError
from protocols.vehicle_bus.signals import Number

SUPPORTED_STEP = 0x20
"""PID 00, 20, 40 .. E0 tell which of the next 32 there are."""
MONITOR_STATUS = 0x01
FUEL_SYSTEM = 0x03


class PidRow(msgspec.Struct, frozen=True):
    """A PID and how it counts."""

    pid: int
    key: str
    size: int
    multiplier: int = 1
    divisor: int = 1
    offset: int = 0

    def value(self, data: bytes) -> Number:
        """The number that these bytes say."""
        raw = int.from_bytes(data, "big")
        if self.divisor == 1:
            return raw * self.multiplier + self.offset
        return raw * self.multiplier / self.divisor + self.offset

    def octets(self, value: Number) -> bytes:
        """The nearest bytes. Raises `LocalProtocolError` for what they cannot hold."""
        scaled = (value - self.offset) * self.divisor / self.multiplier
        last = (1 << 8 * self.size) - 1
        if not -0.5 <= scaled < last + 0.5:
            highest = last * self.multiplier / self.divisor + self.offset
            raise LocalProtocolError(f"{value} is not {self.offset} to {highest}", field=self.key)
        return round(scaled).to_bytes(self.size, "big")


def _percent(pid: int, key: str) -> PidRow:
    return PidRow(pid, key, 1, 100, 255)


def _trim(pid: int, key: str) -> PidRow:
    return PidRow(pid, key, 1, 100, 128, -100)


def _celsius(pid: int, key: str) -> PidRow:
    return PidRow(pid, key, 1, offset=-40)


def _catalyst(pid: int, place: str) -> PidRow:
    return PidRow(pid, f"catalyst_temp_{place}_c", 2, divisor=10, offset=-40)


_ROWS = (
    _percent(0x04, "engine_load_pct"),
    _celsius(0x05, "coolant_temp_c"),
    _trim(0x06, "short_trim_1_pct"),
    _trim(0x07, "long_trim_1_pct"),
    _trim(0x08, "short_trim_2_pct"),
    _trim(0x09, "long_trim_2_pct"),
    PidRow(0x0A, "fuel_pressure_kpa", 1, 3),
    PidRow(0x0B, "manifold_pressure_kpa", 1),
    PidRow(0x0C, "engine_speed_rpm", 2, divisor=4),
    PidRow(0x0D, "speed_kmh", 1),
    PidRow(0x0E, "timing_advance_deg", 1, divisor=2, offset=-64),
    _celsius(0x0F, "intake_temp_c"),
    PidRow(0x10, "maf_g_s", 2, divisor=100),
    _percent(0x11, "throttle_pct"),
    PidRow(0x1C, "obd_standard", 1),
    PidRow(0x1F, "run_time_s", 2),
    PidRow(0x21, "distance_mil_km", 2),
    PidRow(0x22, "rail_pressure_rel_kpa", 2, 79, 1000),
    PidRow(0x23, "rail_pressure_kpa", 2, 10),
    _percent(0x2C, "egr_commanded_pct"),
    _percent(0x2F, "fuel_level_pct"),
    PidRow(0x30, "warmups", 1),
    PidRow(0x31, "distance_since_clear_km", 2),
    PidRow(0x33, "baro_kpa", 1),
    _catalyst(0x3C, "b1s1"),
    _catalyst(0x3D, "b2s1"),
    _catalyst(0x3E, "b1s2"),
    _catalyst(0x3F, "b2s2"),
    PidRow(0x42, "module_voltage_v", 2, divisor=1000),
    PidRow(0x43, "absolute_load_pct", 2, 100, 255),
    PidRow(0x44, "equivalence_ratio", 2, 2, 65536),
    _percent(0x45, "relative_throttle_pct"),
    _celsius(0x46, "ambient_temp_c"),
    _percent(0x47, "throttle_b_pct"),
    _percent(0x48, "throttle_c_pct"),
    _percent(0x49, "pedal_d_pct"),
    _percent(0x4A, "pedal_e_pct"),
    _percent(0x4B, "pedal_f_pct"),
    _percent(0x4C, "throttle_commanded_pct"),
    PidRow(0x4D, "time_mil_min", 2),
    PidRow(0x4E, "time_since_clear_min", 2),
    PidRow(0x51, "fuel_type", 1),
    _percent(0x52, "ethanol_pct"),
    PidRow(0x59, "rail_pressure_abs_kpa", 2, 10),
    _percent(0x5A, "pedal_relative_pct"),
    _percent(0x5B, "hybrid_battery_pct"),
    _celsius(0x5C, "oil_temp_c"),
    PidRow(0x5D, "injection_timing_deg", 2, divisor=128, offset=-210),
    PidRow(0x5E, "fuel_rate_l_h", 2, divisor=20),
    PidRow(0x61, "demanded_torque_pct", 1, offset=-125),
    PidRow(0x62, "actual_torque_pct", 1, offset=-125),
    PidRow(0x63, "reference_torque_nm", 2),
    PidRow(0xA6, "odometer_km", 4, divisor=10),
)

PIDS: Mapping[int, PidRow] = {row.pid: row for row in _ROWS}
PIDS_BY_KEY: Mapping[str, PidRow] = {row.key: row for row in _ROWS}


def size_of(pid: int) -> int | None:
    """How many bytes the value of a PID has; None for one that has no row here."""
    if pid % SUPPORTED_STEP == 0 or pid == MONITOR_STATUS:
        return 4
    if pid == FUEL_SYSTEM:
        return 2
    row = PIDS.get(pid)
    return None if row is None else row.size


def supported_of(pid: int, data: bytes) -> list[int]:
    """Which PIDs there are after this one; the first bit is the next."""
    bits = int.from_bytes(data, "big")
    return [pid + number for number in range(1, SUPPORTED_STEP + 1) if bits >> SUPPORTED_STEP - number & 1]


def supported_octets(pid: int, supported: list[int]) -> bytes:
    """The four bytes after PID `pid` for the PIDs that there are."""
    bits = 0
    for one in supported:
        if pid < one <= pid + SUPPORTED_STEP:
            bits |= 1 << SUPPORTED_STEP - (one - pid)
    return bits.to_bytes(4, "big")
