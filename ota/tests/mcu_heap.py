# Runs on MicroPython: how much heap it takes to make files out of deltas. argv: root of the source tree, a folder with
# `old` and `part` files, how many there are. Prints one line of JSON: the peak above what was there before, in bytes.
import gc
import json
import os
import sys

import deflate

sys.path.insert(0, sys.argv[1])

from ota.mcu.delta import WINDOW_BITS, apply_delta

EVERY_BYTES = 512  # collect often: a peak of rubbish is none of ours

peaks = [0]


def measured(_data):
    peaks[0] = max(peaks[0], gc.mem_alloc() - base)


folder = sys.argv[2]
gc.collect()
gc.threshold(EVERY_BYTES)
base = gc.mem_alloc()
for number in range(int(sys.argv[3])):
    stem = folder + "/" + str(number)
    with open(stem + ".length") as file:  # noqa: PTH123
        length = int(file.read())
    old_length = os.stat(stem + ".old")[6]  # noqa: PTH116
    with open(stem + ".old", "rb") as old, open(stem + ".part", "rb") as packed:  # noqa: PTH123
        stream = deflate.DeflateIO(packed, deflate.RAW, WINDOW_BITS)
        apply_delta(stream, old, 0, old_length, length, measured)
    del stream
    gc.collect()
print(json.dumps({"peak": peaks[0]}))  # noqa: T201
