"""What the store asks of a medium: Linux files, a simulated disk, an MCU's flash."""

from typing import Protocol


class Medium(Protocol):
    """One folder of files. Every call may raise `StorageError`."""

    def append(self, name: str, data: bytes) -> None:
        """Add bytes to the end of a file, made when it is not there."""

    def sync(self, name: str) -> None:
        """Return when the medium has all that was appended."""

    def end(self, name: str) -> None:
        """Nothing more will be appended to this file."""

    def sync_dir(self) -> None:
        """Return when the medium knows which files there are."""

    def replace(self, name: str, data: bytes) -> None:
        """Put a small file in place of another, in one step, durably."""

    def rename(self, name: str, other: str) -> None:
        """Give a file another name."""

    def list(self) -> list[str]:
        """The names of all files, sorted."""

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer at the end of the file."""

    def size(self, name: str) -> int:
        """Bytes in a file; 0 when it is not there."""

    def remove(self, name: str) -> None:
        """Delete a file; harmless when it is not there."""

    def free_bytes(self) -> int:
        """What could still be written."""

    @property
    def truncate(self) -> "Truncate | None":
        """Cut a file to a size, durably; None where the medium cannot."""


class Truncate(Protocol):
    """See `Medium.truncate`."""

    def __call__(self, name: str, size: int) -> None:
        """Cut `name` to `size` bytes."""
