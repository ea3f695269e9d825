"""Messages of more than 1023 bytes: cut into packages, put together, asked for again (JT/T 808-2019, 4.4.3).

Every package repeats the id and the total and takes a serial of its own, so serial - index + 1 is the same for all
packages of one message. Devices exist that break this rule: when no message is complete by it and nothing has come for
a while, packages are put together by phone, id and total alone, but only if none of their indexes came twice. Whatever
waits is bounded in number, in bytes and in time.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from heapq import nlargest

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.dialogue import EventQueue
from protocols.jt808.frame import MAX_BODY_BYTES, Frame, Package

SERIALS = 0x10000
MAX_IDS_PER_REQUEST = 255
"""What the count of 2013 can say."""
REMEMBERED_MESSAGES = 32
"""Messages that became whole, so that a late repeat of a package is not taken for the beginning of another."""
PACKAGE_COST_BYTES = 300
"""What a package that waits costs beside its body, about."""


def split(frame: Frame) -> tuple[Frame, ...]:
    """A frame whose body may be too long, as the frames that carry it; the first bears its serial."""
    if len(frame.body) <= MAX_BODY_BYTES:
        return (frame,)
    pieces = [frame.body[at : at + MAX_BODY_BYTES] for at in range(0, len(frame.body), MAX_BODY_BYTES)]
    if len(pieces) > 0xFFFF:
        raise LocalProtocolError("more than 65535 packages", field="body")
    return tuple(
        msgspec.structs.replace(
            frame, serial=(frame.serial + number) % SERIALS, body=piece, package=Package(len(pieces), number + 1)
        )
        for number, piece in enumerate(pieces)
    )


def first_serial_of(frame: Frame) -> int:
    """The serial that package 1 of this package's message has."""
    assert frame.package is not None
    return (frame.serial - frame.package.index + 1) % SERIALS


class Gathered(msgspec.Struct, frozen=True):
    """Packages put together. frame: the header of the first of them, and their bodies joined, with no `package`."""

    frame: Frame
    total: int
    missing: tuple[int, ...] = ()


class Missing(msgspec.Struct, frozen=True):
    """Packages to ask for again. head: the body of package 1, if that came."""

    msg_id: int
    original_serial: int
    package_ids: tuple[int, ...]
    head: bytes = b""


class Abandoned(msgspec.Struct, frozen=True):
    """A message that never became whole. arrived: how many of its packages had."""

    msg_id: int
    phone: str
    total: int
    arrived: int


ReassemblyEvent = Gathered | Missing | Abandoned


def check_package(frame: Frame) -> Package:
    """A frame's place in its message. Raises `FrameError`, `FieldError`."""
    if frame.package is None:
        raise FrameError("the frame is not sub-packaged", field="subpackaged")
    if not 1 <= frame.package.index <= frame.package.total:
        reason = f"index {frame.package.index} of {frame.package.total} packages"
        raise FieldError(reason, field="package_index")
    return frame.package


def joined(packages: Mapping[int, Frame], total: int) -> Gathered:
    """Packages by their index, put together as far as they are there."""
    present = sorted(packages)
    first = packages[present[0]]
    body = b"".join([packages[index].body for index in present])
    return Gathered(msgspec.structs.replace(first, body=body, package=None), total, _missing_of(packages, total))


def _missing_of(packages: Mapping[int, Frame], total: int) -> tuple[int, ...]:
    return tuple([index for index in range(1, total + 1) if index not in packages])


def gather(frames: Iterable[Frame]) -> Gathered:
    """Put together the packages of one message, in whatever order they came. Raises `FrameError`, `FieldError`."""
    by_serial: dict[int, dict[int, Frame]] = {}
    together: dict[int, Frame] = {}
    message = None
    for frame in frames:
        package = check_package(frame)
        key = (frame.phone, frame.msg_id, package.total)
        if message not in {None, key}:
            raise FieldError("packages of different messages", field="package_total")
        message = key
        by_serial.setdefault(first_serial_of(frame), {}).setdefault(package.index, frame)
        together.setdefault(package.index, frame)
    if message is None:
        raise FrameError("no packages", field="frames")
    whole = next((group for group in by_serial.values() if len(group) == message[2]), together)
    return joined(whole, message[2])


_Key = tuple[str, int, int]


class _Partial:
    """What has come of the messages with one phone, id and total."""

    __slots__ = ("cost", "deadline", "groups", "requests")

    def __init__(self) -> None:
        self.groups: dict[int, dict[int, Frame]] = {}
        self.cost = 0
        self.deadline = 0.0
        self.requests = 0

    def arrived(self) -> int:
        return sum(map(len, self.groups.values()))

    def together(self) -> dict[int, Frame] | None:
        """All packages by their index, or None where an index came twice: then there are several messages."""
        packages: dict[int, Frame] = {}
        for group in self.groups.values():
            packages |= group
        return packages if len(packages) == self.arrived() else None


class Reassembler(EventQueue[ReassemblyEvent]):
    """Puts messages together as their packages come.

    After `quiet_s` without a new package the missing ones are asked for, `max_requests` times, then the message is
    given up. Where too many messages or bytes wait, the one that was quiet longest gives way.
    """

    def __init__(
        self, *, quiet_s: float = 5.0, max_requests: int = 3, max_messages: int = 8, max_bytes: int = 4 << 20
    ) -> None:
        super().__init__()
        self._quiet_s = quiet_s
        self._max_requests = max_requests
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._partials: dict[_Key, _Partial] = {}
        self._whole: deque[tuple[_Key, int]] = deque(maxlen=REMEMBERED_MESSAGES)
        self._cost = 0
        self.bad_packages = 0
        """Packages with an index that their total does not have."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for the rest of their messages, with what they cost beside."""
        return self._cost

    def feed(self, frame: Frame, now: float) -> None:
        """Take a package."""
        try:
            package = check_package(frame)
        except (FrameError, FieldError):
            self.bad_packages += 1
            return
        key = (frame.phone, frame.msg_id, package.total)
        partial = self._partials.pop(key, None) or _Partial()
        self._partials[key] = partial  # the last one is the one that was quiet for the shortest time
        group = partial.groups.setdefault(first_serial_of(frame), {})
        if package.index in group:
            return
        group[package.index] = frame
        partial.deadline = now + self._quiet_s
        cost = len(frame.body) + PACKAGE_COST_BYTES
        partial.cost += cost
        self._cost += cost
        if len(group) == package.total:
            self._events.append(joined(group, package.total))
            self._whole.append((key, first_serial_of(frame)))
            self._forget_group(key, first_serial_of(frame))
        while len(self._partials) > self._max_messages or self._cost > self._max_bytes:
            self._abandon(next(iter(self._partials)))

    def next_deadline(self) -> float | None:
        """When something has been quiet for too long."""
        return min((partial.deadline for partial in self._partials.values()), default=None)

    def tick(self, now: float) -> None:
        """Time has passed."""
        for key, partial in list(self._partials.items()):
            if now >= partial.deadline:
                self._was_quiet(key, partial, now)

    def reset(self) -> None:
        """Forget what waits: the link was closed."""
        for key in list(self._partials):
            self._abandon(key)
        self._whole.clear()

    def _was_quiet(self, key: _Key, partial: _Partial, now: float) -> None:
        for first_serial in list(partial.groups):
            if (key, first_serial) in self._whole:
                self._forget_group(key, first_serial)
        if not partial.groups:
            return
        together = partial.together()
        if together is not None and len(together) == key[2]:
            self._events.append(joined(together, key[2]))
            self._forget(key)
        elif partial.requests < self._max_requests:
            partial.requests += 1
            partial.deadline = now + self._quiet_s
            incomplete = [together] if together is not None else self._fullest(partial)
            for packages in incomplete:
                first = first_serial_of(packages[min(packages)])
                head = packages[1].body if 1 in packages else b""
                missing = _missing_of(packages, key[2])[:MAX_IDS_PER_REQUEST]
                self._events.append(Missing(key[1], first, missing, head))
        else:
            self._abandon(key)

    def _fullest(self, partial: _Partial) -> list[dict[int, Frame]]:
        """The messages to ask about: not each of the many that packages with senseless serials seem to begin."""
        return nlargest(self._max_messages, partial.groups.values(), key=len)

    def _abandon(self, key: _Key) -> None:
        phone, msg_id, total = key
        self._events.append(Abandoned(msg_id, phone, total, self._partials[key].arrived()))
        self._forget(key)

    def _forget(self, key: _Key) -> None:
        self._cost -= self._partials.pop(key).cost

    def _forget_group(self, key: _Key, first_serial: int) -> None:
        partial = self._partials[key]
        group = partial.groups.pop(first_serial)
        cost = sum(len(frame.body) + PACKAGE_COST_BYTES for frame in group.values())
        partial.cost -= cost
        self._cost -= cost
        if not partial.groups:
            self._forget(key)
