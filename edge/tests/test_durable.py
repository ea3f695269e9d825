"""Small files of ours: what the disk has damaged is told from what was written, every bit of it."""

import msgspec
import pytest

from edge.gateway.durable import decode_kept, encode_kept


class Kept(msgspec.Struct):
    number: int
    text: str = ""


def test_what_was_kept_is_read_again_also_behind_blanks_and_without_a_checksum():
    kept = Kept(302, "a\ncrc32c ffffffff")
    assert decode_kept(encode_kept(kept), Kept) == kept
    assert decode_kept(b"   " + encode_kept(kept), Kept) == kept
    assert decode_kept(b'{"number": 7}', Kept) == Kept(7)


@pytest.mark.parametrize(("kept", "is_number"), [(Kept(302, "flow-1"), False), (302, True), (["a", "b"], False)])
def test_no_flipped_bit_and_no_cut_passes_for_another_value(kept, is_number):
    data = encode_kept(kept)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert decode_kept(bytes(flipped), type(kept), needs_checksum=is_number) in (None, kept)
    for size in range(len(data)):
        assert decode_kept(data[:size], type(kept), needs_checksum=is_number) in (None, kept)
