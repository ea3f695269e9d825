"""pyais as an independent witness: it reads the same values from every vector and from random messages."""

import random
from typing import Any

import pyais
import pytest

from protocols.ais.catalogue import decode
from protocols.ais.message import decode_message
from protocols.ais.sentence import encode_part, parts_of
from protocols.tests.kit import cases_of, input_of

GOOD = [case for case in cases_of("ais") if not case["expect"].get("error")]
THEIR_NAMES = {"type": "msg_type", "shiptype": "ship_type"}
LENGTHS = {1: 168, 2: 168, 3: 168, 4: 168, 5: 424, 9: 168, 11: 168, 14: 100, 18: 168, 19: 312, 21: 272, 24: 168, 27: 96}
NOT_ASKED = {
    "turn": "pyais rounds it to whole degrees",
    "epfd": "pyais turns the codes 9 to 14 into 0",
    "shiptype": "pyais turns codes that it does not name into others",
    "regional": "pyais means other bits",
    "name": "asked apart: pyais keeps what stands behind an @",
}
NOT_AVAILABLE = {
    "lon": (181.0,), "lat": (91.0,), "speed": (102.3, 63.0, 1023), "heading": (511,), "alt": (4095,),
}  # fmt: skip


def agree(key: str, ours: Any, theirs: Any) -> bool:
    theirs = getattr(theirs, "value", theirs)
    if ours is None:
        return theirs in NOT_AVAILABLE[key] if key in NOT_AVAILABLE else bool(theirs >= 360)
    if key == "text":  # pyais fills up the bits that are left over to one more character
        text = theirs.partition("@")[0].strip()
        return bool(text[: len(ours.strip())] == ours.strip() and len(text) <= len(ours.strip()) + 1)
    if isinstance(ours, str):
        return bool(ours.strip() == theirs.partition("@")[0].strip())
    return abs(ours - theirs) < 1e-5 if not isinstance(ours, bool) else bool(theirs) is ours


def compare(ours: dict[str, Any], lines: list[str]) -> int:
    """How many values were compared. Theirs that have no name of ours, and the other way round, are not."""
    theirs = pyais.decode(*lines).asdict()
    asked = 0
    for key, value in ours.items():
        name = THEIR_NAMES.get(key, key)
        if key not in NOT_ASKED and name in theirs:
            asked += 1
            assert agree(key, value, theirs[name]), f"{key}: pyais {theirs[name]!r}, we {value!r}"
    return asked


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in GOOD])
def test_pyais_reads_the_same(case: dict[str, Any]) -> None:
    text = case["text"] if isinstance(case["text"], list) else [case["text"]]
    assert compare(decode_message(input_of(case)), [line.rpartition("\\")[2] for line in text]) >= 3


@pytest.mark.parametrize("kind", LENGTHS)
def test_pyais_reads_the_same_from_random_messages(kind: int) -> None:
    rng = random.Random(kind)
    for _ in range(100):
        length = LENGTHS[kind]
        bits = kind << length - 6 | rng.getrandbits(length - 6)
        if kind == 24:
            bits &= ~(2 << length - 40)
        decode(bits, length)
        lines = [encode_part(part).decode() for part in parts_of(bits, length, "AI", "VDM", "A")]
        assert compare(decode_message({"text": lines}), lines) >= 3


def test_names_of_aids() -> None:
    aids = [case for case in GOOD if case["expect"]["type"] == 21]
    for case in aids:
        text = case["text"] if isinstance(case["text"], list) else [case["text"]]
        name = str(pyais.decode(*text).asdict()["name"])
        assert decode_message(input_of(case))["name"].startswith(name.partition("@")[0].rstrip())
    assert len(aids) > 10
