"""Framers under hostile bytes: one plain function, whatever chooses the bytes."""

from collections.abc import Callable
from functools import partial

from protocols.aton.frame import Framer as AtonFramer
from protocols.core.errors import NEED_DATA, RemoteProtocolError
from protocols.dlt645.frame import Framer as Dlt645Framer
from protocols.etc_rsu.framer import ClassicFramer, SequencedFramer, UrbanFramer
from protocols.gbt32960.frame import Framer as Gbt32960Framer
from protocols.hj212.packet import Framer as Hj212Framer
from protocols.jt808.framer import Framer as Jt808Framer
from protocols.modbus_devices.rtu import RtuFramer
from protocols.modbus_devices.tcp import TcpFramer
from protocols.modbus_devices.umb import UmbFramer
from protocols.nmea0183.framer import Framer as Nmea0183Framer
from protocols.pn532.frame import Framer as Pn532Framer
from protocols.rfid_and_gates.idcard_sam import idcard_framer
from protocols.rfid_and_gates.llrp_message import llrp_framer
from protocols.rfid_and_gates.scanner import ScannerFramer
from protocols.rfid_and_gates.uhf_m100 import m100_framer
from protocols.rfid_and_gates.uhf_r2000 import r2000_framer
from protocols.rfid_and_gates.uhf_reader18 import reader18_framer
from protocols.sl651.framer import Framer as Sl651Framer
from protocols.tests.kit import Framer
from protocols.traffic_survey.rtms_g4 import rtms_framer
from protocols.traffic_survey.ss125 import ss125_framer
from protocols.traffic_survey.survey_frame import survey_framer
from protocols.vehicle_bus.elm import Framer as ElmFramer
from protocols.vms.frame import DIANMING, FENGHAI, SANSI, XIANKE
from protocols.vms.frame import Framer as VmsFramer

FRAMERS: dict[str, Callable[[], Framer]] = {
    "aton": AtonFramer,
    "dlt645": Dlt645Framer,
    "etc_rsu_classic": ClassicFramer,
    "etc_rsu_gantry": SequencedFramer,
    "etc_rsu_urban": UrbanFramer,
    "gbt32960": Gbt32960Framer,
    "hj212": Hj212Framer,
    "jt808": Jt808Framer,
    "modbus_rtu": RtuFramer,
    "modbus_tcp": TcpFramer,
    "modbus_umb": UmbFramer,
    "nmea0183": Nmea0183Framer,
    "pn532": Pn532Framer,
    "rfid_and_gates_idcard_sam": idcard_framer,
    "rfid_and_gates_llrp": llrp_framer,
    "rfid_and_gates_scanner": ScannerFramer,
    "rfid_and_gates_uhf_m100": m100_framer,
    "rfid_and_gates_uhf_r2000": r2000_framer,
    "rfid_and_gates_uhf_reader18": reader18_framer,
    "sl651": Sl651Framer,
    "traffic_survey_jtt1008": survey_framer,
    "traffic_survey_rtms_g4": rtms_framer,
    "traffic_survey_ss125": ss125_framer,
    "vehicle_bus_elm": ElmFramer,
    "vms_dianming": partial(VmsFramer, DIANMING, is_response=True),
    "vms_fenghai": partial(VmsFramer, FENGHAI, is_response=True),
    "vms_sansi_host": partial(VmsFramer, SANSI, is_response=True),
    "vms_sansi_sign": partial(VmsFramer, SANSI, is_response=False),
    "vms_xianke": partial(VmsFramer, XIANKE, is_response=True),
}


def feed_framer(framer: Framer, data: bytes) -> int:
    """Feed bytes in pieces that they choose themselves; return how many frames and refusals came out.

    Each answer takes at least a byte: a framer that gives more of them than it got bytes would never end.
    """
    came = at = 0
    while at < len(data):
        size = 1 + data[at] % 61
        framer.feed(data[at : at + size])
        at += size
        while came <= len(data):
            try:
                if framer.next_frame() is NEED_DATA:
                    break
            except RemoteProtocolError:
                pass
            came += 1
    if came > len(data):
        raise AssertionError("it answers without end")
    return came
