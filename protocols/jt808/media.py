"""Pictures, sound and video (JT/T 808, 0x0800 to 0x0805 and 0x8800 to 0x8805).

media_type: 0 image, 1 audio, 2 video. media_format: 0 JPEG, 1 TIF, 2 MP3, 3 WAV, 4 WMV. event_code: 0 command of the
platform, 1 timed, 2 robbery alarm, 3 collision or rollover, 4 and 5 door opened and closed, 6 door closed while the
speed passed 20 km/h, 7 distance.
"""

from typing import Annotated, ClassVar

import msgspec

from protocols.jt808.conditions import Trailing
from protocols.jt808.kinds import DWORD, U8, U16, U32, WORD, BcdTime, Blob, Counted, Group
from protocols.jt808.layout import Body
from protocols.jt808.location import BaseLocation, Location


class MediaEvent(Body, frozen=True):
    """0x0800."""

    ID: ClassVar[int] = 0x0800
    media_id: U32
    media_type: U8
    media_format: U8
    event_code: U8
    channel_id: U8


class MediaData2011(MediaEvent, frozen=True):
    """0x0801 of 2011, which does not say where."""

    ID: ClassVar[int] = 0x0801
    data: Blob = b""


class MediaData(MediaEvent, frozen=True, kw_only=True):
    """0x0801 of 2013 and 2019."""

    ID: ClassVar[int] = 0x0801
    location: Annotated[Location, BaseLocation()]
    data: Blob = b""


class MediaReply(Body, frozen=True):
    """0x8800. package_ids: packages of the upload to send again; None or none when all arrived."""

    ID: ClassVar[int] = 0x8800
    media_id: U32
    package_ids: Annotated[tuple[int, ...] | None, Trailing(Counted(1, WORD))] = None


class TakePicture(Body, frozen=True):
    """0x8801. shoot_command: 0 stop, FFFF video, else how many pictures.

    resolution: 1 320x240, 2 640x480, 3 800x600, 4 1024x768, 5 176x144, 6 352x288, 7 704x288, 8 704x576.
    """

    ID: ClassVar[int] = 0x8801
    channel_id: U8
    shoot_command: U16
    interval_s: U16
    save_flag: U8
    resolution: U8
    quality: U8
    brightness: U8
    contrast: U8
    saturation: U8
    chroma: U8


class PictureReply(Body, frozen=True):
    """0x0805 (from 2013). result: 0 success, 1 failure, 2 channel not supported."""

    ID: ClassVar[int] = 0x0805
    reply_serial: U16
    result: U8
    media_ids: Annotated[tuple[int, ...] | None, Trailing(Counted(2, DWORD))] = None


class MediaSearch(Body, frozen=True):
    """0x8802. channel_id 0: all channels."""

    ID: ClassVar[int] = 0x8802
    media_type: U8
    channel_id: U8
    event_code: U8
    start_time: BcdTime
    end_time: BcdTime


class StoredMedia(msgspec.Struct, frozen=True):
    """What a terminal has in store."""

    media_id: U32
    media_type: U8
    channel_id: U8
    event_code: U8
    location: Annotated[Location, BaseLocation()]


class MediaSearchReply(Body, frozen=True):
    """0x0802."""

    ID: ClassVar[int] = 0x0802
    reply_serial: U16
    items: Annotated[tuple[StoredMedia, ...], Counted(2, Group(StoredMedia))] = ()


class UploadStoredMedia(MediaSearch, frozen=True):
    """0x8803. delete_flag: 0 keep, 1 delete."""

    ID: ClassVar[int] = 0x8803
    delete_flag: U8


class RecordSound(Body, frozen=True):
    """0x8804. record_time_s 0: until it is stopped. sample_rate: 0 8 kHz, 1 11 kHz, 2 23 kHz, 3 32 kHz."""

    ID: ClassVar[int] = 0x8804
    record_command: U8
    record_time_s: U16
    save_flag: U8
    sample_rate: U8


class UploadMedia(Body, frozen=True):
    """0x8805 (from 2013)."""

    ID: ClassVar[int] = 0x8805
    media_id: U32
    delete_flag: U8
