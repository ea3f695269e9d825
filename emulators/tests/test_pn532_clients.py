"""Clients that are not ours read the emulated cards over a pseudo-terminal: libnfc's tools, and nfcpy."""

import asyncio
import os
import shutil

import nfc
import nfc.clf
import nfc.clf.pn532
import nfc.clf.transport
import nfc.tag
import pytest

from emulators.card_files import Application, BinaryFile, CardFiles
from emulators.contactless_cards import TypeACard, TypeBCard
from emulators.kit.hosts import PtyHost
from emulators.pn532 import Pn532Emulator
from protocols.iso14443.activation import ats

PERMIT = bytes.fromhex("a000000632010105")
NDEF = bytes.fromhex("d2760000850101")
CAPABILITIES = bytes.fromhex("000f20003b0034" + "0406e104" + "00ff" + "00" + "ff")
NDEF_TEXT = bytes.fromhex("d101095402656e") + b"permit"
LIBNFC_TOOLS = ("nfc-list", "nfc-anticol", "nfc-poll")
needs_libnfc = pytest.mark.skipif(
    not all(map(shutil.which, LIBNFC_TOOLS)), reason="libnfc's tools are not installed (Debian: libnfc-bin)"
)


def files():
    ndef = Application(
        NDEF,
        [BinaryFile(0xE103, CAPABILITIES), BinaryFile(0xE104, len(NDEF_TEXT).to_bytes(2, "big") + NDEF_TEXT)],
    )
    return CardFiles([ndef, Application(PERMIT, [BinaryFile(0x15, bytes(range(200)), short_id=0x15)])])


def processor_card(uid="04a1b2c3d4e5f6", **options):
    answer = ats(fwi=4, historical_bytes=b"\x80\x01")
    return TypeACard(bytes.fromhex(uid), name=uid, ats=answer, files=files(), **options)


def uid_card():
    return TypeACard(bytes.fromhex("11223344"), name="uid only", sak=0x08)


def b_card():
    return TypeBCard(b"\x01\x02\x03\x04", name="b", files=files())


async def ask_libnfc(tool, *cards, baud=115_200, while_it_runs=None):
    emulator = Pn532Emulator()
    for card in cards:
        emulator.place(card)
    host = PtyHost([emulator], baud=baud)
    await host.start()
    try:
        async with asyncio.timeout(60):
            process = await asyncio.create_subprocess_exec(
                tool,
                env={**os.environ, "LIBNFC_DEFAULT_DEVICE": f"pn532_uart:{host.path}:115200"},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            if while_it_runs is not None:
                await while_it_runs(emulator)
            out, err = await process.communicate()
    finally:
        await host.aclose()
    assert process.returncode == 0, err.decode()
    return " ".join(out.decode().split())


@needs_libnfc
async def test_nfc_list_reads_a_processor_card():
    text = await ask_libnfc("nfc-list", processor_card())
    assert "1 ISO14443A passive target(s) found" in text
    assert "ATQA (SENS_RES): 00 44" in text
    assert "UID (NFCID1): 04 a1 b2 c3 d4 e5 f6" in text
    assert "SAK (SEL_RES): 20" in text
    assert "ATS: 78 80 40 02 80 01" in text
    assert text.count("passive target(s) found") == 1  # its probes for other standards found nothing


@needs_libnfc
async def test_nfc_list_tells_several_cards_apart():
    text = await ask_libnfc("nfc-list", processor_card(), uid_card(), processor_card("04a1b2c3d4e5f7"), b_card())
    assert "3 ISO14443A passive target(s) found" in text
    for uid in ("11 22 33 44", "04 a1 b2 c3 d4 e5 f6", "04 a1 b2 c3 d4 e5 f7"):
        assert uid in text
    assert "1 ISO14443B passive target(s) found" in text
    assert "PUPI: 01 02 03 04" in text


@needs_libnfc
async def test_nfc_list_finds_an_empty_field_empty():
    assert "found" not in await ask_libnfc("nfc-list")


@needs_libnfc
@pytest.mark.parametrize(
    ("card", "wanted"),
    [
        (processor_card, ["UID: 04a1b2c3d4e5f6", "ATQA: 0044", "SAK: 20", "ATS: 07 78 80 40 02 80 01"]),
        (uid_card, ["UID: 11223344", "ATQA: 0004", "SAK: 08"]),
    ],
)
async def test_nfc_anticol_selects_by_hand(card, wanted):
    """Raw frames of 7 bits and without CRC, and RATS by the host, all through InCommunicateThru."""
    text = await ask_libnfc("nfc-anticol", card())
    for words in wanted:
        assert words in text


@needs_libnfc
async def test_nfc_poll_sees_a_card_come_and_go():
    card = processor_card()

    async def come_and_go(emulator):
        while not emulator.field.is_on:
            await asyncio.sleep(0.01)
        emulator.place(card)
        while not any(type(command).__name__ == "InDeselect" for command in emulator.commands) and card.frames < 4:
            await asyncio.sleep(0.01)
        emulator.lift(card)

    text = await ask_libnfc("nfc-poll", while_it_runs=come_and_go)
    assert "UID (NFCID1): 04 a1 b2 c3 d4 e5 f6" in text
    assert "Waiting for card removing...done." in text


def read_with_nfcpy(path, technology):
    """What nfcpy finds and reads; blocking."""
    frontend = nfc.ContactlessFrontend()
    frontend.device = nfc.clf.pn532.init(nfc.clf.transport.TTY(path))
    frontend.device._vendor_name, frontend.device._device_name, frontend.device._path = "", "", path
    found = {"chip": frontend.device._chipset_name}
    try:
        target = frontend.sense(nfc.clf.RemoteTarget(technology), iterations=3, interval=0.05)
        if target is not None:
            tag = nfc.tag.activate(frontend, target)
            found["tag"] = type(tag).__name__
            found["id"] = tag.identifier.hex()
            if isinstance(tag, nfc.tag.tt4.Type4Tag):
                found["fci"] = tag.send_apdu(0, 0xA4, 0x04, 0x00, PERMIT, mrl=256).hex()
                found["file"] = bytes(tag.send_apdu(0, 0xB0, 0x95, 0x00, mrl=256))
                found["ndef"] = None if tag.ndef is None else bytes(tag.ndef.octets)
                found["present"] = tag.is_present
    finally:
        frontend.close()
    return found


async def ask_nfcpy(technology, *cards):
    emulator = Pn532Emulator()
    for card in cards:
        emulator.place(card)
    host = PtyHost([emulator])
    await host.start()
    try:
        async with asyncio.timeout(60):
            return await asyncio.to_thread(read_with_nfcpy, host.path, technology), emulator
    finally:
        await host.aclose()


@pytest.mark.parametrize(
    ("technology", "card", "kind", "identifier"),
    [("106A", processor_card, "Type4ATag", "04a1b2c3d4e5f6"), ("106B", b_card, "Type4BTag", "01020304")],
)
async def test_nfcpy_reads_a_card_with_its_own_iso_dep(technology, card, kind, identifier):
    found, emulator = await ask_nfcpy(technology, card())
    assert found == {
        "chip": "PN532v1.6",
        "tag": kind,
        "id": identifier,
        "fci": "6f0a8408a000000632010105",
        "file": bytes(range(200)),
        "ndef": NDEF_TEXT,
        "present": True,
    }
    assert emulator.baud_rate == 115_200  # it went up to 921600 and back


async def test_nfcpy_sees_a_card_that_speaks_no_iso_dep():
    found, _emulator = await ask_nfcpy("106A", uid_card())
    assert found["id"] == "11223344"


async def test_nfcpy_finds_an_empty_field_empty():
    found, _emulator = await ask_nfcpy("106A")
    assert found == {"chip": "PN532v1.6"}


async def test_nfcpy_reads_a_card_that_computes_for_long():
    """S(WTX) all the way through InCommunicateThru."""
    found, _emulator = await ask_nfcpy("106A", processor_card(think_s=0.03))
    assert found["file"] == bytes(range(200))
