"""Two dialogues of frames with a wire between them that loses, doubles and spoils frames, by a seed.

A bus or a network may double a frame; a serial line does not (`is_doubling=False`).
"""

import random

from protocols.core.errors import NEED_DATA


class LossyLink:
    """`left` and `right` have the face of `protocols/dialogue.py`, one frame a call of `bytes_to_send()`."""

    def __init__(self, left, right, *, seed=0, rate=0.0, is_doubling=True):
        self.left, self.right = left, right
        self.rng = random.Random(seed)
        self.rate = rate
        self.is_doubling = is_doubling
        self.now = 0.0
        self.left_events = []
        self.right_events = []
        self.frames = 0

    def spoilt(self, frame):
        """What arrives of a frame: nothing, the frame, or two of it; at times with a bit flipped."""
        luck = self.rng.random() / self.rate if self.rate else 1.0
        if luck < 0.6:
            return []
        if luck < 0.8:
            return [frame, frame] if self.is_doubling else []
        if luck < 1.0:
            at = self.rng.randrange(len(frame))
            return [frame[:at] + bytes((frame[at] ^ 1 << self.rng.randrange(8),)) + frame[at + 1 :]]
        return [frame]

    def pump(self):
        """Carry frames until both are quiet."""
        is_busy = True
        while is_busy:
            is_busy = False
            for start, end in ((self.left, self.right), (self.right, self.left)):
                while frame := start.bytes_to_send():
                    is_busy = True
                    self.frames += 1
                    assert self.frames < 100_000, "no end"
                    for one in self.spoilt(frame):
                        end.receive(one, self.now)
        for end, events in ((self.left, self.left_events), (self.right, self.right_events)):
            while (event := end.next_event()) is not NEED_DATA:
                events.append(event)

    def run(self):
        """Until nobody waits for anything."""
        self.pump()
        while deadlines := [due for due in (self.left.next_deadline(), self.right.next_deadline()) if due is not None]:
            self.now = max(self.now, min(deadlines))
            self.left.tick(self.now)
            self.right.tick(self.now)
            self.pump()
