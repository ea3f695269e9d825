"""What a buoy refuses, and how it does a command once only however often it comes.

MicroPython-clean. A light that marks a danger is never put out by a mistake or a lost link: `off` needs a second
person's confirmation, and on and off end by themselves.

>>> why_refused(Command(1, 1764000000, LampMode(LAMP_OFF, 0, 0)), now_s=1763990000) == REASONS.index("not_confirmed")
True
"""

from protocols.aton.character import parse_character
from protocols.aton.commands import REASONS, Answer, Command, decode_answer, encode_answer
from protocols.aton.marks import may_show
from protocols.aton.verbs import LAMP_OFF, PREPARE, LampMode, Query, SetCharacter, SyncTime, UnknownVerb
from protocols.core.errors import FieldError

EVERYONE = 0
"""The station of a frame to all: for queries and the time only."""
EXPIRED = REASONS.index("expired")
UNKNOWN_VERB = REASONS.index("unknown_verb")
BAD_VALUE = REASONS.index("bad_value")
NOT_CONFIRMED = REASONS.index("not_confirmed")
NOT_ALLOWED = REASONS.index("not_allowed")
BUSY = REASONS.index("busy")
NO_TIME = REASONS.index("no_time")

MOST_REMEMBERED = 32


def why_refused(command: Command, now_s: int | None, station: int | None = None, mark: str | None = None) -> int:
    """The reason for refusing a command (its position in `REASONS`), or 0.

    `now_s` is UTC, None where the buoy does not know it: then it is asked and told the time, and nothing else.
    `mark` is one of `marks.MARKS`, whose characters alone are taken; None takes all.
    """
    arguments = command.arguments
    is_harmless = isinstance(arguments, (Query, SyncTime))
    reason = 0
    if isinstance(arguments, UnknownVerb):
        reason = UNKNOWN_VERB
    elif station == EVERYONE and not is_harmless:
        reason = NOT_ALLOWED
    elif now_s is None and not is_harmless:
        reason = NO_TIME
    elif now_s is not None and command.expires_s <= now_s and not isinstance(arguments, SyncTime):
        reason = EXPIRED
    elif not arguments.is_sensible():
        reason = BAD_VALUE
    elif isinstance(arguments, LampMode) and arguments.mode == LAMP_OFF and arguments.is_confirmed != 1:
        reason = NOT_CONFIRMED
    elif isinstance(arguments, SetCharacter) and not _is_allowed(arguments, mark):
        reason = NOT_ALLOWED
    return reason


def _is_allowed(order: SetCharacter, mark: str | None) -> bool:
    return mark is None or order.step != PREPARE or may_show(mark, parse_character(order.text))


class OrderBook:
    """Which commands came and how far each has come: the last 32 of them.

    Whoever reboots, by command or not, keeps `saved()` and gives it to the next one: what comes again then is not done
    again. Of what was damaged meanwhile, all that stands before the damage is read.
    """

    __slots__ = ("_answers", "_order")

    def __init__(self, saved: bytes = b"") -> None:
        self._answers: dict[int, Answer] = {}
        self._order: list[int] = []
        at = 0
        while at < len(saved):
            end = at + 1 + saved[at]
            try:
                answer = decode_answer(saved[at + 1 : end]) if end <= len(saved) else None
            except FieldError:
                answer = None
            if answer is None:
                break
            self.note(answer)
            at = end

    def saved(self) -> bytes:
        """All of them, the oldest first: length (1) and body of each answer."""
        bodies = [encode_answer(self._answers[command_id]) for command_id in self._order]
        return b"".join([bytes((len(body),)) + body for body in bodies])

    def answer_of(self, command_id: int) -> Answer | None:
        """The latest answer to a command that came before, or None."""
        return self._answers.get(command_id)

    def note(self, answer: Answer) -> None:
        """Keep an answer."""
        if answer.command_id not in self._answers:
            self._order.append(answer.command_id)
            if len(self._order) > MOST_REMEMBERED:
                del self._answers[self._order.pop(0)]
        self._answers[answer.command_id] = answer
