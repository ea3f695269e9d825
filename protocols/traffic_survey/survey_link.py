"""What both ends of a connection between survey station and data centre share: which reply belongs to which record.

A reply bears the device, the day and the number of what it answers (JT/T 1008.2).
"""

from protocols.traffic_survey.survey_records import IntervalRecord, IntervalReply, VehicleRecord, VehicleReply

GAP_S = 5.0
"""Half a frame whose rest does not come for this long never was one."""

Record = IntervalRecord | VehicleRecord
Reply = IntervalReply | VehicleReply
RecordKey = tuple[int, bytes, int, int, int, int]


def key_of(packet: Record | Reply) -> RecordKey:
    """What a record and its reply have in common. Two records of one day with the same number are the same."""
    day = (packet.year, packet.month, packet.day)
    match packet:
        case IntervalRecord() | IntervalReply():
            return (IntervalRecord.TYPE, packet.device_id, *day, packet.period_index)
        case VehicleRecord() | VehicleReply():
            return (VehicleRecord.TYPE, packet.device_id, *day, packet.vehicle_serial)


def reply_to(record: Record, result_code: int) -> Reply:
    """The reply to a record."""
    day = (record.year, record.month, record.day)
    if isinstance(record, VehicleRecord):
        return VehicleReply(record.device_id, *day, record.vehicle_serial, result_code)
    return IntervalReply(record.device_id, *day, record.period_min, record.period_index, result_code)
