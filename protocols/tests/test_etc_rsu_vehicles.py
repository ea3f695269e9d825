"""The vehicles of an ETC link: bounds, and reports and decisions in whatever order."""

import random
from contextlib import suppress

import pytest

from protocols.core.errors import LocalProtocolError
from protocols.etc_rsu.classic_reports import LoopState
from protocols.etc_rsu.controller_events import (
    Abandoned,
    ControllerSettings,
    Decide,
    Instruct,
    LinkState,
    PassageState,
    PassageStimulus,
    Start,
)
from protocols.etc_rsu.frame import ClassicFrame, encode_classic
from protocols.etc_rsu.passage import REPORT_STIMULI
from protocols.etc_rsu.vehicles import MAX_PASSAGES, MAX_UNSETTLED, Vehicles
from protocols.tests.etc_rsu_ends import (
    B0,
    C0,
    HEARTBEAT,
    OBU,
    OPEN,
    OTHER,
    WRITTEN,
    b2,
    b3,
    b4,
    b5,
    c1,
    c2,
    c6,
    c7,
    events_of,
    ready,
    say,
    sent_by,
)


def test_vehicles_and_open_debits_are_bounded():
    controller = ready()
    for number in range(MAX_PASSAGES + 3):
        say(controller, number % 8 << 4 | 8, b2(number.to_bytes(4, "big")))
    assert controller.state_of(bytes(4)) is PassageState.ABSENT
    assert controller.state_of(b"\x00\x00\x00\x03") is PassageState.FOUND
    vehicles = Vehicles(ControllerSettings(), lambda _key, _data: None, lambda _event: None)
    for number in range(MAX_UNSETTLED + 5):
        obu_id = number.to_bytes(4, "big")
        vehicles.report(obu_id, (8, b""), b2(obu_id), PassageStimulus.FOUND, 0.0)
        vehicles.decide(Decide(obu_id, c1(obu_id)), 0.0)
        vehicles.report(obu_id, (8, b""), b4(obu_id), PassageStimulus.CARD, 0.0)
        vehicles.decide(Decide(obu_id, c6(obu_id)), 0.0)
        vehicles.tick(10.0)
    assert len(vehicles._unsettled) == MAX_UNSETTLED
    assert len(vehicles._passages) == 0


def test_every_state_knows_what_every_report_means():
    reported = set(REPORT_STIMULI.values())
    for state in PassageState:
        assert reported <= {stimulus for start, stimulus in Vehicles.PASSAGES if start is state}, state


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_in_whatever_order_it_stands(seed):
    rng = random.Random(seed)
    controller = ready()
    now, open_debits, debits = 1.0, 0, 0
    for number in range(400):
        now += rng.choice((0.0, 0.1, 0.5, 0.5, 3.0))
        obu_id = rng.choice((OBU, OTHER))
        likely = {PassageState.ABSENT: b2, PassageState.READING: b4, PassageState.TRADING: b5}
        report = likely.get(controller.state_of(obu_id), b2)(obu_id)
        if rng.random() < 0.3:
            others = (b2(obu_id), b3(obu_id), b4(obu_id, WRITTEN), b5(obu_id), B0, HEARTBEAT, LoopState(1, 1))
            report = rng.choice(others)
        rsctl = 0x98 if rng.random() < 0.05 else number % 8 << 4 | 8
        wire = encode_classic(ClassicFrame(rsctl, report.to_bytes()))
        controller.receive(wire if rng.random() < 0.9 else wire[:-2] + b"\x00\xff", now)
        likely = c6 if controller.state_of(obu_id) is PassageState.CARD else c1
        commands = [Decide(obu_id, rng.choice((likely, likely, c2, c6, c7))(obu_id)), Instruct(OPEN)]
        if controller.state is LinkState.DOWN or rng.random() < 0.01:
            commands.append(Start(C0))
        for command in commands:
            with suppress(LocalProtocolError):
                controller.send(command, now)
        controller.tick(now)
        for event in events_of(controller):
            open_debits += isinstance(event, Abandoned) and event.unsettled is not None
        debits += sum(data[:1] == b"\xc6" for _number, data in sent_by(controller))
        due = controller.next_deadline()
        assert due is None or due > now
    assert debits > 3
    assert open_debits > 0
