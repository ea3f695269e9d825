"""The Director, online: what it answers is accepted by the real client, before and after whatever happens to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ota.campaign import director as director_module
from ota.campaign.director import QUARTER_S, OnlineDirector, application
from ota.campaign.published import Published
from ota.campaign.store.plans import Made
from ota.errors import OtaError, RefusedError, Rule
from ota.repository.keys import KeyRole, SigningKey
from ota.testing.trusting_device import TrustingDevice
from ota.tests.director_world import NAME, ONE, TWO, World
from ota.trust.fetcher import Pieces


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def taken(device: TrustingDevice, pieces: Pieces) -> str:
    return device.refresh(pieces=pieces).targets["gateway"].path


def test_what_it_answers_is_accepted_and_again_after_a_restart(world: World) -> None:
    device = TrustingDevice(world.double)
    assert taken(device, world.pieces(world.director())) == ONE
    assert taken(device, world.pieces(world.director())) == ONE
    first, second = world.director(), world.director()
    assert first.file(NAME, "timestamp.json", world.now) == second.file(NAME, "timestamp.json", world.now)


def test_two_directors_in_turn_are_one(world: World) -> None:
    assert taken(TrustingDevice(world.double), world.pieces(world.director(), world.director())) == ONE


def test_it_holds_across_a_quarter_of_the_day_and_for_a_whole_one(world: World) -> None:
    device, director = TrustingDevice(world.double), world.director()
    for step_s in (0, QUARTER_S - 1, QUARTER_S, QUARTER_S + 1, 2 * QUARTER_S):
        world.now = world.start_of_quarter + step_s
        assert taken(device, world.pieces(director)) == ONE


@pytest.mark.parametrize("happens", ["a quarter ends", "a new plan", "a new publication", "a restart", "all but that"])
def test_a_device_that_is_in_the_middle_gets_what_it_began_with(world: World, happens: str) -> None:
    world.now = world.start_of_quarter + QUARTER_S - 1
    directors = [world.director()]
    device = TrustingDevice(world.double)

    def read(url: str) -> Iterator[bytes]:
        yield from world.pieces(directors[-1])(url)
        if url == f"director/{NAME}/timestamp.json":
            if happens in ("a quarter ends", "all but that"):
                world.now += 1
            if happens in ("a new plan", "all but that"):
                world.plan(2, TWO)
            if happens in ("a new publication", "all but that"):
                world.double.add_image("rsu/gateway/3.tar", b"three", counter=3)
                world.publish()
            if happens == "a restart":
                directors.append(world.director())

    assert taken(device, read) == ONE
    world.plan(2, TWO)
    assert taken(device, world.pieces(directors[-1])) == TWO, "and the next time what is new"


def test_a_new_plan_and_a_new_publication_are_taken_at_once(world: World) -> None:
    device, director = TrustingDevice(world.double), world.director()
    for number, target in ((1, ONE), (2, TWO), (3, ONE)):
        world.plan(number, target)
        world.double.add_image(f"rsu/gateway/{number + 4}.tar", b"%d" % number, counter=4 + number)
        world.publish()
        assert taken(device, world.pieces(director)) == target


def test_no_two_answers_have_the_same_version(world: World) -> None:
    """Whichever of quarter, publication and plan has moved on: a version names one content."""
    director, seen = world.director(), {}
    for publication in range(3):
        for quarter in range(3):
            for number in (1, 2):
                world.now = world.start_of_quarter + quarter * QUARTER_S
                world.plan(number, ONE)
                data = director.file(NAME, "timestamp.json", world.now)
                assert data is not None
                version = data.partition(b'"version":')[2].partition(b"}")[0]
                assert seen.setdefault(version, data) == data
        world.double.add_image(f"rsu/gateway/{publication + 4}.tar", b"x", counter=4 + publication)
        world.publish()
    assert len(seen) == 18


def test_a_key_that_is_not_the_directors_is_refused(world: World) -> None:
    with pytest.raises(RefusedError, match="is not the Director's") as refused:
        world.director(SigningKey.new(KeyRole.DIRECTOR, "another"))
    assert refused.value.rule is Rule.KEY
    with pytest.raises(RefusedError, match="no root of the Director is published yet"):
        OnlineDirector(world.double.keys["director"][0], Published(world.folder / "empty"), world.plans.get)


NAMES = [
    "", ".json", "timestamp.jso", "timestamp.json\n", "1.timestamp.json", "0.root.json", "01.root.json", "2.root.json",
    "²2.root.json", "١.root.json", "-1.targets.json", "1.targets.json", "9" * 5_000 + ".targets.json", "9.mirror.json",
    "1.root.json\0", "../1.root.json", "\ud800",
]  # fmt: skip


def test_what_is_not_there_is_not_there(world: World) -> None:
    director = world.director()
    for name in NAMES:
        assert director.file(NAME, name, world.now) is None, name
    for device in ("nobody", "", "\0", "\ud800", "..", "RSU-7", "x" * 100_000, f"{NAME}\n"):
        asked = [director.file(device, name, world.now) for name in ("timestamp.json", "7.targets.json")]
        assert asked == [None, None], device
    assert director.file(NAME, "1.root.json", world.now) == world.double.first_director_root


def test_it_keeps_no_more_answers_than_it_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(director_module, "MAX_ANSWERS", 3)
    director = world.director()
    for number in range(10):
        world.plan(1, ONE, f"bus-{number}")
        assert director.file(f"bus-{number}", "timestamp.json", world.now) is not None
    assert len(director._answers) == 3
    assert taken(TrustingDevice(world.double, name="bus-0"), world.pieces(director)) == ONE


def ask(world: World, path: str, *, method: str = "GET", director: OnlineDirector | None = None) -> tuple[str, bytes]:
    said: list[Any] = []
    answer = application(director or world.director(), lambda: world.now, said.append)
    body = answer({"PATH_INFO": path, "REQUEST_METHOD": method}, lambda status, _headers: said.append(status))
    return said[-1], b"".join(body)


def test_the_application_answers_what_http_asks(world: World) -> None:
    status, data = ask(world, f"/director/{NAME}/timestamp.json")
    assert (status, data) == ("200 OK", world.director().file(NAME, "timestamp.json", world.now))
    assert ask(world, f"/director/{NAME}/timestamp.json", method="HEAD") == ("200 OK", b"")
    assert ask(world, f"/director/{NAME}/timestamp.json", method="POST")[0] == "405 Method Not Allowed"
    for path in ("", "/", "/director", "/director/x", "//director/x/y", "/director/x/y/z", "/director/\0/x", "/a/b/c"):
        assert ask(world, path)[0] == "404 Not Found", path


def test_a_database_that_is_away_is_said_and_the_device_comes_again(world: World) -> None:
    def away(_device: str) -> Made | None:
        raise OtaError("database: it is away")

    director = OnlineDirector(world.double.keys["director"][0], Published(world.folder), away)
    said: list[Any] = []
    answer = application(director, lambda: world.now, said.append)
    body = answer({"PATH_INFO": f"/director/{NAME}/timestamp.json", "REQUEST_METHOD": "GET"}, lambda *_: None)
    assert body == [b"503 Service Unavailable\n"]
    assert said == [f"director: '{NAME}': database: it is away"]
