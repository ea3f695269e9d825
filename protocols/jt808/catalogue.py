"""All messages by their id, and how a frame's body is read and written.

>>> from protocols.jt808.frame import decode_frame
>>> read_packet(decode_frame(bytes.fromhex("7e0001000501234567890004b303e8000200d37e"))).body
TerminalReply(reply_serial=1000, reply_msg_id=2, result=0)
"""

from collections.abc import Mapping

import msgspec

from protocols.core.errors import RemoteProtocolError
from protocols.jt808 import control, data, driver, general, information, location, media, parameters, regions
from protocols.jt808 import registration as registrations
from protocols.jt808.dialect import JT2011, JT2013, JT2019, JT2019_WIDE_MAKER, Dialect
from protocols.jt808.frame import Frame
from protocols.jt808.general import RawBody
from protocols.jt808.layout import Body

BODIES: Mapping[int, type[Body]] = {
    body.ID: body
    for body in (
        general.TerminalReply,
        general.PlatformReply,
        general.Heartbeat,
        general.LogOff,
        general.TimeQuery,
        general.TimeReply,
        general.TerminalResendRequest,
        general.PlatformResendRequest,
        general.LinkCheck,
        registrations.Registration,
        registrations.RegistrationReply,
        registrations.Authentication,
        parameters.SetParameters,
        parameters.QueryAllParameters,
        parameters.QueryParameters,
        parameters.ParametersReply,
        control.TerminalControl,
        control.QueryAttributes,
        control.Attributes,
        control.UpgradePackage,
        control.UpgradeResult,
        control.VehicleControl,
        control.VehicleControlReply,
        location.Location,
        location.LocationReply,
        location.LocationQuery,
        location.TemporaryTracking,
        location.AlarmConfirmation,
        location.LocationBatch,
        information.TextMessage,
        information.SetEvents,
        information.EventReport,
        information.Question,
        information.QuestionReply,
        information.InformationMenu,
        information.InformationOrder,
        information.Information,
        information.CallBack,
        information.PhoneBook,
        regions.SetCircles,
        regions.DeleteCircles,
        regions.SetRectangles,
        regions.DeleteRectangles,
        regions.SetPolygon,
        regions.DeletePolygons,
        regions.SetRoute,
        regions.DeleteRoutes,
        regions.QueryRegions,
        regions.RegionsReply,
        driver.RecorderCollect,
        driver.RecorderParameters,
        driver.RecorderData,
        driver.Waybill,
        driver.QueryDriver,
        driver.DriverCard,
        media.MediaEvent,
        media.MediaData,
        media.MediaReply,
        media.TakePicture,
        media.PictureReply,
        media.MediaSearch,
        media.MediaSearchReply,
        media.UploadStoredMedia,
        media.RecordSound,
        media.UploadMedia,
        data.CanData,
        data.TransparentUp,
        data.TransparentDown,
        data.CompressedData,
        data.TerminalPublicKey,
        data.PlatformPublicKey,
    )
}
BODIES_2011: Mapping[int, type[Body]] = {0x0702: driver.DriverIdentity, 0x0801: media.MediaData2011}
"""Messages that 2013 gave another layout."""

_VARYING = frozenset({0x0100, 0x0107, 0x0702, 0x8108})
"""Messages whose bodies tell more about the dialect than the header does."""
_ONLY_2013 = (JT2013,)
_ONLY_2019 = (JT2019,)
_REGISTRATION_2013_BYTES = 37
"""A shorter registration is one of 2011."""


class Packet(msgspec.Struct, frozen=True, gc=False):
    """A frame, its body, and the dialect in which that was read."""

    frame: Frame
    body: Body
    dialect: Dialect


def body_type(msg_id: int, dialect: Dialect) -> type[Body] | None:
    """The type of a message's body, or None for an id that has no layout."""
    if dialect is JT2011 and msg_id in BODIES_2011:
        return BODIES_2011[msg_id]
    return BODIES.get(msg_id)


def dialects_of(msg_id: int, body: bytes, *, has_version: bool) -> tuple[Dialect, ...]:
    """The dialects in which a body may be written, the likeliest first."""
    if msg_id not in _VARYING:
        return _ONLY_2019 if has_version else _ONLY_2013
    if has_version:
        return (JT2019, JT2019_WIDE_MAKER) if msg_id in {0x0107, 0x8108} else _ONLY_2019
    if msg_id == 0x0100:
        return (JT2011,) if len(body) < _REGISTRATION_2013_BYTES else (JT2013,)
    if msg_id == 0x0702:
        return (JT2011,) if body and body[0] not in {driver.INSERTED, driver.PULLED_OUT} else (JT2013,)
    return (JT2013, JT2011) if msg_id == 0x0107 else (JT2013,)


def decode_body(msg_id: int, body: bytes, *, has_version: bool) -> tuple[Body, Dialect]:
    """Read a body in the first dialect that fits it exactly. Raises `RemoteProtocolError`.

    An id without a layout gives a `RawBody`.
    """
    dialects = dialects_of(msg_id, body, has_version=has_version)
    first_error = None
    for dialect in dialects:
        kind = body_type(msg_id, dialect)
        if kind is None:
            return RawBody(body), dialect
        try:
            return kind.from_bytes(body, dialect), dialect
        except RemoteProtocolError as error:
            first_error = first_error or error
    assert first_error is not None
    raise first_error


def read_packet(frame: Frame, dialect: Dialect | None = None) -> Packet:
    """Read a frame's body, in a dialect that is known or else in the first that fits. Raises `RemoteProtocolError`.

    A part of a message and an encrypted body are kept as they came.
    """
    has_version = frame.protocol_version is not None
    if frame.package is not None or frame.encryption:
        return Packet(frame, RawBody(frame.body), dialect or (JT2019 if has_version else JT2013))
    if dialect is None:
        return Packet(frame, *decode_body(frame.msg_id, frame.body, has_version=has_version))
    kind = body_type(frame.msg_id, dialect)
    body = RawBody(frame.body) if kind is None else kind.from_bytes(frame.body, dialect)
    return Packet(frame, body, dialect)
