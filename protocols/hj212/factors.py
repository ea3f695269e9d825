"""What is measured: system codes and factor codes with their units.

HJ 212-2017 tables 5 and appendix B; the codes of the edition of 2005 where there is one. Units of some air factors
differ between the table and practice: they have none here, a site's configuration must say them.

>>> factor_of("03")
Factor(code='a21002', name='nitrogen oxides', unit='mg/m³', cou_unit='kg', old_code='03')
>>> factor_of("a99999") is None
True
"""

from typing import NamedTuple

SYSTEMS = {
    "21": "surface water quality", "22": "air quality", "23": "area noise", "24": "groundwater", "25": "soil",
    "26": "sea water", "27": "volatile organic compounds", "31": "air pollution source",
    "32": "surface water pollution source", "33": "groundwater pollution source", "34": "sea pollution source",
    "35": "soil pollution source", "36": "noise source", "37": "vibration", "38": "radioactivity",
    "39": "construction dust", "41": "electromagnetic", "51": "flue gas process", "52": "sewage process",
    "91": "system exchange",
}  # fmt: skip
"""System codes ST."""

FLAGS = {
    "N": "normal", "F": "stopped", "M": "maintenance", "S": "set by hand", "D": "fault", "C": "calibration",
    "T": "out of range", "B": "link fault",
}  # fmt: skip
"""Values of -Flag."""

ATTRIBUTES = {
    "Rtd": "realtime value", "SampleTime": "time of the sample", "Min": "least", "Avg": "mean", "Max": "most",
    "Cou": "total of the interval", "ZsRtd": "realtime, at reference oxygen", "ZsMin": "least, at reference oxygen",
    "ZsAvg": "mean, at reference oxygen", "ZsMax": "most, at reference oxygen", "Flag": "state of the value",
    "EFlag": "state that the device defines", "RS": "runs", "RT": "hours run", "Data": "noise of the interval",
    "DayData": "noise by day", "NightData": "noise by night", "Info": "information", "SN": "serial number",
}  # fmt: skip
"""What follows the dash."""


class Factor(NamedTuple):
    """A factor. unit: None where none can be told; cou_unit: of -Cou; old_code: of the edition of 2005."""

    code: str
    name: str
    unit: str | None
    cou_unit: str | None = None
    old_code: str | None = None


FACTORS = (
    Factor("a00000", "flue gas flow", "m³/s", "m³", "B02"),
    Factor("a01001", "air temperature", "°C"),
    Factor("a01002", "air humidity", "%"),
    Factor("a01006", "air pressure", "kPa"),
    Factor("a01007", "wind speed", "m/s"),
    Factor("a01008", "wind direction", "°"),
    Factor("a01010", "Ringelmann blackness", "", None, "37"),
    Factor("a01011", "flue gas velocity", "m/s", None, "S02"),
    Factor("a01012", "flue gas temperature", "°C", None, "S03"),
    Factor("a01013", "flue gas pressure", "kPa", None, "S08"),
    Factor("a01014", "flue gas humidity", "%", None, "S05"),
    Factor("a05001", "carbon dioxide", None, "kg", "30"),
    Factor("a05002", "methane", None, "g"),
    Factor("a19001", "oxygen", "%", None, "S01"),
    Factor("a21001", "ammonia", None, "g", "10"),
    Factor("a21002", "nitrogen oxides", "mg/m³", "kg", "03"),
    Factor("a21003", "nitrogen monoxide", "mg/m³", "kg"),
    Factor("a21004", "nitrogen dioxide", "mg/m³", "kg"),
    Factor("a21005", "carbon monoxide", "mg/m³", "kg", "04"),
    Factor("a21026", "sulphur dioxide", "mg/m³", "kg", "02"),
    Factor("a24087", "hydrocarbons", "mg/m³", "kg", "25"),
    Factor("a24088", "non-methane hydrocarbons", "mg/m³", "kg"),
    Factor("a34001", "total suspended particles", None, "g"),
    Factor("a34002", "PM10", None, "g"),
    Factor("a34004", "PM2.5", None, "g"),
    Factor("a34013", "smoke dust", "mg/m³", "kg", "01"),
    Factor("a34017", "black carbon", "mg/m³", "kg"),
    Factor("w00000", "sewage flow", "L/s", "m³", "B01"),
    Factor("w01001", "pH", "", None, "001"),
    Factor("w01009", "dissolved oxygen", "mg/L"),
    Factor("w01010", "water temperature", "°C"),
    Factor("w01012", "suspended solids", "mg/L", "kg", "003"),
    Factor("w01014", "conductivity", "µS/cm"),
    Factor("w01017", "biochemical oxygen demand", "mg/L", "kg", "010"),
    Factor("w01018", "chemical oxygen demand", "mg/L", "kg", "011"),
    Factor("w02003", "faecal coliforms", "/L", None, "550"),
    Factor("w21001", "total nitrogen", "mg/L", "kg", "065"),
    Factor("w21003", "ammonia nitrogen", "mg/L", "kg", "060"),
    Factor("w21011", "total phosphorus", "mg/L", "kg", "101"),
    Factor("w22001", "oils", "mg/L", "kg", "080"),
    Factor("LA", "noise, A-weighted", "dB"),
    Factor("Leq", "noise, equivalent level", "dB"),
    Factor("Ldn", "noise, day and night", "dB"),
    Factor("L5", "noise, exceeded 5 % of the time", "dB"),
    Factor("L10", "noise, exceeded 10 % of the time", "dB"),
    Factor("L50", "noise, exceeded 50 % of the time", "dB"),
    Factor("L90", "noise, exceeded 90 % of the time", "dB"),
    Factor("L95", "noise, exceeded 95 % of the time", "dB"),
)
_BY_CODE = {factor.code: factor for factor in FACTORS} | {
    factor.old_code: factor for factor in FACTORS if factor.old_code is not None
}


def factor_of(code: str) -> Factor | None:
    """The factor of a code of either edition, or None."""
    return _BY_CODE.get(code)
