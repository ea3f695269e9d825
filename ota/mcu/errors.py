"""What a secondary refuses. MicroPython-clean."""


class SecondaryError(Exception):
    """The secondary takes it not. `code` is a word for the gateway, the text one line for a person."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code + ": " + reason)
        self.code = code
        self.reason = reason
