"""What a telemetry station is told, what its dialogue tells, its states and its settings. See `station`."""

from enum import Enum

import msgspec

from protocols.sl651.bodies import Body
from protocols.sl651.frame import Frame
from protocols.sl651.link import REPLY_TIMEOUT_S

KEEP_ALIVE_S = 40.0
"""The standard's advice; 1 to 255."""
BODY_BYTES = 220
"""A body that is longer goes in packets."""


class StationState(Enum):
    """Where the station stands."""

    IDLE = "idle"
    CONFIRM_DUE = "confirm due"
    ANSWER_DUE = "answer due"
    FINAL_DUE = "final confirm due"


class StationStimulus(Enum):
    """What may happen to it."""

    SEND_ONCE = "Send, M1"
    SEND = "Send, M2 or M3"
    QUERY = "ENQ"
    SAME_QUERY = "the same ENQ again"
    ANSWER = "Answer"
    CONFIRM = "EOT or ESC"
    GO_ON = "ACK, or confirm while frames are left"
    NAK = "NAK"
    SILENCE = "silence, tries left"
    SPENT = "silence, tries spent"


class StationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who the station is, and its timers."""

    center_addr: int
    station_addr: bytes
    password: bytes
    is_ascii: bool = False
    body_bytes: int = BODY_BYTES
    reply_timeout_s: float = REPLY_TIMEOUT_S
    answer_timeout_s: float = REPLY_TIMEOUT_S
    """How long the caller may think about an answer."""
    packet_gap_s: float = 0.0
    """Between packets of one message; more than 0 on a serial line, where silence parts frames."""
    keep_alive_s: float = KEEP_ALIVE_S
    is_always_on: bool = False
    """Keep the link alive whenever nothing else is under way, as on a dynamic IP address."""


class Send(msgspec.Struct, frozen=True, eq=False):
    """Report. The opening of `body` is written by the dialogue.

    serial: of an earlier try that was given up; None takes the next one. more_follows: end with ETB.
    """

    function_code: int
    body: Body
    is_confirmed: bool = True
    serial: int | None = None
    more_follows: bool = False


class Answer(msgspec.Struct, frozen=True, eq=False):
    """Answer what the centre asked: one body a frame."""

    bodies: list[Body]


class Confirmed(msgspec.Struct, frozen=True):
    """The centre has it."""

    command: Send
    serial: int


class Failed(msgspec.Struct, frozen=True):
    """No confirm came, or a question found no answer. command: None for an answer."""

    command: Send | None
    reason: str
    serial: int


class Asked(msgspec.Struct, frozen=True):
    """The centre asks or commands. `Answer` it."""

    frame: Frame
    body: Body

    def asks_the_same(self, other: "Asked") -> bool:
        """Whether a question came twice; the centre may write a new time into it."""
        is_ascii = self.frame.is_ascii
        return (
            self.frame.function_code == other.frame.function_code
            and is_ascii == other.frame.is_ascii
            and self.body.write(is_ascii) == other.body.write(is_ascii)
        )


class Apply(msgspec.Struct, frozen=True):
    """The centre has seen the new state and confirmed it: now it holds."""

    frame: Frame
    body: Body


class Broadcast(msgspec.Struct, frozen=True):
    """A command to all stations; nobody answers it."""

    frame: Frame
    body: Body


class Released(msgspec.Struct, frozen=True):
    """The centre has nothing more: the link may close."""


class Returned(msgspec.Struct, frozen=True):
    """Ten minutes passed without a command: back to the set mode."""


StationCommand = Send | Answer
StationEvent = Confirmed | Failed | Asked | Apply | Broadcast | Released | Returned
