"""Both ends of a JT/T 808 session against each other, over a link that may lose and break what it carries."""

import random

from protocols.core.errors import NEED_DATA
from protocols.jt808.catalogue import read_packet
from protocols.jt808.dialect import JT2013
from protocols.jt808.frame import Frame, decode_frame, encode_frame
from protocols.jt808.link import Timers
from protocols.jt808.location import Extra, Location
from protocols.jt808.platform import AuthenticationAsked, PlatformConfig, PlatformDialogue, RegistrationAsked
from protocols.jt808.registration import Registration, RegistrationReply
from protocols.jt808.session import Answer, Close, Connected, Disconnected, Received
from protocols.jt808.terminal import TerminalDialogue
from protocols.jt808.terminal_events import Connect, TerminalConfig, TerminalState

CODE = b"A1B2C3"
PHONE = "013912345678"
REGISTRATION = Registration(44, 300, b"MAKER", b"MODEL", b"ID", 2, "粤B12345".encode("gbk"))


def config(dialect=JT2013, **changes):
    phone = PHONE.rjust(2 * dialect.phone_bytes, "0")
    return TerminalConfig(**{"phone": phone, "dialect": dialect, "registration": REGISTRATION} | changes)


def place(number):
    return Location(0, 3, number, number, 10, 500, 90, bytes.fromhex("261124062853"), (Extra(1, bytes(4)),))


def wire_of(body, serial, dialect=JT2013):
    """A body in a frame."""
    return encode_frame(Frame(body.ID, PHONE, serial, body.to_bytes(dialect)))


def frames_in(wire):
    """What was written, as frames."""
    return [decode_frame(b"\x7e" + piece + b"\x7e") for piece in wire.split(b"\x7e") if piece]


def bodies_in(wire):
    """What was written, as bodies."""
    return [read_packet(frame).body for frame in frames_in(wire)]


class Pair:
    """A terminal and the platform that it talks to. `lose` says of each write whether it is lost."""

    def __init__(self, dialect=JT2013, lose=lambda _wire: False, timers=None, idle_timeout_s=180.0, **changes):
        self.rng = random.Random(808)
        self.terminal = TerminalDialogue(config(dialect, timers=timers or Timers(), **changes), rng=self.rng)
        self.platform = None
        self.lose = lose
        self.idle_timeout_s = idle_timeout_s
        self.now = 0.0
        self.result = 0
        self.registration_result = 0
        self.answers_messages = True
        self.admits = True
        self.is_reachable = True
        self.terminal_events = []
        self.platform_events = []
        self.connects = []

    def run(self, seconds=0.0):
        """Let time pass, from one deadline to the next."""
        until = self.now + seconds
        self.exchange()
        while True:
            due = [end.next_deadline() for end in (self.terminal, self.platform) if end is not None]
            due = [deadline for deadline in due if deadline is not None and deadline <= until]
            if not due:
                self.now = until
                return
            self.now = max(self.now, min(due))
            self.terminal.tick(self.now)
            if self.platform is not None:
                self.platform.tick(self.now)
            self.exchange()

    def exchange(self):
        """Carry bytes both ways and act on events until nothing happens any more."""
        while self.act_on_terminal() | self.act_on_platform() | self.carry():
            pass

    def carry(self):
        up = self.terminal.bytes_to_send()
        down = b"" if self.platform is None else self.platform.bytes_to_send()
        if up and self.platform is not None:
            self.platform.receive(self.through(up), self.now)
        if down:
            self.terminal.receive(self.through(down), self.now)
        return bool(up or down)

    def through(self, wire):
        return b"".join(b"\x7e" + frame + b"\x7e" for frame in wire.split(b"\x7e") if frame and not self.lose(frame))

    def act_on_terminal(self):
        acted = False
        while (event := self.terminal.next_event()) is not NEED_DATA:
            acted = True
            self.terminal_events.append(event)
            if isinstance(event, Connect):
                self.connects.append((self.now, event.to_backup))
                self.connect()
            elif isinstance(event, Close):
                self.platform = None
        return acted

    def connect(self):
        if self.is_reachable:
            self.platform = PlatformDialogue(PlatformConfig(idle_timeout_s=self.idle_timeout_s), now=self.now)
            self.terminal.send(Connected(), self.now)
        else:
            self.terminal.send(Disconnected(), self.now)

    def disconnect(self):
        self.platform = None
        self.terminal.send(Disconnected(), self.now)

    def act_on_platform(self):
        acted = False
        while self.platform is not None and (event := self.platform.next_event()) is not NEED_DATA:
            acted = True
            self.platform_events.append(event)
            match event:
                case RegistrationAsked(packet):
                    code = CODE if self.registration_result == 0 else b""
                    reply = RegistrationReply(packet.frame.serial, self.registration_result, code)
                    self.platform.send(Answer(packet, body=reply), self.now)
                case AuthenticationAsked(packet):
                    result = 0 if packet.body.auth_code == CODE and self.admits else 1
                    self.platform.send(Answer(packet, result), self.now)
                case Received(packet) if self.answers_messages:
                    self.platform.send(Answer(packet, self.result), self.now)
                case Close():
                    self.disconnect()
        return acted

    def told(self, kind):
        """The terminal's events of a kind."""
        return [event for event in self.terminal_events if isinstance(event, kind)]

    def heard(self, kind):
        """Bodies of a kind that the platform was handed."""
        packets = [event.packet for event in self.platform_events if isinstance(event, Received)]
        return [packet.body for packet in packets if isinstance(packet.body, kind)]


def online(dialect=JT2013, **changes):
    """A pair whose terminal is authenticated."""
    pair = Pair(dialect, **{"auth_code": CODE} | changes)
    pair.run()
    assert pair.terminal.state is TerminalState.ONLINE
    return pair
