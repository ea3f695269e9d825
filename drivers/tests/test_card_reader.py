"""The card reader's driver against the emulated PN532: in memory, and over a real pseudo-terminal."""

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager, suppress

import pytest

from drivers.card_reader import CardReaderConfig, CardReaderDriver
from drivers.contactless_card import CardApplicationConfig, CardFileConfig
from drivers.driver import Driver
from drivers.errors import DeviceRefusedError, DeviceTimeoutError, DriverError, PortError
from drivers.pn532_reader import CardLiftedError, Pn532Reader
from drivers.ports.memory_port import MemoryPort
from drivers.ports.open_port import open_port
from drivers.readings import DeviceEvent
from emulators.card_files import Application, BinaryFile, CardFiles, RecordFile
from emulators.contactless_cards import LiftPlan, TypeACard, TypeBCard
from emulators.kit.faults import Fault, FaultPlan, FaultyDevice
from emulators.kit.hosts import MemoryHost, PtyHost
from emulators.pn532 import ChipFault, Pn532Emulator
from protocols.iso14443.activation import ats
from protocols.iso14443.type_b import Atqb
from protocols.pn532.chip_commands import Diagnose, FirmwareVersion
from protocols.pn532.command import StatusAndData
from protocols.pn532.errors import Status
from protocols.pn532.initiator_commands import InDataExchange, InListPassiveTarget
from protocols.pn532.target_data import TypeATarget

PERMIT = bytes.fromhex("a000000632010105")
NUMBER = b"3104890012345678"
OWNER = b"ZHANG SAN"
APPLICATIONS = (
    CardApplicationConfig(name="elsewhere", aid="a0000006320101ff"),
    CardApplicationConfig(
        name="permit",
        aid="A000000632010105",
        file=(
            CardFileConfig(name="number", short_id=0x15, length=16, identity=True),
            CardFileConfig(name="valid_to", short_id=0x15, offset=16, length=10, encoding="ascii"),
            CardFileConfig(name="owner", id="0016", personal=True),
            CardFileConfig(name="last_trip", short_id=0x18, record=1, offset=1, length=2),
        ),
    ),
)


def pseudonym(identity):
    return "k1:" + hashlib.sha256(b"test" + identity).hexdigest()[:32]


class LoopClock:
    def monotonic(self):
        return asyncio.get_running_loop().time()


class Book:
    """Writes down what the driver makes, and lets a test wait for it."""

    def __init__(self):
        self.events: list[DeviceEvent] = []
        self.returns = 0
        self._news = asyncio.Event()

    def sample(self, sample):
        raise AssertionError("a card reader measures nothing")

    def time_offer(self, offer):
        raise AssertionError("a card reader has no clock")

    async def transaction(self, transaction):
        raise AssertionError("this driver moves no money")

    def event(self, event):
        json.dumps(event.data)
        self.events.append(event)
        self._news.set()

    def device_lost(self, device, error):
        raise AssertionError("the supervisor says so")

    def device_back(self, device):
        self.returns += 1
        self._news.set()

    @property
    def taps(self):
        return [event.data for event in self.events if event.kind == "tap"]

    async def until(self, condition, within_s=5.0):
        async with asyncio.timeout(within_s):
            while not condition():
                self._news.clear()
                await self._news.wait()


async def until(condition, within_s=5.0):
    """Wait for something that tells nobody."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)


class Rig:
    """The driver on an emulated chip, in memory."""

    def __init__(self, driver, chip, book, port, host, task):
        self.driver, self.chip, self.book, self.port, self.host, self.task = driver, chip, book, port, host, task

    def looks(self):
        """How often the driver looked for cards of type A."""
        return sum(isinstance(one, InListPassiveTarget) and one.modulation == 0 for one in self.chip.commands)

    async def look_again(self, times=2):
        wanted = self.looks() + times
        await until(lambda: self.looks() >= wanted)

    async def presence_checks(self, times=3):
        def count():
            return sum(isinstance(one, Diagnose) for one in self.chip.commands)

        wanted = count() + times
        await until(lambda: count() >= wanted)


@asynccontextmanager
async def rig(*cards, device=None, **keys):
    chip = Pn532Emulator()
    for card in cards:
        chip.place(card)
    port, book = MemoryPort(), Book()
    host = MemoryHost(chip if device is None else device(chip))
    host.on_bytes, port.on_write = port.deliver, host.feed
    config = CardReaderConfig(**{"name": "reader-1", "poll_s": 0.02, "debounce_s": 0.3, **keys})
    driver = CardReaderDriver(config, port, book, LoopClock(), pseudonym)
    task = asyncio.create_task(driver.run())
    try:
        yield Rig(driver, chip, book, port, host, task)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, DriverError):
            await task
        host.close()
        assert not port.is_open


def files(number=NUMBER, **options):
    return CardFiles(
        [
            Application(
                PERMIT,
                [
                    BinaryFile(0x0015, number + b"2027-01-31" + bytes(4), short_id=0x15),
                    BinaryFile(0x0016, OWNER),
                    RecordFile(0x0018, (b"\x01\x02\x03\x04", b"\x05"), short_id=0x18),
                ],
            )
        ],
        **options,
    )


def card_a(uid="04a1b2c3d4e5f6", *, held=None, **options):
    return TypeACard(
        None if uid is None else bytes.fromhex(uid),
        name=str(uid),
        ats=options.pop("answer", None) or ats(fwi=4),
        files=held or files(),
        **options,
    )


def card_b(pupi="01020304", **options):
    atqb = Atqb(b"", size_and_type=0x81, timing=0x41)
    return TypeBCard(None if pupi is None else bytes.fromhex(pupi), name=str(pupi), atqb=atqb, files=files(), **options)


def uid_card(uid="11223344"):
    return TypeACard(bytes.fromhex(uid), name=uid, sak=0x08)


PERMIT_FIELDS = {
    "number": pseudonym(NUMBER),
    "valid_to": "2027-01-31",
    "owner": pseudonym(OWNER),
    "last_trip": "0203",
}


def test_it_has_the_face_of_a_driver():
    driver: Driver = CardReaderDriver(CardReaderConfig(name="r"), MemoryPort(), Book(), LoopClock(), pseudonym)
    assert driver.name == "r"
    assert driver.points == ()
    assert driver.status()["state"] == "closed"


async def test_a_permit_is_selected_and_its_files_are_read():
    async with rig(card_a(), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        event = r.book.events[0]
        assert (event.device, event.kind, event.severity) == ("reader-1", "tap", "info")
        assert event.data == {
            "identity": pseudonym(NUMBER),
            "identity_from": "number",
            "card": "A",
            "sak": 0x20,
            "ats": "0578804002",
            "application": "permit",
            "fields": PERMIT_FIELDS,
            "result": "ok",
            "duration_ms": event.data["duration_ms"],
        }
        assert event.data["duration_ms"] < 500
        assert r.book.returns == 1
        status = r.driver.status()
        assert status["firmware"] == "1.6"
        assert status["taps"]["ok"] == 1


async def test_nobody_learns_who_tapped():
    async with rig(card_a(), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        told = json.dumps([event.data for event in r.book.events]) + json.dumps(r.driver.status())
        for secret in (NUMBER.decode(), NUMBER.hex(), OWNER.decode(), OWNER.hex(), "04a1b2c3d4e5f6", "a1b2c3"):
            assert secret not in told.lower()


async def test_a_serial_number_among_the_historical_bytes_stays_here():
    """As processor cards for transit and permits have it: the UID stands at the end of their ATS."""
    uid = "b58b6c5f"
    answer = ats(fwi=8, historical_bytes=bytes.fromhex("2090000000000000" + uid))
    async with rig(card_a(uid, answer=answer), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["result"] == "ok"
        assert r.book.taps[0]["ats"] == "0578808002"
        assert uid not in json.dumps([event.data for event in r.book.events])


@pytest.mark.parametrize("piece", [b"", b"x" * 200], ids=["empty", "full"])
async def test_a_card_that_never_ends_its_answer_is_given_up(monkeypatch, piece):
    """Also one that says "more" and then gives nothing, for ever."""
    reader = Pn532Reader(MemoryPort(), LoopClock(), "reader-1", answer_s=1)
    asked = 0

    async def ever_more(_command):
        nonlocal asked
        asked += 1
        assert asked < 1_000
        return StatusAndData(Status(more_information=True), piece)

    monkeypatch.setattr(reader, "_exchange_piece", ever_more)
    with pytest.raises(CardLiftedError, match="never ends its answer"):
        await reader.transceive(TypeATarget(1, b"\x00\x04", 0x20, b"1234"), b"\x00\xa4")


async def test_a_card_of_type_b_is_read():
    async with rig(card_b(), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        (tap,) = r.book.taps
        assert (tap["card"], tap["result"], tap["identity"]) == ("B", "ok", pseudonym(NUMBER))
        assert tap["protocol"] == "00000000008141"
        assert "01020304" not in json.dumps(tap)
        await r.presence_checks()
        assert len(r.book.taps) == 1


async def test_a_card_of_type_b_without_a_number_is_known_by_its_pupi():
    async with rig(card_b()) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["identity"] == pseudonym(b"\x01\x02\x03\x04")
        assert r.book.taps[0]["identity_from"] == "pupi"


async def test_without_applications_a_tap_is_the_uid():
    async with rig(uid_card()) as r:
        await r.book.until(lambda: r.book.taps)
        (tap,) = r.book.taps
        assert (tap["identity"], tap["identity_from"], tap["result"]) == (pseudonym(b"\x11\x22\x33\x44"), "uid", "ok")
        assert tap["sak"] == 8
        assert tap["fields"] == {}


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (uid_card(), "the card has no applications"),
        (card_a(held=CardFiles([])), "none of the applications is on the card"),
        (card_a(held=CardFiles([Application(PERMIT)])), "number cannot be read (6a82)"),
    ],
)
async def test_a_card_that_has_nothing_to_read_is_refused(card, reason):
    async with rig(card, application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        assert (r.book.taps[0]["result"], r.book.taps[0]["reason"]) == ("refused", reason)


@pytest.mark.parametrize("make", [card_a, card_b, uid_card, lambda: card_a(None), lambda: card_b(None)])
async def test_a_card_left_on_the_reader_is_one_tap(make):
    card = make()
    async with rig(card, application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        if isinstance(card, TypeACard) and card.files is None:
            await r.look_again(10)
        else:
            await r.presence_checks(10)
        assert len(r.book.taps) == 1


@pytest.mark.parametrize("make", [card_a, lambda: card_a(None), card_b, lambda: card_b(None)])
async def test_a_card_that_comes_back_soon_is_the_same_tap_and_later_another(make):
    card = make()
    async with rig(card, application=APPLICATIONS, debounce_s=2.0) as r:
        await r.book.until(lambda: r.book.taps)
        for _ in range(3):
            r.chip.lift(card)
            await r.look_again()
            r.chip.place(card)
            await r.presence_checks()
        assert len(r.book.taps) == 1
        r.chip.lift(card)
        left = LoopClock().monotonic()
        await until(lambda: LoopClock().monotonic() > left + 2.1)
        r.chip.place(card)
        await r.book.until(lambda: len(r.book.taps) == 2)


async def test_two_people_with_random_uids_are_told_apart_by_their_numbers():
    first, second = card_a(None), card_a(None, held=files(b"3104890099999999"))
    async with rig(first, application=APPLICATIONS, debounce_s=30) as r:
        await r.book.until(lambda: r.book.taps)
        r.chip.lift(first)
        r.chip.place(second)
        await r.book.until(lambda: len(r.book.taps) == 2)
        assert r.book.taps[0]["identity"] != r.book.taps[1]["identity"]


async def test_a_random_uid_without_a_number_has_no_identity():
    async with rig(card_a(None)) as r:
        await r.book.until(lambda: r.book.taps)
        assert "identity" not in r.book.taps[0]
        await r.presence_checks(5)
        assert len(r.book.taps) == 1


@pytest.mark.parametrize(
    "pair",
    [
        lambda: (card_a("04000000000001"), card_a("04000000000002")),
        lambda: (uid_card("11223344"), uid_card("11223345")),
        lambda: (card_a(), card_b()),
        lambda: (card_b("01020304"), card_b("01020305")),
        lambda: (card_a(), uid_card()),
    ],
)
async def test_two_cards_are_not_read(pair):
    first, second = pair()
    async with rig(first, second, application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.events)
        await r.look_again(3)
        assert [(event.kind, event.data) for event in r.book.events] == [("one-card-only", {"cards": 2})]
        r.chip.lift(second)
        await r.book.until(lambda: r.book.taps)
        assert len(r.book.events) == 2


@pytest.mark.parametrize("is_answered", [True, False])
@pytest.mark.parametrize("make", [card_a, card_b])
async def test_a_card_lifted_at_any_frame_leaves_a_reader_that_reads_the_next(make, is_answered):
    """field_failures row 29, as far as reading goes: usable within a second, whatever the card was doing."""
    async with rig(application=APPLICATIONS, debounce_s=0.0) as r:
        await r.book.until(lambda: r.book.returns)
        for frame in range(1, 200):
            leaving, next_card = make(lift=LiftPlan(frame, is_answered)), card_a("11111100")
            before = len(r.book.taps)
            r.chip.place(leaving)
            await until(lambda card=leaving, at=before: card not in r.chip.field.cards or len(r.book.taps) > at)
            stayed = leaving in r.chip.field.cards
            r.chip.lift(leaving)
            left = LoopClock().monotonic()
            r.chip.place(next_card)
            await r.book.until(lambda: r.book.taps and r.book.taps[-1]["identity"] == pseudonym(NUMBER), 1.0)
            await r.presence_checks(1)
            assert LoopClock().monotonic() - left < 1.0
            assert all(tap["result"] in {"ok", "lifted"} for tap in r.book.taps[before:])
            r.chip.lift(next_card)
            await r.look_again()
            if stayed:
                break
        else:
            raise AssertionError("it never stayed to the end")
        results = [tap["result"] for tap in r.book.taps]
        assert "lifted" in results
        assert r.task.done() is False


async def test_a_lifted_card_tells_what_was_read_and_may_be_tapped_again_at_once():
    card = card_a(lift=LiftPlan(11))
    async with rig(card, application=APPLICATIONS, debounce_s=5) as r:
        await r.book.until(lambda: r.book.taps)
        (tap,) = r.book.taps
        assert tap["result"] == "lifted"
        assert tap["identity_from"] in {"uid", "number"}
        assert set(tap["fields"]) < set(PERMIT_FIELDS)
        r.chip.place(card)
        await r.book.until(lambda: len(r.book.taps) == 2)
        assert r.book.taps[1]["result"] == "ok"
        assert r.driver.status()["taps"] == {"ok": 1, "lifted": 1, "refused": 0, "one_card_only": 0}


async def test_a_card_that_flutters_is_lifted_once():
    async with rig(application=APPLICATIONS, debounce_s=5) as r:
        for _ in range(4):
            card = card_a(lift=LiftPlan(9))
            r.chip.place(card)
            await until(lambda: not r.chip.field.cards)
            await r.look_again()
        assert [tap["result"] for tap in r.book.taps] == ["lifted"]


async def test_a_slow_card_is_waited_for():
    async with rig(card_a(think_s=0.05), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["result"] == "ok"
        assert r.book.taps[0]["duration_ms"] > 250


async def test_a_card_that_takes_for_ever_is_given_up_within_its_time():
    async with rig(card_a(think_s=60, answer=ats(fwi=14)), application=APPLICATIONS, answer_s=0.2) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["result"] == "lifted"
        assert r.book.taps[0]["duration_ms"] < 400
        await r.look_again(1)  # the chip was told to stop and goes on


async def test_answers_in_many_pieces_are_put_together():
    held = files(answers_with_61=True)
    async with rig(card_a(held=held, answer=ats(fsc=16, fwi=4)), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["fields"] == PERMIT_FIELDS


async def test_a_silent_reader_is_told_and_run_again():
    async with rig(card_a()) as r:
        await r.book.until(lambda: r.book.taps)
        r.port.on_write = None  # not a word reaches it
        began = LoopClock().monotonic()
        with pytest.raises(DeviceTimeoutError, match="reader-1"):
            await asyncio.wait_for(r.task, 3)
        assert LoopClock().monotonic() - began < 1.5
        assert r.driver.status()["state"] == "closed"
        assert "does not answer" in r.driver.status()["error"]
        r.port.on_write = r.host.feed
        again = asyncio.create_task(r.driver.run())
        await r.book.until(lambda: r.book.returns == 2)
        await r.presence_checks(1)
        assert len(r.book.taps) == 1 or r.book.taps[-1]["result"] == "ok"
        again.cancel()
        with suppress(asyncio.CancelledError):
            await again


async def test_a_reader_that_restarts_is_woken_up_again():
    async with rig() as r:
        await r.book.until(lambda: r.book.returns)
        fresh = Pn532Emulator()  # it lost its power: asleep, nothing is set up
        fresh.place(card_a())
        r.host._ticker._device = fresh
        with pytest.raises(DeviceTimeoutError):
            await asyncio.wait_for(r.task, 3)
        again = asyncio.create_task(r.driver.run())
        await r.book.until(lambda: r.book.taps)
        again.cancel()
        with suppress(asyncio.CancelledError):
            await again


async def test_a_port_that_breaks_is_a_port_error():
    async with rig(card_a()) as r:
        await r.book.until(lambda: r.book.taps)
        r.port.lose()
        with pytest.raises(PortError):
            await asyncio.wait_for(r.task, 1)


async def test_a_port_that_cannot_be_opened_is_a_port_error():
    port = MemoryPort()
    port.refusal = PortError("no such port")
    driver = CardReaderDriver(CardReaderConfig(name="r"), port, Book(), LoopClock(), pseudonym)
    with pytest.raises(PortError, match="no such port"):
        await driver.run()


async def test_another_chip_is_refused(monkeypatch):
    monkeypatch.setattr("protocols.pn532.chip_commands.FirmwareVersion", lambda: FirmwareVersion(0x33))
    async with rig() as r:
        with pytest.raises(DeviceRefusedError, match="33"):
            await asyncio.wait_for(r.task, 3)


async def test_commands_that_go_wrong_once_do_not_lose_the_reader():
    async with rig(card_a(), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        r.chip.forced.extend([ChipFault.DROP_ACK, ChipFault.BAD_DCS])
        await r.presence_checks(4)
        assert not r.chip.forced
        assert not r.task.done()


async def test_a_refused_command_ends_the_run():
    async with rig() as r:
        await r.book.until(lambda: r.book.returns)
        r.chip.forced.append(ChipFault.ERROR_FRAME)
        with pytest.raises(DeviceRefusedError, match="does not know"):
            await asyncio.wait_for(r.task, 3)


async def test_a_bad_line_still_brings_true_taps():
    """Noise on the line: the supervisor would run the driver again; what it tells is true."""
    plan = FaultPlan(seed=5, flip=Fault(p=0.03), drop=Fault(p=0.02), foreign=Fault(p=0.05))
    card = card_a()
    async with rig(card, application=APPLICATIONS, debounce_s=0.0, device=lambda chip: FaultyDevice(chip, plan)) as r:
        task = r.task
        for _ in range(10):
            taps = len(r.book.taps)
            r.chip.place(card)
            while len(r.book.taps) == taps:
                if task.done():
                    assert isinstance(task.exception(), DriverError)
                    task = asyncio.create_task(r.driver.run())
                await asyncio.sleep(0.005)
            r.chip.lift(card)
        task.cancel()
        with suppress(asyncio.CancelledError, DriverError):
            await task
        good = [tap for tap in r.book.taps if tap["result"] == "ok"]
        assert len(good) >= 5
        assert all(tap["fields"] == PERMIT_FIELDS for tap in good)


async def test_it_takes_no_commands():
    driver = CardReaderDriver(CardReaderConfig(name="r"), MemoryPort(), Book(), LoopClock(), pseudonym)
    with pytest.raises(DeviceRefusedError):
        await driver.command("card.eject", {})


async def test_cancelling_switches_the_field_off():
    async with rig(card_a()) as r:
        await r.book.until(lambda: r.book.taps)
        await r.presence_checks(1)
        assert r.chip.field.is_on
        await until(lambda: r.driver.status()["state"] == "card stays")
        r.task.cancel()
        with suppress(asyncio.CancelledError):
            await r.task
        await until(lambda: not r.chip.field.is_on)


async def test_over_a_pseudo_terminal_at_115200_baud_and_unplugged():
    chip, book = Pn532Emulator(), Book()
    host = PtyHost([chip], baud=115_200)
    await host.start()
    card = card_a()
    driver = CardReaderDriver(
        CardReaderConfig(name="reader-1", poll_s=0.02, application=APPLICATIONS),
        open_port(host.endpoint),
        book,
        LoopClock(),
        pseudonym,
    )
    task = asyncio.create_task(driver.run())
    try:
        await book.until(lambda: book.returns)
        chip.place(card)
        await book.until(lambda: book.taps)
        assert book.taps[0]["fields"] == PERMIT_FIELDS
        assert book.taps[0]["duration_ms"] < 300
    finally:
        await host.aclose()
    with pytest.raises((PortError, DeviceTimeoutError)):
        await asyncio.wait_for(task, 3)


async def test_nothing_is_sent_twice_to_a_card():
    async with rig(card_a(), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        asked = [one.data for one in r.chip.commands if isinstance(one, InDataExchange)]
        assert len(asked) == len(set(asked))


async def test_text_from_a_card_is_cleaned():
    held = CardFiles([Application(PERMIT, [BinaryFile(1, b"A\x1b[2J\xe4\nB  \x00\xff", short_id=1)])])
    application = CardApplicationConfig(
        name="x", aid=PERMIT.hex(), file=(CardFileConfig(name="a", short_id=1, encoding="ascii"),)
    )
    async with rig(card_a(held=held), application=(application,)) as r:
        await r.book.until(lambda: r.book.taps)
        assert r.book.taps[0]["fields"] == {"a": "A\ufffd[2J\ufffd\ufffdB"}
