"""JT/T 808 messages in packages: cut, put together in any order, asked for again, given up, bounded."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError
from protocols.jt808.frame import Frame, Package, decode_frame
from protocols.jt808.subpackage import (
    MAX_IDS_PER_REQUEST,
    Abandoned,
    Gathered,
    Missing,
    Reassembler,
    gather,
    split,
)
from protocols.tests.kit import cases_of

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None)
PHONE = "013912345678"


def message(size=3000, serial=65_534, seed=1):
    return Frame(0x0801, PHONE, serial, random.Random(seed).randbytes(size))


def events_of(reassembler):
    events = []
    while (event := reassembler.next_event()) is not NEED_DATA:
        events.append(event)
    return events


def test_a_short_message_is_one_frame():
    assert split(message(1023)) == (message(1023),)


def test_serials_go_on_past_the_highest():
    packages = split(message())
    assert [package.serial for package in packages] == [65_534, 65_535, 0]
    assert [package.package for package in packages] == [Package(3, 1), Package(3, 2), Package(3, 3)]
    assert [len(package.body) for package in packages] == [1023, 1023, 954]


def test_a_message_of_too_many_packages_is_refused():
    with pytest.raises(LocalProtocolError):
        split(message(1023 * 65_535 + 1))


@EXAMPLES
@given(size=st.integers(1024, 9000), seed=st.integers(0, 2**32 - 1))
def test_packages_in_any_order_and_repeated_make_the_message(size, seed):
    rng = random.Random(seed)
    whole = message(size, rng.randrange(65_536), seed)
    packages = list(split(whole))
    arrived = packages + rng.choices(packages, k=3)
    rng.shuffle(arrived)
    assert gather(arrived) == Gathered(whole, len(packages))
    reassembler = Reassembler()
    found = []
    for package in arrived:
        reassembler.feed(package, 0.0)
        found += events_of(reassembler)
    assert found
    assert all(event == Gathered(whole, len(packages)) for event in found)
    reassembler.tick(100.0)  # repeats of a message that is whole are not asked about
    assert events_of(reassembler) == []
    assert reassembler.waiting_bytes == 0


def test_the_first_of_two_packages_with_one_index_counts():
    first, second, third = split(message())
    other = msgspec.structs.replace(second, body=b"other")
    assert gather([first, second, other, third]).frame.body == message().body


def test_packages_of_one_serial_go_before_a_mixture():
    one, two = split(message(3000, 10, 1)), split(message(3000, 50, 2))
    assert gather([one[0], *two]) == Gathered(message(3000, 50, 2), 3)


def test_packages_that_do_not_count_their_serials_are_put_together_all_the_same():
    packages = [msgspec.structs.replace(package, serial=7) for package in split(message())]
    assert gather(packages).frame.body == message().body
    reassembler = Reassembler(quiet_s=5)
    for package in packages:
        reassembler.feed(package, 10.0)
    assert events_of(reassembler) == []
    assert reassembler.next_deadline() == 15.0
    reassembler.tick(15.0)
    (event,) = events_of(reassembler)
    assert event.frame.body == message().body
    assert reassembler.waiting_bytes == 0


def test_halves_of_two_messages_are_never_glued():
    one, two = split(message(3000, 10, 1)), split(message(3000, 50, 2))
    reassembler = Reassembler(quiet_s=5, max_requests=1)
    for package in (one[0], one[1], two[1], two[2]):
        reassembler.feed(package, 0.0)
    reassembler.tick(5.0)
    assert events_of(reassembler) == [
        Missing(0x0801, 10, (3,), one[0].body),
        Missing(0x0801, 50, (1,)),
    ]
    reassembler.feed(two[0], 6.0)
    assert events_of(reassembler) == [Gathered(message(3000, 50, 2), 3)]
    reassembler.tick(20.0)
    assert events_of(reassembler) == [Abandoned(0x0801, PHONE, 3, 2)]


def test_what_is_missing_is_asked_for_and_then_given_up():
    packages = split(message(1023 * 400))
    reassembler = Reassembler(quiet_s=5, max_requests=2)
    reassembler.feed(packages[1], 0.0)
    reassembler.feed(packages[5], 3.0)
    reassembler.tick(7.9)
    assert events_of(reassembler) == []
    reassembler.tick(8.0)
    (request,) = events_of(reassembler)
    assert request.original_serial == 65_534
    assert request.package_ids[:5] == (1, 3, 4, 5, 7)
    assert len(request.package_ids) == MAX_IDS_PER_REQUEST
    reassembler.tick(13.0)
    assert isinstance(events_of(reassembler)[0], Missing)
    reassembler.tick(18.0)
    assert events_of(reassembler) == [Abandoned(0x0801, PHONE, 400, 2)]
    assert reassembler.next_deadline() is None


def test_a_stale_first_half_is_not_glued_to_a_later_second_half():
    first, *_rest = split(message(2000, 7, 1))
    _first, second = split(message(2000, 7, 2))  # the same serial after the counter went round
    reassembler = Reassembler(quiet_s=5, max_requests=0)
    reassembler.feed(first, 0.0)
    reassembler.tick(5.0)
    assert isinstance(events_of(reassembler)[0], Abandoned)
    reassembler.feed(second, 100.0)
    assert events_of(reassembler) == []


def test_a_package_that_is_repeated_for_ever_does_not_keep_the_others_waiting():
    first, second, _third = split(message(3000, 10))
    reassembler = Reassembler(quiet_s=5, max_requests=0)
    reassembler.feed(first, 0.0)
    reassembler.feed(second, 1.0)
    for now in range(2, 6):
        reassembler.feed(first, float(now))
    assert reassembler.next_deadline() == 6.0
    reassembler.tick(6.0)
    assert events_of(reassembler) == [Abandoned(0x0801, PHONE, 3, 2)]


def test_a_flood_of_first_packages_is_not_asked_about_one_by_one():
    reassembler = Reassembler(quiet_s=5, max_requests=1, max_messages=8)
    for serial in range(10_000):
        reassembler.feed(Frame(0x0801, PHONE, serial, b"", package=Package(0xFFFF, 1)), 0.0)
    two = (Frame(0x0801, PHONE, 20_000 + index, b"", package=Package(0xFFFF, index)) for index in (2, 3))
    for package in two:
        reassembler.feed(package, 0.0)
    reassembler.tick(5.0)
    asked = events_of(reassembler)
    assert len(asked) == 8
    assert asked[0] == Missing(0x0801, 20_001, (1, *range(4, 4 + MAX_IDS_PER_REQUEST - 1)))
    reassembler.tick(10.0)
    assert events_of(reassembler) == [Abandoned(0x0801, PHONE, 0xFFFF, 10_002)]


def test_a_new_connection_may_bring_the_serials_of_the_last_one():
    packages = split(message(3000, 10))
    reassembler = Reassembler(quiet_s=5)
    for package in packages:
        reassembler.feed(package, 0.0)
    assert events_of(reassembler) == [Gathered(message(3000, 10), 3)]
    reassembler.reset()
    reassembler.feed(packages[0], 1.0)
    reassembler.tick(6.0)
    assert events_of(reassembler) == [Missing(0x0801, 10, (2, 3), packages[0].body)]


def test_memory_stays_bounded_whatever_comes():
    rng = random.Random(9)
    reassembler = Reassembler(max_messages=8, max_bytes=100_000)
    lost = 0
    for number in range(5000):
        total = rng.randrange(2, 65_536)
        package = Package(total, rng.randrange(1, total + 1))
        frame = Frame(rng.randrange(3), PHONE, rng.randrange(65_536), bytes(1000), package=package)
        reassembler.feed(frame, float(number))
        assert reassembler.waiting_bytes <= 100_000
        assert len(reassembler._partials) <= 8
        lost += sum(event.arrived for event in events_of(reassembler) if isinstance(event, Abandoned))
    waiting = sum(partial.arrived() for partial in reassembler._partials.values())
    assert lost + waiting == 5000  # nothing is lost in silence
    reassembler.reset()
    assert reassembler.waiting_bytes == 0


def test_a_message_bigger_than_all_room_gives_way_itself():
    reassembler = Reassembler(max_bytes=2000)
    for package in split(message(9000)):
        reassembler.feed(package, 0.0)
    assert all(isinstance(event, Abandoned) for event in events_of(reassembler))
    assert reassembler.waiting_bytes <= 2000


@pytest.mark.parametrize("package", [Package(3, 0), Package(3, 4), Package(0, 0), Package(0, 1)])
def test_an_index_that_the_total_has_not_is_refused(package):
    frame = Frame(0x0801, PHONE, 1, b"", package=package)
    with pytest.raises(RemoteProtocolError):
        gather([frame])
    reassembler = Reassembler()
    reassembler.feed(frame, 0.0)
    assert reassembler.bad_packages == 1
    assert reassembler.next_deadline() is None


def test_packages_of_different_messages_are_refused():
    first, _second, third = split(message())
    for other in (
        msgspec.structs.replace(third, msg_id=0x0200),
        msgspec.structs.replace(third, phone="0" * 12),
        msgspec.structs.replace(third, package=Package(4, 3)),
        msgspec.structs.replace(third, package=None),
    ):
        with pytest.raises(RemoteProtocolError):
            gather([first, other])
    with pytest.raises(RemoteProtocolError):
        gather([])


@pytest.mark.parametrize(
    "case", [case for case in cases_of("jt808") if "frames" in case], ids=lambda case: case["name"]
)
def test_outside_packages_come_out_of_the_reassembler(case):
    reassembler = Reassembler(max_requests=1)
    for wire in case["frames"]:
        reassembler.feed(decode_frame(bytes.fromhex(wire)), 0.0)
    if reassembler.next_deadline() is not None:
        reassembler.tick(reassembler.next_deadline())
    (event,) = events_of(reassembler)
    if case["expect"]["complete"]:
        assert len(event.frame.body) == case["expect"]["body_length"]
    else:
        assert list(event.package_ids) == case["expect"]["missing"]
