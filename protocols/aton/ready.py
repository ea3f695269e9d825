"""Patterns of flashers as makers list them: character -> on and off in ms. MicroPython-clean.

A public list of a maker's codes, and the emergency wreck mark of IALA (blue and yellow in turn). Where a list has more
than one pattern for a character, the first stands here.
"""


def _tenths(*lengths: int) -> tuple[int, ...]:
    return tuple([100 * length for length in lengths])


READY = {
    "Fl 2s": _tenths(5, 15),
    "Fl 2.5s": _tenths(5, 20),
    "Fl 3s": _tenths(3, 27),
    "Fl 4s": _tenths(5, 35),
    "Fl 5s": _tenths(5, 45),
    "Fl 6s": _tenths(10, 50),
    "Fl 10s": _tenths(5, 95),
    "Fl(2) 5s": _tenths(5, 10, 5, 30),
    "Fl(2) 6s": _tenths(8, 12, 8, 32),
    "Fl(2) 10s": _tenths(5, 15, 5, 75),
    "Fl(3) 9s": _tenths(8, 12, 8, 12, 8, 42),
    "Fl(3) 10s": _tenths(5, 15, 5, 15, 5, 55),
    "Fl(3) 12s": _tenths(5, 15, 5, 15, 5, 75),
    "Fl(4) 10s": _tenths(8, 12, 8, 12, 8, 12, 8, 32),
    "Fl(4) 12s": _tenths(5, 15, 5, 15, 5, 15, 5, 55),
    "Fl(5) 20s": _tenths(8, 12, 8, 12, 8, 12, 8, 12, 8, 112),
    "Fl(2+1) 6s": _tenths(3, 4, 3, 12, 3, 35),
    "Fl(2+1) 10s": _tenths(5, 7, 5, 21, 5, 57),
    "Fl(2+1) 12s": _tenths(8, 12, 8, 24, 8, 60),
    "LFl 10s": _tenths(20, 80),
    "Iso 2s": _tenths(10, 10),
    "Iso 4s": _tenths(20, 20),
    "Iso 6s": _tenths(30, 30),
    "Oc 3s": _tenths(20, 10),
    "Oc 4s": _tenths(30, 10),
    "Oc 6s": _tenths(45, 15),
    "Oc(2) 8s": _tenths(50, 10, 10, 10),
    "Q 1s": _tenths(3, 7),
    "VQ 0.5s": _tenths(2, 3),
    "Q(3) 10s": _tenths(5, 5, 5, 5, 5, 75),
    "VQ(3) 5s": _tenths(3, 2, 3, 2, 3, 37),
    "Q(9) 15s": _tenths(3, 7, 3, 7, 3, 7, 3, 7, 3, 7, 3, 7, 3, 7, 3, 7, 3, 67),
    "VQ(9) 10s": _tenths(2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 58),
    "Q(6)+LFl 15s": _tenths(3, 7, 3, 7, 3, 7, 3, 7, 3, 7, 3, 7, 20, 70),
    "VQ(6)+LFl 10s": _tenths(2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 20, 50),
    "Mo(A) 6s": _tenths(3, 6, 10, 41),
    "Mo(A) 8s": _tenths(4, 6, 20, 50),
    "Mo(A) 10s": _tenths(5, 5, 15, 75),
    "Mo(U) 10s": _tenths(3, 7, 3, 7, 9, 71),
    "Al.BuY 3s": _tenths(10, 5, 10, 5),
}
"""Each one adds up to its period: the tests see to it."""
