"""Which type carries what: from a frame of a dialect to what it says, and back.

>>> from protocols.vms.frame import decode_frame
>>> frame = decode_frame(bytes.fromhex("023031313135f47403"), SANSI, is_response=True)
>>> decode_content(frame, SANSI, is_response=True, request_type="06")
Brightness(mode=1, level=15)
"""

from collections.abc import Mapping

from protocols.vms import dianming, sansi, xianke
from protocols.vms.content import Content, Result, Unread
from protocols.vms.frame import DIANMING, FENGHAI, SANSI, XIANKE, Dialect, Frame

REQUESTS: Mapping[str, Mapping[str, type[Content]]] = {
    SANSI.name: sansi.REQUESTS,
    FENGHAI.name: sansi.REQUESTS,
    DIANMING.name: dianming.TYPES,
    XIANKE.name: xianke.REQUESTS,
}
RESPONSES: Mapping[str, Mapping[str, type[Content]]] = {
    SANSI.name: sansi.RESPONSES,
    FENGHAI.name: sansi.FENGHAI_RESPONSES,
    DIANMING.name: dianming.TYPES,
    XIANKE.name: xianke.RESPONSES,
}


def content_type(kind: str | None, dialect: Dialect, *, is_response: bool) -> type[Content]:
    """What a frame of this type carries; `Unread` where that is not described."""
    table = (RESPONSES if is_response else REQUESTS)[dialect.name]
    return Unread if kind is None else table.get(kind, Unread)


def decode_content(frame: Frame, dialect: Dialect, *, is_response: bool, request_type: str | None = None) -> Content:
    """What a frame says. request_type: of what was answered, where a response does not tell. Raises `FieldError`.

    An answer without a byte for its result says nothing.
    """
    kind = frame.frame_type if frame.frame_type is not None else request_type
    known = content_type(kind, dialect, is_response=is_response)
    if not frame.data and issubclass(known, Result):
        return Unread()
    return known.from_data(frame.data)
