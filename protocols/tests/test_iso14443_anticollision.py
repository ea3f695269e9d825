"""Anticollision: one reader, many cards, all found, each once."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError
from protocols.iso14443.air import AirFrame, air_frame, bits_of, frame_of_bits, superpose
from protocols.iso14443.anticollision import MAX_TRIES, StateA, TypeASearch
from protocols.iso14443.crc import crc_a, crc_b, strip_crc_b
from protocols.iso14443.search import FindCard, Halt, Halted, NoCard, SearchFailed, TypeAFound, TypeBFound
from protocols.iso14443.slots import MAX_ROUNDS, StateB, TypeBSearch
from protocols.iso14443.type_a import (
    REQA,
    WUPA,
    Sak,
    UidPart,
    decode_anticollision,
    decode_select,
    encode_anticollision_reply,
    hlta,
    parts_of,
)
from protocols.iso14443.type_b import Atqb, decode_hltb, decode_reqb, decode_slot_marker, encode_atqb

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None)


class CardA:
    """The least that a card of type A does: requests, anticollision, SELECT, HLTA."""

    def __init__(self, uid, sak=0x20):
        self.uid, self.sak = uid, sak
        self.parts = parts_of(uid)
        self.level = None  # None: not in READY
        self.is_halted = self.is_active = False

    def hear(self, frame):
        if frame in (REQA, WUPA):
            wakes = not self.is_active and (frame == WUPA or not self.is_halted)
            self.is_active, self.level = False, 0 if wakes else None
            return air_frame(bytes((0x04 | {4: 0, 7: 0x40, 10: 0x80}[len(self.uid)], 0))) if wakes else None
        if frame == hlta():
            self.is_halted |= self.is_active
            self.is_active = False
            return None
        return None if self.level is None else self.hear_when_ready(frame)

    def hear_when_ready(self, frame):
        try:
            if frame.bits == 72:
                return self.selected(decode_select(frame.data))
            request = decode_anticollision(frame)
        except RemoteProtocolError:
            self.level = None
            return None
        whole = int.from_bytes(encode_anticollision_reply(UidPart(self.parts[self.level])), "little")
        if request.cascade_level != self.level + 1 or whole & ((1 << request.known_bits) - 1) != request.known:
            return None
        return frame_of_bits(whole >> request.known_bits, 40 - request.known_bits)

    def selected(self, select):
        if select.cascade_level != self.level + 1 or select.part != self.parts[self.level]:
            self.level = None
            return None
        self.level += 1
        is_last = self.level == len(self.parts)
        if is_last:
            self.is_active, self.level = True, None
        body = bytes((self.sak if is_last else self.sak | 0x04,))
        return air_frame(body + crc_a(body))


class CardB:
    """The least that a card of type B does: requests with slots, markers, HLTB."""

    def __init__(self, pupi, seed=0, afi=0):
        self.atqb = Atqb(pupi, afi)
        self.afi = afi
        self.rng = random.Random(seed)
        self.is_halted, self.slot = False, None

    def hear(self, frame):
        body = strip_crc_b(frame.data)
        if len(body) == 3:
            request = decode_reqb(body)
            fits = request.afi in (0, self.afi)
            self.slot = self.rng.randint(1, request.slots) if fits and (request.wakeup or not self.is_halted) else None
            return self.answer() if self.slot == 1 else None
        if len(body) == 1:
            return self.answer() if self.slot == decode_slot_marker(body) else None
        if decode_hltb(body) == self.atqb.pupi:
            self.is_halted, self.slot = True, None
            return air_frame(b"\x00" + crc_b(b"\x00"))
        return None

    def answer(self):
        body = encode_atqb(self.atqb)
        return air_frame(body + crc_b(body))


class Field:
    """What a search sees of the cards, with an antenna that may garble answers."""

    def __init__(self, cards, seed=None, rate=0.0):
        self.cards = cards
        self.now = 0.0
        self.rng = random.Random(seed)
        self.rate = rate
        self.frames = 0

    def run(self, search, command):
        search.send(command, self.now)
        while True:
            frame = search.frame_to_send()
            event = search.next_event()
            if event is not NEED_DATA:
                assert frame is None
                assert search.next_deadline() is None
                return event
            assert self.frames < 5000, "no end"
            answer = None
            if frame is not None:
                self.frames += 1
                answers = [answer for card in self.cards if (answer := card.hear(frame)) is not None]
                answer = superpose(answers)
                if answer is not None and self.rng.random() < self.rate:
                    flipped = bits_of(answer) ^ 1 << self.rng.randrange(answer.bits)
                    answer = AirFrame(frame_of_bits(flipped, answer.bits).data, answer.bits, answer.collision)
            if answer is None:
                self.now = search.next_deadline()
                search.tick(self.now)
            else:
                self.now += 0.0001
                search.receive(answer, self.now)


UIDS = st.one_of(
    st.binary(min_size=4, max_size=4).filter(lambda uid: uid[0] != 0x88),
    st.binary(min_size=7, max_size=7),
    st.binary(min_size=10, max_size=10),
    st.integers(0, 255).map(lambda last: bytes((4, 1, 2, last))),
    st.integers(0, 255).map(lambda last: bytes((4, 1, 2, 3, 4, 5, last))),
).filter(lambda uid: len(uid) < 7 or (uid[0] != 0x88 and (len(uid) < 10 or uid[3] != 0x88)))


@EXAMPLES
@given(uids=st.sets(UIDS, max_size=8))
def test_every_card_of_type_a_is_found_once(uids):
    field, search = Field([CardA(uid) for uid in uids]), TypeASearch()
    found = []
    while isinstance(event := field.run(search, FindCard()), TypeAFound):
        found.append(event.uid)
        assert field.run(search, Halt()) == Halted(is_accepted=True)
    assert event == NoCard()
    assert sorted(found) == sorted(uids)
    assert search.state is StateA.IDLE


def test_the_branch_with_bit_1_goes_first():
    field = Field([CardA(b"\x10\x00\x00\x00"), CardA(b"\x11\x00\x00\x00")])
    assert field.run(TypeASearch(), FindCard()).uid == b"\x11\x00\x00\x00"


def test_a_lone_card_of_seven_bytes_takes_five_frames():
    field = Field([CardA(bytes.fromhex("04010203040506"))])
    event = field.run(TypeASearch(), FindCard())
    assert event == TypeAFound(bytes.fromhex("04010203040506"), b"\x44\x00", Sak(0x20))
    assert field.frames == 5


def test_one_card_is_picked_by_its_uid():
    cards = [CardA(bytes.fromhex(uid)) for uid in ("11223344", "04010203040506", "04010203040507")]
    for card in cards:
        event = Field(cards).run(TypeASearch(), FindCard(uid=card.uid, wake=True))
        assert event.uid == card.uid
        assert card.is_active
        Field(cards).run(TypeASearch(), Halt())


def test_a_uid_that_is_not_there_is_not_found():
    field = Field([CardA(bytes.fromhex("11223344"))])
    assert field.run(TypeASearch(), FindCard(uid=b"\x01\x02\x03\x04")) == SearchFailed()
    assert field.run(TypeASearch(), FindCard(uid=b"\x01\x02\x03\x04\x05\x06\x07")) == SearchFailed()
    with pytest.raises(LocalProtocolError):
        TypeASearch().send(FindCard(uid=b"\x01"), 0.0)


def test_halted_cards_hear_wupa_only():
    field, search = Field([CardA(b"\x01\x02\x03\x04")]), TypeASearch()
    field.run(search, FindCard())
    field.run(search, Halt())
    assert field.run(search, FindCard()) == NoCard()
    assert field.run(search, FindCard(wake=True)).uid == b"\x01\x02\x03\x04"


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), uids=st.sets(UIDS, min_size=1, max_size=3))
def test_on_a_bad_antenna_a_found_uid_is_one_of_those_there(seed, uids):
    """One garbled bit in an answer is caught by BCC or CRC; then the whole attempt is repeated."""
    field, search = Field([CardA(uid) for uid in uids], seed, 0.2), TypeASearch()
    for _ in range(5):
        event = field.run(search, FindCard(wake=True))
        assert isinstance(event, (NoCard, SearchFailed)) or event.uid in uids
        if isinstance(event, TypeAFound):
            field.run(search, Halt())


@pytest.mark.parametrize(
    "answers",
    [
        ["0400", "112233"],  # too short
        ["0400", "1122334445"],  # BCC
        ["0400", "1122334444", "20"],  # SAK without CRC
        ["0400", "1122334444", "20fc71"],  # SAK with a wrong one
        ["0400", "1122334444", "04da17"],  # goes on, but the part has no cascade tag
        ["0400", "8811223388", "20fc70"],  # complete, but the part has a cascade tag
    ],
)
def test_broken_answers_end_in_a_new_attempt_and_then_in_failure(answers):
    search = TypeASearch()
    search.send(FindCard(), 0.0)
    for attempt in range(MAX_TRIES):
        assert search.frame_to_send() == REQA, attempt
        for answer in answers:
            assert search.state is not StateA.IDLE
            search.receive(air_frame(bytes.fromhex(answer)), 0.0)
            if answer != answers[-1]:
                search.frame_to_send()
    assert search.next_event() == SearchFailed()
    assert search.next_deadline() is None


def test_a_collision_in_the_check_byte_alone_is_noise():
    search = TypeASearch()
    search.send(FindCard(), 0.0)
    search.receive(air_frame(b"\x04\x00"), 0.0)
    search.receive(AirFrame(bytes(5), 40, 33), 0.0)
    assert search.state is StateA.REQUESTED


def test_a_card_that_answers_hlta_did_not_accept_it():
    search = TypeASearch()
    search.send(Halt(), 0.0)
    search.receive(air_frame(b"\x00"), 0.0)
    assert search.next_event() == Halted(is_accepted=False)
    search.receive(air_frame(b"\x00"), 0.0)  # late
    assert search.next_event() is NEED_DATA


@pytest.mark.parametrize("search", [TypeASearch, TypeBSearch])
def test_one_search_at_a_time(search):
    running = search()
    running.send(FindCard(), 0.0)
    with pytest.raises(LocalProtocolError):
        running.send(FindCard(), 0.0)


@EXAMPLES
@given(pupis=st.sets(st.binary(min_size=4, max_size=4), max_size=8), seed=st.integers(0, 2**32 - 1))
def test_every_card_of_type_b_is_found_once(pupis, seed):
    cards = [CardB(pupi, f"{seed}-{number}") for number, pupi in enumerate(sorted(pupis))]
    field, search = Field(cards), TypeBSearch()
    found = []
    while isinstance(event := field.run(search, FindCard()), TypeBFound):
        found.append(event.atqb.pupi)
        assert field.run(search, Halt(event.atqb.pupi)) == Halted(is_accepted=True)
    assert event == NoCard()
    assert sorted(found) == sorted(pupis)
    assert search.state is StateB.IDLE


def test_a_lone_card_of_type_b_takes_one_frame():
    field = Field([CardB(b"\x01\x02\x03\x04")])
    assert field.run(TypeBSearch(), FindCard()) == TypeBFound(Atqb(b"\x01\x02\x03\x04"))
    assert field.frames == 1


def test_families_are_told_apart():
    field = Field([CardB(b"\x01\x02\x03\x04", afi=0x10)])
    assert field.run(TypeBSearch(), FindCard(afi=0x20)) == NoCard()
    assert field.run(TypeBSearch(), FindCard(afi=0x10)).atqb.pupi == b"\x01\x02\x03\x04"


def test_halted_cards_hear_wupb_only():
    field, search = Field([CardB(b"\x01\x02\x03\x04")]), TypeBSearch()
    field.run(search, Halt(b"\x01\x02\x03\x04"))
    assert field.run(search, FindCard()) == NoCard()
    assert field.run(search, FindCard(wake=True)).atqb.pupi == b"\x01\x02\x03\x04"


def test_hltb_that_nobody_answers_was_not_accepted():
    field, search = Field([]), TypeBSearch()
    assert field.run(search, Halt(b"\x01\x02\x03\x04")) == Halted(is_accepted=False)
    search.send(Halt(b"\x01\x02\x03\x04"), 0.0)
    search.receive(air_frame(b"\xff\x00\x00"), 0.0)
    assert search.next_event() == Halted(is_accepted=False)
    with pytest.raises(LocalProtocolError):
        search.send(Halt(b""), 0.0)


def test_a_search_that_cannot_be_leaves_it_idle():
    search = TypeBSearch()
    with pytest.raises(LocalProtocolError):
        search.send(FindCard(afi=256), 0.0)
    assert search.state is StateB.IDLE
    search.send(FindCard(afi=255), 0.0)
    assert search.next_deadline() is not None


def test_an_endless_collision_is_given_up():
    search = TypeBSearch()
    search.send(FindCard(), 0.0)
    frames = 0
    while search.next_event() is NEED_DATA:
        assert search.frame_to_send() is not None
        frames += 1
        search.receive(air_frame(b"\x50\x00"), 0.0)
        if search.state is StateB.IDLE:
            break
    assert frames <= MAX_ROUNDS * 16
    assert search.next_deadline() is None


@EXAMPLES
@given(answers=st.lists(st.tuples(st.binary(max_size=14), st.integers(0, 7), st.none() | st.integers(0, 100))))
def test_no_answer_breaks_a_search(answers):
    for search in (TypeASearch(), TypeBSearch()):
        for data, cut, collision in answers:
            if search.next_event() is not NEED_DATA or search.next_deadline() is None:
                search.send(FindCard(), 0.0)
            bits = max(0, 8 * len(data) - cut)
            frame = frame_of_bits(int.from_bytes(data, "little"), bits)
            search.receive(AirFrame(frame.data, bits, collision), 0.0)
            search.frame_to_send()
            is_idle = search.state in {StateA.IDLE, StateB.IDLE}
            assert is_idle == (search.next_deadline() is None), "it waits for an answer, or it has ended"
