"""What starts first: picks the set, counts the attempt, puts it on the path. MicroPython-clean.

A board's `boot.py`, frozen beside these modules, holds three lines:

    from ota.mcu.boot import start
    from board import flash, key, inflate
    start("", key, flash, inflate)

and its `main.py` imports the application by name. A watchdog that is armed here brings a set that hangs back to this
place until its attempts are used up.
"""

import sys

from ota.mcu.errors import SecondaryError
from ota.mcu.selector import Selector
from ota.mcu.sets import Sets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ota.mcu.flash import Flash
    from ota.mcu.selector import Choice
    from ota.mcu.sets import Inflate


def start(root: str, key: bytes, flash: "Flash", inflate: "Inflate") -> "tuple[Sets, Selector, int]":
    """Put the modules of the set that is to run on the path; returns what the agent needs, and the slot.

    A set on trial is looked through, file by file, before each of its attempts; one that is not whole, or whose attempt
    cannot be counted, is given up. A
    confirmed one is started as it is: an application that has run for months is not held up by a disk that it may
    still run from.
    """
    sets = Sets(root, key, inflate)
    selector = Selector(flash)
    choice = selector.choice()
    slot = 0
    if choice is not None:
        slot = choice.running_slot()
        is_trial = slot == choice.slot and not choice.is_confirmed
        if is_trial and not (sets.is_whole(slot) and _is_counted(selector, choice)):
            slot = 1 - slot
            _give_up(selector, choice, sets.head(slot))
    sys.path.insert(0, sets.folder(slot))
    return sets, selector, slot


def _is_counted(selector: Selector, choice: "Choice") -> bool:
    try:
        selector.count_attempt(choice)
    except (SecondaryError, OSError):
        return False
    return True


def _give_up(selector: Selector, choice: "Choice", head: "tuple[bytes, int, int] | None") -> None:
    """The other set for good; where no cell takes that, it runs all the same, and the next start tries again."""
    try:
        selector.revert(choice)
    except (SecondaryError, OSError):
        try:
            selector.choose(1 - choice.slot, b"" if head is None else head[0], 0)
        except (SecondaryError, OSError):
            return
