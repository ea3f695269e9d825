"""What a device must not forget of its dealings with a server: the open action, and what is still to be told.

    hawkbit/memory.json      one line of JSON, and a line with its CRC-32

It is on the disk before a request goes out that rests on it. So an answer that is lost on the way, or a power cut
anywhere, can make the server hear the same thing twice, and never two things, nor nothing.
"""

from contextlib import suppress

import msgspec

from ota.hawkbit.feedback import Channel, Feedback
from ota.storage import Storage, make_durable, replace, with_check, without_check

FOLDER = "hawkbit"
FILE = f"{FOLDER}/memory.json"
MAX_RESULTS = 8
"""Results that the server has taken and that are remembered still, in case it asks again."""
MAX_STEPS = 200
"""Of one action, beside its result: a server takes 1000 by default, its own entries included (hawkBit issue 1249)."""
MAX_OWED = 32
"""A server that opens ever new actions and takes no answer loses the oldest."""
_MAX_BYTES = 1 << 20


class Memory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The record. Each change is a new one."""

    action: str = ""
    """The action that is open and has no result yet."""
    plan: int = 0
    """The Director's plan that is followed for it."""
    last: Feedback | None = None
    """What was said of it last."""
    steps: int = 0
    """How often something was said of it."""
    owed: tuple[Feedback, ...] = ()
    """To be told, in this order."""
    results: tuple[Feedback, ...] = ()
    """Told, the newest last: what has ended, and how."""
    attributes: str = ""
    """SHA-256 of the attributes that the server has taken."""

    def result_of(self, channel: Channel, action: str) -> Feedback | None:
        """How an action, or a question, has ended, told already or not."""
        for each in (*self.owed, *reversed(self.results)):
            if each.is_final and (each.channel, each.action) == (channel, action):
                return each
        return None

    def begun(self, action: str) -> "Memory":
        """This action is the open one now; what waited to be said of another one's way is of no use any more."""
        if action == self.action:
            return self
        return msgspec.structs.replace(self, action=action, plan=0, last=None, steps=0, owed=self._without_steps())

    def ended(self) -> "Memory":
        """No action is open."""
        return msgspec.structs.replace(self, action="", plan=0, last=None, steps=0, owed=self._without_steps())

    def with_step(self, feedback: Feedback) -> "Memory":
        """The open action is at another point: only the newest one that has not been told is worth telling."""
        if feedback.says_same(self.last) or self.steps >= MAX_STEPS:
            return self
        owed = (*self._without_steps(), feedback)
        return msgspec.structs.replace(self, last=feedback, steps=self.steps + 1, owed=owed)

    def with_result(self, feedback: Feedback) -> "Memory":
        """Something has ended; the result that is known of it already is replaced."""
        key = (feedback.channel, feedback.action)
        owed = tuple(each for each in self.owed if not each.is_final or (each.channel, each.action) != key)
        return msgspec.structs.replace(self, owed=(*owed, feedback)[-MAX_OWED:])

    def told(self, feedback: Feedback) -> "Memory":
        """The server has it."""
        results = self.results
        if feedback.is_final:
            key = (feedback.channel, feedback.action)
            results = tuple(each for each in results if (each.channel, each.action) != key)
            results = (*results, feedback)[-MAX_RESULTS:]
        return msgspec.structs.replace(self.without(feedback), results=results)

    def without(self, feedback: Feedback) -> "Memory":
        """It is not to be told any more."""
        return msgspec.structs.replace(self, owed=tuple(each for each in self.owed if each != feedback))

    def _without_steps(self) -> tuple[Feedback, ...]:
        return tuple(each for each in self.owed if each.is_final)


def read_memory(storage: Storage) -> tuple[Memory, bool]:
    """(the record, whether one was there that does not hold). Raises `StorageError` where the disk does not give it."""
    if storage.size(FILE) < 0:
        return Memory(), False
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return msgspec.json.decode(without_check(storage.read(FILE, 0, _MAX_BYTES)), type=Memory), False
    return Memory(), True


def write_memory(storage: Storage, memory: Memory) -> None:
    """Raises `StorageError`."""
    make_durable(storage, FOLDER)
    replace(storage, FILE, with_check(msgspec.json.encode(memory)))
