"""What can go wrong with the store."""

from enum import Enum


class Cause(Enum):
    """Why storage failed: each asks for something else."""

    FULL = "full"
    """No space: it passes when something is freed."""
    BROKEN = "broken"
    """The medium fails (EIO): a person must replace it."""
    READ_ONLY = "read-only"
    """Remounted read-only, as a dying medium is: a person must look."""
    OTHER = "other"


class StoreError(Exception):
    """The store cannot take or give a record. Its text is one line for a person."""


class StorageError(StoreError):
    """The medium refused. `cause` tells why."""

    def __init__(self, reason: str, cause: Cause = Cause.OTHER) -> None:
        super().__init__(reason)
        self.cause = cause


class StoreFullError(StoreError):
    """The lane is at its quota and may evict nothing: the reader goes out of service."""


class StoreLockedError(StoreError):
    """Another gateway holds this data folder."""
