"""Who else has a say in when a plan is followed: a server of another kind, say, that an operator steers a fleet with.

A gate can hold a verified plan back, and nothing more: it can name no image, change no plan and skip no check.
"""

from collections.abc import Mapping
from typing import Protocol

from ota.targets import Plan, Target


class Gate(Protocol):
    """Each gives a reason in one line, or nothing where it may be."""

    def may_take(self, plan: Plan, images: Mapping[str, Target]) -> str:
        """Why a verified plan is not followed now. `images`: ECU -> what it is to run."""

    def may_switch(self, plan: Plan) -> str:
        """Why the slot may not be switched now for a plan that was let go, all else being ready."""

    def stops(self) -> str:
        """Why a download that is under way is to stop. Asked after each block."""


class OpenGate:
    """Nobody else has a say."""

    def may_take(self, _plan: Plan, _images: Mapping[str, Target]) -> str:
        """See `Gate`."""
        return ""

    def may_switch(self, _plan: Plan) -> str:
        """See `Gate`."""
        return ""

    def stops(self) -> str:
        """See `Gate`."""
        return ""


class ClosedGate:
    """Nothing goes through, for this reason; what is on trial is judged all the same."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def may_take(self, _plan: Plan, _images: Mapping[str, Target]) -> str:
        """See `Gate`."""
        return self._reason

    def may_switch(self, _plan: Plan) -> str:
        """See `Gate`."""
        return self._reason

    def stops(self) -> str:
        """See `Gate`."""
        return self._reason
