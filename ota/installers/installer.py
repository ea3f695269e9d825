"""How an image gets into a slot: what every kind of installer offers."""

from collections.abc import Iterable
from typing import Protocol

from ota.payload.choice import Held
from ota.payload.space import Room
from ota.slots.trailer import Mark, Trailer


class Installer(Protocol):
    """Two slots, `a` and `b`. Each step may be cut and done again. Raises `RefusedError` and `StorageError`."""

    def trailer(self, slot: str) -> Trailer | None:
        """What lies in a slot; None where nothing that may be started does."""

    def held(self, slot: str) -> Held | None:
        """The image in a slot, as the base of a delta; None where it has rotted."""

    def room(self, slot: str, length: int) -> Room:
        """What an image of this length takes while it is written to a slot, and what the slot gives up for it."""

    def erase(self, slot: str) -> None:
        """Make sure that nobody starts the slot."""

    def write(self, slot: str, trailer: Trailer, pieces: Iterable[bytes]) -> None:
        """Bring an image into a slot that was erased; all of it is durable afterwards, but cannot be started yet."""

    def seal(self, slot: str, trailer: Trailer) -> None:
        """From here on it may be started."""

    def fault(self, slot: str) -> str:
        """Read a slot back: what is wrong with it in a line; nothing where it is right."""

    def start_fault(self, slot: str) -> str:
        """Why a slot cannot be started; nothing where it can, though it may have a fault all the same."""

    def mark(self, slot: str, mark: Mark) -> None:
        """Say in the slot too that it is confirmed."""
