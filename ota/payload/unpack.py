"""Compressed bytes as they are asked for: bounded in memory, whatever a hostile stream claims to hold."""

import lzma
import zlib
from collections.abc import Iterable
from typing import IO, Protocol, cast

import zstandard

from ota.errors import RefusedError, Rule

ZSTD_WINDOW_BITS = 23
"""What a release may use, and a device sets aside: 8 MiB."""
_FEED_BYTES = 1 << 14


class Unpacker(Protocol):
    """A stream of bytes."""

    def take(self, most: int) -> bytes:
        """At least one byte and at most `most`; none when the stream has ended. Raises `RefusedError`."""

    def end(self) -> None:
        """Make sure that the stream has ended and nothing follows it. Raises `RefusedError`."""


class _Decompressor(Protocol):
    """What lzma gives, and `_Inflater` below."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Stream:
    """A decompressor and the pieces it is fed with."""

    def __init__(self, chunks: Iterable[bytes], decompressor: _Decompressor, what: str) -> None:
        self._chunks = iter(chunks)
        self._decompressor = decompressor
        self._what = what

    def take(self, most: int) -> bytes:
        """See `Unpacker`."""
        while not self._decompressor.eof:
            data = b""
            if self._decompressor.needs_input:
                more = next(self._chunks, None)
                if more is None:
                    raise RefusedError(Rule.LENGTH, self._what, "it is cut short")
                data = more
            try:
                unpacked = self._decompressor.decompress(data, most)
            except (lzma.LZMAError, zlib.error, EOFError) as error:
                raise RefusedError(Rule.FORMAT, self._what, f"it cannot be unpacked: {error}") from error
            if unpacked:
                return unpacked
        return b""

    def end(self) -> None:
        """See `Unpacker`."""
        if self.take(1) or self._decompressor.unused_data or any(self._chunks):
            raise RefusedError(Rule.LENGTH, self._what, "bytes follow its end")


class _Inflater:
    """zlib's decompressor with the face of lzma's."""

    def __init__(self, window_bits: int) -> None:
        self._inflater = zlib.decompressobj(-window_bits)
        self._is_full = False
        """The last call gave all that it might: there may be more without further input."""

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflater.unconsumed_tail and not self._is_full

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        unpacked = self._inflater.decompress(self._inflater.unconsumed_tail + data, max_length)
        self._is_full = len(unpacked) == max_length
        return unpacked


def lzma2(chunks: Iterable[bytes], window_bits: int, what: str) -> Unpacker:
    """Raw LZMA2; holds a window of 2**window_bits bytes."""
    return _Stream(chunks, lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=lzma2_filters(window_bits)), what)


def lzma2_filters(window_bits: int) -> list[dict[str, int]]:
    """What both sides agree on, since raw LZMA2 says nothing of itself."""
    return [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << window_bits}]


def deflate(chunks: Iterable[bytes], window_bits: int, what: str) -> Unpacker:
    """Raw deflate, as MicroPython's `deflate` undoes it."""
    return _Stream(chunks, _Inflater(window_bits), what)


def zstd(chunks: Iterable[bytes], what: str) -> Unpacker:
    """A Zstandard frame with a window of 8 MiB at most."""
    return _Zstd(chunks, what)


class _Zstd:
    """zstandard's reader, which alone bounds what one read gives."""

    def __init__(self, chunks: Iterable[bytes], what: str) -> None:
        self._feed = _Feed(chunks)
        self._what = what
        unpacker = zstandard.ZstdDecompressor(max_window_size=1 << ZSTD_WINDOW_BITS)
        self._reader = unpacker.stream_reader(cast("IO[bytes]", self._feed), read_size=_FEED_BYTES)

    def take(self, most: int) -> bytes:
        """See `Unpacker`."""
        try:
            return self._reader.read(most)
        except zstandard.ZstdError as error:
            raise RefusedError(Rule.FORMAT, self._what, f"it cannot be unpacked: {error}") from error

    def end(self) -> None:
        """See `Unpacker`. A frame that is cut short ends too early, which the image's length shows."""
        if self.take(1) or self._feed.read(1):
            raise RefusedError(Rule.LENGTH, self._what, "bytes follow its end")


class _Feed:
    """Pieces as a file, as far as zstandard asks for one."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while not self._rest:
            more = next(self._chunks, None)
            if more is None:
                return b""
            self._rest = more
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
