# Runs on MicroPython, not on CPython: the whole update of a secondary on littlefs, in flash that loses power.
# argv: root of the source tree, file with the packages, seed.
# Prints one line of JSON.
import binascii
import gc
import json
import random
import struct
import sys

import deflate
import vfs

sys.path.insert(0, sys.argv[1])

from ota.mcu.agent import STATE_BYTES, STATE_FORMAT, Agent
from ota.mcu.authentic import MAC_BYTES, mac
from ota.mcu.boot import start

KEY = bytes(range(32))
ECU = b"lamp-1"
BLOCK, BLOCKS = 512, 256


class PowerCutError(Exception):
    pass


class Power:
    def __init__(self):
        self.left = -1
        self.operations = 0
        self.is_gone = False

    def goes(self):
        # Files that a cut has left open are closed by the collector some time later: by then there is no power.
        if self.is_gone:
            raise PowerCutError
        self.operations += 1
        if self.left == 0:
            self.is_gone = True
            return True
        self.left -= 1 if self.left > 0 else 0
        return False


class RamFlash:
    # The face of a block device with erase and program of parts of a block, as littlefs wants it.
    def __init__(self, cells, power):
        self.cells = cells
        self.power = power

    def readblocks(self, number, buffer, offset=0):
        at = number * BLOCK + offset
        buffer[:] = self.cells[at : at + len(buffer)]

    def writeblocks(self, number, buffer, offset=0):
        at = number * BLOCK + offset
        if self.power.goes():
            torn = random.getrandbits(10) % (len(buffer) + 1)
            for index in range(torn):
                self.cells[at + index] &= buffer[index]
            raise PowerCutError
        for index in range(len(buffer)):
            self.cells[at + index] &= buffer[index]

    def ioctl(self, operation, argument):
        if operation == 4:
            return BLOCKS
        if operation == 5:
            return BLOCK
        if operation == 6:
            at = argument * BLOCK
            if self.power.goes():
                for index in range(random.getrandbits(9)):
                    self.cells[at + index] = 0xFF
                raise PowerCutError
            for index in range(at, at + BLOCK):
                self.cells[index] = 0xFF
            return 0
        return 0


class Sectors:
    # The selector's two sectors.
    def __init__(self, cells, power):
        self.cells = cells
        self.power = power

    def read(self, offset, size):
        return bytes(self.cells[offset : offset + size])

    def program(self, offset, data):
        is_cut = self.power.goes()
        for index in range(len(data)):
            self.cells[offset + index] &= data[index] | (random.getrandbits(8) if is_cut else 0)
        if is_cut:
            raise PowerCutError

    def erase(self, sector):
        is_cut = self.power.goes()
        for index in range(sector * 4096, sector * 4096 + 4096):
            if not is_cut or random.getrandbits(1):
                self.cells[index] = 0xFF
        if is_cut:
            raise PowerCutError


class Box:
    def __init__(self, disk, sectors):
        self.disk = disk
        self.sectors = sectors
        self.power = Power()
        self.mounted = None

    def copy(self):
        return Box(bytearray(self.disk), bytearray(self.sectors))

    def boot(self):
        if self.mounted is not None:
            vfs.umount("/box")
        # The block device of an earlier life must not be written by what that life still has open.
        self.disk = bytearray(self.disk)
        self.mounted = vfs.VfsLfs2(RamFlash(self.disk, self.power), readsize=32, progsize=32, lookahead=32)
        vfs.mount(self.mounted, "/box")
        del sys.path[1:]
        sets, selector, slot = start("/box", KEY, Sectors(self.sectors, self.power), inflate)
        self.agent = Agent(ECU.decode(), KEY, sets, selector, some_bytes)
        self.sets = sets
        return slot

    def runs(self):
        slot = self.boot()
        head = self.sets.head(slot)
        assert head is not None, "what starts is the box's own"
        assert self.sets.is_whole(slot), "what starts is whole"
        return binascii.hexlify(head[0]).decode()

    def end(self):
        vfs.umount("/box")


def some_bytes(size):
    return bytes([random.getrandbits(8) for _ in range(size)])


def inflate(stream, window_bits):
    return deflate.DeflateIO(stream, deflate.RAW, window_bits)


class Gateway:
    # As ota.installers.mcu does it.
    def __init__(self, box):
        self.box = box

    def ask(self, request):
        answer = self.box.agent.handle(request)
        assert answer[0] == 0, answer
        return answer[1:]

    def state(self):
        nonce = b"n" * 16
        answer = self.ask(b"h" + nonce)
        state = answer[:-MAC_BYTES]
        assert mac(KEY, b"state", nonce, state) == answer[-MAC_BYTES:]
        fields = struct.unpack(STATE_FORMAT, state[:STATE_BYTES])
        self.nonce = fields[0]
        return fields

    def code(self, word, name):
        return mac(KEY, word, self.nonce, ECU, name)

    def send(self, data):
        for offset in range(0, max(1, len(data)), 512):
            self.ask(b"d" + struct.pack(">I", offset) + data[offset : offset + 512])

    def stage(self, package):
        name = package["name"]
        if self.state()[6] == name:
            return
        self.ask(b"o" + name + self.code(b"offer", name))
        kind, stream = package["manifest"]
        self.send(stream)
        self.ask(b"m" + kind + struct.pack(">I", package["length"]))
        for index in range(len(package["files"])):
            kind, stream = package["files"][index]
            number = struct.pack(">H", index)
            if kind == b"k" or self.ask(b"f" + number + b"q") != b"\1":
                if kind != b"k":
                    self.send(stream)
                self.ask(b"f" + number + kind)
        assert self.ask(b"s") == name

    def arm(self, package):
        state = self.state()
        if state[2] and state[5] == package["name"]:
            return
        self.ask(b"a" + self.code(b"arm", package["name"]))

    def confirm(self):
        state = self.state()
        self.ask(b"c" + self.code(b"confirm", state[5]))


def update(box, package):
    # One life after the other until the set is confirmed: each life begins with a boot and takes the next steps.
    gateway = Gateway(box)
    box.boot()
    if gateway.state()[5] != package["name"]:
        gateway.stage(package)
        gateway.arm(package)
        box.boot()
    gateway.confirm()


def read_package(given):
    manifest, *files = [(kind.encode(), binascii.a2b_base64(stream)) for kind, stream in given["parts"]]
    return {
        "name": binascii.unhexlify(given["name"]),
        "length": given["length"],
        "manifest": manifest,
        "files": files,
    }


def main():
    with open(sys.argv[2]) as file:  # noqa: PTH123  # MicroPython has no pathlib
        given = json.load(file)
    old, new = read_package(given["old"]), read_package(given["new"])
    random.seed(int(sys.argv[3]))
    names = [binascii.hexlify(package["name"]).decode() for package in (old, new)]

    cells = bytearray(b"\xff" * (BLOCK * BLOCKS))
    vfs.VfsLfs2.mkfs(RamFlash(cells, Power()), readsize=32, progsize=32, lookahead=32)
    first = Box(cells, bytearray(b"\xff" * 8192))
    update(first, old)
    assert first.runs() == names[0]
    first.end()

    whole = first.copy()
    update(whole, new)
    operations = whole.power.operations
    assert whole.runs() == names[1]
    whole.end()

    cuts = starts_old = starts_new = 0
    for cut in range(operations):
        box = first.copy()
        box.power.left = cut
        lives = 0
        while True:
            lives += 1
            try:
                update(box, new)
                break
            except PowerCutError:
                cuts += 1
                # the second cut strikes somewhere in the recovery, the third life is left in peace
                box.power.left = random.getrandbits(30) % operations if lives == 1 else -1
                peace, box.power = box.power, Power()
                ran = box.runs()  # counts as an attempt where it is on trial
                assert ran in names
                starts_old += ran == names[0]
                starts_new += ran == names[1]
                box.end()
                box = Box(box.disk, box.sectors)
                box.power.left = peace.left
        ran = box.runs()
        box.end()
        assert ran == names[1], (cut, ran)
        gc.collect()
    print(json.dumps({"operations": operations, "cuts": cuts, "old": starts_old, "new": starts_new}))  # noqa: T201


main()
