"""The good cases among the vectors, and bytes that look like frames."""

from protocols.tests.kit import cases_of

GOOD = [case for case in cases_of("iso14443") if "error" not in case["expect"]]


def hostile_bytes(rng):
    """Bytes that begin as some frame does."""
    start = bytes.fromhex(rng.choice(["", "50", "e0", "d0", "02", "f2", "0a", "6f", "9f", "00a404", "9370", "1d"]))
    return start + bytes(rng.choice((0, 1, 0x80, 0x81, 0xFF, rng.randrange(256))) for _ in range(rng.randrange(24)))
