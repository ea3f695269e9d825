"""Compressed bytes as they are asked for: bounded in memory, whatever a hostile stream claims to hold."""

import lzma
import zlib
from collections.abc import Iterable
from typing import Protocol

from ota.errors import RefusedError, Rule


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
