"""Payloads of one vehicle, and an application for each end, for the tests of the dialogues of ETC roadside units."""

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.etc_rsu import classic_commands as commands
from protocols.etc_rsu import classic_reports as reports
from protocols.etc_rsu import gantry_commands, gantry_reports, gantry_state
from protocols.etc_rsu.catalogue import Interface
from protocols.etc_rsu.controller import Controller
from protocols.etc_rsu.controller_events import Decide, Ready, Reported, Start
from protocols.etc_rsu.frame import ClassicFrame, decode_classic, encode_classic
from protocols.etc_rsu.passage import is_on_card, type_of
from protocols.etc_rsu.roadside_events import Commanded, Unanswered

OBU = bytes.fromhex("02fe00fe")
OTHER = bytes.fromhex("02ff0001")
ISSUER = bytes.fromhex("b9e3b6ab44010001")
NOW = bytes.fromhex("20261124120000")
STATION = bytes.fromhex("44010102055372fe000103").ljust(36, b"\x11")
WRITTEN = b"\xaa\x29\x00" + STATION
"""The card's record after a debit."""
C0 = commands.Initialise(1_764_000_000, NOW, 4, 10, 31, 0, 0)
B0 = reports.DeviceState(0, 1, bytes(6), bytes(6), 0, b"\x00\xa1", b"\x00\xfe", b"\x01\x02", bytes(5))
OPEN = commands.Antenna(1)
HEARTBEAT = reports.ObuFound(bytes(4), reports.HEARTBEAT, *[None] * 6)
GANTRY_C0 = gantry_commands.GantryInitialise(1_764_000_000, NOW, 0x11, 10, 20, 1, 1, b"\x44\x0a\x11", bytes(2))
GANTRY_B0 = gantry_state.GantryDeviceState(
    0, 0, (), 0, b"\xa1", b"\x00\x00\xfe", b"\x20\x01", 0, b"\x44\x0a\x11", b"\x03\x04\x00\x00"
)
GANTRY_B1 = gantry_state.GantryHeartbeat(0, 0x11, 1, (), (), 0, 0, ())
GANTRY_STATION = (b"\xaa\x29\x00" + STATION).ljust(43, b"\x00")


def b2(obu_id=OBU, issue_date=b"\x20\x20\x01\x01"):
    return reports.ObuFound(obu_id, 0, ISSUER, bytes(8), issue_date, b"\x20\x30\x01\x01", 0x12, b"\x00\x01")


def b3(obu_id=OBU):
    return reports.VehicleRead(obu_id, 0, "粤A12345".encode("gbk").ljust(12, b"\x00"), 0, 1, 0)


def b4(obu_id=OBU, last_station=bytes(39)):
    return reports.CardRead(obu_id, 0, 0, 0, 0x10, 100_000, bytes(4), bytes(43), last_station)


def b5(obu_id=OBU, error_code=0, balance=98_750):
    return reports.TradeResult(obu_id, error_code, 1_764_000_003, bytes(6), NOW, 9, b"\xa0\xb0\xc0\xd0", 7, 8, balance)


def c1(obu_id=OBU):
    return commands.Continue(obu_id, ISSUER)


def c2(obu_id=OBU, stop_type=commands.DROP):
    return commands.Stop(obu_id, stop_type)


def c6(obu_id=OBU, fen=1250):
    return commands.Debit(obu_id, ISSUER, bytes(4), fen, NOW, STATION)


def c7(obu_id=OBU):
    return commands.WriteAgain(obu_id, ISSUER, bytes(4), NOW, STATION)


def gantry_b2(obu_id=OBU):
    return gantry_reports.DeviceFound(
        obu_id, 0, 1, 1, ISSUER, 1, 0x40, bytes(8), b"\x20\x20\x01\x01", b"\x20\x30\x01\x01", 0x12, 0, 1
    )


def gantry_b4(obu_id=OBU, last_station=bytes(43)):
    return gantry_reports.ObuRead(obu_id, 0, 0x10, bytes(79), 100_000, bytes(91), bytes(50), last_station)


def gantry_b5(obu_id=OBU, error_code=0):
    return gantry_reports.GantryResult(obu_id, error_code, bytes(6), NOW, 9, 0, 1, b"\xa0\xb0\xc0\xd0", 7, 8, 98_750)


def gantry_c6(obu_id=OBU, fen=345):
    return gantry_commands.GantryDebit(obu_id, ISSUER, 0, fen, NOW, GANTRY_STATION, bytes(91), bytes(5))


def events_of(dialogue):
    """All that has happened."""
    events = []
    while (event := dialogue.next_event()) is not NEED_DATA:
        events.append(event)
    return events


def say(controller, number, report, now=1.0):
    """The unit reports; what the computer sends, and what happened."""
    controller.receive(encode_classic(ClassicFrame(number, report.to_bytes())), now)
    return sent_by(controller), events_of(controller)


def sent_by(controller):
    frames = []
    while wire := controller.bytes_to_send():
        frame = decode_classic(wire)
        frames.append((frame.rsctl, frame.data))
    return frames


def ready():
    controller = Controller()
    controller.send(Start(C0), 0.0)
    assert sent_by(controller) == [(0x80, C0.to_bytes())]
    assert say(controller, 0x98, B0) == ([(0x89, b"")], [Ready(B0)])
    return controller


class LaneApplication:
    """Lets every vehicle through, debits each once, and keeps what was taken."""

    def __init__(self, controller, interface):
        self.controller = controller
        self.is_gantry = interface is Interface.GANTRY
        self.results = []
        self.refusals = 0

    def start(self, now):
        self.controller.send(Start(GANTRY_C0 if self.is_gantry else C0), now)

    def handle(self, now):
        events = events_of(self.controller)
        for event in events:
            if isinstance(event, Reported):
                self.decide(event, now)
        return events

    def decide(self, event, now):
        kind = type_of(event.report)
        debit = gantry_c6 if self.is_gantry else c6
        payload = c1(event.obu_id)
        if kind == 0xB4:
            payload = debit(event.obu_id)
            if event.is_written or is_on_card(payload, event.report):
                prove = gantry_commands.FetchTac(event.obu_id, 7, 0, None, None)
                payload = prove if self.is_gantry else c7(event.obu_id)
        elif kind in (0xB5, 0xB8):
            self.results.append(event.report)
            if event.report.error_code:
                payload = c2(event.obu_id)
        try:
            self.controller.send(Decide(event.obu_id, payload), now)
        except LocalProtocolError:
            self.refusals += 1  # the link went down between the report and the decision


class Radio:
    """The vehicles in front of a roadside unit. Each has a card; the unit finds it again until it is let go."""

    def __init__(self, unit, interface, obu_ids):
        self.unit = unit
        self.is_gantry = interface is Interface.GANTRY
        self.waiting = list(obu_ids)
        self.cards = {obu_id: bytes(43 if self.is_gantry else 39) for obu_id in obu_ids}
        self.debits = []
        """(vehicle, fen) of every purchase that a card has seen."""
        self.done = []

    def find(self, now):
        """The next vehicle comes into the zone, unless one is being dealt with."""
        if self.waiting and not self.unit.reports_due:
            self.unit.send((gantry_b2 if self.is_gantry else b2)(self.waiting[0]), now)

    def handle(self, now):
        events = events_of(self.unit)
        for event in events:
            if isinstance(event, Commanded):
                self.obey(event, now)
            elif isinstance(event, Unanswered):
                self.lose(event.report.obu_id if hasattr(event.report, "obu_id") else None)
        return events

    def lose(self, obu_id):
        """It drives on and comes again."""
        if obu_id in self.waiting:
            self.waiting.remove(obu_id)
            self.waiting.append(obu_id)

    def obey(self, event, now):
        kind, answered = type_of(event.payload), event.answers and type_of(event.answers)
        obu_id = getattr(event.payload, "obu_id", None)
        if kind == 0xC0:
            self.unit.send(GANTRY_B0 if self.is_gantry else B0, now)
        elif answered is None or obu_id is None:
            return
        elif kind == 0xC2:
            self.lose(obu_id)
        elif answered == 0xB2:
            self.unit.send(gantry_b4(obu_id, self.cards[obu_id]) if self.is_gantry else b3(obu_id), now)
        elif answered == 0xB3:
            self.unit.send(b4(obu_id, self.cards[obu_id]), now)
        elif answered == 0xB4:
            self.trade(event.payload, obu_id, now)
        elif obu_id in self.waiting:
            self.waiting.remove(obu_id)
            self.done.append(obu_id)

    def trade(self, payload, obu_id, now):
        if type_of(payload) == 0xC6:
            self.debits.append((obu_id, payload.consume_money))
            self.cards[obu_id] = payload.station if self.is_gantry else WRITTEN
        if type_of(payload) == 0xC8:
            self.unit.send(gantry_reports.TacFetched(obu_id, 0, b"\xa0\xb0\xc0\xd0", bytes(4), 98_750), now)
        else:
            self.unit.send(gantry_b5(obu_id) if self.is_gantry else b5(obu_id), now)
