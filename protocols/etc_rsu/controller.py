"""The computer of a lane or gantry, as a dialogue without I/O: it initialises the unit and decides on each vehicle.

A lane's vehicle goes B2, C1, B3, C1, B4, C6, B5, C1; a gantry's has no B3, and a gantry has many at once. What the
application must decide comes as `Reported`, and `Decide` answers it.

* A report that comes again was not heard to be answered: the same answer goes out again, or none while nobody has
  decided. It is the same if number and bytes are.
* A heartbeat of a lane (B2 without a vehicle) is not answered; that of a gantry (B1) is, with CF.
* A debit whose result never comes is not repeated. It is kept, and told when the vehicle's card is read again. C6 is
  refused if the card carries its record, or the one that C6 would write.
* A broken frame while a report is due makes it ask for that report again (C2), twice at most.
* Half a minute or a minute without any frame, or a unit that was switched on again, begins anew with C0.

What each stimulus leads to stands in `Controller.LINK`, and for each vehicle in `vehicles.Vehicles.PASSAGES`.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import ClassVar

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import EventQueue
from protocols.etc_rsu.catalogue import Interface, decode_payload
from protocols.etc_rsu.classic_commands import RESEND
from protocols.etc_rsu.controller_events import (
    ControllerCommand,
    ControllerEvent,
    ControllerSettings,
    Decide,
    Fault,
    LinkState,
    LinkStimulus,
    PassageState,
    PassageStimulus,
    Ready,
    Restarted,
    Silent,
    Start,
    Told,
)
from protocols.etc_rsu.frame import ClassicFrame, CrcFunction, SequencedFrame, crc_x25
from protocols.etc_rsu.gantry_commands import HeartbeatAnswer
from protocols.etc_rsu.link import AFTER_POWER_UP, Line, Numbers, number_of, swapped
from protocols.etc_rsu.passage import REPORT_STIMULI, TAKES_ANEW, Key, is_heartbeat, obu_of, stop_of, type_of
from protocols.etc_rsu.payload import AnyPayload
from protocols.etc_rsu.vehicles import Vehicles
from protocols.listener import earliest

STATE = 0xB0
HEARTBEAT = 0xB1
MAX_ASKS = 2
"""A vehicle's report is asked for again so often."""
KNOWN_REPORTS = 5
"""A lane's unit repeats its last report. What has another number since is over before the numbers come around."""
KNOWN_GANTRY_REPORTS = 9
"""A gantry's unit has several on their way at once, and repeats each until it is answered: a report for each number."""
REPEAT_S = 5.0
"""For so long a report that comes again is known: number and bytes are the same."""


class _Heard:
    """A report, when it was heard last, and what it was answered: empty while nobody has decided."""

    __slots__ = ("answer", "heard_at", "key")

    def __init__(self, key: Key, heard_at: float) -> None:
        self.key = key
        self.heard_at = heard_at
        self.answer = b""


class Controller(EventQueue[ControllerEvent]):
    """A lane's or gantry's computer. See the module's docstring."""

    def __init__(self, settings: ControllerSettings | None = None, crc: CrcFunction = crc_x25) -> None:
        super().__init__()
        self.settings = settings or ControllerSettings()
        self.bad_payloads = 0
        """Good frames whose payload does not fit its table. They are not answered."""
        self.repeats = 0
        """Reports that came again."""
        self._line = Line(self.settings.interface, self.settings.variants, crc)
        self._numbers = Numbers(self.settings.interface, is_roadside=False)
        self._state = LinkState.DOWN
        self._start: AnyPayload | None = None
        self._starts_left = 0
        self._deadline: float | None = None
        self._ready: AnyPayload | None = None
        self._vehicles = Vehicles(self.settings, self._answer, self._events.append)
        self._known: OrderedDict[int, _Heard] = OrderedDict()
        """The last report of each number."""
        self._checks_seen = 0

    @property
    def state(self) -> LinkState:
        """Where the link stands."""
        return self._state

    @property
    def framer_counts(self) -> tuple[int, int]:
        """Bytes that were thrown away, and frames whose check did not hold."""
        return self._line.framer.discarded_bytes, self._line.framer.bad_checks

    def state_of(self, obu_id: bytes) -> PassageState:
        """Where a vehicle stands."""
        return self._vehicles.state_of(obu_id)

    # Face of a dialogue

    def send(self, command: ControllerCommand, now: float) -> None:
        """Ask for something. Raises `LocalProtocolError`."""
        if isinstance(command, Start):
            self._line.encode(0, command.payload.to_bytes())
            self._start = command.payload
            self._starts_left = self.settings.max_starts
            self._step(LinkStimulus.START, now)
        elif self._state is not LinkState.UP:
            raise LocalProtocolError("the unit is not ready")
        elif isinstance(command, Decide):
            self._vehicles.decide(command, now)
        elif type_of(command.payload) in TAKES_ANEW:
            raise LocalProtocolError("a debit or entry is decided after a vehicle's report", field="payload")
        else:
            self._say(command.payload)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken is passed over."""
        for frame in self._line.frames(data, now):
            self._take(frame, now)
        self._ask_again()

    def bytes_to_send(self) -> bytes:
        """The next frame that is due."""
        return self._line.bytes_to_send()

    def next_deadline(self) -> float | None:
        """When the next report, decision or sign of life is due."""
        return earliest(self._deadline, self._line.deadline, self._vehicles.next_deadline())

    def tick(self, now: float) -> None:
        """Time has passed."""
        for frame in self._line.tick(now):
            self._take(frame, now)
        self._vehicles.tick(now)
        if self._deadline is not None and now >= self._deadline:
            if self._state is LinkState.UP:
                self._step(LinkStimulus.SILENCE, now)
            else:
                self._step(LinkStimulus.NO_STATE if self._starts_left else LinkStimulus.SPENT, now)

    # Frames of the unit

    def _take(self, frame: ClassicFrame | SequencedFrame, now: float) -> None:
        if self._state is LinkState.DOWN:
            return
        try:
            report = decode_payload(self._line.interface, frame.data, self._line.variants)
        except RemoteProtocolError:
            self.bad_payloads += 1
            return
        if self._state is LinkState.UP:
            self._deadline = now + self.settings.silence_s
        key = (number_of(frame), frame.data)
        if is_heartbeat(report) or not frame.data:
            return
        known = self._known.get(key[0])
        if known is not None and known.key == key and now - known.heard_at < REPEAT_S:
            self.repeats += 1
            known.heard_at = now
            if known.answer:
                self._line.put(known.answer)
            return
        self._judge(key, report, now)

    def _judge(self, key: Key, report: AnyPayload, now: float) -> None:
        """What a new report means."""
        obu_id, kind = obu_of(report), type_of(report)
        stimulus = REPORT_STIMULI.get(kind or 0)
        if stimulus is not None and obu_id is not None:
            if self._state is LinkState.UP or stimulus is PassageStimulus.RESULT:
                self._know(key, now)
                self._vehicles.report(obu_id, key, report, stimulus, now)
            return
        if kind == STATE and self._state is LinkState.STARTING:
            self._ready = report
            self._step(LinkStimulus.STATE, now)
        elif kind == STATE and self._is_power_up(key[0]):
            self._step(LinkStimulus.POWER_UP, now)
        else:
            self._events.append(Told(report))
        self._know(key, now)
        self._acknowledge(key, kind)

    def _is_power_up(self, number: int) -> bool:
        return self._line.interface is Interface.CLASSIC and number == AFTER_POWER_UP

    def _acknowledge(self, key: Key, kind: int | None) -> None:
        """Answer what needs no decision. Only classic frames have an acknowledgement that says nothing."""
        if self._line.interface is Interface.CLASSIC:
            self._answer(key, b"")
        elif kind == HEARTBEAT:
            self._answer(key, HeartbeatAnswer(0).to_bytes())

    def _know(self, key: Key, now: float) -> None:
        self._known.pop(key[0], None)
        self._known[key[0]] = _Heard(key, now)
        is_classic = self._line.interface is Interface.CLASSIC
        if len(self._known) > (KNOWN_REPORTS if is_classic else KNOWN_GANTRY_REPORTS):
            self._known.popitem(last=False)

    def _answer(self, key: Key, data: bytes) -> None:
        wire = self._line.encode(swapped(key[0]), data)
        known = self._known.get(key[0])
        if known is not None and known.key == key:
            known.answer = wire
        self._line.put(wire)

    def _say(self, payload: AnyPayload) -> None:
        self._line.put(self._line.encode(self._numbers.next(), payload.to_bytes()))

    def _ask_again(self) -> None:
        """A frame was broken: it may have been the one that a vehicle's next step waits for."""
        checks, self._checks_seen = self._line.framer.bad_checks - self._checks_seen, self._line.framer.bad_checks
        passage = self._vehicles.only_reading()
        if checks and passage is not None and passage.asks < MAX_ASKS:
            passage.asks += 1
            self._say(stop_of(self._line.interface, passage.obu_id, RESEND))

    # The link

    def _step(self, stimulus: LinkStimulus, now: float) -> None:
        action, self._state = self.LINK[self._state, stimulus]
        action(self, now)

    def _initialise(self, now: float) -> None:
        assert self._start is not None
        self._starts_left -= 1
        self._say(self._start)
        self._deadline = now + self.settings.start_s

    def _begin(self, now: float) -> None:
        self._vehicles.forget(now)
        self._known.clear()
        self._initialise(now)

    def _begin_anew(self, now: float) -> None:
        self._starts_left = self.settings.max_starts
        self._begin(now)

    def _lose(self, now: float) -> None:
        self._events.append(Silent())
        self._begin_anew(now)

    def _restart(self, now: float) -> None:
        self._events.append(Restarted())
        self._begin_anew(now)

    def _be_ready(self, now: float) -> None:
        assert self._ready is not None
        self._deadline = now + self.settings.silence_s
        self._events.append(Ready(self._ready))

    def _fail(self, _now: float) -> None:
        self._deadline = None
        self._events.append(Fault())

    LINK: ClassVar[Mapping[tuple[LinkState, LinkStimulus], tuple[Callable[["Controller", float], None], LinkState]]] = {
        (LinkState.DOWN, LinkStimulus.START): (_initialise, LinkState.STARTING),
        (LinkState.STARTING, LinkStimulus.START): (_begin, LinkState.STARTING),
        (LinkState.STARTING, LinkStimulus.STATE): (_be_ready, LinkState.UP),
        (LinkState.STARTING, LinkStimulus.NO_STATE): (_initialise, LinkState.STARTING),
        (LinkState.STARTING, LinkStimulus.SPENT): (_fail, LinkState.DOWN),
        (LinkState.UP, LinkStimulus.START): (_begin, LinkState.STARTING),
        (LinkState.UP, LinkStimulus.POWER_UP): (_restart, LinkState.STARTING),
        (LinkState.UP, LinkStimulus.SILENCE): (_lose, LinkState.STARTING),
    }
