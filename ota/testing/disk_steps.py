"""A file and a folder of the disk that loses its power: what is durable, what is pending, what a cut may leave."""

import random
from collections.abc import Iterator, Sequence
from itertools import chain, combinations
from typing import NamedTuple, TypeVar

SECTOR_BYTES = 512
SMALL_BYTES = 1024
"""A write up to this size is torn byte by byte, at some places; a larger one by sectors."""
ALL_SUBSETS_UP_TO = 3
SAMPLED_SUBSETS = 6


class Write(NamedTuple):
    """Bytes into a file."""

    offset: int
    data: bytes

    def onto(self, content: bytes) -> bytes:
        """The file afterwards. No bytes lengthen nothing, wherever they would stand."""
        if not self.data:
            return content
        return content[: self.offset].ljust(self.offset, b"\0") + self.data + content[self.offset + len(self.data) :]

    def torn(self, content: bytes, rng: random.Random) -> Iterator[bytes]:
        """What may be found when it did not land whole."""
        size = len(self.data)
        if size < 2:
            return
        if size <= SMALL_BYTES:
            places = {1, size // 2, size - 1, rng.randrange(size + 1)}
        else:
            sectors = range(SECTOR_BYTES, size, SECTOR_BYTES)
            places = {sectors[0], sectors[-1], rng.choice(sectors), rng.randrange(size)}
        for place in sorted(places - {0, size}):
            yield Write(self.offset, self.data[:place]).onto(content)
            yield Write(self.offset + place, self.data[place:]).onto(content)  # the later sectors first
        if self.offset + size > len(content):  # the length has landed, the bytes have not
            yield content.ljust(self.offset + size, b"\0")


class Truncate(NamedTuple):
    """Another length."""

    size: int

    def onto(self, content: bytes) -> bytes:
        """The file afterwards."""
        return content[: self.size].ljust(self.size, b"\0")

    def torn(self, _content: bytes, _rng: random.Random) -> Iterator[bytes]:
        """A length lands or it does not."""
        yield from ()


class Kept(NamedTuple):
    """A file as the medium has it."""

    data: bytes = b""
    mode: int = 0o600


class File:
    """`data` and `mode` are what a program sees, `kept` what is durable."""

    def __init__(self, kept: Kept = Kept()) -> None:  # noqa: B008  # it cannot be changed
        self.kept = kept
        self.data = kept.data
        self.mode = kept.mode
        self._steps: list[Write | Truncate] = []

    def write(self, offset: int, data: bytes) -> None:
        """Bytes that are not durable yet."""
        step = Write(offset, data)
        self._steps.append(step)
        self.data = step.onto(self.data)

    def truncate(self, size: int) -> None:
        """A length that is not durable yet."""
        step = Truncate(size)
        self._steps.append(step)
        self.data = step.onto(self.data)

    def set_mode(self, mode: int) -> None:
        """A mode that is not durable yet."""
        self.mode = mode

    def settle(self) -> None:
        """All of it is durable now, but what a failed sync has lost."""
        self.kept = self.everything()
        self._steps.clear()
        if self.kept.data == self.data:
            self.data = self.kept.data  # one object, so that its hash is counted once

    def lose(self) -> None:
        """What was pending will never be durable, though a program goes on seeing it."""
        self._steps.clear()

    def everything(self) -> Kept:
        """As it is when all that is pending lands."""
        return Kept(_applied(self.kept.data, self._steps), self.mode)

    def may_be(self, rng: random.Random) -> Iterator[Kept]:
        """What a cut may leave: nothing of the pending first, all of it last."""
        yield self.kept
        if not self._steps and self.mode == self.kept.mode:
            return
        content = self.kept.data
        for step in self._steps:
            for torn in step.torn(content, rng):
                yield Kept(torn, self.mode)
            content = step.onto(content)
            yield Kept(content, self.kept.mode)
        for some in subsets(self._steps, rng):
            yield Kept(_applied(self.kept.data, some), self.mode)
        yield Kept(content, self.mode)


class Put(NamedTuple):
    """A name that has come."""

    name: str
    node: "File | Folder"


class Drop(NamedTuple):
    """A name that has gone."""

    name: str


class Move(NamedTuple):
    """A name in another one's place."""

    name: str
    other: str
    node: "File | Folder"


Names = dict[str, "File | Folder"]


class Folder:
    """`names` are what a program sees, `kept` what is durable."""

    def __init__(self) -> None:
        self.names: Names = {}
        self.kept: Names = {}
        self._steps: list[Put | Drop | Move] = []

    def put(self, name: str, node: "File | Folder") -> None:
        """A name that is not durable yet."""
        self.names[name] = node
        self._steps.append(Put(name, node))

    def drop(self, name: str) -> None:
        """A loss that is not durable yet."""
        del self.names[name]
        self._steps.append(Drop(name))

    def move(self, name: str, other: str) -> None:
        """A rename that is not durable yet."""
        node = self.names[other] = self.names.pop(name)
        self._steps.append(Move(name, other, node))

    def settle(self) -> None:
        """All of it is durable now."""
        self.kept = dict(self.names)
        self._steps.clear()

    def nodes(self) -> list["File | Folder"]:
        """Whatever a cut may bring to light."""
        pending = (step.node for step in self._steps if not isinstance(step, Drop))
        return list({id(node): node for node in chain(self.kept.values(), self.names.values(), pending)}.values())

    def may_be(self, rng: random.Random) -> Iterator[Names]:
        """What a cut may leave: nothing of the pending first, all of it last."""
        yield self.kept
        if not self._steps:
            return
        names = self.kept
        for step in self._steps:
            if isinstance(step, Move):  # the new name is there, and the old one too
                yield {**names, step.name: step.node, step.other: step.node}
            names = _named(names, [step])
            yield names
        for some in subsets(self._steps, rng):
            yield _named(self.kept, some)
        yield self.names


_T = TypeVar("_T")


def subsets(steps: Sequence[_T], rng: random.Random) -> Iterator[list[_T]]:
    """Some of the steps, in order; all ways where they are few."""
    if len(steps) <= ALL_SUBSETS_UP_TO:
        for size in range(1, len(steps)):
            yield from map(list, combinations(steps, size))
    else:
        for _ in range(SAMPLED_SUBSETS):
            yield [step for step in steps if rng.random() < 0.5]


def _applied(content: bytes, steps: Sequence[Write | Truncate]) -> bytes:
    for step in steps:
        content = step.onto(content)
    return content


def _named(names: Names, steps: Sequence[Put | Drop | Move]) -> Names:
    names = dict(names)
    for step in steps:
        if isinstance(step, Put):
            names[step.name] = step.node
        else:
            names.pop(step.name, None)
        if isinstance(step, Move):
            names[step.other] = step.node
    return names
