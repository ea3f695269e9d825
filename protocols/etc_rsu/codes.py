"""What the code numbers of this interface mean. A number that is not listed is kept as it is.

>>> error_meaning("gantry_B5", 0x07)
'MAC2 does not hold'
"""

from collections.abc import Mapping

PLATE_COLORS = {
    0: "blue",
    1: "yellow",
    2: "black",
    3: "white",
    4: "gradient green",
    5: "yellow and green",
    6: "blue and white",
    7: "temporary",
    11: "green",
    12: "red",
}
VEHICLE_CLASSES = {
    **{number: f"car or bus {number}" for number in range(1, 5)},
    **{number: f"truck {number - 10}" for number in range(11, 17)},
    **{number: f"special vehicle {number - 20}" for number in range(21, 27)},
}
USER_TYPES = {
    0: "ordinary",
    6: "official",
    8: "military or police",
    10: "emergency",
    12: "free",
    14: "convoy",
    0x18: "container tractor",
    0x1A: "rescue",
    0x1B: "other tractor",
}
PASS_STATUS = {
    1: "mixed entry",
    2: "mixed exit",
    3: "ETC entry",
    4: "ETC exit",
    5: "mixed open",
    6: "ETC open",
    **dict.fromkeys(range(0x07, 0x10), "local"),
    0x10: "self-service card",
}

TEST_FRAME = 0xFF
GANTRY_CARD_ERRORS = {
    0x00: "good",
    0x01: "no DSRC answer",
    0x02: "uplink cannot be decoded",
    0x03: "antenna head lost",
    0x05: "PSAM cannot decipher the vehicle information",
    0x06: "check code of the vehicle information is wrong",
    0x0A: "record of a single chip cannot be read",
    0x0B: "EF02 of a pass card cannot be read",
    0x0C: "EF04 of a pass card cannot be read",
    0x0D: "pass card not authentic (PSAM)",
    0x0E: "pass card not authentic (card)",
    0x11: "no card, EF04 good",
    0x12: "no card, EF04 failed",
    0x13: "card good, EF04 failed",
    0x14: "card failed, EF04 failed",
    0x15: "card failed, EF04 good",
    TEST_FRAME: "test frame",
}
"""B4 of a gantry."""
PURCHASE_GOOD = 0x14
GANTRY_RESULT_ERRORS = {
    0x00: "good",
    0x01: "no DSRC answer to the debit, outcome unknown",
    0x02: "uplink cannot be decoded",
    0x06: "PSAM has no MAC1",
    0x07: "MAC2 does not hold",
    0x08: "no TAC",
    0x09: "single chip not authentic",
    0x0A: "record of a single chip cannot be written",
    0x0B: "pass card not authentic",
    0x0C: "pass record failed, fee good",
    0x0D: "pass record good, fee failed",
    0x0E: "pass record and fee failed",
    0x0F: "fee failed at the exit from a province",
    0x10: "EF04 alone: failed",
    0x11: "purchase alone: failed",
    0x12: "EF04 good, purchase failed",
    0x13: "EF04 and purchase failed",
    PURCHASE_GOOD: "EF04 failed, purchase good",
    TEST_FRAME: "test frame",
}
"""B5 of a gantry."""
TAC_GOOD = 0x05
GANTRY_TAC_ERRORS = {
    0x00: "good",
    0x01: "no DSRC answer",
    0x02: "uplink cannot be decoded",
    0x03: "EF04 written, no TAC",
    0x04: "EF04 not written, no TAC",
    TAC_GOOD: "EF04 failed, TAC good",
    TEST_FRAME: "test frame",
}
"""B8 of a gantry."""
LANE_ERRORS = {
    0x00: "good",
    0x03: "purchase cannot be begun",
    0x05: "PSAM has no MAC1",
    0x07: "MAC2 does not hold",
    0x08: "no DSRC answer for 3 s",
    0x09: "debit failed",
    0x0F: "military vehicle",
    0x12: "no system information",
    0x31: "vehicle information cannot be deciphered",
    0x33: "another OBU answers",
    0x50: "file 0015 cannot be read",
    0x51: "file 0002 cannot be read",
    0x52: "file 0019 cannot be read",
    0x5A: "no TAC",
    0x65: "no card",
    0x66: "EF04",
    0xE4: "EF04",
}
"""Of one firmware's lane frames."""
URBAN_RESULT_ERRORS = {0: "good", 1: "no answer in time", 2: "no card", 3: "bad data", 4: "OBU", 5: "card"}
"""B5 of urban parking."""

_ERRORS: Mapping[str, Mapping[int, str]] = {
    "gantry_B4": GANTRY_CARD_ERRORS,
    "gantry_B5": GANTRY_RESULT_ERRORS,
    "gantry_B8": GANTRY_TAC_ERRORS,
    "lanecrc_B3": LANE_ERRORS,
    "lanecrc_B4": LANE_ERRORS,
    "lanecrc_B5": {**LANE_ERRORS, 0x02: "outcome of the debit unknown"},
    "urban_B5": URBAN_RESULT_ERRORS,
}


def error_meaning(table: str, error_code: int) -> str | None:
    """What the `error_code` of a table says, or None where that is not known."""
    return _ERRORS.get(table, {}).get(error_code)
