"""The journal on a real MicroPython: written, torn, damaged and recovered there, and read the same by both sides."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import fastcrc
import pytest

from edge.store.journal import Journal
from edge.store.segment import FRAME_BYTES
from edge.store.storage import PosixStorage

ROOT = Path(__file__).parents[2]

SCRIPT = """
import binascii, json, os, sys
sys.path.insert(0, sys.argv[1])
from edge.store.journal import Journal
from protocols.core.checksum import crc32c

class Flash:
    'A folder as a microcontroller has it: no truncate, and flush() is the sync.'
    truncate = None

    def __init__(self, folder):
        self.folder = folder + "/"
        self.writers = {}

    def append(self, name, data):
        if name not in self.writers:
            self.writers[name] = open(self.folder + name, "ab")
        self.writers[name].write(data)

    def sync(self, name):
        if name in self.writers:
            self.writers[name].flush()

    def end(self, name):
        if name in self.writers:
            self.writers.pop(name).close()

    def sync_dir(self):
        pass

    def list(self):
        return sorted([entry[0] for entry in os.ilistdir(self.folder)])

    def read(self, name, offset, size):
        with open(self.folder + name, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def size(self, name):
        try:
            return os.stat(self.folder + name)[6]
        except OSError:
            return 0

    def remove(self, name):
        self.end(name)
        if self.size(name):
            os.remove(self.folder + name)

    def rename(self, name, other):
        self.end(name)
        os.rename(self.folder + name, self.folder + other)

journal = Journal(Flash(sys.argv[2]), crc32c, lambda: binascii.hexlify(os.urandom(8)).decode(), 1500)
journal.open()
for _ in range(int(sys.argv[3])):
    journal.append(("record %d " % journal.next_seq).encode() + bytes(40))
    journal.commit()
if len(sys.argv) > 4:
    journal.drop_through(int(sys.argv[4]))
found = {}
seq = journal.segments[0].first if journal.segments else 1
while True:
    records = journal.read(seq)
    if not records:
        break
    for number, body in records:
        found[number] = body[:-40].decode()
    seq = records[-1][0] + 1
print(json.dumps([journal.epoch, journal.committed_seq, sorted(found.items()), sorted(journal.take_lost())]))
"""


def on_micropython(folder: Path, count: int, *, drop_through: int | None = None):
    """Open the journal there, append `count` records; return (epoch, made, {number: text}, lost ranges)."""
    interpreter = Path(sys.executable).parent / "micropython"
    found = str(interpreter) if interpreter.exists() else shutil.which("micropython")
    assert found, "the test environment has a MicroPython: make setup installs it with the other packages of tests"
    arguments = [str(ROOT), str(folder), str(count), *([] if drop_through is None else [str(drop_through)])]
    run = subprocess.run([found, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    epoch, made, records, lost = json.loads(run.stdout)
    return epoch, made, dict(map(tuple, records)), [tuple(pair) for pair in lost]


def here(folder: Path):
    """The same on CPython, with fastcrc and a disk that can truncate."""
    storage = PosixStorage(folder)
    storage.open()
    journal = Journal(storage, fastcrc.crc32.iscsi, lambda: "f" * 16, 1500)
    journal.open()
    records, seq = {}, 1
    while found := journal.read(seq):
        records |= {number: body[:-40].decode() for number, body in found}
        seq = found[-1][0] + 1
    storage.close()
    return journal.epoch, journal.committed_seq, records, journal.take_lost()


def expected(*numbers: int) -> dict[int, str]:
    return {number: f"record {number} " for number in numbers}


def newest(folder: Path) -> Path:
    return max(folder.glob("*.seg"))


def test_what_one_side_writes_both_sides_read(tmp_path):
    epoch, made, records, lost = on_micropython(tmp_path, 60)
    assert (made, records, lost) == (60, expected(*range(1, 61)), [])
    assert len(list(tmp_path.glob("*.seg"))) > 2
    assert here(tmp_path) == (epoch, 60, expected(*range(1, 61)), [])
    assert on_micropython(tmp_path, 0) == (epoch, 60, expected(*range(1, 61)), [])


@pytest.mark.parametrize("lost_bytes", [1, FRAME_BYTES, FRAME_BYTES + 5, FRAME_BYTES + 70])
def test_a_torn_tail_costs_only_what_was_not_whole_and_closes_the_segment(tmp_path, lost_bytes):
    """No truncate there: the torn segment stays as it is, and the next record begins another."""
    epoch, *_rest = on_micropython(tmp_path, 10)
    torn = newest(tmp_path)
    torn.write_bytes(torn.read_bytes()[:-lost_bytes])
    size = torn.stat().st_size
    kept = 10 if lost_bytes <= FRAME_BYTES else 9
    assert on_micropython(tmp_path, 0) == (epoch, kept, expected(*range(1, kept + 1)), [])
    assert on_micropython(tmp_path, 3)[1:] == (kept + 3, expected(*range(1, kept + 4)), [])
    assert torn.stat().st_size == size
    assert newest(tmp_path) != torn
    assert here(tmp_path)[1:] == (kept + 3, expected(*range(1, kept + 4)), [])


def test_a_damaged_middle_is_skipped_and_told(tmp_path):
    epoch, *_rest = on_micropython(tmp_path, 40)
    oldest = min(tmp_path.glob("*.seg"))
    content = bytearray(oldest.read_bytes())
    content[content.index(b"record 5 ")] ^= 0x20
    oldest.write_bytes(content)
    whole = expected(*(number for number in range(1, 41) if number != 5))
    assert on_micropython(tmp_path, 0) == (epoch, 40, whole, [(5, 5)])
    assert here(tmp_path) == (epoch, 40, whole, [(5, 5)])


def test_numbers_go_on_after_everything_old_was_let_go(tmp_path):
    epoch, *_rest = on_micropython(tmp_path, 60, drop_through=60)
    assert len(list(tmp_path.glob("*.seg"))) == 1
    again = on_micropython(tmp_path, 1)
    assert again[:2] == (epoch, 61)
    assert again[2][61] == "record 61 "
