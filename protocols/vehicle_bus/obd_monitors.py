"""PID 01: the lamp, how many faults are stored, and which monitors have run (SAE J1979, table B).

    A  7 MIL   6-0 number of faults
    B  7 -     6-4 components, fuel system, misfire not ready   3 compression ignition   2-0 the same, supported
    C  7-0 monitors supported     D  7-0 not ready

>>> decode_monitors(bytes.fromhex("8307FF00")).ignition
'spark'
"""

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError

CONTINUOUS = ("misfire", "fuel_system", "components")
SPARK = (
    "catalyst",
    "heated_catalyst",
    "evaporative",
    "secondary_air",
    "ac_refrigerant",
    "oxygen_sensor",
    "oxygen_sensor_heater",
    "egr",
)
COMPRESSION = (
    "nmhc_catalyst",
    "nox_scr",
    None,
    "boost_pressure",
    None,
    "exhaust_gas_sensor",
    "pm_filter",
    "egr",
)


class Monitors(msgspec.Struct, frozen=True):
    """The four bytes of PID 01."""

    a: int
    b: int
    c: int
    d: int

    @property
    def has_lamp(self) -> bool:
        """Whether the malfunction indicator is commanded on."""
        return bool(self.a & 0x80)

    @property
    def fault_count(self) -> int:
        """How many faults are stored."""
        return self.a & 0x7F

    @property
    def ignition(self) -> str:
        """Which family of engine: its monitors differ."""
        return "compression" if self.b & 8 else "spark"

    def supported(self) -> list[str]:
        """The monitors that this engine has."""
        return [name for name, is_supported, _is_open in self._all() if is_supported]

    def incomplete(self) -> list[str]:
        """Those of them that have not run yet."""
        return [name for name, is_supported, is_open in self._all() if is_supported and is_open]

    def _all(self) -> list[tuple[str, bool, bool]]:
        rows = [(name, bool(self.b >> bit & 1), bool(self.b >> bit + 4 & 1)) for bit, name in enumerate(CONTINUOUS)]
        rows += [
            (name, bool(self.c >> bit & 1), bool(self.d >> bit & 1))
            for bit, name in enumerate(_others(self.ignition))
            if name is not None
        ]
        return rows


def decode_monitors(data: bytes) -> Monitors:
    """Read the value of PID 01. Raises `FieldError`."""
    if len(data) != 4:
        raise FieldError(f"4 bytes, not {len(data)}", field="monitor_status")
    return Monitors(*data)


def encode_monitors(monitors: Monitors) -> bytes:
    """Write the value of PID 01."""
    return bytes((monitors.a, monitors.b, monitors.c, monitors.d))


def monitors_of(
    *, has_lamp: bool, fault_count: int, ignition: str, supported: list[str], incomplete: list[str]
) -> Monitors:
    """PID 01 from what it says. Raises `LocalProtocolError`."""
    if not 0 <= fault_count <= 0x7F:
        raise LocalProtocolError(f"{fault_count} is not 0 to 127", field="dtc_count")
    if ignition not in {"spark", "compression"}:
        raise LocalProtocolError("spark or compression", field="ignition")
    others = _others(ignition)
    known = {*CONTINUOUS, *others} - {None}
    for field, names in (("monitors", supported), ("monitors_incomplete", incomplete)):
        for name in names:
            if name not in known:
                raise LocalProtocolError(f"no monitor {name!r:.40} with {ignition} ignition", field=field)
    b = sum((name in supported) << bit | (name in incomplete) << bit + 4 for bit, name in enumerate(CONTINUOUS))
    c = sum((name in supported) << bit for bit, name in enumerate(others))
    d = sum((name in incomplete) << bit for bit, name in enumerate(others))
    return Monitors(has_lamp << 7 | fault_count, b | (ignition == "compression") << 3, c, d)


def _others(ignition: str) -> tuple[str | None, ...]:
    return SPARK if ignition == "spark" else COMPRESSION
