"""The identifiers of elements and parameters: what each one is, its unit, and how many digits and decimals it has.

SL 651-2014, appendices C and D. MicroPython-clean. N(D,d) of the standard is `digits` and `decimals`; in HEX a number
has (digits + 1) // 2 bytes, which its identifier says too.

>>> level = element_of(0x39)
>>> level.ascii_id, level.digits, level.decimals, "%02X" % level.definition
('Z', 7, 3, '23')
"""

from protocols.core.errors import LocalProtocolError
from protocols.sl651.values import definition_of

HOUR_RAIN = 0xF4
HOUR_LEVELS = tuple(range(0xF5, 0xFD))
STATUS = 0x45

STATION_TYPES = {
    "P": "rain",
    "H": "river",
    "K": "reservoir or lake",
    "Z": "gate or dam",
    "D": "pump station",
    "T": "tide",
    "M": "soil moisture",
    "G": "groundwater",
    "Q": "water quality",
    "I": "intake",
    "O": "outlet",
}
"""On the wire the letter itself, in HEX its ASCII code. A lock reports as Z, with its levels 3B (upper) and 3A."""

GATE_STATES: "dict[float | None, str]" = {555: "no gate", 444: "shut", 999: "fully open", 888: "out of the water"}
"""Special values of the gate opening (09), which are no metres."""

STATUS_BITS = (
    "mains lost",
    "battery low",
    "level limit alarm",
    "flow limit alarm",
    "quality limit alarm",
    "flow meter fault",
    "level meter fault",
    "box door closed",
    "memory abnormal",
    "IC card active",
    "pump stopped",
    "remaining volume over limit",
)
"""Bits 0 to 11 of the status word, each as what 1 means. Mind 7 and 10: there 0 is the open door, the running pump."""

EVENTS = (
    "data cleared",
    "parameter change",
    "status change",
    "sensor fault",
    "password change",
    "terminal fault",
    "mains lost",
    "battery low",
    "box opened",
    "pump fault",
    "remaining water",
    "level limit",
    "pressure limit",
    "quality limit",
    "data error",
    "frames sent",
    "frames received",
    "send failures",
)
"""What the first 18 of the 32 event counters count, ERC1 to ERC18."""


class Element:
    """A row of the table."""

    __slots__ = ("ascii_id", "code", "decimals", "digits", "quantity", "unit")

    def __init__(self, code: int, ascii_id: str, digits: int, decimals: int, unit: str, quantity: str) -> None:
        self.code = code
        self.ascii_id = ascii_id
        self.digits = digits
        self.decimals = decimals
        self.unit = unit
        self.quantity = quantity

    @property
    def definition(self) -> int:
        """The second byte of its identifier in HEX, for a value that is not negative."""
        return definition_of((self.digits + 1) // 2, self.decimals)


# fmt: off
_ROWS = (
    (0x01, "AC", 8, 2, "m2", "cross-section area"),
    (0x02, "AI", 3, 1, "Cel", "air temperature"), (0x03, "C", 3, 1, "Cel", "water temperature"),
    (0x05, "DT", 4, 2, "HH.mm", "duration"),
    (0x06, "ED", 5, 1, "mm", "daily evaporation"), (0x07, "EJ", 5, 1, "mm", "current evaporation"),
    (0x08, "FL", 5, 0, "hPa", "air pressure"),
    (0x09, "GH", 5, 2, "m", "gate opening"), (0x0A, "GN", 3, 0, "", "gate number"),
    (0x0B, "GS", 1, 0, "", "equipment class, 7 is a ship lock"), (0x0C, "GT", 3, 0, "", "number of open gates"),
    (0x0D, "GTP", 3, 1, "Cel", "ground temperature"), (0x0E, "H", 6, 2, "m", "groundwater depth"),
    (0x0F, "HW", 5, 2, "m", "wave height"),
    (0x10, "M10", 4, 1, "%", "soil moisture at 10 cm"), (0x11, "M20", 4, 1, "%", "soil moisture at 20 cm"),
    (0x12, "M30", 4, 1, "%", "soil moisture at 30 cm"), (0x13, "M40", 4, 1, "%", "soil moisture at 40 cm"),
    (0x14, "M50", 4, 1, "%", "soil moisture at 50 cm"), (0x15, "M60", 4, 1, "%", "soil moisture at 60 cm"),
    (0x16, "M80", 4, 1, "%", "soil moisture at 80 cm"), (0x17, "M100", 4, 1, "%", "soil moisture at 100 cm"),
    (0x18, "MST", 4, 1, "%", "humidity"), (0x19, "NS", 2, 0, "", "machines running"),
    (0x1A, "P1", 5, 1, "mm", "rain in 1 h"), (0x1B, "P2", 5, 1, "mm", "rain in 2 h"),
    (0x1C, "P3", 5, 1, "mm", "rain in 3 h"), (0x1D, "P6", 5, 1, "mm", "rain in 6 h"),
    (0x1E, "P12", 5, 1, "mm", "rain in 12 h"), (0x1F, "PD", 5, 1, "mm", "daily rain"),
    (0x20, "PJ", 5, 1, "mm", "rain since the start of the day"),
    (0x21, "PN01", 5, 1, "mm", "rain in 1 min"), (0x22, "PN05", 5, 1, "mm", "rain in 5 min"),
    (0x23, "PN10", 5, 1, "mm", "rain in 10 min"), (0x24, "PN30", 5, 1, "mm", "rain in 30 min"),
    (0x25, "PR", 5, 1, "mm", "storm rain"), (0x26, "PT", 6, 1, "mm", "rain total"),
    (0x27, "Q", 9, 3, "m3/s", "flow"),
    (0x30, "QA", 9, 3, "m3/s", "total release"), (0x31, "QZ", 9, 3, "m3/s", "gate flow"),
    (0x32, "SW", 11, 3, "10000 t", "sediment load"),
    (0x33, "UC", 2, 0, "", "wind direction 1 to 16, 1 is north, clockwise"),
    (0x34, "UE", 2, 0, "", "wind force"),  # codespell:ignore ue
    (0x35, "US", 4, 1, "m/s", "wind speed"),
    (0x36, "VA", 5, 3, "m/s", "mean velocity"), (0x37, "VJ", 5, 3, "m/s", "current velocity"),
    (0x38, "VT", 4, 2, "V", "supply voltage"), (0x39, "Z", 7, 3, "m", "river or tide level"),
    (0x3A, "ZB", 7, 3, "m", "lower level"), (0x3B, "ZU", 7, 3, "m", "upper level"),
    (0x44, "SQ", 9, 3, "kg/m3", "sediment content"),
    (0x46, "pH", 4, 2, "", "pH"), (0x47, "DO", 4, 1, "mg/L", "dissolved oxygen"),
    (0x48, "COND", 5, 0, "uS/cm", "conductivity"), (0x49, "TURB", 3, 0, "", "turbidity"),
    (0x4A, "CODMN", 4, 1, "mg/L", "permanganate index"), (0x4B, "REDOX", 5, 1, "mV", "redox potential"),
    (0x4C, "NH4N", 6, 2, "mg/L", "ammonia nitrogen"), (0x4D, "TP", 5, 3, "mg/L", "total phosphorus"),
    (0x4E, "TN", 5, 2, "mg/L", "total nitrogen"), (0x4F, "TOC", 4, 2, "mg/L", "total organic carbon"),
    (0x50, "CU", 7, 4, "mg/L", "copper"), (0x51, "ZN", 6, 4, "mg/L", "zinc"), (0x52, "SE", 7, 5, "mg/L", "selenium"),
    (0x53, "AS", 7, 5, "mg/L", "arsenic"), (0x54, "THG", 7, 5, "mg/L", "mercury"),
    (0x55, "CD", 7, 5, "mg/L", "cadmium"), (0x56, "PB", 7, 5, "mg/L", "lead"),
    (0x57, "CHLA", 4, 2, "mg/L", "chlorophyll a"),
    (0x70, "VTA", 4, 1, "V", "voltage of phase A"), (0x71, "VTB", 4, 1, "V", "voltage of phase B"),
    (0x72, "VTC", 4, 1, "V", "voltage of phase C"), (0x73, "VIA", 4, 1, "A", "current of phase A"),
    (0x74, "VIB", 4, 1, "A", "current of phase B"), (0x75, "VIC", 4, 1, "A", "current of phase C"),
)
_EIGHTS = (
    (0x28, "Q", 9, 3, "m3/s", "intake flow"), (0x3C, "Z", 7, 3, "m", "intake level"),
    (0x58, "WP", 5, 2, "kPa", "pressure"), (0x60, "SYL", 11, 3, "m3", "meter rest"),
    (0x68, "SBL", 10, 2, "m3/h", "hourly volume"),
)
_PARAMETER_DIGITS = (  # first code, last code, digits, decimals; whatever is not here has no decimals
    (0x25, 0x26, 2, 1), (0x28, 0x2F, 7, 3), (0x30, 0x37, 5, 3), (0x38, 0x3F, 4, 2), (0x40, 0x41, 3, 2),
    (0x42, 0x42, 6, 3), (0x43, 0x43, 5, 3), (0x44, 0x44, 3, 2), (0x45, 0x45, 6, 0), (0x46, 0x46, 4, 0),
    (0x47, 0x47, 4, 2), (0x48, 0x48, 2, 1), (0x49, 0x58, 4, 2), (0x59, 0x68, 8, 2), (0x69, 0x6A, 3, 1),
    (0x8D, 0x8D, 11, 3), (0x01, 0x01, 8, 0), (0x02, 0x02, 10, 0), (0x03, 0x03, 4, 0), (0x0C, 0x0C, 2, 0),
    (0x0D, 0x0D, 16, 0), (0x20, 0x22, 2, 0), (0x23, 0x23, 4, 0), (0x24, 0x24, 2, 0), (0x27, 0x27, 2, 0),
)
# fmt: on

ELEMENTS = tuple(
    [Element(*row) for row in _ROWS]
    + [
        Element(code + number, letters + str(number + 1), digits, decimals, unit, quantity + " " + str(number + 1))
        for code, letters, digits, decimals, unit, quantity in _EIGHTS
        for number in range(8)
    ]
)
"""Appendix C but for the groups that are no single number: 04, 45 and F0 to FD."""

_BY_CODE = {element.code: element for element in ELEMENTS}
_BY_ASCII_ID = {element.ascii_id: element for element in ELEMENTS}


def element_of(identifier: int | str) -> Element:
    """The row of a code or of an ASCII identifier. Raises `LocalProtocolError` when there is none."""
    element = _BY_ASCII_ID.get(identifier) if isinstance(identifier, str) else _BY_CODE.get(identifier)
    if element is None:
        raise LocalProtocolError("no such element in the standard's table", field=str(identifier))
    return element


def is_ascii_identifier(text: str) -> bool:
    """Whether the table has it."""
    return text in _BY_ASCII_ID


def parameter_digits_of(code: int) -> tuple[int, int] | None:
    """(digits, decimals) of a parameter of appendix D; None where the standard leaves them to its data."""
    for first, last, digits, decimals in _PARAMETER_DIGITS:
        if first <= code <= last:
            return digits, decimals
    return None
