"""The space in front of a reader's antenna.

It carries a reader's frames to the cards of its modulation and gives back what the reader hears: one answer, a
collision, or nothing. Cards are placed and lifted at any moment, also between a command and its answer (`LiftPlan`).
"""

from collections.abc import Callable

from emulators.contactless_cards import Card
from protocols.iso14443.air import AirFrame, superpose


class Field:
    """Cards and a field. on_change hears of each card that is placed or lifted."""

    def __init__(self, on_change: Callable[[str, str], None] | None = None) -> None:
        self._on_change = on_change
        self.cards: list[Card] = []
        self.is_on = False

    def switch(self, *, is_on: bool) -> None:
        """Switch the field; off resets every card."""
        if is_on != self.is_on:
            self.is_on = is_on
            for card in self.cards:
                card.power(is_on=is_on)

    def place(self, card: Card) -> None:
        """Put a card into the field."""
        if card in self.cards:
            return
        card.frames = 0
        card.commands.clear()
        self.cards.append(card)
        card.power(is_on=self.is_on)
        self._tell("placed", card)

    def lift(self, card: Card) -> None:
        """Take a card away, whatever it is doing."""
        if card in self.cards:
            self.cards.remove(card)
            card.power(is_on=False)
            self._tell("lifted", card)

    def transmit(self, frame: AirFrame, modulation: str, now: float) -> AirFrame | None:
        """Carry a frame to the cards; what the reader hears at once."""
        if not self.is_on:
            return None
        answers = []
        for card in list(self.cards):
            if card.modulation == modulation:
                answer = self._heard_by(card, frame, now)
                if answer is not None:
                    answers.append(answer)
        return superpose(answers)

    def _heard_by(self, card: Card, frame: AirFrame, now: float) -> AirFrame | None:
        card.frames += 1
        answer = card.hear(frame, now)
        if card.lift is not None and card.frames >= card.lift.after_frames:
            if not card.lift.is_answered:
                answer = None
            card.lift = None
            self.lift(card)
        return answer

    def next_deadline(self) -> float | None:
        """When a card has something to say by itself."""
        return min((due for card in self.cards if (due := card.next_deadline()) is not None), default=None)

    def tick(self, now: float) -> AirFrame | None:
        """Time has passed; what the reader hears."""
        answers = [answer for card in list(self.cards) if (answer := card.tick(now)) is not None]
        return superpose(answers)

    def _tell(self, what: str, card: Card) -> None:
        if self._on_change is not None:
            self._on_change(what, card.name)
