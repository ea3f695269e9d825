"""Letters in Morse code: ITU-R M.1677-1. MicroPython-clean."""

_SIGNS = (
    ".-", "-...", "-.-.", "-..", ".", "..-.", "--.", "....", "..", ".---", "-.-", ".-..", "--",
    "-.", "---", ".--.", "--.-", ".-.", "...", "-", "..-", "...-", ".--", "-..-", "-.--", "--..",
)  # fmt: skip
"""A to Z."""


def signs_of(letter: str) -> str:
    """Dots and dashes of a letter A to Z."""
    return _SIGNS[ord(letter) - 65]


def letter_of(signs: str) -> str | None:
    """The letter of some dots and dashes, or None."""
    return chr(65 + _SIGNS.index(signs)) if signs in _SIGNS else None
