"""Messages of a buoy, characters and drift on a real MicroPython: every vector, framer and dialogues, one script."""

import json
from typing import Any

import pytest

from protocols.tests.kit import VECTORS, is_same
from protocols.tests.test_micropython_clean import run_micropython

SCRIPT = """
import json
import sys

sys.path.insert(0, sys.argv[1])

from protocols.aton.character import parse_character
from protocols.aton.classify import character_of
from protocols.aton.commands import EXECUTED, Answer, Command
from protocols.aton.drift import Burst, Drift, Fix, Mooring, advance, burst_of, swing_radius_m
from protocols.aton.frame import Framer, decode_frame
from protocols.aton.link import Buoy, Shore
from protocols.aton.message import decode_message, encode_message
from protocols.aton.ready import READY
from protocols.aton.rhythm import rhythm_of
from protocols.aton.verbs import SetIntensity
from protocols.core.errors import NEED_DATA, RemoteProtocolError

results = {}
for case in json.load(open(sys.argv[2]))["cases"]:
    given = {key: case[key] for key in ("hex", "protocol", "text") if key in case}
    try:
        message = decode_message(given)
    except RemoteProtocolError:
        results[case["name"]] = {"error": True}
        continue
    if "text" in given:
        assert encode_message(message) == {"text": message["character"]}
    else:
        assert decode_message(encode_message(message)) == message
        framer = Framer()
        wire = bytes.fromhex(given["hex"])
        for at in range(len(wire)):
            assert framer.next_frame() is NEED_DATA
            framer.feed(wire[at : at + 1])
        assert framer.next_frame() == decode_frame(wire)
    results[case["name"]] = message

for text in READY:
    assert character_of(rhythm_of(parse_character(text))) == parse_character(text)
assert rhythm_of(parse_character("Fl(2)R 6s")).state_at(1764000000900) == (False, "R", 1100)

shore = Shore(994121001)
buoy = Buoy(994121001)
buoy.utc_offset_s = 1795501733
shore.send(Command(5, 1795505333, SetIntensity(3)), 0.0)
buoy.receive(shore.bytes_to_send(), 1.0)
command = buoy.next_event()
buoy.send(Answer(command.command_id, EXECUTED), 2.0)
shore.receive(buoy.bytes_to_send(), 3.0)
results["link"] = [command.arguments.level, shore.next_event().stage, shore.next_event().stage]

mooring = Mooring(320891230, 1187812350, swing_radius_m(25.0, 15.0, 1.0))
state = Drift(0)
notes = []
now_s = 0
for number in range(5):
    now_s += 120
    north = 5400 + number
    burst = burst_of([Fix(320891230 + north + each, 1187812350, 0.8, 9) for each in range(5)])
    state, news = advance(mooring, state, burst, now_s)
    notes += news
results["drift"] = [state.phase, notes, round(state.offset_m, 1), round(state.bearing_deg, 1)]
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results() -> Any:
    return json.loads(run_micropython(SCRIPT, str(VECTORS / "aton.json")))


def test_every_vector(results: Any) -> None:
    for case in json.loads((VECTORS / "aton.json").read_text())["cases"]:
        want = {key: value for key, value in case["expect"].items() if key != "reason" or "error" not in case["expect"]}
        assert is_same(want, results[case["name"]]), case["name"]


def test_link_and_drift(results: Any) -> None:
    assert results["link"] == [3, 0, 1]
    assert results["drift"] == [2, ["off_position"], 60.2, 0.0]
