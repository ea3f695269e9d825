"""What can go wrong with an update. Each text is one line that an operator understands."""

from enum import Enum


class OtaError(Exception):
    """The update cannot go on. Its text is one line for a person."""


def printable(text: str) -> str:
    """The text in one line that any file, log and terminal takes: what is not printable is escaped.

    Names that a damaged disk gives are no Unicode; a peer's words may hold anything.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class Rule(Enum):
    """What a refusal rests on; the word stands in front of its text, in the audit trail and in reports."""

    ROLE = "role"
    """A role that is not there, not delegated, or not allowed to speak for this path."""
    SIGNATURE = "signature"
    THRESHOLD = "threshold"
    VERSION = "version"
    """Metadata older than what was seen before."""
    EXPIRY = "expiry"
    HASH = "hash"
    LENGTH = "length"
    AGREEMENT = "agreement"
    """Director and image repository do not say the same."""
    PLAN = "plan"
    """The plan is for another device, or its number does not rise."""
    ECU = "ecu"
    HARDWARE = "hardware"
    FLOOR = "floor"
    """A release counter or a data schema below what is confirmed."""
    QUARANTINE = "quarantine"
    """This image has failed here; a plan with a higher number may try it again."""
    FORMAT = "format"
    SPACE = "space"
    BUDGET = "budget"
    """Bytes or attempts of today are used up."""
    CONDITION = "condition"
    """A window, a metered link, a local condition."""
    CANCELLED = "cancelled"
    NETWORK = "network"
    HEALTH = "health"
    STORAGE = "storage"
    KEY = "key"


class RefusedError(OtaError):
    """A rule forbids it: nothing on the disk has changed.

    what: the file, role, plan or ECU that is refused.
    """

    def __init__(self, rule: Rule, what: str, reason: str) -> None:
        self.rule = rule
        self.what = printable(what)
        self.reason = printable(reason)
        super().__init__(f"{rule.value}: {self.what}: {self.reason}")


class Cause(Enum):
    """Why storage failed: each asks for something else."""

    FULL = "full"
    BROKEN = "broken"
    READ_ONLY = "read-only"
    MISSING = "missing"
    OTHER = "other"


class StorageError(OtaError):
    """The medium refused. `cause` tells why."""

    def __init__(self, what: str, reason: str, cause: Cause = Cause.OTHER) -> None:
        self.what = printable(what)
        self.reason = printable(reason)
        self.cause = cause
        super().__init__(f"{Rule.STORAGE.value}: {self.what}: {self.reason}")
