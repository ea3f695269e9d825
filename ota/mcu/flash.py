"""Where the selector lies: two sectors of flash, or of a file where a board has none to spare. MicroPython-clean."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Flash(Protocol):
        """Two sectors of NOR flash."""

        def read(self, offset: int, size: int) -> bytes:
            """What the cells hold."""

        def program(self, offset: int, data: bytes) -> None:
            """Clear the bits that are 0 in `data`; the others stay."""

        def erase(self, sector: int) -> None:
            """Set all bits of a sector."""


class FileFlash:
    """A file in the place of flash; what is programmed is synced before it counts."""

    def __init__(self, path: str, size: int) -> None:
        self._path = path
        try:
            is_there = os.stat(path)[6] == size  # noqa: PTH116  # MicroPython has no pathlib
        except OSError:
            is_there = False
        if not is_there:
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(b"\xff" * size)

    def read(self, offset: int, size: int) -> bytes:
        """See `Flash`."""
        with open(self._path, "rb") as file:  # noqa: PTH123
            file.seek(offset)
            return file.read(size)

    def program(self, offset: int, data: bytes) -> None:
        """See `Flash`."""
        before = self.read(offset, len(data))
        self._write(offset, bytes([before[index] & data[index] for index in range(len(data))]))

    def erase(self, sector: int) -> None:
        """See `Flash`."""
        self._write(sector * 4096, b"\xff" * 4096)

    def _write(self, offset: int, data: bytes) -> None:
        with open(self._path, "r+b") as file:  # noqa: PTH123
            file.seek(offset)
            file.write(data)
            file.flush()
