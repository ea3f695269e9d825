"""An emulated PN532 on a clock of the test's own, and cards for its field."""

from emulators.card_files import Application, BinaryFile, CardFiles, RecordFile
from emulators.contactless_cards import TypeACard, TypeBCard
from emulators.pn532 import Pn532Emulator
from protocols.core.errors import NEED_DATA
from protocols.iso14443.activation import ats
from protocols.iso14443.apdu import decode_response, encode_command
from protocols.iso14443.ber_tlv import tlv
from protocols.pn532 import chip_commands as chip
from protocols.pn532.host import HostDialogue, Request, Responded
from protocols.pn532.initiator_commands import InDataExchange, InListPassiveTarget
from protocols.pn532.target_data import decode_type_a_targets, decode_type_b_targets

PERMIT = bytes.fromhex("a000000632010105")
OTHER = bytes.fromhex("a000000632010106")
AUTO_RATS = chip.SetParameters(chip.PARAMETER_AUTO_RATS | chip.PARAMETER_AUTO_ATR_RES)
FEW_RETRIES = chip.RfConfiguration(chip.RF_RETRIES, b"\x00\x01\x01")
LONG = bytes(number % 251 for number in range(2000))


def files(**options):
    return CardFiles(
        [
            Application(
                PERMIT,
                [
                    BinaryFile(0x0015, b"permit 4711, valid to 2027-01-31", short_id=0x15),
                    RecordFile(0x0018, (b"first trip", b"second trip"), short_id=0x18),
                    BinaryFile(0x0016, b"owner", short_id=0x16, is_secret=True),
                    BinaryFile(0x0017, LONG),
                ],
                [tlv("50", b"PERMIT")],
                file_id=0x1001,
            ),
            Application(OTHER, [BinaryFile(0x0015, b"other", short_id=0x15)]),
        ],
        [BinaryFile(0x0005, b"in the master file")],
        **options,
    )


def card_a(uid="04a1b2c3d4e5f6", **options):
    answer = options.pop("answer", None) or ats(fwi=4)
    return TypeACard(
        None if uid is None else bytes.fromhex(uid),
        name=uid or "random",
        ats=answer,
        files=options.pop("held", None) or files(),
        **options,
    )


def card_b(pupi="01020304", **options):
    return TypeBCard(bytes.fromhex(pupi), name=pupi, files=files(), **options)


class Bench:
    """A host and an emulated chip on one line; time passes only while somebody waits."""

    def __init__(self, *cards, truth=None):
        on_truth = None if truth is None else lambda now, what, name: truth.append((round(now, 3), what, name))
        self.chip = Pn532Emulator(on_truth=on_truth)
        self.host = HostDialogue()
        self.now = 0.0
        self.writes = []
        for card in cards:
            self.chip.place(card)

    def move(self, writes):
        self.writes += writes
        for wire in writes:
            self.host.receive(wire, self.now)

    def run(self, command, timeout_s=None):
        self.host.send(Request(command, timeout_s), self.now)
        return self.wait()

    def wait(self):
        for _ in range(20_000):
            while wire := self.host.bytes_to_send():
                self.move(self.chip.receive(wire, self.now))
            event = self.host.next_event()
            if event is not NEED_DATA:
                if wire := self.host.bytes_to_send():
                    self.move(self.chip.receive(wire, self.now))
                return event
            due = [at for at in (self.chip.next_deadline(), self.host.next_deadline()) if at is not None]
            self.now = max(self.now, min(due))
            self.move(self.chip.tick(self.now))
            self.host.tick(self.now)
        raise AssertionError("no end")

    def pass_time(self, seconds):
        until = self.now + seconds
        while (due := self.chip.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.move(self.chip.tick(self.now))
        self.now = until

    def ask(self, command, timeout_s=None):
        event = self.run(command, timeout_s)
        assert isinstance(event, Responded), event
        return event.response

    def open(self, parameters=AUTO_RATS):
        for command in (chip.SamConfiguration(), parameters, FEW_RETRIES):
            self.ask(command)
        return self

    def list_a(self, count=1, data=b""):
        listed = self.ask(InListPassiveTarget(count, 0, data))
        return decode_type_a_targets(listed.count, listed.data)

    def list_b(self, count=1, data=b"\x00"):
        listed = self.ask(InListPassiveTarget(count, 3, data))
        return decode_type_b_targets(listed.count, listed.data)

    def apdu(self, command, tg=1):
        answer = self.ask(InDataExchange(tg, encode_command(command)))
        assert answer.status.ok, answer.status.text
        return decode_response(answer.data)
