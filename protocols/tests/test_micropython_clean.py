"""What a microcontroller runs too: which modules, what they may import, and all of it on a real MicroPython."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from protocols.modbus_devices.pdu_message import decode_pdu
from protocols.modbus_devices.rtu import decode_rtu
from protocols.tests.kit import cases_of

ROOT = Path(__file__).parents[2]
FOLDERS = ("protocols", "drivers", "edge", "ota")

CLEAN = (
    "edge.buoy.board",
    "edge.store.journal",
    "edge.store.recovery",
    "edge.store.segment",
    "ota.mcu.agent",
    "ota.mcu.authentic",
    "ota.mcu.boot",
    "ota.mcu.delta",
    "ota.mcu.errors",
    "ota.mcu.flash",
    "ota.mcu.manifest",
    "ota.mcu.selector",
    "ota.mcu.sets",
    "protocols.aton.character",
    "protocols.aton.classify",
    "protocols.aton.commands",
    "protocols.aton.drift",
    "protocols.aton.frame",
    "protocols.aton.link",
    "protocols.aton.marks",
    "protocols.aton.message",
    "protocols.aton.message_commands",
    "protocols.aton.message_reports",
    "protocols.aton.morse",
    "protocols.aton.orders",
    "protocols.aton.ready",
    "protocols.aton.rhythm",
    "protocols.aton.telemetry",
    "protocols.aton.verbs",
    "protocols.aton.words",
    "protocols.core.buffer",
    "protocols.core.checksum",
    "protocols.core.errors",
    "protocols.core.frame_search",
    "protocols.core.instant",
    "protocols.modbus_devices.fields",
    "protocols.modbus_devices.functions",
    "protocols.modbus_devices.lengths",
    "protocols.modbus_devices.pdu",
    "protocols.modbus_devices.request",
    "protocols.modbus_devices.response",
    "protocols.modbus_devices.rtu",
    "protocols.modbus_devices.tcp",
    "protocols.nmea0183.catalogue",
    "protocols.nmea0183.characters",
    "protocols.nmea0183.checksum",
    "protocols.nmea0183.environment",
    "protocols.nmea0183.fields",
    "protocols.nmea0183.fix",
    "protocols.nmea0183.framer",
    "protocols.nmea0183.message",
    "protocols.nmea0183.motion",
    "protocols.nmea0183.position",
    "protocols.nmea0183.receiver",
    "protocols.nmea0183.satellites",
    "protocols.nmea0183.sentence",
    "protocols.nmea0183.tag_block",
    "protocols.nmea0183.text",
    "protocols.sl651.bodies",
    "protocols.sl651.catalogue",
    "protocols.sl651.confirm",
    "protocols.sl651.elements",
    "protocols.sl651.frame",
    "protocols.sl651.framer",
    "protocols.sl651.groups",
    "protocols.sl651.packets",
    "protocols.sl651.payloads",
    "protocols.sl651.series",
    "protocols.sl651.values",
    "protocols.sl651.wire",
    "protocols.wayside.pack",
    "protocols.wayside.ranges",
    "protocols.wayside.topics",
)
"""Written out: a module becomes clean by being added here, and stays so by this test."""

BUILT_IN = frozenset({"array", "binascii", "collections", "hashlib", "json", "math", "os", "struct", "sys"})
"""What every port of MicroPython has and a clean module may import."""


def path_of(module):
    return ROOT / (module.replace(".", "/") + ".py")


def parsed(module):
    return ast.parse(path_of(module).read_text("utf-8"), module)


def is_for_types_only(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imported(tree):
    """What is imported when a module runs, wherever it stands; blocks for the type checker do not run."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if is_for_types_only(node):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def run_micropython(script, *arguments):
    interpreter = Path(sys.executable).parent / "micropython"
    found = str(interpreter) if interpreter.exists() else shutil.which("micropython")
    assert found, "the test environment has a MicroPython: make setup installs it with the other packages of tests"
    run = subprocess.run(
        [found, "-c", script, str(ROOT), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_every_module_that_says_it_is_clean_is_listed():
    says = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if "tests" not in path.parts
        and "MicroPython-clean" in (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "")
    }
    assert says == set(CLEAN)


@pytest.mark.parametrize("module", CLEAN)
def test_it_imports_only_what_a_microcontroller_has(module):
    foreign = {name for name in imported(parsed(module)) if name not in CLEAN and name not in BUILT_IN}
    assert not foreign


@pytest.mark.parametrize("module", CLEAN)
def test_packages_above_it_are_empty(module):
    for parent in path_of(module).relative_to(ROOT).parents[:-1]:
        assert (ROOT / parent / "__init__.py").read_bytes() == b""


def has_mangled_name(node):
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "name", None)
    return isinstance(name, str) and name.startswith("__") and not name.endswith("__")


def has_chained(node):
    """`raise ... from error`; `from None` is understood, and says no more than MicroPython does anyway."""
    return isinstance(node, ast.Raise) and node.cause is not None and not isinstance(node.cause, ast.Constant)


@pytest.mark.parametrize("module", CLEAN)
def test_it_says_nothing_that_micropython_does_not_understand(module):
    for node in ast.walk(parsed(module)):
        where = f"{module}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, (ast.Match, ast.TryStar, ast.AsyncFor, ast.AsyncWith)), where
        assert not has_chained(node), f"{where}: exception chaining"
        assert not has_mangled_name(node), f"{where}: names are not mangled there"
        if isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Load):
            assert not any(isinstance(part, ast.Starred) for part in node.elts), f"{where}: star in a display"


def test_all_of_them_are_imported_by_a_real_micropython():
    script = """
import sys
sys.path.insert(0, sys.argv[1])
for module in sys.argv[2:]:
    __import__(module)
print(len(sys.argv) - 2)
"""
    assert run_micropython(script, *CLEAN).split() == [str(len(CLEAN))]


CHECKS = """
import sys
sys.path.insert(0, sys.argv[1])
from protocols.core import checksum
from protocols.core.buffer import ByteBuffer

names = ("crc16_modbus", "crc16_mcrf4xx", "crc_a", "crc_b", "crc32c", "xor8", "lrc8")
print(" ".join("%x" % getattr(checksum, name)(b"123456789") for name in names))
buffer = ByteBuffer(8)
for number in range(100):
    buffer.append(bytes((number, number + 1)))
    buffer.drop(number % 3)
print(buffer.peek(0, 8).hex(), buffer.find(b"\\x64"), len(buffer), buffer.append(b"0123456789"))
"""


def test_checks_and_buffer_come_out_alike(capsys, monkeypatch):
    theirs = run_micropython(CHECKS)
    monkeypatch.setattr(sys, "argv", ["", str(ROOT)])
    monkeypatch.setattr(sys, "path", sys.path[:])
    exec(compile(CHECKS, "checks", "exec"), {})
    assert theirs == capsys.readouterr().out
    assert theirs.startswith("4b37 6f91 bf05 906e e3069283 31 23\n")


FRAMING = """
import json
import sys
sys.path.insert(0, sys.argv[1])
from protocols.core.errors import NEED_DATA, RemoteProtocolError
from protocols.modbus_devices.pdu import check_answer, decode_request, decode_response
from protocols.modbus_devices.rtu import RtuFramer, decode_rtu, encode_rtu
from protocols.modbus_devices.tcp import TcpFrame, TcpFramer, encode_tcp

out = []
for wire, direction in json.load(open(sys.argv[2])):
    wire = bytes.fromhex(wire)
    try:
        frame = decode_rtu(wire)
        pdu = (decode_request if direction == "request" else decode_response)(frame.pdu)
    except RemoteProtocolError as error:
        out.append(str(error))
        continue
    assert encode_rtu(frame.unit_id, pdu.encode()) == wire
    for framer, sent, want in (
        (RtuFramer(), wire, frame),
        (TcpFramer(), encode_tcp(9, frame.unit_id, frame.pdu), TcpFrame(9, frame.unit_id, frame.pdu)),
    ):
        for at in range(len(sent)):
            assert framer.next_frame() is NEED_DATA
            framer.feed(sent[at : at + 1])
        assert framer.next_frame() == want
    out.append(repr(pdu))

request = decode_request(bytes.fromhex("0300100002"))
answer = encode_rtu(5, bytes.fromhex("030400010002"))
framer = RtuFramer()
framer.expect_answer(5, request)
for byte in b"\\x05\\x03\\x04" + answer + answer[:-1] + b"\\x00" + answer:
    framer.feed(bytes((byte,)))
found = []
while True:
    frame = framer.next_frame()
    if frame is NEED_DATA:
        break
    check_answer(request, decode_response(frame.pdu))
    found.append(frame)
out.append([repr(found), framer.discarded_bytes, framer.bad_checks])
print(json.dumps(out))
"""


def test_every_vector_is_framed_and_decoded_by_a_real_micropython(tmp_path):
    cases = [case for case in cases_of("modbus_devices") if "hex" in case and "protocol" not in case]
    given = tmp_path / "cases.json"
    given.write_text(json.dumps([[case["hex"], case["direction"]] for case in cases]))
    *decoded, stream = json.loads(run_micropython(FRAMING, str(given)))
    for case, text in zip(cases, decoded, strict=True):
        if "error" in case["expect"]:
            assert "due" in text or "may be asked for" in text
        else:
            assert text == repr(decode_pdu(decode_rtu(bytes.fromhex(case["hex"])).pdu, case["direction"]))
    assert stream == ["[RtuFrame(5, '030400010002'), RtuFrame(5, '030400010002')]", 12, 2]  # two false starts
