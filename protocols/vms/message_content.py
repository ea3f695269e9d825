"""Readable form of what the data of a frame says. See `message.py`."""

from collections.abc import Callable, Mapping

from protocols.core.errors import LocalProtocolError
from protocols.message_fields import Fields
from protocols.vms import dianming, sansi, xianke
from protocols.vms.content import Content, CurrentItem, Result, Unread
from protocols.vms.frame import Dialect
from protocols.vms.message_lists import (
    Message,
    integer_of,
    media_of,
    read_current,
    read_list,
    text_octets,
    text_of,
    write_list,
)
from protocols.vms.play_list import is_play_list


def read_content(content: Content, dialect: Dialect) -> Message:
    """The named fields of a frame's data. Raises `FieldError`."""
    match content:
        case Result():
            return {"result_ok": content.is_ok, **_read_result(content, dialect)}
        case CurrentItem():
            return read_current(content, dialect)
        case (
            sansi.ModeRequest()
            | sansi.LevelsRequest()
            | sansi.Brightness()
            | dianming.DianMingLevels()
            | dianming.DianMingBrightness()
        ):
            return _read_brightness(content)
        case (
            sansi.FileRequest()
            | dianming.DianMingFileRequest()
            | sansi.FileContent()
            | sansi.FileChunk()
            | dianming.DianMingFile()
            | xianke.XianKeFile()
        ):
            return _read_file(content, dialect)
        case _:
            return {}


def _read_result(content: Result, dialect: Dialect) -> Message:
    match content:
        case sansi.FengHaiBrightness(mode=int(mode), level=int(level)):
            return {"brightness_mode": mode, **_level(level)}
        case sansi.FengHaiFile(chunk=sansi.FileChunk() as chunk):
            return _read_file(chunk, dialect)
        case xianke.XianKeFetched(file=xianke.XianKeFile() as file):
            return _read_file(file, dialect)
        case _:
            return {}


BrightnessContent = (
    sansi.ModeRequest | sansi.LevelsRequest | sansi.Brightness | dianming.DianMingLevels | dianming.DianMingBrightness
)
FileContent = (
    sansi.FileRequest
    | dianming.DianMingFileRequest
    | sansi.FileContent
    | sansi.FileChunk
    | dianming.DianMingFile
    | xianke.XianKeFile
)


def _read_brightness(content: BrightnessContent) -> Message:
    match content:
        case sansi.ModeRequest():
            return {"brightness_mode": content.mode}
        case sansi.LevelsRequest():
            return _level(content.red)
        case sansi.Brightness():
            return {"brightness_mode": content.mode, **_level(content.level)}
        case dianming.DianMingLevels(first=int(first)):
            return {"brightness_mode": _auto(content.is_automatic), "brightness_raw": first}
        case dianming.DianMingLevels():
            return {"brightness_mode": _auto(content.is_automatic)}
        case dianming.DianMingBrightness():
            return {"brightness_mode": _auto(content.is_automatic), "brightness_raw": content.level}


def _auto(is_automatic: bool) -> str:  # a value, not a switch
    return "auto" if is_automatic else "manual"


def _level(level: int) -> Message:
    return {"brightness_raw": level, "brightness_percent": round(level / sansi.MAX_LEVEL * 100)}


def _read_file(content: FileContent, dialect: Dialect) -> Message:
    match content:
        case sansi.FileRequest() | dianming.DianMingFileRequest():
            return {"file_name": text_of(content.name, "file_name"), "file_offset": content.offset}
        case sansi.FileContent():
            return _read_text(content.content, 0, dialect)
        case sansi.FileChunk() | dianming.DianMingFile():
            mode: Message = {"write_mode": content.mode.decode("ascii")}
            return {**mode, **_read_piece(content.name, content.offset, content.content, dialect)}
        case xianke.XianKeFile():
            return _read_piece(content.name, content.offset, content.content, dialect)


def _read_piece(name: bytes, offset: int, content: bytes, dialect: Dialect) -> Message:
    named: Message = {"file_name": text_of(name, "file_name"), "file_offset": offset}
    return {**named, **(_read_text(content, offset, dialect) if content else {})}


def _read_text(content: bytes, offset: int, dialect: Dialect) -> Message:
    text = text_of(content, "play_list_text")
    items = read_list(text, dialect) if offset == 0 and is_play_list(text, dialect) else {}
    return {"play_list_text": text, **items}


Given = Mapping[str, object]
_STATUS = 0x49
"""What public logs show behind the colours of a dianming answer; nobody describes it."""


def write_content(kind: type[Content], message: Given, dialect: Dialect) -> bytes:
    """The data of a frame from its named fields. Raises `LocalProtocolError` where they do not make one."""
    if kind is Unread:
        raise LocalProtocolError("this type is not described: give data_hex", field="data_hex")
    write = _WRITERS.get(kind)
    if write is not None:
        return write(message, dialect).data()
    assert issubclass(kind, Result)
    return bytes((kind.SUCCESS if _is_ok(message) else kind.SUCCESS ^ 1,))


def _is_ok(message: Given) -> bool:
    return Fields(message).flag("result_ok")


def _text(message: Given, name: str, default: str | None = None) -> bytes:
    value = message.get(name, default)
    if not isinstance(value, str):
        raise LocalProtocolError("text", field=name)
    return text_octets(value, name)


def _list(message: Given, dialect: Dialect) -> bytes:
    """A file's content: as text, or as the items of a list."""
    if "play_list_text" not in message and "items" in message:
        return text_octets(write_list(message["items"], dialect), "items")
    return _text(message, "play_list_text", "")


def _is_automatic(message: Given) -> bool:
    mode = message.get("brightness_mode")
    if mode not in {"auto", "manual"}:
        raise LocalProtocolError("auto or manual", field="brightness_mode")
    return mode == "auto"


def _levels(message: Given, _dialect: Dialect) -> Content:
    level = Fields(message).integer("brightness_raw", sansi.MAX_LEVEL)
    return sansi.LevelsRequest(level, level, level)


def _dianming_levels(message: Given, _dialect: Dialect) -> Content:
    if _is_automatic(message):
        return dianming.DianMingLevels(dianming.AUTOMATIC)
    return dianming.DianMingLevels(sansi.LevelsRequest(*(integer_of(message, "brightness_raw"),) * 3).data())


def _dianming_brightness(message: Given, _dialect: Dialect) -> Content:
    level = integer_of(message, "brightness_raw")
    return dianming.DianMingBrightness(dianming.AUTOMATIC if _is_automatic(message) else b"000000", _STATUS, level)


def _brightness(message: Given, _dialect: Dialect) -> sansi.Brightness:
    return sansi.Brightness(integer_of(message, "brightness_mode"), integer_of(message, "brightness_raw"))


def _fenghai_brightness(message: Given, dialect: Dialect) -> Content:
    if not _is_ok(message):
        return sansi.FengHaiBrightness(sansi.SUCCESS ^ 1)
    return sansi.FengHaiBrightness(sansi.SUCCESS, _brightness(message, dialect).data())


def _chunk(message: Given, dialect: Dialect) -> sansi.FileChunk:
    return sansi.FileChunk(
        _text(message, "file_name"),
        _text(message, "write_mode", "+"),
        integer_of(message, "file_offset"),
        _list(message, dialect),
    )


def _fenghai_file(message: Given, dialect: Dialect) -> Content:
    if not _is_ok(message):
        return sansi.FengHaiFile(sansi.SUCCESS ^ 1)
    return sansi.FengHaiFile(sansi.SUCCESS, _chunk(message, dialect).data())


def _dianming_file(message: Given, dialect: Dialect) -> Content:
    return dianming.DianMingFile(
        _text(message, "file_name"),
        integer_of(message, "file_offset"),
        _list(message, dialect),
        _text(message, "write_mode", "+"),
    )


def _xianke_file(message: Given, dialect: Dialect) -> xianke.XianKeFile:
    return xianke.XianKeFile(_text(message, "file_name"), integer_of(message, "file_offset"), _list(message, dialect))


def _fetched(message: Given, dialect: Dialect) -> Content:
    if not _is_ok(message):
        return xianke.XianKeFetched(0)
    return xianke.XianKeFetched(xianke.XianKeFetched.SUCCESS, _xianke_file(message, dialect).data())


def _shown(message: Given, dialect: Dialect) -> tuple[int, int, int, int, bytes]:
    return (
        integer_of(message, "item_index"),
        integer_of(message, "stay_raw"),
        integer_of(message, "in_mode"),
        integer_of(message, "play_speed"),
        text_octets(media_of(message, dialect), "media_text"),
    )


def _dianming_item(message: Given, dialect: Dialect) -> Content:
    effect, out_mode = integer_of(message, "effect_mode"), integer_of(message, "out_mode")
    return dianming.DianMingItem(*_shown(message, dialect), effect=effect, out_mode=out_mode)


_WRITERS: Mapping[type[Content], Callable[[Given, Dialect], Content]] = {
    sansi.ModeRequest: lambda message, _dialect: sansi.ModeRequest(integer_of(message, "brightness_mode")),
    sansi.LevelsRequest: _levels,
    sansi.Brightness: _brightness,
    sansi.FengHaiBrightness: _fenghai_brightness,
    sansi.FileRequest: lambda message, _dialect: sansi.FileRequest(
        _text(message, "file_name"), integer_of(message, "file_offset")
    ),
    sansi.FileContent: lambda message, dialect: sansi.FileContent(_list(message, dialect)),
    sansi.FileChunk: _chunk,
    sansi.FengHaiFile: _fenghai_file,
    sansi.SansiItem: lambda message, dialect: sansi.SansiItem(*_shown(message, dialect)),
    dianming.DianMingLevels: _dianming_levels,
    dianming.DianMingBrightness: _dianming_brightness,
    dianming.DianMingFileRequest: lambda message, _dialect: dianming.DianMingFileRequest(
        _text(message, "file_name"), integer_of(message, "file_offset")
    ),
    dianming.DianMingFile: _dianming_file,
    dianming.DianMingItem: _dianming_item,
    xianke.XianKeFile: _xianke_file,
    xianke.XianKeFetched: _fetched,
}
