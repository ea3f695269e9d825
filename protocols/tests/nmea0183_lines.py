"""Lines with a good checksum."""

from protocols.nmea0183.checksum import check_of, digits_of
from protocols.nmea0183.message import decode_message


def line_of(body: str, start: str = "$") -> bytes:
    return f"{start}{body}*{digits_of(check_of(body.encode()))}".encode()


def message_of(body: str) -> dict[str, object]:
    return decode_message({"text": line_of(body).decode()})
