"""The journal on a real MicroPython: a medium that can neither sync nor cut a file, and a power cut from outside."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import fastcrc
import pytest

from edge.store.journal import Journal
from edge.store.storage import PosixStorage

ROOT = Path(__file__).parents[2]
EPOCH = "0123456789abcdef"

BOARD = """
import json
import os
import sys

sys.path.insert(0, sys.argv[1])
from edge.store.journal import Journal
from protocols.core.checksum import crc32c


class Flash:
    truncate = None

    def __init__(self, folder):
        self.folder = folder
        self.name = None
        self.file = None

    def append(self, name, data):
        if name != self.name:
            self.end(self.name)
            self.name, self.file = name, open(self.folder + "/" + name, "ab")
        self.file.write(data)

    def sync(self, name):
        if name == self.name:
            self.file.flush()

    def end(self, name):
        if name is not None and name == self.name:
            self.file.close()
            self.name = None

    def sync_dir(self):
        pass

    def rename(self, name, other):
        self.end(name)
        os.rename(self.folder + "/" + name, self.folder + "/" + other)

    def list(self):
        return sorted(os.listdir(self.folder))

    def read(self, name, offset, size):
        with open(self.folder + "/" + name, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def size(self, name):
        try:
            return os.stat(self.folder + "/" + name)[6]
        except OSError:
            return 0

    def remove(self, name):
        self.end(name)
        os.remove(self.folder + "/" + name)


journal = Journal(Flash(sys.argv[2]), crc32c, lambda: "0123456789abcdef", 2000)
journal.open()
for number in range(int(sys.argv[3])):
    seq = journal.append(b"%d:" % journal.next_seq + bytes(journal.next_seq % 60))
    if number % 3 == 2:
        journal.commit()
journal.commit()
found = []
seq = journal.segments[0].first if journal.segments else 1
while True:
    records = journal.read(seq)
    if not records:
        break
    for seq, body in records:
        assert body == b"%d:" % seq + bytes(seq % 60)
        found.append(seq)
    seq += 1
lost = journal.take_lost()
if len(sys.argv) > 4:
    journal.drop_through(int(sys.argv[4]))
print(json.dumps({"found": found, "made": journal.committed_seq, "lost": lost, "segments": len(journal.segments)}))
"""


@pytest.fixture
def board(tmp_path):
    interpreter = Path(sys.executable).parent / "micropython"
    found = str(interpreter) if interpreter.exists() else shutil.which("micropython")
    assert found, "the test environment has a MicroPython: make setup installs it with the other packages of tests"

    def run(*arguments):
        command = [found, "-X", "heapsize=256k", "-c", BOARD, str(ROOT), str(tmp_path), *map(str, arguments)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        return json.loads(run.stdout)

    return run


def test_it_keeps_its_records_over_restarts_and_lets_go_of_old_ones(board, tmp_path):
    assert board(100) == {"found": list(range(1, 101)), "made": 100, "lost": [], "segments": 3}
    assert board(50, 120)["found"] == list(range(1, 151))
    again = board(0)
    assert again["made"] == 150
    assert 100 < again["found"][0] <= 121
    assert again["found"][-1] == 150


@pytest.mark.parametrize("torn_bytes", [1, 17, 18, 19, 40, 100])
def test_a_torn_tail_costs_what_was_being_written_and_its_numbers_are_used_again(board, tmp_path, torn_bytes):
    board(100)
    last = max(tmp_path.glob("*.seg"))
    with last.open("r+b") as file:
        file.truncate(last.stat().st_size - torn_bytes)
    again = board(0)
    assert again["found"] == list(range(1, again["made"] + 1))
    assert 95 <= again["made"] <= 100
    assert again["lost"] == []
    assert board(20)["found"] == list(range(1, again["made"] + 21))
    assert board(20)["found"] == list(range(1, again["made"] + 41))


def test_a_damaged_middle_is_skipped_and_told_there_as_here(board, tmp_path):
    board(100)
    middle = sorted(tmp_path.glob("*.seg"))[1]
    content = bytearray(middle.read_bytes())
    content[len(content) // 2] ^= 1
    middle.write_bytes(content)
    theirs = board(0)
    assert len(theirs["found"]) == 99
    storage = PosixStorage(tmp_path)
    journal = Journal(storage, fastcrc.crc32.iscsi, lambda: EPOCH)
    journal.open()
    ours, seq = [], 1
    while records := journal.read(seq):
        ours += [seq for seq, _body in records]
        seq = records[-1][0] + 1
    assert ours == theirs["found"]
    assert [list(pair) for pair in journal.take_lost()] == theirs["lost"]
    storage.close()
