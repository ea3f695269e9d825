"""What travels between the antennas: bits, least significant first, with the place of a first collision.

Type A anticollision (ISO/IEC 14443-3:2016, 6.5.3) knows frames of 7 bits and frames that end inside a byte, and it
lives on knowing at which bit several cards disagreed. A frame here is a run of bits, packed from bit 0 of byte 0 on; a
card's part of a split byte starts at bit 0 too.
"""

from collections.abc import Sequence

import msgspec


class AirFrame(msgspec.Struct, frozen=True):
    """One transmission without start and end of frame and without parity bits.

    data: the bits, least significant first; bits after `bits` are 0. bits: how many of them were sent.
    collision: the first bit at which several cards disagreed, or None. The bits from there on mean nothing.
    """

    data: bytes
    bits: int
    collision: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it consists of whole bytes and nobody else spoke at the same time."""
        return self.collision is None and self.bits > 0 and self.bits % 8 == 0


def air_frame(data: bytes) -> AirFrame:
    """Whole bytes as a frame."""
    return AirFrame(bytes(data), 8 * len(data))


def short_frame(value: int) -> AirFrame:
    """A frame of 7 bits, such as REQA (ISO/IEC 14443-3:2016, 6.2.3.1)."""
    return AirFrame(bytes((value & 0x7F,)), 7)


def frame_of_bits(value: int, bits: int) -> AirFrame:
    """The lowest `bits` bits of a number, bit 0 first."""
    return AirFrame((value & ((1 << bits) - 1)).to_bytes((bits + 7) // 8, "little"), bits)


def bits_of(frame: AirFrame) -> int:
    """All bits of a frame as one number, the first bit sent lowest."""
    return int.from_bytes(frame.data, "little") & ((1 << frame.bits) - 1)


def superpose(answers: Sequence[AirFrame]) -> AirFrame | None:
    """What a reader hears when cards answer at once; None when none does.

    In Manchester code two different bits show as a collision and equal ones as themselves. Where a shorter answer has
    ended, the longer one is heard alone, so the end of an answer is a collision as well.
    """
    if not answers:
        return None
    longest = max(answer.bits for answer in answers)
    shortest = min(answer.bits for answer in answers)
    first = bits_of(answers[0])
    union = different = 0
    collision = min((answer.collision for answer in answers if answer.collision is not None), default=longest)
    for answer in answers:
        union |= bits_of(answer)
        different |= bits_of(answer) ^ first
    if shortest != longest:
        different |= 1 << shortest
    if different:
        collision = min(collision, (different & -different).bit_length() - 1)
    frame = frame_of_bits(union, longest)
    return AirFrame(frame.data, longest, collision if collision < longest else None)
