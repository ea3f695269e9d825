"""A secondary and its gateway, each by its own code, over a line that loses and repeats."""

import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ota.errors import OtaError, RefusedError, Rule
from ota.installers.mcu import McuInstaller, SecondaryLineError
from ota.mcu.errors import SecondaryError
from ota.mcu.selector import Selector
from ota.mcu.sets import Sets
from ota.payload.file_set import make_image, make_package, read_package
from ota.testing.mcu_double import KEY, Box

RNG = random.Random(7)
FILES = {
    "board/__init__.mpy": b"",
    "board/pins.mpy": RNG.randbytes(900),
    "lamp.mpy": RNG.randbytes(3_000),
    "main.mpy": RNG.randbytes(700),
    "old.mpy": b"goes away",
}
NEW_FILES = {name: data for name, data in FILES.items() if name != "old.mpy"} | {
    "lamp.mpy": FILES["lamp.mpy"][:1_000] + b"new" + FILES["lamp.mpy"][1_000:],
    "report/pack.mpy": RNG.randbytes(400),
}
OLD = make_image(FILES, counter=4, floor=0, version="1.0.0")
NEW = make_image(NEW_FILES, counter=5, floor=5, version="1.1.0")


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """It runs the old set, confirmed."""
    monkeypatch.setattr("sys.path", list(sys.path))
    box = Box(tmp_path)
    installer = McuInstaller("lamp-1", KEY, box.ask)
    installer.arm(installer.stage(make_package(OLD), "old"))
    box.boot()
    installer.confirm()
    return box


def packages() -> list[object]:
    return [pytest.param(lambda: make_package(NEW), id="whole"), pytest.param(by_delta, id="delta")]


def by_delta() -> bytes:
    pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")
    return make_package(NEW, OLD)


@pytest.mark.parametrize("package", packages())
def test_the_main_story(box: Box, package: Callable[[], bytes]):
    installer = McuInstaller("lamp-1", KEY, box.ask)
    assert box.runs() == FILES
    staged = installer.stage(package(), "new")
    assert installer.state().staged_hash == staged
    assert box.boot() == 1
    assert box.runs() == FILES, "staged is not armed"
    installer.arm(staged)
    assert box.boot() == 0
    assert box.runs() == NEW_FILES
    assert (installer.state().is_trial, installer.state().attempts_left) == (True, 2)
    installer.confirm()
    for _ in range(5):
        box.boot()
    state = installer.state()
    assert (state.is_trial, state.counter, state.set_hash) == (False, 5, staged)


def test_a_set_that_is_never_confirmed_runs_three_times_and_then_the_old_one_again(box: Box):
    installer = McuInstaller("lamp-1", KEY, box.ask)
    installer.arm(installer.stage(make_package(NEW), "new"))
    ran = []
    for _start in range(5):
        box.boot()
        ran.append(box.runs() == NEW_FILES)
    assert ran[:2] == [True, True]
    assert ran[3:] == [False, False]
    assert box.runs() == FILES


def test_a_set_that_is_reverted_is_not_started_again(box: Box):
    installer = McuInstaller("lamp-1", KEY, box.ask)
    installer.arm(installer.stage(make_package(NEW), "new"))
    box.boot()
    installer.revert()
    box.boot()
    assert box.runs() == FILES
    assert not installer.state().is_trial


def test_the_same_set_is_not_sent_twice(box: Box):
    installer = McuInstaller("lamp-1", KEY, box.ask)
    installer.stage(make_package(NEW), "new")
    box.requests.clear()
    installer.stage(make_package(NEW), "new")
    assert [request[:1] for request in box.requests] == [b"h"]


def test_cut_after_any_request_it_goes_on_and_ends_right(box: Box, tmp_path_factory: pytest.TempPathFactory):
    """The box restarts after each request there is; so does its gateway."""
    box.requests.clear()
    McuInstaller("lamp-1", KEY, box.ask).stage(make_package(NEW), "new")
    count = len(box.requests)
    before = tmp_path_factory.mktemp("before")
    for cut in range(count):
        shutil.rmtree(before)
        fresh = Box(before_run(box, before))
        answered = 0

        def ask(request: bytes, fresh: Box = fresh, cut: int = cut) -> bytes:
            nonlocal answered
            answered += 1
            if answered == cut + 1:
                fresh.boot()
                raise SecondaryLineError("no answer")
            return fresh.ask(request)

        installer = McuInstaller("lamp-1", KEY, ask)
        with pytest.raises(SecondaryLineError):
            installer.arm(installer.stage(make_package(NEW), "new"))
        assert fresh.runs() == FILES
        installer.arm(installer.stage(make_package(NEW), "new"))
        fresh.boot()
        assert fresh.runs() == NEW_FILES, cut


def before_run(box: Box, folder: Path) -> Path:
    """A copy of the box as it is before the new set is staged."""
    shutil.copytree(box.folder, folder)
    (folder / "set_a").unlink(missing_ok=True)
    shutil.rmtree(folder / "lib_a", ignore_errors=True)
    return folder


def test_a_line_that_repeats_requests_does_no_harm(box: Box):
    def twice(request: bytes) -> bytes:
        answer = box.ask(request)
        if request[:1] in b"fs":
            assert box.ask(request) == answer
        return answer

    installer = McuInstaller("lamp-1", KEY, twice)
    installer.arm(installer.stage(make_package(NEW), "new"))
    box.boot()
    assert box.runs() == NEW_FILES


def test_a_line_that_loses_answers_brings_a_large_file_too(box: Box):
    """The line repeats a request whose answer it has lost: the box has done it once already."""
    files = {"large.mpy": random.Random(8).randbytes(30_000)}
    count = 0

    def ask(request: bytes) -> bytes:
        nonlocal count
        count += 1
        if count % 7 == 0 and request[:1] in b"dmfs":
            box.ask(request)
        return box.ask(request)

    installer = McuInstaller("lamp-1", KEY, ask)
    installer.arm(installer.stage(make_package(make_image(files, counter=5, floor=0, version="2")), "new"))
    box.boot()
    assert box.runs() == files


def test_another_part_in_the_place_of_one_that_has_come_is_refused(box: Box):
    installer = McuInstaller("lamp-1", KEY, box.ask)
    installer.stage(make_package(NEW), "new")
    assert box.ask(b"d" + bytes(4) + b"abcd") == b"\0"
    assert box.ask(b"d" + (4).to_bytes(4) + b"efgh") == b"\0"
    assert box.ask(b"d" + (4).to_bytes(4) + b"efgh") == b"\0", "as it stands there"
    for part in (b"efgx", b"efg", b"efghi", b""):
        assert box.ask(b"d" + (4).to_bytes(4) + part).startswith(b"\x01order: the part begins at 4 ")


def test_what_was_said_once_cannot_be_said_again(box: Box):
    installer = McuInstaller("lamp-1", KEY, box.ask)
    installer.arm(installer.stage(make_package(NEW), "new"))
    heard = list(box.requests)
    box.boot()
    installer.revert()
    box.boot()
    for request in heard:
        answer = box.ask(request)
        if request[:1] in (b"o", b"a"):
            assert answer.startswith(b"\x01key: "), "the nonce is another"
    box.boot()
    assert box.runs() == FILES


def test_another_key_can_neither_offer_nor_arm_nor_be_believed(box: Box):
    stranger = McuInstaller("lamp-1", bytes(32), box.ask)
    with pytest.raises(SecondaryLineError, match=r"^key: lamp-1: the answer is not proven by its key$"):
        stranger.state()
    name = read_package(make_package(NEW), "new").name
    box.ask(b"h" + bytes(16))
    assert box.ask(b"o" + name + bytes(32)).startswith(b"\x01key: ")
    for request in (b"d" + bytes(9), b"mf" + bytes(4), b"f\0\0f", b"s"):
        assert box.ask(request) == b"\x01order: nothing was offered"
    for order in (b"a", b"c", b"v"):
        assert box.ask(order + bytes(32)).startswith(b"\x01order: ")


def test_another_box_that_answers_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "other").mkdir()
    other = Box(tmp_path / "other", ecu="lamp-2")
    with pytest.raises(SecondaryLineError, match=r"^ecu: lamp-1: another secondary answers$"):
        McuInstaller("lamp-1", KEY, other.ask).state()


def test_below_the_floor_of_what_runs_nothing_is_taken(box: Box):
    installer = McuInstaller("lamp-1", KEY, box.ask)
    installer.arm(installer.stage(make_package(NEW), "new"))
    box.boot()
    installer.confirm()
    with pytest.raises(RefusedError, match=r"^floor: lamp-1: counter 4 is below the floor 5$") as caught:
        installer.arm(installer.stage(make_package(OLD), "old"))
    assert caught.value.rule is Rule.FLOOR
    older = make_image(FILES, counter=3, floor=0, version="0.9.0")
    with pytest.raises(RefusedError, match=r"^floor: lamp-1: counter 3 is below the floor 5$"):
        installer.stage(make_package(older), "older")
    box.boot()
    assert box.runs() == NEW_FILES


def test_a_file_that_is_not_what_the_manifest_says_is_refused(box: Box):
    package = bytearray(make_package(NEW))
    package[-20] ^= 1
    installer = McuInstaller("lamp-1", KEY, box.ask)
    with pytest.raises(OtaError, match=r"^(hash|format): lamp-1: "):
        installer.stage(bytes(package), "new")
    box.boot()
    assert box.runs() == FILES


def test_a_set_on_trial_that_has_rotted_is_not_started(box: Box):
    installer = McuInstaller("lamp-1", KEY, box.ask)
    installer.arm(installer.stage(make_package(NEW), "new"))
    (box.folder / "lib_a" / "lamp.mpy").write_bytes(b"rotten")
    box.boot()
    assert box.runs() == FILES


def test_a_package_with_more_files_than_its_manifest_is_refused_and_not_tried_for_ever(box: Box):
    installer = McuInstaller("lamp-1", KEY, box.ask)
    with pytest.raises(RefusedError, match=r"^format: lamp-1: the manifest has no such file$"):
        installer.stage(make_package(NEW) + b"k", "new")
    assert box.runs() == FILES


def test_a_staged_set_that_has_rotted_is_refused_and_then_brought_again(box: Box):
    installer = McuInstaller("lamp-1", KEY, box.ask)
    staged = installer.stage(make_package(NEW), "new")
    (box.folder / "lib_a" / "lamp.mpy").write_bytes(b"rotten")
    with pytest.raises(RefusedError, match=r"^hash: lamp-1: ") as caught:
        installer.arm(staged)
    assert caught.value.rule is Rule.HASH
    assert installer.state().staged_hash == "", "what is not whole is not told"
    installer.arm(installer.stage(make_package(NEW), "new"))
    box.boot()
    assert box.runs() == NEW_FILES


def test_a_set_that_was_never_started_is_not_confirmed(box: Box):
    installer = McuInstaller("lamp-1", KEY, box.ask)
    installer.arm(installer.stage(make_package(NEW), "new"))
    with pytest.raises(SecondaryLineError, match=r"^order: lamp-1: the set on trial was never started$"):
        installer.confirm()
    box.boot()
    installer.confirm()
    assert not installer.state().is_trial


def test_a_trial_whose_end_the_box_was_not_told_gives_way_to_the_next_set(box: Box):
    """Its gateway has lost it in between: else the box would wait for a word that nobody says any more."""
    installer = McuInstaller("lamp-1", KEY, box.ask)
    installer.arm(installer.stage(make_package(NEW), "new"))
    box.boot()
    later = make_image({**NEW_FILES, "more.mpy": b"more"}, counter=6, floor=0, version="1.2.0")
    for image, files in ((NEW, NEW_FILES), (later, {**NEW_FILES, "more.mpy": b"more"})):
        with pytest.raises(SecondaryLineError, match=r"^order: lamp-1: a set is on trial from before"):
            installer.stage(make_package(image), "next")
        box.boot()
        assert box.runs() == FILES
        installer.arm(installer.stage(make_package(image), "next"))
        box.boot()
        assert box.runs() == files


@pytest.mark.parametrize(
    "broken", [["count_attempt"], ["count_attempt", "revert"], ["count_attempt", "revert", "choose"]]
)
@pytest.mark.parametrize(
    "failing", [SecondaryError("flash", "a cell of the selector does not take a bit"), OSError(30)]
)
def test_a_trial_whose_start_cannot_be_counted_is_not_started(
    box: Box, failing: Exception, broken: list[str], monkeypatch: pytest.MonkeyPatch
):
    """A box whose boot file raised would start nothing at all, each time."""
    installer = McuInstaller("lamp-1", KEY, box.ask)
    installer.arm(installer.stage(make_package(NEW), "new"))

    def fail(_selector: Selector, *_how: object) -> None:
        raise failing

    for order in broken:
        monkeypatch.setattr(Selector, order, fail)
    assert box.boot() == 1
    if "choose" not in broken:
        assert box.runs() == FILES
        assert installer.state().set_hash == read_package(make_package(OLD), "old").name.hex()


def test_a_box_without_memory_left_answers(box: Box, monkeypatch: pytest.MonkeyPatch):
    def full(_sets: Sets, _slot: int) -> None:
        raise MemoryError

    monkeypatch.setattr(Sets, "head", full)
    assert box.ask(b"h" + bytes(16)) == b"\x01memory: none is left"


@pytest.mark.parametrize("word", [b"hash", b"order"])
def test_what_a_box_says_fits_into_one_line(box: Box, word: bytes):
    """Whoever holds the line may say anything."""
    installer = McuInstaller("lamp-1", KEY, lambda _request: b"\1" + word + b": \x1b[31mred\nEND " + b"x" * 3_000)
    with pytest.raises(OtaError) as caught:
        installer.confirm()
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith(word.decode() + ": lamp-1: ")
    assert len(text) < 250


def test_any_request_is_answered(box: Box):
    """Rubbish of all lengths: an answer, never an error, and the box runs what it ran."""
    rng = random.Random(2026)
    refused = 0
    for _ in range(3_000):
        request = rng.choice([b"h", b"m", b"o", b"d", b"f", b"s", b"a", b"c", b"v", b"x"]) + rng.randbytes(
            rng.choice([0, 1, 3, 4, 16, 32, 33, 599, 700])
        )
        answer = box.ask(request)
        assert answer[:1] in (b"\0", b"\x01")
        refused += answer[:1] == b"\x01"
    assert refused > 2_000
    box.boot()
    assert box.runs() == FILES
