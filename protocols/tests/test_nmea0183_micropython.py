"""The whole of NMEA 0183 on a real MicroPython: every vector, both layers, framer and receiver, one script."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from protocols.tests.kit import VECTORS

ROOT = Path(__file__).parents[2]
MICROPYTHON = Path(sys.executable).parent / "micropython"

SCRIPT = """
import json
import sys

sys.path.insert(0, sys.argv[1])

from protocols.core.errors import NEED_DATA, RemoteProtocolError
from protocols.core.instant import days_of, instant_text
from protocols.nmea0183.catalogue import decode
from protocols.nmea0183.framer import Framer
from protocols.nmea0183.message import decode_message, encode_message
from protocols.nmea0183.position import Gga, Rmc
from protocols.nmea0183.receiver import GnssListener
from protocols.nmea0183.sentence import encode_for_sending, encode_sentence

results = {}
for case in json.load(open(sys.argv[2]))["cases"]:
    framer = Framer()
    try:
        message = decode_message({"text": case["text"]})
    except RemoteProtocolError as error:
        results[case["name"]] = {"error": True}
        continue
    line = case["text"].encode()
    for at in range(len(line)):
        framer.feed(line[at : at + 1])
        assert framer.next_frame() is NEED_DATA
    framer.feed(b"\\r\\n")
    assert framer.next_frame() == line
    assert encode_sentence(decode(line)) == line
    if case["name"] != "GNGGA_05":
        decode_message(encode_message(message))
    results[case["name"]] = message

listener = GnssListener(1.0 / 960)
wire = encode_for_sending(Gga.of("BD", 43200000, (32068724170, 118775720170), 1, 9, 0.8, 9.7, 3.1))
wire += encode_for_sending(
    Rmc.of("BD", 43200000, "A", (32068724170, 118775720170), 0.1, 271.3, days_of(2007, 4, 10), None, "A")
)
listener.receive(wire, 10.0)
listener.tick(listener.next_deadline())
fix = listener.next_event()
results["fix"] = [instant_text(fix.utc_instant(days_of(2026, 1, 1))), fix.why_unusable(2.5, 4), round(fix.at, 3)]
results["wire"] = len(wire)
print(json.dumps(results))
"""


@pytest.mark.skipif(not MICROPYTHON.exists() and not shutil.which("micropython"), reason="no MicroPython here")
def test_every_vector_on_micropython(tmp_path: Path) -> None:
    script = tmp_path / "nmea0183.py"
    script.write_text(SCRIPT)
    interpreter = str(MICROPYTHON) if MICROPYTHON.exists() else "micropython"
    vectors = VECTORS / "nmea0183.json"
    run = subprocess.run(
        [interpreter, str(script), str(ROOT), str(vectors)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    results = json.loads(run.stdout)
    cases = json.loads(vectors.read_text())["cases"]
    for case in cases:
        got = results[case["name"]]
        for key, want in case["expect"].items():
            if key == "reason":
                continue
            if isinstance(want, float):
                assert got[key] == pytest.approx(want, abs=1e-7), f"{case['name']}: {key}"
            else:
                assert got[key] == want, f"{case['name']}: {key}"
    began = round(10.0 - results["wire"] / 960, 3)
    assert results["fix"] == ["2026-11-24T12:00:00.000Z", None, pytest.approx(began, abs=0.002)]
