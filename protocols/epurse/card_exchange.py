"""One command to a card and its whole answer: the rest fetched (61xx), or the command repeated with another Le (6Cxx).

>>> exchange = CardExchange()
>>> exchange.ask(CommandApdu(0x80, 0x5C, 0, 2, ne=4))
>>> exchange.hear(bytes.fromhex("6104")) is None, exchange.bytes_to_send().hex()
(True, '00c0000004')
>>> exchange.hear(bytes.fromhex("00000b229000")).data.hex()
'00000b22'
"""

from protocols.core.errors import RemoteProtocolError
from protocols.iso14443.apdu import CommandApdu, ResponseApdu, decode_response, encode_command, follow_up

MAX_FOLLOW_UPS = 4
"""GET RESPONSEs and repeats with another Le for one command: a card that never ends is refused."""


class CardExchange:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._asked: CommandApdu | None = None
        """What the card is answering."""
        self._outgoing: CommandApdu | None = None
        self._data = b""
        self._follow_ups = 0

    def ask(self, command: CommandApdu) -> None:
        """Begin with another command."""
        self._asked = self._outgoing = command
        self._data, self._follow_ups = b"", 0

    def drop(self) -> None:
        """Nothing more is asked."""
        self._asked = self._outgoing = None

    def bytes_to_send(self) -> bytes:
        """The command that is due to the card; empty when none is."""
        command, self._outgoing = self._outgoing, None
        return b"" if command is None else encode_command(command)

    def hear(self, data: bytes) -> ResponseApdu | None:
        """The whole answer, or None while the next command is due for the rest. What is no answer has status 0000."""
        assert self._asked is not None, "a card is heard when it was asked"
        try:
            response = decode_response(data)
        except RemoteProtocolError:
            response = ResponseApdu(sw=0)
        self._data += response.data
        again = follow_up(self._asked, response)
        if again is None or self._follow_ups >= MAX_FOLLOW_UPS:
            return ResponseApdu(self._data, response.sw)
        self._follow_ups += 1
        self._asked = self._outgoing = again
        return None
