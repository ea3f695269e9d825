"""The computer's end of an ETC link whose frames have a CRC: gantries, and lanes with tables of their own."""

import pytest

from protocols.etc_rsu import gantry_commands, gantry_reports
from protocols.etc_rsu.catalogue import VARIANTS, Interface
from protocols.etc_rsu.classic_commands import DROP
from protocols.etc_rsu.controller import Controller
from protocols.etc_rsu.controller_events import (
    GANTRY_SETTINGS,
    Abandoned,
    ControllerSettings,
    Decide,
    Instruct,
    Ready,
    Reported,
    Start,
    Told,
)
from protocols.etc_rsu.frame import (
    SequencedFrame,
    decode_sequenced,
    encode_sequenced,
)
from protocols.etc_rsu.lane_crc import CardFilesRead, LaneDebit, LaneResult
from protocols.etc_rsu.link import GAP_S
from protocols.etc_rsu.passage import is_on_card
from protocols.etc_rsu.payload import RawPayload
from protocols.tests.etc_rsu_ends import (
    C0,
    GANTRY_B0,
    GANTRY_B1,
    GANTRY_C0,
    GANTRY_STATION,
    HEARTBEAT,
    NOW,
    OBU,
    OTHER,
    c1,
    events_of,
    gantry_b2,
    gantry_b4,
    gantry_b5,
    gantry_c6,
)


def sequenced(controller, seq, report, now=1.0):
    controller.receive(encode_sequenced(SequencedFrame(seq, report.to_bytes())), now)
    return sequenced_of(controller), events_of(controller)


def sequenced_of(controller):
    frames = []
    while wire := controller.bytes_to_send():
        frame = decode_sequenced(wire)
        frames.append((frame.seq, frame.data))
    return frames


def gantry():
    controller = Controller(GANTRY_SETTINGS)
    controller.send(Start(GANTRY_C0), 0.0)
    assert sequenced_of(controller) == [(0x10, GANTRY_C0.to_bytes())]
    assert sequenced(controller, 0x01, GANTRY_B0) == ([], [Ready(GANTRY_B0)])
    return controller


def test_a_gantry_answers_heartbeats_and_deals_with_many_vehicles_at_once():
    controller = gantry()
    assert sequenced(controller, 0x02, GANTRY_B1) == ([(0x20, b"\xcf\x00")], [Told(GANTRY_B1)])
    controller.send(Instruct(gantry_commands.GantryAntenna(1)), 1.0)
    assert sequenced_of(controller) == [(0x20, b"\xc4\x01")]
    for seq, obu_id in ((3, OBU), (4, OTHER)):
        assert sequenced(controller, seq, gantry_b2(obu_id))[1] == [Reported(obu_id, gantry_b2(obu_id))]
    for seq, obu_id in ((4, OTHER), (3, OBU)):
        controller.send(Decide(obu_id, c1(obu_id)), 1.1)
        assert sequenced_of(controller) == [(seq << 4, c1(obu_id).to_bytes())]
    for seq, obu_id in ((5, OTHER), (6, OBU)):
        sequenced(controller, seq, gantry_b4(obu_id))
        controller.send(Decide(obu_id, gantry_c6(obu_id)), 1.2)
        assert sequenced_of(controller) == [(seq << 4, gantry_c6(obu_id).to_bytes())]
    assert sequenced(controller, 7, gantry_b5(OBU))[1] == [Reported(OBU, gantry_b5(OBU))]
    controller.send(Decide(OBU, c1(OBU)), 1.3)
    controller.tick(2.2)
    assert events_of(controller) == [Abandoned(OTHER, gantry_c6(OTHER))]


def test_a_gantry_proves_a_debit_whose_outcome_is_unknown():
    controller = gantry()
    sequenced(controller, 2, gantry_b2())
    controller.send(Decide(OBU, c1()), 1.0)
    sequenced(controller, 3, gantry_b4())
    controller.send(Decide(OBU, gantry_c6()), 1.0)
    sequenced_of(controller)
    unknown = gantry_b5(error_code=1)
    assert sequenced(controller, 4, unknown)[1] == [Reported(OBU, unknown, gantry_c6())]
    stop = gantry_commands.GantryStop(OBU, DROP, None)
    controller.send(Decide(OBU, stop), 1.0)
    assert sequenced_of(controller) == [(0x40, stop.to_bytes())]
    sequenced(controller, 5, gantry_b2())
    controller.send(Decide(OBU, c1()), 1.5)
    sequenced_of(controller)
    carries = gantry_b4(last_station=GANTRY_STATION)
    assert sequenced(controller, 6, carries)[1] == [Reported(OBU, carries, gantry_c6(), True)]
    fetch = gantry_commands.FetchTac(OBU, 7, 0, None, None)
    controller.send(Decide(OBU, fetch), 1.5)
    assert sequenced_of(controller) == [(0x60, fetch.to_bytes())]
    proved = gantry_reports.TacFetched(OBU, 0, b"\xa0\xb0\xc0\xd0", bytes(4), 98_750)
    assert sequenced(controller, 7, proved)[1] == [Reported(OBU, proved)]


@pytest.mark.parametrize(
    ("error_code", "unsettled"),
    [(0x00, None), (0x14, None), (0x01, gantry_c6()), (0x02, gantry_c6()), (0x13, gantry_c6())],
)
def test_a_gantry_settles_a_debit_only_by_a_result_that_says_so(error_code, unsettled):
    """14: EF04 failed, the purchase did not."""
    controller = gantry()
    sequenced(controller, 2, gantry_b2())
    controller.send(Decide(OBU, c1()), 1.0)
    sequenced(controller, 3, gantry_b4())
    controller.send(Decide(OBU, gantry_c6()), 1.0)
    result = gantry_b5(error_code=error_code)
    assert sequenced(controller, 4, result)[1] == [Reported(OBU, result, unsettled)]


def test_reports_that_come_again_are_known_however_many_others_are_on_their_way():
    """The unit did not hear C6. A second one, of another time, might debit a second time."""
    controller = gantry()
    obu_ids = [bytes((3, 0, 0, number)) for number in range(7)]
    for obu_id in obu_ids:
        sequenced(controller, 2, gantry_b2(obu_id))
        controller.send(Decide(obu_id, c1(obu_id)), 1.0)
    for seq, obu_id in enumerate(obu_ids, 3):
        assert sequenced(controller, seq, gantry_b4(obu_id), 1.1)[1] == [Reported(obu_id, gantry_b4(obu_id))]
    for seq, obu_id in enumerate(obu_ids[:-1], 3):
        controller.send(Decide(obu_id, gantry_c6(obu_id)), 1.1)
        assert sequenced_of(controller) == [(seq << 4, gantry_c6(obu_id).to_bytes())]
    for seq, obu_id in enumerate(obu_ids[:-1], 3):
        assert sequenced(controller, seq, gantry_b4(obu_id), 1.2) == ([(seq << 4, gantry_c6(obu_id).to_bytes())], [])
    assert sequenced(controller, 9, gantry_b4(obu_ids[-1]), 1.2) == ([], [])  # nobody has decided
    assert controller.repeats == 7
    assert sequenced(controller, 3, gantry_b5(obu_ids[0]), 1.3)[1] == [Reported(obu_ids[0], gantry_b5(obu_ids[0]))]


def test_who_does_not_decide_at_a_gantry_sends_its_c2():
    controller = gantry()
    sequenced(controller, 2, gantry_b2(), 1.0)
    controller.tick(2.0)
    assert sequenced_of(controller) == [(0x20, gantry_commands.GantryStop(OBU, DROP, None).to_bytes())]


def test_a_lane_with_crc_speaks_as_it_is_configured():
    settings = ControllerSettings(interface=Interface.LANE_CRC, variants=VARIANTS[Interface.LANE_CRC])
    controller = Controller(settings)
    controller.send(Start(C0), 0.0)
    state = RawPayload(b"\xb0\x00\x01")
    assert sequenced(controller, 1, state)[1] == [Ready(state)]
    assert sequenced(controller, 1, RawPayload(b"\xb1\x07"))[0] == [(0x10, b"\xcf\x00")]
    assert sequenced(controller, 2, HEARTBEAT) == ([], [])
    debit = LaneDebit(OBU, 0, 1250, b"\x44" * 40, NOW, 0, 0, b"")
    card = CardFilesRead(OBU, 0, 100_000, bytes(50), bytes(43))
    for seq, payload in ((3, c1()), (4, debit)):
        sequenced(controller, seq, RawPayload(b"\xb2" + OBU + bytes(30)) if seq == 3 else card)
        controller.send(Decide(OBU, payload), 1.0)
        assert sequenced_of(controller) == [(seq << 4, payload.to_bytes())]
    uncertain = LaneResult(OBU, 2, NOW, 1, 2, 9, 0xFFFFFFFF, b"\xff" * 4, 3, 0)
    assert sequenced(controller, 5, uncertain)[1] == [Reported(OBU, uncertain, debit)]
    assert uncertain.balance is None
    assert is_on_card(debit, CardFilesRead(OBU, 0, 100_000, bytes(50), b"\xaa\x28\x00" + debit.station))
    assert not is_on_card(LaneDebit(OBU, 0, 1250, bytes(40), NOW, 0, 0, b""), card)  # an empty record says nothing
    assert not is_on_card(debit, uncertain)


def test_half_a_frame_is_forgotten_at_its_deadline():
    controller = gantry()
    wire = encode_sequenced(SequencedFrame(2, gantry_b2().to_bytes()))
    controller.receive(b"\xff\xff\x00\x01\x00\x00\x0f\x00" + wire, 1.0)
    assert events_of(controller) == []
    assert controller.next_deadline() == 1.0 + GAP_S
    controller.tick(1.0 + GAP_S)
    assert events_of(controller) == [Reported(OBU, gantry_b2())]
