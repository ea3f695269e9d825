"""The bits of a location's alarm and status flags (JT/T 808, 0x0200).

On the wire and in the types flags are plain integers, so that reserved bits survive; these names say what they mean.

>>> Alarm(0x05)
<Alarm.EMERGENCY|FATIGUE: 5>
>>> bool(cleared_by_answer(2013) & Alarm.DANGER_WARNING), bool(cleared_by_answer(2019) & Alarm.DANGER_WARNING)
(True, False)
"""

from enum import IntFlag


class Alarm(IntFlag):
    """Bits of `Location.alarm_flags`. Bits 15 to 17 mean something from 2019 on, bit 31 until 2013."""

    EMERGENCY = 1 << 0
    OVERSPEED = 1 << 1
    FATIGUE = 1 << 2
    DANGER_WARNING = 1 << 3
    """2019: dangerous driving."""
    GNSS_FAULT = 1 << 4
    GNSS_ANTENNA_OPEN = 1 << 5
    GNSS_ANTENNA_SHORT = 1 << 6
    MAIN_POWER_LOW = 1 << 7
    MAIN_POWER_LOST = 1 << 8
    DISPLAY_FAULT = 1 << 9
    TTS_FAULT = 1 << 10
    CAMERA_FAULT = 1 << 11
    IC_CARD_MODULE_FAULT = 1 << 12
    OVERSPEED_WARNING = 1 << 13
    FATIGUE_WARNING = 1 << 14
    ILLEGAL_DRIVING = 1 << 15
    TYRE_PRESSURE_WARNING = 1 << 16
    RIGHT_TURN_BLIND_SPOT_FAULT = 1 << 17
    DAILY_DRIVE_TIMEOUT = 1 << 18
    PARKING_TIMEOUT = 1 << 19
    IN_OUT_AREA = 1 << 20
    IN_OUT_ROUTE = 1 << 21
    SECTION_TIME_ABNORMAL = 1 << 22
    ROUTE_DEVIATION = 1 << 23
    VSS_FAULT = 1 << 24
    FUEL_ABNORMAL = 1 << 25
    STOLEN = 1 << 26
    ILLEGAL_IGNITION = 1 << 27
    ILLEGAL_DISPLACEMENT = 1 << 28
    COLLISION = 1 << 29
    ROLLOVER_WARNING = 1 << 30
    ILLEGAL_DOOR_OPEN = 1 << 31


class Status(IntFlag):
    """Bits of `Location.status_flags`. Bits 6, 7 and 22 mean something from 2019 on."""

    ACC_ON = 1 << 0
    POSITION_VALID = 1 << 1
    SOUTH = 1 << 2
    WEST = 1 << 3
    OUT_OF_SERVICE = 1 << 4
    ENCRYPTED_POSITION = 1 << 5
    FORWARD_COLLISION_WARNING = 1 << 6
    LANE_DEPARTURE_WARNING = 1 << 7
    HALF_LOADED = 1 << 8
    FULLY_LOADED = 3 << 8
    FUEL_CUT = 1 << 10
    CIRCUIT_CUT = 1 << 11
    DOOR_LOCKED = 1 << 12
    FRONT_DOOR_OPEN = 1 << 13
    MIDDLE_DOOR_OPEN = 1 << 14
    REAR_DOOR_OPEN = 1 << 15
    DRIVER_DOOR_OPEN = 1 << 16
    CUSTOM_DOOR_OPEN = 1 << 17
    GPS = 1 << 18
    BEIDOU = 1 << 19
    GLONASS = 1 << 20
    GALILEO = 1 << 21
    MOVING = 1 << 22


_ALWAYS_CLEARED = (
    Alarm.EMERGENCY
    | Alarm.IN_OUT_AREA
    | Alarm.IN_OUT_ROUTE
    | Alarm.SECTION_TIME_ABNORMAL
    | Alarm.ILLEGAL_IGNITION
    | Alarm.ILLEGAL_DISPLACEMENT
)


def cleared_by_answer(edition: int) -> Alarm:
    """The alarms that a terminal takes back when the platform answered; the others stay until their cause ends."""
    return _ALWAYS_CLEARED if edition >= 2019 else _ALWAYS_CLEARED | Alarm.DANGER_WARNING | Alarm.ILLEGAL_DOOR_OPEN
